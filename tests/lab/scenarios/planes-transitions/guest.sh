# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest flips 400
lab-guest flip-on &
await_word 6000 end
kill $!

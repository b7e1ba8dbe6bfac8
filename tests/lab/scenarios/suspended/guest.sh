# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest flip-on &
await_word 3000 end
kill $!

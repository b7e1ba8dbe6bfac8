# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest flips 600
await_word 300 on
lab-guest flip-on >/dev/null &
await_word 300 end
kill $!

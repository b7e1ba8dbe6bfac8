# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest power 5 &
await_word 600 flip
kill $!
wait
lab-guest flip-on &
await_word 600 end
kill $!

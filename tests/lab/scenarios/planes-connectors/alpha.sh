# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest flip-many 1 &
await_word 3000 all
kill $!
wait
lab-guest flip-many 4 &
await_word 6000 end
kill $!

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
say "waits=yes"
await_word 3000 all
lab-guest flip-many 4 &
await_word 6000 end
kill $!

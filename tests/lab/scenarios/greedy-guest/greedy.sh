# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
lab-guest hoard 33 &
await_word 600 end
kill $!
wait
say "hoard let go"
await_word 600 off

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest input &
await_word 900 end
kill $!

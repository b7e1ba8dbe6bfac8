# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
await_word 100 seed
lab-guest show "XR24:$(word seed)" &
await_word 1000 end
kill $!

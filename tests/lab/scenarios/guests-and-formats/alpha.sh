# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
lab-guest show XR24:1 AR24:2 &
await_word 1000 end
kill $!

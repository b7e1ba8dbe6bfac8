# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest show XR24:7 XR24:8 XR24:9 XR24:10 &
await_word 1000 end
kill $!

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
await_word 800 show
lab-guest show XR24:5 XR24:6 &
await_word 800 end
kill $!

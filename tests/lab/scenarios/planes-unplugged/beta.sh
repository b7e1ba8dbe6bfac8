# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest show XR24:7 &
await_word 3000 end
kill $!

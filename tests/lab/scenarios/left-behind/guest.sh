# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
# Keeps the card open, whatever becomes of the backend.
lab-guest show XR24:7 &
await_word 800 off
kill $!
wait
connected_card 300 || say "no card again"
lab-guest show XR24:7 &
await_word 800 end

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
lab-guest destroy 50
await_word 300 end

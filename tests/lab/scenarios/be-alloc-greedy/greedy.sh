# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
await_word 800 insist
lab-guest insist 10000

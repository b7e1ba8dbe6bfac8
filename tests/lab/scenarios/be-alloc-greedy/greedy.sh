# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
await_word 800 hoard
lab-guest hoard "$(word hoard)"

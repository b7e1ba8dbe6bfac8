# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
show_reference 800x600 XR24
await_word 800 end
hide_reference

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
show_reference 800x600 RG16
await_word 1000 end
hide_reference

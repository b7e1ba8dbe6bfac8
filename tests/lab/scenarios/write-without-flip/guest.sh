# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
lab-guest scribble

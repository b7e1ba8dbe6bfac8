# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
# Ends with an error, since it gets none. Had it got one and drawn into it, it would be dead: SIGBUS.
lab-guest hoard 3
say "tried=$?"
await_word 300 breathe
say "alive"
await_word 300 off

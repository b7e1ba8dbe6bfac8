# SPDX-License-Identifier: GPL-3.0-or-later
# The card goes and comes back with the compositor.
while true; do
    connected_card 300 || say "no card"
    lab-guest destroy 3
    lab-guest flips 20
    say "again"
done

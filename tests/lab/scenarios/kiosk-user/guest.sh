# SPDX-License-Identifier: GPL-3.0-or-later
# The card is unplugged when the display's side starts anew, and comes back.
while true; do
    connected_card 300 || say "no card"
    card=$(card_id)
    lab-guest show XR24:7 &
    while [ "$(card_id)" = "$card" ]; do sleep 0.2; done
    kill $!
    wait
    say "the card is gone"
done

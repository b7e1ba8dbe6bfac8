# SPDX-License-Identifier: GPL-3.0-or-later
# What a guest's script may call, whatever it runs on. Sourced by the guest's init, which adds what differs:
#   CARD                         the display card's path (or a pattern of it), while there is one
#   word KEY                     what Dom0 told this guest (lab.sh, tell_guest); false before
#   show_reference SIZE FORMAT   shows in the background what lab.sh's `reference` is a picture of
#   hide_reference               ends that
#   reboot -f

# say TEXT: a line that Dom0 waits for.
say() { echo "lab: $*"; }

# await SECONDS COMMAND...: true as soon as the command succeeds; false after the time.
await() {
    local left=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.2
    done
}

# await_word SECONDS KEY: waits for Dom0's word.
await_word() { await "$1" word "$2"; }

# connected_card SECONDS: waits until the display front driver has made its card.
connected_card() { await "$1" card_id; }

# card_id: tells a card from another one in its place; nothing while there is none.
# shellcheck disable=SC2086 # a pattern
card_id() { stat -c '%i %z' $CARD 2>/dev/null; }

# keep_showing PICTURE...: shows pictures (of `lab-guest show`) for ever. The card is unplugged when the display's side
# starts anew, and comes back.
keep_showing() {
    local card
    while true; do
        connected_card 300 || say "no card"
        card=$(card_id)
        lab-guest show "$@" &
        while [ "$(card_id)" = "$card" ]; do sleep 0.2; done
        kill $!
        wait
        say "the card is gone"
    done
}

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
# until_told WORD ARGUMENT...: the guests' program runs until Dom0's word.
until_told() {
    local word=$1 program
    shift
    lab-guest "$@" &
    program=$!
    await_word 800 "$word"
    kill $program
    wait
}
until_told flip show XR24:7
until_told destroy flip-on
lab-guest destroy 5
until_told show flip-on
until_told end show XR24:7

# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 300 || say "no card"
lab-guest show XR24:7 &
picture=$!
await_word 800 flip
kill $picture
wait
# The first of them shows all; the others are there to come and go.
if [ "$(word flip)" = all ]; then
    lab-guest flips 100
    # Buffers that are destroyed while they are shown, each timed.
    lab-guest destroy 20
else
    kills=$(word kills)
    for kill in $(seq "$kills"); do
        lab-guest destroy 1
        lab-guest flip-on &
        # Killed with its buffers mapped, before, in or after one of its first flips.
        sleep "0.$((RANDOM % 900 + 100))"
        kill -KILL $!
        wait
    done
    say "killed=$kills"
fi
say "flips on"
lab-guest flip-on

# SPDX-License-Identifier: GPL-3.0-or-later
test_picture alpha-picture 640 480 7
test_picture beta-picture 400 300 9
start_grantway
create_guest alpha alpha.sh 'alpha-a:640x480'
create_guest beta beta.sh 'beta-a:400x300'
both_shown() {
    guest_status_is alpha '.connectors[0].format' XR24 && guest_status_is beta '.connectors[0].format' XR24
}
wait_for 400 "both pictures" both_shown
await_picture "alpha's window" "$(window alpha 0)" alpha-picture.png
# By its title bar, a little further down.
read -r x y width height <<<"$(window alpha 0)"
move_to $((x + 40)) $((y - 12))
press left
move_to $((x + 45)) $((y + 138))
release left
place="$((x + 5)) $((y + 150)) $width $height"
alpha_is_there() { [ "$(window alpha 0)" = "$place" ]; }
wait_for 60 "alpha's window to be at $place" alpha_is_there
beta=$(window beta 0)
kept() { grep -q '"guest":"alpha"' "${SOCKET%.sock}.places.json" 2>/dev/null; }
wait_for 60 "its place to be written down" kept
stop_grantway KILL
say "the compositor is killed"
started=$(milliseconds)
start_grantway
wait_for 300 "both pictures again" both_shown
figure back-after-ms "$(($(milliseconds) - started))"
expect "where alpha's window is" "$place" "$(window alpha 0)"
expect "where beta's window is" "$beta" "$(window beta 0)"
await_picture "alpha's window, again" "$place" alpha-picture.png
await_picture "beta's window, again" "$beta" beta-picture.png
expect "guests" "alpha beta" "$(msg status --json | jq -r '[.guests[].name] | sort | join(" ")')"
destroy_guest alpha
destroy_guest beta
wait_for 10 "no zombie domain" no_zombies
stop_grantway

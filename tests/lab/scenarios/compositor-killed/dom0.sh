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
stop_grantway KILL
say "the compositor is killed"
started=$(milliseconds)
start_grantway
wait_for 300 "both pictures again" both_shown
figure back-after-ms "$(($(milliseconds) - started))"
await_picture "alpha's window, again" "$(window alpha 0)" alpha-picture.png
await_picture "beta's window, again" "$(window beta 0)" beta-picture.png
expect "guests" "alpha beta" "$(msg status --json | jq -r '[.guests[].name] | sort | join(" ")')"
destroy_guest alpha
destroy_guest beta
wait_for 10 "no zombie domain" no_zombies
stop_grantway

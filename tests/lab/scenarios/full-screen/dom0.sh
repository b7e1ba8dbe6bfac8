# SPDX-License-Identifier: GPL-3.0-or-later
test_picture alpha-picture 1280 800 3
test_picture beta-picture 400 300 4
start_grantway
create_guest alpha guest.sh 'alpha-a:1280x800'
tell_guest alpha seed 3
create_guest beta guest.sh 'beta-a:400x300'
tell_guest beta seed 4
await_guest 400 alpha "shown"
await_guest 400 beta "shown"
wait_for 120 "alpha's picture" guest_status_is alpha '.connectors[0].format' XR24
await_picture "beta's window" "$(window beta 0)" beta-picture.png
expect "the size of the display" "1280 800" "$(msg status --json | jq -r '.outputs[0] | "\(.width) \(.height)"')"
msg fullscreen alpha
# Every pixel of the display is alpha's: no border, no label, nothing of beta.
await_picture "alpha on the whole display" "0 0 1280 800" alpha-picture.png
expect "where alpha is" "0 0 1280 800" "$(window alpha 0)"
msg fullscreen beta
await_picture "beta full screen" "$(window beta 0)" beta-picture.png
msg fullscreen off
await_picture "beta's window, again" "$(window beta 0)" beta-picture.png
screendump back
picture_differs "$RESULTS/back.png" 0 0 1280 800 "$RESULTS/alpha-picture.png" || fail "alpha still has the whole display"
end_guest alpha beta
stop_grantway

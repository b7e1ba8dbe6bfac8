# SPDX-License-Identifier: GPL-3.0-or-later
reference small 800x600
reference large 1920x1080
test_picture odd-0 700 500 5
test_picture odd-1 480 300 6

# Buffers in our memory.
start_grantway --kiosk --config small.toml
GUEST_TYPE=pvh BE_ALLOC=1 create_guest alpha alpha.sh 'alpha-a:800x600'
await_guest 300 alpha "reference shown"
wait_for 120 "a picture of alpha" guest_status_is alpha '.connectors[0].format' XR24
await_picture "the display at 800x600" "0 0 800 600" small.png
[ "$(guest_status alpha '.mib_allocated > 1.8')" = true ] || fail "alpha's buffer is not in our memory"
figure source "$(guest_status alpha '.connectors[0].provider')"
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
end_guest alpha
stop_grantway

# Buffers in the guests' own.
start_grantway --kiosk --config large.toml
create_guest beta beta.sh 'beta-a:1920x1080'
create_guest odd odd.sh 'odd-a:700x500;odd-b:480x300'
await_guest 300 beta "reference shown"
wait_for 120 "a picture of beta" guest_status_is beta '.connectors[0].format' XR24
await_picture "the display at 1920x1080" "0 0 1920 1080" large.png
expect "who made the buffer" "$PROVIDER" "$(guest_status beta '.connectors[0].provider')"
expect "bytes copied" 0 "$(guest_status beta '.connectors[0].bytes_copied')"

# Sizes that the display does not have.
tell_guest odd show now
await_guest 120 odd "shown"
wait_for 120 "odd's second picture" guest_status_is odd '.connectors[1].format' XR24
await_picture "odd's first picture, in the middle" "130 290 700 500" odd-0.png
await_picture "odd's second picture, twice as large" "960 240 960 600" odd-1.png doubled
screendump odd
expect "the background beside the first" 204060 "$(one_colour "$RESULTS/odd.png" 0 0 960 290)"
request "cut $RESULTS/large.png 960 0 960 240 $RESULTS/below.png"
same_picture "what is below the second" "$RESULTS/odd.png" 960 0 960 240 "$RESULTS/below.png"
msg status | tee "$RESULTS/status.txt"
msg status --json >"$RESULTS/status.json"
expect "what status says" "beta centre 1000 guest; odd centre 1000 guest; odd scale 2000 guest" \
    "$(jq -r '[.kiosk[] | "\(.guest) \(.fit) \(.scale[0]) \(.shows)"] | join("; ")' "$RESULTS/status.json")"
grep -q '^odd 1 .* scale  *2.00 ' "$RESULTS/status.txt" || fail "status does not say that odd's second picture is scaled"
end_guest odd beta
stop_grantway

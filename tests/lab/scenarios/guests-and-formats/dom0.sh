# SPDX-License-Identifier: GPL-3.0-or-later
reference wanted-800x600 800x600
test_picture a0 640 480 1
test_picture a1 400 300 2
printf '[[output]]\nname = "Virtual-1"\nmode = "1920x1080"\n' >"$RUN/grantway.toml"
start_grantway --config "$RUN/grantway.toml"
create_guest alpha alpha.sh 'alpha-a:640x480;alpha-b:400x300'
create_guest beta beta.sh 'beta-a:800x600'
await_guest 400 alpha "shown"
await_guest 400 beta "reference shown"
wait_for 120 "alpha's first picture" guest_status_is alpha '.connectors[0].format' XR24
wait_for 120 "alpha's second picture" guest_status_is alpha '.connectors[1].format' AR24
wait_for 120 "beta's picture" guest_status_is beta '.connectors[0].format' RG16
await_picture "alpha's first window" "$(window alpha 0)" a0.png
await_picture "alpha's second window" "$(window alpha 1)" a1.png
await_picture "beta's window" "$(window beta 0)" wanted-800x600.png as-RG16
msg status --json >"$RESULTS/status.json"
msg status
for value in $(guest_status alpha '.connectors[].bytes_copied') $(guest_status beta '.connectors[].bytes_copied'); do
    expect "bytes copied" 0 "$value"
done
end_guest alpha beta
stop_grantway

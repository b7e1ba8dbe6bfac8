# SPDX-License-Identifier: GPL-3.0-or-later
test_picture wanted 640 480 7
start_grantway
create_guest alpha guest.sh 'alpha-a:640x480'
first=$(guest_domid alpha)
await_guest 300 alpha "shown"
wait_for 120 "alpha's picture" guest_status_is alpha '.connectors[0].format' XR24
await_picture "alpha's window" "$(window alpha 0)" wanted.png
tell_guest alpha reboot now
new_domain() { local now; now=$(guest_domid alpha) && [ "$now" != "$first" ]; }
wait_for 200 "the new domain" new_domain
second=$(guest_domid alpha)
is_new() { guest_status_is alpha '.domid' "$(guest_domid alpha)"; }
wait_for 300 "alpha in the status" is_new
wait_for 400 "alpha's picture after the reboot" guest_status_is alpha '.connectors[0].format' XR24
await_picture "alpha's window after the reboot" "$(window alpha 0)" wanted.png
expect "the domain, after one reboot" "$second" "$(guest_domid alpha)"
wait_for 10 "no zombie domain" no_zombies
destroy_guest alpha
stop_grantway

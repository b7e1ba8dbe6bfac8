# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
create_guest good good.sh 'good-a:400x300'
await_guest 400 good "frames=100"
create_guest greedy greedy.sh 'greedy-a:640x480'
await_guest 400 greedy "given="
[ "$(guest_value greedy refusal)" != none ] || fail "no buffer was refused"
# By default 32 buffers for each connector.
expect "buffers that it has" 32 "$(guest_status greedy '.buffers')"
expect "buffers that it thinks it has" 32 "$(guest_value greedy given)"
expect "requests refused" 1 "$(guest_status greedy '.requests_refused')"
say "told: $(guest_status greedy '.last_refusal')"
# Refused was only the request.
msg screenshot "$RESULTS/greedy.png" --guest greedy
expect "its picture" 60a020 "$(one_colour "$RESULTS/greedy.png" 0 0 640 480)"
before=$(guest_status good '.connectors[0].flips')
more_flips() { [ "$(guest_status good '.connectors[0].flips')" -gt $((before + 20)) ]; }
wait_for 60 "the good guest to flip on" more_flips
tell_guest greedy end now
await_guest 120 greedy "hoard let go"
nothing_held() { guest_status_is greedy '.buffers' 0 && guest_status_is greedy '.grants' 0; }
wait_for 60 "all buffers to be given back" nothing_held
expect "requests of the good guest refused" 0 "$(guest_status good '.requests_refused')"
guest_kernel_clean good
tell_guest greedy off now
wait_for 120 "the greedy guest's end" no_guest greedy
destroy_guest good
wait_for 20 "no zombie domain" no_zombies
dom0_clean
stop_grantway

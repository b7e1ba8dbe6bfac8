# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
create_guest alpha guest.sh 'alpha-a:640x480'
create_guest beta guest.sh 'beta-a:400x300'
await_guest 400 alpha "frames=100"
await_guest 400 beta "frames=100"
before=$(guest_status beta '.connectors[0].flips')
destroy_guest alpha
started=$(milliseconds)
# Wanted is less than 2,000 on a quiet machine: a figure, since the emulator can't tell how quiet this one is.
wait_for 20 "alpha's pages to be let go" no_zombies
figure zombie-ms "$(($(milliseconds) - started))"
wait_for 30 "the end of alpha's window" guest_status_is alpha '.name' ''
more_flips() { [ "$(guest_status beta '.connectors[0].flips')" -gt $((before + 20)) ]; }
wait_for 60 "beta to flip on" more_flips
guest_kernel_clean beta
dom0_clean
stop_grantway

# SPDX-License-Identifier: GPL-3.0-or-later
. "$LAB/vkms.sh"

outputs_are() { [ "$(msg status --json | jq '.outputs | length')" = "$1" ]; }
flips() { guest_status alpha '.connectors[0].flips'; }
more_flips() { [ "$(flips)" -gt "$1" ]; }

vkms_display 2
start_on_vkms auto
# The guest's screen off and on, its buffers on a plane whenever it is on.
create_guest alpha alpha.sh 'alpha-a:400x300'
await_guest 400 alpha "switched=5"
expect "flips refused while off" 5 "$(guest_value alpha flips-refused-while-off)"
await_plane alpha 0 overlay
tell_guest alpha flip now
await_guest 100 alpha "flipping"
create_guest beta beta.sh 'beta-a:200x150'
await_guest 300 beta "shown"
await_plane alpha 0 overlay
await_plane beta 0 overlay
# The cable, with a flip on its way most of the time. Unseen guests flip once a second.
for round in $(seq "$(rounds 3 - 50)"); do
    plug false
    wait_for 30 "the output to go" outputs_are 0
    before=$(flips)
    wait_for 30 "alpha to flip on, unseen" more_flips "$before"
    plug true
    wait_for 30 "the output to be back" outputs_are 1
    await_plane alpha 0 overlay
    await_plane beta 0 overlay
done
msg screenshot "$RESULTS/back.png"
read -r x y width height <<<"$(window beta 0)"
test_picture beta-picture 200 150 7
same_picture "beta's window" "$RESULTS/back.png" "$x" "$y" "$width" "$height" "$RESULTS/beta-picture.png"
expect "planes in use" 3 "$(planes back | wc -l)"
# Switched off by us: nothing is on a plane, guests flip on, and what one lets go of meanwhile is free.
msg output off
expect "the display is off" 0 "$(grep -c 'active=1' "$STATE" || true)"
expect "planes in use" 0 "$(planes off | wc -l)"
before=$(flips)
wait_for 30 "alpha to flip on, unseen" more_flips "$before"
end_guest beta
expect "buffers of alpha alone" 2 "$(mapped_buffers)"
msg output on
await_plane alpha 0 overlay
expect "the display is on" 1 "$(grep -c 'active=1' "$STATE")"
before=$(flips)
wait_for 30 "alpha to flip on" more_flips "$before"
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
expect "requests refused" 0 "$(guest_status alpha '.requests_refused')"
# What was on a plane when the cable was pulled is let go of, too.
plug false
wait_for 30 "the output to go" outputs_are 0
end_guest alpha
expect "buffers that are still mapped" 0 "$(mapped_buffers)"
stop_grantway
vkms_gone

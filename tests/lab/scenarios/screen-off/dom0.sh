# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
create_guest alpha guest.sh 'alpha-a:640x480'
await_guest 400 alpha "switched=5"
# The kernel refuses them itself, before they come to anyone's ring.
expect "flips refused while off" 5 "$(guest_value alpha flips-refused-while-off)"
expect "state" enabled "$(guest_status alpha '.connectors[0].state')"
expect "flips and events by the compositor's count" \
    "$(guest_status alpha '.connectors[0].flips')" "$(guest_status alpha '.connectors[0].events')"
figure flips "$(guest_status alpha '.connectors[0].flips')"
expect "requests refused" 0 "$(guest_status alpha '.requests_refused')"
# Five times: the last flip was to the second buffer's colour.
msg screenshot "$RESULTS/on.png"
read -r x y width height <<<"$(window alpha 0)"
expect "the colour" a06020 "$(one_colour "$RESULTS/on.png" "$x" "$y" "$width" "$height")"
# The other way round: the display goes off, and the guest notices nothing but its pace.
flips() { guest_status alpha '.connectors[0].flips'; }
more_flips() { [ "$(flips)" -gt "$1" ]; }
is_off() { msg status --json | jq '.outputs[0].off'; }
tell_guest alpha flip now
await_guest 100 alpha "flipping"
msg output off
expect "the display is off" true "$(is_off)"
before=$(flips)
wait_for 60 "alpha to flip on, unseen" more_flips "$before"
msg input pointer 5 5
expect "the display is on, since the mouse was moved" false "$(is_off)"
before=$(flips)
wait_for 60 "alpha to flip on" more_flips "$before"
expect "requests refused" 0 "$(guest_status alpha '.requests_refused')"
end_guest alpha
stop_grantway

# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
create_guest alpha guest.sh 'alpha-a:640x480'
await_guest 300 alpha "frames=100"
[ "$REAL" = no ] || count_cost alpha
await_guest 1200 alpha "frames=500"
[ "$REAL" = no ] || tell_cost drawn
await_guest 1200 alpha "last-colour"
expect "flips" 600 "$(guest_value alpha flips)"
expect "events" 600 "$(guest_value alpha events)"
expect "events out of order" 0 "$(guest_value alpha disorder)"
figure fps "$(guest_value alpha fps)"
figure longest-flip-ms "$(guest_value alpha longest-ms)"
# Where a frame's time goes: the guest's drawing, and from its request to the event.
figure draw-ms "$(guest_value alpha draw-ms)"
figure flip-ms "$(guest_value alpha flip-ms)"
expect "flips and events by the compositor's count" \
    "$(guest_status alpha '.connectors[0].flips')" "$(guest_status alpha '.connectors[0].events')"
# On and on, so that no picture is taken after the last flip. Each frame has one colour of its own: a picture with
# two is a tear. The compositor's own picture is looked at, because the emulated display copies frames on its own,
# at any time.
flips=$(guest_status alpha '.connectors[0].flips')
tell_guest alpha on now
flips_again() { guest_status_is alpha ".connectors[0].flips > $flips + 10" true; }
wait_for 60 "alpha to flip again" flips_again
colours=
for shot in 1 2 3 4 5 6 7 8; do
    msg screenshot "$RESULTS/shot-$shot.png"
    read -r x y width height <<<"$(window alpha 0)"
    colours="$colours $(one_colour "$RESULTS/shot-$shot.png" "$x" "$y" "$width" "$height")"
done
say "colours seen: $colours"
[ "$(tr ' ' '\n' <<<"$colours" | sort -u | wc -l)" -gt 3 ] || fail "the picture does not change: $colours"
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
expect "requests refused" 0 "$(guest_status alpha '.requests_refused')"
end_guest alpha
stop_grantway

# SPDX-License-Identifier: GPL-3.0-or-later
. "$LAB/vkms.sh"
# Without overlays a window is drawn.
vkms_display 0
start_on_vkms auto
create_guest alpha guest.sh 'alpha-a:1024x768'
await_guest 300 alpha "flipping"
msg fullscreen alpha
await_plane alpha 0 primary
# The cursor over it changes nothing about that.
msg input pointer 500 400
expect "planes in use, full screen with the cursor" 2 "$(planes full-screen | wc -l)"
await_plane alpha 0 primary
await_guest 900 alpha "last-colour"
expect "flips" 200 "$(guest_value alpha flips)"
expect "events" 200 "$(guest_value alpha events)"
expect "events out of order" 0 "$(guest_value alpha disorder)"
figure fps "$(guest_value alpha fps)"
figure longest-flip-ms "$(guest_value alpha longest-ms)"

rounds=$(rounds 20 - 1000)
colours=
while [ "$rounds" -gt 0 ]; do
    longest=$(python3 "$LAB/alternate.py" "$SOCKET" alpha 20) || fail "full screen on and off: $longest"
    echo "$longest" >>"$RESULTS/alternations-ms"
    rounds=$((rounds - 20))
    # As a window and on the plane.
    for full in off alpha; do
        msg fullscreen "$full"
        msg screenshot "$RESULTS/shot.png"
        read -r x y width height <<<"$(window alpha 0)"
        colours="$colours $(one_colour "$RESULTS/shot.png" "$x" "$y" "$((x + width > 1024 ? 1024 - x : width))" "$((y + height > 768 ? 768 - y : height))")"
    done
done
say "colours seen: $colours"
figure longest-transition-ms "$(sort -n "$RESULTS/alternations-ms" | tail -n 1)"
frames=$(guest_value alpha frames)
wait_for 120 "alpha to flip on" eval '[ "$(guest_value alpha frames)" -gt "'"$frames"'" ]'
expect "events out of order" 0 "$(guest_value alpha disorder)"
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
expect "requests refused" 0 "$(guest_status alpha '.requests_refused')"
expect "flips that the kernel lost" 0 "$(grep -c 'did not report a flip' "$RESULTS/grantway.log" || true)"
expect "frames that failed" 0 "$(grep -c 'a frame failed' "$RESULTS/grantway.log" || true)"
figure flips "$(guest_status alpha '.connectors[0].flips')"
end_guest alpha
expect "buffers that are still mapped" 0 "$(mapped_buffers)"
stop_grantway
vkms_gone

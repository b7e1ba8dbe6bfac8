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
msg input pointer 5 5
expect "planes in use, full screen with the cursor" 2 "$(planes full-screen | wc -l)"
await_plane alpha 0 primary
count_cost alpha
await_guest 900 alpha "last-colour"
tell_cost plane
expect "flips" 400 "$(guest_value alpha flips)"
expect "events" 400 "$(guest_value alpha events)"
expect "events out of order" 0 "$(guest_value alpha disorder)"
figure fps "$(guest_value alpha fps)"
figure longest-flip-ms "$(guest_value alpha longest-ms)"

# Both ways, ten times as often as pictures are taken.
colours=
for round in $(seq "$(rounds 3 - 50)"); do
    longest=$(python3 "$LAB/alternate.py" "$SOCKET" alpha 10) || fail "full screen on and off: $longest"
    echo "$longest" >>"$RESULTS/alternations-ms"
    # As a window and on the plane, where the cursor is not.
    for full in off alpha; do
        msg fullscreen "$full"
        msg screenshot "$RESULTS/shot.png"
        colours="$colours $(one_colour "$RESULTS/shot.png" 100 100 900 600)"
    done
done
say "colours seen: $colours"
figure transitions "$((round * 2 * 11))"
figure longest-transition-ms "$(sort -n "$RESULTS/alternations-ms" | tail -n 1)"
# Secure attention covers a guest that has a plane, and gives it back.
attention() {
    msg input key right-ctrl --press
    msg input key esc
    msg input key right-ctrl --release
    expect "secure attention" "$1" "$(msg status --json | jq .secure_attention)"
}
msg fullscreen alpha
await_plane alpha 0 primary
msg screenshot "$RESULTS/shot.png"
[ "$(one_colour "$RESULTS/shot.png" 100 100 900 600)" != 000000 ] || fail "alpha is not seen before secure attention"
attention true
wait_for 30 "alpha to be on no plane" eval '! on_plane alpha 0 primary'
same_on_display attention
attention false
await_plane alpha 0 primary
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

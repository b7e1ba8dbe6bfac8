# SPDX-License-Identifier: GPL-3.0-or-later
for module in configfs drm_shmem_helper drm_kms_helper; do modprobe "$module"; done
[ -e /payload/vkms.ko ] || fail "vkms was not built: LAB_VKMS=1"
insmod /payload/vkms.ko enable_overlay=1 || fail "vkms can't be loaded"
card=
for device in /sys/class/drm/card?; do
    case $(readlink -f "$device/device") in *vkms*) card=${device##*/} ;; esac
done
[ -e "/dev/dri/$card" ] || fail "vkms has no card"
state=/sys/kernel/debug/dri/${card#card}/state

# planes NAME: the kernel's own state, into the results: "PLANE FRAMEBUFFER" for each plane in use.
planes() {
    cp "$state" "$RESULTS/state-$1"
    awk '/^plane\[/ { plane = $1 } /^\tfb=/ { sub(/^\tfb=/, ""); if ($0 > 0) print plane, $0 }' "$state" \
        | tee "$RESULTS/planes-$1"
}
# await_plane GUEST KIND: waits until the guest's buffer is on a primary or overlay plane; else tells why not.
await_plane() {
    local end=$((SECONDS + 60)) where
    until where=$(guest_status "$1" '.connectors[0] | .plane // .plane_refused') && [[ $where == plane*"($2)" ]]; do
        [ "$SECONDS" -lt "$end" ] || { planes failed; fail "$1 is on no $2 plane: $where"; }
        sleep "$LOOK_AGAIN"
    done
    say "$1 is on $where"
}

printf '[backend]\ndrm-device = "/dev/dri/%s"\nscanout = "auto"\n\n[[output]]\nname = "Virtual-1"\nmode = "1024x768"\n' "$card" \
    >"$RUN/planes.toml"
start_grantway --config "$RUN/planes.toml"
create_guest beta beta.sh 'beta-a:400x300'
await_guest 300 beta "shown"
create_guest alpha alpha.sh 'alpha-a:1024x768'
await_guest 300 alpha "flipping"
msg fullscreen alpha
await_plane alpha primary
expect "planes in use, with alpha full screen" 1 "$(planes full-screen | wc -l)"
await_guest 900 alpha "last-colour"
expect "flips" 200 "$(guest_value alpha flips)"
expect "events" 200 "$(guest_value alpha events)"
expect "events out of order" 0 "$(guest_value alpha disorder)"
figure fps "$(guest_value alpha fps)"
msg screenshot "$RESULTS/full-screen.png"
one_colour "$RESULTS/full-screen.png" 0 0 1024 768 >/dev/null
# From the plane to the composed picture and back, while alpha flips.
for round in 1 2 3 4 5; do
    msg fullscreen off
    msg fullscreen alpha
done
await_plane alpha primary
expect "bytes copied of alpha" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
tell_guest alpha end now
wait_for 120 "alpha's end" no_guest alpha
# Two still windows side by side.
create_guest gamma beta.sh 'gamma-a:200x150'
await_guest 300 gamma "shown"
await_plane beta overlay
await_plane gamma overlay
expect "planes in use, with two windows" 3 "$(planes windows | wc -l)"
msg screenshot "$RESULTS/windows.png"
test_picture beta-picture 400 300 7
test_picture gamma-picture 200 150 7
same_picture "beta's window" "$RESULTS/windows.png" $(window beta 0) "$RESULTS/beta-picture.png"
same_picture "gamma's window" "$RESULTS/windows.png" $(window gamma 0) "$RESULTS/gamma-picture.png"
expect "bytes copied" "0 0" \
    "$(guest_status beta '.connectors[0].bytes_copied') $(guest_status gamma '.connectors[0].bytes_copied')"
for guest in beta gamma; do
    tell_guest "$guest" end now
    wait_for 120 "the end of $guest" no_guest "$guest"
    guest_kernel_clean "$guest"
done
guest_kernel_clean alpha
expect "buffers that are still mapped" 0 "$(mapped_buffers)"
stop_grantway
rmmod vkms

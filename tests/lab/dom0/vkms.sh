# SPDX-License-Identifier: GPL-3.0-or-later
# The kernel's virtual display, for scenarios about planes, which source this. It has as many planes as is asked for,
# and its kernel tells what it shows: CARD, STATE and CRC are its device, its state and its checksums.
VKMS=/sys/kernel/config/vkms/vkms-lab
CARD=
STATE=
CRC=

# vkms_display OVERLAYS: a display with a primary plane, so many overlays, and one plane for the cursor.
vkms_display() {
    local module number device
    [ -e /payload/vkms.ko ] || fail "vkms was not built"
    for module in configfs drm_client_lib drm_shmem_helper drm_kms_helper; do modprobe "$module"; done
    insmod /payload/vkms.ko create_default_dev=0 || fail "vkms can't be loaded"
    mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
    [ -d "${VKMS%/*}" ] || fail "this kernel's vkms can't be told how many planes it has"
    mkdir "$VKMS" "$VKMS/crtcs/only" "$VKMS/encoders/only" "$VKMS/connectors/only"
    vkms_plane primary 1
    for number in $(seq "$1"); do vkms_plane "overlay-$number" 0; done
    vkms_plane cursor 2
    ln -s "$VKMS/crtcs/only" "$VKMS/encoders/only/possible_crtcs/only"
    ln -s "$VKMS/encoders/only" "$VKMS/connectors/only/possible_encoders/only"
    echo 1 >"$VKMS/enabled"
    for device in /sys/class/drm/card?; do
        case $(readlink -f "$device/device") in *vkms*) CARD=${device##*/} ;; esac
    done
    [ -n "$CARD" ] || fail "vkms has no card"
    udevadm settle --timeout=30 || true
    STATE=/sys/kernel/debug/dri/${CARD#card}/state
    CRC=/sys/kernel/debug/dri/${CARD#card}/crtc-0/crc
}

# vkms_plane NAME TYPE
vkms_plane() {
    mkdir "$VKMS/planes/$1"
    echo "$2" >"$VKMS/planes/$1/type"
    ln -s "$VKMS/crtcs/only" "$VKMS/planes/$1/possible_crtcs/only"
}

# plug true|false: the display's cable.
plug() { if "$1"; then echo 1; else echo 2; fi >"$VKMS/connectors/only/status"; }

vkms_gone() {
    echo 0 >"$VKMS/enabled"
    rm "$VKMS"/planes/*/possible_crtcs/only "$VKMS/encoders/only/possible_crtcs/only" "$VKMS/connectors/only/possible_encoders/only"
    rmdir "$VKMS"/planes/* "$VKMS/crtcs/only" "$VKMS/encoders/only" "$VKMS/connectors/only" "$VKMS"
    rmmod vkms
}

# start_on_vkms SCANOUT: the compositor on that display.
start_on_vkms() {
    printf '[backend]\ndrm-device = "/dev/dri/%s"\nscanout = "%s"\n' "$CARD" "$1" >"$RUN/vkms.toml"
    start_grantway --config "$RUN/vkms.toml"
}

# planes NAME: the kernel's own state, into the results; prints "PLANE FRAMEBUFFER" for each plane in use.
planes() {
    cp "$STATE" "$RESULTS/state-$1"
    awk '/^plane\[/ { plane = $1 } /^\tfb=/ { sub(/^\tfb=/, ""); if ($0 > 0) print plane, $0 }' "$STATE" \
        | tee "$RESULTS/planes-$1"
}

# on_plane GUEST CONNECTOR KIND: whether the guest's buffer is on such a plane.
on_plane() { [[ $(guest_status "$1" ".connectors[$2].plane") == plane*"($3)" ]]; }
# await_plane GUEST CONNECTOR KIND: waits for that; else tells why not.
await_plane() {
    local end=$((SECONDS + 60))
    until on_plane "$@"; do
        [ "$SECONDS" -lt "$end" ] || {
            planes failed
            fail "$1's connector $2 is on no $3 plane: $(guest_status "$1" ".connectors[$2].plane // .connectors[$2].plane_refused")"
        }
        sleep "$LOOK_AGAIN"
    done
    say "$1's connector $2 is on $(guest_status "$1" ".connectors[$2].plane")"
}

# cursor_plane: the plane that the cursor is on, or why it is on none.
cursor_plane() { msg status --json | jq -r '.outputs[0] | .cursor_plane // .cursor_plane_refused'; }

# same_on_display NAME: a composed screenshot NAME.png, and the kernel's checksum of what the planes show: the same.
same_on_display() {
    local wanted found end=$((SECONDS + 60))
    msg screenshot "$RESULTS/$1.png"
    wanted=0x$(request "vkms-crc $RESULTS/$1.png")
    echo auto >"$CRC/control"
    # The first frames may be older than the screenshot.
    until found=$(timeout 30 head -n 3 "$CRC/data" 2>/dev/null | awk 'END { print $2 }'); [ "$found" = "$wanted" ]; do
        [ "$SECONDS" -lt "$end" ] || { planes "$1"; fail "$1: the display's checksum is $found, of the screenshot $wanted"; }
    done
    say "$1: the planes show what is composed in the screenshot, byte for byte ($wanted)"
}

# SPDX-License-Identifier: GPL-3.0-or-later
. "$LAB/vkms.sh"

# place CONNECTOR KEY=VALUE...: a block of the configuration.
place() {
    printf '\n[[kiosk]]\nguest = "beta"\nconnector = "%s"\noutput = "%s"\n' "$1" "$OUTPUT"
    shift
    printf '%s\n' "$@"
}

vkms_display 4
OUTPUT=$(basename "$(echo /sys/class/drm/"$CARD"-*-*)")
OUTPUT=${OUTPUT#"$CARD"-}
{
    printf '[backend]\ndrm-device = "/dev/dri/%s"\nscanout = "auto"\n' "$CARD"
    # With the strip that says whose it is: that is drawn once, and the guest has a plane for itself.
    place beta-a 'area = "400x325+20+20"' 'label = true'
    place beta-b 'area = "100x80+500+20"'
    place beta-c 'area = "320x240+20+400"' 'fit = "scale"'
    place beta-d 'area = "120x160+500+400"' 'rotate = 90'
} >"$RUN/kiosk.toml"
cp "$RUN/kiosk.toml" "$RESULTS/"
start_grantway --kiosk --config "$RUN/kiosk.toml"
create_guest beta guest.sh 'beta-a:400x300;beta-b:200x150;beta-c:160x120;beta-d:160x120'
await_guest 300 beta "shown"
await_plane beta 0 overlay
await_plane beta 1 overlay
# The crop as the kernel has it: pixels that a plane shows, of a picture of 200x150.
planes places >"$RESULTS/places"
expect "the part that is shown" 1 "$(grep -c 'src-pos=100.000000x80.000000' "$STATE")"
expect "why the scaled one is on none" "the planes can't scale it (test commit refused)" \
    "$(guest_status beta '.connectors[2].plane_refused')"
figure turned "$(guest_status beta '.connectors[3].plane // .connectors[3].plane_refused')"
same_on_display places
# As on a desktop.
msg input pointer 100 100
wait_for 60 "the cursor on its plane" eval '[[ $(cursor_plane) == plane*"(cursor)" ]]'
same_on_display cursor
for index in 0 1 2 3; do expect "bytes copied" 0 "$(guest_status beta ".connectors[$index].bytes_copied")"; done
end_guest beta
expect "buffers that are still mapped" 0 "$(mapped_buffers)"
stop_grantway
vkms_gone

# SPDX-License-Identifier: GPL-3.0-or-later
. "$LAB/vkms.sh"

# primary: the framebuffer on the primary plane.
primary() { planes "$1" | head -n 1; }
cursor_is_on_its_plane() { [[ $(cursor_plane) == plane*"(cursor)" ]]; }

vkms_display 2
start_on_vkms auto
create_guest beta guest.sh 'beta-a:400x300;beta-b:200x150;beta-c:160x120'
await_guest 300 beta "shown"
# Two windows on two overlays, those in front; the rearmost one is drawn.
await_plane beta 1 overlay
await_plane beta 2 overlay
expect "why the other is on none" "no plane left" "$(guest_status beta '.connectors[0].plane_refused')"
expect "planes in use" 3 "$(planes windows | wc -l)"
same_on_display windows
for connector in 0:7 1:8 2:9; do
    index=${connector%:*}
    read -r x y width height <<<"$(window beta "$index")"
    test_picture "beta-$index" "$width" "$height" "${connector#*:}"
    same_picture "beta's window $index" "$RESULTS/windows.png" "$x" "$y" "$width" "$height" "$RESULTS/beta-$index.png"
done

# The cursor over a window on its plane leaves that where it is.
read -r x y width height <<<"$(window beta 1)"
msg input pointer $((x + width / 2)) $((y + height / 2))
wait_for 60 "the cursor on its plane" cursor_is_on_its_plane
say "the cursor is on $(cursor_plane)"
await_plane beta 1 overlay
expect "planes in use, with the cursor" 4 "$(planes cursor | wc -l)"
same_on_display cursor
# Nothing is composed when it moves: the primary plane keeps its framebuffer.
before=$(primary before)
for step in 1 2 3 4 5 6 7 8; do msg input pointer $((x + 10 * step)) $((y + 5 * step)); done
same_on_display moved
expect "the primary plane's framebuffer" "$before" "$(primary after)"
# Over the edge, and over what is drawn.
msg input pointer 1020 764
same_on_display corner
read -r x y width height <<<"$(window beta 0)"
msg input pointer $((x + 3)) $((y + 3))
same_on_display over-a-drawn-window
cursor_is_on_its_plane || fail "the cursor is not on its plane: $(cursor_plane)"
for index in 0 1 2; do expect "bytes copied" 0 "$(guest_status beta ".connectors[$index].bytes_copied")"; done
end_guest beta
expect "buffers that are still mapped" 0 "$(mapped_buffers)"
stop_grantway

# With planes forbidden to guests the cursor still has its own.
start_on_vkms off
create_guest gamma guest.sh 'gamma-a:400x300;gamma-b:200x150;gamma-c:160x120'
await_guest 300 gamma "shown"
read -r x y width height <<<"$(window gamma 0)"
msg input pointer $((x + 5)) $((y + 5))
wait_for 60 "the cursor on its plane" cursor_is_on_its_plane
expect "why no guest is on a plane" 'the configuration has scanout = "off"' "$(guest_status gamma '.connectors[0].plane_refused')"
expect "planes in use, scanout off" 2 "$(planes off | wc -l)"
same_on_display off
end_guest gamma
stop_grantway
vkms_gone

# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
GUEST_MEMORY=640 GUEST_DESKTOP=yes guest_with_input desk guest.sh 'desk:800x600' "terminal"
msg fullscreen desk
read -r left top width height <<<"$(window desk 0)"
say "the guest's picture: $left $top $width $height"
# terminal_found: where the terminal is in the guest's picture, as "x y width height", with its shadow.
terminal_found() {
    screendump terminal >/dev/null
    place=$(request "bounds $RESULTS/terminal.png $left $top $width $height 204060") && [ -n "$place" ]
}
wait_for 60 "the terminal's picture" terminal_found
read -r x y w h <<<"$place"
say "the terminal: $place"
# The guest's cursor is then within its window, and the window has the focus.
move_to $((left + x + w / 2)) $((top + y + h / 2))
click left
click left
screendump before >/dev/null
type_keys h e l l o spc x e n ret
await_guest 60 desk "typed=hello xen"
text_shown() {
    screendump after >/dev/null
    request "cut $RESULTS/before.png $left $top $width $height $RESULTS/before-guest.png" >/dev/null
    picture_differs "$RESULTS/after.png" "$left" "$top" "$width" "$height" "$RESULTS/before-guest.png"
}
wait_for 30 "the text in the terminal" text_shown
# The window is drawn to another place by its title bar. What must be there then is its upper right part, with half of
# its title, and its buttons, away from the cursors.
terminal_found
read -r x y w h <<<"$place"
grip_x=$((left + x + w / 4)) grip_y=$((top + y + 24))
part_x=$((left + x + w / 2)) part_y=$((top + y + 13)) part_size="$((w / 2 - 20)) 60"
move_to "$grip_x" "$grip_y"
screendump undragged >/dev/null
request "cut $RESULTS/undragged.png $part_x $part_y $part_size $RESULTS/part.png" >/dev/null
press left
for step in 1 2 3 4 5; do move_to $((grip_x - 6 * step)) $((grip_y + 4 * step)); done
release left
# shellcheck disable=SC2086
part_is_at() { ! picture_differs "$RESULTS/dragged.png" "$1" "$2" $part_size "$RESULTS/part.png"; }
dragged() {
    screendump dragged >/dev/null
    part_is_at $((part_x - 30)) $((part_y + 20))
}
wait_for 30 "the window to have moved by 30 pixels to the left and 20 down" dragged
if part_is_at "$part_x" "$part_y"; then fail "the picture of the window tells no place"; fi
end_guest desk
stop_grantway

# SPDX-License-Identifier: GPL-3.0-or-later
test_picture alpha 480 320 5
test_picture beta 320 240 6
start_grantway
create_guest alpha guest.sh 'alpha-a:480x320'
tell_guest alpha seed 5
create_guest beta guest.sh 'beta-a:320x240'
tell_guest beta seed 6
wait_for 300 "a picture of alpha" guest_status_is alpha '.connectors[0].format' XR24
wait_for 300 "a picture of beta" guest_status_is beta '.connectors[0].format' XR24
# beta came last, so it is in front of alpha as soon as they overlap: alpha is the one that is dragged.
read -r x y width height <<<"$(window alpha 0)"
read -r beta_x beta_y _ <<<"$(window beta 0)"
# drag X Y DX DY: the left button, held from there on. The title bar is 25 pixels high, the border 3.
drag() {
    move_to "$1" "$2"
    press left
    move_to $(($1 + $3 / 2)) $(($2 + $4 / 2))
    move_to $(($1 + $3)) $(($2 + $4))
    release left
}
window_is() { [ "$(window "$1" 0)" = "$2" ]; }

drag $((x + width + 1)) $((y + height + 1)) "$width" "$height"
wait_for 60 "alpha's window to be twice as large" window_is alpha "$x $y $((2 * width)) $((2 * height))"
move_to 1200 750
await_picture "alpha's picture, scaled" "$x $y $((2 * width)) $((2 * height))" alpha.png doubled-smoothly
screendump scaled
drag $((x + 2 * width + 1)) $((y + 2 * height + 1)) "-$width" "-$height"
wait_for 60 "alpha's window to be as large as its picture" window_is alpha "$x $y $width $height"

# To where beta is, a little to the lower right.
drag $((x + 40)) $((y - 12)) $((beta_x - x + 60)) $((beta_y - y + 90))
place="$((beta_x + 60)) $((beta_y + 90)) $width $height"
wait_for 60 "alpha's window to be at $place" window_is alpha "$place"
expect "where beta's window is" "$beta_x $beta_y 320 240" "$(window beta 0)"
# The button is up, and the cursor beside both.
move_to 600 700
await_picture "alpha's window over beta's" "$place" alpha.png
window_is alpha "$place" || fail "alpha's window has moved without being held"
# beta comes to the front by a click.
move_to $((beta_x + 5)) $((beta_y + 5))
click left
move_to 600 700
await_picture "beta's window over alpha's" "$beta_x $beta_y 320 240" beta.png
screendump windows
end_guest alpha beta
wait_for 10 "no zombie domain" no_zombies
dom0_clean
stop_grantway

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
grip_x=$((x + 40)) grip_y=$((y - 12))
move_to $grip_x $grip_y
press left
move_to $((grip_x + 10)) $((grip_y + 10))
# To where beta is, a little to the lower right.
move_to $((grip_x + beta_x - x + 60)) $((grip_y + beta_y - y + 90))
release left
place="$((beta_x + 60)) $((beta_y + 90)) $width $height"
is_there() { [ "$(window alpha 0)" = "$place" ]; }
wait_for 60 "alpha's window to be at $place" is_there
expect "where beta's window is" "$beta_x $beta_y 320 240" "$(window beta 0)"
# The button is up, and the cursor beside both.
move_to 600 700
await_picture "alpha's window over beta's" "$place" alpha.png
is_there || fail "alpha's window has moved without being held"
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

# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
guest_with_input alpha guest.sh 'alpha-a:640x480' "input watched"
guest_with_input beta guest.sh 'beta-a:320x240;beta-b:320x200' "input watched"
# The features were there when Linux looked, once, at boot.
guest_said alpha "device Xen Virtual Pointer x=640 y=480" || fail "alpha's pointer does not fit its display"
guest_said alpha "device Xen Virtual Multi-touch x=640 y=480 touch-x=640 touch-y=480 slots=9" || fail "alpha's touch screen does not fit"
guest_said beta "device Xen Virtual Pointer x=640 y=240" || fail "beta's pointer does not span its connectors"
msg status

to() {
    local guest=$1
    shift
    msg input --guest "$guest" "$@"
}
events() { grep -ac "lab: event " "$(guest_console "$1")" || true; }
POINTER="event Xen Virtual Pointer"
KEYBOARD="event Xen Virtual Keyboard"
TOUCH="event Xen Virtual Multi-touch"

to alpha key a
await_guest 60 alpha "$KEYBOARD 1 30 1"
await_guest 60 alpha "$KEYBOARD 1 30 0"
for button in left:272 right:273 middle:274 side:275 extra:276; do
    to alpha button "${button%:*}"
    await_guest 60 alpha "$POINTER 1 ${button#*:} 0"
done
# One click away from the user is one up; the corners and the centre are where they are.
to alpha wheel -120
await_guest 60 alpha "$POINTER 2 8 1"
for place in '639 479' '0 0' '320 240' '639 0' '0 479'; do
    read -r x y <<<"$place"
    # shellcheck disable=SC2086
    to alpha pointer $place
    await_guest 60 alpha "$POINTER 3 0 $x"
    await_guest 60 alpha "$POINTER 3 1 $y"
done
for finger in 0 1 2 3 4 5 6 7 8 9; do to alpha touch down $finger $((100 + finger)) 50; done
await_guest 60 alpha "$TOUCH 3 53 109"
for finger in 0 1 2 3 4 5 6 7 8 9; do to alpha touch up $finger; done
lifted() { [ "$(grep -ac "lab: $TOUCH 3 57 -1" "$(guest_console alpha)")" -eq 10 ]; }
wait_for 60 "ten contacts lifted" lifted
expect "what beta saw of it" 0 "$(events beta)"
seen=$(events alpha)
to beta --connector 1 pointer 319 199
await_guest 60 beta "$POINTER 3 0 639"
expect "what alpha saw of that" "$seen" "$(events alpha)"
figure events-alpha "$seen"
figure notifies-alpha "$(guest_status alpha '.inputs[0].notifies')"
end_guest alpha beta
wait_for 10 "no zombie domain" no_zombies
stop_grantway

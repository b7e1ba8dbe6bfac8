# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
for device in Keyboard Tablet; do
    wait_for 60 "libinput to find the emulated machine's $device" grep -q "input device found.*QEMU Virtio $device" "$RESULTS/grantway.log"
done
expect "devices that the console reads, too" 0 "$(grep -c 'reads along' "$RESULTS/grantway.log" || true)"
# small is in the upper left corner; the other one needs the whole display, so it lies over it.
guest_with_input small guest.sh 'small-a:400x300' "input watched"
guest_with_input whole guest.sh 'whole-a:1280x800' "input watched"

KEYBOARD="event Xen Virtual Keyboard"
POINTER="event Xen Virtual Pointer"

# A console's events, without the ends of reports.
events() { grep -a "lab: event " "$(guest_console "$1")" | tr -d '\r' | grep -v ' 0 0 0$' | sed 's/^.*lab: event //' || true; }
count() { events "$1" | wc -l; }
# axis NAME CODE: where the guest's pointer is.
axis() { events "$1" | sed -n "s/^Xen Virtual Pointer 3 $2 //p" | tail -n 1; }
near() { [ -n "$1" ] && [ $(($1 - $2)) -le 1 ] && [ $(($2 - $1)) -le 1 ]; }
pointer_at() { near "$(axis "$1" 0)" "$2" && near "$(axis "$1" 1)" "$3"; }
# corners NAME LEFT TOP WIDTH HEIGHT: the tablet at the corners and the centre of a rectangle of the display.
corners() {
    local name=$1 left=$2 top=$3 width=$4 height=$5 x y
    # Not 0,0 first: that is where Linux thinks that it begins, and tells nobody.
    for place in "$((width - 1)) $((height - 1))" '0 0' "$((width / 2)) $((height / 2))" "$((width - 1)) 0" "0 $((height - 1))"; do
        read -r x y <<<"$place"
        move_to $((left + x)) $((top + y))
        wait_for 60 "the pointer of $name to be at $x,$y" pointer_at "$name" "$x" "$y"
        say "$name: $x,$y is $(axis "$name" 0),$(axis "$name" 1)"
    done
}

msg fullscreen whole
wait_for 60 "whole to have the focus" eval '[ "$(msg status --json | jq -r .focus.name)" = whole ]'
corners whole 0 0 1280 800

before=$(count whole)
type_keys a
await_guest 60 whole "$KEYBOARD 1 30 0"
key shift true
await_guest 60 whole "$KEYBOARD 1 42 1"
type_keys q f1 esc left
await_guest 60 whole "$KEYBOARD 1 105 0"
key shift false
await_guest 60 whole "$KEYBOARD 1 42 0"
for button in left:272 right:273 middle:274 side:275 extra:276; do
    press "${button%:*}"
    await_guest 60 whole "$POINTER 1 ${button#*:} 1"
    release "${button%:*}"
    await_guest 60 whole "$POINTER 1 ${button#*:} 0"
done
wanted=$(for event in 'Keyboard 1 30 1' 'Keyboard 1 30 0' 'Keyboard 1 42 1' \
    'Keyboard 1 16 1' 'Keyboard 1 16 0' 'Keyboard 1 59 1' 'Keyboard 1 59 0' 'Keyboard 1 1 1' 'Keyboard 1 1 0' \
    'Keyboard 1 105 1' 'Keyboard 1 105 0' 'Keyboard 1 42 0' \
    'Pointer 1 272 1' 'Pointer 1 272 0' 'Pointer 1 273 1' 'Pointer 1 273 0' 'Pointer 1 274 1' 'Pointer 1 274 0' \
    'Pointer 1 275 1' 'Pointer 1 275 0' 'Pointer 1 276 1' 'Pointer 1 276 0'; do echo "Xen Virtual $event"; done)
# A key that is held for long enough is repeated by the guest itself, as value 2.
expect "the sequence of keys and buttons" "$wanted" "$(events whole | tail -n +$((before + 1)) | grep -v ' 2$')"

# turned SIGN: the clicks of the wheel so far.
turned() { events whole | awk -v sign="$1" '/^Xen Virtual Pointer 2 8 / && $NF * sign > 0 { sum += $NF } END { print sum + 0 }'; }
turned_are() { [ "$(turned 1)" = "$1" ] && [ "$(turned -1)" = "$2" ]; }
click wheel-up
wait_for 60 "one click up" turned_are 1 0
click wheel-down
wait_for 60 "one click down" turned_are 1 -1
for direction in up down up up down; do click wheel-$direction; done
wait_for 60 "the clicks each way" turned_are 4 -3
sleep 2
turned_are 4 -3 || fail "the wheel turned $(turned 1) and $(turned -1) clicks"
expect "what the hidden guest saw" 0 "$(count small)"

# As a window: positions are from the window's content.
msg fullscreen off
end_guest whole
read -r left top width height <<<"$(window small 0)"
move_to $((left + width / 2)) $((top + height / 2))
click left
await_guest 60 small "$POINTER 1 272 0"
corners small "$left" "$top" "$width" "$height"
seen=$(count small)
# Beside it: nothing.
move_to $((left + width + 100)) $((top + height + 100))
key a true
await_guest 60 small "$KEYBOARD 1 30 1"
key a false
await_guest 60 small "$KEYBOARD 1 30 0"
expect "what small saw of a pointer beside it" 2 "$(($(count small) - seen))"

figure events-whole "$(wc -l <<<"$wanted")"
figure notifies-small "$(guest_status small '.inputs[0].notifies')"
end_guest small
wait_for 10 "no zombie domain" no_zombies
stop_grantway

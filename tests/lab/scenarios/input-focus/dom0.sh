# SPDX-License-Identifier: GPL-3.0-or-later
start_grantway
guest_with_input alpha guest.sh 'alpha-a:480x320' "input watched"
guest_with_input beta guest.sh 'beta-a:400x300' "input watched"

KEYBOARD="event Xen Virtual Keyboard"
POINTER="event Xen Virtual Pointer"
SHIFT=42 CAPS=58 A=30 B=48 LEFT=272 MIDDLE=274
read -r alpha_x alpha_y _ <<<"$(window alpha 0)"
read -r beta_x beta_y _ <<<"$(window beta 0)"

# events NAME: how many have come, without the ends of reports, the guest's own repeats, and the fences.
events() { grep -a "lab: event " "$(guest_console "$1")" | tr -d '\r' | grep -cvE ' (0 0 0|1 [0-9]+ 2|1 183 [01])$' || true; }

# settled: all that either guest was sent before has come. Everything before must have had an effect already: QEMU's
# devices are a way of their own.
fences=0
settled() {
    local guest
    fences=$((fences + 1))
    for guest in alpha beta; do
        msg input --guest "$guest" key f13
        wait_for 60 "$guest to see what it was sent" fenced "$guest"
    done
}
fenced() { [ "$(grep -ac "lab: $KEYBOARD 1 183 0" "$(guest_console "$1")")" -ge "$fences" ]; }

# mark, saw_since WHAT ALPHA BETA ALPHA-HELD BETA-HELD: exactly so many events have come to each since, and so much do
# we think it holds.
mark() { settled; alpha_before=$(events alpha) beta_before=$(events beta); }
saw_since() {
    settled
    expect "$1: what alpha saw" "$2" "$(($(events alpha) - alpha_before))"
    expect "$1: what beta saw" "$3" "$(($(events beta) - beta_before))"
    expect "$1: what alpha holds" "$4" "$(guest_status alpha '.inputs[0].held')"
    expect "$1: what beta holds" "$5" "$(guest_status beta '.inputs[0].held')"
    say "$1: as it should be"
}
focus_is() { [ "$(msg status --json | jq -r '.focus.name')" = "$1" ]; }
chord() { key ctrl_r true; type_keys "$1"; key ctrl_r false; }

mark
expect "what alpha saw of the start" 0 "$alpha_before"
expect "what beta saw of the start" 0 "$beta_before"

move_to $((beta_x + 20)) $((beta_y + 30))
click left
await_guest 60 beta "$POINTER 1 $LEFT 0"
focus_is beta || fail "a click into beta does not give it the focus"
# A position is two events, a click two.
saw_since "a click into beta" 0 4 0 0

mark
move_to $((alpha_x + 40)) $((alpha_y + 50))
click left
await_guest 60 alpha "$POINTER 1 $LEFT 0"
focus_is alpha || fail "a click into alpha does not give it the focus"
guest_said alpha "$POINTER 3 0 40" && guest_said alpha "$POINTER 3 1 50" || fail "alpha's pointer is not where the click was"
saw_since "a click into alpha" 4 0 0 0

mark
key shift true
press middle
await_guest 60 alpha "$KEYBOARD 1 $SHIFT 1"
await_guest 60 alpha "$POINTER 1 $MIDDLE 1"
saw_since "Shift and a button held in alpha" 2 0 2 0
mark
chord tab
await_guest 60 alpha "$KEYBOARD 1 $SHIFT 0"
await_guest 60 alpha "$POINTER 1 $MIDDLE 0"
focus_is beta || fail "the chord does not give beta the focus"
saw_since "the focus goes to beta by a chord" 2 0 0 0

mark
# Still held by the user; nobody sees how that ends, and what comes after it is without Shift.
key shift false
release middle
type_keys a
await_guest 60 beta "$KEYBOARD 1 $A 0"
move_to $((beta_x + 5)) $((beta_y + 6))
await_guest 60 beta "$POINTER 3 1 6"
saw_since "what was held is let go" 0 4 0 0

mark
key shift true
await_guest 60 beta "$KEYBOARD 1 $SHIFT 1"
move_to $((alpha_x + 100)) $((alpha_y + 110))
click right
await_guest 60 alpha "$POINTER 1 273 0"
await_guest 60 beta "$KEYBOARD 1 $SHIFT 0"
saw_since "the focus goes to alpha by a click, with Shift held" 4 2 0 0
mark
type_keys a
await_guest 60 alpha "$KEYBOARD 1 $A 0"
key shift false
type_keys b
await_guest 60 alpha "$KEYBOARD 1 $B 0"
saw_since "alpha knows nothing of Shift" 4 0 0 0
expect "alpha's Shift, in all" 1 "$(grep -ac "lab: $KEYBOARD 1 $SHIFT 1" "$(guest_console alpha)")"

# A lock follows the user: the guest that gets the keyboard is sent one tap, and none when it has been there before.
mark
type_keys caps_lock
await_guest 60 alpha "$KEYBOARD 1 $CAPS 0"
chord grave_accent
await_guest 60 beta "$KEYBOARD 1 $CAPS 0"
saw_since "Caps Lock comes along" 2 2 0 0
mark
chord tab
type_keys c
await_guest 60 alpha "$KEYBOARD 1 46 0"
saw_since "Caps Lock is as it was" 2 0 0 0

figure events-alpha "$(events alpha)"
figure events-beta "$(events beta)"
end_guest alpha beta
wait_for 10 "no zombie domain" no_zombies
stop_grantway

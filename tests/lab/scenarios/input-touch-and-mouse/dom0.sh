# SPDX-License-Identifier: GPL-3.0-or-later
printf '[guest."alpha"]\npointer = "confined"\n[guest."beta".vkb]\npointer = "relative"\n' >"$RUN/grantway.toml"
start_grantway --config "$RUN/grantway.toml"
# They come while the compositor runs, as a mouse does that is plugged in.
kernel_device touch
kernel_device mouse
for device in 'Lab Touch Screen' 'Lab Mouse'; do
    wait_for 60 "libinput to find the $device" grep -q "input device found.*$device" "$RESULTS/grantway.log"
done
guest_with_input alpha guest.sh 'alpha-a:480x320' "input watched"
guest_with_input beta guest.sh 'beta-a:400x300' "input watched"
guest_said alpha "device Xen Virtual Multi-touch x=480 y=320 touch-x=480 touch-y=320 slots=9" || fail "alpha's touch screen does not fit"
guest_said alpha "device Xen Virtual Pointer x=480 y=320" || fail "alpha's pointer is not absolute"
expect "beta's pointer" "device Xen Virtual Pointer" "$(grep -ao 'device Xen Virtual Pointer.*' "$(guest_console beta)" | tail -n 1 | tr -d '\r')"
read -r alpha_x alpha_y _ <<<"$(window alpha 0)"
read -r beta_x beta_y _ <<<"$(window beta 0)"

# look NAME: fills `seen` with what the guest's evdev saw, each "Pointer TYPE CODE VALUE"; of the keyboard neither the
# ends of reports, nor the guest's own repeats, nor the fences, which it counts. No program is started: on the emulated
# machine four of them take most of a second.
look() {
    local line
    local -a lines
    mapfile -t lines <"$(guest_console "$1")"
    seen=() fences=0
    for line in "${lines[@]}"; do
        [[ $line == *'lab: event Xen Virtual '* ]] || continue
        line=${line##*lab: event Xen Virtual }
        line=${line%$'\r'}
        case $line in
            'Keyboard 1 183 0') fences=$((fences + 1)) ;;
            'Keyboard 1 183 '* | 'Keyboard 0 0 '* | 'Keyboard 1 '*' 2') ;;
            *) seen+=("$line") ;;
        esac
    done
}
declare -A before
mark() { for guest in alpha beta; do look "$guest"; before[$guest]=${#seen[@]}; done; }
since() { look "$1"; printf '%s\n' "${seen[@]:${before[$1]}}"; }
have_come() { look "$1"; [ $((${#seen[@]} - before[$1])) -ge "$2" ]; }
# fence NAME: all that the guest was sent before has come.
fenced() { look "$1"; [ "$fences" -gt "$2" ]; }
fence() {
    look "$1"
    msg input --guest "$1" key f13
    wait_for 60 "$1 to see what it was sent" fenced "$1" "$fences"
}
# saw WHAT NAME EVENTS...: exactly these events have come to the guest since the mark.
saw() {
    local what=$1 name=$2 wanted
    shift 2
    wanted=$(printf '%s\n' "$@")
    [ "$#" -eq 0 ] || wait_for 60 "$what: what $name is to see" have_come "$name" "$#"
    fence "$name"
    expect "$what: what $name saw" "$wanted" "$(since "$name")"
    say "$what: $name saw $# events, as it should"
}

# --- fingers ---

# place CONTACT X Y: a contact's place, in pixels of the display, as the touch screen reports it: a pixel's middle.
place() { echo "3 47 $1 3 53 $(($2 * 10 + 5)) 3 54 $(($3 * 10 + 5)) "; }
T=Multi-touch

# Eleven on alpha, of which it takes ten; in two places each.
down='1 330 1 ' moved='' up='1 330 0 ' saw_down=() saw_moved=() saw_up=()
for finger in 0 1 2 3 4 5 6 7 8 9 10; do
    x=$((10 + 40 * finger)) y=$((20 + 28 * finger))
    to_x=$((479 - 40 * finger)) to_y=$((319 - 30 * finger))
    # The first and the last one go to the corners.
    [ "$finger" -ne 9 ] || to_x=0 to_y=0
    down+="3 47 $finger 3 57 $((100 + finger)) $(place "$finger" $((alpha_x + x)) $((alpha_y + y)))"
    moved+=$(place "$finger" $((alpha_x + to_x)) $((alpha_y + to_y)))' '
    up+="3 47 $finger 3 57 -1 "
    [ "$finger" -lt 10 ] || continue
    # Linux says which contact only when it is another one.
    [ "$finger" -eq 0 ] || saw_down+=("$T 3 47 $finger")
    saw_down+=("$T 3 57 $finger" "$T 3 53 $x" "$T 3 54 $y")
    saw_moved+=("$T 3 47 $finger" "$T 3 53 $to_x" "$T 3 54 $to_y")
    saw_up+=("$T 3 47 $finger" "$T 3 57 -1")
done
mark
report touch "$down"
# The first contact is a pointer, too; that is Linux's own doing, at the end of a report.
saw "eleven fingers down" alpha "${saw_down[@]}" "$T 1 330 1" "$T 3 0 10" "$T 3 1 20" "$T 0 0 0"
mark
report touch "$moved"
saw "eleven fingers moved" alpha "${saw_moved[@]}" "$T 3 0 479" "$T 3 1 319" "$T 0 0 0"
mark
report touch "$up"
saw "eleven fingers up" alpha "${saw_up[@]}" "$T 1 330 0" "$T 0 0 0"
before[beta]=0
saw "all of that" beta

# Six on each guest, at once.
down='1 330 1 ' up='1 330 0 ' alpha_down=() alpha_up=() beta_down=() beta_up=()
for finger in 0 1 2 3 4 5; do
    other=$((finger + 6)) x=$((51 + 31 * finger)) y=$((61 + 41 * finger))
    down+="3 47 $finger 3 57 $((200 + finger)) $(place "$finger" $((alpha_x + x)) $((alpha_y + y)))"
    up+="3 47 $finger 3 57 -1 3 47 $other 3 57 -1 "
    alpha_down+=("$T 3 47 $finger" "$T 3 57 $((10 + finger))" "$T 3 53 $x" "$T 3 54 $y")
    alpha_up+=("$T 3 47 $finger" "$T 3 57 -1")
    [ "$finger" -eq 0 ] || beta_down+=("$T 3 47 $finger")
    beta_down+=("$T 3 57 $finger" "$T 3 53 $((x + 7))" "$T 3 54 $((y + 3))")
    beta_up+=("$T 3 47 $finger" "$T 3 57 -1")
done
for finger in 0 1 2 3 4 5; do
    down+="3 47 $((finger + 6)) 3 57 $((206 + finger)) $(place $((finger + 6)) $((beta_x + 58 + 31 * finger)) $((beta_y + 64 + 41 * finger)))"
done
mark
report touch "$down"
saw "six fingers down" alpha "${alpha_down[@]}" "$T 1 330 1" "$T 3 0 51" "$T 3 1 61" "$T 0 0 0"
saw "six fingers down beside them" beta "${beta_down[@]}" "$T 1 330 1" "$T 3 0 58" "$T 3 1 64" "$T 0 0 0"
expect "who has the focus" alpha "$(msg status --json | jq -r .focus.name)"
mark
report touch "$up"
saw "six fingers up" alpha "${alpha_up[@]}" "$T 1 330 0" "$T 0 0 0"
saw "the others up" beta "${beta_up[@]}" "$T 1 330 0" "$T 0 0 0"

# --- the mouse ---

P=Pointer
chord() { key ctrl_r true; type_keys "$1"; key ctrl_r false; }
mark
move_to $((alpha_x + 100)) $((alpha_y + 120))
click left
saw "a click into alpha" alpha "$P 3 0 100" "$P 3 1 120" "$P 0 0 0" "$P 1 272 1" "$P 0 0 0" "$P 1 272 0" "$P 0 0 0"
# How far a mouse moves an absolute pointer is libinput's acceleration; that alpha keeps it makes the corners exact.
mark
report mouse '2 0 -9000 2 1 -9000'
saw "the mouse far up and to the left" alpha "$P 3 0 0" "$P 3 1 0" "$P 0 0 0"
mark
report mouse '2 0 9000 2 1 9000'
saw "the mouse far down and to the right" alpha "$P 3 0 479" "$P 3 1 319" "$P 0 0 0"
mark
report mouse '2 0 -40'
wait_for 60 "the pointer to move to the left" have_come alpha 2
fence alpha
at=$(since alpha | sed -n 's/^Pointer 3 0 //p')
[ -n "$at" ] && [ "$at" -lt 479 ] && [ "$at" -gt 300 ] || fail "the mouse moved 40 to the left, and alpha's pointer is at '$at'"
expect "the mouse to the left: what alpha saw" "$(printf '%s\n' "$P 3 0 $at" "$P 0 0 0")" "$(since alpha)"
mark
wanted=()
for button in 272 273 274 275 276; do
    report mouse "1 $button 1"
    report mouse "1 $button 0"
    wanted+=("$P 1 $button 1" "$P 0 0 0" "$P 1 $button 0" "$P 0 0 0")
    # libinput waits a moment with a button, as its contact may bounce, and not with another one.
    wait_for 60 "button $button" have_come alpha ${#wanted[@]}
done
saw "the mouse's buttons" alpha "${wanted[@]}"
mark
report mouse '2 8 1 2 11 120'
saw "a click of its wheel" alpha "$P 2 8 1" "$P 0 0 0"
for _ in 1 2 3 4; do report mouse '2 11 -30'; done
saw "four quarters of a click back" alpha "$P 2 8 1" "$P 0 0 0" "$P 2 8 -1" "$P 0 0 0"
mark
chord p
# Freed, it goes over to beta: a click locks it there, and is not passed on.
move_to $((beta_x + 200)) $((beta_y + 150))
click left
wait_for 60 "beta to have the focus" eval '[ "$(msg status --json | jq -r .focus.name)" = beta ]'
saw "the click that locks the pointer" beta
report mouse '2 0 5 2 1 -3'
saw "the mouse in a locked guest" beta "$P 2 0 5" "$P 2 1 -3" "$P 0 0 0"
mark
# By itself each, as motion that waits is merged; without acceleration, however fast.
report mouse '2 0 -700'
saw "the mouse fast to the left" beta "$P 2 0 -700" "$P 0 0 0"
report mouse '2 1 1'
saw "the mouse down by one" beta "$P 2 0 -700" "$P 0 0 0" "$P 2 1 1" "$P 0 0 0"
mark
report mouse '1 272 1'
report mouse '2 0 9'
report mouse '1 272 0'
saw "a drag in a locked guest" beta "$P 1 272 1" "$P 0 0 0" "$P 2 0 9" "$P 0 0 0" "$P 1 272 0" "$P 0 0 0"
mark
chord p
move_to $((beta_x + 20)) $((beta_y + 15))
report mouse '2 0 5 2 1 5'
key a true
wait_for 60 "beta's key" have_come beta 1
key a false
saw "a freed pointer over beta" beta "Keyboard 1 30 1" "Keyboard 1 30 0"
saw "all that beta got" alpha

# A device that is pulled out with a finger and a button on it.
mark
report touch "1 330 1 3 47 0 3 57 300 $(place 0 $((alpha_x + 200)) $((alpha_y + 201)))"
wait_for 60 "the finger" have_come alpha 7
remove_device touch
saw "a finger on a screen that goes" alpha "$T 3 47 0" "$T 3 57 16" "$T 3 53 200" "$T 3 54 201" "$T 1 330 1" "$T 3 0 200" "$T 3 1 201" "$T 0 0 0" \
    "$T 3 57 -1" "$T 1 330 0" "$T 0 0 0"

for guest in alpha beta; do
    look "$guest"
    figure "events-$guest" "${#seen[@]}"
done
end_guest alpha beta
wait_for 10 "no zombie domain" no_zombies
stop_grantway

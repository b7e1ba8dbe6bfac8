# SPDX-License-Identifier: GPL-3.0-or-later
# The simulator's half of lab.sh: the compositor with the simulated hypervisor, headless, and guests as
# processes. The runner names RUN, GRANTWAY, LAB_GUEST (the guests' program) and GUEST_INIT.

REAL=no
PROVIDER=simulator
LOOK_AGAIN=0.1

# Everything that is started ends with the scenario, whatever happens to it.
bound() { exec setpriv --pdeathsig KILL "$@"; }

spawn_grantway() {
    # As the emulated display; but an output of the configuration is not to be overridden.
    local mode=(--output 1280x800@60)
    case " $* " in *" --config "*) mode=() ;; esac
    bound "$GRANTWAY" --platform "sim:$RUN/xen" --backend headless "${mode[@]}" "$@"
}

# screendump NAME: the output as it is now, as NAME.png in the results.
screendump() { msg screenshot "$RESULTS/$1.png"; }

# reference NAME WIDTHxHEIGHT: what `show_reference` shows in a guest.
reference() { test_picture "$1" "${2%x*}" "${2#*x}" 0; }

# --- the user, by `grantway msg input`; in the lab it is QEMU's tablet and keyboard ---

move_to() { msg input pointer "$1" "$2"; }
# press BUTTON, release BUTTON, click BUTTON: left, right, middle, side, extra, wheel-up, wheel-down.
press() { button "$1" --press; }
release() { button "$1" --release; }
click() { button "$1"; }
button() {
    case $1:${2:-} in
        wheel-*:--release) ;;
        wheel-up:*) msg input wheel -120 ;;
        wheel-down:*) msg input wheel 120 ;;
        *) msg input button "$@" ;;
    esac
}
# key NAME true|false, type_keys NAME...: by QEMU's names, where these are not ours.
key() { if [ "$2" = true ]; then msg input key "$(key_name "$1")" --press; else msg input key "$(key_name "$1")" --release; fi; }
type_keys() {
    local name
    for name in "$@"; do msg input key "$(key_name "$name")"; done
}
key_name() {
    case $1 in
        ctrl_r) echo right-ctrl ;;
        caps_lock) echo caps-lock ;;
        grave_accent) echo grave ;;
        spc) echo space ;;
        ret) echo enter ;;
        *) echo "$1" ;;
    esac
}

# --- guests ---

guest_console() { echo "$RESULTS/guest-$1.log"; }
triple_faulted() { false; }
guest_domid() { cat "$RUN/guests/$1/domid"; }
guest_pid() { cat "$RUN/guests/$1/pid"; }

# no_guest NAME: whether the guest has ended.
no_guest() { [ ! -e "/proc/$(guest_pid "$1")" ]; }

# boot_guest NAME VDISPL [VKB-LINE]: a process, with BE_ALLOC in its display. Of xl's configuration only one vkb line
# is understood.
boot_guest() {
    local name=$1 vdispl=$2 line=${3:-} dir=$RUN/guests/$1 vkb=
    if [[ $line =~ ^"vkb = ['"(.*)"']"$ ]]; then vkb=${BASH_REMATCH[1]}; line=; fi
    [ "$#" -le 3 ] && [ -z "$line" ] || fail "guest $name: this line of an xl configuration is for real Xen alone: $3"
    mkdir "$dir/data"
    VKB=$vkb BE_ALLOC=${BE_ALLOC:-0} bound "$LAB_GUEST" simulate "$name" "$vdispl" "$dir" "$RUN/xen" sh "$GUEST_INIT" \
        >>"$(guest_console "$name")" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    wait_for 60 "domain $name" test -s "$dir/domid"
}

# destroy_guest NAME: its sudden end.
destroy_guest() { kill -KILL "$(guest_pid "$1")"; }

# tell_guest NAME KEY VALUE: the guest reads it by `word KEY`.
tell_guest() {
    echo "$3" >"$RUN/guests/$1/data.part"
    mv "$RUN/guests/$1/data.part" "$RUN/guests/$1/data/$2"
}

# guest_memories PID: the guests' memories that a process has open or mapped, as inodes.
guest_memories() {
    { awk '/memfd:guest/ { print $5 }' "/proc/$1/maps"
      find "/proc/$1/fd" -lname '*memfd:guest*' -exec stat -L -c %i {} + 2>/dev/null || true; } | sort -u
}

# no_zombies: whether the compositor has no memory of a guest that is dead.
no_zombies() {
    local pid living
    living=$(for pid in "$RUN"/guests/*/pid; do
        pid=$(cat "$pid")
        [ ! -e "/proc/$pid" ] || guest_memories "$pid"
    done | sort -u)
    [ -z "$(comm -13 <(echo "$living") <(guest_memories "$(cat "$RUN/grantway.pid")"))" ]
}

# allocated_pages: pages of the compositor that guests have, or still map.
allocated_pages() {
    local pid
    pid=$(cat "$RUN/grantway.pid")
    { find "/proc/$pid/fd" -lname '*memfd:allocation*' -exec stat -L -c %s {} + 2>/dev/null || true; } \
        | awk '{ bytes += $1 } END { print bytes / 4096 }'
}

# What a hypervisor's kernel would notice is noticed by the compositor, whose log this is.
dom0_complaints() { grep -E 'panicked|ERROR' "$RESULTS/grantway.log" || true; }

# Nothing outlives the scenario here.
clean_platform() { true; }

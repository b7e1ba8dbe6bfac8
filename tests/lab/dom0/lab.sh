# SPDX-License-Identifier: GPL-3.0-or-later
# What a scenario's dom0.sh may call, whatever it runs on. Sourced by bash; RESULTS is the scenario's folder of
# results, the current directory the scenario's own folder. What differs between the lab and the simulator
# stands in xen.sh and simulator.sh:
#   RUN GRANTWAY                 where passing things lie, and the compositor
#   REAL PROVIDER                "yes" on real Xen, else "no"; who makes buffers of grants
#   LOOK_AGAIN                   seconds between two looks at what is waited for
#   spawn_grantway ARGUMENT...   the compositor, on this platform's display
#   screendump NAME, reference NAME WIDTHxHEIGHT
#   boot_guest NAME VDISPL [CONFIG-LINE...]   a guest with what lies in its folder, $RUN/guests/NAME; of
#                                GUEST_TYPE (pv; or pvh, which is the same on the simulator), with be-alloc=BE_ALLOC (0)
#   guest_console NAME, guest_domid NAME, triple_faulted DOMID, tell_guest NAME KEY VALUE
#   destroy_guest NAME, no_guest NAME, no_zombies
#   allocated_pages              pages of Dom0 that guests have, or still map
#   dom0_complaints              what Dom0's kernel (or what stands for it) has to complain about
#   clean_platform               after a scenario; fails when not everything is as before

LAB=${LAB:-/lab}
RESULTS=${RESULTS:-$LAB/results/shell}
. "${BASH_SOURCE[0]%/*}/${LAB_PLATFORM:-xen}.sh"
SOCKET=$RUN/control.sock
mkdir -p "$RESULTS" "$RUN"

# say TEXT: a line of progress on the user's screen and in the log.
say() {
    echo "$(date +%T.%3N) $*"
    echo "$*" >>"$RESULTS/progress"
}

# fail WHY: ends the scenario as failed.
fail() {
    trap - ERR
    echo "FAILED: $*"
    [ -e "$RESULTS/reason" ] || echo "$*" >"$RESULTS/reason"
    # Also from within a subshell the scenario itself must end.
    kill -USR1 $$ 2>/dev/null
    exit 1
}
trap 'exit 1' USR1

# figure NAME VALUE: a measured number (or a word) for the report.
figure() {
    echo "figure $1 = $2"
    printf '%s\t%s\n' "$1" "$2" >>"$RESULTS/figures"
}

# expect WHAT WANTED FOUND: the two must be the same text.
expect() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# wait_for SECONDS WHAT COMMAND...: waits until the command succeeds; else fails, naming WHAT.
wait_for() {
    local limit=$1 what=$2 end
    shift 2
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "waited $limit s in vain for $what"
        sleep "$LOOK_AGAIN"
    done
}

# rounds LAB SIMULATOR SOAK: how often something is done: on the emulated machine, where each costs seconds, on the
# simulator, and in a soak (`make xen-soak`).
rounds() {
    if [ "$REAL" = no ]; then echo "$2"; elif [ -e "$LAB/soak" ]; then echo "$3"; else echo "$1"; fi
}

milliseconds() { local now=$EPOCHREALTIME; echo $((${now/[.,]/} / 1000)); }

# --- requests to the runner, which sits outside of the machine ---

request_number=0
# request TEXT: done by the runner; prints its answer. Fails the scenario when the runner cannot.
request() {
    local id answer limit
    request_number=$((request_number + 1))
    id=$BASHPID-$request_number-${EPOCHREALTIME/[.,]/}
    printf '%s\n' "$*" >"$LAB/requests/$id.part"
    mv "$LAB/requests/$id.part" "$LAB/requests/$id.request"
    limit=$((SECONDS + 120))
    until [ -e "$LAB/requests/$id.answer" ]; do
        [ "$SECONDS" -lt "$limit" ] || fail "the runner did not answer: $*"
        sleep 0.05
    done
    answer=$(cat "$LAB/requests/$id.answer")
    rm -f "$LAB/requests/$id.answer"
    case "$answer" in
        ok*) answer=${answer#ok}; printf '%s\n' "${answer# }" ;;
        *) fail "$* : ${answer#error }" ;;
    esac
}

# same_picture WHAT PICTURE X Y WIDTH HEIGHT REFERENCE [as-RG16|doubled|doubled-smoothly]: the rectangle of the picture must
# equal the whole reference byte for byte (as-RG16: the reference, taken with 8 bits a channel, is
# first cut to 5, 6 and 5 bits and widened again; doubled: each of its pixels is there four times,
# or smoothly: mixed from the four around it).
same_picture() {
    local what=$1
    shift
    local answer
    answer=$(request "compare $*")
    [ "$answer" = equal ] || fail "$what: $answer"
    say "$what: equal, byte for byte"
}

# picture_differs ...: the same, for telling whether a picture has changed. True when it differs.
picture_differs() { [ "$(request "compare $*")" != equal ]; }

# test_picture NAME WIDTH HEIGHT SEED: the picture that `lab-guest show` draws, as NAME.png.
test_picture() { request "pattern $RESULTS/$1.png $2 $3 $4"; }

# one_colour PICTURE X Y WIDTH HEIGHT: prints the rectangle's colour as rrggbb; fails unless it is one.
one_colour() { request "colour $*"; }

# --- guests ---

# create_guest NAME SCRIPT VDISPL [CONFIG-LINE...]: a guest that runs the scenario's SCRIPT (a file) with the
# display VDISPL ("conn-a:800x600;conn-b:640x480").
create_guest() {
    local name=$1 script=$2
    shift 2
    rm -rf "$RUN/guests/$name"
    mkdir -p "$RUN/guests/$name/scenario"
    cp "$script" "$RUN/guests/$name/scenario/guest.sh"
    boot_guest "$name" "$@"
    say "guest $name is domain $(guest_domid "$name")"
}

# guest_said NAME TEXT: whether the guest's console has a line "lab: TEXT".
guest_said() { grep -qaF "lab: $2" "$(guest_console "$1")"; }

# await_guest SECONDS NAME TEXT: waits for that line; in vain once the guest has been gone for longer than a reboot
# takes.
await_guest() {
    local limit=$1 name=$2 text=$3 end look=$SECONDS gone=0
    end=$((SECONDS + limit))
    until guest_said "$name" "$text"; do
        if [ "$SECONDS" -ge "$look" ]; then
            look=$((SECONDS + 10))
            if no_guest "$name"; then gone=$((gone + 1)); else gone=0; fi
            [ "$gone" -lt 3 ] || fail "guest $name is gone and has not said '$text'; $(last_words "$name")"
        fi
        [ "$SECONDS" -lt "$end" ] || fail "waited $limit s in vain for guest $name to say '$text'; $(last_words "$name")"
        sleep "$LOOK_AGAIN"
    done
}

# last_words NAME: the end of its console, for the reason of a failure.
last_words() { echo "its last words: $(tail -n 3 "$(guest_console "$1")" | tr '\r\n' '  ')"; }

# guest_value NAME KEY: the last value that the guest printed as "lab: KEY=VALUE".
guest_value() { sed -n "s/\r//; s/^lab: $2=//p" "$(guest_console "$1")" | tail -n 1; }

# guest_with_input NAME SCRIPT VDISPL TEXT: a guest with an input device that has said TEXT. One boot in five Linux
# loses its keyboard to a race of its own xenbus, which the compositor mends (decision 0009): told, as it is no failure.
guest_with_input() {
    local lost
    create_guest "$1" "$2" "$3" "vkb = ['backend-type=linux,backend=0']"
    await_guest 300 "$1" "$4"
    wait_for 60 "$1's input device" guest_status_is "$1" '.inputs[0].state' connected
    lost=$(grep -ac 'state reset occurred, reconnecting' "$(guest_console "$1")" || true)
    [ "$lost" = 0 ] || figure "state-resets-$1" "$lost"
}

# end_guest NAME...: tells the guests to end, and waits until they have; their kernels must have had nothing to
# complain about.
end_guest() {
    local name
    for name in "$@"; do tell_guest "$name" end now; done
    for name in "$@"; do wait_for 120 "the end of $name" no_guest "$name"; done
    for name in "$@"; do guest_kernel_clean "$name"; done
}

# guest_kernel_clean NAME: the guest's console must show no warning, oops or driver error.
guest_kernel_clean() {
    local found
    found=$(kernel_complaints "$(guest_console "$1")" | head -n 3 || true)
    [ -z "$found" ] || fail "the kernel of guest $1 complains: $found"
}

# kernel_complaints CONSOLE. When the display's side goes while a program has the card open, Linux's front driver counts
# a reference of the device that is gone, each time: that warning is its own.
kernel_complaints() {
    awk 'function told() { if (warning != "" && !known) print warning; warning = "" }
        /WARNING:/ { told(); warning = $0; known = 0; next }
        warning != "" && /xen_drm_drv_release/ { known = 1 }
        warning != "" && /<\/TASK>/ { told(); next }
        warning != "" { next }
        /BUG:|Oops|Call Trace|\*ERROR\*|timed out|Unable to handle|bad page/
        END { told() }' "$1"
}

# --- the compositor ---

# msg ...: a command to the running compositor.
msg() { "$GRANTWAY" msg --socket "$SOCKET" "$@"; }

# start_grantway [ARGUMENT...]: returns when it answers.
start_grantway() {
    [ -x "$GRANTWAY" ] || fail "the compositor was not built: it is looked for in the runner's folder of target/"
    rm -f "$SOCKET"
    RUST_BACKTRACE=1 spawn_grantway --socket "$SOCKET" "$@" >>"$RESULTS/grantway.log" 2>&1 </dev/null &
    echo $! >"$RUN/grantway.pid"
    wait_for 120 "the compositor's control socket" compositor_answers
}

# True when the compositor answers; fails at once when it has died.
compositor_answers() {
    kill -0 "$(cat "$RUN/grantway.pid")" 2>/dev/null \
        || fail "the compositor ended: $(tail -n 5 "$RESULTS/grantway.log" | tr '\n' ' ')"
    msg status --json
}

# stop_grantway [SIGNAL]: ends the compositor and waits until it is gone.
stop_grantway() {
    local pid
    pid=$(cat "$RUN/grantway.pid")
    kill "-${1:-TERM}" "$pid" 2>/dev/null || true
    wait_for 30 "the compositor to end" test ! -e "/proc/$pid"
}

# guest_status NAME FILTER: a value of `grantway msg status --json` below the guest's entry, as a jq
# filter (".connectors[0].bytes_copied"); empty while the guest is not there.
guest_status() { msg status --json | jq -r --arg name "$1" ".guests[]? | select(.name == \$name) | $2"; }

# guest_status_is NAME FILTER VALUE: whether that value is VALUE.
guest_status_is() { [ "$(guest_status "$1" "$2")" = "$3" ]; }

# no_departed: whether no domain without a display has pages of Dom0.
no_departed() { [ "$(msg status --json | jq '.departed | length')" = 0 ]; }

# allocated_pages_are COUNT
allocated_pages_are() { [ "$(allocated_pages)" = "$1" ]; }

# window NAME CONNECTOR: "X Y WIDTH HEIGHT", the guest's picture on the display, in pixels.
window() { guest_status "$1" ".connectors[$2].window | \"\\(.x) \\(.y) \\(.width) \\(.height)\""; }

# await_picture WHAT "X Y WIDTH HEIGHT" REFERENCE [as-RG16|doubled|doubled-smoothly]: takes screendumps until the rectangle of the
# display equals the reference (a file in RESULTS); fails with the last one's difference after a minute.
await_picture() {
    local what=$1 area=$2 reference=$3 how=${4:-} name end answer
    name=$(tr -cs '[:alnum:]\n' - <<<"$what")
    end=$((SECONDS + 60))
    while true; do
        screendump "$name" >/dev/null
        answer=$(request "compare $RESULTS/$name.png $area $RESULTS/$reference $how")
        if [ "$answer" = equal ]; then break; fi
        # The emulated display shows a frame some time after it was committed.
        [ "$SECONDS" -lt "$end" ] || fail "$what is not as $reference: $answer"
        sleep 0.5
    done
    say "$what equals $reference, byte for byte"
}

# dom0_clean: Dom0's kernel must not have complained since the scenario began.
dom0_clean() { expect "Dom0's kernel complaints" "" "$(dom0_complaints | head -n 3)"; }

# clean_up: after a scenario. Fails when not everything is as before.
clean_up() {
    local pid
    if [ -e "$RUN/grantway.pid" ]; then
        pid=$(cat "$RUN/grantway.pid")
        kill -TERM "$pid" 2>/dev/null
        for _ in $(seq 50); do [ -e "/proc/$pid" ] || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null
        rm -f "$RUN/grantway.pid"
    fi
    # Where this scenario's windows were is nothing to the next one's.
    rm -f "${SOCKET%.sock}.places.json"
    clean_platform
}

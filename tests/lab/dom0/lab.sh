# SPDX-License-Identifier: GPL-3.0-or-later
# What a scenario's dom0.sh may call. Sourced by bash in Dom0; RESULTS is the scenario's folder of
# results, the current directory the scenario's own folder.

RESULTS=${RESULTS:-/lab/results/shell}
SOCKET=/run/grantway/control.sock
GRANTWAY=/payload/grantway
mkdir -p "$RESULTS" /run/grantway

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
        sleep 0.1
    done
}

milliseconds() { local now=$EPOCHREALTIME; echo $((${now/[.,]/} / 1000)); }

# --- requests to the runner, which sits outside of the machine ---

request_number=0
# request TEXT: done by the runner; prints its answer. Fails the scenario when the runner cannot.
request() {
    local id answer limit
    request_number=$((request_number + 1))
    id=$BASHPID-$request_number-${EPOCHREALTIME/[.,]/}
    printf '%s\n' "$*" >"/lab/requests/$id.part"
    mv "/lab/requests/$id.part" "/lab/requests/$id.request"
    limit=$((SECONDS + 120))
    until [ -e "/lab/requests/$id.answer" ]; do
        [ "$SECONDS" -lt "$limit" ] || fail "the runner did not answer: $*"
        sleep 0.05
    done
    answer=$(cat "/lab/requests/$id.answer")
    rm -f "/lab/requests/$id.answer"
    case "$answer" in
        ok*) answer=${answer#ok}; printf '%s\n' "${answer# }" ;;
        *) fail "$* : ${answer#error }" ;;
    esac
}

# screendump NAME: the emulated display as it is now, as NAME.ppm and NAME.png in the results.
screendump() { request "screendump $RESULTS/$1.ppm"; }

# same_picture WHAT PICTURE X Y WIDTH HEIGHT REFERENCE [as-RG16]: the rectangle of the picture must
# equal the whole reference byte for byte (as-RG16: the reference, taken with 8 bits a channel, is
# first cut to 5, 6 and 5 bits and widened again).
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

# type_key / move_pointer ...: a QMP input-send-event, its events as JSON.
send_input() { request "input $*"; }

# --- the reference: modetest on the display itself, no compositor ---

# reference NAME WIDTHxHEIGHT: the SMPTE pattern at a size, as NAME.ppm. Nobody else may hold the card.
reference() {
    local name=$1 size=$2 pid connector
    connector=$(modetest -M bochs-drm -c 2>/dev/null | awk '/^[0-9]+\t/ && $3 == "connected" { print $1; exit }')
    [ -n "$connector" ] || fail "the display has no connected connector"
    # modetest shows the picture until its standard input has something to read.
    mkfifo /run/reference.hold
    modetest -M bochs-drm -s "$connector:$size" <>/run/reference.hold >"$RESULTS/$name.modetest.log" 2>&1 &
    pid=$!
    sleep 2
    kill -0 "$pid" 2>/dev/null || fail "modetest cannot show $size: $(tail -n 3 "$RESULTS/$name.modetest.log" | tr '\n' ' ')"
    screendump "$name"
    echo >/run/reference.hold
    wait "$pid" || true
    rm -f /run/reference.hold
}

# --- guests ---

guest_console() { echo "/var/log/xen/console/guest-$1.log"; }
guest_domid() { xl domid "$1" 2>/dev/null; }

# no_guest NAME: whether the domain is gone.
no_guest() { ! xl domid "$1" >/dev/null 2>&1; }

# create_guest NAME SCRIPT VDISPL [CONFIG-LINE...]: a 256 MB PV guest that runs the scenario's SCRIPT
# (a file) with the display VDISPL ("conn-a:800x600;conn-b:640x480").
create_guest() {
    local name=$1 script=$2 vdispl=$3 dir=/run/guests/$1 line
    shift 3
    rm -rf "$dir"
    mkdir -p "$dir/root/scenario"
    cp "$script" "$dir/root/scenario/guest.sh"
    # A second archive behind the first: the kernel unpacks both.
    { cat /payload/guest.initrd; (cd "$dir/root" && find . | cpio --quiet -o -H newc | gzip -1); } >"$dir/initrd"
    {
        echo "name = '$name'"
        echo "type = 'pv'"
        echo "memory = 256"
        echo "vcpus = 1"
        echo "kernel = '/payload/vmlinuz'"
        echo "ramdisk = '$dir/initrd'"
        echo "extra = 'console=hvc0 mitigations=off nokaslr audit=0 apparmor=0 tsc=reliable panic=-1 xen.lab=$name'"
        echo "on_poweroff = 'destroy'"
        echo "on_crash = 'destroy'"
        echo "on_reboot = 'restart'"
        [ -z "$vdispl" ] || echo "vdispl = ['backend=0,be-alloc=0,connectors=$vdispl']"
        for line in "$@"; do echo "$line"; done
    } >"$dir/config"
    cp "$dir/config" "$RESULTS/guest-$name.cfg"
    # xl itself has been seen to die or hang once in about fifteen times here: then once more, from anew.
    if ! timeout 180 xl create "$dir/config"; then
        say "xl create failed for $name: once more"
        timeout 60 xl destroy "$name" || true
        timeout 180 xl create "$dir/config" || fail "guest $name cannot be created"
    fi
    say "guest $name is domain $(guest_domid "$name")"
}

# guest_said NAME TEXT: whether the guest's console has a line "lab: TEXT".
guest_said() { grep -qaF "lab: $2" "$(guest_console "$1")"; }

# await_guest SECONDS NAME TEXT: waits for that line.
await_guest() { wait_for "$1" "guest $2 to say '$3'" guest_said "$2" "$3"; }

# guest_value NAME KEY: the last value that the guest printed as "lab: KEY=VALUE".
guest_value() { sed -n "s/\r//; s/^lab: $2=//p" "$(guest_console "$1")" | tail -n 1; }

# tell_guest NAME KEY VALUE: the guest reads it by `word KEY`.
tell_guest() { xenstore-write "/local/domain/$(guest_domid "$1")/data/$2" "$3"; }

# guest_kernel_clean NAME: the guest's console must show no warning, oops or driver error.
guest_kernel_clean() {
    local found
    found=$(grep -aE 'WARNING:|BUG:|Oops|Call Trace|\*ERROR\*|timed out|Unable to handle|bad page' "$(guest_console "$1")" | head -n 3 || true)
    [ -z "$found" ] || fail "the kernel of guest $1 complains: $found"
}

# --- the compositor ---

# msg ...: a command to the running compositor.
msg() { "$GRANTWAY" msg --socket "$SOCKET" "$@"; }

# start_grantway [ARGUMENT...]: as root without a seat, on the emulated display; returns when it answers.
start_grantway() {
    [ -x "$GRANTWAY" ] || fail "the compositor was not built: it is looked for in the runner's folder of target/"
    rm -f "$SOCKET"
    RUST_BACKTRACE=1 "$GRANTWAY" --backend kms --session none --socket "$SOCKET" "$@" \
        >>"$RESULTS/grantway.log" 2>&1 </dev/null &
    echo $! >/run/grantway.pid
    wait_for 120 "the compositor's control socket" compositor_answers
}

# True when the compositor answers; fails at once when it has died.
compositor_answers() {
    kill -0 "$(cat /run/grantway.pid)" 2>/dev/null \
        || fail "the compositor ended: $(tail -n 5 "$RESULTS/grantway.log" | tr '\n' ' ')"
    msg status --json
}

# stop_grantway [SIGNAL]: ends the compositor and waits until it is gone.
stop_grantway() {
    local pid
    pid=$(cat /run/grantway.pid)
    kill "-${1:-TERM}" "$pid" 2>/dev/null || true
    wait_for 30 "the compositor to end" test ! -e "/proc/$pid"
}

# guest_status NAME FILTER: a value of `grantway msg status --json` below the guest's entry, as a jq
# filter (".connectors[0].bytes_copied"); empty while the guest is not there.
guest_status() { msg status --json | jq -r --arg name "$1" ".guests[]? | select(.name == \$name) | $2"; }

# guest_status_is NAME FILTER VALUE: whether that value is VALUE.
guest_status_is() { [ "$(guest_status "$1" "$2")" = "$3" ]; }

# window NAME CONNECTOR: "X Y WIDTH HEIGHT", the guest's picture on the display, in pixels.
window() { guest_status "$1" ".connectors[$2].window | \"\\(.x) \\(.y) \\(.width) \\(.height)\""; }

# no_zombies: whether no dead domain is held any more by pages that somebody still maps.
no_zombies() { ! xl list | awk 'NR > 1 && $5 ~ /d/ { found = 1 } END { exit !found }'; }

# await_picture WHAT "X Y WIDTH HEIGHT" REFERENCE [as-RG16]: takes screendumps until the rectangle of the
# display equals the reference (a file in RESULTS); fails with the last one's difference after a minute.
await_picture() {
    local what=$1 area=$2 reference=$3 how=${4:-} name end answer
    name=$(tr -cs '[:alnum:]\n' - <<<"$what")
    end=$((SECONDS + 60))
    while true; do
        screendump "$name" >/dev/null
        answer=$(request "compare $RESULTS/$name.ppm $area $RESULTS/$reference $how")
        if [ "$answer" = equal ]; then break; fi
        # The emulated display shows a frame some time after it was committed.
        [ "$SECONDS" -lt "$end" ] || fail "$what is not as $reference: $answer"
        sleep 0.5
    done
    say "$what equals $reference, byte for byte"
}

# --- after a scenario ---

clean_up() {
    local domain pid
    if [ -e /run/grantway.pid ]; then
        pid=$(cat /run/grantway.pid)
        kill -TERM "$pid" 2>/dev/null
        for _ in $(seq 50); do [ -e "/proc/$pid" ] || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null
        rm -f /run/grantway.pid
    fi
    for domain in $(xl list | awk 'NR > 1 && $2 != 0 { print $2 }'); do timeout 30 xl destroy "$domain"; done
    cp /var/log/xen/console/*.log "$RESULTS/" 2>/dev/null
    rm -f /var/log/xen/console/guest-*.log
    rm -rf /run/guests
    [ -z "$(xl list | awk 'NR > 1 && $2 != 0')" ]
}

# `make xen-shell`: the compositor, where there is one, and a prompt on the serial console.
shell_session() {
    # A failure here is told, and no reason for this process, which is init, to end.
    trap '' USR1
    echo
    if [ -x "$GRANTWAY" ]; then
        (start_grantway) && echo "The compositor runs; its log: $RESULTS/grantway.log"
    fi
    echo "This is Dom0. Helpers of the scenarios: /lab/lab.sh. 'exit' powers off."
    echo '. /lab/lab.sh; trap "" USR1; PS1="dom0:\w# "' >/run/shellrc
    (cd /root && exec setsid -c bash --rcfile /run/shellrc -i)
    clean_up
}

# SPDX-License-Identifier: GPL-3.0-or-later
# The lab's half of lab.sh: real Xen, its tools, and the emulated display.

mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
RUN=/run/lab
GRANTWAY=/payload/grantway
REAL=yes
PROVIDER=xen-zcopy
# A look starts programs, and each costs the emulated machine some tens of milliseconds.
LOOK_AGAIN=0.3

# On the emulated display, with the SESSION (none): as root, or as the user AS_USER, with no right but its groups'.
spawn_grantway() {
    local user=()
    [ -z "${AS_USER:-}" ] || user=(setpriv --reuid "$AS_USER" --regid "$AS_USER" --groups "$AS_USER,video,input"
        --inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs)
    exec "${user[@]}" "$GRANTWAY" --backend kms --session "${SESSION:-none}" "$@"
}

# screendump NAME: the emulated display as it is now, as NAME.ppm and NAME.png in the results.
screendump() { request "screendump $RESULTS/$1.ppm"; }

# send_input EVENTS: a QMP input-send-event, its events as JSON.
send_input() { request "input $*" >/dev/null; }
# move_to X Y: the emulated tablet, to a pixel of the emulated display.
move_to() {
    send_input "[{\"type\":\"abs\",\"data\":{\"axis\":\"x\",\"value\":$((($1 * 2 + 1) * 16384 / 1280))}}," \
        "{\"type\":\"abs\",\"data\":{\"axis\":\"y\",\"value\":$((($2 * 2 + 1) * 16384 / 800))}}]"
}
# press BUTTON, release BUTTON, click BUTTON: left, right, middle, side, extra, wheel-up, wheel-down.
press() { send_input "[$(button "$1" true)]"; }
release() { send_input "[$(button "$1" false)]"; }
# Two requests: of a button that is pressed and released in one, libinput sees neither.
click() { press "$1"; release "$1"; }
button() { printf '{"type":"btn","data":{"button":"%s","down":%s}}' "$1" "$2"; }
# type_keys KEY...: on the emulated keyboard, by QEMU's names of keys (a, spc, ret, shift). A key is released in the
# request that presses it: a slow machine's guest would repeat it.
type_keys() {
    local name
    for name in "$@"; do send_input "[$(key_event "$name" true), $(key_event "$name" false)]"; done
}
# key KEY true|false: pressed, or released.
key() { send_input "[$(key_event "$1" "$2")]"; }
key_event() { printf '{"type":"key","data":{"down":%s,"key":{"type":"qcode","data":"%s"}}}' "$2" "$1"; }

# kernel_device KIND: one more input device of Dom0, by uinput, so that every QEMU will do: "mouse", which is relative,
# or "touch", a screen of twelve contacts in tenths of a pixel. Ends with the scenario, or by remove_device KIND.
kernel_device() {
    modprobe uinput
    mkfifo "$RUN/device-$1"
    # Opened for reading too, so that it stays open between two reports.
    setpriv --pdeathsig KILL /payload/lab-guest device "$1" <>"$RUN/device-$1" >"$RESULTS/device-$1.log" 2>&1 &
    echo $! >"$RUN/device-$1.pid"
    wait_for 60 "the device '$1'" grep -q "is there" "$RESULTS/device-$1.log"
}
# report KIND "TYPE CODE VALUE...": one report of that device, as the kernel numbers events.
report() { echo "$2" >"$RUN/device-$1"; }
remove_device() {
    kill "$(cat "$RUN/device-$1.pid")"
    rm -f "$RUN/device-$1"{,.pid}
}

# --- the reference: modetest on the display itself, no compositor ---

# reference NAME WIDTHxHEIGHT: the SMPTE pattern at a size, as NAME.png. Nobody else may hold the card.
reference() {
    local name=$1 size=$2 pid connector
    connector=$(modetest -M bochs-drm -c 2>/dev/null | awk '/^[0-9]+\t/ && $3 == "connected" { print $1; exit }')
    [ -n "$connector" ] || fail "the display has no connected connector"
    # modetest shows the picture until its standard input has something to read.
    mkfifo "$RUN/reference.hold"
    modetest -M bochs-drm -s "$connector:$size" <>"$RUN/reference.hold" >"$RESULTS/$name.modetest.log" 2>&1 &
    pid=$!
    sleep 2
    kill -0 "$pid" 2>/dev/null || fail "modetest cannot show $size: $(tail -n 3 "$RESULTS/$name.modetest.log" | tr '\n' ' ')"
    screendump "$name"
    echo >"$RUN/reference.hold"
    wait "$pid" || true
    rm -f "$RUN/reference.hold"
}

# --- what a flip costs ---

# count_cost GUEST...: from now on the kernel counts what the compositor does while these guests flip.
count_cost() {
    counted_guests=$*
    calls_counter=/sys/kernel/tracing/events/raw_syscalls/sys_enter
    [ -e "$calls_counter" ] || mount -t tracefs none /sys/kernel/tracing
    echo "hist:keys=id.syscall if common_pid == $(cat "$RUN/grantway.pid")" >"$calls_counter/trigger"
    cost_snapshot "$RUN/cost-before"
}
# cost_snapshot FILE: at both ends in the same order, so that the time between its parts takes nothing away.
cost_snapshot() {
    msg status --json >"$1.status"
    cat "$calls_counter/hist" >"$1.calls"
    cost_so_far >"$1"
}

# tell_cost NAME: ends that. For each flip: system calls, wake-ups, and milliseconds of the compositor's processor time
# and of all of Dom0's, kernel threads included.
tell_cost() {
    local flips
    cost_snapshot "$RUN/cost-after"
    echo '!hist:keys=id.syscall' >"$calls_counter/trigger"
    cp "$RUN/cost-after.calls" "$RESULTS/calls-$1"
    flips=$(($(flips_in "$RUN/cost-after.status" $counted_guests) - $(flips_in "$RUN/cost-before.status" $counted_guests)))
    figure "$1-flips-counted" "$flips"
    figure "$1-calls-a-flip" "$(awk -v flips="$flips" \
        '!/ hitcount: / { next }
        { name = $3; sub(/^sys_/, "", name) }
        FNR == NR { before[name] = $NF; next }
        { n = $NF - before[name]; all += n; if (n > flips / 20) each = each sprintf(", %s %.2f", name, n / flips) }
        END { printf "%.2f%s", all / flips, each }' "$RUN/cost-before.calls" "$RUN/cost-after.calls")"
    set -- "$1" $(cat "$RUN/cost-before" "$RUN/cost-after")
    figure "$1-wake-ups-a-flip" "$(per_flip "$flips" "$2" "$5")"
    figure "$1-cpu-ms-a-flip" "$(per_flip "$flips" "$3" "$6")"
    figure "$1-dom0-cpu-ms-a-flip" "$(per_flip "$flips" "$4" "$7")"
}
per_flip() { awk -v flips="$1" -v from="$2" -v to="$3" 'BEGIN { printf "%.2f", (to - from) / flips }'; }
# flips_in FILE GUEST...: in that status.
flips_in() {
    local file=$1
    shift
    jq '[.guests[] | select(.name | IN($ARGS.positional[])) | .connectors[].flips] | add' "$file" --args "$@"
}
# Times that the compositor went to sleep; milliseconds of its time, and of both processors' time that was not idle.
cost_so_far() {
    local pid
    pid=$(cat "$RUN/grantway.pid")
    awk '/^voluntary_ctxt/ { print $2 }' "/proc/$pid/status"
    awk '{ print ($14 + $15) * 10 }' "/proc/$pid/stat"
    awk '/^cpu / { print ($2 + $3 + $4 + $7 + $8) * 10 }' /proc/stat
}

# --- guests ---

guest_console() { echo "/var/log/xen/console/guest-$1.log"; }
guest_domid() { xl domid "$1" 2>/dev/null; }

# no_guest NAME: whether the domain is gone.
no_guest() { ! xl domid "$1" >/dev/null 2>&1; }

# boot_guest NAME VDISPL [CONFIG-LINE...]: a guest of GUEST_TYPE with GUEST_MEMORY (256) MB, BE_ALLOC in its display,
# what a desktop needs if GUEST_DESKTOP is set, and ON_REBOOT (restart).
boot_guest() {
    local name=$1 vdispl=$2 dir=$RUN/guests/$1 line
    shift 2
    # One archive behind the other: the kernel unpacks them all.
    { cat /payload/guest.initrd ${GUEST_DESKTOP:+/payload/desktop.initrd}; (cd "$dir" && find scenario | cpio --quiet -o -H newc | gzip -1); } >"$dir/initrd"
    {
        echo "name = '$name'"
        echo "type = '${GUEST_TYPE:-pv}'"
        # Else a PVH guest dies of its first RDTSCP on the emulated machine.
        [ "${GUEST_TYPE:-pv}" = pv ] || echo "tsc_mode = 'native'"
        echo "memory = ${GUEST_MEMORY:-256}"
        echo "vcpus = 1"
        echo "kernel = '/payload/vmlinuz'"
        echo "ramdisk = '$dir/initrd'"
        echo "extra = 'console=hvc0 mitigations=off nokaslr audit=0 apparmor=0 tsc=reliable panic=-1 xen.lab=$name'"
        echo "on_poweroff = 'destroy'"
        echo "on_crash = 'destroy'"
        echo "on_reboot = '${ON_REBOOT:-restart}'"
        [ -z "$vdispl" ] || echo "vdispl = ['backend=0,be-alloc=${BE_ALLOC:-0},connectors=$vdispl']"
        for line in "$@"; do echo "$line"; done
    } >"$dir/config"
    cp "$dir/config" "$RESULTS/guest-$name.cfg"
    # xl itself has been seen to die or hang once in about fifteen times here: then once more, from anew.
    if ! timeout 180 xl create "$dir/config"; then
        say "xl create failed for $name: once more"
        timeout 60 xl destroy "$name" || true
        timeout 180 xl create "$dir/config" || fail "guest $name cannot be created"
    fi
}

# triple_faulted DOMID: whether the emulated machine has ended that guest. Under its nested paging a PVH guest now and
# then can't read its own interrupt table (seen with cr2 in it), which no guest can do anything about.
triple_faulted() { xl dmesg | grep -q "d$1v[0-9]* Triple fault"; }

# destroy_guest NAME: its sudden end.
destroy_guest() { xl destroy "$1"; }

# tell_guest NAME KEY VALUE: the guest reads it by `word KEY`.
tell_guest() { xenstore-write "/local/domain/$(guest_domid "$1")/data/$2" "$3"; }

# no_zombies: whether no dead domain is held any more by pages that somebody still maps.
no_zombies() { ! xl list | awk 'NR > 1 && $5 ~ /d/ { found = 1 } END { exit !found }'; }

# allocated_pages: pages of Dom0 that guests have, or still map; the helper's own count.
allocated_pages() { awk '$1 == "all" { print $3 }' /sys/kernel/debug/xen-zcopy/domains; }

# mapped_buffers: guests' buffers that the helper has mapped for anybody.
mapped_buffers() { awk '$2 == "mapped"' /sys/kernel/debug/xen-zcopy/buffers | wc -l; }

# The kernel's log is emptied before each scenario. The emulated display's vertical blanks are a timer's, late on a
# busy machine: that the kernel waited for one in vain is no complaint about anybody.
dom0_complaints() {
    dmesg | awk '/WARNING:.*drm_atomic_helper_wait_for_vblanks/ { late = 1; next }
        late && /Call Trace/ { late = 0; next }
        /WARNING:|BUG:|Oops|Call Trace/'
}

clean_platform() {
    local domain device
    for device in "$RUN"/device-*.pid; do [ ! -e "$device" ] || kill "$(cat "$device")" 2>/dev/null; done
    rm -f "$RUN"/device-*
    for domain in $(xl list | awk 'NR > 1 && $2 != 0 { print $2 }'); do timeout 30 xl destroy "$domain"; done
    cp /var/log/xen/console/*.log "$RESULTS/" 2>/dev/null
    rm -f /var/log/xen/console/guest-*.log
    rm -rf "$RUN/guests"
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
    echo '. /lab/lab.sh; trap "" USR1; PS1="dom0:\w# "' >"$RUN/shellrc"
    (cd /root && exec setsid -c bash --rcfile "$RUN/shellrc" -i)
    clean_up
}

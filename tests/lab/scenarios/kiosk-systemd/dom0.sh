# SPDX-License-Identifier: GPL-3.0-or-later
SOCKET=/run/grantway/control.sock
UNIT=grantway-kiosk
unit() { systemctl show --value -P "$1" $UNIT; }
# at WHAT: when the journal has that line for the last time, in seconds since the boot.
at() { journalctl --no-pager -b -u $UNIT -o short-monotonic | grep "$1" | tail -n 1 | sed 's/^\[ *\([0-9.]*\)\].*/\1/'; }
between() { awk -v from="$(at "$1")" -v to="$(at "$2")" 'BEGIN { printf "%d", (to - from) * 1000 }'; }

wait_for 400 "the unit, which was to start at boot" systemctl is-active --quiet $UNIT
systemctl --no-pager status $UNIT || true
systemctl --no-pager list-units --failed
figure boot-seconds "$(systemctl show --value -P ActiveEnterTimestampMonotonic $UNIT | awk '{ print int($1 / 1000000) }')"
# The display's driver may have come later.
restarts=$(unit NRestarts)
figure restarts-at-boot "$restarts"

# not_root: the compositor is the user grantway with its groups, and has no right of root's nor a way to one.
not_root() {
    local pid status
    pid=$(unit MainPID)
    status=/proc/$pid/status
    ps -o pid,user,group,supgrp,args -p "$pid" | tee -a "$RESULTS/ps"
    expect "its user, by ps" "grantway grantway" "$(ps -o user= -o group= -p "$pid" | xargs)"
    expect "its groups" "grantway input video" "$(ps -o group= -o supgrp= -p "$pid" | tr ', ' '\n' | sort -u | xargs)"
    expect "its capabilities, and those it could get" "0000000000000000 0000000000000000 0000000000000000" \
        "$(awk '/^Cap(Prm|Eff|Bnd):/ { print $2 }' "$status" | xargs)"
    expect "no new rights, system calls filtered" "1 2" "$(awk '/^(NoNewPrivs|Seccomp):/ { print $2 }' "$status" | xargs)"
}
not_root
# One C xenstored makes it 600, Debian's 755: to connect is to write.
[ -n "$(find /run/xenstored/socket -user root ! -perm /022)" ] || fail "others than root may use xenstored's socket: $(ls -l /run/xenstored/socket)"
systemd-analyze security --no-pager $UNIT >"$RESULTS/security" || true
figure exposure "$(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p' "$RESULTS/security")"

test_picture wanted 800 600 7
guest_with_input alpha guest.sh 'alpha-a:800x600' "up"
wait_for 300 "a picture of alpha" guest_status_is alpha '.connectors[0].format' XR24
await_picture "the display" "0 0 800 600" wanted.png
expect "bytes copied" "$PROVIDER 0" "$(guest_status alpha '.connectors[0] | "\(.provider) \(.bytes_copied)"')"
ls -l /proc/"$(unit MainPID)"/fd >"$RESULTS/descriptors"

killed=$(unit MainPID)
say "the compositor, process $killed, is killed"
systemctl kill -s KILL --kill-whom=main $UNIT
came_back() { [ "$(unit NRestarts)" = $((restarts + 1)) ] && systemctl is-active --quiet $UNIT; }
wait_for 120 "the unit to be started again" came_back
wait_for 120 "alpha's input device again" guest_status_is alpha '.inputs[0].state' connected
wait_for 120 "alpha's picture again" guest_status_is alpha '.connectors[0].format' XR24
await_picture "the display, again" "0 0 800 600" wanted.png
[ "$(unit MainPID)" != "$killed" ] || fail "it is the process that was killed"
not_root
journalctl --no-pager -b -u $UNIT -o short-monotonic >"$RESULTS/grantway.log"
# From the death to the guest's device, without the time that the program takes until it can draw.
whole=$(between 'code=killed' 'guest "alpha" .*: connected')
renderer=$(between 'Starting grantway-kiosk' 'backend kms, renderer')
figure back-ms "$whole"
figure renderer-start-ms "$renderer"
figure guest-attached-ms "$((whole - renderer))"
# Of that: systemd's own time until it starts the program again, and the guest's and ours after the renderer's start.
figure systemd-restart-ms "$(between 'code=killed' 'Starting grantway-kiosk')"
figure guest-attach-ms "$(between 'backend kms, renderer' 'guest "alpha" .*: connected')"
destroy_guest alpha
wait_for 10 "no zombie domain" no_zombies
systemctl stop $UNIT
expect "how it ended" "success" "$(unit Result)"

# SPDX-License-Identifier: GPL-3.0-or-later
# switch_to NUMBER: to that virtual terminal; returns when it is there, as chvt does, which Dom0 does not have.
switch_to() {
    timeout 60 perl -e 'open(my $tty, "+<", "/dev/tty0") or die "tty0: $!\n"; my $number = $ARGV[0] + 0;
        for my $request (0x5606, 0x5607) { ioctl($tty, $request, $number) or die "VT $number: $!\n"; }' "$1"
    expect "the virtual terminal" "tty$1" "$(cat /sys/class/tty/tty0/active)"
}
# flips_go_on COUNT: waits until alpha has flipped that often from now on.
flips_go_on() {
    local from
    from=$(guest_status alpha '.connectors[0].flips')
    flipped() { [ "$(guest_status alpha '.connectors[0].flips')" -ge $((from + $1)) ]; }
    wait_for 120 "$1 more flips of alpha" flipped "$1"
}

reference before 800x600
test_picture wanted 800 600 7
setpriv --pdeathsig KILL seatd -g video >"$RESULTS/seatd.log" 2>&1 &
wait_for 60 "seatd" test -S /run/seatd.sock
LIBSEAT_BACKEND=seatd SESSION=libseat start_grantway --kiosk --config kiosk.toml
create_guest alpha guest.sh 'alpha-a:800x600'
await_guest 300 alpha "shown"
await_picture "the display" "0 0 800 600" wanted.png
home=$(sed 's/^tty//' /sys/class/tty/tty0/active)
tell_guest alpha flip now
flips_go_on 10

switch_to $((home + 1))
# The display is free for whoever has this terminal.
reference away 800x600
same_picture "another program's picture" "$RESULTS/away.png" 0 0 800 600 "$RESULTS/before.png"
flips_go_on 10
tell_guest alpha destroy now
await_guest 300 alpha "destroyed=5"
# The guest's driver gives up after 3 s.
longest=$(guest_value alpha destroy-longest-us)
figure destroy-longest-us "$longest"
[ "$longest" -lt 3000000 ] || fail "a buffer's end took $longest us"
flips_go_on 10

switch_to "$home"
flips_go_on 10
tell_guest alpha show now
await_picture "the display, again" "0 0 800 600" wanted.png
expect "flips and events by the compositor's count" \
    "$(guest_status alpha '.connectors[0].flips')" "$(guest_status alpha '.connectors[0].events')"
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
end_guest alpha
dom0_clean
stop_grantway

# SPDX-License-Identifier: GPL-3.0-or-later
rounds=$(rounds 5 - 100)
cat >"$RUN/be-alloc.toml" <<'END'
[guest.ours]
be-alloc = true
END
start_grantway --config "$RUN/be-alloc.toml"
declare -A domids
start_guest() {
    case $1 in
        own) ON_REBOOT=destroy create_guest own own.sh 'own:320x240' ;;
        ours) ON_REBOOT=destroy GUEST_TYPE=pvh BE_ALLOC=1 create_guest ours own.sh 'ours:320x240' ;;
    esac
    domids[$1]=$(guest_domid "$1")
}
mapped_buffers_are() { [ "$(mapped_buffers)" = "$1" ]; }
is_busy() { [ "$(guest_status "$1" '.buffers')" -gt 0 ] 2>/dev/null; }
has_oopsed() { grep -qa 'kernel BUG\|Oops:' "$(guest_console "$1")"; }
# await_load NAME: buffers of a guest. Linux's front driver now and then takes a buffer out of its list twice, when its
# backend goes while it creates or destroys one (the list has no lock), and its kernel stops; and there is the
# emulator. Then a new guest takes over. A guest without load for any other reason is a failure.
lost=0
faulted=0
await_load() {
    local look
    for look in $(seq 300); do
        if is_busy "$1"; then return; fi
        if triple_faulted "${domids[$1]}"; then
            faulted=$((faulted + 1))
            say "the emulator ended $1: a new guest"
            start_guest "$1"
        elif has_oopsed "$1"; then
            lost=$((lost + 1))
            say "the kernel of $1 stopped in its own front driver: a new guest"
            destroy_guest "$1" || true
            wait_for 60 "the guest's end" no_guest "$1"
            mv "$(guest_console "$1")" "$RESULTS/guest-$1-lost-$lost.log"
            start_guest "$1"
        fi
        sleep 1
    done
    fail "waited in vain for buffers of $1"
}
start_guest own
start_guest ours
longest=0
for round in $(seq $rounds); do
    await_load own
    await_load ours
    sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
    stop_grantway KILL
    started=$(milliseconds)
    # Without a compositor: the kernel alone gives back what guests granted.
    wait_for 30 "the guests' own buffers to be unmapped" mapped_buffers_are 0
    took=$(($(milliseconds) - started))
    [ "$took" -le "$longest" ] || longest=$took
    start_grantway --config "$RUN/be-alloc.toml"
    [ $((round % 10)) -ne 0 ] || say "killed $round times"
done
figure rounds "$rounds"
figure guests-lost-to-their-own-driver "$lost"
figure guests-lost-to-the-emulator "$faulted"
figure longest-unmap-ms "$longest"
destroy_guest own
destroy_guest ours
wait_for 60 "no zombie domain" no_zombies
wait_for 60 "all pages to be free" allocated_pages_are 0
stop_grantway
wait_for 30 "no buffer to be mapped" mapped_buffers_are 0
dom0_clean

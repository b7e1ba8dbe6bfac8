# SPDX-License-Identifier: GPL-3.0-or-later
test_picture wanted 640 480 7
# Guests, and how often in each of their lives the program that shows is killed with its buffers mapped: 200 in a soak.
rounds=$(rounds 2 3 11)
kills=$(rounds 2 0 20)
# Guests that the emulator ends are made up for.
most_faults=6
for round in $(seq "$((rounds + most_faults))"); do
    printf '[guest.alpha%s]\nbe-alloc = true\n' "$round"
done >"$RUN/be-alloc.toml"
start_grantway --config "$RUN/be-alloc.toml"
# alpha_does SECONDS WHAT COMMAND...: as wait_for; false when the emulator has ended the guest meanwhile.
alpha_does() {
    local limit=$1 what=$2
    shift 2
    wait_for "$limit" "$what" has_faulted_or "$@"
    ! triple_faulted "$domid"
}
has_faulted_or() { triple_faulted "$domid" || "$@"; }
flips_on() { [ "$(guest_status $alpha '.connectors[0].flips')" -gt $((from + 10)) ]; }

first_life() {
    alpha_does 400 "a picture of alpha" guest_status_is $alpha '.connectors[0].format' XR24 || return 1
    await_picture "alpha's window" "$(window $alpha 0)" wanted.png
    msg status
    msg status --json >"$RESULTS/status.json"
    figure source "$(guest_status $alpha '.connectors[0].provider')"
    figure passed-over "$(guest_status $alpha '.connectors[0].import_reason')"
    case "$(guest_status $alpha '.connectors[0].provider')" in
        display | dma-heap-* | xen-zcopy-* | simulator-alloc) ;;
        *) fail "the buffer is not in our memory" ;;
    esac
    expect "bytes copied" 0 "$(guest_status $alpha '.connectors[0].bytes_copied')"
    [ "$(guest_status $alpha '.mib_allocated > 1')" = true ] || fail "alpha's account does not show its buffer"
    [ "$(allocated_pages)" -gt "$before" ] || fail "the platform does not count alpha's pages"
    tell_guest $alpha flip all
    alpha_does 600 "100 flips" guest_said $alpha "events=100" || return 1
    alpha_does 600 "20 buffers destroyed" guest_said $alpha "destroyed=20" || return 1
    expect "events out of order" 0 "$(guest_value $alpha disorder)"
    figure destroy-median-us "$(guest_value $alpha destroy-median-us)"
}
later_life() {
    alpha_does 400 "a picture of alpha" guest_status_is $alpha '.connectors[0].format' XR24 || return 1
    tell_guest $alpha kills "$kills"
    tell_guest $alpha flip on
    alpha_does 600 "the end of $kills programs" guest_said $alpha "killed=$kills" || return 1
}
# It flips again, with its buffers mapped.
flips_at_last() {
    alpha_does 300 "the last program of alpha" guest_said $alpha "flips on" || return 1
    from=$(guest_status $alpha '.connectors[0].flips')
    alpha_does 120 "flips of alpha" flips_on || return 1
}

longest=0
faulted=0
lives=0
# Nothing is allocated for anybody.
before=$(allocated_pages)
while [ "$lives" -lt "$rounds" ]; do
    alpha=alpha$((lives + faulted + 1))
    ON_REBOOT=destroy GUEST_TYPE=pvh BE_ALLOC=1 create_guest $alpha guest.sh 'alpha-a:640x480'
    domid=$(guest_domid $alpha)
    life=$([ "$lives" = 0 ] && echo first_life || echo later_life)
    if $life && flips_at_last; then
        lives=$((lives + 1))
        guest_kernel_clean $alpha
        destroy_guest $alpha
    else
        faulted=$((faulted + 1))
        say "the emulator ended $alpha: another one takes its place"
        [ "$faulted" -lt "$most_faults" ] || fail "the emulator ended $faulted guests"
    fi
    started=$(milliseconds)
    wait_for 60 "the end of alpha's window" guest_status_is $alpha '.name' ''
    wait_for 60 "alpha's account to be empty" no_departed
    wait_for 60 "all pages to be free" allocated_pages_are "$before"
    took=$(($(milliseconds) - started))
    [ "$took" -le "$longest" ] || longest=$took
    wait_for 60 "no zombie domain" no_zombies
done
figure guests "$lives"
figure guests-lost-to-the-emulator "$faulted"
figure programs-killed "$(((lives - 1) * kills))"
figure free-after-ms "$longest"
dom0_clean
stop_grantway
expect "pages allocated" "$before" "$(allocated_pages)"

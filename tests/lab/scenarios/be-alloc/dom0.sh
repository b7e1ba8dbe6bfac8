# SPDX-License-Identifier: GPL-3.0-or-later
test_picture wanted 640 480 7
# Guests, and how often in each of their lives the program that shows is killed with its buffers mapped: 200 in a soak.
rounds=$(rounds 2 3 11)
kills=$(rounds 2 0 20)
# Guests that the emulator ended are made up for, up to five.
for round in $(seq "$((rounds + 5))"); do
    printf '[guest.alpha%s]\nbe-alloc = true\n' "$round"
done >"$RUN/be-alloc.toml"
start_grantway --config "$RUN/be-alloc.toml"
flips_on() { [ "$(guest_status $alpha '.connectors[0].flips')" -gt $((from + 10)) ] 2>/dev/null; }
or_faulted() { triple_faulted "$domid" || "$@"; }
longest=0
faulted=0
# Nothing is allocated for anybody.
before=$(allocated_pages)
round=0
until [ "$round" -eq "$((rounds + faulted))" ]; do
    round=$((round + 1))
    alpha=alpha$round
    ON_REBOOT=destroy GUEST_TYPE=pvh BE_ALLOC=1 create_guest $alpha guest.sh 'alpha-a:640x480'
    domid=$(guest_domid $alpha)
    wait_for 400 "a picture of alpha" guest_status_is $alpha '.connectors[0].format' XR24
    if [ "$round" = 1 ]; then
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
    fi
    if [ "$round" = 1 ]; then
        tell_guest $alpha flip all
        await_guest 600 $alpha "events=100"
        expect "events out of order" 0 "$(guest_value $alpha disorder)"
        await_guest 600 $alpha "destroyed=20"
        figure destroy-median-us "$(guest_value $alpha destroy-median-us)"
    else
        tell_guest $alpha kills "$kills"
        tell_guest $alpha flip on
        wait_for 600 "the end of $kills programs" or_faulted guest_said $alpha "killed=$kills"
    fi
    # It flips again, with its buffers mapped.
    wait_for 300 "the last program of alpha" or_faulted guest_said $alpha "flips on"
    from=$(guest_status $alpha '.connectors[0].flips')
    wait_for 120 "flips of alpha" or_faulted flips_on
    guest_kernel_clean $alpha
    if triple_faulted "$domid"; then
        faulted=$((faulted + 1))
        say "the emulator ended $alpha: another one takes its place"
        [ "$faulted" -le 5 ] || fail "the emulator ended $faulted guests"
    else
        destroy_guest $alpha
    fi
    started=$(milliseconds)
    wait_for 60 "the end of alpha's window" guest_status_is $alpha '.name' ''
    wait_for 60 "alpha's account to be empty" no_departed
    wait_for 60 "all pages to be free" allocated_pages_are "$before"
    took=$(($(milliseconds) - started))
    [ "$took" -le "$longest" ] || longest=$took
    wait_for 60 "no zombie domain" no_zombies
done
figure guests "$rounds"
figure guests-lost-to-the-emulator "$faulted"
figure programs-killed "$(((rounds - 1) * kills))"
figure free-after-ms "$longest"
dom0_clean
stop_grantway
expect "pages allocated" "$before" "$(allocated_pages)"

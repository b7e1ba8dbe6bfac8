# SPDX-License-Identifier: GPL-3.0-or-later
cat >"$RUN/be-alloc.toml" <<'END'
[guest.greedy]
be-alloc = true
[guest.greedy.limits]
allocated-mib = 16
END
# flips_in SECONDS: how often the good guest flips in that time.
flips_in() {
    local from
    from=$(guest_status good '.connectors[0].flips')
    sleep "$1"
    echo $(($(guest_status good '.connectors[0].flips') - from))
}
available_kib() { awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo; }
start_grantway --config "$RUN/be-alloc.toml"
create_guest good good.sh 'good:320x240'
GUEST_TYPE=pvh BE_ALLOC=1 create_guest greedy greedy.sh 'greedy:640x480'
await_guest 400 good "frames=100"
wait_for 300 "the greedy guest's display" guest_status_is greedy '.state' connected
pages=$(allocated_pages)
memory=$(available_kib)
calm=$(flips_in 5)
# What another guest loses to one that only computes, on a machine of two processors.
tell_guest greedy spin now
sleep 1
figure flips-in-5-s-beside-a-busy-guest "$(flips_in 5)"
# It is slowed down to some eighty refusals a second.
tell_guest greedy hoard "$(rounds 1000 1000 10000)"
has_memory() { guest_status_is greedy '.mib_allocated > 0' true; }
wait_for 120 "memory for the greedy guest" has_memory
besieged=$(flips_in 5)
is_refused() { guest_status_is greedy '.requests_refused > 0' true; }
wait_for 120 "the first refusal" is_refused
refused=$(flips_in 5)
figure flips-in-5-s-before "$calm"
figure flips-in-5-s-beside-the-greedy "$besieged"
figure flips-in-5-s-beside-refusals "$refused"
await_guest "$(rounds 300 100 2400)" greedy "given="
# 13 buffers of 300 pages are the most within 16 MiB.
expect "buffers that it was given" 13 "$(guest_value greedy given)"
expect "pages that it was given" "$((pages + 13 * 300))" "$(allocated_pages)"
figure refused "$(guest_status greedy '.requests_refused')"
say "$(guest_status greedy '.last_refusal')"
figure held-back "$(guest_status greedy '.times_held_back')"
[ "$(guest_status greedy '.times_held_back > 0')" = true ] || fail "the greedy guest was not slowed down"
grep -q 'guest "greedy".*: slowed down' "$RESULTS/grantway.log" || fail "the log does not say that it was slowed down"
expect "times that the good guest was slowed down" 0 "$(guest_status good '.times_held_back')"
destroy_guest greedy
wait_for 60 "all pages to be free" allocated_pages_are "$pages"
wait_for 60 "its account to be empty" no_departed
wait_for 60 "no zombie domain" no_zombies
guest_kernel_clean good
for beside in "$besieged" "$refused"; do
    [ "$beside" -gt $((calm / 2)) ] || fail "the good guest flipped $calm times in 5 s, and $beside beside the greedy one"
done
if [ "$REAL" = yes ]; then
    # Where the machine is not ours alone this tells nothing.
    after=$(available_kib)
    figure memory-before-kib "$memory"
    figure memory-after-kib "$after"
    [ $((memory - after)) -lt $((memory / 100)) ] || fail "Dom0 had $memory KiB available, and has $after"
fi
dom0_clean
stop_grantway

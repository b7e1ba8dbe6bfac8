# SPDX-License-Identifier: GPL-3.0-or-later
# The helper without a guest: Dom0 grants pages to itself. The test prints TAP.
[ -x /payload/helper-selftest ] || fail "the helper's selftest was not built"

# selftest NAME [ARGUMENT]: runs it, its output as NAME.tap; every test must have run and passed.
selftest() {
    local tap=$RESULTS/$1.tap code=0
    shift
    /payload/helper-selftest "$@" >"$tap" 2>&1 || code=$?
    grep -a '^not ok' "$tap" || true
    tests() { grep -ac "$1" "$tap" || true; }
    passed=$(($(tests '^ok') - $(tests '# SKIP')))
    skipped=$(tests '# SKIP')
    expect "failed tests" 0 "$(tests '^not ok')"
    expect "the selftest's exit status" 0 "$code"
    # A plan at the end tells a test that stopped early from one that ran to its end.
    expect "tests in the plan" "$(sed -n 's/^1\.\.//p' "$tap")" "$((passed + skipped))"
}

# consecutive_frames XEN-LOG HOLD-LOG: how many of the held pages, from the first on, follow each other.
consecutive_frames() {
    local -A frames
    local ref frame first='' count=0
    while read -r ref frame; do frames[$((ref))]=$((frame)); done \
        <<<"$(sed -n 's/^.*\[\(0x[0-9a-f]*\)\] *[0-9]* \(0x[0-9a-f]*\) .*/\1 \2/p' "$1")"
    for ref in $(sed -n 's/^refs //p' "$2"); do
        frame=${frames[$ref]:-none}
        [ -n "$first" ] || first=$frame
        [ "$frame" = "$((first + count))" ] || break
        count=$((count + 1))
    done
    echo "$count"
}

mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
selftest selftest
figure selftest-passed "$passed"
figure selftest-skipped "$skipped"
dom0_clean

# The module must go, and come back; with limits that are near enough to be reached, and as if the machine's
# devices did not look into its caches.
rmmod xen_zcopy
insmod /payload/xen-zcopy.ko arena_pages=4000 max_pages=4000 max_buffers_per_file=20 \
    max_granted_pages_per_domain=256 max_granted_pages=384 assume_noncoherent=1
selftest limits limits
figure limits-passed "$passed"
expect "skipped tests of limits" 0 "$skipped"
dom0_clean

# While it is in use it stays: one buffer that a guest still maps, its owner gone.
/payload/helper-selftest hold >"$RESULTS/hold.log" 2>&1 &
holder=$!
wait_for 60 "the buffer that a guest keeps" grep -q '^held' "$RESULTS/hold.log"
all_waiting() { [ "$(awk '$1 == "0" { print $2, $3, $4 }' /sys/kernel/debug/xen-zcopy/domains)" = "1 64 64" ]; }
wait_for 60 "64 pages that wait for the guest" all_waiting
cat /sys/kernel/debug/xen-zcopy/{buffers,domains}
# Xen's own list of grants says which machine frames the guest maps: they must be consecutive.
xl dmesg -c >/dev/null
xl debug-keys g
sleep 1
xl dmesg >"$RESULTS/grants.log"
expect "machine frames of the contiguous buffer" 64 "$(consecutive_frames "$RESULTS/grants.log" "$RESULTS/hold.log")"
if rmmod xen_zcopy 2>"$RESULTS/rmmod.log"; then fail "the module was unloaded while a guest maps its pages"; fi
kill "$holder"
wait "$holder" || true
no_pages() { [ "$(awk '$1 == "all" { print $2, $3, $4 }' /sys/kernel/debug/xen-zcopy/domains)" = "0 0 0" ]; }
wait_for 60 "the end of all pages" no_pages
rmmod xen_zcopy
dom0_clean
insmod /payload/xen-zcopy.ko

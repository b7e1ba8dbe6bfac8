# SPDX-License-Identifier: GPL-3.0-or-later
# Processes that export, allocate, grant, map, fork and close are killed at random moments. Afterwards
# nothing of them is left: pages, grants, memory, a word in the kernel's log, or a reason to keep the module.
[ -x /payload/helper-stress ] || fail "the helper's stress test was not built"
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
accounts=/sys/kernel/debug/xen-zcopy

# grants: how many entries of all grant tables are in use, by Xen's own count.
grants() {
    xl dmesg -c >/dev/null
    xl debug-keys g
    sleep 1
    xl dmesg >"$RESULTS/grants-$1.log"
    grep -c '\] *[0-9]* 0x[0-9a-f]* 0x[0-9a-f]* ' "$RESULTS/grants-$1.log" || true
}
# In KiB: what user space did not take. Caches of files are not counted, they come and go.
memory() { awk '/^(MemFree|Cached|Buffers|SReclaimable):/ { sum += $2 } END { print sum }' /proc/meminfo; }
slab() { awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo; }

# A first round fills the allocators' caches and the pools that are never given back.
/payload/helper-stress 10 4 1 >"$RESULTS/warm-up.tap" 2>&1 || fail "the warm-up failed"
sync
echo 3 >/proc/sys/vm/drop_caches
grants_before=$(grants before)
memory_before=$(memory)
slab_before=$(slab)

code=0
/payload/helper-stress 60 4 >"$RESULTS/stress.tap" 2>&1 &
stress=$!
told=0
while kill -0 "$stress" 2>/dev/null; do
    sleep 5
    lines=$(wc -l <"$RESULTS/stress.tap")
    if [ "$lines" -gt "$told" ]; then say "$(tail -n 1 "$RESULTS/stress.tap")"; told=$lines; fi
done
wait "$stress" || code=$?
grep -a '^not ok' "$RESULTS/stress.tap" || true
expect "the stress test's exit status" 0 "$code"
figure kills "$(sed -n 's/^# [0-9]* s: \([0-9]*\) kills.*/\1/p' "$RESULTS/stress.tap" | tail -n 1)"

cat "$accounts/buffers" "$accounts/domains"
expect "buffers, pages and waiting pages" "0 0 0" "$(awk '$1 == "all" { print $2, $3, $4 }' "$accounts/domains")"
expect "buffers in the list" 1 "$(wc -l <"$accounts/buffers")"
sync
echo 3 >/proc/sys/vm/drop_caches
expect "grants in Xen's tables" "$grants_before" "$(grants after)"
lost=$((memory_before - $(memory)))
grown=$(($(slab) - slab_before))
figure memory-lost-kib "$lost"
figure slab-grown-kib "$grown"
[ "$lost" -lt 10240 ] || fail "$lost KiB of Dom0's memory did not come back"
[ "$grown" -lt 10240 ] || fail "the kernel's slabs have grown by $grown KiB"
dom0_clean
# What slab debugging finds, and what the grant table has to say about a page.
expect "Dom0's kernel log" "" "$(dmesg | grep -E 'BUG kmalloc|still (pending|in use)' | head -n 3 || true)"
rmmod xen_zcopy
insmod /payload/xen-zcopy.ko

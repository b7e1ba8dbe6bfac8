#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs the Wayland conformance suite on the program that is built, in as many parts at once as there are cores, and
# fails when a test of passes.txt does not pass. With --record it writes that list anew (docs/wlcs.md).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/wlcs
list=tests/wlcs/passes.txt
export GRANTWAY=$PWD/target/debug/grantway
suite=$(ls /usr/lib/*/wlcs/wlcs)
parts=$(nproc)
mkdir -p "$out"
rm -f "$out"/part-*.log
for part in $(seq 0 $((parts - 1))); do
    # How it ends says only that some tests fail, which the list knows better.
    GTEST_TOTAL_SHARDS=$parts GTEST_SHARD_INDEX=$part "$suite" target/debug/examples/libwlcs_grantway.so \
        >"$out/part-$part.log" 2>&1 || true &
done
while [ -n "$(jobs -rp)" ]; do
    sleep 5
    printf '%d tests passed, %d failed\n' "$(cat "$out"/part-*.log | grep -ac '^\[       OK')" \
        "$(cat "$out"/part-*.log | grep -acE '^\[  FAILED.* ms\)')"
done
names() { sed -E 's/^\[[^]]*\] //; s/, where GetParam.*//; s/ \([0-9]+ ms\)$//' | LC_ALL=C sort -u; }
grep -ah '^\[       OK' "$out"/part-*.log | names >"$out/passed"
grep -ahE '^\[  FAILED.* ms\)' "$out"/part-*.log | names >"$out/failed"
if [ "${1:-}" = --record ]; then cp "$out/passed" "$list"; fi
lost=$(LC_ALL=C comm -23 "$list" "$out/passed")
echo "$(wc -l <"$out/passed") tests pass, $(wc -l <"$out/failed") fail; the others are for what is not offered"
new=$(LC_ALL=C comm -13 "$list" "$out/passed" | wc -l)
if [ "$new" -gt 0 ]; then echo "$new of those that pass are not in $list: tests/wlcs/run.sh --record adds them"; fi
if [ -n "$lost" ]; then
    printf 'These have to pass, and do not (see %s):\n%s\n' "$out" "$lost"
    exit 1
fi

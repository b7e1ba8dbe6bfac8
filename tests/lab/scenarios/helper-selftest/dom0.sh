# SPDX-License-Identifier: GPL-3.0-or-later
# The helper without a guest: Dom0 grants pages to itself. The test prints TAP.
[ -x /payload/helper-selftest ] || fail "the helper's selftest was not built"
code=0
/payload/helper-selftest >"$RESULTS/selftest.tap" 2>&1 || code=$?
grep -a '^not ok' "$RESULTS/selftest.tap" || true
tests() { grep -ac "$1" "$RESULTS/selftest.tap" || true; }
figure selftest-passed "$(($(tests '^ok') - $(tests '# SKIP')))"
figure selftest-skipped "$(tests '# SKIP')"
expect "failed tests" 0 "$(tests '^not ok')"
expect "the selftest's exit status" 0 "$code"
# A plan at the end tells a test that stopped early from one that ran to its end.
expect "tests in the plan" "$(sed -n 's/^1\.\.//p' "$RESULTS/selftest.tap")" "$(($(tests '^ok') + $(tests '^not ok')))"
dom0_clean
# The module must go, and come back.
rmmod xen_zcopy
insmod /payload/xen-zcopy.ko

# SPDX-License-Identifier: GPL-3.0-or-later
[ -x "$GRANTWAY" ] || fail "the compositor was not built"
"$GRANTWAY" doctor || fail "the doctor finds something missing in a complete Dom0"
"$GRANTWAY" doctor --json >"$RESULTS/doctor.json"
rmmod xen_zcopy
code=0
"$GRANTWAY" doctor >"$RESULTS/without-helper.txt" || code=$?
insmod /payload/xen-zcopy.ko
cat "$RESULTS/without-helper.txt"
grep -q xen-zcopy "$RESULTS/without-helper.txt" || fail "the doctor does not name the helper that is missing"

# SPDX-License-Identifier: GPL-3.0-or-later
await_word 100 go
say "heard=$(word go)"
modetest -h 2>&1 | head -n 1
[ -e /bin/lab-guest ] && lab-guest 2>&1 | head -n 1
true

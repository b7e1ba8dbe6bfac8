# SPDX-License-Identifier: GPL-3.0-or-later
# The lab itself: everything else here stands on these pictures.
say "$(xl info | awk '/^xen_version/ { print "Xen", $3 }'), $(uname -r)"
xl list
expect "domains" 1 "$(xl list | awk 'NR > 1' | wc -l)"
modetest -M bochs-drm -c | sed -n '1,40p'
size=$(reference smpte-800x600 800x600)
expect "the screendump's size" "800 600" "$size"
# The pattern's first bar is three quarters of white, as SMPTE has it.
expect "the first bar" c0c0c0 "$(one_colour "$RESULTS/smpte-800x600.png" 10 10 80 200)"

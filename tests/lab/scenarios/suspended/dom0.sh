# SPDX-License-Identifier: GPL-3.0-or-later
# Up to where devices would be suspended: those of this machine include the one that its files are on, whose driver
# does not come back.
flips() { guest_status alpha '.connectors[0].flips'; }
more_flips() { [ "$(flips)" -gt "$1" ]; }
start_grantway
create_guest alpha guest.sh 'alpha-a:640x480'
await_guest 300 alpha "flipping"
echo 1 >/sys/module/suspend/parameters/pm_test_delay
echo freezer >/sys/power/pm_test
for round in 1 2 3; do
    before=$(flips)
    echo freeze >/sys/power/state || fail "the kernel does not freeze its processes"
    wait_for 30 "alpha to flip on" more_flips "$before"
done
echo none >/sys/power/pm_test
expect "freezes" 3 "$(cat /sys/power/suspend_stats/success)"
expect "events out of order" 0 "$(guest_value alpha disorder)"
expect "requests refused" 0 "$(guest_status alpha '.requests_refused')"
msg screenshot "$RESULTS/after.png"
read -r x y width height <<<"$(window alpha 0)"
[ "$(one_colour "$RESULTS/after.png" "$x" "$y" "$width" "$height")" != 000000 ] || fail "alpha's picture is not back"
end_guest alpha
stop_grantway

# SPDX-License-Identifier: GPL-3.0-or-later
cat >"$RUN/be-alloc.toml" <<'END'
[guest.alpha]
be-alloc = true
END
before=$(allocated_pages)
start_grantway --config "$RUN/be-alloc.toml"
GUEST_TYPE=pvh BE_ALLOC=1 create_guest alpha guest.sh 'alpha-a:640x480'
wait_for 400 "a picture of alpha" guest_status_is alpha '.connectors[0].format' XR24
expect "pages that an earlier compositor left" 0 "$(guest_status alpha '.pages_left_behind')"
domid=$(guest_domid alpha)
# A guest that hangs. One that runs lets go as soon as the next compositor asks its driver to begin anew.
xl pause alpha
stop_grantway KILL
# The helper has ended access by itself, and the guest still maps its buffer.
waiting_pages() { awk -v domain="$domid" '$1 == domain { print $4 }' /sys/kernel/debug/xen-zcopy/domains; }
are_waiting() { [ "$(waiting_pages)" -gt 0 ]; }
wait_for 30 "pages that wait for alpha" are_waiting
held=$(($(allocated_pages) - before))
"$GRANTWAY" doctor >"$RESULTS/doctor.txt" || true
grep -q "dom $domid: .* waiting for it" "$RESULTS/doctor.txt" || fail "the doctor does not tell what waits for alpha"
start_grantway --config "$RUN/be-alloc.toml"
left_behind() { msg status --json | jq "[.guests[], .departed[]] | map(select(.domid == $domid).pages_left_behind) | add // 0"; }
left_behind_are() { [ "$(left_behind)" = "$1" ]; }
wait_for 60 "alpha's pages in the status" left_behind_are "$held"
msg status
figure pages-left-behind "$held"
xl unpause alpha
wait_for 60 "alpha to let go" allocated_pages_are "$before"
wait_for 10 "the status to say so" left_behind_are 0
# Its program has held the card until now: when it lets go, the driver connects again.
tell_guest alpha off now
wait_for 120 "alpha's picture again" guest_status_is alpha '.connectors[0].format' XR24
end_guest alpha
wait_for 60 "all pages to be free" allocated_pages_are "$before"
wait_for 60 "no domain in the status" no_departed
wait_for 60 "no zombie domain" no_zombies
"$GRANTWAY" doctor >"$RESULTS/doctor-after.txt" || true
! grep -q "our memory in guests" "$RESULTS/doctor-after.txt" || fail "the doctor still sees pages of alpha"
dom0_clean
stop_grantway

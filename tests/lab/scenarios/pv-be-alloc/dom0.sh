# SPDX-License-Identifier: GPL-3.0-or-later
cat >"$RUN/be-alloc.toml" <<'END'
[guest.alpha]
be-alloc = true
END
start_grantway --config "$RUN/be-alloc.toml"
before=$(allocated_pages)
GUEST_TYPE=pv BE_ALLOC=1 create_guest alpha guest.sh 'alpha-a:640x480'
await_guest 400 alpha "tried="
# What its program was told: 1 is an error of its own, 135 would be SIGBUS.
say "the guest was told: $(guest_value alpha refusal)"
expect "the end of the guest's program" 1 "$(guest_value alpha tried)"
[ "$(guest_value alpha refusal)" != none ] || fail "no buffer was refused"
# Why stands where one looks: in the log when it connects, in the status, and with the doctor.
grep -q 'guest "alpha".*its buffers will be refused: the driver of a PV guest dies' "$RESULTS/grantway.log" ||
    fail "the log does not say why"
msg status
case "$(guest_status alpha '.last_refusal')" in
    *"of our memory: the driver of a PV guest dies"*) ;;
    *) fail "the status does not say why: $(guest_status alpha '.last_refusal')" ;;
esac
"$GRANTWAY" doctor >"$RESULTS/doctor.txt" || true
grep -q 'be-alloc=1 in a PV guest' "$RESULTS/doctor.txt" || fail "the doctor does not say it"
grep -q 'type="pvh"' "$RESULTS/doctor.txt" || fail "the doctor does not say what to do"
# Nothing was given, and nothing is held against the guest: it is still connected.
expect "its display" connected "$(guest_status alpha '.state')"
expect "its buffers" 0 "$(guest_status alpha '.buffers')"
expect "pages of Dom0 that guests have" "$before" "$(allocated_pages)"
figure refused "$(guest_status alpha '.requests_refused')"
# It lives. Its driver does say *ERROR* when a buffer is refused; worse must not be there.
tell_guest alpha breathe now
await_guest 60 alpha "alive"
worse=$(grep -aE 'WARNING:|BUG:|Oops|Call Trace|Unable to handle|bad page|Kernel panic' "$(guest_console alpha)" | head -n 3 || true)
[ -z "$worse" ] || fail "the guest's kernel complains: $worse"
tell_guest alpha off now
wait_for 120 "the guest's end" no_guest alpha
wait_for 60 "no zombie domain" no_zombies
dom0_clean
stop_grantway

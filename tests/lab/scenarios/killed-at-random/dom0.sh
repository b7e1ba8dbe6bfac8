# SPDX-License-Identifier: GPL-3.0-or-later
rounds=$(rounds 5 - 100)
cat >"$RUN/be-alloc.toml" <<'END'
[guest.ours]
be-alloc = true
END
start_grantway --config "$RUN/be-alloc.toml"
create_guest own own.sh 'own:320x240'
GUEST_TYPE=pvh BE_ALLOC=1 create_guest ours own.sh 'ours:320x240'
mapped_buffers_are() { [ "$(mapped_buffers)" = "$1" ]; }
both_busy() {
    [ "$(guest_status own '.buffers')" -gt 0 ] && [ "$(guest_status ours '.buffers')" -gt 0 ]
}
longest=0
for round in $(seq $rounds); do
    wait_for 300 "buffers of both guests" both_busy
    sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
    stop_grantway KILL
    started=$(milliseconds)
    # Without a compositor: the kernel alone gives back what guests granted.
    wait_for 30 "the guests' own buffers to be unmapped" mapped_buffers_are 0
    took=$(($(milliseconds) - started))
    [ "$took" -le "$longest" ] || longest=$took
    start_grantway --config "$RUN/be-alloc.toml"
done
figure rounds "$rounds"
figure longest-unmap-ms "$longest"
destroy_guest own
destroy_guest ours
wait_for 60 "no zombie domain" no_zombies
wait_for 60 "all pages to be free" allocated_pages_are 0
stop_grantway
wait_for 30 "no buffer to be mapped" mapped_buffers_are 0
dom0_clean

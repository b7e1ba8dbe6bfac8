# SPDX-License-Identifier: GPL-3.0-or-later
. "$LAB/vkms.sh"

# tenths FIGURE: that figure's system calls, in tenths.
tenths() { awk -v name="$1-calls-a-flip" '$1 == name { print int($2 * 10) }' "$RESULTS/figures"; }

# cost_of NAME FRAMES GUEST...: what a flip costs while the guests make so many frames, by the guest's own word: looking
# at the compositor would cost it something.
cost_of() {
    local name=$1 frames=$2 from
    shift 2
    from=$(guest_value alpha frames)
    wait_for 200 "alpha's next hundred frames" eval '[ "$(guest_value alpha frames)" != "'"$from"'" ]'
    from=$(guest_value alpha frames)
    count_cost "$@"
    wait_for 400 "$frames frames" eval '[ "$(guest_value alpha frames)" -ge '"$((${from:-0} + frames))"' ]'
    tell_cost "$name"
}

vkms_display 8
OUTPUT=$(basename "$(echo /sys/class/drm/"$CARD"-*-*)")
{
    printf '[backend]\ndrm-device = "/dev/dri/%s"\nscanout = "auto"\n' "$CARD"
    row=0
    for guest in alpha beta; do
        for column in 0 1 2 3; do
            printf '\n[[kiosk]]\nguest = "%s"\nconnector = "%s-%s"\noutput = "%s"\narea = "160x120+%s+%s"\n' \
                "$guest" "$guest" "$column" "${OUTPUT#"$CARD"-}" "$((20 + column * 200))" "$((20 + row * 200))"
        done
        row=$((row + 1))
    done
} >"$RUN/kiosk.toml"
start_grantway --kiosk --config "$RUN/kiosk.toml"
connectors() { for column in 0 1 2 3; do printf '%s-%s:160x120;' "$1" "$column"; done; }
create_guest beta beta.sh "$(connectors beta | sed 's/;$//')"
await_guest 300 beta "waits=yes"
create_guest alpha alpha.sh "$(connectors alpha | sed 's/;$//')"
await_guest 300 alpha "flipping=1"
await_plane alpha 0 overlay
cost_of one 400 alpha
# Eight, and what the counting itself costs.
[ "$(tenths one)" -lt 85 ] || fail "a flip on a plane costs more than eight system calls"
tell_guest alpha all now
tell_guest beta all now
await_guest 100 alpha "flipping=4"
await_guest 100 beta "flipping=4"
# One of them may have the primary plane, since nothing is below it.
on_planes() { [ "$(msg status --json | jq '[.guests[].connectors[].plane | select(. != null)] | length')" = 8 ]; }
wait_for 60 "all eight on planes" on_planes
cost_of eight 200 alpha beta
[ "$(tenths eight)" -le "$(($(tenths one) + 5))" ] || fail "a flip costs more with eight connectors than with one"
for guest in alpha beta; do
    expect "requests refused" 0 "$(guest_status "$guest" '.requests_refused')"
    end_guest "$guest"
done
expect "buffers that are still mapped" 0 "$(mapped_buffers)"
stop_grantway
vkms_gone

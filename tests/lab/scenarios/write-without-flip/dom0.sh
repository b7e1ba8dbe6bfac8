# SPDX-License-Identifier: GPL-3.0-or-later
cat >"$RUN/be-alloc.toml" <<'END'
[guest.ours]
be-alloc = true
END
# several_colours NAME: the guest flips to nothing, and is seen in at least four colours.
several_colours() {
    local name=$1 flips events x y width height colours='' shot
    flips=$(guest_status "$name" '.connectors[0].flips')
    events=$(guest_status "$name" '.connectors[0].events')
    for shot in $(seq 60); do
        # Its window is drawn anew, which tells the guest nothing.
        msg fullscreen "$name"
        msg fullscreen off
        read -r x y width height <<<"$(window "$name" 0)"
        # The compositor's own picture; one pixel, since the guest draws meanwhile.
        msg screenshot "$RESULTS/$name.png"
        colours="$colours $(one_colour "$RESULTS/$name.png" $((x + width / 2)) $((y + height / 2)) 1 1)"
        [ "$(tr ' ' '\n' <<<"$colours" | sort -u | wc -l)" -le 4 ] || break
        sleep 0.2
    done
    [ "$shot" -lt 60 ] || fail "what $name draws is not seen: $colours"
    say "$name was seen as$colours"
    expect "flips of $name" "$flips" "$(guest_status "$name" '.connectors[0].flips')"
    expect "events of $name" "$events" "$(guest_status "$name" '.connectors[0].events')"
    expect "bytes copied of $name" 0 "$(guest_status "$name" '.connectors[0].bytes_copied')"
    figure "provider-$name" "$(guest_status "$name" '.connectors[0].provider')"
    figure "import-path-$name" "$(guest_status "$name" '.connectors[0].import_path')"
}
start_grantway --config "$RUN/be-alloc.toml"
create_guest own guest.sh 'own:320x240'
GUEST_TYPE=pvh BE_ALLOC=1 create_guest ours guest.sh 'ours:320x240'
await_guest 400 own "scribbling"
await_guest 400 ours "scribbling"
several_colours own
several_colours ours
guest_kernel_clean own
guest_kernel_clean ours
dom0_clean
stop_grantway

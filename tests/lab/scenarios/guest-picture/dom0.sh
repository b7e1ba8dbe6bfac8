# SPDX-License-Identifier: GPL-3.0-or-later
reference wanted-800x600 800x600
start_grantway
create_guest alpha guest.sh 'alpha-a:800x600'
await_guest 300 alpha "reference shown"
wait_for 120 "a picture of alpha" guest_status_is alpha '.connectors[0].format' XR24
read -r x y width height <<<"$(window alpha 0)"
expect "the window's size" "800 600" "$width $height"
await_picture "alpha's window" "$x $y $width $height" wanted-800x600.png
msg status --json >"$RESULTS/status.json"
msg status
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
expect "who made the buffer" "$PROVIDER" "$(guest_status alpha '.connectors[0].provider')"
figure import-path "$(guest_status alpha '.connectors[0].import_path')"
figure bytes-copied "$(guest_status alpha '.connectors[0].bytes_copied')"
figure grants "$(guest_status alpha '.grants')"
# The guest's own picture, as the compositor has it.
msg screenshot "$RESULTS/alpha-alone.png" --guest alpha
same_picture "the screenshot of alpha" "$RESULTS/alpha-alone.png" 0 0 800 600 "$RESULTS/wanted-800x600.png"
end_guest alpha
wait_for 10 "the end of its window" guest_status_is alpha '.name' ''
wait_for 10 "no zombie domain" no_zombies
stop_grantway

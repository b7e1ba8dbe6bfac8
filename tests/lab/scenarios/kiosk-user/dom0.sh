# SPDX-License-Identifier: GPL-3.0-or-later
# The user, the rules and the folder as a package would install them.
KIOSK=/payload/kiosk
cp $KIOSK/70-grantway.rules /etc/udev/rules.d/
systemd-sysusers $KIOSK/grantway.sysusers.conf
systemd-tmpfiles --create $KIOSK/grantway.tmpfiles.conf
# The lab's own udevd looks no names up, so that it needs no users; on a machine it does.
udevadm control --exit
wait_for 120 "udevd to end" eval '! pidof systemd-udevd'
/usr/lib/systemd/systemd-udevd --daemon --resolve-names=early
udevadm trigger --action=add
udevadm settle --timeout=60
expect "who may use Xen's devices" "660 grantway 660 grantway 660 grantway 660 grantway" \
    "$(stat -c '%a %G' /dev/xen/{evtchn,gntdev,xenbus,zcopy} | tr '\n' ' ' | sed 's/ $//')"
expect "who may use the display and the input devices" "video input" \
    "$(stat -c %G /dev/dri/card0 /dev/input/event0 | tr '\n' ' ' | sed 's/ $//')"
expect "who may read the configuration" "750 root grantway" "$(stat -c '%a %U %G' /etc/grantway)"
[ "$(stat -c %a /run/xenstored/socket)" = 600 ] || say "xenstored's socket is not root's alone here"

test_picture wanted-640x480 640 480 7
SOCKET=$RUN/kiosk/control.sock
install -d -o grantway -g grantway "$RUN/kiosk"
printf '[[output]]\nname = "Virtual-1"\nmode = "1280x800"\n' >/etc/grantway/grantway.toml
chgrp grantway /etc/grantway/grantway.toml
chmod 640 /etc/grantway/grantway.toml
# not_root: the running compositor is the user, and has no capability.
not_root() {
    local status
    status=/proc/$(cat "$RUN/grantway.pid")/status
    expect "the compositor's user" "$(id -u grantway)" "$(awk '/^Uid:/ { print $3 }' "$status")"
    expect "its capabilities" 0000000000000000 "$(awk '/^CapEff:/ { print $2 }' "$status")"
    expect "those that it could get" 0000000000000000 "$(awk '/^CapBnd:/ { print $2 }' "$status")"
}
AS_USER=grantway start_grantway --config /etc/grantway/grantway.toml
not_root
guest_with_input alpha guest.sh 'alpha-a:640x480' "up"
wait_for 300 "a picture of alpha" guest_status_is alpha '.connectors[0].format' XR24
await_picture "alpha's window" "$(window alpha 0)" wanted-640x480.png
expect "who made the buffer" "$PROVIDER" "$(guest_status alpha '.connectors[0].provider')"
expect "bytes copied" 0 "$(guest_status alpha '.connectors[0].bytes_copied')"
# The emulated tablet, too, is the user's.
read -r x y width height <<<"$(window alpha 0)"
move_to $((x + width / 2)) $((y + height / 2))
click left
wait_for 60 "alpha to have the focus" eval '[ "$(msg status --json | jq -r .focus.name)" = alpha ]'
ls -l /proc/"$(cat "$RUN/grantway.pid")"/fd >"$RESULTS/descriptors"

stop_grantway KILL
started=$(milliseconds)
AS_USER=grantway start_grantway --config /etc/grantway/grantway.toml
not_root
wait_for 300 "alpha's picture" guest_status_is alpha '.connectors[0].format' XR24
figure back-ms $(($(milliseconds) - started))
await_picture "alpha's window, again" "$(window alpha 0)" wanted-640x480.png
destroy_guest alpha
wait_for 10 "no zombie domain" no_zombies
stop_grantway

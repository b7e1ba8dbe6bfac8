# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
export XDG_RUNTIME_DIR=/run/user HOME=/run LIBSEAT_BACKEND=builtin SEATD_VTBOUND=0
mkdir -m 700 "$XDG_RUNTIME_DIR"
/bin/systemd-udevd --daemon --resolve-names=never
udevadm trigger
udevadm settle --timeout=60
cat >/run/weston.ini <<'END'
[core]
idle-time=0
[shell]
background-color=0xff204060
panel-position=none
animation=none
startup-animation=none
close-animation=none
focus-animation=none
locking=false
END
# What is typed is said to Dom0, too.
cat >/run/shell <<'END'
#!/bin/sh
echo "lab: terminal" >/dev/hvc0
while read -r line; do
    echo "lab: typed=$line" >/dev/hvc0
    echo "read: $line"
done
END
chmod +x /run/shell
weston --config=/run/weston.ini --backend=drm --renderer=pixman --continue-without-input --socket=wayland-1 \
    --log=/run/weston.log &
desktop=$!
await 120 test -S "$XDG_RUNTIME_DIR/wayland-1" || { say "no Weston"; cat /run/weston.log; }
say "desktop"
WAYLAND_DISPLAY=wayland-1 weston-terminal --font-size=10 --shell=/run/shell &
await_word 900 end
kill $desktop
wait $desktop

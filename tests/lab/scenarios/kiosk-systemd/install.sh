# SPDX-License-Identifier: GPL-3.0-or-later
# docs/kiosk-service.md, before the machine boots. The program is a link, as there is no room for a copy.
KIOSK=/payload/kiosk
ln -s /payload/grantway /usr/bin/grantway
install -D -m 644 $KIOSK/grantway-kiosk.service /usr/lib/systemd/system/grantway-kiosk.service
install -D -m 644 $KIOSK/70-grantway.rules /usr/lib/udev/rules.d/70-grantway.rules
for kind in sysusers tmpfiles modules-load; do
    install -D -m 644 "$KIOSK/grantway.$kind.conf" "/usr/lib/$kind.d/grantway.conf"
done
systemd-sysusers
systemd-tmpfiles --create grantway.conf
install -m 640 -g grantway grantway.toml /etc/grantway/grantway.toml
systemctl enable grantway-kiosk
# The emulated machine takes longer than any other.
mkdir /etc/systemd/system/grantway-kiosk.service.d
printf '[Service]\nTimeoutStartSec=600\n' >/etc/systemd/system/grantway-kiosk.service.d/lab.conf

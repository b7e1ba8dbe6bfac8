#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what the Xen lab needs besides the build's own packages: the x86 system emulator, and the
# tools that make the Dom0 tree and the initramfs. As root or by sudo.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/setup/common.sh

tools=(debootstrap debian-archive-keyring busybox-static cpio zstd xz-utils kmod util-linux)
install_packages "${tools[@]}"

# The emulator must be of one build with the parts of QEMU that are installed already. (dpkg-query fails
# for those that are not.)
installed=$(dpkg-query -W -f '${db:Status-Status} ${Version}\n' qemu-utils qemu-system-common 2>/dev/null | sed -n 's/^installed //p' | head -n 1) || true
case "$installed" in
    *~bpo*)
        if [ -n "$(missing_packages qemu-system-x86)" ]; then
            ensure_suite backports
            install_packages -t "$(debian_codename)-backports" qemu-system-x86
        fi ;;
    *) install_packages qemu-system-x86 ;;
esac
say "set-up for the lab: done"

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# prepare.sh OUT: everything that a boot of the lab needs, in OUT. As root. The runner calls it.
#   GRANTWAY, LAB_GUEST     the compositor and the guests' program, as built
#   LAB_KERNEL              the kernel's series, 6.12; else the newest of backports
#   OUT/tree                link to the Dom0 tree
#   OUT/xen OUT/vmlinuz OUT/dom0.initrd
#   OUT/payload/            shared with Dom0: the guests' kernel and initramfs, the compositor, the helper
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
. "$here/in-tree.sh"
out=$1
mkdir -p "$out/payload"
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

tree=$("$here/tree.sh" | tail -n 1)
[ -d "$tree" ] || { echo "lab: the Dom0 tree was not made" >&2; exit 1; }
if [ -n "${LAB_KERNEL:-}" ]; then tree=$("$here/kernel.sh" "$tree" "$LAB_KERNEL" | tail -n 1); fi
ln -sfn "$tree" "$out/tree"
kernel=$(cat "$tree/.kernel")

# The kernel helper is compiled for Dom0's kernel, in the tree, whose compiler and headers fit it.
build_helper() {
    local sum
    sum=$(find kernel-helper -type f -not -name '*.o' -not -name '*.ko' -not -name '.*' -print0 | sort -z | xargs -0 sha256sum | cat - "$here/prepare.sh" | sha256sum)
    if [ "$(cat "$out/helper.sum" 2>/dev/null)" = "$sum $tree" ] && [ -e "$out/payload/xen-zcopy.ko" ]; then return; fi
    say "building the kernel helper for Linux $kernel"
    rm -rf "$out/helper" "$out/payload/xen-zcopy.ko" "$out/helper.sum"
    cp -r kernel-helper "$out/helper"
    in_tree "$tree" "$out/helper" sh -euc "cd /mnt && make -s clean KDIR=/lib/modules/$kernel/build && \
        make -s -j2 modules selftest STRICT=1 KDIR=/lib/modules/$kernel/build"
    cp "$out/helper/xen-zcopy.ko" "$out/payload/xen-zcopy.ko"
    cp "$out/helper/tests/selftest" "$out/payload/helper-selftest"
    cp "$out/helper/tests/stress" "$out/payload/helper-stress"
    echo "$sum $tree" >"$out/helper.sum"
}

if [ -d kernel-helper ]; then build_helper; fi

# A display with planes, built once for each kernel. Scenarios about planes fail by name where it can't be.
rm -f "$out/payload/vkms.ko"
if vkms=$("$here/vkms.sh" "$tree" | tail -n 1); then cp "$vkms" "$out/payload/vkms.ko"; fi

# Scenarios that need the compositor fail by name when it was not built.
rm -f "$out/payload/grantway"
if [ -x "${GRANTWAY:-}" ]; then cp "$GRANTWAY" "$out/payload/grantway"; fi

say "making the boot files"
[ -z "${LAB_GUEST:-}" ] || cp "$LAB_GUEST" "$out/lab-guest"
# What a kiosk's user needs on a machine.
cp -r packaging/kiosk "$out/payload/"
# Dom0's input devices are made by it, too.
[ -z "${LAB_GUEST:-}" ] || install -s "$LAB_GUEST" "$out/payload/lab-guest"
"$here/initramfs.sh" "$tree" "$out"
cp "$out/vmlinuz" "$out/guest.initrd" "$out/desktop.initrd" "$out/payload/"

#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# vkms.sh TREE: the kernel's virtual display driver, with overlay planes, for the Dom0 tree's kernel. Debian builds
# it for no kernel, but its source comes with Debian's linux-source, and builds against the headers. Prints the
# module's path on the last line. As root; prepare.sh calls it.
#
# GRANTWAY_LAB_CACHE   where packages and modules are kept; else ~/.cache/grantway-lab
set -euo pipefail
. "$(dirname "$0")/in-tree.sh"
tree=$1
cache=${GRANTWAY_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grantway-lab}
kernel=$(cat "$tree/.kernel")
series=$(echo "$kernel" | cut -d. -f1-2)
out=$cache/vkms-$kernel
work=$out.part
if [ -e "$out/vkms.ko" ]; then echo "$out/vkms.ko"; exit 0; fi
printf '\033[1m==>\033[0m %s\n' "vkms for Linux $kernel, from Debian's source" >&2

rm -rf "$work"
mkdir -p "$work"
deb=$(find "$cache/debs" -name "linux-source-${series}_*.deb" | sort -V | tail -n 1)
if [ -z "$deb" ]; then
    mkdir -p "$work/lists/partial"
    in_tree "$tree" "$work" sh -euc "cd /mnt && apt-get -q -o Dir::State::Lists=/mnt/lists update >&2
        apt-get -q -o Dir::State::Lists=/mnt/lists download linux-source-$series >&2"
    mv "$work"/linux-source-*.deb "$cache/debs/"
    deb=$(find "$cache/debs" -name "linux-source-${series}_*.deb" | sort -V | tail -n 1)
fi
# One folder of the source; its header's neighbours come with the kernel's headers.
dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/linux-source-$series.tar.xz" | xz -dc \
    | tar -x -C "$work" --strip-components=4 "linux-source-$series/drivers/gpu/drm/vkms"
in_tree "$tree" "$work" sh -euc "make -s -j2 -C /lib/modules/$kernel/build M=/mnt/vkms CONFIG_DRM_VKMS=m modules >&2"
[ -e "$work/vkms/vkms.ko" ] || { echo "lab: vkms was not built" >&2; exit 1; }
strip --strip-debug "$work/vkms/vkms.ko"
mkdir -p "$out"
mv "$work/vkms/vkms.ko" "$out/vkms.ko"
rm -rf "$work"
echo "$out/vkms.ko"

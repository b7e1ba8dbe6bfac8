#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# kernel.sh TREE SERIES: the Dom0 tree with another kernel, Debian 13's of that SERIES (6.12). Prints the new
# tree's path on the last line. It shares its files with TREE by hard links, so it takes little room and
# time, and only what is new is written. As root; prepare.sh calls it.
set -euo pipefail
. "$(dirname "$0")/in-tree.sh"
tree=$1 series=$2
new=$tree-linux-$series
work=$new.part
if [ -d "$new" ]; then echo "$new"; exit 0; fi
printf '\033[1m==>\033[0m %s\n' "the Dom0 tree with Linux $series" >&2

rm -rf "$work"
cp -al "$tree" "$work"
rm "$work/.kernel"
in_tree "$work" "" apt-get -q update >&2
# Its kernel-doc, which warnings need, is written in Perl; that of later kernels is not.
in_tree "$work" "" apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends perl >&2
kernel=$(in_tree "$work" "" apt-cache search --names-only "^linux-headers-$series[^ ]*-amd64\$" \
    | awk '{ print $1 }' | grep -v -e '-cloud-' -e '-rt-' | sort -V | tail -n 1)
kernel=${kernel#linux-headers-}
[ -n "$kernel" ] || { echo "lab: Debian 13 has no kernel $series" >&2; exit 1; }
# Unpacked, not installed: what an installation would set up, an initramfs and a boot loader, nothing here uses.
in_tree "$work" "" bash -euc '
    mkdir /tmp/kernel && cd /tmp/kernel
    parts=$(apt-cache show "linux-headers-$1" | sed -n "s/^Depends: //p" | head -n 1 | tr "," "\n" \
        | sed -n "s/^ *\(linux-\(headers\|kbuild\)-[^ ]*\).*/\1/p")
    apt-get -q download "linux-image-$1" "linux-headers-$1" $parts
    for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C /; done
    [ -f "/usr/lib/modules/$1/vmlinuz" ] || cp "/boot/vmlinuz-$1" "/usr/lib/modules/$1/vmlinuz"
    depmod "$1"
    rm -rf /tmp/kernel /var/lib/apt/lists' - "$kernel" >&2
echo "$kernel" >"$work/.kernel"
mv "$work" "$new"
echo "$new"

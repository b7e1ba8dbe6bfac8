#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# initramfs.sh TREE OUT: makes what QEMU and the guests boot from the Dom0 tree:
#   OUT/xen OUT/vmlinuz   the hypervisor (unpacked) and the kernel
#   OUT/dom0.initrd       mounts the tree under a writable layer in memory and starts the lab's init
#   OUT/guest.initrd      busybox, modetest, the front drivers and the lab's guest programs
#   OUT/desktop.initrd    unpacked over that in a guest with a desktop: Weston, and what it needs
set -euo pipefail
tree=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
kernel=$(cat "$tree/.kernel")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"

# new_root DIR: the skeleton of an initramfs with busybox in it.
new_root() {
    mkdir -p "$1"/{bin,dev,lib,lib64,proc,sys,run,tmp,modules}
    cp "$(command -v busybox)" "$1/bin/busybox"
    # The kernel opens /dev/console before our init mounts anything; init remounts it.
    ln -s busybox "$1/bin/sh"
}

# add_modules DIR NAME...: the modules and what they need, unpacked, with their order of loading.
add_modules() {
    local dir=$1 module path name
    shift
    for module in "$@"; do
        # A name that is built into the kernel has no path and needs none.
        modprobe -d "$tree" -S "$kernel" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | awk '!seen[$0]++' | while read -r path; do
        name=$(basename "$path" .xz)
        xz -dc "$path" >"$dir/modules/$name"
        echo "$name" >>"$dir/modules/order"
    done
}

# add_program DIR PATH...: programs with their libraries. They are resolved in the tree, so that they
# fit its C library.
add_program() {
    local dir=$1 program
    shift
    for program in "$@"; do
        [ -e "$tree/$program" ] || { echo "initramfs: the Dom0 tree has no $program" >&2; exit 1; }
        install -D "$tree/$program" "$dir/bin/$(basename "$program")"
        add_libraries "$dir" "$program"
    done
}

# add_libraries DIR PATH: what the dynamic linker of the tree finds for a program in the tree.
add_libraries() {
    chroot "$tree" /lib64/ld-linux-x86-64.so.2 --list "$2" | awk '/=> \// { print $3 } $1 ~ /^\// { print $1 }' \
        | while read -r library; do
            mkdir -p "$1$(dirname "$library")"
            cp -L "$tree$library" "$1$library"
        done
}

# pack DIR FILE: made without timestamps, so that the same input gives the same file.
pack() {
    (cd "$1" && find . -print0 | sort -z | cpio --quiet --null -o -H newc --reproducible -R 0:0) | gzip -1n >"$2.part"
    mv "$2.part" "$2"
}

gunzip -c "$tree/boot/xen-4.20-amd64.gz" >"$out/xen"
cp "$tree/usr/lib/modules/$kernel/vmlinuz" "$out/vmlinuz"

new_root "$scratch/dom0"
mkdir -p "$scratch/dom0"/{lower,layer,root}
cp "$here/dom0/initramfs-init" "$scratch/dom0/init"
add_modules "$scratch/dom0" 9p 9pnet_virtio overlay
pack "$scratch/dom0" "$out/dom0.initrd"

new_root "$scratch/guest"
cp "$here/guest/helpers.sh" "$scratch/guest/helpers.sh"
cp "$here/guest/init" "$scratch/guest/init"
add_modules "$scratch/guest" drm_xen_front evdev
add_program "$scratch/guest" /usr/bin/modetest /usr/bin/xenstore-read /usr/bin/xenstore-write
if [ -e "$out/lab-guest" ]; then
    # Built on this machine, whose C library is no newer than the tree's.
    install -s "$out/lab-guest" "$scratch/guest/bin/lab-guest"
    for library in libgcc_s.so.1 libc.so.6 libm.so.6; do
        cp -L "$tree/usr/lib/x86_64-linux-gnu/$library" "$scratch/guest/lib/x86_64-linux-gnu/" 2>/dev/null \
            || cp -L "$tree/usr/lib/x86_64-linux-gnu/$library" "$scratch/guest/lib/"
    done
fi
pack "$scratch/guest" "$out/guest.initrd"

# A desktop without OpenGL: Weston draws by pixman, and Mesa's drivers would be three times as large as all else.
desktop=$scratch/desktop
libraries=usr/lib/x86_64-linux-gnu
mkdir -p "$desktop/bin" "$desktop/lib64"
add_program "$desktop" /usr/bin/weston /usr/bin/weston-terminal /usr/bin/udevadm /usr/lib/systemd/systemd-udevd
for part in "$libraries"/{weston,libweston-*} usr/libexec/weston-desktop-shell usr/libexec/weston-keyboard \
    usr/share/{weston,X11/xkb,libinput,fontconfig,fonts} etc/fonts usr/lib/udev; do
    for path in "$tree"/$part; do
        path=${path#"$tree/"}
        mkdir -p "$desktop/${path%/*}"
        cp -aT "$tree/$path" "$desktop/$path"
    done
done
rm -rf "$desktop/usr/lib/udev/hwdb"* "$desktop/$libraries"/libweston-*/{rdp,vnc,pipewire,headless,x11,wayland,xwayland}*
# Weston's modules find its own library by the program that loads them.
export LD_LIBRARY_PATH=/$libraries/weston
find "$desktop/usr" -type f \( -name '*.so' -o -perm -100 \) | while read -r program; do
    program=${program#"$desktop"}
    if head -c 4 "$desktop$program" | grep -q ELF; then add_libraries "$desktop" "$program"; fi
done
unset LD_LIBRARY_PATH
find "$desktop" \( -name 'libLLVM*' -o -name 'libgallium*' \) -delete
pack "$desktop" "$out/desktop.initrd"

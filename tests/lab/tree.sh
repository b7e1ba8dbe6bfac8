#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the Dom0 tree of the Xen lab: Debian 13 with Xen, the newest kernel of backports and the
# programs that the scenarios use. QEMU shares it read-only with Dom0 as its root.
#
# Prints the tree's path on the last line. Every step that is done is kept: a broken run goes on
# where it stopped, and a finished tree is found at once. As root.
#
# GRANTWAY_LAB_CACHE   where trees and packages are kept; else ~/.cache/grantway-lab
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/setup/common.sh
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

suite=trixie
cache=${GRANTWAY_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grantway-lab}

packages=(
    # An init's tools, and what the module build needs.
    kmod udev procps gcc libc6-dev make strace
    # Xen: its tools, the hypervisor.
    xen-utils-4.20 xen-hypervisor-4.20-amd64
    # The libraries of the compositor.
    libinput10 libseat1 libgbm1 libdrm2 libudev1 libpixman-1-0 libxkbcommon0 xkb-data libegl1
    libgles2 libwayland-server0 libgl1-mesa-dri libegl-mesa0
    # Programs of the scenarios.
    libdrm-tests evtest edid-decode cpio jq
    # A guest's desktop.
    weston fonts-dejavu-core
)

# A tree is named after its recipe, so that a changed recipe makes a new one.
recipe=$(sha256sum "$0" | cut -c1-12)
tree=$cache/dom0-$suite-$recipe
work=$tree.part
debs=$cache/debs
mkdir -p "$debs"

# Two runs at once (two clones on one machine) must not build one tree twice.
exec 9>"$cache/lock"
if ! flock -n 9; then
    say "another run builds a tree in $cache: waiting for it"
    flock 9
fi

if [ -d "$tree" ]; then
    echo "$tree"
    exit 0
fi

[ "$(id -u)" -eq 0 ] || die "the Dom0 tree needs root rights to build (debootstrap)"

# Runs a command in the tree, with the mounts that package scripts want; the mounts vanish with it.
in_tree() {
    unshare --mount --propagation private bash -euc '
        root=$1; shift
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount --rbind /dev "$root/dev"
        mount --bind "$0" "$root/var/cache/apt/archives"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive "$@"
    ' "$debs" "$work" "$@" 9>&-
}

# Step 1: Debian's base. debootstrap cannot go on after a break, but its downloads are kept.
bootstrap() {
    local mirror
    mirror=$(debian_mirror)
    rm -rf "$work"
    say "the Dom0 tree, step 1 of 4: the base of Debian ($suite), about a minute"
    debootstrap --variant=minbase --keyring="${mirror#*|}" --cache-dir="$debs" \
        --include=ca-certificates "$suite" "$work" "${mirror%%|*}" | sed -u 's/^/    /' >&2
    # The tree's own package manager: the machine's mirror, proxies and checks; nothing starts.
    printf 'deb %s %s main\n' "${mirror%%|*}" "$suite" "${mirror%%|*}" "$suite-backports" \
        >"$work/etc/apt/sources.list"
    { apt-config dump Acquire::http; apt-config dump Acquire::https; apt-config dump Acquire::Check; } \
        | grep -E '::(Proxy|Check-[A-Za-z-]*|Verify-[A-Za-z]*) ' >"$work/etc/apt/apt.conf.d/90machine" || true
    cp /etc/resolv.conf "$work/etc/resolv.conf" 2>/dev/null || true
    cat >"$work/etc/apt/apt.conf.d/91lab" <<'CONF'
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
CONF
    rm -f "$work/etc/apt/apt.conf.d/docker-clean"
    mkdir -p "$work/etc/dpkg/dpkg.cfg.d"
    printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n' \
        >"$work/etc/dpkg/dpkg.cfg.d/lab"
    printf '#!/bin/sh\nexit 101\n' >"$work/usr/sbin/policy-rc.d"
    chmod +x "$work/usr/sbin/policy-rc.d"
    touch "$work/.bootstrapped"
}

# Step 2: the programs and libraries.
programs() {
    say "the Dom0 tree, step 2 of 4: Xen, libraries and programs, about a minute"
    in_tree apt-get -q update >&2
    in_tree apt-get -q -y install "${packages[@]}" | sed -u 's/^/    /' >&2
    touch "$work/.programs"
}

# Step 3: the newest kernel of backports. Its parts are named one by one, because the package that
# names them all wants an initramfs generator, which nothing here uses.
kernel() {
    local version
    version=$(in_tree apt-cache show "linux-headers-amd64/$suite-backports" \
        | sed -n 's/^Depends:.*linux-headers-\([0-9][^ ,]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || die "$suite-backports names no kernel"
    say "the Dom0 tree, step 3 of 4: Linux $version"
    in_tree apt-get -q -y install -t "$suite-backports" \
        "linux-base-$version" "linux-binary-$version" "linux-modules-$version" "linux-headers-$version" \
        | sed -u 's/^/    /' >&2
    echo "$version" >"$work/.kernel"
}

# Step 4: what Dom0 needs to find at boot, and less weight.
finish() {
    say "the Dom0 tree, step 4 of 4: finishing"
    mkdir -p "$work/lab" "$work/payload"
    rm -rf "$work/usr/share/doc" "$work/usr/share/man" "$work/usr/share/locale" "$work/var/lib/apt/lists"
    echo lab >"$work/etc/hostname"
    printf '127.0.0.1 localhost lab\n' >"$work/etc/hosts"
    mv "$work" "$tree"
}

[ -f "$work/.bootstrapped" ] || bootstrap
[ -f "$work/.programs" ] || programs
[ -f "$work/.kernel" ] || kernel
finish
echo "$tree"

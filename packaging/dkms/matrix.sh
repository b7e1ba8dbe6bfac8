#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the kernel helper, as its users do: by dkms, on Debian, for Debian's kernels: 6.1 (Debian 12), 6.12
# (Debian 13) and the newest of Debian 13's backports. Those of Debian 13 are cross-compiled for ARM64, too: it
# has no PV domains, and nothing of what is for these alone may get in there. Every warning is an error. Then
# the kernel's own style check, and sparse where the kernel's headers can run it.
#
# Debian lives in cached trees; the first run makes them, which takes minutes. A mirror that has no kernel for
# ARM64 makes a tree without it: each run names what was left out, up to its last line. As root.
#
# GRANTWAY_LAB_CACHE   where the trees are kept; else ~/.cache/grantway-lab
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/setup/common.sh

cache=${GRANTWAY_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/grantway-lab}
debs=$cache/debs
logs=target/helper-matrix
name=xen-zcopy
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kernel-helper/dkms.conf)
packages=(dkms kmod gcc libc6-dev make perl sparse xz-utils)

# in_tree TREE COMMAND...: a command in a tree. What a build writes lies in memory and vanishes with it.
in_tree() {
    unshare --mount --propagation private bash -euc '
        root=$1 debs=$2 source=$3; shift 3
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind "$debs" "$root/var/cache/apt/archives"
        mkdir -p "$root/var/lib/dkms" "$root/usr/src/$0"
        mount -t tmpfs dkms "$root/var/lib/dkms"
        mount --bind "$source" "$root/usr/src/$0"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive "$@"
    ' "$name-$version" "$1" "$debs" "$PWD/$logs/source" "${@:2}" 9>&-
}

# kernel_of TREE RELEASE ARCHITECTURE: the kernel that the release's headers are for; nothing where it has none.
kernel_of() {
    { in_tree "$1" apt-cache show "linux-headers-$3:$3/$2" || true; } \
        | sed -n 's/^Depends:.*linux-headers-\([0-9][^ ,]*\).*/\1/p' | head -n 1
}

# Debian itself, with the machine's mirror, proxies and checks.
bootstrap() {
    local work=$1 suite=$2 mirror site keyring
    mirror=$(debian_mirror)
    site=${mirror%%|*} keyring=${mirror#*|}
    # A machine's own keyring may be older than the other release.
    [ -f /usr/share/keyrings/debian-archive-keyring.gpg ] && keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    debootstrap --variant=minbase --keyring="$keyring" --cache-dir="$debs" --include=ca-certificates \
        "$suite" "$work" "$site" | sed -u 's/^/    /'
    printf "deb $site %s main\n" "$suite" "$suite-backports" >"$work/etc/apt/sources.list"
    { apt-config dump Acquire::http; apt-config dump Acquire::https; apt-config dump Acquire::Check; } \
        | grep -E '::(Proxy|Check-[A-Za-z-]*|Verify-[A-Za-z]*) ' >"$work/etc/apt/apt.conf.d/90machine" || true
    cp /etc/resolv.conf "$work/etc/resolv.conf" 2>/dev/null || true
    printf 'APT::Install-Recommends "false";\nAPT::Keep-Downloaded-Packages "true";\nAcquire::Languages "none";\n' \
        >"$work/etc/apt/apt.conf.d/91matrix"
    mkdir -p "$work/etc/dpkg/dpkg.cfg.d"
    printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' \
        >"$work/etc/dpkg/dpkg.cfg.d/matrix"
    printf '#!/bin/sh\nexit 101\n' >"$work/usr/sbin/policy-rc.d"
    chmod +x "$work/usr/sbin/policy-rc.d"
}

# install_headers WORK RELEASE KERNEL ARCHITECTURE
install_headers() {
    local package=linux-headers-$3:$4
    if [ "$4" = amd64 ] || [ "$2" = trixie-backports ]; then
        in_tree "$1" apt-get -q -y install -t "$2" "$package"
        return
    fi
    # Debian 13's own want a compiler that runs on ARM64. They are unpacked beside one that makes code for it.
    in_tree "$1" apt-get -q -y install -t "$2" gcc-aarch64-linux-gnu "linux-headers-${3%-*}-common" "linux-kbuild-${3%-*}" \
        && in_tree "$1" bash -euc '
            cd /var/cache/apt/archives
            apt-get -q download "$1/$2"
            dpkg-deb --fsys-tarfile "$(ls -t "${1%:*}"_*.deb | head -n 1)" | tar -x -C / --keep-directory-symlink' - "$package" "$2"
}

# headers WORK RELEASE ARCHITECTURE: the headers of a kernel, noted for the builds. Another architecture than
# this machine's may be missing on its mirror, which is noted instead.
headers() {
    local kernel
    kernel=$(kernel_of "$1" "$2" "$3")
    if [ -n "$kernel" ] && install_headers "$1" "$2" "$kernel" "$3" | sed -u 's/^/    /'; then
        echo "$3 $kernel" >>"$1/.kernels"
    elif [ "$3" = amd64 ]; then
        die "the headers of $2's kernel can't be had from this machine's mirror"
    else
        echo "    no headers of a kernel for $3 can be had from $2"
        echo "$2's kernel for $3" >>"$1/.missing"
    fi
}

# checkpatch.pl comes with the kernel's source only.
style_check() {
    local source
    source=$(in_tree "$1" apt-cache show "linux-source/$2" | sed -n 's/^Depends:.*\(linux-source-[0-9.]*\).*/\1/p' | head -n 1)
    in_tree "$1" bash -euc '
        cd /var/cache/apt/archives
        apt-get -q download "$1/$2" && mkdir -p /checkpatch && cd /checkpatch
        dpkg-deb --fsys-tarfile "$(ls -t /var/cache/apt/archives/"$1"_*.deb | head -n 1)" | tar -xO "./usr/src/$1.tar.xz" \
            | tar -xJ --wildcards --strip-components=2 "*/scripts/checkpatch.pl" "*/scripts/spelling.txt" "*/scripts/const_structs.checkpatch"
    ' - "$source" "$2"
}

# make_tree SUITE: prints nothing; the tree is $cache/matrix-SUITE-RECIPE afterwards.
make_tree() {
    local suite=$1 tree=$cache/matrix-$1-$recipe work=$cache/matrix-$1-$recipe.part
    [ ! -d "$tree" ] || return 0
    say "Debian ($suite) with its kernels' headers: once, some minutes"
    rm -rf "$work"
    bootstrap "$work" "$suite"
    if [ "$suite" = trixie ]; then in_tree "$work" dpkg --add-architecture arm64; fi
    in_tree "$work" apt-get -q update
    in_tree "$work" apt-get -q -y install "${packages[@]}" | sed -u 's/^/    /'
    : >"$work/.missing"
    headers "$work" "$suite" amd64
    if [ "$suite" = trixie ]; then
        headers "$work" trixie-backports amd64
        headers "$work" trixie arm64
        headers "$work" trixie-backports arm64
        style_check "$work" trixie-backports
    fi
    mv "$work" "$tree"
}

# cross TREE KERNEL: for ARM64, with sparse in the same go. No code and no symbol of PV domains may be in there.
cross() {
    in_tree "$1" bash -euc '
        cp -r "/usr/src/$1" /var/lib/dkms/build
        cd /var/lib/dkms/build
        make KDIR="/lib/modules/$2/build" STRICT=1 C=2 ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-
        aarch64-linux-gnu-readelf -h xen-zcopy.ko | grep "Machine: *AArch64"
        if [ -e pvmap.o ] || aarch64-linux-gnu-nm xen-zcopy.ko | grep -E "xzc_pv_|xzc_umap_|arbitrary_virt_to|pfn_to_mfn"; then
            echo "the module for ARM64 has code for PV domains"
            exit 1
        fi' - "$name-$version" "$2"
}

# build TREE ARCHITECTURE KERNEL
build() {
    local tree=$1 architecture=$2 kernel=$3 log=$logs/$3.log begin=$SECONDS
    if [ "$architecture" = amd64 ]; then
        in_tree "$tree" bash -euc 'export STRICT=1; dkms add "$1/$2" && dkms build "$1/$2" -k "$3" --force; cat "/var/lib/dkms/$1/$2/$3"/*/log/make.log' \
            - "$name" "$version" "$kernel" >"$log" 2>&1
    else
        cross "$tree" "$kernel" >"$log" 2>&1
    fi || { tail -n 30 "$log"; die "the helper does not build for Linux $kernel; $log"; }
    # The strict build's own proof: without it a warning would pass.
    grep -q 'W=1 KCFLAGS=-Werror' "$log" || die "$kernel: the build was not a strict one; $log"
    echo "built    $kernel ($((SECONDS - begin)) s)"
}

# sparse TREE ARCHITECTURE KERNEL: backports' headers lack a script that the check needs.
sparse() {
    local log=$logs/$3.log
    if [ "$2" = amd64 ]; then
        log=$logs/$3.sparse.log
        in_tree "$1" bash -uc 'cp -r "/usr/src/$1" /var/lib/dkms/build && make -C /var/lib/dkms/build C=2 KDIR="/lib/modules/$2/build"' \
            - "$name-$version" "$3" >"$log" 2>&1 || { tail -n 20 "$log"; die "sparse cannot run on Linux $3; $log"; }
    fi
    if grep -q 'sparse is not available' "$log"; then echo "no sparse for $3: its headers cannot run it"; return; fi
    if grep -E '(warning|error):' "$log"; then die "sparse complains on Linux $3; $log"; fi
    echo "sparse   $3: clean"
}

# The version tests of compat.h are meant; a name in angle brackets is no mention of the file's own.
checkpatch() {
    in_tree "$1" bash -euc 'cd "/usr/src/$1" && perl /checkpatch/checkpatch.pl --no-tree --strict --terse --show-types \
        --ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON,EMBEDDED_FILENAME -f *.c *.h include/uapi/*.h' - "$name-$version" \
        >"$logs/checkpatch.log" 2>&1 || { grep -v '^total:' "$logs/checkpatch.log"; die "checkpatch complains"; }
    echo "checkpatch --strict: clean"
}

# A mistake in the man page's markup; a machine without groff has no man pages either.
man_page() {
    command -v groff >/dev/null || { echo "no groff: the man page is not checked"; return; }
    groff -man -Tutf8 -ww kernel-helper/xen-zcopy.4 2>&1 >/dev/null | tee "$logs/man.log"
    [ ! -s "$logs/man.log" ] || die "groff complains about the man page"
    echo "man page: clean"
}

# A tree is named after what made it, so that a changed recipe makes a new one.
recipe=$({ declare -f bootstrap kernel_of install_headers headers style_check make_tree; echo "${packages[*]}"; } | sha256sum | cut -c1-12)

[ "$(id -u)" -eq 0 ] || die "the kernel matrix needs root rights (debootstrap, chroot)"
mkdir -p "$debs/partial" "$logs"
rm -rf "$logs/source"
cp -r kernel-helper "$logs/source"
rm -f "$logs/source"/{*.o,*.ko,*.mod*}
exec 9>"$cache/matrix.lock"
flock 9
built=0
missing=()

for suite in bookworm trixie; do
    make_tree "$suite"
    tree=$cache/matrix-$suite-$recipe
    while read -r architecture kernel; do
        build "$tree" "$architecture" "$kernel" </dev/null
        sparse "$tree" "$architecture" "$kernel" </dev/null
        built=$((built + 1))
    done <"$tree/.kernels"
    while read -r kernel; do
        echo "SKIPPED  $kernel: the mirror had none when the tree was made; to try again: rm -r $tree" >&2
        missing+=("$kernel")
    done <"$tree/.missing"
done
checkpatch "$tree"
man_page
if [ ${#missing[@]} -gt 0 ]; then
    say "the helper builds for $built kernels; NOT TRIED, for want of their headers: $(IFS=,; echo "${missing[*]}")"
else
    say "the helper builds for all $built kernels"
fi

# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by the scripts that run something in a Dom0 tree, whose compiler and headers fit its kernel.

# in_tree TREE FOLDER COMMAND...: runs a command in the tree, as root, with FOLDER (or nothing, if it is empty) as /mnt.
# The mounts vanish with it.
in_tree() {
    unshare --mount --propagation private bash -euc '
        tree=$1 folder=$2
        shift 2
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        [ -z "$folder" ] || mount --bind "$folder" "$tree/mnt"
        exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
    ' - "$@"
}

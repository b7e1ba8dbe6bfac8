# SPDX-License-Identifier: GPL-3.0-or-later
# Shared by the set-up scripts: messages, root rights and Debian's package sources. Sourced by bash.
# No mirror is named here: every address comes from the machine's own apt configuration.

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

# Runs a command as root: directly, or by sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root rights are needed for: $* (run this as root, or install sudo)"
    fi
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }

# Debian's code name of this machine; ends the script on anything but Debian 12 and 13.
debian_codename() {
    local ID='' VERSION_CODENAME=''
    # shellcheck disable=SC1091
    . /etc/os-release
    case "$ID/$VERSION_CODENAME" in
        debian/bookworm | debian/trixie) echo "$VERSION_CODENAME" ;;
        *) die "this is ${ID:-an unknown system} ${VERSION_CODENAME:-}, and packages are installed for Debian 12 and 13 only; install the packages that $0 names by hand" ;;
    esac
}

# The names among the arguments whose packages are not installed.
missing_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

apt_updated=
# Refreshes the package lists, at most once in a run unless "again" is given.
apt_update() {
    if [ -z "$apt_updated" ] || [ "${1:-}" = again ]; then
        say "refreshing the package lists"
        apt_get update || return
        apt_updated=yes
    fi
}

# Lines "address|keyring" of the sources that serve component main of release $1.
apt_sites() {
    apt-get indextargets --format '$(SITE)|$(SIGNED_BY)|$(RELEASE)|$(COMPONENT)' 2>/dev/null \
        | awk -F'|' -v release="$1" '$3 == release && $4 == "main" && !seen[$1]++ { print $1 "|" $2 }'
}

# The mirror that this machine's own release comes from, as "address|keyring". A mirror list is
# resolved to its first address, because debootstrap takes addresses only.
debian_mirror() {
    local codename line site keyring
    codename=$(debian_codename)
    line=$(apt_sites "$codename" | grep -v '^cdrom:' | head -n 1)
    if [ -z "$line" ]; then
        apt_update >&2
        line=$(apt_sites "$codename" | grep -v '^cdrom:' | head -n 1)
    fi
    [ -n "$line" ] || die "apt has no source for $codename main; add one to /etc/apt and try again"
    site=${line%%|*} keyring=${line#*|}
    case "$site" in
        mirror+file:*)
            site=$(awk '!/^#/ && NF { print $1; exit }' "${site#mirror+file:}")
            [ -n "$site" ] || die "the mirror list that apt uses for $codename is empty" ;;
    esac
    # A key that is written out in the source itself is no file; Debian's own keyring is the same.
    [ -f "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "${site%/}|$keyring"
}

# Makes suite "backports" or "security" of this release available to apt, from the same mirror.
# Backports upgrade nothing: apt takes a package from there only when told to.
ensure_suite() {
    local suite mirror site file
    suite=$(debian_codename)-$1
    if [ -n "$(apt_sites "$suite")" ]; then
        apt_update
        return
    fi
    mirror=$(debian_mirror)
    site=${mirror%%|*}
    # Mirrors carry security updates beside the release, the other suites within it.
    [ "$1" != security ] || site=$site-security
    file=/etc/apt/sources.list.d/grantway-$1.sources
    say "adding $suite to apt ($file)"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
        "$site" "$suite" "${mirror#*|}" | as_root tee "$file" >/dev/null
    if ! apt_update again || [ -z "$(apt_sites "$suite")" ]; then
        as_root rm -f "$file"
        die "$site has no $suite; add a source for it to /etc/apt and try again"
    fi
}

# Installs what is missing of the packages named; "-t SUITE" in front takes them from that suite.
install_packages() {
    local suite=() missing
    if [ "$1" = -t ]; then suite=(-t "$2"); shift 2; fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    debian_codename >/dev/null
    apt_update
    say "installing ${#missing[@]} packages: ${missing[*]}"
    apt_get install -y --no-install-recommends "${suite[@]}" "${missing[@]}"
}

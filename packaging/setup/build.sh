#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what a build and `cargo test` need on Debian 12 or 13: libraries, and a Rust toolchain
# where there is none. As root or by sudo; a second run finds everything in place and ends at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/setup/common.sh

libraries=(
    libxkbcommon-dev libinput-dev libseat-dev libudev-dev libgbm-dev libdrm-dev libpixman-1-dev
    libegl-dev libgles-dev libwayland-dev
)
tools=(pkg-config gcc libc6-dev ca-certificates)
# What the tests need at run time: a software renderer without a GPU, a judge for our EDIDs, and what the
# scenarios' scripts call.
runtime=(libegl-mesa0 libgl1-mesa-dri edid-decode jq procps util-linux)

# The oldest Rust that the manifest allows.
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# True when the toolchain on PATH or of rustup is new enough.
rust_is_new_enough() {
    local have
    have=$(PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" rustc --version 2>/dev/null | awk '{ print $2 }')
    PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" cargo --version >/dev/null 2>&1 || return 1
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}

install_packages "${libraries[@]}" "${tools[@]}" "${runtime[@]}"

if ! rust_is_new_enough; then
    codename=$(debian_codename)
    case "$codename" in
        trixie)
            ensure_suite backports
            toolchain=(-t trixie-backports rustc cargo rust-clippy rustfmt) ;;
        *)
            # Debian 12 gets a newer Rust for its browsers, by security updates. It has no clippy.
            ensure_suite security
            toolchain=(rustc-web cargo-web rustfmt-web)
            # The two exclude each other, and what is installed is not ours to remove.
            [ -n "$(missing_packages rustc)" ] \
                || die "Rust $wanted or newer is needed, and Debian's older rustc is installed; this replaces it: apt-get install ${toolchain[*]}" ;;
    esac
    say "installing Rust: ${toolchain[*]}"
    # Not only what is missing: an older toolchain is brought up to date by this.
    apt_get install -y --no-install-recommends "${toolchain[@]}"
    rust_is_new_enough || die "Rust $wanted or newer is needed, and an older one comes first on PATH: $(command -v rustc); bring it up to date, with rustup: rustup update"
fi
say "set-up for the build: done"

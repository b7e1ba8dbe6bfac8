// SPDX-License-Identifier: GPL-3.0-or-later
//! Our own protocol as code, generated from `protocols/wayland`.
#![allow(unsafe_code, missing_docs, non_upper_case_globals, unused_imports, clippy::all, clippy::pedantic)]
#![allow(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use smithay::reexports::wayland_server;
use smithay::reexports::wayland_server::protocol::*;

mod __interfaces {
    use smithay::reexports::wayland_server::backend as wayland_backend;
    use smithay::reexports::wayland_server::protocol::__interfaces::*;
    wayland_scanner::generate_interfaces!("protocols/wayland/grantway-guest-displays-v1.xml");
}
use self::__interfaces::*;

wayland_scanner::generate_server_code!("protocols/wayland/grantway-guest-displays-v1.xml");

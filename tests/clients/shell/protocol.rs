// SPDX-License-Identifier: GPL-3.0-or-later
//! The compositor's own protocol, as a client has it.
#![allow(unsafe_code, missing_docs, non_upper_case_globals, unused_imports, clippy::all, clippy::pedantic)]
#![allow(unreachable_pub, clippy::as_conversions)]

use wayland_client;
use wayland_client::protocol::*;

mod __interfaces {
    use wayland_client::backend as wayland_backend;
    use wayland_client::protocol::__interfaces::*;
    wayland_scanner::generate_interfaces!("protocols/wayland/grantway-guest-displays-v1.xml");
}
use self::__interfaces::*;

wayland_scanner::generate_client_code!("protocols/wayland/grantway-guest-displays-v1.xml");

// SPDX-License-Identifier: GPL-3.0-or-later
//! The device halves of the protocols: against models of what they talk with, against guests that are hostile or
//! random, and against Xen's own headers.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]
#![cfg(feature = "sim")]

mod displif {
    mod common;
    mod device;
    mod edid;
    mod hostile;
    mod properties;
    mod session;
}

mod kbdif {
    mod common;
    mod device;
    mod properties;
    mod session;
    mod wheel;
}

mod layout;

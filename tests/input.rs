// SPDX-License-Identifier: GPL-3.0-or-later
//! Input routing as a whole, without a guest and without a device: who is told what.
#![cfg(feature = "compositor")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "input/desk.rs"]
mod desk;
#[path = "input/geometry.rs"]
mod geometry;
#[path = "input/holding.rs"]
mod holding;
#[path = "input/properties.rs"]
mod properties;
#[path = "input/routing.rs"]
mod routing;

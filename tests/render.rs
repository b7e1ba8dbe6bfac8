// SPDX-License-Identifier: GPL-3.0-or-later
//! What is drawn: every pixel format by every renderer, the headless outputs, and the scene's look.
#![cfg(feature = "compositor")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "render/fitting.rs"]
mod fitting;
#[path = "render/formats.rs"]
mod formats;
#[path = "render/kiosk.rs"]
mod kiosk;
#[path = "render/layout.rs"]
mod layout;
#[path = "render/moving.rs"]
mod moving;
#[path = "render/outputs.rs"]
mod outputs;
#[path = "render/pacing.rs"]
mod pacing;
#[path = "render/scene.rs"]
mod scene;
#[path = "render/sizing.rs"]
mod sizing;
#[path = "render/smooth.rs"]
mod smooth;
#[path = "render/spoofing.rs"]
mod spoofing;
#[path = "render/stopped.rs"]
mod stopped;
#[allow(unsafe_code, reason = "maps memory that stands for a guest's")]
#[path = "render/support.rs"]
mod support;
#[path = "render/tiling.rs"]
mod tiling;
#[path = "render/workspaces.rs"]
mod workspaces;

// SPDX-License-Identifier: GPL-3.0-or-later
//! Grantway: a Wayland compositor for Xen that is itself the PV display backend.
//!
//! The modules are listed in the order in which data flows from a guest to a display; ARCHITECTURE.md
//! draws the flow, and `tests/architecture.rs` enforces who may import whom.

pub mod time;

pub mod xen;

pub mod displif;

pub mod kbdif;

pub mod buffer;

#[cfg(feature = "compositor")]
pub mod scene;

#[cfg(feature = "compositor")]
pub mod frame;

#[cfg(feature = "compositor")]
pub mod backend;

#[cfg(feature = "compositor")]
pub mod input;

#[cfg(feature = "compositor")]
pub mod wayland;

#[cfg(feature = "compositor")]
pub mod guest;

#[cfg(feature = "compositor")]
pub mod config;

#[cfg(feature = "compositor")]
pub mod control;

#[cfg(feature = "compositor")]
pub mod logging;

#[cfg(feature = "compositor")]
pub mod doctor;

#[cfg(feature = "compositor")]
pub mod cli;

#[cfg(feature = "compositor")]
pub mod state;

#[cfg(feature = "compositor")]
pub mod event_loop;

#[cfg(feature = "compositor")]
pub mod startup;

#[cfg(all(feature = "compositor", feature = "sim"))]
pub mod demo;

#[cfg(feature = "sim")]
pub mod sim;

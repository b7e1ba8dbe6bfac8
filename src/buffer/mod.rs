// SPDX-License-Identifier: GPL-3.0-or-later
//! From granted pages to what a renderer or a plane takes.

#[allow(unsafe_code, reason = "maps dma-bufs for the CPU")]
pub mod memory;

// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated hypervisor and its guests.
//!
//! The hypervisor lives in the compositor's process and loop: no threads, and nothing blocks. Guests are
//! processes of their own, which may be killed. Their memory is a memfd, their event channels are eventfds, their
//! grant table has the true layout, and xenstored speaks the true protocol.

mod allocations;
mod channels;
pub mod control;
pub mod display_front;
pub mod front;
mod grants;
pub mod hostile;
mod hypervisor;
pub mod keyboard_front;
mod memory;
#[allow(unsafe_code, reason = "takes over descriptors that came over a socket")]
mod os;
pub mod pattern;
mod toolstack;
mod udmabuf;
mod xenbus_device;
mod xenstored;

pub use grants::ReleasePolicy;
pub use hypervisor::Hypervisor;
pub use memory::{GRANT_FRAMES, GRANTS, GrantEntry, GrantTable, gtf};

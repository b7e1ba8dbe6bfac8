// SPDX-License-Identifier: GPL-3.0-or-later
//! Where a domain meets a window: the only module that knows both.
//!
//! [`registry`] decides which displays exist, [`link`] is one connected display, [`keyboards`] are the input devices,
//! [`buffers`] holds what a guest has granted or was granted, [`accounts`] sums it up for each domain, and [`policy`]
//! says who a guest is and what it may.

use std::fmt;
use std::time::Duration;

use crate::backend::Presentation;
use crate::displif::FlipSerial;
use crate::displif::rate::Bucket;
use crate::scene::Scene;
use crate::time::Time;
use crate::xen::DomId;
use crate::xen::evtchn::EventChannels;
use crate::xen::grants::Grants;

pub mod accounts;
pub mod allocation;
pub mod buffers;
mod follow;
mod keyboard_link;
pub mod keyboards;
pub mod link;
pub mod pairing;
pub mod policy;
pub mod registry;

/// Names one vdispl device: its domain, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey {
    /// The frontend's domain.
    pub domid: DomId,
    /// The device's number within the domain.
    pub device: u32,
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dom {} vdispl {}", self.domid, self.device)
    }
}

/// Names one connection of a device; a device that reconnects gets a new one, so that what is late from the
/// old connection reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A flip that waits to be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlipToken {
    /// Whose flip.
    pub link: LinkId,
    /// On which of its connectors.
    pub connector: usize,
    /// Which flip.
    pub flip: FlipSerial,
}

/// What a display needs of the rest of the product while it works. No call here blocks.
#[expect(missing_debug_implementations, reason = "borrows of trait objects")]
pub struct Context<'a> {
    /// The grant drivers.
    pub grants: &'a mut dyn Grants,
    /// The event channel driver.
    pub channels: &'a mut dyn EventChannels,
    /// The displays.
    pub presentation: &'a mut dyn Presentation,
    /// What each domain holds.
    pub accounts: &'a mut accounts::Accounts,
    /// What is where.
    pub scene: &'a mut Scene,
    /// Filled with the flips that have to be paced, with the window that shows each.
    pub flips: &'a mut Vec<(crate::scene::WindowId, FlipToken)>,
    /// The present time.
    pub now: Time,
}

/// What the comings and goings of one device may cause in the log: 30 lines a minute, 10 of them at once.
fn log_bucket() -> Bucket {
    Bucket::new(30, Duration::from_secs(60), 10)
}

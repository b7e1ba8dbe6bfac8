// SPDX-License-Identifier: GPL-3.0-or-later
//! What one guest's input device may make us do, in one place.

use std::time::Duration;

/// Limits of one input device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events that wait while the guest's page is full. Beyond it motion and presses are dropped; releases
    /// are kept apart from it, and are bounded by what is held.
    pub queue: usize,
    /// Fingers at once.
    pub contacts: u8,
    /// Least time between two notifies that bring nothing but motion; what comes meanwhile is merged.
    pub motion_interval: Duration,
    /// How often a page that is full, or makes no sense, is looked at again without being told to; doubled up
    /// to a second.
    pub retry: Duration,
    /// Notifies of the guest a second that are attended to at once.
    pub wakeups_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 256,
            contacts: 10,
            motion_interval: Duration::from_millis(4),
            retry: Duration::from_millis(20),
            wakeups_per_second: 1000,
        }
    }
}

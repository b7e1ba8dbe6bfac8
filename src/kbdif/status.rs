// SPDX-License-Identifier: GPL-3.0-or-later
//! What a session tells of itself.

use super::Capabilities;

/// Figures of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStatus {
    /// What the guest takes.
    pub capabilities: Capabilities,
    /// Events written into the guest's page.
    pub events: u64,
    /// Notifies asked for.
    pub notifies: u64,
    /// Motion that went into another motion which was still waiting.
    pub motion_merged: u64,
    /// Motion that was dropped, because the guest does not read its page.
    pub motion_dropped: u64,
    /// Presses that were dropped for the same reason; their releases go with them.
    pub presses_dropped: u64,
    /// Input of a kind that the guest does not take.
    pub not_taken: u64,
    /// Events that wait for room in the page, releases included.
    pub waiting: usize,
    /// Releases among them.
    pub releases_waiting: usize,
    /// Keys, buttons and fingers that the user holds.
    pub held: usize,
}

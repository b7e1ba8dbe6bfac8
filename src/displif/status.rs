// SPDX-License-Identifier: GPL-3.0-or-later
//! What a session tells of itself.

use super::FramebufferLayout;
use super::wire::Version;

/// Figures of one connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorStatus {
    /// The guest's claim of its name.
    pub unique_id: String,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Whether the guest has configured it.
    pub enabled: bool,
    /// The framebuffer that the guest shows, as it lies in its buffer.
    pub shown: Option<FramebufferLayout>,
    /// Flips answered 0.
    pub flips: u64,
    /// Events written.
    pub events: u64,
    /// Flips answered 0 whose event is not written yet.
    pub flips_outstanding: usize,
}

/// Figures of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The version in use.
    pub version: Version,
    /// By index.
    pub connectors: Vec<ConnectorStatus>,
    /// Buffers whose pages are not free, retired ones included.
    pub buffers: usize,
    /// Framebuffers attached.
    pub framebuffers: usize,
    /// Retired buffers whose pages are not free yet.
    pub frees_pending: usize,
    /// DBUF_DESTROY requests not answered yet.
    pub destroys_waiting: usize,
    /// Grants of all buffers.
    pub grants: usize,
    /// Bytes of all buffers.
    pub bytes: u64,
    /// Requests taken.
    pub requests: u64,
    /// Of these, answered with an error.
    pub refused: u64,
    /// How often a ring was held back, because too many were.
    pub held_back: u64,
    /// Why the last of them was.
    pub last_refusal: Option<String>,
}

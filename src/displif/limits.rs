// SPDX-License-Identifier: GPL-3.0-or-later
//! What one guest's display device may make us do, in one place. A guest that reaches a limit is refused or
//! slowed down; nobody else notices.

use std::time::Duration;

/// Limits of one guest; where nothing else is said, of each of its display devices. The defaults are generous for every guest that draws a desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connectors of the device.
    pub connectors: usize,
    /// Widest connector and picture, in pixels.
    pub width: u32,
    /// Highest connector and picture, in pixels.
    pub height: u32,
    /// Largest buffer, in bytes.
    pub buffer_bytes: u32,
    /// Buffers for each connector of the device, those not yet free included.
    pub buffers_per_connector: usize,
    /// Framebuffers for each connector of the device.
    pub framebuffers_per_connector: usize,
    /// Bytes of all buffers of the guest together.
    pub total_bytes: u64,
    /// Pages of all buffers of the guest together.
    pub total_grants: usize,
    /// Bytes of our memory that the guest's buffers may be made of, those that wait for the guest to unmap them
    /// included.
    pub allocated_bytes: u64,
    /// Largest buffer of our memory, in bytes: its pages are taken and zeroed in one go.
    pub allocated_buffer_bytes: u64,
    /// Largest buffer for an EDID, in bytes; the protocol wants at least 32,768.
    pub edid_bytes: u32,
    /// Flips a second and connector; what comes faster gets its event later, and never an error.
    pub flips_per_second: u32,
    /// Flips that may come at once before the rate counts.
    pub flip_burst: u32,
    /// Flips of a connector without their event; at this many its further requests wait in the ring.
    pub outstanding_flips: usize,
    /// Requests a second that are no flips; what comes faster waits in the ring. A new buffer counts as one more for
    /// each 64 pages.
    pub requests_per_second: u32,
    /// Requests that may come at once before the rate counts.
    pub request_burst: u32,
    /// Refused requests a second without consequences; with more of them the guest's ring is served ever later.
    pub refusals_per_second: u32,
    /// Requests taken from a ring in one go, before the others' turn.
    pub requests_per_service: usize,
    /// Bad requests until the log warns.
    pub bad_requests_warning: u32,
    /// Bad requests until the device is closed.
    pub bad_requests_fatal: u32,
    /// Time for the pages of a destroyed buffer to become free, until DBUF_DESTROY is answered with an error.
    /// Linux's frontend waits 3 s.
    pub destroy_deadline: Duration,
    /// Lines a minute that the guest can cause in the log.
    pub log_lines_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connectors: 4,
            width: 8192,
            height: 8192,
            buffer_bytes: 64 << 20,
            buffers_per_connector: 32,
            framebuffers_per_connector: 64,
            total_bytes: 256 << 20,
            total_grants: 65_536,
            allocated_bytes: 64 << 20,
            allocated_buffer_bytes: 32 << 20,
            edid_bytes: 65_536,
            flips_per_second: 240,
            flip_burst: 8,
            outstanding_flips: 64,
            requests_per_second: 1000,
            request_burst: 100,
            refusals_per_second: 20,
            requests_per_service: 32,
            bad_requests_warning: 10,
            bad_requests_fatal: 1000,
            destroy_deadline: Duration::from_millis(2500),
            log_lines_per_minute: 60,
        }
    }
}

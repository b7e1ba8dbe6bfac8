// SPDX-License-Identifier: GPL-3.0-or-later
//! The device half of the PV display protocol (Xen's `io/displif.h`, version 2), without I/O and without a
//! clock: snapshots, ring contents, completions and times go in; responses are written into the rings, and
//! what is left to do comes out as [`Action`]s.

mod buffers;
mod conduct;
mod connector;
pub mod device;
pub mod edid;
pub mod formats;
pub mod limits;
pub mod pace;
pub mod page_directory;
pub mod rate;
pub mod session;
pub mod status;
pub mod wire;

use crate::time::Time;
use crate::xen::grants::GrantError;
use crate::xen::{GrantRef, PAGE_SIZE};

/// Our name for a display buffer: unlike the guest's cookie it is never used twice in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferSerial(pub u64);

/// Our name for a framebuffer, never used twice in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FramebufferSerial(pub u64);

/// Names one accepted flip of a connector; handed back when it was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlipSerial(pub u64);

/// How the pixels of a framebuffer lie in its buffer. Checked: `offset + pitch * height` lies within the
/// buffer's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramebufferLayout {
    /// Pixels in a line, 1..=8192.
    pub width: u32,
    /// Lines, 1..=8192.
    pub height: u32,
    /// DRM format code, one of those in `protocol.md`'s table.
    pub fourcc: u32,
    /// Bytes from a line to the next. Not aligned to anything.
    pub pitch: u32,
    /// Bytes from the start of the buffer to the first pixel (`data_ofs`).
    pub offset: u32,
}

/// A connector's configuration as the guest set it, checked against the connector's resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// What is shown until the first flip.
    pub framebuffer: FramebufferSerial,
    /// Left edge of the shown part within the framebuffer, in pixels.
    pub x: u32,
    /// Top edge of the shown part within the framebuffer, in pixels.
    pub y: u32,
    /// Width shown, in pixels.
    pub width: u32,
    /// Height shown, in pixels.
    pub height: u32,
}

/// What the caller has to do. Actions are in the order of their causes and must be carried out in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A framebuffer can be shown from now on.
    FramebufferAttached {
        /// Its name.
        framebuffer: FramebufferSerial,
        /// The buffer that holds its pixels.
        buffer: BufferSerial,
        /// Where the pixels lie.
        layout: FramebufferLayout,
    },
    /// Let go of the framebuffer now: out of the scene, off the plane, out of every cache. What shows
    /// afterwards is the caller's choice, but not its pixels' pages.
    FramebufferDetached(FramebufferSerial),
    /// Show this configuration, or nothing.
    Configure {
        /// Connector index.
        connector: usize,
        /// `None` disables the connector.
        configuration: Option<Configuration>,
    },
    /// Show the framebuffer, and call `Session::presented` with the flip's name when it is on the display
    /// (or would have been).
    Flip {
        /// Connector index.
        connector: usize,
        /// What to show.
        framebuffer: FramebufferSerial,
        /// The flip's name.
        flip: FlipSerial,
    },
    /// Drop all that holds the buffer's pages and call `Session::freed` when the kernel says that they are
    /// free. All its framebuffers have been detached before.
    RetireBuffer(BufferSerial),
    /// Notify the frontend over the connector's request channel.
    NotifyRequests(usize),
    /// Notify the frontend over the connector's event channel.
    NotifyEvents(usize),
}

/// Whether a guest's buffers may be made of our memory (`be-alloc`): by our policy and the device's
/// configuration, never by a request's flag alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// The device is not configured for it: the flag is ignored, as Linux leaves it uninitialised.
    #[default]
    Off,
    /// The device is configured for it, and we refuse for the given reason: the flag is ignored.
    Refused(String),
    /// The flag is honoured.
    On,
}

/// What a guest holds: all its devices, and what is left of its earlier connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Buffers whose pages are not free.
    pub buffers: usize,
    /// Their pages.
    pub pages: usize,
    /// Of these, pages of our memory.
    pub allocated: usize,
    /// Of these, pages that the guest should have unmapped by now.
    pub overdue: usize,
}

/// What the session needs at once from the outside while it decodes a request. Nothing here blocks.
pub trait Host {
    /// What the guest holds at present.
    fn usage(&self) -> Usage;

    /// A request of the guest was refused: how long it has to wait for that, if it has to, by the [`pace::Pace`] of its
    /// domain, which all its connections share and which outlives them. So many refusals a second are borne.
    fn refused(&mut self, borne_per_second: u32, now: Time) -> Option<pace::Hold>;

    /// A copy of one page that the guest granted.
    ///
    /// # Errors
    /// The provider's error.
    fn read_page(&mut self, gref: GrantRef) -> Result<[u8; PAGE_SIZE], GrantError>;

    /// Writes `bytes` over the granted pages in order, and zeroes up to the end of the last page.
    ///
    /// # Errors
    /// The provider's error; also when the pages are too few.
    fn write_pages(&mut self, refs: &[GrantRef], bytes: &[u8]) -> Result<(), GrantError>;

    /// The EDID of the display that shows a connector on all of it, if it is to have that; else it gets one that is
    /// made for its size.
    fn edid(&self, _connector: usize) -> Option<Vec<u8>> {
        None
    }

    /// Makes one buffer of the granted pages, to be let go at [`Action::RetireBuffer`].
    ///
    /// # Errors
    /// The provider's error; then there is no buffer, and no retire action will come.
    fn import(&mut self, buffer: BufferSerial, refs: &[GrantRef]) -> Result<(), GrantError>;

    /// Makes one buffer of `pages` zeroed pages of our own, grants them to the guest, and writes their references
    /// into the granted directory pages ([`page_directory::fill`]); to be let go at [`Action::RetireBuffer`].
    ///
    /// # Errors
    /// The provider's error; also when the directory can't be written. Then there is no buffer, and no retire
    /// action will come.
    fn allocate(&mut self, buffer: BufferSerial, pages: usize, directory: &[GrantRef]) -> Result<(), GrantError>;
}

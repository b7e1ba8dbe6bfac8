// SPDX-License-Identifier: GPL-3.0-or-later
//! Presentation: outputs, and frames on them. The rest of the product knows only this interface.
//!
//! A backend never calls up: what happens is returned or queued as an [`Event`]. No method blocks. After
//! [`Commit::Submitted`] exactly one [`Event::Presented`] or [`Event::OutputRemoved`] follows for that
//! output. A buffer is reported released exactly once, after its eviction.

pub mod format;
pub mod headless;
pub mod input;
pub mod kms;
pub mod panel;
pub mod render;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

use self::input::{InputEvent, Lamps};
use crate::buffer::memory::BufferMemory;
pub use crate::scene::element::OutputId;
use crate::scene::element::{BufferId, ElementId, Frame, Pixmap, Rect};
use crate::time::Time;

/// What is known of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputInfo {
    /// Its name.
    pub id: OutputId,
    /// The connector's name, such as `HDMI-A-1` or `headless-1`.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Time between two frames; at least 1 ms.
    pub refresh: Duration,
    /// Whether it shows frames whenever they come (VRR), `refresh` apart at the least.
    pub variable: bool,
    /// The display's EDID as the kernel read it, where there is a display that has one.
    pub edid: Option<Rc<[u8]>>,
}

/// How a guest's pixels lie in its memory. Checked against the memory's length by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelLayout {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// DRM format code.
    pub fourcc: u32,
    /// Bytes from a line to the next.
    pub pitch: u32,
    /// Bytes from the start of the memory to the first pixel.
    pub offset: u32,
}

/// How a buffer reaches the display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportPath {
    /// Sampled by the GPU from the dma-buf itself (EGLImage).
    EglImage,
    /// Sampled by the CPU (pixman) from the guest's pages in place.
    InPlace,
    /// Copied at every frame; the bytes are counted.
    Copy,
}

impl ImportPath {
    /// The name shown to the user.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EglImage => "egl-image",
            Self::InPlace => "pixman-in-place",
            Self::Copy => "copy",
        }
    }
}

/// A buffer that can be named in frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub id: BufferId,
    /// How it is read.
    pub path: ImportPath,
    /// Why this path, and why no better one; for the user.
    pub reason: String,
}

/// Why a buffer can't be shown, or can't be had, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ImportRefused(pub String);

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The frame is on its way; [`Event::Presented`] will follow.
    Submitted,
    /// The frame looks like the last one; nothing was submitted, and no event follows.
    NoDamage,
    /// Nothing can be shown just now (paused, a frame still pending, output off); no event follows.
    Skipped,
}

/// How a guest's picture gets onto a display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanout {
    /// A plane shows the guest's buffer itself; the plane's name, such as `plane 31 (primary)`.
    Plane(String),
    /// It is drawn with the rest; why, for the user.
    Composite(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An output is there, at start too; also sent again with the same id when its mode changed.
    OutputAdded(OutputInfo),
    /// The output is gone, and with it the frame that was on its way.
    OutputRemoved(OutputId),
    /// The submitted frame is on the display.
    Presented {
        /// Where.
        output: OutputId,
        /// The display's own frame counter, or ours where it has none.
        sequence: u64,
        /// When the first line was shown.
        time: Time,
    },
    /// The output would show the same frame better when it is committed once more.
    Redraw(OutputId),
    /// Nothing in the backend holds the buffer's memory any longer.
    BufferReleased(BufferId),
    /// The user did something. None comes between [`Event::Paused`] and [`Event::Resumed`].
    Input(InputEvent),
    /// The session was switched away: commits are skipped until it is back, and every evicted buffer is
    /// released at once.
    Paused,
    /// The session is back; all outputs need a new frame.
    Resumed,
}

/// What a backend hears from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The displays, of frames that they show.
    Displays,
    /// The session, the user, and what is plugged in.
    Others,
}

/// Whether the pointer is in a picture of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// It is, where it is seen.
    With,
    /// What lies below it is.
    Without,
}

/// What the backends do.
pub trait Presentation {
    /// A short name for the user: `headless`, `kms`.
    fn name(&self) -> &'static str;

    /// The outputs that are there.
    fn outputs(&self) -> Vec<OutputInfo>;

    /// Makes a guest's buffer showable, by the best path.
    ///
    /// # Errors
    /// [`ImportRefused`], when no path takes it.
    fn import(&mut self, memory: Rc<BufferMemory>, layout: PixelLayout) -> Result<Imported, ImportRefused>;

    /// Takes zeroed memory of `bytes` bytes (a multiple of the page size) from a display's driver, to be scanned out
    /// or drawn from. It lives as long as the dma-buf.
    ///
    /// # Errors
    /// [`ImportRefused`], when no display has memory to give.
    fn allocate(&mut self, bytes: usize) -> Result<OwnedFd, ImportRefused>;

    /// Whether a display can scan out memory as it lies; most displays without an IOMMU want it in one piece. The
    /// dma-buf must be one that was not imported yet.
    ///
    /// # Errors
    /// [`ImportRefused`], when there are displays and none of them can.
    fn scans_out(&self, dmabuf: BorrowedFd<'_>) -> Result<(), ImportRefused>;

    /// Lets go of a buffer: it is in no later frame. [`Event::BufferReleased`] follows within two frames,
    /// also when nothing is drawn any more, and at once when paused.
    fn evict(&mut self, buffer: BufferId);

    /// Shows the frame on the output. A buffer that is not known is left out.
    fn commit(&mut self, output: OutputId, frame: Frame) -> Commit;

    /// Whether the output's last frame was drawn, all of it or a part; `false` where guests' buffers on planes are all
    /// there is.
    fn draws(&self, _output: OutputId) -> bool {
        true
    }

    /// Switches the output's display off until the next commit, and forgets a frame on its way to it.
    fn switch_off(&mut self, _output: OutputId) {}

    /// Bytes copied so far of this buffer's pixels; 0 on the zero-copy paths.
    fn bytes_copied(&self, buffer: BufferId) -> u64;

    /// How a guest's picture or the pointer of the output's last frame gets onto the display; `None` for one that is not
    /// in it, and where there are no planes.
    fn scanout(&self, _output: OutputId, _element: ElementId) -> Option<Scanout> {
        None
    }

    /// A copy of a part of a guest's buffer, read by the CPU: for what stands in for a guest that is gone.
    ///
    /// # Errors
    /// A sentence for the user: the buffer is not known, or can't be read.
    fn still(&self, buffer: BufferId, part: Rect) -> Result<Pixmap, String>;

    /// What the output shows, as of the last submitted frame, with the pointer or without it; opaque.
    ///
    /// # Errors
    /// A sentence for the user: no such output, nothing shown yet, or the read-back failed.
    fn screenshot(&mut self, output: OutputId, pointer: Pointer) -> Result<Pixmap, String>;

    /// Lights the lamps of all keyboards, those that come later too.
    fn set_lamps(&mut self, lamps: Lamps);

    /// Takes in what has come; [`Presentation::dispatch`] is to follow. Does not wait where nothing has come.
    fn gather(&mut self, _from: Source) {}

    /// Works off what was gathered, and what the clock says: to be called after [`Presentation::gather`], and when
    /// [`Presentation::deadline`] has come.
    fn dispatch(&mut self, now: Time);

    /// Moves what happened into `out`, in order.
    fn take_events(&mut self, out: &mut Vec<Event>);

    /// Readable when [`Source::Displays`] has something: the displays' own descriptors, without anything between them
    /// and the one wait, since each frame comes by them.
    fn display_fds(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// Readable when [`Source::Others`] has something.
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// When [`Presentation::dispatch`] has to be called at the latest.
    fn deadline(&self) -> Option<Time>;
}

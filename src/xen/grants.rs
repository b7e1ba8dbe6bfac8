// SPDX-License-Identifier: GPL-3.0-or-later
//! Grant references of other domains, as memory.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};

use thiserror::Error;

use super::pages::SharedPages;
use super::{DomId, GrantRef};

/// How granted pages are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading only.
    Read,
    /// For reading and writing; refused when the guest granted read-only.
    ReadWrite,
}

/// Why granted pages could not be had.
#[derive(Debug, Error)]
pub enum GrantError {
    /// Xen refused at least one reference: not granted to us, revoked, or granted read-only.
    #[error("Xen refused a grant reference of domain {domid}: {why}")]
    Refused {
        /// Whose grants.
        domid: DomId,
        /// The driver's words.
        why: String,
    },
    /// Our side has no room: the driver's limit, memory, or descriptors.
    #[error("no room to map {pages} granted pages: {why}")]
    NoRoom {
        /// How many pages were asked for.
        pages: usize,
        /// The driver's words, and the limit to raise.
        why: String,
    },
    /// The driver is missing, or failed in a way that is not the guest's fault.
    #[error("{0}")]
    Driver(String),
}

/// Names one export until its release was reported. Never 0, never reused in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportId(pub u64);

/// Which provider turned the grants into memory, or memory into grants; each kind in the order of trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The kernel helper `xen-zcopy`: a dma-buf, and the kernel reports the release.
    Helper,
    /// Mainline's `IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS`.
    GntdevDmabuf,
    /// A plain gntdev mapping, which only the CPU can read.
    GntdevMap,
    /// The simulator's pages.
    Simulator,
    /// Our memory: a buffer of the display's driver, granted to the guest.
    Display,
    /// Our memory: a dma-heap for memory that is contiguous, granted to the guest.
    ContiguousHeap,
    /// Our memory: the dma-heap of any pages, granted to the guest.
    SystemHeap,
    /// Our memory: allocated and granted by the helper.
    HelperAllocation,
    /// The same in one piece, for a display that can't gather.
    HelperContiguous,
    /// Our memory: the simulator's, granted to the guest.
    SimulatorAllocation,
}

impl Provider {
    /// The name shown to the user.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helper => "xen-zcopy",
            Self::GntdevDmabuf => "gntdev-dmabuf",
            Self::GntdevMap => "gntdev-map",
            Self::Simulator => "simulator",
            Self::Display => "display",
            Self::ContiguousHeap => "dma-heap-contiguous",
            Self::SystemHeap => "dma-heap-system",
            Self::HelperAllocation => "xen-zcopy-alloc",
            Self::HelperContiguous => "xen-zcopy-contiguous",
            Self::SimulatorAllocation => "simulator-alloc",
        }
    }
}

/// The memory of an export.
#[derive(Debug)]
pub enum ExportMemory {
    /// A dma-buf of exactly the exported pages, in order. Closing it, and dropping all that was made of it,
    /// leads to the release.
    Dmabuf(OwnedFd),
    /// Pages mapped into our address space, in order. Dropping them leads to the release.
    Mapped(SharedPages),
}

/// Granted pages that have been made one contiguous buffer.
#[derive(Debug)]
pub struct Export {
    /// Names the export in [`Grants::take_released`].
    pub id: ExportId,
    /// The pages.
    pub memory: ExportMemory,
    /// Who made it.
    pub provider: Provider,
    /// Why the better providers were passed over; empty when the first one was taken.
    pub reason: String,
}

/// Zeroed memory of ours that a guest may map.
#[derive(Debug)]
pub struct Allocation {
    /// Names it in [`Grants::take_released`], as exports are.
    pub id: ExportId,
    /// The pages, as we see them.
    pub memory: ExportMemory,
    /// The references for the guest, one for each page, in order.
    pub refs: Vec<GrantRef>,
    /// Where it came from.
    pub provider: Provider,
    /// Why the better sources were passed over; empty when the first one was taken.
    pub reason: String,
}

/// Says whether the display can scan out a dma-buf as its pages lie, and if not, why.
pub type ScansOut<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> Result<(), String>;

/// What we ask of the grant drivers. Nothing here blocks.
pub trait Grants {
    /// Maps pages for the CPU: rings, event pages, directories. Unmapped when dropped.
    ///
    /// # Errors
    /// See [`GrantError`]. On an error nothing stays mapped.
    fn map(&mut self, domid: DomId, refs: &[GrantRef], access: Access) -> Result<SharedPages, GrantError>;

    /// Makes one buffer of a guest's pages, without copying, by the best provider.
    ///
    /// # Errors
    /// See [`GrantError`]. On an error nothing stays mapped.
    fn export(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<Export, GrantError>;

    /// Takes zeroed memory of ours from the best source that needs no display, and grants it to a guest. What the
    /// display can't scan out is taken only where there is nothing else.
    ///
    /// # Errors
    /// See [`GrantError`]. On an error nothing stays granted.
    fn allocate(&mut self, domid: DomId, pages: usize, scans_out: ScansOut<'_>) -> Result<Allocation, GrantError>;

    /// Grants the memory of a dma-buf of exactly `pages` pages to a guest. The dma-buf's memory must be zeroed.
    ///
    /// # Errors
    /// See [`GrantError`]; also when its pages can't be granted as they are. On an error nothing stays granted.
    fn grant_dmabuf(&mut self, domid: DomId, dmabuf: OwnedFd, pages: usize) -> Result<Allocation, GrantError>;

    /// Stops granting an allocation, page by page as soon as the guest has unmapped it. It is released when the last
    /// one is ended, and its memory dropped.
    fn end_access(&mut self, id: ExportId);

    /// Pages of our memory that processes before this one granted, and that their domains have not let go of: for
    /// each domain that has some.
    fn left_behind(&self) -> BTreeMap<DomId, usize>;

    /// Moves the exports whose pages are really free into `out`: unmapped by the kernel, nothing of ours
    /// uses them. Allocations are, when the guest does not map them any more either. Each is reported exactly once.
    fn take_released(&mut self, out: &mut Vec<ExportId>);

    /// Becomes readable when [`Grants::take_released`] would find something.
    fn poll_fd(&self) -> BorrowedFd<'_>;
}

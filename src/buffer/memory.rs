// SPDX-License-Identifier: GPL-3.0-or-later
//! The memory of one guest buffer, shared by all that show it; the pages go back to the guest when the last
//! user drops it.

use std::cell::OnceCell;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::xen::grants::ExportMemory;
use crate::xen::pages::SharedPages;

/// A guest buffer's memory. Share it by `Rc`; what the kernel then says of the release is the truth.
#[derive(Debug)]
pub struct BufferMemory {
    source: Source,
    len: usize,
}

#[derive(Debug)]
enum Source {
    Dmabuf { fd: OwnedFd, mapped: OnceCell<SharedPages> },
    Mapped(SharedPages),
}

struct Mapping {
    base: NonNull<std::ffi::c_void>,
    len: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and len are those of a successful mmap, unmapped only here.
        if let Err(error) = unsafe { munmap(self.base, self.len) } {
            tracing::error!(%error, "a dma-buf's mapping could not be removed");
        }
    }
}

impl BufferMemory {
    /// Takes over an export of `len` bytes (a multiple of the page size).
    #[must_use]
    pub fn new(memory: ExportMemory, len: usize) -> Self {
        let source = match memory {
            ExportMemory::Dmabuf(fd) => Source::Dmabuf { fd, mapped: OnceCell::new() },
            ExportMemory::Mapped(pages) => Source::Mapped(pages),
        };
        Self { source, len }
    }

    /// Bytes in the buffer.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the buffer has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The dma-buf, where the provider gave one.
    #[must_use]
    pub fn dmabuf(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Dmabuf { fd, .. } => Some(fd.as_fd()),
            Source::Mapped(_) => None,
        }
    }

    /// The pages as the CPU sees them; a dma-buf is mapped (read-only) at the first call.
    ///
    /// # Errors
    /// The kernel's, when the dma-buf can't be mapped.
    pub fn pages(&self) -> io::Result<&SharedPages> {
        match &self.source {
            Source::Mapped(pages) => Ok(pages),
            Source::Dmabuf { fd, mapped } => {
                if let Some(pages) = mapped.get() {
                    return Ok(pages);
                }
                let pages = map_dmabuf(fd.as_fd(), self.len)?;
                Ok(mapped.get_or_init(|| pages))
            }
        }
    }
}

fn map_dmabuf(fd: BorrowedFd<'_>, len: usize) -> io::Result<SharedPages> {
    let length = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let base = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, fd, 0) }?;
    let mapping = Mapping { base, len };
    // SAFETY: the mapping is page-aligned, len bytes long, lives as long as `mapping`; nobody stores to it.
    Ok(unsafe { SharedPages::new(base.cast(), len, Box::new(mapping)) })
}

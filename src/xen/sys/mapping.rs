// SPDX-License-Identifier: GPL-3.0-or-later
//! Mappings of descriptors into our address space.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::xen::PAGE_SIZE;
use crate::xen::grants::Access;
use crate::xen::pages::SharedPages;

/// Consecutive bytes of a file, as part of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where the bytes start in the file; a multiple of the page size.
    pub offset: u64,
    /// How many; a multiple of the page size, not 0.
    pub len: usize,
}

/// Address space of ours, unmapped when dropped.
#[derive(Debug)]
pub struct Region {
    base: NonNull<c_void>,
    len: usize,
}

impl Region {
    /// Maps consecutive bytes of a file or device.
    ///
    /// # Errors
    /// The kernel's; also when `run` is empty.
    pub fn map(file: impl AsFd, run: Run, access: Access) -> io::Result<Self> {
        let length = NonZeroUsize::new(run.len).ok_or(io::ErrorKind::InvalidInput)?;
        let offset = i64::try_from(run.offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { mmap(None, length, protection(access), MapFlags::MAP_SHARED, file, offset) }?;
        Ok(Self { base, len: run.len })
    }

    /// Maps pieces of a file one behind the other, as one region.
    ///
    /// # Errors
    /// The kernel's; also when a run is empty or not a whole number of pages.
    pub fn assemble(file: impl AsFd, runs: &[Run], access: Access) -> io::Result<Self> {
        let whole = |run: &Run| run.len > 0 && run.len.is_multiple_of(PAGE_SIZE);
        if !runs.iter().all(whole) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len = runs.iter().try_fold(0_usize, |sum, run| sum.checked_add(run.len));
        let len = len.and_then(NonZeroUsize::new).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { mmap_anonymous(None, len, ProtFlags::PROT_NONE, flags) }?;
        // From here on the region is unmapped on every way out.
        let region = Self { base, len: len.get() };
        let mut at = base.addr();
        for run in runs {
            let length = NonZeroUsize::new(run.len).ok_or(io::ErrorKind::InvalidInput)?;
            let offset = i64::try_from(run.offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
            // SAFETY: the runs' lengths add up to the region, so this replaces only pages that were reserved above.
            unsafe { mmap(Some(at), length, protection(access), flags, file.as_fd(), offset) }?;
            at = at.checked_add(run.len).ok_or(io::ErrorKind::InvalidInput)?;
        }
        Ok(region)
    }

    /// Where the region starts.
    #[must_use]
    pub fn address(&self) -> usize {
        self.base.addr().get()
    }

    /// Makes the region guest memory; when that is dropped, `keeper` gets the region back.
    #[must_use]
    pub fn into_pages(self, keeper: impl Keeper) -> SharedPages {
        let (base, len) = (self.base.cast(), self.len);
        let mapping = Box::new(Kept(Some((self, keeper))));
        // SAFETY: the region is page-aligned, len bytes long, and mapped until `mapping` is dropped; nobody else
        // has its address. A region mapped for reading is not stored to: callers ask for what they need.
        unsafe { SharedPages::new(base, len, mapping) }
    }
}

/// Who gets a region back when its pages are no longer used.
pub trait Keeper: 'static {
    /// The region is unmapped when this drops it.
    fn release(self, region: Region);
}

/// Unmaps at once.
impl Keeper for () {
    fn release(self, region: Region) {
        drop(region);
    }
}

struct Kept<K: Keeper>(Option<(Region, K)>);

impl<K: Keeper> Drop for Kept<K> {
    fn drop(&mut self) {
        if let Some((region, keeper)) = self.0.take() {
            keeper.release(region);
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: base and len are those of our mapping, which is unmapped only here.
        if let Err(error) = unsafe { munmap(self.base, self.len) } {
            tracing::error!(%error, len = self.len, "a mapping could not be removed");
        }
    }
}

const fn protection(access: Access) -> ProtFlags {
    match access {
        Access::Read => ProtFlags::PROT_READ,
        Access::ReadWrite => ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE),
    }
}

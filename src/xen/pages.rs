// SPDX-License-Identifier: GPL-3.0-or-later
//! The one type through which memory shared with a guest is touched.
//!
//! A guest may write its pages at any moment, so no Rust reference to them may ever exist: every access is
//! volatile, bounds-checked, and copies. Whoever reads a value reads it once (XSA-155).

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use thiserror::Error;

/// An access beyond the end, or a misaligned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("access of {bytes} bytes at offset {offset} is not within the {len} shared bytes, or not aligned")]
pub struct OutOfBounds {
    /// First byte of the access.
    pub offset: usize,
    /// Length of the access.
    pub bytes: usize,
    /// Length of the mapping.
    pub len: usize,
}

/// Pages shared with another domain, mapped into our address space until dropped.
pub struct SharedPages {
    base: NonNull<u8>,
    len: usize,
    _mapping: Box<dyn Any>,
}

impl SharedPages {
    /// Wraps a mapping; `mapping` is what unmaps it when dropped.
    ///
    /// # Safety
    /// `base` must be page-aligned and point to `len` bytes that stay mapped, readable and (if stores are
    /// ever made) writable until `mapping` is dropped, and to which no Rust reference exists.
    #[must_use]
    pub unsafe fn new(base: NonNull<u8>, len: usize, mapping: Box<dyn Any>) -> Self {
        Self { base, len, _mapping: mapping }
    }

    /// Bytes mapped; a multiple of the page size.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address, for renderers that sample the pages in place. The same rule holds for them: no Rust
    /// reference, and the contents may change at any moment.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn check(&self, offset: usize, bytes: usize, align: usize) -> Result<*mut u8, OutOfBounds> {
        let fits = offset.checked_add(bytes).is_some_and(|end| end <= self.len);
        if !fits || !offset.is_multiple_of(align) {
            return Err(OutOfBounds { offset, bytes, len: self.len });
        }
        // SAFETY: offset lies within the mapping, as just checked.
        Ok(unsafe { self.base.as_ptr().add(offset) })
    }

    /// Reads a native-endian 32-bit word once; later accesses are not moved before it.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn load_u32(&self, offset: usize) -> Result<u32, OutOfBounds> {
        let at = self.check(offset, 4, 4)?;
        // SAFETY: in bounds, aligned, valid for the life of self; an atomic may be shared with the guest.
        let word = unsafe { AtomicU32::from_ptr(at.cast()) };
        Ok(word.load(Ordering::Acquire))
    }

    /// Writes a native-endian 32-bit word once; earlier accesses are not moved behind it.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn store_u32(&self, offset: usize, value: u32) -> Result<(), OutOfBounds> {
        let at = self.check(offset, 4, 4)?;
        // SAFETY: as in load_u32.
        let word = unsafe { AtomicU32::from_ptr(at.cast()) };
        word.store(value, Ordering::Release);
        Ok(())
    }

    /// Replaces a native-endian 32-bit word if it still is `current`; gives what it was.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn compare_exchange_u32(&self, offset: usize, current: u32, new: u32) -> Result<u32, OutOfBounds> {
        let at = self.check(offset, 4, 4)?;
        // SAFETY: as in load_u32.
        let word = unsafe { AtomicU32::from_ptr(at.cast()) };
        let was = word.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
        Ok(was.unwrap_or_else(|was| was))
    }

    /// Copies bytes out of the shared pages. A concurrent writer may tear them, so check only the copy.
    ///
    /// # Errors
    /// [`OutOfBounds`]; then `to` is untouched.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), OutOfBounds> {
        let mut from = self.check(offset, to.len(), 1)?;
        for byte in to {
            // SAFETY: the whole range was checked; volatile, since the guest may write it meanwhile.
            *byte = unsafe { from.read_volatile() };
            from = from.wrapping_add(1);
        }
        Ok(())
    }

    /// Copies bytes into the shared pages.
    ///
    /// # Errors
    /// [`OutOfBounds`]; then nothing was written.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<(), OutOfBounds> {
        let mut to = self.check(offset, from.len(), 1)?;
        for byte in from {
            // SAFETY: as in read.
            unsafe { to.write_volatile(*byte) };
            to = to.wrapping_add(1);
        }
        Ok(())
    }
}

impl fmt::Debug for SharedPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPages").field("len", &self.len).finish_non_exhaustive()
    }
}

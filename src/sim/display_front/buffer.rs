// SPDX-License-Identifier: GPL-3.0-or-later
//! Display buffers: pages, grants, and the page directory that lists them.

use crate::sim::front::{FrontError, Guest};
use crate::xen::grants::Access;
use crate::xen::pages::SharedPages;
use crate::xen::{GrantRef, PAGE_SIZE};

/// Grant references in one page of a directory.
const REFS_PER_PAGE: usize = 1023;

/// What DBUF_CREATE says of a buffer's contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Geometry {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bits in a pixel.
    pub bpp: u32,
    /// Byte offset of the first pixel (version 2).
    pub data_offset: u32,
    /// Bytes, where they do not follow from the other fields.
    pub size: Option<u32>,
}

impl Geometry {
    /// A buffer of so many bytes, whose geometry comes later: 0×0.
    #[must_use]
    pub const fn bytes(size: u32) -> Self {
        Self { width: 0, height: 0, bpp: 0, data_offset: 0, size: Some(size) }
    }

    /// A picture, as Linux makes a dumb buffer: lines follow each other without a gap.
    #[must_use]
    pub const fn picture(width: u32, height: u32, bpp: u32) -> Self {
        Self { width, height, bpp, data_offset: 0, size: None }
    }

    /// Bytes from a line to the next.
    #[must_use]
    pub const fn pitch(self) -> u32 {
        self.width.saturating_mul(self.bpp).div_ceil(8)
    }

    /// Bytes in the buffer.
    #[must_use]
    pub fn total(self) -> u32 {
        let picture = self.pitch().saturating_mul(self.height).saturating_add(self.data_offset);
        self.size.unwrap_or(picture)
    }
}

/// A buffer's pages and grants.
#[derive(Debug)]
pub struct Buffer {
    /// Names it to the backend.
    pub cookie: u64,
    /// Bytes.
    pub size: u32,
    /// What it was made for.
    pub geometry: Geometry,
    /// The pages of the picture.
    pub frames: Vec<u32>,
    /// Their grants.
    pub refs: Vec<GrantRef>,
    /// The pages of the directory.
    pub directory_frames: Vec<u32>,
    /// Their grants.
    pub directory_refs: Vec<GrantRef>,
}

impl Buffer {
    /// Takes pages, grants them, and writes the directory.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn make(guest: &mut Guest, cookie: u64, geometry: Geometry) -> Result<Self, FrontError> {
        let size = geometry.total();
        let pages = usize::try_from(size).unwrap_or(usize::MAX).div_ceil(PAGE_SIZE);
        let frames = guest.allocate(pages)?;
        let directory_frames = guest.allocate(pages.div_ceil(REFS_PER_PAGE))?;
        let mut grant = |frames: &[u32]| -> Result<Vec<GrantRef>, FrontError> {
            frames.iter().map(|frame| guest.grant(*frame, Access::ReadWrite)).collect()
        };
        let (refs, directory_refs) = (grant(&frames)?, grant(&directory_frames)?);
        let buffer = Self { cookie, size, geometry, frames, refs, directory_frames, directory_refs };
        buffer.write_directory(guest)?;
        Ok(buffer)
    }

    fn write_directory(&self, guest: &Guest) -> Result<(), FrontError> {
        if self.directory_frames.is_empty() {
            return Ok(());
        }
        let pages = guest.view(&self.directory_frames)?;
        let next = self.directory_refs.iter().skip(1).map(|gref| gref.0).chain([0]);
        for ((index, next), refs) in next.enumerate().zip(self.refs.chunks(REFS_PER_PAGE)) {
            let words = [next].into_iter().chain(refs.iter().map(|gref| gref.0));
            let bytes: Vec<_> = words.flat_map(u32::to_ne_bytes).collect();
            pages.write(index * PAGE_SIZE, &bytes)?;
        }
        Ok(())
    }

    /// The first page of the directory; 0 for a buffer without pages.
    #[must_use]
    pub fn directory(&self) -> GrantRef {
        self.directory_refs.first().copied().unwrap_or(GrantRef(0))
    }

    /// The guest's view of the picture.
    ///
    /// # Errors
    /// The kernel's.
    pub fn view(&self, guest: &Guest) -> Result<SharedPages, FrontError> {
        guest.view(&self.frames)
    }

    /// Takes all grants back and frees the pages; gives how many pages the backend still has mapped. Those
    /// are not used again.
    pub fn release(self, guest: &mut Guest) -> u64 {
        let mut mapped = 0;
        let all = self.refs.iter().chain(&self.directory_refs);
        for (gref, frame) in all.zip(self.frames.iter().chain(&self.directory_frames)) {
            if guest.revoke(*gref) {
                guest.free(&[*frame]);
            } else {
                mapped += 1;
            }
        }
        mapped
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Display buffers: pages, grants, and the page directory that lists them.

use crate::sim::front::{ForeignPages, FrontError, Guest};
use crate::xen::grants::Access;
use crate::xen::pages::SharedPages;
use crate::xen::{GrantRef, PAGE_SIZE};

/// What stands behind the last reference of a directory that the backend fills: nothing may be written there.
const UNTOUCHED: u32 = 0xdead_beef;

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

fn grant(guest: &mut Guest, frames: &[u32]) -> Result<Vec<GrantRef>, FrontError> {
    frames.iter().map(|frame| guest.grant(*frame, Access::ReadWrite)).collect()
}

/// Takes pages for a directory, grants them, and writes the entries and the links between the pages.
fn directory(guest: &mut Guest, entries: &[u32]) -> Result<(Vec<u32>, Vec<GrantRef>), FrontError> {
    let frames = guest.allocate(entries.len().div_ceil(REFS_PER_PAGE))?;
    let refs = grant(guest, &frames)?;
    if frames.is_empty() {
        return Ok((frames, refs));
    }
    let pages = guest.view(&frames)?;
    let next = refs.iter().skip(1).map(|gref| gref.0).chain([0]);
    for ((index, next), entries) in next.enumerate().zip(entries.chunks(REFS_PER_PAGE)) {
        let bytes: Vec<_> = [next].iter().chain(entries).flat_map(|word| word.to_ne_bytes()).collect();
        pages.write(index * PAGE_SIZE, &bytes)?;
    }
    Ok((frames, refs))
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
    /// The backend's pages, where it has allocated the buffer and they are mapped.
    pub foreign: Option<ForeignPages>,
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
        let refs = grant(guest, &frames)?;
        let listed: Vec<_> = refs.iter().map(|gref| gref.0).collect();
        let (directory_frames, directory_refs) = directory(guest, &listed)?;
        Ok(Self { cookie, size, geometry, frames, refs, directory_frames, directory_refs, foreign: None })
    }

    /// Grants a directory alone, for the backend to fill.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn make_empty(guest: &mut Guest, cookie: u64, geometry: Geometry) -> Result<Self, FrontError> {
        let size = geometry.total();
        let pages = usize::try_from(size).unwrap_or(usize::MAX).div_ceil(PAGE_SIZE);
        let mut listed = vec![0; pages];
        listed.resize(pages.next_multiple_of(REFS_PER_PAGE), UNTOUCHED);
        let (directory_frames, directory_refs) = directory(guest, &listed)?;
        let (frames, refs) = (Vec::new(), Vec::new());
        Ok(Self { cookie, size, geometry, frames, refs, directory_frames, directory_refs, foreign: None })
    }

    /// Maps the pages that the backend has granted. They must be zeroed, and the directory must hold as many
    /// references as there are pages, and nothing more.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn map(&mut self, guest: &mut Guest) -> Result<(), FrontError> {
        let pages = usize::try_from(self.size).unwrap_or(usize::MAX).div_ceil(PAGE_SIZE);
        let (refs, rest) = self.listed(guest, pages)?;
        if refs.len() != pages || rest.iter().any(|word| *word != UNTOUCHED) {
            return Err(FrontError::Refused(format!("not exactly {pages} references were written")));
        }
        let foreign = guest.map_foreign(&refs)?;
        let mut bytes = vec![0xff; pages.saturating_mul(PAGE_SIZE)];
        foreign.view()?.read(0, &mut bytes)?;
        self.foreign = Some(foreign);
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(FrontError::Refused("the backend's pages are not zeroed".to_owned()));
        }
        Ok(())
    }

    /// What the directory holds: the references of the first `count` entries that are not 0, and the other entries.
    fn listed(&self, guest: &Guest, count: usize) -> Result<(Vec<GrantRef>, Vec<u32>), FrontError> {
        let pages = guest.view(&self.directory_frames)?;
        let mut words = Vec::new();
        for page in 0..self.directory_frames.len() {
            for entry in 1..=REFS_PER_PAGE {
                words.push(pages.load_u32(page * PAGE_SIZE + entry * 4)?);
            }
        }
        let rest = words.split_off(count.min(words.len()));
        Ok((words.into_iter().filter(|word| *word != 0).map(GrantRef).collect(), rest))
    }

    /// Gives the backend's pages back to it.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn unmap(&mut self, guest: &mut Guest) -> Result<(), FrontError> {
        self.foreign.take().map_or(Ok(()), |foreign| guest.unmap_foreign(foreign))
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
        match &self.foreign {
            Some(foreign) => foreign.view(),
            None => guest.view(&self.frames),
        }
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

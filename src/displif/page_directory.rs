// SPDX-License-Identifier: GPL-3.0-or-later
//! The page directory that names the granted pages of a buffer (`struct xendispl_page_directory`): a list of
//! pages, each a reference to the next one (0 ends the list) and 1,023 references to pages of the buffer.

use thiserror::Error;

use crate::xen::grants::GrantError;
use crate::xen::pages::{OutOfBounds, SharedPages};
use crate::xen::{GrantRef, PAGE_SIZE};

/// References to buffer pages in a directory page.
pub const REFS_PER_PAGE: usize = PAGE_SIZE / 4 - 1;

/// Why a directory was refused.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// Fewer references than the buffer has pages.
    #[error("needs {needed} pages, directory holds {held}")]
    TooShort {
        /// Pages of the buffer.
        needed: usize,
        /// References found before the end.
        held: usize,
    },
    /// A further directory page where the list had to end.
    #[error("directory goes on after the {needed} pages that the buffer needs")]
    TooLong {
        /// Pages of the buffer.
        needed: usize,
    },
    /// A directory page that was there already.
    #[error("directory page {0} comes twice")]
    Loop(GrantRef),
    /// A reference that Xen reserves.
    #[error("page {index} has grant reference 0")]
    ZeroReference {
        /// Index of the page in the buffer.
        index: usize,
    },
    /// A directory page could not be read.
    #[error("directory page {gref}: {source}")]
    Unreadable {
        /// The page.
        gref: GrantRef,
        /// Why.
        source: GrantError,
    },
}

/// Pages that `bytes` bytes need.
#[must_use]
pub fn pages_for(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(PAGE_SIZE)
}

/// Goes over the directory of a buffer of `needed` pages. Each directory page is copied by `read` and given to
/// `take` with the number of references that count on it; exactly as many are read as the buffer needs.
fn each_page(
    first: GrantRef,
    needed: usize,
    mut read: impl FnMut(GrantRef) -> Result<[u8; PAGE_SIZE], GrantError>,
    mut take: impl FnMut(GrantRef, &[[u8; 4]]) -> Result<(), DirectoryError>,
) -> Result<(), DirectoryError> {
    let mut seen = Vec::new();
    let mut held = 0;
    let mut next = first;
    while held < needed {
        if next.0 == 0 {
            return Err(DirectoryError::TooShort { needed, held });
        }
        if seen.contains(&next) {
            return Err(DirectoryError::Loop(next));
        }
        seen.push(next);
        let page = read(next).map_err(|source| DirectoryError::Unreadable { gref: next, source })?;
        let (words, _) = page.as_chunks::<4>();
        let (head, entries) = words.split_first().unwrap_or((&[0; 4], &[]));
        let count = needed.saturating_sub(held).min(REFS_PER_PAGE);
        take(next, entries.get(..count).unwrap_or(entries))?;
        held = held.saturating_add(count);
        next = GrantRef(u32::from_ne_bytes(*head));
    }
    if next.0 != 0 {
        return Err(DirectoryError::TooLong { needed });
    }
    Ok(())
}

/// The references of the `needed` pages of a buffer.
///
/// # Errors
/// See [`DirectoryError`].
pub fn walk(
    first: GrantRef,
    needed: usize,
    read: impl FnMut(GrantRef) -> Result<[u8; PAGE_SIZE], GrantError>,
) -> Result<Vec<GrantRef>, DirectoryError> {
    let mut refs = Vec::with_capacity(needed);
    each_page(first, needed, read, |_, entries| {
        for entry in entries {
            let gref = GrantRef(u32::from_ne_bytes(*entry));
            if gref.0 == 0 {
                return Err(DirectoryError::ZeroReference { index: refs.len() });
            }
            refs.push(gref);
        }
        Ok(())
    })?;
    Ok(refs)
}

/// The pages of a directory itself, for a buffer of `needed` pages whose references are ours to write.
///
/// # Errors
/// See [`DirectoryError`].
pub fn pages_of(
    first: GrantRef,
    needed: usize,
    read: impl FnMut(GrantRef) -> Result<[u8; PAGE_SIZE], GrantError>,
) -> Result<Vec<GrantRef>, DirectoryError> {
    let mut pages = Vec::new();
    each_page(first, needed, read, |page, _| {
        pages.push(page);
        Ok(())
    })?;
    Ok(pages)
}

/// Writes references into the mapped pages of a directory, and not a byte more: the links between the pages and
/// what lies behind the last reference are the guest's.
///
/// # Errors
/// [`OutOfBounds`], when the pages are too few.
pub fn fill(directory: &SharedPages, refs: &[GrantRef]) -> Result<(), OutOfBounds> {
    for (index, chunk) in refs.chunks(REFS_PER_PAGE).enumerate() {
        let bytes: Vec<u8> = chunk.iter().flat_map(|gref| gref.0.to_ne_bytes()).collect();
        directory.write(index.saturating_mul(PAGE_SIZE).saturating_add(4), &bytes)?;
    }
    Ok(())
}

/// Lays out a directory for `refs`, as a frontend does: one page for each of `pages`, which are its references.
#[cfg(any(test, feature = "sim"))]
#[must_use]
pub fn build(pages: &[GrantRef], refs: &[GrantRef]) -> Vec<[u8; PAGE_SIZE]> {
    let nexts = pages.iter().skip(1).map(|gref| gref.0).chain(std::iter::once(0));
    let chunks = refs.chunks(REFS_PER_PAGE);
    nexts
        .zip(chunks)
        .map(|(next, chunk)| {
            let mut page = [0; PAGE_SIZE];
            let words = std::iter::once(next).chain(chunk.iter().map(|gref| gref.0));
            let (slots, _) = page.as_chunks_mut::<4>();
            for (slot, word) in slots.iter_mut().zip(words) {
                *slot = word.to_ne_bytes();
            }
            page
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn granted(count: usize) -> (BTreeMap<GrantRef, [u8; PAGE_SIZE]>, Vec<GrantRef>) {
        let refs: Vec<_> = (0..count).map(|n| GrantRef(10_000 + u32::try_from(n).unwrap())).collect();
        let pages: Vec<_> =
            (0..count.div_ceil(REFS_PER_PAGE)).map(|n| GrantRef(100 + u32::try_from(n).unwrap())).collect();
        (pages.iter().copied().zip(build(&pages, &refs)).collect(), refs)
    }

    fn refused(pages: &BTreeMap<GrantRef, [u8; PAGE_SIZE]>, needed: usize) -> String {
        walk(GrantRef(100), needed, |gref| read(pages, gref)).unwrap_err().to_string()
    }

    fn read(pages: &BTreeMap<GrantRef, [u8; PAGE_SIZE]>, gref: GrantRef) -> Result<[u8; PAGE_SIZE], GrantError> {
        let why = || GrantError::Driver("not granted".into());
        pages.get(&gref).copied().ok_or_else(why)
    }

    #[test]
    fn walks_directories_of_every_depth() {
        for count in [1, 2, 1022, 1023, 1024, 2025, 2046, 2047, 8100, 16_384] {
            let (pages, refs) = granted(count);
            let mut reads = 0;
            let walked = walk(GrantRef(100), count, |gref| {
                reads += 1;
                read(&pages, gref)
            });
            assert_eq!(walked.unwrap(), refs);
            assert_eq!(reads, count.div_ceil(1023));
        }
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let (pages, _) = granted(900);
        assert_eq!(refused(&pages, 1025), "page 900 has grant reference 0");
        let (pages, _) = granted(1023);
        assert_eq!(refused(&pages, 1025), "needs 1025 pages, directory holds 1023");
        let (pages, _) = granted(1024);
        assert_eq!(refused(&pages, 1023), "directory goes on after the 1023 pages that the buffer needs");
        let (mut pages, _) = granted(3000);
        pages.get_mut(&GrantRef(101)).unwrap()[..4].copy_from_slice(&100_u32.to_ne_bytes());
        assert_eq!(refused(&pages, 3000), "directory page 100 comes twice");
        pages.remove(&GrantRef(101));
        assert_eq!(refused(&pages, 3000), "directory page 101: not granted");
        let nothing = walk(GrantRef(0), 1, |gref| read(&pages, gref)).unwrap_err();
        assert_eq!(nothing.to_string(), "needs 1 pages, directory holds 0");
    }

    #[test]
    fn exactly_the_references_are_written() {
        use crate::xen::front::HeapPages;
        for count in [1, 2, 1022, 1023, 1024, 2025, 2046] {
            let refs: Vec<_> = (0..count).map(|n| GrantRef(0x5000 + n)).collect();
            let pages = refs.len().div_ceil(REFS_PER_PAGE);
            let memory = HeapPages::new(pages).share();
            let bytes = vec![0xa5; pages * PAGE_SIZE];
            memory.write(0, &bytes).unwrap();
            fill(&memory, &refs).unwrap();
            let mut after = bytes.clone();
            memory.read(0, &mut after).unwrap();
            let mut wanted = bytes;
            for (index, gref) in refs.iter().enumerate() {
                let at = (index / 1023) * PAGE_SIZE + 4 + (index % 1023) * 4;
                wanted[at..at + 4].copy_from_slice(&gref.0.to_ne_bytes());
            }
            assert!(after == wanted, "{count} references");
        }
        let memory = HeapPages::new(1).share();
        assert!(fill(&memory, &[GrantRef(9); 1024]).is_err());
    }

    #[test]
    fn an_empty_directory_has_its_pages() {
        let (mut pages, _) = granted(2025);
        for page in pages.values_mut() {
            page[4..].fill(0);
        }
        let own = |count| pages_of(GrantRef(100), count, |gref| read(&pages, gref));
        assert_eq!(own(2025).unwrap(), [GrantRef(100), GrantRef(101)]);
        assert_eq!(own(1024).unwrap(), [GrantRef(100), GrantRef(101)]);
        assert!(matches!(own(1023), Err(DirectoryError::TooLong { .. })));
        assert!(matches!(own(2047), Err(DirectoryError::TooShort { .. })));
    }

    #[test]
    fn a_page_is_needed_for_each_started_4096_bytes() {
        assert_eq!(pages_for(1), 1);
        assert_eq!(pages_for(4096), 1);
        assert_eq!(pages_for(4097), 2);
        assert_eq!(pages_for(u32::MAX), 1 << 20);
    }
}

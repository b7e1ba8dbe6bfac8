// SPDX-License-Identifier: GPL-3.0-or-later
//! The page directory that names the granted pages of a buffer (`struct xendispl_page_directory`): a list of
//! pages, each a reference to the next one (0 ends the list) and 1,023 references to pages of the buffer.

use thiserror::Error;

use crate::xen::grants::GrantError;
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

/// The references of the `needed` pages of a buffer. Each directory page is copied by `read` and used from the
/// copy; exactly as many are read as the buffer needs.
///
/// # Errors
/// See [`DirectoryError`].
pub fn walk(
    first: GrantRef,
    needed: usize,
    mut read: impl FnMut(GrantRef) -> Result<[u8; PAGE_SIZE], GrantError>,
) -> Result<Vec<GrantRef>, DirectoryError> {
    let mut refs = Vec::with_capacity(needed);
    let mut seen = Vec::new();
    let mut next = first;
    while refs.len() < needed {
        if next.0 == 0 {
            return Err(DirectoryError::TooShort { needed, held: refs.len() });
        }
        if seen.contains(&next) {
            return Err(DirectoryError::Loop(next));
        }
        seen.push(next);
        let page = read(next).map_err(|source| DirectoryError::Unreadable { gref: next, source })?;
        let (words, _) = page.as_chunks::<4>();
        let mut words = words.iter().map(|word| GrantRef(u32::from_ne_bytes(*word)));
        next = words.next().unwrap_or(GrantRef(0));
        for gref in words.take(needed.saturating_sub(refs.len())) {
            if gref.0 == 0 {
                return Err(DirectoryError::ZeroReference { index: refs.len() });
            }
            refs.push(gref);
        }
    }
    if next.0 != 0 {
        return Err(DirectoryError::TooLong { needed });
    }
    Ok(refs)
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
    fn a_page_is_needed_for_each_started_4096_bytes() {
        assert_eq!(pages_for(1), 1);
        assert_eq!(pages_for(4096), 1);
        assert_eq!(pages_for(4097), 2);
        assert_eq!(pages_for(u32::MAX), 1 << 20);
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory of Dom0 that guests may map: a memfd for each allocation, and who maps which of its pages.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

use crate::xen::grants::{Access, ExportId};
use crate::xen::sys::mapping::{Region, Run};
use crate::xen::{DomId, GrantRef, PAGE_SIZE};

/// Most pages of all allocations together, as the helper's quota has it.
const MOST_PAGES: usize = 1 << 18;

/// One allocation.
#[derive(Debug)]
struct Held {
    domid: DomId,
    memory: OwnedFd,
    /// How often the guest maps each page, by index.
    mapped: Vec<u32>,
    /// The memory is still ours to look at.
    used: bool,
    /// The grants end as soon as nothing is mapped.
    ending: bool,
}

impl Held {
    fn is_free(&self) -> bool {
        self.ending && !self.used && self.mapped.iter().all(|count| *count == 0)
    }
}

/// All allocations, and the references by which guests know their pages.
#[derive(Debug, Default)]
pub(super) struct Allocations {
    held: BTreeMap<ExportId, Held>,
    grants: BTreeMap<GrantRef, (ExportId, usize)>,
    last_ref: u32,
}

/// A guest's pages of one allocation.
#[derive(Debug)]
pub(super) struct Mapped<'a> {
    pub(super) memory: BorrowedFd<'a>,
    /// Their places in the memory, in the order of the references.
    pub(super) pages: Vec<usize>,
}

/// A new memfd of zeroes.
pub(super) fn zeroes(pages: usize) -> io::Result<OwnedFd> {
    let memory = memfd_create(c"allocation", MFdFlags::MFD_CLOEXEC)?;
    ftruncate(&memory, i64::try_from(pages.saturating_mul(PAGE_SIZE)).map_err(io::Error::other)?)?;
    Ok(memory)
}

impl Allocations {
    /// Grants the pages of a memory to a guest; gives our view of it, and the references.
    pub(super) fn add(
        &mut self,
        id: ExportId,
        domid: DomId,
        memory: OwnedFd,
        pages: usize,
    ) -> io::Result<(Region, Vec<GrantRef>)> {
        let len = pages.saturating_mul(PAGE_SIZE);
        if usize::try_from(fstat(&memory)?.st_size) != Ok(len) {
            return Err(io::Error::other(format!("the memory has not {pages} pages")));
        }
        if self.pages(None).saturating_add(pages) > MOST_PAGES {
            return Err(io::Error::other(format!("{MOST_PAGES} pages are the most")));
        }
        let region = Region::map(&memory, Run { offset: 0, len }, Access::Read)?;
        let refs: Vec<_> = (0..pages).map(|_| self.next_ref()).collect();
        self.grants.extend(refs.iter().enumerate().map(|(index, gref)| (*gref, (id, index))));
        self.held.insert(id, Held { domid, memory, mapped: vec![0; pages], used: true, ending: false });
        Ok((region, refs))
    }

    /// Numbers come again after a long time, as Dom0's do.
    fn next_ref(&mut self) -> GrantRef {
        loop {
            self.last_ref = if self.last_ref >= u32::MAX / 2 { 8 } else { self.last_ref.max(8) + 1 };
            let gref = GrantRef(self.last_ref);
            if !self.grants.contains_key(&gref) {
                return gref;
            }
        }
    }

    /// Maps pages into a guest: all of one allocation, and all granted to it; or none.
    pub(super) fn map(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<Mapped<'_>, String> {
        let places = self.places(domid, refs)?;
        let (id, _) = places.first().copied().ok_or("no reference is named")?;
        if places.iter().any(|(other, _)| *other != id) {
            return Err("the references belong to more than one allocation".to_owned());
        }
        let held = self.held.get_mut(&id).ok_or("no such allocation")?;
        let pages: Vec<_> = places.into_iter().map(|(_, index)| index).collect();
        for index in &pages {
            if let Some(count) = held.mapped.get_mut(*index) {
                *count = count.saturating_add(1);
            }
        }
        Ok(Mapped { memory: held.memory.as_fd(), pages })
    }

    /// Takes pages out of a guest; gives the allocations that have become free.
    pub(super) fn unmap(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<Vec<ExportId>, String> {
        for (id, index) in self.places(domid, refs)? {
            let count = self.held.get_mut(&id).and_then(|held| held.mapped.get_mut(index));
            let mapped = count.filter(|count| **count > 0).ok_or("a page is not mapped")?;
            *mapped -= 1;
        }
        Ok(self.take_free())
    }

    fn places(&self, domid: DomId, refs: &[GrantRef]) -> Result<Vec<(ExportId, usize)>, String> {
        let place = |gref: &GrantRef| {
            let place = self.grants.get(gref).copied();
            let granted = |(id, _): &(ExportId, usize)| self.held.get(id).is_some_and(|held| held.domid == domid);
            place.filter(granted).ok_or_else(|| format!("reference {gref} is not granted to domain {domid}"))
        };
        refs.iter().map(place).collect()
    }

    /// A guest is gone, and with it all that it maps; gives the allocations that have become free.
    pub(super) fn remove(&mut self, domid: DomId) -> Vec<ExportId> {
        for held in self.held.values_mut().filter(|held| held.domid == domid) {
            held.mapped.fill(0);
        }
        self.take_free()
    }

    /// The compositor stops granting an allocation.
    pub(super) fn end(&mut self, id: ExportId) -> Vec<ExportId> {
        if let Some(held) = self.held.get_mut(&id) {
            held.ending = true;
        }
        self.take_free()
    }

    /// The compositor does not look at an allocation any more. Its grants end then, as with the helper.
    pub(super) fn drop_memory(&mut self, id: ExportId) -> Vec<ExportId> {
        if let Some(held) = self.held.get_mut(&id) {
            held.used = false;
            held.ending = true;
        }
        self.take_free()
    }

    fn take_free(&mut self) -> Vec<ExportId> {
        let free: Vec<_> = self.held.iter().filter(|(_, held)| held.is_free()).map(|(id, _)| *id).collect();
        self.held.retain(|id, _| !free.contains(id));
        self.grants.retain(|_, (id, _)| !free.contains(id));
        free
    }

    /// Pages that are allocated for a domain, or for all.
    pub(super) fn pages(&self, domid: Option<DomId>) -> usize {
        let held = self.held.values().filter(|held| domid.is_none_or(|domid| held.domid == domid));
        held.map(|held| held.mapped.len()).sum()
    }
}

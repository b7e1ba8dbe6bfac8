// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's memory: a memfd, whose first pages are the guest's grant table in the true layout (version 1).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::stat::fstat;

use super::udmabuf;
use crate::xen::grants::{Access, GrantError};
use crate::xen::pages::SharedPages;
use crate::xen::sys::mapping::{Region, Run};
use crate::xen::{DomId, GrantRef, PAGE_SIZE};

/// Entries of a grant table: Xen's default limit.
pub const GRANTS: u32 = 32_768;

/// Pages at the start of a guest's memory that hold its grant table.
pub const GRANT_FRAMES: u32 = 64;

const ENTRY: usize = 8;

/// Flags of a grant entry (Xen's public header `grant_table.h`).
pub mod gtf {
    /// The frame is granted to the domain.
    pub const PERMIT_ACCESS: u16 = 1;
    /// Masks the entry's type.
    pub const TYPE_MASK: u16 = 3;
    /// Granted for reading only.
    pub const READONLY: u16 = 4;
    /// Set by Xen: mapped for reading.
    pub const READING: u16 = 8;
    /// Set by Xen: mapped for writing.
    pub const WRITING: u16 = 16;
}

/// A grant entry as it lies in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantEntry {
    /// [`gtf`] flags.
    pub flags: u16,
    /// To whom the frame is granted.
    pub domid: u16,
    /// The frame's number in the guest's memory.
    pub frame: u32,
}

/// Access to the entries of a grant table, which both sides write.
#[derive(Debug)]
pub struct GrantTable(SharedPages);

impl GrantTable {
    /// The table in the first [`GRANT_FRAMES`] pages of mapped guest memory.
    #[must_use]
    pub const fn new(pages: SharedPages) -> Self {
        Self(pages)
    }

    /// Maps the table of a guest's memory.
    ///
    /// # Errors
    /// The kernel's.
    pub fn map(memory: &OwnedFd) -> io::Result<Self> {
        let run = Run { offset: 0, len: PAGE_SIZE * GRANT_FRAMES.try_into().unwrap_or(0_usize) };
        Ok(Self(Region::map(memory, run, Access::ReadWrite)?.into_pages(())))
    }

    fn at(gref: GrantRef) -> usize {
        usize::try_from(gref.0).unwrap_or(usize::MAX).saturating_mul(ENTRY)
    }

    /// Reads an entry: the flags and the domain at once, the frame after them. `None` beyond the table.
    #[must_use]
    pub fn load(&self, gref: GrantRef) -> Option<GrantEntry> {
        let head = self.0.load_u32(Self::at(gref)).ok()?;
        let frame = self.0.load_u32(Self::at(gref).saturating_add(4)).ok()?;
        let (flags, domid) = split(head);
        Some(GrantEntry { flags, domid, frame })
    }

    /// Writes an entry as a guest does: the frame first. Beyond the table nothing happens.
    pub fn store(&self, gref: GrantRef, entry: GrantEntry) {
        let at = Self::at(gref);
        let written = self.0.store_u32(at.saturating_add(4), entry.frame);
        if written.and_then(|()| self.0.store_u32(at, join(entry.flags, entry.domid))).is_err() {
            tracing::warn!(%gref, "no such grant entry");
        }
    }

    /// Changes an entry's flags, unless flags or domain are no longer the given ones.
    #[must_use]
    pub fn change_flags(&self, gref: GrantRef, entry: GrantEntry, flags: u16) -> bool {
        let (old, new) = (join(entry.flags, entry.domid), join(flags, entry.domid));
        self.0.compare_exchange_u32(Self::at(gref), old, new) == Ok(old)
    }

    /// Takes a grant back; false while it is mapped. What Linux's `gnttab_end_foreign_access_ref` does.
    #[must_use]
    pub fn revoke(&self, gref: GrantRef) -> bool {
        while let Some(entry) = self.load(gref) {
            if entry.flags & (gtf::READING | gtf::WRITING) != 0 {
                return false;
            }
            if self.change_flags(gref, entry, 0) {
                return true;
            }
        }
        false
    }
}

fn split(head: u32) -> (u16, u16) {
    let [a, b, c, d] = head.to_ne_bytes();
    (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]))
}

fn join(flags: u16, domid: u16) -> u32 {
    let ([a, b], [c, d]) = (flags.to_ne_bytes(), domid.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

/// How often one grant is mapped. Xen too keeps the frame, once an entry is in use.
#[derive(Clone, Copy, Debug)]
struct Active {
    frame: u32,
    readers: usize,
    writers: usize,
}

/// A guest's memory, as the hypervisor holds it: as long as the guest lives or anything is mapped.
#[derive(Debug)]
pub(super) struct GuestMemory {
    domid: DomId,
    file: OwnedFd,
    frames: u32,
    table: GrantTable,
    active: RefCell<BTreeMap<GrantRef, Active>>,
}

/// Mapped grants; dropping them lets them go.
#[derive(Debug)]
pub(super) struct Pins {
    memory: Rc<GuestMemory>,
    refs: Vec<GrantRef>,
    access: Access,
}

impl GuestMemory {
    /// Takes over a guest's memory.
    ///
    /// # Errors
    /// In words, when the memory could shrink under us, or is too small or too large.
    pub(super) fn new(domid: DomId, file: OwnedFd) -> Result<Self, String> {
        let seals = fcntl(&file, FcntlArg::F_GET_SEALS).map_err(|error| format!("no memfd: {error}"))?;
        if !SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK) {
            return Err("the memory is not sealed against shrinking".to_owned());
        }
        let len = fstat(&file).map_err(|error| error.to_string())?.st_size;
        let frames = usize::try_from(len).ok().and_then(|len| u32::try_from(len / PAGE_SIZE).ok());
        let frames = frames.filter(|frames| *frames > GRANT_FRAMES).ok_or("the memory has no pages")?;
        let table = GrantTable::map(&file).map_err(|error| format!("the grant table can't be mapped: {error}"))?;
        Ok(Self { domid, file, frames, table, active: RefCell::default() })
    }

    /// Maps granted pages in order; `show` is what we map them for, `access` what is claimed of the grants.
    pub(super) fn map(
        self: &Rc<Self>,
        refs: &[GrantRef],
        access: Access,
        show: Access,
    ) -> Result<(Region, Pins), GrantError> {
        let (runs, pins) = self.pin_all(refs, access)?;
        let region = Region::assemble(&self.file, &runs, show)
            .map_err(|error| GrantError::NoRoom { pages: refs.len(), why: error.to_string() })?;
        Ok((region, pins))
    }

    /// The same as a dma-buf.
    pub(super) fn dmabuf(self: &Rc<Self>, device: &File, refs: &[GrantRef]) -> Result<(OwnedFd, Pins), GrantError> {
        let (runs, pins) = self.pin_all(refs, Access::ReadWrite)?;
        let dmabuf = udmabuf::make(device, &self.file, &runs)
            .map_err(|error| GrantError::NoRoom { pages: refs.len(), why: error.to_string() })?;
        Ok((dmabuf, pins))
    }

    /// Claims granted pages in order, and says where they are.
    fn pin_all(self: &Rc<Self>, refs: &[GrantRef], access: Access) -> Result<(Vec<Run>, Pins), GrantError> {
        let mut pins = Pins { memory: Rc::clone(self), refs: Vec::with_capacity(refs.len()), access };
        let mut runs: Vec<Run> = Vec::new();
        for gref in refs {
            let frame = self.pin(*gref, access).map_err(|why| GrantError::Refused { domid: self.domid, why })?;
            pins.refs.push(*gref);
            let offset = u64::from(frame).saturating_mul(PAGE_SIZE.try_into().unwrap_or(0));
            match runs.last_mut() {
                Some(run) if run.offset.checked_add(run.len.try_into().unwrap_or(0)) == Some(offset) => {
                    run.len = run.len.saturating_add(PAGE_SIZE);
                }
                _ => runs.push(Run { offset, len: PAGE_SIZE }),
            }
        }
        Ok((runs, pins))
    }

    /// Grants that are mapped now.
    pub(super) fn mapped(&self) -> usize {
        self.active.borrow().len()
    }

    /// The entry is read once and checked; its frame counts as long as it is mapped.
    fn pin(&self, gref: GrantRef, access: Access) -> Result<u32, String> {
        let mut active = self.active.borrow_mut();
        let known = active.get(&gref).copied();
        let marked = known.is_some_and(|known| known.writers > 0 || access == Access::Read);
        let frame = if marked { known.map(|known| known.frame) } else { None };
        let frame = match frame {
            Some(frame) => frame,
            None => {
                let frame = self.mark(gref, access)?;
                known.map_or(frame, |known| known.frame)
            }
        };
        let entry = active.entry(gref).or_insert(Active { frame, readers: 0, writers: 0 });
        match access {
            Access::Read => entry.readers += 1,
            Access::ReadWrite => entry.writers += 1,
        }
        Ok(frame)
    }

    /// Sets the in-use flags of an entry that allows the access; gives its frame.
    fn mark(&self, gref: GrantRef, access: Access) -> Result<u32, String> {
        // A guest that changes the entry all the time gets as many tries as Xen gives it.
        for _ in 0..4 {
            let entry = if gref.0 == 0 { None } else { self.table.load(gref) };
            let entry = entry.ok_or_else(|| format!("grant reference {gref} lies beyond its grant table"))?;
            if entry.flags & gtf::TYPE_MASK != gtf::PERMIT_ACCESS || entry.domid != 0 {
                return Err(format!("grant reference {gref} is not granted to us"));
            }
            let wanted = match access {
                Access::Read => gtf::READING,
                Access::ReadWrite if entry.flags & gtf::READONLY != 0 => {
                    return Err(format!("grant reference {gref} is granted for reading only"));
                }
                Access::ReadWrite => gtf::READING | gtf::WRITING,
            };
            if !(GRANT_FRAMES..self.frames).contains(&entry.frame) {
                return Err(format!("grant reference {gref} names frame {}, which it does not have", entry.frame));
            }
            if self.table.change_flags(gref, entry, entry.flags | wanted) {
                return Ok(entry.frame);
            }
        }
        Err(format!("grant reference {gref} does not hold still"))
    }

    fn unpin(&self, gref: GrantRef, access: Access) {
        let mut active = self.active.borrow_mut();
        let Some(entry) = active.get_mut(&gref) else { return };
        match access {
            Access::Read => entry.readers = entry.readers.saturating_sub(1),
            Access::ReadWrite => entry.writers = entry.writers.saturating_sub(1),
        }
        let mut cleared = 0;
        if entry.writers == 0 {
            cleared |= gtf::WRITING;
            if entry.readers == 0 {
                cleared |= gtf::READING;
                active.remove(&gref);
            }
        }
        while let Some(entry) = self.table.load(gref) {
            if self.table.change_flags(gref, entry, entry.flags & !cleared) {
                break;
            }
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for gref in &self.refs {
            self.memory.unpin(*gref, self.access);
        }
    }
}

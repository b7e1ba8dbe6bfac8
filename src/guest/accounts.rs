// SPDX-License-Identifier: GPL-3.0-or-later
//! What each domain holds: pages of its own that we map, and pages of ours that it may map. And how often it was
//! refused more.
//!
//! The account is the domain's, not a connection's: what a connection leaves behind counts until the kernel says
//! that it is free, and so does what a dead domain leaves.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::displif::Usage;
use crate::displif::pace::{Hold, Pace};
use crate::time::Time;
use crate::xen::grants::ExportId;
use crate::xen::{DomId, PAGE_SIZE};

/// Whose memory a buffer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The guest's, granted to us.
    Guests,
    /// Ours, granted to the guest.
    Ours,
}

/// One buffer.
#[derive(Clone, Copy, Debug)]
struct Charge {
    domid: DomId,
    pages: usize,
    memory: Memory,
    /// When we let go of it.
    retired: Option<Time>,
}

/// The accounts of all domains.
#[derive(Debug, Default)]
pub struct Accounts {
    charges: BTreeMap<ExportId, Charge>,
    /// Of the domains that were refused something lately.
    paces: BTreeMap<DomId, Pace>,
}

impl Accounts {
    /// Charges a new buffer to a domain.
    pub fn charge(&mut self, export: ExportId, domid: DomId, pages: usize, memory: Memory) {
        self.charges.insert(export, Charge { domid, pages, memory, retired: None });
    }

    /// We have let go of a buffer: from now on it waits for the kernel, and perhaps for the guest. Says whose memory
    /// it is.
    pub fn retire(&mut self, export: ExportId, now: Time) -> Option<Memory> {
        let charge = self.charges.get_mut(&export)?;
        charge.retired.get_or_insert(now);
        Some(charge.memory)
    }

    /// The kernel says that a buffer's pages are free.
    pub fn release(&mut self, export: ExportId) {
        self.charges.remove(&export);
    }

    /// A request of a domain was refused, on whatever connection: how long it has to wait for that, if it has to. So
    /// many refusals a second are borne.
    pub fn refused(&mut self, domid: DomId, borne_per_second: u32, now: Time) -> Option<Hold> {
        // A pace that says nothing is not kept, so domains that are gone are forgotten, too.
        self.paces.retain(|_, pace| !pace.is_as_new(now));
        self.paces.entry(domid).or_insert_with(|| Pace::new(borne_per_second)).refused(now)
    }

    /// What a domain holds. Pages of ours that it still maps so long after we let go of them are overdue.
    #[must_use]
    pub fn usage(&self, domid: DomId, now: Time, patience: Duration) -> Usage {
        let mut usage = Usage::default();
        for charge in self.charges.values().filter(|charge| charge.domid == domid) {
            usage.buffers = usage.buffers.saturating_add(1);
            usage.pages = usage.pages.saturating_add(charge.pages);
            if charge.memory == Memory::Ours {
                usage.allocated = usage.allocated.saturating_add(charge.pages);
                if charge.retired.is_some_and(|retired| retired.saturating_add(patience) <= now) {
                    usage.overdue = usage.overdue.saturating_add(charge.pages);
                }
            }
        }
        usage
    }

    /// Bytes of our memory that a domain has, those that it ought to have unmapped included.
    #[must_use]
    pub fn allocated(&self, domid: DomId) -> u64 {
        let ours = self.charges.values().filter(|charge| charge.domid == domid && charge.memory == Memory::Ours);
        let pages = ours.map(|charge| charge.pages).sum::<usize>();
        u64::try_from(pages.saturating_mul(PAGE_SIZE)).unwrap_or(u64::MAX)
    }

    /// Pages of ours that we have let go of, and that are not free: for each domain that has some.
    #[must_use]
    pub fn waiting(&self) -> BTreeMap<DomId, usize> {
        let mut waiting = BTreeMap::new();
        let ours = |charge: &&Charge| charge.memory == Memory::Ours && charge.retired.is_some();
        for charge in self.charges.values().filter(ours) {
            let pages: &mut usize = waiting.entry(charge.domid).or_default();
            *pages = pages.saturating_add(charge.pages);
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: DomId = DomId(3);
    const PATIENCE: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Time {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_domain_is_charged_until_the_kernel_says_that_its_pages_are_free() {
        let mut accounts = Accounts::default();
        accounts.charge(ExportId(1), GUEST, 10, Memory::Guests);
        accounts.charge(ExportId(2), GUEST, 5, Memory::Ours);
        accounts.charge(ExportId(3), DomId(4), 7, Memory::Ours);
        let usage = |accounts: &Accounts, now| accounts.usage(GUEST, at(now), PATIENCE);
        assert_eq!(usage(&accounts, 0), Usage { buffers: 2, pages: 15, allocated: 5, overdue: 0 });
        assert_eq!(accounts.retire(ExportId(2), at(10)), Some(Memory::Ours));
        assert_eq!(accounts.retire(ExportId(1), at(10)), Some(Memory::Guests));
        assert_eq!(usage(&accounts, 11), Usage { buffers: 2, pages: 15, allocated: 5, overdue: 0 });
        assert_eq!(usage(&accounts, 12), Usage { buffers: 2, pages: 15, allocated: 5, overdue: 5 });
        assert_eq!(accounts.waiting(), BTreeMap::from([(GUEST, 5)]));
        // To let go again does not start the wait anew.
        accounts.retire(ExportId(2), at(11));
        assert_eq!(usage(&accounts, 12).overdue, 5);
        accounts.release(ExportId(2));
        assert_eq!(usage(&accounts, 12), Usage { buffers: 1, pages: 10, allocated: 0, overdue: 0 });
        assert!(accounts.waiting().is_empty());
        assert_eq!(accounts.retire(ExportId(2), at(12)), None);
    }

    #[test]
    fn a_domain_has_one_pace_and_nobody_elses() {
        let mut accounts = Accounts::default();
        assert_eq!([(); 3].map(|()| accounts.refused(GUEST, 3, at(100))), [None; 3]);
        let hold = accounts.refused(GUEST, 3, at(100)).unwrap();
        assert!(hold.begins && hold.until > at(100));
        assert_eq!(accounts.refused(DomId(4), 3, at(100)), None);
        // Others' refusals do not let it be forgotten before its time, as that which was borne is.
        assert_eq!(accounts.refused(DomId(5), 3, at(101)), None);
        assert_eq!(accounts.paces.keys().collect::<Vec<_>>(), [&GUEST, &DomId(5)]);
        assert!(accounts.refused(GUEST, 1, at(100)).is_some_and(|hold| !hold.begins));
        assert_eq!(accounts.refused(GUEST, 3, at(103)), None);
        assert_eq!(accounts.paces.len(), 1);
    }
}

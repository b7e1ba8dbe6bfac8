// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated grant driver.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::allocations::{self, Allocations, Mapped};
use super::memory::{GuestMemory, Pins};
use super::udmabuf;
use crate::xen::grants::{Access, Allocation, Export, ExportId, ExportMemory, GrantError, Grants, Provider, ScansOut};
use crate::xen::pages::SharedPages;
use crate::xen::sys::mapping::{Keeper, Region};
use crate::xen::{DomId, GrantRef};

/// When an export's pages become free, after our last use of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReleasePolicy {
    /// In the same moment.
    #[default]
    AtOnce,
    /// As if somebody else held the dma-buf a little longer.
    After(Duration),
    /// Not before the policy changes.
    Withheld,
}

/// Which memory belongs to whom, and what is exported; shared by the driver and the hypervisor.
pub(super) struct GrantState {
    guests: BTreeMap<DomId, Rc<GuestMemory>>,
    dead: Vec<(DomId, Weak<GuestMemory>)>,
    next_export: u64,
    released: Vec<ExportId>,
    held: Vec<Held>,
    /// Exports as dma-bufs, and the clock by which their users are counted.
    dmabufs: Vec<Counted>,
    clock: Option<TimerFd>,
    udmabuf: Option<Rc<File>>,
    allocations: Allocations,
    pub(super) refusal: Option<String>,
    policy: ReleasePolicy,
    wake: EventFd,
    epoll: Epoll,
}

/// An export that nobody uses any more, and that is not free yet.
struct Held {
    id: ExportId,
    timer: Option<TimerFd>,
    _mapping: Mapping,
}

/// Unmapped first, then marked as free.
struct Mapping {
    _region: Option<Region>,
    _pins: Pins,
}

/// An export as a dma-buf.
struct Counted {
    id: ExportId,
    dmabuf: OwnedFd,
    pins: Pins,
}

/// Waits for the last user of an export.
struct ExportKeeper {
    id: ExportId,
    pins: Pins,
    state: Rc<RefCell<GrantState>>,
}

impl Keeper for ExportKeeper {
    fn release(self, region: Region) {
        let mapping = Mapping { _region: Some(region), _pins: self.pins };
        self.state.borrow_mut().let_go(self.id, mapping);
    }
}

/// Waits for the last user of an allocation on our side.
struct AllocationKeeper {
    id: ExportId,
    state: Rc<RefCell<GrantState>>,
}

impl Keeper for AllocationKeeper {
    fn release(self, region: Region) {
        drop(region);
        let mut state = self.state.borrow_mut();
        let free = state.allocations.drop_memory(self.id);
        state.report_all(free);
    }
}

impl Keeper for Pins {
    fn release(self, region: Region) {
        drop(region);
        drop(self);
    }
}

impl GrantState {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self {
            guests: BTreeMap::new(),
            dead: Vec::new(),
            next_export: 1,
            released: Vec::new(),
            held: Vec::new(),
            dmabufs: Vec::new(),
            clock: None,
            udmabuf: udmabuf::device().map(Rc::new),
            allocations: Allocations::default(),
            refusal: None,
            policy: ReleasePolicy::AtOnce,
            wake,
            epoll,
        })
    }

    pub(super) fn add(&mut self, domid: DomId, memory: GuestMemory) {
        self.guests.insert(domid, Rc::new(memory));
    }

    /// The guest is gone; its memory lives on while it is mapped.
    pub(super) fn remove(&mut self, domid: DomId) {
        if let Some(memory) = self.guests.remove(&domid) {
            self.dead.push((domid, Rc::downgrade(&memory)));
        }
        let free = self.allocations.remove(domid);
        self.report_all(free);
    }

    /// Maps pages of Dom0 into a guest: see [`Allocations::map`].
    pub(super) fn map_ours(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<Mapped<'_>, String> {
        self.allocations.map(domid, refs)
    }

    /// Takes pages of Dom0 out of a guest.
    pub(super) fn unmap_ours(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<(), String> {
        let free = self.allocations.unmap(domid, refs)?;
        self.report_all(free);
        Ok(())
    }

    /// Pages of Dom0 that are allocated for a domain, or for all.
    pub(super) fn allocated(&self, domid: Option<DomId>) -> usize {
        self.allocations.pages(domid)
    }

    /// Dead domains some of whose pages are still mapped.
    pub(super) fn zombies(&mut self) -> Vec<DomId> {
        self.dead.retain(|(_, memory)| memory.strong_count() > 0);
        self.dead.iter().map(|(domid, _)| *domid).collect()
    }

    /// A guest's grants that are mapped now, dead or alive.
    pub(super) fn mapped(&self, domid: DomId) -> usize {
        let dead = self.dead.iter().filter(|(dead, _)| *dead == domid).filter_map(|(_, memory)| memory.upgrade());
        self.guests.get(&domid).cloned().into_iter().chain(dead).map(|memory| memory.mapped()).sum()
    }

    pub(super) fn set_policy(&mut self, policy: ReleasePolicy) {
        self.policy = policy;
        if policy == ReleasePolicy::AtOnce {
            for held in std::mem::take(&mut self.held) {
                self.report(held.id);
            }
        }
    }

    fn let_go(&mut self, id: ExportId, mapping: Mapping) {
        let timer = match self.policy {
            ReleasePolicy::AtOnce => {
                drop(mapping);
                return self.report(id);
            }
            ReleasePolicy::Withheld => None,
            ReleasePolicy::After(delay) => match self.timer(id, delay) {
                Ok(timer) => Some(timer),
                Err(error) => {
                    tracing::error!(%error, "no timer for a delayed release: it is withheld");
                    None
                }
            },
        };
        self.held.push(Held { id, timer, _mapping: mapping });
    }

    fn timer(&self, id: ExportId, delay: Duration) -> io::Result<TimerFd> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        // A time of zero would disarm it.
        let delay = delay.max(Duration::from_nanos(1));
        timer.set(Expiration::OneShot(delay.into()), TimerSetTimeFlags::empty())?;
        self.epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, id.0))?;
        Ok(timer)
    }

    fn report(&mut self, id: ExportId) {
        self.released.push(id);
        if let Err(error) = self.wake.write(1) {
            tracing::error!(%error, "the simulator's eventfd can't be written");
        }
    }

    fn report_all(&mut self, free: Vec<ExportId>) {
        free.into_iter().for_each(|id| self.report(id));
    }

    fn next_id(&mut self) -> ExportId {
        let id = ExportId(self.next_export);
        self.next_export += 1;
        id
    }

    /// Counts a dma-buf's users from now on.
    fn count(&mut self, counted: Counted) -> io::Result<()> {
        if self.clock.is_none() {
            let clock = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
            clock.set(Expiration::Interval(udmabuf::LOOK.into()), TimerSetTimeFlags::empty())?;
            self.epoll.add(&clock, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
            self.clock = Some(clock);
        }
        self.dmabufs.push(counted);
        Ok(())
    }

    fn count_users(&mut self) {
        // An error means that its time has not come.
        let _early = self.clock.as_ref().map(TimerFd::wait);
        let last: Vec<_> = self.dmabufs.extract_if(.., |counted| udmabuf::is_last(&counted.dmabuf)).collect();
        for Counted { id, dmabuf, pins } in last {
            drop(dmabuf);
            self.let_go(id, Mapping { _region: None, _pins: pins });
        }
        if self.dmabufs.is_empty() {
            self.clock = None;
        }
    }

    fn expire(&mut self) {
        self.count_users();
        let over = |held: &Held| held.timer.as_ref().is_some_and(|timer| timer.wait().is_ok());
        let (over, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().partition(over);
        self.held = held;
        for held in over {
            self.report(held.id);
        }
    }
}

/// The simulator's [`Grants`].
pub(super) struct SimGrants {
    state: Rc<RefCell<GrantState>>,
    /// A second handle on the same epoll set, so that it can be lent out.
    poll: OwnedFd,
}

impl SimGrants {
    pub(super) fn new(state: Rc<RefCell<GrantState>>) -> io::Result<Self> {
        let poll = state.borrow().epoll.0.try_clone()?;
        Ok(Self { state, poll })
    }

    fn memory(&self, domid: DomId) -> Result<Rc<GuestMemory>, GrantError> {
        let memory = self.state.borrow().guests.get(&domid).cloned();
        memory.ok_or_else(|| GrantError::Refused { domid, why: "there is no such domain".to_owned() })
    }

    fn export_dmabuf(&self, domid: DomId, device: &File, refs: &[GrantRef]) -> Result<Export, GrantError> {
        let (dmabuf, pins) = self.memory(domid)?.dmabuf(device, refs)?;
        let mut state = self.state.borrow_mut();
        let id = state.next_id();
        let given = dmabuf.try_clone().map_err(|error| no_room(refs.len(), &error))?;
        state.count(Counted { id, dmabuf, pins }).map_err(|error| no_room(refs.len(), &error))?;
        let memory = ExportMemory::Dmabuf(given);
        Ok(Export { id, memory, provider: Provider::Simulator, reason: String::new() })
    }
}

impl Grants for SimGrants {
    fn map(&mut self, domid: DomId, refs: &[GrantRef], access: Access) -> Result<SharedPages, GrantError> {
        let (region, pins) = self.memory(domid)?.map(refs, access, access)?;
        Ok(region.into_pages(pins))
    }

    fn export(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<Export, GrantError> {
        if let Some(why) = self.state.borrow().refusal.clone() {
            return Err(GrantError::Driver(why));
        }
        let udmabuf = self.state.borrow().udmabuf.clone();
        if let Some(device) = udmabuf {
            return self.export_dmabuf(domid, &device, refs);
        }
        let (region, pins) = self.memory(domid)?.map(refs, Access::ReadWrite, Access::Read)?;
        let id = self.state.borrow_mut().next_id();
        let keeper = ExportKeeper { id, pins, state: Rc::clone(&self.state) };
        let memory = ExportMemory::Mapped(region.into_pages(keeper));
        Ok(Export { id, memory, provider: Provider::Simulator, reason: String::new() })
    }

    fn allocate(&mut self, domid: DomId, pages: usize, _: ScansOut<'_>) -> Result<Allocation, GrantError> {
        let memory = allocations::zeroes(pages).map_err(|error| no_room(pages, &error))?;
        self.grant_dmabuf(domid, memory, pages)
    }

    fn grant_dmabuf(&mut self, domid: DomId, dmabuf: OwnedFd, pages: usize) -> Result<Allocation, GrantError> {
        self.memory(domid)?;
        let mut state = self.state.borrow_mut();
        if let Some(why) = state.refusal.clone() {
            return Err(GrantError::Driver(why));
        }
        let id = state.next_id();
        let (region, refs) = state.allocations.add(id, domid, dmabuf, pages).map_err(|error| no_room(pages, &error))?;
        let keeper = AllocationKeeper { id, state: Rc::clone(&self.state) };
        let memory = ExportMemory::Mapped(region.into_pages(keeper));
        Ok(Allocation { id, memory, refs, provider: Provider::SimulatorAllocation, reason: String::new() })
    }

    fn end_access(&mut self, id: ExportId) {
        let mut state = self.state.borrow_mut();
        let free = state.allocations.end(id);
        state.report_all(free);
    }

    /// The hypervisor ends with the compositor, and what it granted with it.
    fn left_behind(&self) -> BTreeMap<DomId, usize> {
        BTreeMap::new()
    }

    fn take_released(&mut self, out: &mut Vec<ExportId>) {
        let mut state = self.state.borrow_mut();
        state.expire();
        out.append(&mut state.released);
        // An error means that it was not set.
        let _unset = state.wake.read();
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

fn no_room(pages: usize, error: &io::Error) -> GrantError {
    GrantError::NoRoom { pages, why: error.to_string() }
}

impl fmt::Debug for SimGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimGrants").finish_non_exhaustive()
    }
}

impl fmt::Debug for GrantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantState").field("guests", &self.guests).finish_non_exhaustive()
    }
}

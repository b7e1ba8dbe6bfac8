// SPDX-License-Identifier: GPL-3.0-or-later
//! The grant drivers together: the helper first, then what mainline offers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::OpenError;
use super::gntdev::{Gntdev, Unmap, Watched};
use super::kernel::Kernel;
use super::mapping::{Keeper, Region};
use super::zcopy::Zcopy;
use crate::xen::grants::{Access, Allocation, Export, ExportId, ExportMemory, GrantError, Grants, Provider, ScansOut};
use crate::xen::pages::SharedPages;
use crate::xen::{DomId, GrantRef, PAGE_SIZE};

/// How often gntdev is asked for its dma-bufs' release, of which it does not tell by itself.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// dma-heaps, best first: those for contiguous memory under the names that kernels give them, then any memory.
pub(super) const HEAPS: [(&str, Provider); 4] = [
    ("linux,cma", Provider::ContiguousHeap),
    ("reserved", Provider::ContiguousHeap),
    ("default_cma_region", Provider::ContiguousHeap),
    ("system", Provider::SystemHeap),
];

/// What is known of the displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Displays {
    /// They have refused nothing so far.
    Unknown,
    /// They refuse pages that lie anywhere.
    WantOnePiece,
    /// They refuse one piece too: it makes no difference.
    WantNothing,
}

/// Mapped exports that were dropped.
#[derive(Debug)]
struct Dropped {
    ids: RefCell<Vec<ExportId>>,
    wake: EventFd,
}

/// Reports a mapped export when it was unmapped.
struct ReportingUnmap {
    id: ExportId,
    unmap: Unmap,
    dropped: Rc<Dropped>,
}

impl Keeper for ReportingUnmap {
    fn release(self, region: Region) {
        drop(region);
        drop(self.unmap);
        self.dropped.ids.borrow_mut().push(self.id);
        if let Err(error) = self.dropped.wake.write(1) {
            tracing::error!(%error, "a release can't be announced");
        }
    }
}

/// The real [`Grants`].
#[derive(Debug)]
pub(super) struct XenGrants {
    kernel: Box<dyn Kernel>,
    gntdev: Gntdev,
    helper: Option<Zcopy>,
    displays: Displays,
    next: u64,
    dropped: Rc<Dropped>,
    watched: Vec<(ExportId, Watched)>,
    timer: TimerFd,
    epoll: Epoll,
}

impl XenGrants {
    pub(super) fn open(kernel: Box<dyn Kernel>) -> Result<Self, OpenError> {
        let gntdev = Gntdev::open(&*kernel)?;
        let plumbing = || -> io::Result<(EventFd, TimerFd, Epoll)> {
            let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
            epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
            Ok((wake, timer, epoll))
        };
        let (wake, timer, epoll) = plumbing().map_err(|error| OpenError {
            path: "epoll".to_owned(),
            error,
            advice: "raise the limit of open files",
        })?;
        let dropped = Rc::new(Dropped { ids: RefCell::default(), wake });
        let (helper, displays, watched) = (None, Displays::Unknown, Vec::new());
        let mut grants = Self { kernel, gntdev, helper, displays, next: 1, dropped, watched, timer, epoll };
        // What was left by a process before us has to be known before we add to it.
        if let Err(why) = grants.helper() {
            tracing::info!(why, "no kernel helper yet");
        }
        Ok(grants)
    }

    /// The helper may be loaded while we run.
    fn helper(&mut self) -> Result<&mut Zcopy, String> {
        if self.helper.is_none() {
            let helper = Zcopy::open(&*self.kernel)?;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, 2);
            self.epoll.add(helper.poll_fd(), event).map_err(|error| error.to_string())?;
            self.helper = Some(helper);
        }
        self.helper.as_mut().ok_or_else(String::new)
    }

    /// `Ok(Err(reason))` when another provider may do better.
    fn by_helper(
        &mut self,
        domid: DomId,
        refs: &[GrantRef],
        id: ExportId,
    ) -> Result<Result<ExportMemory, String>, GrantError> {
        let helper = match self.helper() {
            Ok(helper) => helper,
            Err(why) => return Ok(Err(why)),
        };
        match helper.export(domid, refs, id) {
            Ok(fd) => Ok(Ok(ExportMemory::Dmabuf(fd))),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                // What the helper makes of Xen's answers: nobody else would fare better.
                Some(Errno::ENOENT | Errno::EACCES | Errno::EFAULT) => {
                    Err(GrantError::Refused { domid, why: error.to_string() })
                }
                _ => Ok(Err(format!("{error} (for {} pages)", refs.len()))),
            },
        }
    }

    /// Grants a dma-buf; the provider is to be said by who took it.
    fn grant(
        &mut self,
        domid: DomId,
        dmabuf: OwnedFd,
        pages: usize,
        provider: Provider,
    ) -> Result<Allocation, GrantError> {
        let id = self.next_id();
        let refs = self.helper().map_err(GrantError::Driver)?.grant(domid, dmabuf.as_fd(), pages, id)?;
        Ok(Allocation { id, memory: ExportMemory::Dmabuf(dmabuf), refs, provider, reason: String::new() })
    }

    /// Memory of the first dma-heap that has some which can be scanned out and granted.
    fn by_heap(
        &mut self,
        domid: DomId,
        pages: usize,
        scans_out: ScansOut<'_>,
        refused: &mut Vec<String>,
    ) -> Option<Allocation> {
        for (name, provider) in HEAPS {
            let dmabuf = match self.kernel.heap(name, pages.saturating_mul(PAGE_SIZE)) {
                // Most machines have one or two of these.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                taken => taken.map_err(|error| error.to_string()),
            };
            let suits = |dmabuf: OwnedFd| {
                let any = provider == Provider::ContiguousHeap || self.displays == Displays::WantNothing;
                if !any && let Err(why) = scans_out(dmabuf.as_fd()) {
                    self.displays = Displays::WantOnePiece;
                    return Err(why);
                }
                Ok(dmabuf)
            };
            let granted = dmabuf
                .and_then(suits)
                .and_then(|dmabuf| self.grant(domid, dmabuf, pages, provider).map_err(|error| error.to_string()));
            let why = match granted {
                Ok(allocation) => return Some(allocation),
                Err(why) => why,
            };
            refused.push(format!("dma-heap {name}: {why}"));
        }
        if refused.is_empty() {
            refused.push("the kernel has no dma-heap".to_owned());
        }
        None
    }

    /// Memory of the helper's own; in one piece where a display takes it only so, and if it can be had.
    fn by_helper_alone(
        &mut self,
        domid: DomId,
        pages: usize,
        scans_out: ScansOut<'_>,
        refused: &mut Vec<String>,
    ) -> Result<Allocation, GrantError> {
        if self.displays == Displays::WantOnePiece
            && let Some(one) = self.in_one_piece(domid, pages, scans_out, refused)
        {
            return Ok(one);
        }
        let any = self.helper_memory(domid, pages, Provider::HelperAllocation)?;
        if self.displays != Displays::Unknown {
            return Ok(any);
        }
        let Err(why) = shows(&any, scans_out) else { return Ok(any) };
        refused.push(format!("{}: {why}", any.provider.name()));
        self.displays = Displays::WantOnePiece;
        let Some(one) = self.in_one_piece(domid, pages, scans_out, refused) else { return Ok(any) };
        self.end_access(any.id);
        Ok(one)
    }

    fn in_one_piece(
        &mut self,
        domid: DomId,
        pages: usize,
        scans_out: ScansOut<'_>,
        refused: &mut Vec<String>,
    ) -> Option<Allocation> {
        let provider = Provider::HelperContiguous;
        let why = match self.helper_memory(domid, pages, provider) {
            Err(error) => error.to_string(),
            Ok(one) => match shows(&one, scans_out) {
                Ok(()) => return Some(one),
                Err(why) => {
                    self.displays = Displays::WantNothing;
                    self.end_access(one.id);
                    why
                }
            },
        };
        refused.push(format!("{}: {why}", provider.name()));
        None
    }

    fn helper_memory(&mut self, domid: DomId, pages: usize, provider: Provider) -> Result<Allocation, GrantError> {
        let id = self.next_id();
        let contiguous = provider == Provider::HelperContiguous;
        let (dmabuf, refs) = self.helper().map_err(GrantError::Driver)?.allocate(domid, pages, contiguous, id)?;
        Ok(Allocation { id, memory: ExportMemory::Dmabuf(dmabuf), refs, provider, reason: String::new() })
    }

    fn next_id(&mut self) -> ExportId {
        let id = ExportId(self.next);
        self.next += 1;
        id
    }

    fn by_gntdev_dmabuf(&mut self, domid: DomId, refs: &[GrantRef], id: ExportId) -> Result<ExportMemory, String> {
        let (dmabuf, watched) = self.gntdev.export(domid, refs).map_err(|error| Gntdev::explain(&error))?;
        self.watched.push((id, watched));
        self.arm().map_err(|error| error.to_string())?;
        Ok(ExportMemory::Dmabuf(dmabuf))
    }

    fn by_gntdev_map(&self, domid: DomId, refs: &[GrantRef], id: ExportId) -> Result<ExportMemory, GrantError> {
        let (region, unmap) = self.gntdev.map(domid, refs, Access::Read)?;
        let keeper = ReportingUnmap { id, unmap, dropped: Rc::clone(&self.dropped) };
        Ok(ExportMemory::Mapped(region.into_pages(keeper)))
    }

    /// The timer runs while there is something to ask for.
    fn arm(&self) -> io::Result<()> {
        if self.watched.is_empty() {
            return Ok(self.timer.unset()?);
        }
        let every = Expiration::Interval(ASK_EVERY.into());
        Ok(self.timer.set(every, TimerSetTimeFlags::empty())?)
    }

    fn ask_gntdev(&mut self, out: &mut Vec<ExportId>) {
        // An error means that it has not run out.
        if self.watched.is_empty() || self.timer.wait().is_err() {
            return;
        }
        let gntdev = &self.gntdev;
        self.watched.retain(|(id, watched)| match gntdev.is_released(watched) {
            Ok(false) => true,
            Ok(true) => {
                out.push(*id);
                false
            }
            Err(error) => {
                tracing::error!(%error, "gntdev does not say whether a dma-buf is released");
                true
            }
        });
        if self.watched.is_empty()
            && let Err(error) = self.arm()
        {
            tracing::error!(%error, "a timer can't be stopped");
        }
    }
}

impl Grants for XenGrants {
    fn map(&mut self, domid: DomId, refs: &[GrantRef], access: Access) -> Result<SharedPages, GrantError> {
        let (region, unmap) = self.gntdev.map(domid, refs, access)?;
        Ok(region.into_pages(unmap))
    }

    fn export(&mut self, domid: DomId, refs: &[GrantRef]) -> Result<Export, GrantError> {
        let id = self.next_id();
        let first = match self.by_helper(domid, refs, id)? {
            Ok(memory) => return Ok(Export { id, memory, provider: Provider::Helper, reason: String::new() }),
            Err(why) => format!("{}: {why}", Provider::Helper.name()),
        };
        let second = match self.by_gntdev_dmabuf(domid, refs, id) {
            Ok(memory) => return Ok(Export { id, memory, provider: Provider::GntdevDmabuf, reason: first }),
            Err(why) => format!("{}: {why}", Provider::GntdevDmabuf.name()),
        };
        let memory = self.by_gntdev_map(domid, refs, id)?;
        Ok(Export { id, memory, provider: Provider::GntdevMap, reason: format!("{first}; {second}") })
    }

    fn allocate(&mut self, domid: DomId, pages: usize, scans_out: ScansOut<'_>) -> Result<Allocation, GrantError> {
        // Nothing is taken that nobody can grant.
        self.helper().map_err(GrantError::Driver)?;
        let mut refused = Vec::new();
        if let Some(allocation) = self.by_heap(domid, pages, scans_out, &mut refused) {
            return Ok(Allocation { reason: refused.join("; "), ..allocation });
        }
        let allocation = self.by_helper_alone(domid, pages, scans_out, &mut refused)?;
        Ok(Allocation { reason: refused.join("; "), ..allocation })
    }

    fn grant_dmabuf(&mut self, domid: DomId, dmabuf: OwnedFd, pages: usize) -> Result<Allocation, GrantError> {
        self.grant(domid, dmabuf, pages, Provider::Display)
    }

    fn end_access(&mut self, id: ExportId) {
        match self.helper.as_ref().map_or(Ok(false), |helper| helper.end_access(id)) {
            Ok(true) => {}
            Ok(false) => tracing::error!(?id, "the grants of an unknown allocation can't be ended"),
            Err(error) => tracing::error!(%error, ?id, "the helper does not end an allocation's grants"),
        }
    }

    fn left_behind(&self) -> BTreeMap<DomId, usize> {
        self.helper.as_ref().map(Zcopy::left_behind).unwrap_or_default()
    }

    fn take_released(&mut self, out: &mut Vec<ExportId>) {
        // An error means that it was not set.
        let _unset = self.dropped.wake.read();
        out.append(&mut self.dropped.ids.borrow_mut());
        if let Some(helper) = &mut self.helper {
            helper.take_released(out);
        }
        self.ask_gntdev(out);
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// Whether a display can scan out an allocation.
fn shows(allocation: &Allocation, scans_out: ScansOut<'_>) -> Result<(), String> {
    match &allocation.memory {
        ExportMemory::Dmabuf(dmabuf) => scans_out(dmabuf.as_fd()),
        ExportMemory::Mapped(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;

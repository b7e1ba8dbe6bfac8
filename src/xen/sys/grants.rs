// SPDX-License-Identifier: GPL-3.0-or-later
//! The grant drivers together: the helper first, then what mainline offers.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::OpenError;
use super::gntdev::{Gntdev, Unmap, Watched};
use super::mapping::{Keeper, Region};
use super::zcopy::Zcopy;
use crate::xen::grants::{Access, Export, ExportId, ExportMemory, GrantError, Grants, Provider};
use crate::xen::pages::SharedPages;
use crate::xen::{DomId, GrantRef};

/// How often gntdev is asked for its dma-bufs' release, of which it does not tell by itself.
const ASK_EVERY: Duration = Duration::from_millis(10);

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
    gntdev: Gntdev,
    helper: Option<Zcopy>,
    next: u64,
    dropped: Rc<Dropped>,
    watched: Vec<(ExportId, Watched)>,
    timer: TimerFd,
    epoll: Epoll,
}

impl XenGrants {
    pub(super) fn open() -> Result<Self, OpenError> {
        let gntdev = Gntdev::open()?;
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
        Ok(Self { gntdev, helper: None, next: 1, dropped, watched: Vec::new(), timer, epoll })
    }

    /// The helper may be loaded while we run.
    fn helper(&mut self) -> Result<&mut Zcopy, String> {
        if self.helper.is_none() {
            let helper = Zcopy::open()?;
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
        let id = ExportId(self.next);
        self.next += 1;
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

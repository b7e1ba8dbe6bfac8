// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated event channels: two eventfds each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::xen::evtchn::EventChannels;
use crate::xen::{DomId, Port};

/// Ports that one guest may have.
const MAX_PORTS: usize = 1024;

/// Both ends' eventfds.
#[derive(Debug)]
struct Lines {
    to_backend: EventFd,
    to_guest: EventFd,
}

/// A port of a guest.
#[derive(Debug)]
struct Offered {
    lines: Rc<Lines>,
    remote: DomId,
    bound: Option<Port>,
}

/// A port of ours.
#[derive(Debug)]
struct Local {
    lines: Rc<Lines>,
    peer: (DomId, Port),
}

/// All ports, shared by the driver and the hypervisor.
#[derive(Debug)]
pub(super) struct Channels {
    epoll: Epoll,
    offered: BTreeMap<(DomId, Port), Offered>,
    local: BTreeMap<Port, Local>,
    next_local: u32,
    next_remote: BTreeMap<DomId, u32>,
}

impl Channels {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            offered: BTreeMap::new(),
            local: BTreeMap::new(),
            next_local: 1,
            next_remote: BTreeMap::new(),
        })
    }

    /// A guest offers a port; gives its number and copies of both eventfds (to the backend, to the guest).
    pub(super) fn offer(&mut self, domid: DomId, remote: DomId) -> io::Result<(Port, OwnedFd, OwnedFd)> {
        if self.offered.keys().filter(|(owner, _)| *owner == domid).count() >= MAX_PORTS {
            return Err(Errno::ENOSPC.into());
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let lines = Lines { to_backend: EventFd::from_flags(flags)?, to_guest: EventFd::from_flags(flags)? };
        let copies = (lines.to_backend.as_fd().try_clone_to_owned()?, lines.to_guest.as_fd().try_clone_to_owned()?);
        let next = self.next_remote.entry(domid).or_insert(1);
        let port = Port(*next);
        *next += 1;
        self.offered.insert((domid, port), Offered { lines: Rc::new(lines), remote, bound: None });
        Ok((port, copies.0, copies.1))
    }

    /// A guest closes its port. Our end stays, and leads nowhere.
    pub(super) fn close(&mut self, domid: DomId, port: Port) {
        self.offered.remove(&(domid, port));
    }

    /// The guest is gone.
    pub(super) fn remove(&mut self, domid: DomId) {
        self.offered.retain(|(owner, _), _| *owner != domid);
    }
}

/// The simulator's [`EventChannels`].
#[derive(Debug)]
pub(super) struct SimChannels {
    channels: Rc<RefCell<Channels>>,
    /// A second handle on the same epoll set, so that it can be lent out.
    poll: OwnedFd,
    /// The ports that were bound here.
    own: Vec<Port>,
}

impl SimChannels {
    pub(super) fn new(channels: Rc<RefCell<Channels>>) -> io::Result<Self> {
        let poll = channels.borrow().epoll.0.try_clone()?;
        Ok(Self { channels, poll, own: Vec::new() })
    }
}

/// Fires once, and then no more until it is armed again: the port is masked.
fn armed(port: Port) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, u64::from(port.0))
}

impl EventChannels for SimChannels {
    fn bind(&mut self, domid: DomId, remote: Port) -> io::Result<Port> {
        let mut channels = self.channels.borrow_mut();
        let channels = &mut *channels;
        let offered = channels.offered.get_mut(&(domid, remote));
        let offered = offered.filter(|offered| offered.remote == DomId(0) && offered.bound.is_none());
        let offered = offered.ok_or(Errno::EINVAL)?;
        let port = Port(channels.next_local);
        // As Xen does: the guest may have raised the event before we were there to hear it.
        raise(&offered.lines.to_backend)?;
        channels.epoll.add(&offered.lines.to_backend, armed(port))?;
        channels.next_local += 1;
        offered.bound = Some(port);
        channels.local.insert(port, Local { lines: Rc::clone(&offered.lines), peer: (domid, remote) });
        self.own.push(port);
        Ok(port)
    }

    fn unbind(&mut self, port: Port) {
        self.own.retain(|own| *own != port);
        let mut channels = self.channels.borrow_mut();
        let Some(local) = channels.local.remove(&port) else { return };
        if let Err(error) = channels.epoll.delete(&local.lines.to_backend) {
            tracing::error!(%error, %port, "a simulated port can't be unbound");
        }
        // The guest's port can be bound again, as after a backend's death on Xen.
        if let Some(offered) = channels.offered.get_mut(&local.peer) {
            offered.bound = None;
        }
    }

    fn notify(&mut self, port: Port) -> io::Result<()> {
        let channels = self.channels.borrow();
        let local = channels.local.get(&port).ok_or(Errno::ENOTCONN)?;
        raise(&local.lines.to_guest)
    }

    fn take_pending(&mut self, out: &mut Vec<Port>) -> io::Result<()> {
        let channels = self.channels.borrow();
        let mut ready = [EpollEvent::empty(); 64];
        loop {
            let count = channels.epoll.wait(&mut ready, 0_u16)?;
            for event in ready.iter().take(count) {
                let Ok(port) = u32::try_from(event.data()).map(Port) else { continue };
                if let Some(local) = channels.local.get(&port) {
                    // An error means that it was not set.
                    let _unset = local.lines.to_backend.read();
                    out.push(port);
                }
            }
            if count < ready.len() {
                return Ok(());
            }
        }
    }

    fn unmask(&mut self, port: Port) -> io::Result<()> {
        let channels = self.channels.borrow();
        let local = channels.local.get(&port).ok_or(Errno::ENOTCONN)?;
        channels.epoll.modify(&local.lines.to_backend, &mut armed(port))?;
        Ok(())
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

/// As the driver's descriptor does when it is closed.
impl Drop for SimChannels {
    fn drop(&mut self) {
        for port in std::mem::take(&mut self.own) {
            self.unbind(port);
        }
    }
}

/// An eventfd that is full is raised already.
fn raise(line: &EventFd) -> io::Result<()> {
    match line.write(1) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

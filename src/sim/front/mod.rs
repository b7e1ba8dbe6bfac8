// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's kernel, as far as PV drivers need one: memory, grants, event channels, xenstore. For processes of
//! their own (and for threads in tests): these calls block, each with a limit.

mod store;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::ftruncate;
use thiserror::Error;

use super::control::Control;
use super::memory::{GRANT_FRAMES, GRANTS, GrantEntry, GrantTable, gtf};
use crate::xen::grants::Access;
use crate::xen::pages::{OutOfBounds, SharedPages};
use crate::xen::sys::mapping::{Region, Run};
use crate::xen::{DomId, GrantRef, PAGE_SIZE, Port};
pub use store::GuestStore;

/// What goes wrong in a guest.
#[derive(Debug, Error)]
pub enum FrontError {
    /// The kernel's, or the connection to the hypervisor broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// xenstore's error.
    #[error("xenstore: {path}: {name}")]
    Store {
        /// What was asked for.
        path: String,
        /// As on the wire ("ENOENT").
        name: String,
    },
    /// The hypervisor does not take the guest, or its request.
    #[error("the simulator refuses: {0}")]
    Refused(String),
    /// The guest has not enough memory or grants.
    #[error("the guest has no {0} left")]
    NoRoom(&'static str),
    /// Nobody answered in time.
    #[error("{what}: no answer within {ms} ms")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long, in milliseconds.
        ms: u128,
    },
    /// The backend answered with an error.
    #[error("{operation} answered with {status}")]
    Status {
        /// The operation's name.
        operation: &'static str,
        /// A negative error number.
        status: i32,
    },
    /// The backend has gone, or closes the device.
    #[error("the backend has closed")]
    BackendGone,
}

impl From<Errno> for FrontError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<OutOfBounds> for FrontError {
    fn from(error: OutOfBounds) -> Self {
        Self::Io(io::Error::other(error))
    }
}

/// The monotonic clock.
#[must_use]
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

/// Waits until one of the descriptors is readable; false when the time is over first.
///
/// # Errors
/// The kernel's.
pub fn wait(fds: &[BorrowedFd<'_>], limit: Duration) -> io::Result<bool> {
    // Rounded up, so that the time is really over afterwards.
    let ms = limit.as_nanos().div_ceil(1_000_000);
    let limit = PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX);
    let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    match poll(&mut fds, limit) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A guest: it lives until it is dropped, or its process dies.
#[derive(Debug)]
pub struct Guest {
    domid: DomId,
    control: OwnedFd,
    memory: OwnedFd,
    table: GrantTable,
    free_frames: Vec<u32>,
    free_grants: Vec<GrantRef>,
    store: GuestStore,
}

/// References in one message to the hypervisor.
const REFS_A_MESSAGE: usize = 1000;

/// Pages of Dom0 that a guest maps, until it gives them back or dies.
#[derive(Debug)]
pub struct ForeignPages {
    memory: Option<OwnedFd>,
    pages: Vec<u64>,
    refs: Vec<GrantRef>,
}

impl ForeignPages {
    /// The guest's view of the pages.
    ///
    /// # Errors
    /// The kernel's.
    pub fn view(&self) -> Result<SharedPages, FrontError> {
        let memory = self.memory.as_ref().ok_or(FrontError::NoRoom("pages"))?;
        Ok(assemble(memory, self.pages.iter().copied())?)
    }
}

/// Pages of a file, one behind the other.
fn assemble(memory: &OwnedFd, pages: impl Iterator<Item = u64>) -> io::Result<SharedPages> {
    let size = u64::try_from(PAGE_SIZE).unwrap_or(0);
    let runs: Vec<_> = pages.map(|page| Run { offset: page * size, len: PAGE_SIZE }).collect();
    Ok(Region::assemble(memory, &runs, Access::ReadWrite)?.into_pages(()))
}

/// One event channel of a guest, not yet or already bound by the backend.
#[derive(Debug)]
pub struct Channel {
    /// The number to publish.
    pub port: Port,
    to_backend: EventFd,
    to_guest: EventFd,
}

impl Channel {
    /// Raises the event at the backend.
    ///
    /// # Errors
    /// The kernel's.
    pub fn notify(&self) -> io::Result<()> {
        match self.to_backend.write(1) {
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes note of the backend's event, so that the descriptor is not readable until the next one.
    pub fn clear(&self) {
        // An error means that it was not raised.
        let _unset = self.to_guest.read();
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.to_guest.as_fd()
    }
}

impl Guest {
    /// Starts a guest with `frames` pages of memory besides its grant table. `devices` are the texts that stand
    /// between the quotes of `vdispl=['…']` in a guest's configuration.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn start(socket_path: &Path, name: &str, devices: &[&str], frames: u32) -> Result<Self, FrontError> {
        let memory = memfd_create(c"guest", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let end = GRANT_FRAMES.saturating_add(frames);
        ftruncate(&memory, i64::from(end) * i64::try_from(PAGE_SIZE).unwrap_or(i64::MAX))?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
        let control = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        let address = UnixAddr::new(socket_path)?;
        connect(std::os::fd::AsRawFd::as_raw_fd(&control), &address)?;
        let texts: Vec<_> = ["hello", name].iter().chain(devices).copied().collect();
        Control::send(control.as_fd(), &texts, &[memory.as_fd()])?;
        let mut answer = Control::receive(control.as_fd())?.ok_or(FrontError::BackendGone)?;
        let domid = match answer.words().as_slice() {
            ["welcome", domid] => domid.parse().map(DomId).map_err(|_| unexpected(&answer))?,
            ["refused", why] => return Err(FrontError::Refused((*why).to_owned())),
            _ => return Err(unexpected(&answer)),
        };
        let store = answer.fds.pop().ok_or_else(|| unexpected(&answer))?;
        Ok(Self {
            domid,
            control,
            table: GrantTable::map(&memory)?,
            memory,
            // Handed out from the end: neighbours in a buffer are not neighbours in memory, as in a real guest
            // that has run for a while.
            free_frames: (GRANT_FRAMES..end).collect(),
            // The first eight are reserved by Linux.
            free_grants: (8..GRANTS).rev().map(GrantRef).collect(),
            store: GuestStore::new(UnixStream::from(store)),
        })
    }

    /// The guest's number.
    #[must_use]
    pub const fn domid(&self) -> DomId {
        self.domid
    }

    /// The guest's xenstore connection.
    #[must_use]
    pub const fn store(&mut self) -> &mut GuestStore {
        &mut self.store
    }

    /// Readable when xenstore has something to say.
    #[must_use]
    pub fn store_fd(&self) -> BorrowedFd<'_> {
        self.store.as_fd()
    }

    /// The grant table, for a guest that does not keep to the rules.
    #[must_use]
    pub const fn table(&self) -> &GrantTable {
        &self.table
    }

    /// Takes pages out of the free ones.
    ///
    /// # Errors
    /// [`FrontError::NoRoom`].
    pub fn allocate(&mut self, count: usize) -> Result<Vec<u32>, FrontError> {
        let keep = self.free_frames.len().checked_sub(count).ok_or(FrontError::NoRoom("memory"))?;
        Ok(self.free_frames.split_off(keep))
    }

    /// Gives pages back.
    pub fn free(&mut self, frames: &[u32]) {
        self.free_frames.extend_from_slice(frames);
    }

    /// Pages and grants that are not in use.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        (self.free_frames.len(), self.free_grants.len())
    }

    /// The guest's own view of its pages, in the given order.
    ///
    /// # Errors
    /// The kernel's.
    pub fn view(&self, frames: &[u32]) -> Result<SharedPages, FrontError> {
        Ok(assemble(&self.memory, frames.iter().map(|frame| u64::from(*frame)))?)
    }

    /// Grants a page to Dom0.
    ///
    /// # Errors
    /// [`FrontError::NoRoom`].
    pub fn grant(&mut self, frame: u32, access: Access) -> Result<GrantRef, FrontError> {
        let gref = self.free_grants.pop().ok_or(FrontError::NoRoom("grants"))?;
        let readonly = if access == Access::Read { gtf::READONLY } else { 0 };
        self.table.store(gref, GrantEntry { flags: gtf::PERMIT_ACCESS | readonly, domid: 0, frame });
        Ok(gref)
    }

    /// Takes a grant back; false when it is still mapped, in which case it stays as it is.
    pub fn revoke(&mut self, gref: GrantRef) -> bool {
        let revoked = self.table.revoke(gref);
        if revoked {
            self.free_grants.push(gref);
        }
        revoked
    }

    /// Maps pages that Dom0 grants, in the given order.
    ///
    /// # Errors
    /// See [`FrontError`]; then nothing is mapped.
    pub fn map_foreign(&mut self, refs: &[GrantRef]) -> Result<ForeignPages, FrontError> {
        let mut foreign = ForeignPages { memory: None, pages: Vec::new(), refs: Vec::new() };
        for chunk in refs.chunks(REFS_A_MESSAGE) {
            match self.map_chunk(chunk, &mut foreign) {
                Ok(()) => foreign.refs.extend_from_slice(chunk),
                Err(error) => {
                    self.unmap_foreign(foreign)?;
                    return Err(error);
                }
            }
        }
        Ok(foreign)
    }

    fn map_chunk(&self, refs: &[GrantRef], foreign: &mut ForeignPages) -> Result<(), FrontError> {
        send_refs(self.control.as_fd(), "map", refs)?;
        let mut answer = Control::receive(self.control.as_fd())?.ok_or(FrontError::BackendGone)?;
        match answer.words().as_slice() {
            ["mapped", pages @ ..] => {
                let pages: Result<Vec<u64>, _> = pages.iter().map(|page| page.parse()).collect();
                foreign.pages.extend(pages.map_err(|_| unexpected(&answer))?);
            }
            ["refused", why] => return Err(FrontError::Refused((*why).to_owned())),
            _ => return Err(unexpected(&answer)),
        }
        foreign.memory = answer.fds.pop();
        Ok(())
    }

    /// Unmaps pages of Dom0.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn unmap_foreign(&mut self, foreign: ForeignPages) -> Result<(), FrontError> {
        for chunk in foreign.refs.chunks(REFS_A_MESSAGE) {
            send_refs(self.control.as_fd(), "unmap", chunk)?;
        }
        Ok(())
    }

    /// Offers an event channel to Dom0.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn offer_channel(&mut self) -> Result<Channel, FrontError> {
        Control::send(self.control.as_fd(), &["offer", "0"], &[])?;
        let answer = Control::receive(self.control.as_fd())?.ok_or(FrontError::BackendGone)?;
        let port = match answer.words().as_slice() {
            ["port", port] => port.parse().map(Port).map_err(|_| unexpected(&answer))?,
            ["refused", why] => return Err(FrontError::Refused((*why).to_owned())),
            _ => return Err(unexpected(&answer)),
        };
        let lines: Result<[OwnedFd; 2], _> = answer.fds.try_into();
        let [to_backend, to_guest] = lines.map_err(|_| FrontError::Refused("no event lines came".to_owned()))?;
        Ok(Channel { port, to_backend: eventfd(to_backend), to_guest: eventfd(to_guest) })
    }

    /// Closes an event channel.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn close_channel(&mut self, channel: Channel) -> Result<(), FrontError> {
        Ok(Control::send(self.control.as_fd(), &["close", &channel.port.to_string()], &[])?)
    }
}

fn send_refs(socket: BorrowedFd<'_>, kind: &str, refs: &[GrantRef]) -> io::Result<()> {
    let numbers: Vec<_> = refs.iter().map(GrantRef::to_string).collect();
    let words: Vec<_> = [kind].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    Control::send(socket, &words, &[])
}

fn eventfd(fd: OwnedFd) -> EventFd {
    super::os::eventfd(fd)
}

fn unexpected(answer: &Control) -> FrontError {
    FrontError::Refused(format!("it answers {:?}", answer.texts))
}

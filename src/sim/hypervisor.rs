// SPDX-License-Identifier: GPL-3.0-or-later
//! The hypervisor itself: who its guests are, and how they come and go.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, listen, socket};

use super::channels::{Channels, SimChannels};
use super::control::Control;
use super::grants::{GrantState, ReleasePolicy, SimGrants};
use super::memory::GuestMemory;
use super::os;
use super::toolstack::{Configured, Registered};
use super::xenbus_device::XenbusDevice;
use super::xenstored::Xenstored;
use crate::xen::store::{Store, Stream};
use crate::xen::{DomId, GrantRef, Platform, Port};

const LISTENER: u64 = 0;
const XENSTORED: u64 = 1;
const KICK: u64 = 2;
const FIRST_GUEST: u64 = 16;

/// Guests at once.
const MAX_GUESTS: usize = 256;

/// A guest's control socket, and what is known of it.
#[derive(Debug)]
struct Guest {
    socket: OwnedFd,
    registered: Option<Registered>,
    name: String,
}

/// The simulated hypervisor. Drop it and its socket goes; guests see their connections close.
#[derive(Debug)]
pub struct Hypervisor {
    path: PathBuf,
    epoll: Epoll,
    listener: OwnedFd,
    /// Raised when a step of the toolstack is still to be done.
    kick: EventFd,
    xenstored: Xenstored,
    channels: Rc<RefCell<Channels>>,
    grants: Rc<RefCell<GrantState>>,
    guests: BTreeMap<u64, Guest>,
    next_guest: u64,
    next_domid: u16,
    /// Devices whose directories have been made, and whose keys come next: those of the input devices, and
    /// then those of the displays.
    unfinished: Vec<(Registered, bool)>,
    /// Dead domains whose backends have not closed yet.
    dying: Vec<Registered>,
}

impl Hypervisor {
    /// Listens for guests on a new socket at `path` (an old one is replaced), and gives the traits' side.
    ///
    /// # Errors
    /// The kernel's.
    pub fn listen(path: &Path) -> io::Result<(Platform, Self)> {
        if fs::symlink_metadata(path).is_ok() {
            fs::remove_file(path)?;
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&listener, Backlog::new(16)?)?;
        let mut xenstored = Xenstored::new()?;
        let stream = UnixStream::from(xenstored.connect(DomId(0))?);
        stream.set_nonblocking(true)?;
        let kick = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(xenstored.poll_fd(), EpollEvent::new(EpollFlags::EPOLLIN, XENSTORED))?;
        epoll.add(&kick, EpollEvent::new(EpollFlags::EPOLLIN, KICK))?;
        let channels = Rc::new(RefCell::new(Channels::new()?));
        let grants = Rc::new(RefCell::new(GrantState::new()?));
        let platform = Platform {
            store: Store::new(Box::new(stream)),
            event_channels: Box::new(SimChannels::new(Rc::clone(&channels))?),
            grants: Box::new(SimGrants::new(Rc::clone(&grants))?),
        };
        let hypervisor = Self {
            path: path.to_owned(),
            epoll,
            listener,
            kick,
            xenstored,
            channels,
            grants,
            guests: BTreeMap::new(),
            next_guest: FIRST_GUEST,
            next_domid: 1,
            unfinished: Vec::new(),
            dying: Vec::new(),
        };
        Ok((platform, hypervisor))
    }

    /// Another platform on the same hypervisor, for a compositor that is started again.
    ///
    /// # Errors
    /// The kernel's.
    pub fn platform(&mut self) -> io::Result<Platform> {
        let stream = UnixStream::from(self.xenstored.connect(DomId(0))?);
        stream.set_nonblocking(true)?;
        Ok(Platform {
            store: Store::new(Box::new(stream)),
            event_channels: Box::new(SimChannels::new(Rc::clone(&self.channels))?),
            grants: Box::new(SimGrants::new(Rc::clone(&self.grants))?),
        })
    }

    /// Dom0's xenstore through Linux's `/dev/xen/xenbus`; `stuck` becomes true when its user has stopped the kernel's
    /// thread for ever.
    ///
    /// # Errors
    /// The kernel's.
    pub fn xenbus_device(&mut self, stuck: &Rc<Cell<bool>>) -> io::Result<Box<dyn Stream>> {
        let stream = UnixStream::from(self.xenstored.connect(DomId(0))?);
        Ok(Box::new(XenbusDevice::new(stream, Rc::clone(stuck))?))
    }

    /// Becomes readable when [`Hypervisor::dispatch`] has work.
    #[must_use]
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Serves guests that come, ask and go, and xenstored's clients. Does not block.
    ///
    /// # Errors
    /// The kernel's, when the simulator itself is broken; a guest's errors end that guest.
    pub fn dispatch(&mut self) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); 32];
        let count = self.epoll.wait(&mut ready, 0_u16)?;
        for event in ready.iter().take(count) {
            match event.data() {
                LISTENER => self.accept()?,
                XENSTORED => self.xenstored.dispatch()?,
                KICK => self.next_step(),
                number => self.serve(number),
            }
        }
        let xenstored = &mut self.xenstored;
        self.dying.retain(|registered| !registered.clean_up(xenstored));
        Ok(())
    }

    /// The running guests and their names.
    #[must_use]
    pub fn guests(&self) -> Vec<(DomId, String)> {
        let named = |guest: &Guest| Some((guest.registered.as_ref()?.domid, guest.name.clone()));
        self.guests.values().filter_map(named).collect()
    }

    /// Dead domains some of whose pages we still have mapped.
    #[must_use]
    pub fn zombies(&self) -> Vec<DomId> {
        self.grants.borrow_mut().zombies()
    }

    /// How many grants of a guest, dead or alive, are mapped now.
    #[must_use]
    pub fn mapped_grants(&self, domid: DomId) -> usize {
        self.grants.borrow().mapped(domid)
    }

    /// How many pages of ours are allocated for a guest (or for all), dead or alive.
    #[must_use]
    pub fn allocated_pages(&self, domid: Option<DomId>) -> usize {
        self.grants.borrow().allocated(domid)
    }

    /// A node as xenstored has it.
    #[must_use]
    pub fn store_value(&self, path: &str) -> Option<String> {
        self.xenstored.value(path)
    }

    /// When exports become free; withheld ones become free when this is set to at-once.
    pub fn set_release_policy(&mut self, policy: ReleasePolicy) {
        self.grants.borrow_mut().set_policy(policy);
    }

    /// Refuses all exports from now on, for the given reason, or no longer.
    pub fn refuse_exports(&mut self, reason: Option<&str>) {
        self.grants.borrow_mut().refusal = reason.map(str::to_owned);
    }

    /// Sets the number of the next guest: Xen uses numbers again, after some 32,000.
    pub const fn set_next_domid(&mut self, domid: DomId) {
        self.next_domid = domid.0;
    }

    /// Ends a guest as `xl destroy` does, without waiting for its process.
    pub fn destroy(&mut self, domid: DomId) {
        let of = |guest: &Guest| guest.registered.as_ref().is_some_and(|registered| registered.domid == domid);
        if let Some(number) = self.guests.iter().find_map(|(number, guest)| of(guest).then_some(*number)) {
            self.remove(number);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = match accept4(self.listener.as_raw_fd(), flags) {
            Ok(raw) => os::adopt(raw),
            Err(Errno::EAGAIN | Errno::ECONNABORTED | Errno::EINTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if self.guests.len() >= MAX_GUESTS {
            tracing::warn!("the simulator takes no more than {MAX_GUESTS} guests");
            return Ok(());
        }
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, self.next_guest))?;
        self.guests.insert(self.next_guest, Guest { socket, registered: None, name: String::new() });
        self.next_guest += 1;
        Ok(())
    }

    fn serve(&mut self, number: u64) {
        let Some(guest) = self.guests.get(&number) else { return };
        let served = match Control::receive(guest.socket.as_fd()) {
            Ok(Some(message)) => self.request(number, message),
            Ok(None) => Err("it is gone".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = served {
            tracing::debug!(guest = number, why, "a simulated guest ends");
            self.remove(number);
        }
    }

    fn request(&mut self, number: u64, mut message: Control) -> Result<(), String> {
        let guest = self.guests.get(&number).ok_or("no such guest")?;
        match (message.words().as_slice(), &guest.registered) {
            (["hello", name, devices @ ..], None) => {
                let (name, devices) = ((*name).to_owned(), devices.iter().map(|text| (*text).to_owned()).collect());
                let memory = message.fds.pop().ok_or("it brings no memory")?;
                match self.create(number, &name, devices, memory) {
                    Err(why) => self.reply(number, &["refused", &why], &[]).and(Err(why)),
                    Ok(()) => Ok(()),
                }
            }
            (["offer", remote], Some(registered)) => {
                let (domid, remote) = (registered.domid, DomId(remote.parse().map_err(|_| "no domain")?));
                let offered = self.channels.borrow_mut().offer(domid, remote);
                match offered {
                    Ok((port, out, back)) => {
                        self.reply(number, &["port", &port.to_string()], &[out.as_fd(), back.as_fd()])
                    }
                    Err(error) => self.reply(number, &["refused", &error.to_string()], &[]),
                }
            }
            (["close", port], Some(registered)) => {
                let port = Port(port.parse().map_err(|_| "no port")?);
                self.channels.borrow_mut().close(registered.domid, port);
                Ok(())
            }
            (["map", refs @ ..], Some(registered)) => self.map(number, registered.domid, refs),
            (["unmap", refs @ ..], Some(registered)) => {
                self.grants.borrow_mut().unmap_ours(registered.domid, &references(refs)?)
            }
            (words, _) => Err(format!("it sends {words:?}")),
        }
    }

    fn map(&self, number: u64, domid: DomId, refs: &[&str]) -> Result<(), String> {
        let mut grants = self.grants.borrow_mut();
        match grants.map_ours(domid, &references(refs)?) {
            Ok(mapped) => {
                let pages: Vec<_> = mapped.pages.iter().map(usize::to_string).collect();
                let words: Vec<_> = ["mapped"].into_iter().chain(pages.iter().map(String::as_str)).collect();
                self.reply(number, &words, &[mapped.memory])
            }
            Err(why) => self.reply(number, &["refused", &why], &[]),
        }
    }

    fn create(&mut self, number: u64, name: &str, devices: Vec<String>, memory: OwnedFd) -> Result<(), String> {
        let devices = Configured::parse_all(&devices)?;
        let domid = DomId(self.next_domid);
        let memory = GuestMemory::new(domid, memory)?;
        let store = self.xenstored.connect(domid).map_err(|error| error.to_string())?;
        self.next_domid = self.next_domid.checked_add(1).filter(|next| *next < 0x7ff0).unwrap_or(1);
        self.grants.borrow_mut().add(domid, memory);
        let registered = Registered::introduce(&mut self.xenstored, domid, name, devices);
        registered.make_directories(&mut self.xenstored);
        self.unfinished.push((registered.clone(), true));
        self.kick.write(1).map_err(|error| error.to_string())?;
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.registered = Some(registered);
            name.clone_into(&mut guest.name);
        }
        self.reply(number, &["welcome", &domid.to_string()], &[store.as_fd()])
    }

    fn next_step(&mut self) {
        // An error means that it was not set.
        let _unset = self.kick.read();
        for (registered, inputs) in std::mem::take(&mut self.unfinished) {
            registered.write_keys(&mut self.xenstored, inputs);
            if inputs && registered.has_displays() {
                self.unfinished.push((registered, false));
                self.kick.write(1).unwrap_or_else(|error| {
                    tracing::error!("the simulator can't go on with its toolstack: {error}");
                    0
                });
            }
        }
    }

    fn reply(&self, number: u64, texts: &[&str], fds: &[BorrowedFd<'_>]) -> Result<(), String> {
        let guest = self.guests.get(&number).ok_or("no such guest")?;
        Control::send(guest.socket.as_fd(), texts, fds).map_err(|error| error.to_string())
    }

    fn remove(&mut self, number: u64) {
        let Some(guest) = self.guests.remove(&number) else { return };
        let Some(registered) = guest.registered else { return };
        self.unfinished.retain(|(unfinished, _)| unfinished.domid != registered.domid);
        self.channels.borrow_mut().remove(registered.domid);
        self.grants.borrow_mut().remove(registered.domid);
        registered.destroy(&mut self.xenstored);
        self.dying.push(registered);
    }
}

fn references(words: &[&str]) -> Result<Vec<GrantRef>, String> {
    words.iter().map(|word| word.parse().map(GrantRef).map_err(|_| format!("{word:?} is no reference"))).collect()
}

impl Drop for Hypervisor {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the simulator's socket was gone already");
        }
    }
}

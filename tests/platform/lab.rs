// SPDX-License-Identifier: GPL-3.0-or-later
//! A simulator to try things on.

#![allow(dead_code, reason = "each test program uses its part")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use grantway::sim::Hypervisor;
use grantway::sim::control::Control;
use grantway::sim::front::{Guest, now, wait};
use grantway::xen::Platform;
use grantway::xen::store::StoreEvent;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

pub(crate) struct Lab {
    pub(crate) platform: Platform,
    pub(crate) hypervisor: Hypervisor,
    directory: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn start() -> Holder {
        let directory = tempfile::tempdir().unwrap();
        let (platform, hypervisor) = Hypervisor::listen(&directory.path().join("hypervisor")).unwrap();
        Holder(Some(Self { platform, hypervisor, directory }))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("hypervisor")
    }

    pub(crate) fn readable(&self, fd: BorrowedFd<'_>) -> bool {
        wait(&[fd], Duration::ZERO).unwrap()
    }

    /// Waits for something to do, up to a limit, and does it.
    pub(crate) fn step(&mut self, limit: Duration) {
        wait(&[self.hypervisor.poll_fd(), self.platform.store.poll_fd()], limit).unwrap();
        self.hypervisor.dispatch().unwrap();
        self.platform.store.dispatch().unwrap();
    }

    /// Runs until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        while wait(&[self.hypervisor.poll_fd(), self.platform.store.poll_fd()], Duration::from_millis(20)).unwrap() {
            self.step(Duration::ZERO);
        }
    }

    pub(crate) fn take_events(&mut self) -> Vec<StoreEvent> {
        let mut events = Vec::new();
        self.platform.store.take_events(&mut events);
        events
    }

    /// Runs until a condition holds.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = now() + Duration::from_secs(20);
        while !done(self) {
            assert!(now() < end, "{what}: not within 20 s");
            self.step(Duration::from_millis(5));
        }
    }
}

/// Lets a lab be handed on out of a binding.
pub(crate) struct Holder(Option<Lab>);

impl Holder {
    pub(crate) fn take(&mut self) -> Lab {
        self.0.take().unwrap()
    }
}

impl std::ops::Deref for Holder {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        self.0.as_ref().unwrap()
    }
}

impl std::ops::DerefMut for Holder {
    fn deref_mut(&mut self) -> &mut Lab {
        self.0.as_mut().unwrap()
    }
}

/// Runs a guest's blocking code in a thread while the lab is served here.
pub(crate) fn guest_thread<T: Send + 'static>(mut lab: Lab, code: impl FnOnce() -> T + Send + 'static) -> (T, Lab) {
    let (send, receive): (_, Receiver<T>) = channel();
    let thread = std::thread::spawn(move || send.send(code()));
    loop {
        match receive.try_recv() {
            Ok(value) => {
                lab.settle();
                return (value, lab);
            }
            Err(TryRecvError::Empty) => lab.step(Duration::from_millis(1)),
            Err(TryRecvError::Disconnected) => {
                std::panic::resume_unwind(thread.join().expect_err("the guest's thread ended without a value"));
            }
        }
    }
}

/// A guest that outlives its thread.
struct Moved<T>(T);

// SAFETY: the mappings and descriptors are valid in every thread of the process, and only one uses them.
#[allow(unsafe_code)]
unsafe impl<T> Send for Moved<T> {}

/// Starts a guest with one connector, and lets it do something that needs the lab to answer.
pub(crate) fn with_guest<T: 'static>(lab: Lab, code: impl FnOnce(Guest) -> T + Send + 'static) -> (T, Lab) {
    let socket = lab.socket();
    let (moved, lab) = guest_thread(lab, move || {
        let device = "backend=0,be-alloc=0,connectors=conn-a:800x600";
        let mut guest = Guest::start(&socket, "web", &[device], 4096).unwrap();
        let state = format!("/local/domain/{}/device/vdispl/0/state", guest.domid());
        guest.store().watch(&state, "t").unwrap();
        while !matches!(guest.store().read(&state), Ok(Some(_))) {
            guest.store().next_event(Duration::from_secs(5)).unwrap();
        }
        guest.store().unwatch(&state, "t").unwrap();
        Moved(code(guest))
    });
    (moved.0, lab)
}

/// Sends a greeting, and gives the answer's words.
pub(crate) fn hello(path: &Path, name: &str, devices: &[&str], memory: OwnedFd) -> Vec<String> {
    let control = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    connect(control.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
    let words: Vec<_> = ["hello", name].iter().chain(devices).copied().collect();
    Control::send(control.as_fd(), &words, &[memory.as_fd()]).unwrap();
    Control::receive(control.as_fd()).unwrap().unwrap().texts
}

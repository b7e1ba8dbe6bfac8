// SPDX-License-Identifier: GPL-3.0-or-later
//! The registry on the simulator, in this process, and guests that a test leads by the hand.

#![allow(dead_code, reason = "each program uses its part")]

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use grantway::backend::headless::{Clock, Headless, HeadlessConfig, RendererKind};
use grantway::displif::limits::Limits;
use grantway::guest::Context;
use grantway::guest::accounts::Accounts;
use grantway::guest::policy::{GuestPolicy, InputPolicy, PolicyFor};
use grantway::guest::registry::Registry;
use grantway::kbdif::status::SessionStatus;
use grantway::kbdif::{self, Capabilities, Input};
use grantway::scene::element::Color;
use grantway::scene::{Scene, WindowId};
use grantway::sim::Hypervisor;
use grantway::sim::display_front::DisplayFront;
use grantway::sim::front::{Guest, now, wait};
use grantway::sim::keyboard_front::KeyboardFront;
use grantway::xen::store::Store;
use grantway::xen::{DomId, Platform};

const LIMIT: Duration = Duration::from_secs(20);

/// What a test hands to a thread while it waits for it.
pub(crate) struct Moved<T>(pub(crate) T);

// SAFETY: the mappings and descriptors are valid in every thread of the process, and only one uses them.
#[allow(unsafe_code)]
unsafe impl<T> Send for Moved<T> {}

pub(crate) struct Desk {
    pub(crate) hypervisor: Hypervisor,
    platform: Platform,
    pub(crate) registry: Registry,
    scene: Scene,
    presentation: Headless,
    accounts: Accounts,
    directory: tempfile::TempDir,
}

/// A guest with a display and an input device.
pub(crate) struct Peer {
    pub(crate) display: DisplayFront,
    pub(crate) keyboard: KeyboardFront,
}

fn policy() -> PolicyFor {
    Box::new(|domain| GuestPolicy {
        label: domain.name.to_owned(),
        color: Color { red: 1, green: 2, blue: 3 },
        fullscreen: false,
        fit: grantway::scene::fit::Fit::Scale,
        routing: grantway::input::Policy::default(),
        thumbnails: false,
        be_alloc: false,
        limits: Limits::default(),
        input: InputPolicy {
            take_vkbd: domain.name == "no-qemu",
            relative_pointer: domain.name == "game",
            connectors: [("left-hand".to_owned(), "conn-a".to_owned())].into(),
            limits: kbdif::limits::Limits::default(),
        },
        places: Vec::new(),
    })
}

impl Desk {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, _| ())
    }

    /// A desk that has xenstore through the kernel's device; and whether it has stopped the kernel for ever.
    pub(crate) fn start_over_device() -> (Self, Rc<Cell<bool>>) {
        let stopped = Rc::default();
        let desk = Self::start_with(|platform, hypervisor| {
            platform.store = Store::over_device(hypervisor.xenbus_device(&stopped).unwrap());
        });
        (desk, stopped)
    }

    fn start_with(change: impl FnOnce(&mut Platform, &mut Hypervisor)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (mut platform, mut hypervisor) = Hypervisor::listen(&directory.path().join("xen")).unwrap();
        change(&mut platform, &mut hypervisor);
        let clock = Clock::RealTime;
        let config = HeadlessConfig { outputs: Vec::new(), renderer: RendererKind::Pixman, clock };
        let presentation = Headless::new(config).unwrap();
        let registry = Registry::new(policy(), &mut platform.store);
        Self {
            hypervisor,
            platform,
            registry,
            scene: Scene::new(),
            presentation,
            accounts: Accounts::default(),
            directory,
        }
    }

    /// One turn of the loop, as `State::turn` does it.
    pub(crate) fn turn(&mut self, limit: Duration) {
        let limit = self.registry.deadline().map_or(limit, |deadline| deadline.saturating_sub(now()).min(limit));
        let channels = self.platform.event_channels.poll_fd();
        let fds: [BorrowedFd<'_>; 3] = [self.hypervisor.poll_fd(), self.platform.store.poll_fd(), channels];
        wait(&fds, limit).unwrap();
        self.hypervisor.dispatch().unwrap();
        self.platform.store.dispatch().unwrap();
        let (mut events, mut ports) = (Vec::new(), Vec::new());
        self.platform.store.take_events(&mut events);
        self.platform.event_channels.take_pending(&mut ports).unwrap();
        self.with(|registry, store, context| {
            for event in &events {
                registry.store_event(event, store, context);
            }
            for port in ports {
                registry.fired(port, store, context);
            }
            if registry.deadline().is_some_and(|deadline| deadline <= context.now) {
                registry.tick(store, context);
            }
            registry.go_on(store, context);
        });
        self.platform.store.dispatch().unwrap();
    }

    fn with<T>(&mut self, code: impl FnOnce(&mut Registry, &mut Store, &mut Context<'_>) -> T) -> T {
        let mut flips = Vec::new();
        let mut context = Context {
            grants: &mut *self.platform.grants,
            channels: &mut *self.platform.event_channels,
            presentation: &mut self.presentation,
            accounts: &mut self.accounts,
            scene: &mut self.scene,
            flips: &mut flips,
            now: now(),
        };
        code(&mut self.registry, &mut self.platform.store, &mut context)
    }

    /// Runs what a guest does, which blocks, while the desk is served.
    pub(crate) fn serve<T>(&mut self, code: impl FnOnce() -> T) -> T {
        self.serve_by(|desk| desk.turn(Duration::from_millis(1)), code)
    }

    fn serve_by<T>(&mut self, mut turn: impl FnMut(&mut Self), code: impl FnOnce() -> T) -> T {
        let (send, receive) = channel();
        let code = Moved(code);
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let code = code;
                let _heard = send.send(Moved((code.0)()));
            });
            loop {
                match receive.try_recv() {
                    Ok(Moved(value)) => return value,
                    Err(TryRecvError::Empty) => turn(self),
                    Err(TryRecvError::Disconnected) => {
                        std::panic::resume_unwind(thread.join().expect_err("the guest's thread has no value"));
                    }
                }
            }
        })
    }

    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = now() + LIMIT;
        while !done(self) {
            assert!(now() < end, "{what}: not within {LIMIT:?}");
            self.turn(Duration::from_millis(5));
        }
    }

    pub(crate) fn rest(&mut self, time: Duration) {
        let end = now() + time;
        while now() < end {
            self.turn(end.saturating_sub(now()));
        }
    }

    pub(crate) fn guest(&mut self, name: &str, devices: &[&str]) -> Guest {
        let socket = self.directory.path().join("xen");
        self.serve(|| Guest::start(&socket, name, devices, 2048).unwrap())
    }

    /// A guest that dies, and another one with its number, before the desk looks again.
    pub(crate) fn reborn(&mut self, old: Peer, name: &str, devices: &[&str]) -> Guest {
        let socket = self.directory.path().join("xen");
        let domid = old.display.guest.domid();
        drop(old);
        self.hypervisor.dispatch().unwrap();
        self.hypervisor.set_next_domid(domid);
        self.serve_by(
            |desk| {
                wait(&[desk.hypervisor.poll_fd()], Duration::from_millis(1)).unwrap();
                desk.hypervisor.dispatch().unwrap();
            },
            || Guest::start(&socket, name, devices, 2048).unwrap(),
        )
    }

    /// The name of the guest whose display has that number.
    pub(crate) fn name_of(&self, domid: DomId) -> Option<&str> {
        self.registry.devices_by_key().find(|(key, _)| key.domid == domid).map(|(_, entry)| entry.name())
    }

    /// A guest with connected devices.
    pub(crate) fn peer(&mut self, name: &str, connectors: &str, vkb: &str) -> Peer {
        let vdispl = format!("backend=0,be-alloc=0,connectors={connectors}");
        let vkb = format!("vkb:{vkb}");
        let guest = self.guest(name, &[&vkb, &vdispl]);
        self.serve(|| {
            let mut display = DisplayFront::new(guest, 0, 1);
            let keyboard = KeyboardFront::connect(&mut display.guest, 0, LIMIT).unwrap();
            display.connect(LIMIT).unwrap();
            Peer { display, keyboard }
        })
    }

    pub(crate) fn windows(&self, peer: &Peer) -> Vec<WindowId> {
        let domid = peer.display.guest.domid();
        let of = self.registry.devices_by_key().find(|(key, _)| key.domid == domid);
        of.and_then(|(_, entry)| entry.link()).map(|link| link.windows().collect()).unwrap_or_default()
    }

    pub(crate) fn capabilities(&self, window: WindowId) -> Option<Capabilities> {
        self.registry.input_connection(window).map(|(_, capabilities)| capabilities)
    }

    pub(crate) fn input(&mut self, window: WindowId, events: &[Input]) {
        self.with(|registry, _, context| registry.input(window, events, context));
    }

    pub(crate) fn focus_lost(&mut self, window: WindowId) {
        self.with(|registry, _, context| registry.focus_lost(window, context));
    }

    pub(crate) fn session(&self, guest: &Guest) -> Option<SessionStatus> {
        self.session_of(guest.domid())
    }

    pub(crate) fn session_of(&self, domid: DomId) -> Option<SessionStatus> {
        self.registry.keyboards().devices().find(|(key, _)| key.domid == domid)?.1.session()
    }

    pub(crate) fn backend(&self, guest: &Guest, key: &str) -> Option<String> {
        self.hypervisor.store_value(&format!("/local/domain/0/backend/vinput/{}/0/{key}", guest.domid()))
    }

    /// Ends the compositor in order.
    pub(crate) fn shut_down(&mut self) {
        self.with(|registry, store, context| registry.shut_down(store, context));
        self.until("the end", |desk| desk.registry.is_settled());
    }

    /// Ends the compositor, in order or killed, and starts another one.
    pub(crate) fn restart(&mut self, in_order: bool) {
        if in_order {
            self.shut_down();
        }
        let mut platform = self.hypervisor.platform().unwrap();
        let registry = Registry::new(policy(), &mut platform.store);
        self.registry = registry;
        self.platform = platform;
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Whatever the user does, and whatever comes and goes meanwhile: no guest is left with anything pressed that
//! the user does not hold, nothing reaches a guest without the focus or hidden, and no part of a chord does.

use std::collections::{BTreeMap, BTreeSet};

use grantway::backend::input::{Axis, Fraction, InputDevice, InputKind, TouchEvent};
use grantway::input::{Allowed, Confine, GuestEvent, Outcome, Owner, PointerKind, Policy};
use grantway::scene::WindowId;
use proptest::prelude::*;

use crate::desk::{A, B, CAPS, Desk, ESC, LEFT, MODIFIER, RELEASE, RIGHT, SHIFT, TAB, device};

const CODES: [u32; 10] = [A, B, SHIFT, CAPS, MODIFIER, ESC, TAB, RELEASE, LEFT, RIGHT];

#[derive(Clone, Debug)]
enum Op {
    Key {
        device: u32,
        code: usize,
        pressed: bool,
    },
    Position(u32, u32),
    Motion(i32, i32),
    Wheel(i32),
    Touch {
        device: u32,
        contact: u32,
        x: u32,
        y: u32,
        what: u8,
    },
    Frame,
    Unplug(u32),
    Focus(usize),
    FullScreen(Option<usize>),
    /// A guest's device comes, goes, or comes anew.
    Device(usize, Option<(bool, u8)>),
    /// A window goes, and comes again.
    Reopen(usize),
    Pause(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let device = 0..3_u32;
    prop_oneof![
        10 => (device.clone(), 0..CODES.len(), any::<bool>()).prop_map(|(device, code, pressed)| Op::Key { device, code, pressed }),
        5 => (any::<u32>(), any::<u32>()).prop_map(|(x, y)| Op::Position(x, y)),
        2 => (-3000..3000_i32, -3000..3000_i32).prop_map(|(x, y)| Op::Motion(x * 64, y * 64)),
        1 => (-300..300_i32).prop_map(Op::Wheel),
        6 => (device.clone(), 0..4_u32, any::<u32>(), any::<u32>(), 0..5_u8)
            .prop_map(|(device, contact, x, y, what)| Op::Touch { device, contact, x, y, what }),
        1 => Just(Op::Frame),
        1 => device.prop_map(Op::Unplug),
        2 => (0..4_usize).prop_map(Op::Focus),
        1 => prop::option::of(0..4_usize).prop_map(Op::FullScreen),
        2 => (0..4_usize, prop::option::of((any::<bool>(), 0..4_u8))).prop_map(|(window, device)| Op::Device(window, device)),
        1 => (0..4_usize).prop_map(Op::Reopen),
        1 => prop::bool::weighted(0.2).prop_map(Op::Pause),
    ]
}

/// What a guest believes.
#[derive(Debug, Default)]
struct Guest {
    held: BTreeSet<u32>,
    /// Whether its Caps Lock is on.
    caps: bool,
    fingers: BTreeSet<u32>,
}

impl Guest {
    fn is_free(&self) -> bool {
        self.held.is_empty() && self.fingers.is_empty()
    }
}

struct Model {
    desk: Desk,
    windows: Vec<WindowId>,
    guests: BTreeMap<Owner, Guest>,
    /// What the user holds.
    held: BTreeMap<u32, BTreeSet<u32>>,
    paused: bool,
    next_owner: u64,
}

const POLICIES: [Policy; 4] = [
    Policy { allowed: Allowed::All, confine: Confine::Auto, own_cursor: false, dock: false },
    Policy { allowed: Allowed::All, confine: Confine::Always, own_cursor: true, dock: false },
    Policy { allowed: Allowed::Pointer, confine: Confine::Never, own_cursor: false, dock: false },
    Policy { allowed: Allowed::View, confine: Confine::Auto, own_cursor: false, dock: false },
];

impl Model {
    fn new() -> Self {
        let mut desk = Desk::new();
        let windows = (1..).zip(POLICIES).map(|(owner, policy)| desk.guest(owner, 250, 180, policy)).collect();
        let mut model =
            Self { desk, windows, guests: BTreeMap::new(), held: BTreeMap::new(), paused: false, next_owner: 100 };
        model.check();
        model
    }

    fn holds(&self, code: u32) -> bool {
        self.held.get(&code).is_some_and(|devices| !devices.is_empty())
    }

    fn event(&mut self, device: u32, kind: InputKind) {
        self.desk.event(InputDevice(device), kind);
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Key { device, code, pressed } => {
                let code = CODES[code];
                if !self.paused {
                    let devices = self.held.entry(code).or_default();
                    if pressed {
                        devices.insert(device)
                    } else {
                        devices.remove(&device)
                    };
                }
                self.event(device, InputKind::Key { code, pressed });
            }
            Op::Position(x, y) => self.event(0, InputKind::Position(Fraction { x, y })),
            Op::Motion(dx, dy) => self.event(0, InputKind::Motion { dx, dy, raw_dx: dx, raw_dy: dy }),
            Op::Wheel(v120) => self.event(0, InputKind::Wheel { axis: Axis::Vertical, v120 }),
            Op::Touch { device, contact, x, y, what } => {
                let place = Fraction { x, y };
                let event = match what {
                    0 | 1 => TouchEvent::Down(place),
                    2 => TouchEvent::Motion(place),
                    3 => TouchEvent::Up,
                    _ => TouchEvent::Cancel,
                };
                self.event(device, InputKind::Touch { contact, event });
            }
            Op::Frame => self.event(0, InputKind::TouchFrame),
            Op::Unplug(device) => self.unplug(device),
            Op::Focus(window) => self.desk.seat.focus_window(self.windows[window]),
            Op::FullScreen(window) => {
                self.desk.scene.set_fullscreen(window.map(|window| self.windows[window]));
                self.desk.look();
            }
            Op::Device(window, change) => self.change_device(window, change),
            Op::Reopen(window) => self.reopen(window),
            Op::Pause(paused) => {
                if paused {
                    self.held.clear();
                }
                self.paused = paused;
                self.desk.seat.pause(paused);
            }
        }
        self.check();
    }

    fn unplug(&mut self, device: u32) {
        if !self.paused {
            self.held.values_mut().for_each(|devices| {
                devices.remove(&device);
            });
        }
        self.event(device, InputKind::Removed);
    }

    fn change_device(&mut self, window: usize, change: Option<(bool, u8)>) {
        self.next_owner += 1;
        let owner = self.next_owner;
        let target = self.desk.target(self.windows[window]);
        target.device = change.map(|(relative, contacts)| {
            let pointer = if relative { PointerKind::Relative } else { PointerKind::Absolute };
            let device = device(owner);
            grantway::input::Device { pointer: Some(pointer), contacts: contacts.into(), ..device }
        });
        self.desk.look();
    }

    fn reopen(&mut self, window: usize) {
        let id = self.windows[window];
        self.desk.scene.remove_window(id);
        self.desk.targets.retain(|target| target.window != id);
        self.desk.look();
        self.check();
        let owner = u16::try_from(self.next_owner + 1).unwrap();
        self.next_owner += 1;
        self.windows[window] = self.desk.guest(owner, 250, 180, POLICIES[window]);
    }

    /// Takes in what guests were told, and checks that they may be told it.
    fn check(&mut self) {
        let world = self.desk.world();
        self.guests.retain(|owner, _| world.targets.iter().any(|t| t.device.is_some_and(|d| d.owner == *owner)));
        let quiet = self.paused || self.desk.seat.attention();
        let focus = self.desk.seat.focus();
        let reserved = self.holds(MODIFIER);
        let mut tapped = None;
        for outcome in self.desk.seat.take_outcomes() {
            let Outcome::Guest { window, event } = outcome else { continue };
            let target = *world.target(window).unwrap();
            let owner = target.device.unwrap().owner;
            let guest = self.guests.entry(owner).or_default();
            let is_release = match event {
                GuestEvent::Key { code, pressed: false } => {
                    assert!(guest.held.remove(&code), "{code} was not down");
                    tapped = tapped.filter(|tapped| *tapped != code);
                    continue;
                }
                GuestEvent::TouchUp { contact } => {
                    assert!(guest.fingers.remove(&contact), "finger {contact} was not down");
                    true
                }
                GuestEvent::TouchSync => true,
                _ => false,
            };
            assert_eq!(tapped, None, "a lock's tap is not torn");
            if is_release {
                continue;
            }
            assert!(!quiet, "{event:?} in secure attention or another session");
            assert!(world.is_shown(window), "{event:?} to a hidden guest");
            assert!(target.policy.allowed != Allowed::View, "{event:?} to a guest that may only be looked at");
            match event {
                GuestEvent::TouchDown { contact, .. } => {
                    assert!(contact < target.device.unwrap().contacts);
                    assert!(guest.fingers.insert(contact), "finger {contact} is down already");
                    continue;
                }
                GuestEvent::TouchMotion { contact, .. } => {
                    assert!(guest.fingers.contains(&contact), "finger {contact} is not down");
                    continue;
                }
                _ => {}
            }
            assert!(focus.is_some_and(|focus| world.same_owner(focus, window)), "{event:?} without the focus");
            if let GuestEvent::Key { code, .. } = event {
                assert!(guest.held.insert(code), "{code} is down already");
                guest.caps ^= code == CAPS;
                assert!(code != MODIFIER, "the reserved key was told");
                let is_key = code < 0x100;
                assert!(!is_key || target.policy.allowed == Allowed::All, "a key without the right to it");
                let held = self.held.get(&code).is_some_and(|devices| !devices.is_empty());
                if code == CAPS {
                    // It may be tapped for the guest; then its release follows at once.
                    tapped = (!held).then_some(code);
                } else {
                    assert!(held, "{code} is not held by the user");
                    assert!(!reserved, "{code} is part of a chord");
                }
            }
        }
        if let Some(owner) = self.desk.seat.keyboard().and_then(|window| world.owner(window)) {
            let caps = self.guests.get(&owner).is_some_and(|guest| guest.caps);
            assert_eq!(caps, self.desk.seat.lamps().caps, "the lock of the guest with the keyboard");
        }
        for (owner, guest) in &self.guests {
            for code in &guest.held {
                assert!(self.holds(*code), "{owner:?} believes that {code} is held");
                assert!(!quiet, "something is held where nobody may hold anything");
            }
            let focused = focus.is_some_and(|focus| world.owner(focus) == Some(*owner));
            assert!(focused || guest.held.is_empty(), "{owner:?} holds {:?} without the focus", guest.held);
            let shown = world.shows_any(*owner);
            assert!(shown || guest.is_free(), "a hidden guest holds something");
        }
    }

    fn let_all_go(&mut self) {
        if self.paused {
            self.apply(&Op::Pause(false));
        }
        for device in 0..3 {
            self.unplug(device);
            self.check();
        }
        for (owner, guest) in &self.guests {
            assert!(guest.is_free(), "{owner:?} is left with {guest:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn guests_believe_what_is_true(ops in prop::collection::vec(op(), 1..120)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        model.let_all_go();
    }
}

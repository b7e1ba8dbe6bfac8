// SPDX-License-Identifier: GPL-3.0-or-later
//! For any sequence of input, focus changes, full pages, garbage, deaths and new connections: what each guest sees
//! ends with nothing pressed that the user does not hold, nothing crashes it, and what waits is bounded.

use std::collections::BTreeSet;
use std::time::Duration;

use grantway::kbdif::limits::Limits;
use grantway::kbdif::session::Session;
use grantway::kbdif::{Capabilities, ContactEvent, Input};
use grantway::xen::event_page::IN_CONS;
use proptest::prelude::*;

use super::common::{BTN_LEFT, FULL, Fixture, RELATIVE, key, touch};

/// What happens. Guests are 0 and 1.
#[derive(Clone, Debug)]
enum Op {
    Key(u32, bool),
    /// Pressed and released, so many times.
    Taps(u32, usize),
    Dabs(u32, usize),
    Finger(u32, u8, i32),
    Sync,
    Move(i32, i32),
    Wheel(i32),
    Focus(Option<usize>),
    Wait(u64),
    Reads(usize, usize),
    Garbage(usize, u32),
    Sane(usize),
    /// The guest dies, and another one comes in its place.
    Reborn(usize),
    /// The compositor is killed, and a new one takes the page over.
    TakenOver(usize),
}

const KEYS: [u32; 7] = [1, 42, 30, 239, BTN_LEFT, 0x117, 0x2fe];

fn op() -> impl Strategy<Value = Op> {
    let guest = 0..2_usize;
    prop_oneof![
        12 => (proptest::sample::select(&KEYS[..]), any::<bool>()).prop_map(|(code, down)| Op::Key(code, down)),
        1 => (any::<u32>(), any::<bool>()).prop_map(|(code, down)| Op::Key(code, down)),
        3 => (proptest::sample::select(&KEYS[..]), 1..40_usize).prop_map(|(code, times)| Op::Taps(code, times)),
        1 => (0..6_u32, 1..20_usize).prop_map(|(finger, times)| Op::Dabs(finger, times)),
        8 => (0..6_u32, 0..5_u8, any::<i32>()).prop_map(|(finger, what, at)| Op::Finger(finger, what, at)),
        4 => Just(Op::Sync),
        6 => (any::<i32>(), any::<i32>()).prop_map(|(x, y)| Op::Move(x, y)),
        2 => any::<i32>().prop_map(Op::Wheel),
        3 => proptest::option::of(guest.clone()).prop_map(Op::Focus),
        3 => (0..100_u64).prop_map(Op::Wait),
        3 => (guest.clone(), 0..60_usize).prop_map(|(guest, most)| Op::Reads(guest, most)),
        1 => (guest.clone(), any::<u32>()).prop_map(|(guest, index)| Op::Garbage(guest, index)),
        1 => guest.clone().prop_map(Op::Sane),
        1 => guest.clone().prop_map(Op::Reborn),
        1 => guest.prop_map(Op::TakenOver),
    ]
}

/// Two guests, the user, and what the user holds.
struct World {
    guests: [Fixture; 2],
    capabilities: [Capabilities; 2],
    limits: Limits,
    /// What each guest has read, while its index is garbage.
    sane: [Option<u32>; 2],
    focus: Option<usize>,
    keys: BTreeSet<u32>,
    fingers: BTreeSet<u32>,
    /// What the user pressed since the focused guest got the focus, and still holds: no more may be held there.
    given_keys: BTreeSet<u32>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let capabilities = [FULL, RELATIVE];
        Self {
            guests: capabilities.map(|capabilities| Fixture::new(capabilities, limits.clone())),
            capabilities,
            limits,
            sane: [None, None],
            focus: None,
            keys: BTreeSet::new(),
            fingers: BTreeSet::new(),
            given_keys: BTreeSet::new(),
        }
    }

    fn give(&mut self, input: Input) {
        if let Some(guest) = self.focus {
            self.guests[guest].input(&[input]);
        }
    }

    fn press(&mut self, code: u32, down: bool) {
        if down {
            self.keys.insert(code);
            self.given_keys.insert(code);
        } else {
            self.keys.remove(&code);
            self.given_keys.remove(&code);
        }
        self.give(key(code, down));
    }

    fn finger(&mut self, finger: u32, what: u8, at: i32) {
        let event = match what {
            0 | 1 => ContactEvent::Down { x: at, y: at },
            2 => ContactEvent::Motion { x: at, y: at },
            3 => ContactEvent::Shape { major: at.unsigned_abs(), minor: 1 },
            _ => ContactEvent::Up,
        };
        match event {
            ContactEvent::Down { .. } => self.fingers.insert(finger),
            ContactEvent::Up => self.fingers.remove(&finger),
            _ => false,
        };
        self.give(touch(finger, event));
    }

    fn set_focus(&mut self, guest: Option<usize>) {
        if self.focus != guest {
            if let Some(before) = self.focus {
                self.guests[before].focus_lost();
            }
            self.given_keys.clear();
        }
        self.focus = guest;
    }

    fn sane(&mut self, guest: usize) {
        if let Some(index) = self.sane[guest].take() {
            self.guests[guest].heap.share().store_u32(IN_CONS, index).unwrap();
        }
    }

    /// The guest knows of nothing that was pressed before.
    fn lost_to(&mut self, guest: usize) {
        if self.focus == Some(guest) {
            self.given_keys.clear();
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Key(code, down) => self.press(code, down),
            Op::Finger(finger, what, at) => self.finger(finger, what, at),
            Op::Taps(code, times) => (0..2 * times).for_each(|half| self.press(code, half % 2 == 0)),
            Op::Dabs(finger, times) => {
                for half in 0..2 * times {
                    self.finger(finger, if half % 2 == 0 { 0 } else { 4 }, 7);
                    self.give(Input::TouchSync);
                }
            }
            Op::Sync => self.give(Input::TouchSync),
            Op::Move(x, y) => {
                self.give(Input::Position { x, y });
                self.give(Input::Motion { dx: x, dy: y });
            }
            Op::Wheel(clicks) => self.give(Input::Wheel { clicks }),
            Op::Focus(guest) => self.set_focus(guest),
            Op::Wait(ms) => self.guests.iter_mut().for_each(|guest| guest.wait(Duration::from_millis(ms))),
            Op::Reads(guest, most) => {
                self.sane(guest);
                self.guests[guest].read(most);
                self.guests[guest].flush();
            }
            Op::Garbage(guest, index) => {
                let page = self.guests[guest].heap.share();
                let sane = page.load_u32(IN_CONS).unwrap();
                self.sane[guest].get_or_insert(sane);
                page.store_u32(IN_CONS, index).unwrap();
            }
            Op::Sane(guest) => self.sane(guest),
            Op::Reborn(guest) => {
                self.sane[guest] = None;
                self.guests[guest] = Fixture::new(self.capabilities[guest], self.limits.clone());
                self.lost_to(guest);
            }
            Op::TakenOver(guest) => {
                self.sane(guest);
                let it = &mut self.guests[guest];
                let (limits, capabilities) = (self.limits.clone(), self.capabilities[guest]);
                it.session = Session::new("guest".into(), limits, capabilities, it.heap.share()).unwrap();
                it.flush();
                self.lost_to(guest);
            }
        }
        for guest in &self.guests {
            let status = guest.session.status();
            assert!(status.waiting <= self.limits.queue + 0x300 + 10, "{status:?}");
        }
    }

    /// All guests read all there is: what do they hold?
    fn settle(&mut self) {
        for guest in 0..2 {
            self.sane(guest);
            self.guests[guest].drain();
            let it = &self.guests[guest];
            assert_eq!(it.view.complaints, 0);
            let pressed = &it.view.keys;
            assert_eq!(it.session.status().waiting, 0);
            if self.focus == Some(guest) {
                assert!(pressed.is_subset(&self.keys), "{pressed:?} pressed, {:?} held", self.keys);
                assert!(pressed.is_subset(&self.given_keys), "{pressed:?} pressed, {:?} given", self.given_keys);
                assert!(it.view.contacts.len() <= self.fingers.len());
                assert_eq!(it.session.status().held, pressed.len() + it.view.contacts.len());
            } else {
                assert!(pressed.is_empty(), "{pressed:?} pressed without the focus");
                assert!(it.view.contacts.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_pressed_that_the_user_does_not_hold(
        ops in proptest::collection::vec(op(), 1..300),
        queue in prop_oneof![1..8_usize, Just(256)],
        interval in 0..8_u64,
    ) {
        let limits = Limits { queue, motion_interval: Duration::from_millis(interval), ..Limits::default() };
        let mut world = World::new(limits);
        for op in &ops {
            world.run(op);
        }
        world.settle();
        // And it works on: the user lets go of everything, and all is up everywhere.
        world.set_focus(Some(0));
        for code in world.keys.clone() {
            world.press(code, false);
        }
        for finger in world.fingers.clone() {
            world.finger(finger, 4, 0);
        }
        world.give(Input::TouchSync);
        world.settle();
        world.press(30, true);
        world.settle();
        prop_assert_eq!(world.guests[0].view.keys.iter().copied().collect::<Vec<_>>(), [30]);
        prop_assert!(world.guests[0].view.contacts.is_empty());
    }
}

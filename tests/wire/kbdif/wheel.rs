// SPDX-License-Identifier: GPL-3.0-or-later
//! Every click of the wheel reaches the guest as what it was: in its direction, where the pointer was, and with
//! the buttons that were held, however fast it comes and however late the guest reads.

use std::time::Duration;

use grantway::kbdif::limits::Limits;
use grantway::kbdif::wire::Event;
use grantway::kbdif::{Capabilities, Input};
use proptest::prelude::*;

use super::common::{BTN_LEFT, FULL, Fixture, RELATIVE, key};

#[derive(Clone, Copy, Debug)]
enum Op {
    Turn(i32),
    Move(i32, i32),
    Button(bool),
    Wait(u64),
    Reads(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (-3..=3_i32).prop_map(Op::Turn),
        3 => (-1..=1_i32, -1..=1_i32).prop_map(|(x, y)| Op::Move(x, y)),
        1 => any::<bool>().prop_map(Op::Button),
        2 => (0..6_u64).prop_map(Op::Wait),
        1 => (0..40_usize).prop_map(Op::Reads),
    ]
}

/// One click: its direction, where the pointer was, and whether the button was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Click {
    up: bool,
    at: (i32, i32),
    button: bool,
}

/// Where the pointer is and what is held, for the user as for the guest, and the clicks so far.
#[derive(Debug, Default)]
struct Hand {
    at: (i32, i32),
    button: bool,
    clicks: Vec<Click>,
}

impl Hand {
    fn turn(&mut self, clicks: i32) {
        let click = Click { up: clicks > 0, at: self.at, button: self.button };
        self.clicks.extend((0..clicks.unsigned_abs()).map(|_| click));
    }

    /// What the guest was told.
    fn told(events: &[Event], start: (i32, i32)) -> Self {
        let mut it = Self { at: start, ..Self::default() };
        for event in events {
            match *event {
                Event::Motion { x, y, z } => {
                    it.at = (it.at.0 + x, it.at.1 + y);
                    it.turn(-z);
                }
                Event::Position { x, y, z } => {
                    it.at = (x, y);
                    it.turn(-z);
                }
                Event::Key { pressed, .. } => it.button = pressed,
                Event::Touch { .. } => {}
            }
        }
        it
    }
}

const START: (i32, i32) = (300, 200);

/// The user's hand, and the guest's fixture after it has read all.
fn play(ops: &[Op], capabilities: Capabilities, limits: Limits) -> (Hand, Fixture) {
    let mut it = Fixture::new(capabilities, limits);
    let mut user = Hand { at: START, ..Hand::default() };
    if capabilities.absolute.is_some() {
        it.input(&[Input::Position { x: START.0, y: START.1 }]);
    }
    for op in ops {
        match *op {
            Op::Turn(clicks) => {
                user.turn(clicks);
                it.input(&[Input::Wheel { clicks }]);
            }
            Op::Move(dx, dy) => {
                user.at = (user.at.0 + dx, user.at.1 + dy);
                it.input(&[match capabilities.absolute {
                    Some(_) => Input::Position { x: user.at.0, y: user.at.1 },
                    None => Input::Motion { dx, dy },
                }]);
            }
            Op::Button(pressed) => {
                user.button = pressed;
                it.input(&[key(BTN_LEFT, pressed)]);
            }
            Op::Wait(ms) => it.wait(Duration::from_millis(ms)),
            Op::Reads(most) => {
                it.read(most);
                it.flush();
            }
        }
    }
    it.drain();
    (user, it)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_click_comes_as_what_it_was(ops in proptest::collection::vec(op(), 1..200), absolute in any::<bool>()) {
        let capabilities = if absolute { FULL } else { RELATIVE };
        let (user, it) = play(&ops, capabilities, Limits::default());
        let told = Hand::told(&it.seen, START);
        prop_assert_eq!(it.session.status().motion_dropped, 0);
        prop_assert_eq!((told.at, told.button), (user.at, user.button));
        prop_assert_eq!(told.clicks, user.clicks);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_not_turned_round(
        ops in proptest::collection::vec(op(), 1..300),
        queue in 1..6_usize,
        absolute in any::<bool>(),
    ) {
        let capabilities = if absolute { FULL } else { RELATIVE };
        let (user, it) = play(&ops, capabilities, Limits { queue, ..Limits::default() });
        let told = Hand::told(&it.seen, START);
        let mut given = user.clicks.iter().map(|click| click.up);
        let is_given = told.clicks.iter().all(|click| given.any(|up| up == click.up));
        prop_assert!(is_given, "{:?} told, {:?} given", told.clicks, user.clicks);
    }
}

#[test]
fn a_click_and_its_opposite_within_one_batch_are_two() {
    for capabilities in [FULL, RELATIVE] {
        let mut it = Fixture::new(capabilities, Limits::default());
        // What is written first opens the interval in which motion waits.
        it.input(&[Input::Position { x: 5, y: 6 }, Input::Motion { dx: 1, dy: 1 }]);
        for clicks in [1, -1, -1, 1] {
            it.input(&[Input::Wheel { clicks }]);
        }
        it.wait(Duration::from_millis(4));
        it.read(usize::MAX);
        let turned = it.seen.iter().filter_map(|event| match event {
            Event::Motion { z, .. } | Event::Position { z, .. } => (*z != 0).then_some(-z),
            Event::Key { .. } | Event::Touch { .. } => None,
        });
        assert_eq!(turned.collect::<Vec<_>>(), [1, -2, 1]);
        assert_eq!(it.notifies, 2, "the wheel costs no notify of its own");
    }
}

#[test]
fn a_click_is_for_what_the_pointer_was_over() {
    let mut it = Fixture::full();
    it.input(&[Input::Position { x: 1, y: 1 }]);
    it.input(&[Input::Position { x: 5, y: 5 }, Input::Wheel { clicks: 1 }, Input::Position { x: 9, y: 9 }]);
    it.wait(Duration::from_millis(4));
    it.read(usize::MAX);
    let place = |at, z| Event::Position { x: at, y: at, z };
    assert_eq!(it.seen, [place(1, 0), place(5, -1), place(9, 0)]);
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest sees of what the user does, as Linux's frontend takes it.

use std::time::Duration;

use grantway::kbdif::limits::Limits;
use grantway::kbdif::session::Session;
use grantway::kbdif::wire::{Event, TouchEvent};
use grantway::kbdif::{Capabilities, ContactEvent, Input};
use grantway::xen::event_page::IN_CONS;

use super::common::{BTN_LEFT, FULL, Fixture, KEY_A, RELATIVE, SHIFT, key, touch};

#[test]
fn keys_and_buttons_reach_the_guest_at_once_and_in_order() {
    let mut it = Fixture::full();
    it.input(&[key(SHIFT, true), key(KEY_A, true), key(KEY_A, false), key(BTN_LEFT, true)]);
    assert_eq!(it.notifies, 1);
    it.read(10);
    let pressed = |code, pressed| Event::Key { pressed, code };
    assert_eq!(it.seen, [pressed(SHIFT, true), pressed(KEY_A, true), pressed(KEY_A, false), pressed(BTN_LEFT, true)]);
    assert_eq!(it.view.keys.iter().copied().collect::<Vec<_>>(), [SHIFT, BTN_LEFT]);
}

#[test]
fn repeats_and_stray_releases_are_not_sent() {
    let mut it = Fixture::full();
    it.input(&[key(KEY_A, true), key(KEY_A, true), key(KEY_A, true), key(SHIFT, false)]);
    it.read(10);
    assert_eq!(it.seen.len(), 1);
}

#[test]
fn codes_that_linux_does_not_take_are_left_out() {
    let mut it = Fixture::full();
    it.input(&[
        key(0, true),
        key(240, true),
        key(0x120, true),
        key(0x2ff, true),
        key(0x300, true),
        key(u32::MAX, true),
    ]);
    it.drain();
    assert!(it.seen.is_empty());
    assert_eq!((it.view.complaints, it.session.status().not_taken), (0, 6));
}

#[test]
fn a_guest_without_a_pointer_or_a_keyboard_gets_nothing_that_crashes_it() {
    let everything: Vec<_> = (0..0x400).map(|code| key(code, true)).collect();
    let mut it = Fixture::new(Capabilities::default(), Limits::default());
    it.input(&everything);
    it.input(&[Input::Motion { dx: 1, dy: 1 }, Input::Wheel { clicks: 1 }, Input::Position { x: 1, y: 1 }]);
    it.drain();
    assert!(it.seen.is_empty());
    let mut it = Fixture::new(Capabilities { keyboard: false, ..RELATIVE }, Limits::default());
    it.input(&everything);
    it.drain();
    assert_eq!(it.seen.len(), 8, "the buttons: {:?}", it.seen);
}

#[test]
fn the_wheel_turns_one_click_for_one_and_up_is_up() {
    for capabilities in [FULL, RELATIVE] {
        let mut it = Fixture::new(capabilities, Limits::default());
        it.input(&[Input::Position { x: 5, y: 6 }, key(BTN_LEFT, true), Input::Wheel { clicks: 1 }]);
        it.input(&[key(BTN_LEFT, false), Input::Wheel { clicks: -3 }]);
        it.drain();
        assert_eq!(it.view.travelled.2, -2);
        let expected = capabilities.absolute.map(|_| (5, 6));
        assert_eq!(it.view.position, expected, "the wheel does not move the pointer");
    }
}

#[test]
fn positions_are_kept_within_the_guests_space() {
    let corners =
        [((0, 0), (0, 0)), ((639, 479), (639, 479)), ((-5, 9999), (0, 479)), ((i32::MAX, i32::MIN), (639, 0))];
    let mut it = Fixture::full();
    for ((x, y), expected) in corners {
        it.input(&[Input::Position { x, y }]);
        it.drain();
        assert_eq!(it.view.position, Some(expected));
    }
    let mut it = Fixture::new(Capabilities { raw_pointer: true, ..FULL }, Limits::default());
    for ((x, y), expected) in [((0, 0), (0, 0)), ((639, 479), (0x7fff, 0x7fff)), ((320, 240), (16_409, 16_417))] {
        it.input(&[Input::Position { x, y }]);
        it.drain();
        assert_eq!(it.view.position, Some(expected));
    }
}

#[test]
fn a_fast_mouse_costs_few_notifies_and_loses_no_way_and_no_button() {
    let mut it = Fixture::new(RELATIVE, Limits::default());
    let mut presses = 0;
    for ms in 0..1000 {
        it.now += Duration::from_millis(1);
        it.input(&[Input::Motion { dx: 3, dy: -1 }]);
        if ms % 100 == 50 {
            it.input(&[key(BTN_LEFT, ms % 200 == 50)]);
            presses += 1;
        }
        it.read(usize::MAX);
    }
    it.drain();
    assert_eq!((it.view.travelled.0, it.view.travelled.1), (3000, -1000));
    assert_eq!(it.seen.iter().filter(|event| matches!(event, Event::Key { .. })).count(), presses);
    assert!(it.notifies <= 250 + 2 * presses, "{} notifies in a second", it.notifies);
}

#[test]
fn a_button_comes_after_the_motion_before_it() {
    let mut it = Fixture::full();
    it.input(&[Input::Position { x: 1, y: 1 }]);
    // Within the interval: the position waits, and the button takes it along.
    it.input(&[Input::Position { x: 9, y: 9 }]);
    it.input(&[key(BTN_LEFT, true)]);
    it.input(&[Input::Position { x: 20, y: 20 }]);
    it.read(usize::MAX);
    let place = |x| Event::Position { x, y: x, z: 0 };
    assert_eq!(it.seen, [place(1), place(9), Event::Key { pressed: true, code: BTN_LEFT }]);
    it.wait(Duration::from_millis(4));
    it.read(usize::MAX);
    assert_eq!(it.seen.last(), Some(&place(20)));
}

#[test]
fn what_a_guest_that_does_not_read_misses_is_bounded_and_releases_are_not_missed() {
    let mut it = Fixture::full();
    it.input(&[key(SHIFT, true), touch(7, ContactEvent::Down { x: 1, y: 1 }), Input::TouchSync]);
    for code in 0..5000_u32 {
        let code = 1 + code % 200;
        it.input(&[key(code, true), Input::Position { x: 1, y: 1 }, Input::Wheel { clicks: 1 }]);
        it.input(&[touch(code, ContactEvent::Down { x: 0, y: 0 }), Input::TouchSync]);
    }
    for code in 1..240 {
        it.input(&[key(code, false), touch(code, ContactEvent::Up), Input::TouchSync]);
    }
    let status = it.session.status();
    assert!(status.presses_dropped > 0);
    assert!(status.waiting <= 256 + 240 + 10, "{status:?}");
    assert_eq!(status.held, 0);
    it.drain();
    assert!(it.view.keys.is_empty(), "{:?}", it.view.keys);
    assert!(it.view.contacts.is_empty(), "{:?}", it.view.contacts);
    assert!(!it.view.unsynced);
    assert_eq!(it.session.status().waiting, 0);
}

#[test]
fn losing_the_focus_releases_what_is_held_and_replays_nothing() {
    let mut it = Fixture::full();
    it.input(&[key(SHIFT, true), key(BTN_LEFT, true), touch(1, ContactEvent::Down { x: 3, y: 4 }), Input::TouchSync]);
    it.read(usize::MAX);
    assert_eq!((it.view.keys.len(), it.view.contacts.len()), (2, 1));
    it.focus_lost();
    it.drain();
    assert!(it.view.keys.is_empty() && it.view.contacts.is_empty() && !it.view.unsynced);
    let seen = it.seen.len();
    // The user lets go while another guest has the focus; then this one gets it back.
    it.input(&[key(SHIFT, false), key(BTN_LEFT, false), touch(1, ContactEvent::Up), Input::TouchSync]);
    it.drain();
    assert_eq!(it.seen.len(), seen);
    it.input(&[key(KEY_A, true)]);
    it.drain();
    assert_eq!(it.view.keys.len(), 1);
}

#[test]
fn input_that_still_waits_when_the_focus_is_lost_is_not_delivered() {
    let mut it = Fixture::full();
    for _ in 0..100 {
        it.input(&[key(KEY_A, true), key(KEY_A, false)]);
    }
    it.focus_lost();
    it.drain();
    assert!(it.view.keys.is_empty());
    assert!(it.seen.len() <= 52, "what was not in the page by then: {}", it.seen.len());
}

#[test]
fn ten_fingers_have_contacts_of_their_own_and_each_frame_ends_with_a_sync() {
    let mut it = Fixture::full();
    let down: Vec<_> = (0..12).map(|n| touch(1000 + n, ContactEvent::Down { x: n.cast_signed(), y: 0 })).collect();
    it.input(&down);
    it.input(&[Input::TouchSync]);
    it.drain();
    assert_eq!(it.view.contacts.len(), 10);
    assert_eq!(it.session.status().not_taken, 2, "the eleventh and the twelfth");
    assert_eq!(it.seen.last(), Some(&Event::Touch { contact: 9, event: TouchEvent::Sync }));
    it.input(&[
        touch(1003, ContactEvent::Up),
        touch(1004, ContactEvent::Motion { x: 70, y: 80 }),
        touch(1004, ContactEvent::Shape { major: 9, minor: 7 }),
        touch(1004, ContactEvent::Orientation { angle: 500 }),
        Input::TouchSync,
        Input::TouchSync,
    ]);
    it.drain();
    assert_eq!(it.view.contacts.len(), 9);
    assert_eq!(it.view.contacts[&4], (70, 80));
    let last: Vec<_> = it.seen.iter().rev().take(2).collect();
    let about_4 = |event| Event::Touch { contact: 4, event };
    assert_eq!(last, [&about_4(TouchEvent::Sync), &about_4(TouchEvent::Orientation(180))]);
    // The contact is free again.
    it.input(&[touch(5, ContactEvent::Down { x: 1, y: 2 }), Input::TouchSync]);
    it.drain();
    assert_eq!(it.view.contacts[&3], (1, 2));
}

#[test]
fn a_touch_that_moves_while_nobody_reads_ends_where_it_is() {
    let mut it = Fixture::full();
    it.input(&[touch(0, ContactEvent::Down { x: 0, y: 0 }), Input::TouchSync]);
    for x in 0..600 {
        it.input(&[touch(0, ContactEvent::Motion { x, y: 1 }), Input::TouchSync]);
        it.now += Duration::from_millis(5);
    }
    it.drain();
    assert_eq!(it.view.contacts[&0], (599, 1));
    assert_eq!(it.session.status().motion_dropped, 0);
}

#[test]
fn an_index_that_makes_no_sense_stops_the_events_until_it_does_again() {
    let mut it = Fixture::full();
    it.input(&[key(KEY_A, true)]);
    for garbage in [99, 1 << 31, u32::MAX - 60] {
        it.heap.share().store_u32(IN_CONS, garbage).unwrap();
        it.input(&[key(KEY_A, false), key(SHIFT, true), Input::Position { x: 3, y: 3 }]);
    }
    assert!(it.session.deadline().is_some());
    it.heap.share().store_u32(IN_CONS, 0).unwrap();
    it.drain();
    assert_eq!(it.view.keys.iter().copied().collect::<Vec<_>>(), [SHIFT]);
}

#[test]
fn a_frontend_that_never_notifies_is_looked_at_ever_less_often() {
    let mut it = Fixture::full();
    for code in 1..100 {
        it.input(&[key(code, true)]);
    }
    let start = it.now;
    let mut looks = 0;
    while it.now < start + Duration::from_secs(10) {
        it.now = it.session.deadline().expect("it is not done");
        it.flush();
        looks += 1;
    }
    assert!(looks < 20, "{looks}");
    it.read(usize::MAX);
    it.wait(Duration::from_secs(1));
    assert_eq!(it.session.deadline(), None);
}

#[test]
fn a_page_taken_over_from_a_predecessor_is_told_that_all_is_up() {
    let mut it = Fixture::full();
    it.input(&[key(SHIFT, true), key(BTN_LEFT, true), touch(3, ContactEvent::Down { x: 1, y: 1 }), Input::TouchSync]);
    it.read(3);
    it.session = Session::new("guest".into(), Limits::default(), FULL, it.heap.share()).unwrap();
    it.flush();
    it.drain();
    assert!(it.view.keys.is_empty() && it.view.contacts.is_empty() && !it.view.unsynced);
    it.input(&[key(KEY_A, true)]);
    it.drain();
    assert_eq!(it.view.keys.len(), 1);
}

#[test]
fn an_owed_release_is_not_settled_by_an_earlier_one_of_the_same_key() {
    for presses in 100..200 {
        let mut it = Fixture::full();
        for _ in 0..presses {
            it.input(&[key(KEY_A, true), key(KEY_A, false)]);
        }
        it.read(1);
        it.flush();
        // One place is free: the press takes it, and its release is owed.
        it.input(&[key(KEY_A, true), key(KEY_A, false)]);
        it.drain();
        assert!(it.view.keys.is_empty(), "{presses} presses: {:?}", it.view.keys);
        assert_eq!(it.session.status().held, 0);
    }
}

#[test]
fn an_owed_lift_is_not_settled_by_an_earlier_one_of_the_same_contact() {
    for dabs in 60..140 {
        let mut it = Fixture::full();
        for _ in 0..dabs {
            it.input(&[touch(1, ContactEvent::Down { x: 1, y: 1 }), Input::TouchSync]);
            it.input(&[touch(1, ContactEvent::Up), Input::TouchSync]);
        }
        for _ in 0..4 {
            it.read(1);
            it.flush();
            it.input(&[touch(1, ContactEvent::Down { x: 2, y: 2 }), touch(1, ContactEvent::Up), Input::TouchSync]);
        }
        it.drain();
        assert!(it.view.contacts.is_empty(), "{dabs} dabs: {:?}", it.view.contacts);
        assert!(!it.view.unsynced);
    }
}

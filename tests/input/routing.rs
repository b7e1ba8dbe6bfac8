// SPDX-License-Identifier: GPL-3.0-or-later
//! Single rules of the routing, each as a short story.

use grantway::backend::input::{InputDevice, InputKind, TouchEvent};
use grantway::input::{Allowed, Command, Confine, GuestEvent, Outcome, PointerKind, Policy, Refusal};
use grantway::scene::element::Size;

use crate::desk::{A, ALL, B, CAPS, Desk, ESC, KEYBOARD, LEFT, MODIFIER, MOUSE, RELEASE, RIGHT, SHIFT, TAB, device};

#[test]
fn keys_go_to_the_window_that_was_clicked() {
    let (mut desk, first, second) = Desk::two();
    assert_eq!(desk.seat.focus(), Some(first), "the first window was alone when it came");
    desk.tap(A);
    assert_eq!(desk.told(), ["1: +30", "1: -30"]);
    desk.click_into(second, 5, 6);
    assert_eq!(desk.told(), ["2: at 5,6", "2: +272", "2: -272"]);
    desk.tap(A);
    assert_eq!(desk.told(), ["2: +30", "2: -30"]);
    desk.point(2, 590);
    desk.button(LEFT, true);
    desk.button(LEFT, false);
    desk.tap(A);
    assert_eq!(desk.told(), [""; 0], "a click beside all windows takes the keyboard from everybody");
}

#[test]
fn what_is_held_is_released_in_the_loser_and_never_told_to_the_winner() {
    let (mut desk, _, second) = Desk::two();
    desk.key(SHIFT, true);
    desk.key(A, true);
    desk.told();
    desk.seat.focus_window(second);
    assert_eq!(desk.told(), ["1: -30", "1: -42"]);
    desk.key(A, false);
    desk.key(SHIFT, false);
    assert_eq!(desk.told(), [""; 0]);
    desk.key(A, true);
    assert_eq!(desk.told(), ["2: +30"]);
}

#[test]
fn a_button_held_while_the_focus_moves_is_released_in_the_loser() {
    let (mut desk, first, second) = Desk::two();
    desk.point_into(first, 10, 10);
    desk.button(LEFT, true);
    desk.key(SHIFT, true);
    desk.told();
    desk.chord(TAB);
    let outcomes = desk.seat.take_outcomes();
    assert_eq!(outcomes, [Outcome::Command(Command::NextGuest)]);
    desk.seat.focus_window(second);
    assert_eq!(desk.told(), ["1: -42", "1: -272"]);
    desk.button(LEFT, false);
    desk.key(SHIFT, false);
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn no_guest_sees_any_part_of_a_chord() {
    let (mut desk, ..) = Desk::two();
    desk.chord(TAB);
    // Released in the other order, and with a key that means nothing.
    desk.key(MODIFIER, true);
    desk.key(TAB, true);
    desk.key(B, true);
    desk.key(MODIFIER, false);
    desk.key(TAB, false);
    desk.key(B, false);
    assert_eq!(desk.told(), [""; 0]);
    // What was down before is still its guest's, and its release too.
    desk.key(A, true);
    desk.key(MODIFIER, true);
    desk.key(A, false);
    desk.key(MODIFIER, false);
    assert_eq!(desk.told(), ["1: +30", "1: -30"]);
}

#[test]
fn secure_attention_lets_go_of_everything_and_ends_with_esc_or_the_chord() {
    let (mut desk, first, _) = Desk::two();
    desk.target(first).device.as_mut().unwrap().pointer = Some(PointerKind::Relative);
    desk.look();
    desk.click_into(first, 10, 10);
    desk.moved(20, 0);
    assert_eq!(desk.told(), ["1: by 10,0"], "the click that locks the pointer is not passed on");
    assert_eq!(desk.seat.cursor(), None);
    desk.button(RIGHT, true);
    desk.key(A, true);
    desk.told();
    desk.chord(ESC);
    assert_eq!(desk.told(), ["1: -30", "1: -273"]);
    assert!(desk.seat.attention());
    assert_eq!(desk.seat.grabbed(), None);
    desk.key(A, false);
    desk.tap(B);
    desk.button(RIGHT, false);
    desk.click_into(first, 30, 30);
    desk.moved(5, 5);
    desk.wheel(120);
    desk.finger_down(0, first, 3, 3);
    assert_eq!(desk.told(), [""; 0]);
    assert!(desk.seat.cursor().is_some());
    desk.tap(ESC);
    assert!(!desk.seat.attention());
    assert_eq!(desk.told(), [""; 0], "nobody is told of the key that ended it");
    desk.chord(ESC);
    desk.chord(ESC);
    assert!(!desk.seat.attention());
    desk.tap(B);
    assert_eq!(desk.told(), ["1: +48", "1: -48"]);
}

#[test]
fn a_locked_pointer_is_freed_by_its_chord() {
    let (mut desk, first, second) = Desk::two();
    desk.target(first).device.as_mut().unwrap().pointer = Some(PointerKind::Relative);
    desk.look();
    desk.click_into(first, 10, 10);
    desk.moved(1000, 0);
    desk.button(LEFT, true);
    desk.button(LEFT, false);
    assert_eq!(desk.told(), ["1: by 500,0", "1: +272", "1: -272"]);
    desk.chord(RELEASE);
    desk.moved(4, 0);
    desk.click_into(second, 7, 7);
    assert_eq!(desk.told(), ["2: at 7,7", "2: +272", "2: -272"]);
}

#[test]
fn parts_of_a_unit_of_relative_motion_add_up() {
    let (mut desk, first, _) = Desk::two();
    desk.target(first).device.as_mut().unwrap().pointer = Some(PointerKind::Relative);
    desk.look();
    desk.click_into(first, 10, 10);
    desk.told();
    for _ in 0..6 {
        desk.event(MOUSE, InputKind::Motion { dx: 0, dy: 0, raw_dx: 100, raw_dy: -50 });
    }
    assert_eq!(desk.told(), ["1: by 1,0", "1: by 1,-1"]);
}

#[test]
fn a_confined_pointer_stays_within_its_window() {
    let (mut desk, first, second) = Desk::two();
    desk.target(first).policy.confine = Confine::Always;
    desk.look();
    desk.click_into(first, 10, 10);
    desk.told();
    desk.point_into(second, 5, 5);
    assert_eq!(desk.told(), ["1: at 399,5"]);
    desk.moved(-5000, 5000);
    assert_eq!(desk.told(), ["1: at 0,299"]);
    desk.chord(RELEASE);
    desk.point_into(second, 5, 5);
    assert_eq!(desk.told(), [""; 0], "it is free, and over a window without the focus");
}

#[test]
fn a_drag_stays_with_its_guest_and_is_kept_within_its_picture() {
    let (mut desk, first, second) = Desk::two();
    desk.point_into(first, 10, 10);
    desk.button(LEFT, true);
    desk.told();
    desk.point_into(second, 5, 5);
    desk.button(RIGHT, true);
    desk.button(RIGHT, false);
    desk.button(LEFT, false);
    assert_eq!(desk.told(), ["1: at 399,5", "1: +273", "1: -273", "1: -272"]);
    assert_eq!(desk.seat.focus(), Some(first));
}

#[test]
fn the_pointer_tells_only_the_window_with_the_focus() {
    let (mut desk, first, second) = Desk::two();
    desk.point_into(second, 5, 5);
    desk.wheel(120);
    assert_eq!(desk.told(), [""; 0]);
    desk.point_into(first, 5, 5);
    desk.wheel(60);
    desk.wheel(60);
    desk.wheel(-120);
    assert_eq!(desk.told(), ["1: at 5,5", "1: wheel -1", "1: wheel 1"]);
}

#[test]
fn the_policy_says_what_a_guest_gets() {
    let mut desk = Desk::new();
    let pointer = desk.guest(1, 300, 200, Policy { allowed: Allowed::Pointer, ..ALL });
    let view = desk.guest(2, 300, 200, Policy { allowed: Allowed::View, ..ALL });
    desk.click_into(pointer, 1, 1);
    desk.tap(A);
    assert_eq!(desk.told(), ["1: at 1,1", "1: +272", "1: -272"]);
    assert_eq!(desk.seat.keyboard(), None);
    desk.click_into(view, 1, 1);
    desk.tap(A);
    desk.wheel(120);
    desk.finger_down(0, view, 5, 5);
    assert_eq!(desk.told(), [""; 0]);
    assert_eq!(desk.seat.focus(), None);
    let key = GuestEvent::Key { code: A, pressed: true };
    assert_eq!(desk.seat.inject(view, key), Err(Refusal::NotAllowed));
    assert_eq!(desk.seat.inject(pointer, key), Err(Refusal::NotAllowed));
}

#[test]
fn a_hidden_guest_is_let_go_and_gets_nothing() {
    let (mut desk, first, second) = Desk::two();
    desk.key(A, true);
    desk.told();
    desk.scene.set_fullscreen(Some(second));
    desk.look();
    assert_eq!(desk.told(), ["1: -30"]);
    assert_eq!(desk.seat.focus(), Some(second), "what covers the output has the keyboard");
    let event = GuestEvent::Key { code: A, pressed: true };
    assert_eq!(desk.seat.inject(first, event), Err(Refusal::Hidden));
    desk.tap(B);
    assert_eq!(desk.told(), ["2: +48", "2: -48"]);
}

#[test]
fn a_window_that_comes_never_takes_the_keyboard_from_another() {
    let mut desk = Desk::new();
    let first = desk.guest(1, 300, 200, ALL);
    let second = desk.guest(2, 300, 200, ALL);
    assert_eq!(desk.seat.focus(), Some(first));
    desk.scene.remove_window(first);
    desk.targets.remove(0);
    desk.look();
    assert_eq!(desk.seat.focus(), None, "what the user types was not meant for the other");
    desk.seat.focus_window(second);
    assert_eq!(desk.seat.focus(), Some(second));
}

#[test]
fn locks_follow_the_user_from_guest_to_guest() {
    let (mut desk, _, second) = Desk::two();
    desk.tap(CAPS);
    desk.told();
    desk.seat.focus_window(second);
    assert_eq!(desk.told(), ["2: +58", "2: -58"]);
    desk.tap(CAPS);
    assert_eq!(desk.told(), ["2: +58", "2: -58"]);
    desk.chord(CAPS);
    let first = desk.targets[0].window;
    desk.seat.focus_window(first);
    assert_eq!(desk.told(), ["1: +58", "1: -58"]);
    // A device that connects anew has its locks off, as far as anybody knows.
    desk.tap(CAPS);
    desk.told();
    desk.target(first).device = Some(device(7));
    desk.look();
    assert_eq!(desk.told(), ["7: +58", "7: -58"]);
}

#[test]
fn a_key_on_two_keyboards_is_down_until_both_let_go() {
    let (mut desk, ..) = Desk::two();
    let other = InputDevice(9);
    desk.key(A, true);
    desk.event(other, InputKind::Key { code: A, pressed: true });
    desk.key(A, false);
    assert_eq!(desk.told(), ["1: +30"]);
    desk.event(other, InputKind::Removed);
    assert_eq!(desk.told(), ["1: -30"], "a keyboard that is pulled out holds nothing");
}

#[test]
fn ten_fingers_on_two_guests_at_once() {
    let (mut desk, first, second) = Desk::two();
    for finger in 0..10 {
        let window = if finger % 2 == 0 { first } else { second };
        desk.finger_down(finger, window, i32::try_from(finger).unwrap(), 7);
    }
    desk.event(crate::desk::SCREEN, InputKind::TouchFrame);
    let told = desk.told();
    assert_eq!(told.iter().filter(|line| line.starts_with("1: down")).count(), 5);
    assert_eq!(told[..3], ["1: down 0 0,7", "2: down 0 1,7", "1: down 1 2,7"]);
    assert_eq!(told[10..], ["1: sync", "2: sync"]);
    assert_eq!(desk.seat.focus(), Some(first), "only the first finger moves the focus");
    let (x, y) = desk.on_desk(second, 20, 30);
    let place = desk.fraction(x, y);
    desk.finger(1, TouchEvent::Motion(place));
    desk.finger(0, TouchEvent::Motion(place));
    desk.finger(0, TouchEvent::Up);
    desk.event(crate::desk::SCREEN, InputKind::TouchFrame);
    assert_eq!(desk.told(), ["2: move 0 20,30", "1: move 0 399,30", "1: up 0", "1: sync", "2: sync"]);
    desk.seat.pause(true);
    let told = desk.told();
    assert_eq!(told.iter().filter(|line| line.contains("up")).count(), 9);
    desk.seat.pause(false);
    desk.finger(3, TouchEvent::Up);
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn more_fingers_than_the_guest_takes_are_left_out() {
    let (mut desk, first, _) = Desk::two();
    desk.target(first).device.as_mut().unwrap().contacts = 2;
    desk.look();
    for finger in 0..3 {
        desk.finger_down(finger, first, 1, 1);
    }
    assert_eq!(desk.told(), ["1: down 0 1,1", "1: down 1 1,1"]);
}

#[test]
fn two_windows_of_one_guest_are_one_space() {
    let mut desk = Desk::new();
    let left = desk.guest(1, 300, 200, ALL);
    let right = desk.guest(1, 300, 200, ALL);
    desk.key(SHIFT, true);
    desk.point_into(left, 10, 10);
    desk.button(LEFT, true);
    desk.told();
    desk.point_into(right, 20, 20);
    assert_eq!(desk.told(), ["1: at 20,20"], "a drag goes from one connector to the other");
    desk.button(LEFT, false);
    desk.click_into(right, 20, 20);
    assert_eq!(desk.told(), ["1: -272", "1: at 20,20", "1: +272", "1: -272"], "and Shift stays held");
}

#[test]
fn the_cursor_is_hidden_over_a_guest_that_draws_its_own_and_has_the_focus() {
    let (mut desk, first, second) = Desk::two();
    for window in [first, second] {
        desk.target(window).policy.own_cursor = true;
    }
    desk.look();
    assert_eq!(desk.seat.cursor(), None, "no pointer was seen yet");
    desk.point_into(second, 5, 5);
    assert!(desk.seat.cursor().is_some(), "it is told nothing, so its cursor does not follow");
    desk.click_into(second, 5, 5);
    assert_eq!(desk.seat.cursor(), None);
    desk.point(2, 590);
    assert_eq!(desk.seat.cursor(), Some((2, 590)));
}

#[test]
fn an_injected_key_is_told_to_its_guest_alone_and_is_never_reserved() {
    let (mut desk, _, second) = Desk::two();
    let key = |code, pressed| GuestEvent::Key { code, pressed };
    assert_eq!(desk.seat.inject(second, key(A, true)), Ok(()));
    assert_eq!(desk.seat.inject(second, key(A, false)), Ok(()));
    assert_eq!(desk.seat.inject(second, key(A, false)), Ok(()));
    assert_eq!(desk.told(), ["2: +30", "2: -30"]);
    assert_eq!(desk.seat.inject(second, key(MODIFIER, true)), Err(Refusal::Reserved));
    desk.chord(ESC);
    assert_eq!(desk.seat.inject(second, key(A, true)), Err(Refusal::Suspended));
}

#[test]
fn key_codes_that_do_not_exist_are_left_out() {
    let (mut desk, ..) = Desk::two();
    for code in [0, 0x300, u32::MAX] {
        desk.event(KEYBOARD, InputKind::Key { code, pressed: true });
    }
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn a_pointer_of_an_output_that_is_gone_is_on_another() {
    let (mut desk, ..) = Desk::two();
    desk.point(990, 590);
    let output =
        grantway::scene::SceneOutput { id: grantway::backend::OutputId(2), size: Size { width: 300, height: 200 } };
    desk.scene.set_outputs(&[output]);
    desk.look();
    assert_eq!(desk.seat.cursor(), Some((299, 199)));
}

#[test]
fn a_window_that_goes_takes_what_was_held_there_with_it_though_its_guest_has_another() {
    let mut desk = Desk::new();
    let left = desk.guest(1, 300, 200, ALL);
    desk.guest(1, 300, 200, ALL);
    desk.click_into(left, 10, 10);
    desk.key(SHIFT, true);
    desk.told();
    desk.scene.remove_window(left);
    desk.targets.retain(|target| target.window != left);
    desk.look();
    assert_eq!(desk.told(), ["1: -42"]);
    desk.key(SHIFT, false);
    assert_eq!(desk.told(), [""; 0]);
}

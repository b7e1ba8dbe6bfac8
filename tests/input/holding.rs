// SPDX-License-Identifier: GPL-3.0-or-later
//! Windows that the user holds, by their frames and by the reserved key.

use grantway::input::{Command, Outcome};
use grantway::scene::decoration::TITLE;
use grantway::scene::element::Rect;
use grantway::scene::layout::{Edges, Region, Workspace};
use grantway::scene::{Wanted, WindowId};

use crate::desk::{Desk, ESC, LEFT, MODIFIER, RIGHT};

const MIDDLE: u32 = 0x112;

const UP: u32 = 103;

/// Does what the seat wants of windows; how often it wanted anything.
fn follow(desk: &mut Desk) -> usize {
    let mut wanted = 0;
    for outcome in desk.seat.take_outcomes() {
        match outcome {
            Outcome::Move { window, at, grip } => desk.scene.move_window(window, at, grip),
            Outcome::Resize { window, from, edges, by } => {
                desk.scene.size_window(window, Wanted::Edges { from, edges, by });
            }
            Outcome::Pan { window, from, by } => desk.scene.pan_window(window, from, by),
            _ => continue,
        }
        wanted += 1;
    }
    desk.look();
    wanted
}

fn outer(desk: &Desk, window: WindowId) -> Rect {
    desk.scene.stage().spot(window).unwrap().outer
}

fn corner(desk: &Desk, window: WindowId) -> (i32, i32) {
    let outer = outer(desk, window);
    (outer.x, outer.y)
}

#[test]
fn a_window_is_moved_by_its_frame_and_nobody_is_told() {
    let (mut desk, first, second) = Desk::two();
    let (x, y) = corner(&desk, first);
    let other = corner(&desk, second);
    desk.point(x + 50, y + 10);
    desk.button(LEFT, true);
    assert_eq!(desk.seat.focus(), Some(first));
    // Over the other guest, and with another button down.
    desk.point(other.0 + 90, other.1 + 110);
    assert_eq!(follow(&mut desk), 1);
    assert_eq!(corner(&desk, first), (other.0 + 40, other.1 + 100));
    assert_eq!(corner(&desk, second), other);
    desk.moved(-7, 5);
    desk.wheel(120);
    assert_eq!(follow(&mut desk), 1);
    assert_eq!(corner(&desk, first), (other.0 + 33, other.1 + 105));
    desk.button(LEFT, false);
    desk.moved(3, 3);
    assert_eq!(follow(&mut desk), 0);
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn only_the_left_button_moves_a_window_and_only_by_its_frame() {
    let (mut desk, first, _) = Desk::two();
    let (x, y) = corner(&desk, first);
    desk.point(x + 50, y + 10);
    desk.button(RIGHT, true);
    desk.moved(10, 10);
    desk.button(RIGHT, false);
    desk.point_into(first, 5, 5);
    desk.button(LEFT, true);
    desk.moved(10, 10);
    desk.button(LEFT, false);
    assert_eq!(follow(&mut desk), 0);
    assert_eq!(corner(&desk, first), (x, y));
}

#[test]
fn what_takes_the_focus_or_the_window_ends_a_move() {
    let (mut desk, first, second) = Desk::two();
    let (x, y) = corner(&desk, first);
    desk.point(x + 50, y + 10);
    desk.button(LEFT, true);
    desk.chord(ESC);
    desk.moved(10, 10);
    assert_eq!(follow(&mut desk), 0, "secure attention");
    desk.chord(ESC);
    desk.button(LEFT, false);
    desk.point(x + 50, y + 10);
    desk.button(LEFT, true);
    desk.seat.focus_window(second);
    desk.moved(10, 10);
    assert_eq!(follow(&mut desk), 0, "another window has the focus");
    desk.button(LEFT, false);
    desk.point(x + 50, y + 10);
    desk.button(LEFT, true);
    desk.scene.remove_window(first);
    desk.look();
    desk.moved(10, 10);
    assert_eq!(follow(&mut desk), 0, "it is gone");
}

#[test]
fn borders_and_corners_change_the_size() {
    let (mut desk, first, _) = Desk::two();
    let Rect { x, y, width, height } = outer(&desk, first);
    let (right, bottom) = (x + width, y + height);
    let middle = (x + width / 2, y + TITLE + 100);
    let cases = [
        ((x + 1, middle.1), Edges { across: -1, down: 0 }),
        ((right - 1, middle.1), Edges { across: 1, down: 0 }),
        ((middle.0, bottom - 1), Edges { across: 0, down: 1 }),
        ((right - 1, bottom - 1), Edges { across: 1, down: 1 }),
        ((right - 20, bottom - 1), Edges { across: 1, down: 1 }),
        ((x + 1, bottom - 10), Edges { across: -1, down: 1 }),
    ];
    for (place, wanted) in cases {
        desk.point(place.0, place.1);
        desk.button(LEFT, true);
        desk.seat.take_outcomes();
        desk.moved(5, 7);
        let resize = Outcome::Resize { window: first, from: Rect { x, y, width, height }, edges: wanted, by: (5, 7) };
        assert_eq!(desk.seat.take_outcomes(), [resize], "at {place:?}");
        desk.button(LEFT, false);
    }
}

#[test]
fn the_reserved_key_and_the_middle_button_draw_the_picture_along() {
    let (mut desk, first, _) = Desk::two();
    let Rect { x, y, width, height } = outer(&desk, first);
    desk.point(x + width - 1, y + height - 1);
    desk.button(LEFT, true);
    desk.moved(-200, -150);
    assert_eq!(follow(&mut desk), 1);
    desk.button(LEFT, false);
    desk.scene.next_fit(first);
    desk.look();
    let place = corner(&desk, first);
    let content = desk.scene.stage().spot(first).unwrap().content;
    desk.told();
    let seen = |desk: &Desk| desk.scene.stage().spot(first).unwrap().source;
    assert_eq!(seen(&desk), Rect { x: 100, y: 75, width: 200, height: 150 });
    desk.point(content.x + 50, content.y + 50);
    desk.told();
    desk.key(MODIFIER, true);
    desk.button(MIDDLE, true);
    for step in 1..=3 {
        desk.moved(10, -5);
        assert_eq!(follow(&mut desk), 1);
        assert_eq!(seen(&desk), Rect { x: 100 - 10 * step, y: 75 + 5 * step, width: 200, height: 150 });
    }
    desk.button(MIDDLE, false);
    desk.moved(10, 10);
    assert_eq!(follow(&mut desk), 0);
    desk.key(MODIFIER, false);
    assert_eq!(corner(&desk, first), place, "the window stays");
    assert!(!desk.told().iter().any(|told| told.contains("274")), "no guest hears of the button");
    // Full screen there is nothing to draw along.
    desk.scene.set_fullscreen(Some(first));
    desk.look();
    desk.key(MODIFIER, true);
    desk.button(MIDDLE, true);
    desk.moved(10, 10);
    assert_eq!(follow(&mut desk), 0);
}

#[test]
fn the_pointer_of_a_scaled_window_is_where_it_is_seen() {
    let (mut desk, first, _) = Desk::two();
    let Rect { x, y, width, height } = outer(&desk, first);
    desk.point(x + width - 1, y + height - 1);
    desk.button(LEFT, true);
    desk.moved(-200, -150);
    assert_eq!(follow(&mut desk), 1);
    desk.button(LEFT, false);
    // 400x300 at half its size.
    let content = desk.scene.stage().spot(first).unwrap().content;
    assert_eq!((content.width, content.height), (200, 150));
    desk.told();
    desk.point(content.right() - 1, content.bottom() - 1);
    desk.point(content.x, content.y);
    assert_eq!(desk.told(), ["1: at 399,299", "1: at 0,0"]);
}

#[test]
fn with_the_reserved_key_a_window_is_held_anywhere() {
    let (mut desk, first, second) = Desk::two();
    let before = outer(&desk, second);
    desk.point_into(second, 50, 60);
    desk.key(MODIFIER, true);
    desk.button(LEFT, true);
    assert_eq!(desk.seat.focus(), Some(second));
    // The button counts from here on, not the key.
    desk.key(MODIFIER, false);
    desk.moved(-30, 40);
    assert_eq!(follow(&mut desk), 1);
    desk.button(LEFT, false);
    assert_eq!(corner(&desk, second), (before.x - 30, before.y + 40));
    desk.point_into(second, 10, 190);
    desk.key(MODIFIER, true);
    desk.button(RIGHT, true);
    desk.moved(-20, 10);
    assert_eq!(follow(&mut desk), 1);
    desk.button(RIGHT, false);
    desk.key(MODIFIER, false);
    let after = outer(&desk, second);
    assert_eq!((after.x, after.y), (before.x - 50, before.y + 40));
    assert_eq!((after.width, after.height), (before.width + 20, before.height + 10));
    let told = desk.told();
    assert!(told.iter().all(|line| line.contains("at ")), "no guest hears of a button: {told:?}");
    assert_ne!(desk.seat.focus(), Some(first));
}

#[test]
fn the_arrow_chords_are_commands_and_no_guest_sees_them() {
    let (mut desk, _, _) = Desk::two();
    desk.chord(UP);
    assert_eq!(desk.seat.take_outcomes(), [Outcome::Command(Command::Region(Region::Whole))]);
    desk.chord(ESC);
    desk.seat.take_outcomes();
    desk.chord(UP);
    assert_eq!(desk.seat.take_outcomes(), [], "not during secure attention");
}

#[test]
fn a_digit_shows_a_workspace_and_with_shift_takes_the_window_there() {
    let (mut desk, first, _) = Desk::two();
    desk.seat.focus_window(first);
    desk.told();
    desk.seat.take_outcomes();
    let three = Workspace::new(3).unwrap();
    desk.chord(4);
    assert_eq!(desk.seat.take_outcomes(), [Outcome::Command(Command::Workspace(three))]);
    for shift in [42, 54] {
        desk.key(MODIFIER, true);
        desk.key(shift, true);
        desk.tap(4);
        desk.key(shift, false);
        desk.key(MODIFIER, false);
        assert_eq!(desk.seat.take_outcomes(), [Outcome::Command(Command::Send(three))], "and no guest hears of it");
    }
    desk.chord(ESC);
    desk.seat.take_outcomes();
    desk.chord(4);
    assert_eq!(desk.seat.take_outcomes(), [], "secure attention");
}

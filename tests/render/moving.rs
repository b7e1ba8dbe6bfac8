// SPDX-License-Identifier: GPL-3.0-or-later
//! Windows that the user moves: their frames stay in reach, nobody else moves, and a guest that comes back finds its
//! place.

use grantway::scene::decoration::{TITLE, outer_size};
use grantway::scene::element::{BufferId, Color, OutputId, Rect, Size};
use grantway::scene::layout::REACH;
use grantway::scene::{Scene, SceneOutput, Shown, WindowId, WindowLabel};
use proptest::prelude::*;

const LEFT: OutputId = OutputId(1);
const RIGHT: OutputId = OutputId(2);
const CONTENT: Size = Size { width: 300, height: 200 };

fn label(name: &str) -> WindowLabel {
    WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color: Color { red: 66, green: 133, blue: 214 } }
}

fn output(id: OutputId, width: i32, height: i32) -> SceneOutput {
    SceneOutput { id, size: Size { width, height } }
}

fn two_outputs() -> Scene {
    let mut scene = Scene::new();
    scene.set_outputs(&[output(LEFT, 1000, 600), output(RIGHT, 800, 500)]);
    scene
}

/// The window with its frame, on the plane of all outputs.
fn outer(scene: &Scene, window: WindowId) -> Rect {
    scene.stage().spot(window).unwrap().outer
}

#[test]
fn it_goes_where_it_is_put_also_over_others_and_to_another_output() {
    let mut scene = two_outputs();
    let (first, second) = (scene.add_window(label("first"), CONTENT), scene.add_window(label("second"), CONTENT));
    let there = outer(&scene, second);
    scene.take_damaged();
    scene.move_window(first, (there.x + 30, there.y + 40), (10, 5));
    assert_eq!((outer(&scene, first).x, outer(&scene, first).y), (there.x + 20, there.y + 35));
    assert_eq!(outer(&scene, second), there);
    assert_eq!(scene.take_damaged(), [LEFT]);
    scene.move_window(first, (1000 + 90, 70), (10, 5));
    assert_eq!((outer(&scene, first).x, outer(&scene, first).y), (1000 + 80, 65));
    assert_eq!(scene.placement(first).unwrap().0, RIGHT);
    assert_eq!(scene.take_damaged(), [LEFT, RIGHT]);
    // As the pointer that has not moved.
    scene.move_window(first, (1000 + 90, 70), (10, 5));
    assert_eq!(scene.take_damaged(), []);
}

#[test]
fn it_stays_there_when_its_size_changes_and_others_come() {
    let mut scene = two_outputs();
    let window = scene.add_window(label("first"), CONTENT);
    scene.move_window(window, (333, 222), (0, 0));
    scene.add_window(label("second"), CONTENT);
    scene.resize_content(window, Size { width: 500, height: 100 });
    let Size { width, height } = outer_size(Size { width: 500, height: 100 });
    assert_eq!(outer(&scene, window), Rect { x: 333, y: 222, width, height });
}

#[test]
fn a_guest_that_comes_back_finds_its_place_and_another_one_does_not() {
    let mut scene = two_outputs();
    let window = scene.add_window(label("web"), CONTENT);
    scene.move_window(window, (1000 + 333, 111), (0, 0));
    let place = outer(&scene, window);
    scene.remove_window(window);
    let other = scene.add_window(label("vault"), CONTENT);
    assert_ne!(outer(&scene, other), place);
    let again = scene.add_window(label("web"), CONTENT);
    assert_eq!(outer(&scene, again), place);
    let twin = scene.add_window(label("web"), CONTENT);
    assert_ne!(outer(&scene, twin), place, "the place is taken");
    // Not to where there is no output any more.
    scene.remove_window(again);
    scene.set_outputs(&[output(LEFT, 1000, 600)]);
    let again = scene.add_window(label("web"), CONTENT);
    assert_eq!(scene.placement(again).unwrap().0, LEFT);
}

#[test]
fn one_that_was_not_moved_is_placed_where_there_is_room() {
    let mut scene = two_outputs();
    let first = scene.add_window(label("first"), CONTENT);
    let place = outer(&scene, first);
    scene.remove_window(first);
    let second = scene.add_window(label("second"), CONTENT);
    let again = scene.add_window(label("first"), CONTENT);
    assert_eq!(outer(&scene, second), place);
    assert!(!outer(&scene, again).overlaps(&place));
}

#[test]
fn a_window_with_an_output_for_itself_is_not_moved() {
    let mut scene = two_outputs();
    let window = scene.add_window(label("first"), CONTENT);
    let before = outer(&scene, window);
    scene.set_fullscreen(Some(window));
    scene.move_window(window, (500, 500), (0, 0));
    scene.set_fullscreen(None);
    assert_eq!(outer(&scene, window), before);
}

proptest! {
    #[test]
    fn a_title_bar_is_always_in_reach(
        (width, height) in (1..2000_i32, 1..2000_i32),
        moves in prop::collection::vec(((0..1800_i32, 0..500_i32), (0..2000_i32, 0..2000_i32)), 1..6),
        smaller in (REACH..800, TITLE..500),
    ) {
        let mut scene = two_outputs();
        let window = scene.add_window(label("any"), Size { width, height });
        for (at, grip) in moves {
            scene.move_window(window, at, grip);
        }
        for outputs in [[output(LEFT, 1000, 600), output(RIGHT, 800, 500)], [output(LEFT, smaller.0, smaller.1), output(RIGHT, smaller.0, smaller.1)]] {
            scene.set_outputs(&outputs);
            let stage = scene.stage();
            let spot = stage.spot(window).unwrap();
            let area = stage.areas.iter().find(|area| area.output == spot.output).unwrap().rect;
            let bar = Rect { height: TITLE, ..spot.outer };
            let shown = bar.intersection(&area).unwrap();
            prop_assert!(shown.height == TITLE && shown.width >= REACH, "{bar:?} on {area:?}");
        }
    }
}

#[test]
fn a_picture_that_others_cover_is_not_seen_and_damages_nothing() {
    let mut scene = two_outputs();
    let below = scene.add_window(label("below"), CONTENT);
    let (left, right) = (scene.add_window(label("left"), CONTENT), scene.add_window(label("right"), CONTENT));
    let rect = outer(&scene, below);
    assert_eq!(scene.sight(below), Some(LEFT));
    scene.move_window(left, (rect.x, rect.y), (150, 0));
    assert_eq!(scene.sight(below), Some(LEFT), "half of it is free");
    scene.move_window(right, (rect.x + 150, rect.y), (0, 0));
    assert_eq!(scene.sight(below), None);
    assert!(scene.placement(below).is_some());
    scene.take_damaged();
    let source = Rect { x: 0, y: 0, width: CONTENT.width, height: CONTENT.height };
    scene.show(below, Some(Shown { buffer: BufferId(1), source, version: 1 }));
    assert_eq!(scene.take_damaged(), []);
    scene.raise(below);
    assert_eq!((scene.sight(below), scene.sight(left)), (Some(LEFT), Some(LEFT)));
    assert_eq!(scene.take_damaged(), [LEFT]);
    // Beside the outputs nothing is seen either.
    let Rect { width, .. } = outer(&scene, right);
    scene.move_window(right, (0, 100), (width - REACH, 0));
    assert_eq!(scene.sight(right), Some(LEFT));
    scene.set_fullscreen(Some(left));
    assert_eq!((scene.sight(below), scene.sight(left)), (None, Some(LEFT)));
}

#[test]
fn a_window_taken_off_the_screen_is_not_there_until_it_is_wanted_again() {
    let mut scene = two_outputs();
    let (first, second) = (scene.add_window(label("first"), CONTENT), scene.add_window(label("second"), CONTENT));
    let place = outer(&scene, first);
    scene.take_damaged();
    scene.set_minimised(first, true);
    assert_eq!(scene.take_damaged(), [LEFT]);
    assert_eq!((scene.placement(first), scene.sight(first)), (None, None));
    assert!(scene.stage().spot(first).is_none() && scene.stage().spot(second).is_some());
    scene.set_minimised(first, false);
    assert_eq!(outer(&scene, first), place);
    scene.set_fullscreen(Some(first));
    scene.set_minimised(first, true);
    assert_eq!(scene.fullscreen(), None, "the others are seen again");
    assert!(scene.stage().spot(second).is_some());
}

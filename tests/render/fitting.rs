// SPDX-License-Identifier: GPL-3.0-or-later
//! Ways to show a guest's picture in a window of another size, and parts of it that are drawn into sight.

use grantway::scene::decoration::{BORDER, TITLE};
use grantway::scene::element::{BufferId, Color, Content, OutputId, Rect, Size};
use grantway::scene::fit::Fit;
use grantway::scene::layout::{Edges, Region};
use grantway::scene::{ClientLabel, Scene, SceneOutput, Shown, Wanted, WindowId, WindowLabel};
use proptest::prelude::*;

const OUTPUT: OutputId = OutputId(1);
const PICTURE: Size = Size { width: 800, height: 400 };

fn label(name: &str) -> WindowLabel {
    WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color: Color { red: 66, green: 133, blue: 214 } }
}

fn rect(x: i32, y: i32, width: i32, height: i32) -> Rect {
    Rect { x, y, width, height }
}

fn show(scene: &mut Scene, window: WindowId, Size { width, height }: Size) {
    scene.show(window, Some(Shown { buffer: BufferId(1), source: rect(0, 0, width, height), version: 1 }));
}

/// A guest that shows 800x400 in a window whose inside is 400x300 at the place that is given back.
fn start(fit: Fit) -> (Scene, WindowId, (i32, i32)) {
    let mut scene = Scene::new();
    scene.set_outputs(&[SceneOutput { id: OUTPUT, size: Size { width: 1000, height: 600 } }]);
    let window = scene.add_window(label("web"), PICTURE);
    scene.prefer_fit(window, fit);
    show(&mut scene, window, PICTURE);
    let from = scene.stage().spot(window).unwrap().outer;
    scene.size_window(window, Wanted::Edges { from, edges: Edges { across: 1, down: 1 }, by: (-400, -100) });
    (scene, window, (from.x + BORDER, from.y + TITLE))
}

/// The part of the buffer that is drawn, where, and whether with a filter.
fn drawn(scene: &Scene) -> (Rect, Rect, bool) {
    let frame = scene.frame(OUTPUT);
    let buffers = frame.elements.iter().filter_map(|element| match element.content {
        Content::Buffer { source, smooth, .. } => Some((source, element.target, smooth)),
        Content::Solid(_) | Content::Pixmap(_) => None,
    });
    let [one] = buffers.collect::<Vec<_>>()[..] else { panic!("not one picture") };
    one
}

#[test]
fn each_way_shows_its_part_in_its_place() {
    for (fit, source, (x, y, width, height), smooth) in [
        (Fit::Scale, rect(0, 0, 800, 400), (0, 50, 400, 200), true),
        (Fit::Centre, rect(200, 50, 400, 300), (0, 0, 400, 300), false),
        (Fit::Crop, rect(133, 0, 533, 400), (0, 0, 400, 300), true),
        (Fit::Stretch, rect(0, 0, 800, 400), (0, 0, 400, 300), true),
    ] {
        let (scene, window, (left, top)) = start(fit);
        let target = rect(left + x, top + y, width, height);
        assert_eq!(drawn(&scene), (source, target, smooth), "{fit:?}");
        // What is pointed at is what is seen.
        let spot = *scene.stage().spot(window).unwrap();
        assert_eq!((spot.source, spot.content), (source, target), "{fit:?}");
        let first = spot.to_guest(target.x, target.y);
        let last = spot.to_guest(target.right() - 1, target.bottom() - 1);
        assert_eq!((first.x, first.y), (source.x, source.y), "{fit:?}");
        assert_eq!((last.x, last.y), (source.right() - 1, source.bottom() - 1), "{fit:?}");
    }
}

#[test]
fn the_user_goes_through_the_ways_and_comes_back() {
    let (mut scene, window, _) = start(Fit::Scale);
    let first = drawn(&scene);
    for fit in [Fit::Centre, Fit::Crop, Fit::Stretch, Fit::Scale] {
        scene.take_damaged();
        scene.next_fit(window);
        assert_eq!(scene.fit_of(window), Some(fit));
        assert_eq!(scene.take_damaged(), [OUTPUT]);
    }
    assert_eq!(drawn(&scene), first);
}

#[test]
fn what_is_cut_off_is_drawn_into_sight_and_no_further() {
    let (mut scene, window, _) = start(Fit::Centre);
    let from = (200, 50);
    scene.take_damaged();
    scene.pan_window(window, from, (30, -10));
    assert_eq!(drawn(&scene).0, rect(170, 60, 400, 300), "the picture goes with the pointer");
    assert_eq!(scene.take_damaged(), [OUTPUT]);
    scene.pan_window(window, from, (5000, -5000));
    assert_eq!(drawn(&scene).0, rect(0, 100, 400, 300));
    scene.take_damaged();
    scene.pan_window(window, from, (6000, -6000));
    assert_eq!(scene.take_damaged(), [], "there is no more of it");
    // Back at once: what went beyond the end does not count.
    scene.pan_window(window, (0, 100), (-1, 1));
    assert_eq!(drawn(&scene).0, rect(1, 99, 400, 300));
    let spot = *scene.stage().spot(window).unwrap();
    let corner = spot.to_guest(spot.content.x, spot.content.y);
    assert_eq!((corner.x, corner.y), (1, 99));
    // Of a picture that is whole nothing is out of sight.
    let (mut scene, window, _) = start(Fit::Scale);
    let whole = drawn(&scene);
    scene.pan_window(window, (0, 0), (50, 50));
    assert_eq!(drawn(&scene), whole);
}

#[test]
fn a_smaller_picture_leaves_no_part_of_the_window_without_its_pixels() {
    let (mut scene, window, _) = start(Fit::Centre);
    scene.pan_window(window, (200, 50), (-5000, -5000));
    let small = Size { width: 420, height: 310 };
    scene.resize_content(window, small);
    show(&mut scene, window, small);
    assert_eq!(drawn(&scene).0, rect(20, 10, 400, 300));
    let tiny = Size { width: 40, height: 30 };
    scene.resize_content(window, tiny);
    show(&mut scene, window, tiny);
    assert_eq!(drawn(&scene).0, rect(0, 0, 40, 30));
}

#[test]
fn it_is_the_guests_until_the_user_decides_and_remembered_then() {
    let (mut scene, window, _) = start(Fit::Crop);
    assert_eq!(scene.remembered().first().unwrap().fit, None);
    scene.take_rearranged();
    scene.next_fit(window);
    assert!(scene.take_rearranged(), "it is to be written down");
    assert_eq!(scene.remembered().first().unwrap().fit, Some(Fit::Stretch));
    scene.remove_window(window);
    let again = scene.add_window(label("web"), PICTURE);
    scene.prefer_fit(again, Fit::Crop);
    assert_eq!(scene.fit_of(again), Some(Fit::Stretch));
    let other = scene.add_window(label("map"), PICTURE);
    assert_eq!(scene.fit_of(other), Some(Fit::Scale));
}

#[test]
fn clients_and_full_screen_know_no_such_ways() {
    let (mut scene, window, _) = start(Fit::Scale);
    scene.set_fullscreen(Some(window));
    scene.next_fit(window);
    assert_eq!(scene.fit_of(window), Some(Fit::Scale));
    let picture = grantway::scene::element::Pixmap { width: 10, height: 10, pixels: vec![255; 400] };
    let client = scene.add_client(ClientLabel::default(), std::rc::Rc::new(picture));
    scene.next_fit(client);
    scene.size_window(client, Wanted::Region(Region::LeftHalf));
    assert_eq!(scene.fit_of(client), None);
}

proptest! {
    #[test]
    fn wherever_it_is_drawn_what_is_seen_is_the_pictures(
        way in 0..4_usize,
        from in (any::<i32>(), any::<i32>()),
        by in (any::<i32>(), any::<i32>()),
        (width, height) in (1..3000_i32, 1..3000_i32),
    ) {
        let (mut scene, window, _) = start(Fit::ALL[way]);
        scene.pan_window(window, from, by);
        let size = Size { width, height };
        scene.resize_content(window, size);
        show(&mut scene, window, size);
        scene.pan_window(window, from, by);
        let seen = drawn(&scene).0;
        prop_assert!(rect(0, 0, width, height).contains(&seen), "{:?}", seen);
    }
}

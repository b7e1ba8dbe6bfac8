// SPDX-License-Identifier: GPL-3.0-or-later
//! Windows that the user gives another size: the guest's picture is scaled to fit, what is pointed at is what is seen,
//! and all of it is undone.

use grantway::scene::decoration::{BORDER, LEAST, TITLE, outer_size};
use grantway::scene::element::{BufferId, Color, Content, OutputId, Rect, Size};
use grantway::scene::layout::{Edges, Region, resized};
use grantway::scene::{ClientLabel, Scene, SceneOutput, Shown, Wanted, WindowId, WindowLabel};
use proptest::prelude::*;

const LEFT: OutputId = OutputId(1);
const RIGHT: OutputId = OutputId(2);
const CONTENT: Size = Size { width: 300, height: 200 };

fn label(name: &str) -> WindowLabel {
    WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color: Color { red: 66, green: 133, blue: 214 } }
}

/// Two outputs, and a guest that shows something.
fn start() -> (Scene, WindowId) {
    let mut scene = Scene::new();
    let output = |id, width, height| SceneOutput { id, size: Size { width, height } };
    scene.set_outputs(&[output(LEFT, 1000, 600), output(RIGHT, 800, 500)]);
    let window = scene.add_window(label("web"), CONTENT);
    show(&mut scene, window, CONTENT);
    (scene, window)
}

fn show(scene: &mut Scene, window: WindowId, Size { width, height }: Size) {
    let source = Rect { x: 0, y: 0, width, height };
    scene.show(window, Some(Shown { buffer: BufferId(1), source, version: 1 }));
}

fn outer(scene: &Scene, window: WindowId) -> Rect {
    scene.stage().spot(window).unwrap().outer
}

fn edges(across: i32, down: i32) -> Edges {
    Edges { across, down }
}

/// The part of the buffer that is drawn, and where.
fn drawn(scene: &Scene, output: OutputId) -> (Rect, Rect) {
    let frame = scene.frame(output);
    let buffers = frame.elements.iter().filter_map(|element| match element.content {
        Content::Buffer { source, smooth, .. } => {
            let scaled = (source.width, source.height) != (element.target.width, element.target.height);
            assert!(smooth || !scaled, "scaled without a filter");
            Some((source, element.target))
        }
        Content::Solid(_) | Content::Pixmap(_) => None,
    });
    let [one] = buffers.collect::<Vec<_>>()[..] else { panic!("not one picture") };
    one
}

#[test]
fn a_corner_is_moved_and_the_picture_is_scaled_in_its_own_shape() {
    let (mut scene, window) = start();
    let from = outer(&scene, window);
    // 300x200 becomes 600x300 inside the frame: the picture is 450x300 in the middle.
    scene.size_window(window, Wanted::Edges { from, edges: edges(1, 1), by: (300, 100) });
    assert_eq!(outer(&scene, window), Rect { width: from.width + 300, height: from.height + 100, ..from });
    let (left, top) = (from.x + BORDER, from.y + TITLE);
    let picture = Rect { x: left + 75, y: top, width: 450, height: 300 };
    assert_eq!(drawn(&scene, LEFT), (Rect { x: 0, y: 0, width: 300, height: 200 }, picture));
    assert_eq!(scene.placement(window), Some((LEFT, picture)));
    let stage = scene.stage();
    let spot = stage.spot(window).unwrap();
    assert_eq!(spot.inside, Rect { x: left, y: top, width: 600, height: 300 });
    let corner = spot.to_guest(picture.right() - 1, picture.bottom() - 1);
    assert_eq!((corner.x, corner.y), (299, 199));
    let beside = stage.at(left + 10, top + 10).unwrap();
    assert!(!beside.on_content && !beside.on_frame, "beside the picture is neither");
    assert!(stage.at(left - 1, top + 10).unwrap().on_frame);
}

#[test]
fn the_opposite_edges_stay_and_nothing_gets_too_small_to_be_held() {
    let (mut scene, window) = start();
    scene.move_window(window, (400, 200), (0, 0));
    let from = outer(&scene, window);
    scene.size_window(window, Wanted::Edges { from, edges: edges(-1, -1), by: (-50, -20) });
    let larger = outer(&scene, window);
    assert_eq!((larger.right(), larger.bottom()), (from.right(), from.bottom()));
    assert_eq!((larger.width, larger.height), (from.width + 50, from.height + 20));
    scene.size_window(window, Wanted::Edges { from, edges: edges(-1, 1), by: (5000, -5000) });
    let least = outer(&scene, window);
    assert_eq!((least.width, least.height, least.right(), least.y), (LEAST.width, LEAST.height, from.right(), from.y));
}

#[test]
fn a_part_of_the_output_is_given_and_taken_back() {
    let (mut scene, window) = start();
    scene.move_window(window, (1000 + 100, 50), (0, 0));
    let before = outer(&scene, window);
    let area = Rect { x: 1000, y: 0, width: 800, height: 500 };
    scene.size_window(window, Wanted::Region(Region::LeftHalf));
    assert_eq!(outer(&scene, window), Rect { width: 400, ..area });
    scene.size_window(window, Wanted::Region(Region::RightHalf));
    assert_eq!(outer(&scene, window), Rect { x: 1400, width: 400, ..area });
    scene.size_window(window, Wanted::Region(Region::Whole));
    assert_eq!(outer(&scene, window), area);
    scene.size_window(window, Wanted::Region(Region::Whole));
    assert_eq!(outer(&scene, window), before, "the same again gives back what it had first");
    assert_eq!(drawn(&scene, RIGHT).1, scene.placement(window).unwrap().1);
    scene.size_window(window, Wanted::Region(Region::Whole));
    scene.size_window(window, Wanted::Natural);
    assert_eq!(outer(&scene, window), before);
    // Moved by the user, it has no part any more.
    scene.size_window(window, Wanted::Region(Region::LeftHalf));
    scene.move_window(window, (1000 + 30, 40), (0, 0));
    scene.size_window(window, Wanted::Natural);
    let natural = outer_size(CONTENT);
    assert_eq!(outer(&scene, window), Rect { x: 1030, y: 40, width: natural.width, height: natural.height });
}

#[test]
fn the_size_is_the_users_whatever_the_guest_does() {
    let (mut scene, window) = start();
    let from = outer(&scene, window);
    scene.size_window(window, Wanted::Edges { from, edges: edges(1, 1), by: (300, 200) });
    let sized = outer(&scene, window);
    scene.resize_content(window, Size { width: 1024, height: 768 });
    show(&mut scene, window, Size { width: 1024, height: 768 });
    assert_eq!(outer(&scene, window), sized);
    assert_eq!(drawn(&scene, LEFT).0, Rect { x: 0, y: 0, width: 1024, height: 768 });
    scene.remove_window(window);
    let again = scene.add_window(label("web"), CONTENT);
    assert_eq!(outer(&scene, again), sized, "a guest that comes back finds its size");
    scene.size_window(again, Wanted::Natural);
    assert_eq!(outer(&scene, again).width, outer_size(CONTENT).width);
}

#[test]
fn full_screen_is_pixel_for_pixel_and_leaves_the_size_alone() {
    let (mut scene, window) = start();
    let from = outer(&scene, window);
    scene.size_window(window, Wanted::Edges { from, edges: edges(1, 1), by: (300, 100) });
    let sized = outer(&scene, window);
    scene.set_fullscreen(Some(window));
    let (source, target) = drawn(&scene, LEFT);
    assert_eq!((source.width, source.height), (target.width, target.height));
    scene.size_window(window, Wanted::Natural);
    scene.set_fullscreen(None);
    assert_eq!(outer(&scene, window), sized);
}

#[test]
fn a_client_is_asked_and_its_picture_is_not_scaled() {
    let (mut scene, _) = start();
    let picture = |width: u32, height: u32| {
        std::rc::Rc::new(grantway::scene::element::Pixmap {
            width,
            height,
            pixels: vec![255; usize::try_from(width * height * 4).unwrap()],
        })
    };
    let client = scene.add_client(ClientLabel::default(), picture(300, 200));
    let asked = scene.size_window(client, Wanted::Region(Region::LeftHalf)).unwrap();
    assert_eq!(asked, Size { width: 500 - 2 * BORDER, height: 600 - TITLE - BORDER });
    assert_eq!((outer(&scene, client).x, outer(&scene, client).width), (0, 300 + 2 * BORDER));
    scene.show_picture(client, picture(494, 572));
    assert_eq!(outer(&scene, client), Rect { x: 0, y: 0, width: 500, height: 600 });
    assert_eq!(scene.size_window(client, Wanted::Natural), None);
}

proptest! {
    #[test]
    fn moved_edges_keep_the_others(
        (x, y) in (-100..1000_i32, -100..1000_i32),
        (width, height) in (LEAST.width..2000, LEAST.height..2000),
        (across, down) in (-1..=1_i32, -1..=1_i32),
        by in (any::<i32>(), any::<i32>()),
    ) {
        let rect = Rect { x, y, width, height };
        let new = resized(rect, edges(across, down), by, LEAST);
        prop_assert!(new.width >= LEAST.width && new.height >= LEAST.height);
        if across >= 0 { prop_assert_eq!(new.x, x) }
        if across <= 0 { prop_assert_eq!(new.right(), rect.right()) }
        if down >= 0 { prop_assert_eq!(new.y, y) }
        if down <= 0 { prop_assert_eq!(new.bottom(), rect.bottom()) }
    }
}

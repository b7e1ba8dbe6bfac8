// SPDX-License-Identifier: GPL-3.0-or-later
//! Windows that share their output by tiles, and get back what they had when they do so no longer.

use grantway::scene::decoration::{RING, inner_size};
use grantway::scene::element::{BufferId, Color, Content, OutputId, Pixmap, Rect, Size};
use grantway::scene::layout::{Edges, Region, Workspace};
use grantway::scene::{ClientLabel, Scene, SceneOutput, Shown, Wanted, WindowId, WindowLabel};
use proptest::prelude::*;

const LEFT: OutputId = OutputId(1);
const RIGHT: OutputId = OutputId(2);
const CONTENT: Size = Size { width: 300, height: 200 };

fn outputs(scene: &mut Scene, left: (i32, i32)) {
    let output = |id, (width, height)| SceneOutput { id, size: Size { width, height } };
    scene.set_outputs(&[output(LEFT, left), output(RIGHT, (800, 500))]);
}

fn start() -> Scene {
    let mut scene = Scene::new();
    outputs(&mut scene, (1000, 600));
    scene
}

fn guest(scene: &mut Scene, name: &str) -> WindowId {
    let color = Color { red: 66, green: 133, blue: 214 };
    let window = scene.add_window(WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color }, CONTENT);
    let source = Rect { x: 0, y: 0, width: 300, height: 200 };
    scene.show(window, Some(Shown { buffer: BufferId(1), source, version: 1 }));
    window
}

/// Does what tiles ask for, and returns what clients are asked to draw.
fn tile(scene: &mut Scene) -> Vec<(WindowId, Option<Size>)> {
    let wanted = scene.tiles();
    let asked = wanted.into_iter().map(|(window, wanted)| (window, scene.size_window(window, wanted))).collect();
    assert!(scene.tiles().is_empty(), "it is not done");
    asked
}

fn outer(scene: &Scene, window: WindowId) -> (i32, i32, i32, i32) {
    let Rect { x, y, width, height } = scene.stage().spot(window).unwrap().outer;
    (x, y, width, height)
}

/// The tile of that rectangle.
fn within((x, y, width, height): (i32, i32, i32, i32)) -> (i32, i32, i32, i32) {
    (x + RING, y + RING, width - 2 * RING, height - 2 * RING)
}

fn workspace(number: u8) -> Workspace {
    Workspace::new(number).unwrap()
}

#[test]
fn the_first_has_the_left_half_and_the_others_share_the_right_one() {
    let mut scene = start();
    let [first, second] = ["first", "second"].map(|name| guest(&mut scene, name));
    let before = [first, second].map(|window| outer(&scene, window));
    assert!(tile(&mut scene).is_empty(), "nobody has asked for it");
    scene.toggle_tiling();
    assert!(scene.is_tiled());
    tile(&mut scene);
    assert_eq!(outer(&scene, first), within((0, 0, 500, 600)));
    assert_eq!(outer(&scene, second), within((500, 0, 500, 600)));

    // One that comes, and one that goes.
    let third = guest(&mut scene, "third");
    tile(&mut scene);
    assert_eq!(outer(&scene, second), within((500, 0, 500, 300)));
    assert_eq!(outer(&scene, third), within((500, 300, 500, 300)));
    scene.remove_window(third);
    // Where the user is, one comes there.
    scene.move_to_output(second, RIGHT);
    scene.set_focus(Some(second));
    let third = guest(&mut scene, "third");
    tile(&mut scene);
    assert_eq!(outer(&scene, third), within((1400, 0, 400, 500)));
    scene.remove_window(third);
    scene.move_to_output(second, LEFT);
    scene.set_minimised(first, true);
    tile(&mut scene);
    assert_eq!(outer(&scene, second), within((0, 0, 1000, 600)));
    scene.set_minimised(first, false);
    tile(&mut scene);
    assert_eq!(outer(&scene, first), within((0, 0, 500, 600)));

    scene.tile_first(second);
    tile(&mut scene);
    assert_eq!(outer(&scene, second), within((0, 0, 500, 600)));

    scene.toggle_tiling();
    tile(&mut scene);
    assert_eq!([first, second].map(|window| outer(&scene, window)), before);
}

#[test]
fn what_the_user_takes_hold_of_leaves_the_tiles_until_it_is_wanted_there() {
    let mut scene = start();
    let [first, second] = ["first", "second"].map(|name| guest(&mut scene, name));
    scene.toggle_tiling();
    tile(&mut scene);
    scene.move_window(first, (100, 50), (0, 0));
    tile(&mut scene);
    assert_eq!(outer(&scene, first), (100, 50, 500 - 2 * RING, 600 - 2 * RING));
    assert_eq!(outer(&scene, second), within((0, 0, 1000, 600)));
    scene.tile_first(first);
    tile(&mut scene);
    assert_eq!(outer(&scene, first), within((0, 0, 500, 600)));

    let (x, y, width, height) = outer(&scene, second);
    let from = Rect { x, y, width, height };
    scene.size_window(second, Wanted::Edges { from, edges: Edges { across: 1, down: 0 }, by: (-100, 0) });
    tile(&mut scene);
    assert_eq!(outer(&scene, second), (x, y, width - 100, height));
    assert_eq!(outer(&scene, first), within((0, 0, 1000, 600)));

    // All of the output is taken and given back as without tiles.
    scene.size_window(first, Wanted::Region(Region::Whole));
    tile(&mut scene);
    assert_eq!(outer(&scene, first), (0, 0, 1000, 600));
    scene.size_window(first, Wanted::Region(Region::Whole));
    tile(&mut scene);
    assert_eq!(outer(&scene, first), within((0, 0, 1000, 600)));
}

#[test]
fn workspaces_and_outputs_are_tiled_each_by_itself() {
    let mut scene = start();
    let [first, second, other] = ["first", "second", "other"].map(|name| guest(&mut scene, name));
    scene.move_to_output(other, RIGHT);
    scene.send_window(second, workspace(2));
    scene.toggle_tiling();
    tile(&mut scene);
    assert_eq!(outer(&scene, first), within((0, 0, 1000, 600)));
    assert_eq!(outer(&scene, other), within((1000, 0, 800, 500)));

    scene.set_workspace(workspace(2));
    assert!(!scene.is_tiled());
    let there = outer(&scene, second);
    tile(&mut scene);
    assert_eq!(outer(&scene, second), there);
    // One that comes from there has a tile no longer, and what it had before.
    scene.send_window(first, workspace(2));
    tile(&mut scene);
    assert_eq!((outer(&scene, first).2, scene.region(first)), (300 + 6, None));
}

#[test]
fn tiles_follow_their_output_and_a_guests_picture_is_scaled_into_them() {
    let mut scene = start();
    let window = guest(&mut scene, "web");
    scene.toggle_tiling();
    tile(&mut scene);
    outputs(&mut scene, (640, 480));
    tile(&mut scene);
    assert_eq!(outer(&scene, window), within((0, 0, 640, 480)));
    // The guest takes another size: the tile stays.
    scene.resize_content(window, Size { width: 200, height: 200 });
    let source = Rect { x: 0, y: 0, width: 200, height: 200 };
    scene.show(window, Some(Shown { buffer: BufferId(2), source, version: 1 }));
    tile(&mut scene);
    assert_eq!(outer(&scene, window), within((0, 0, 640, 480)));
    let inside = inner_size(Size { width: 640 - 2 * RING, height: 480 - 2 * RING });
    let frame = scene.frame(LEFT);
    let drawn = frame.elements.iter().find(|element| matches!(element.content, Content::Buffer { .. })).unwrap();
    assert_eq!((drawn.target.width, drawn.target.height), (inside.height, inside.height));
}

#[test]
fn clients_are_asked_to_draw_their_tiles_and_dialogs_float() {
    let mut scene = start();
    let picture = |width: u32, height: u32| {
        let pixels = vec![0; usize::try_from(width * height * 4).unwrap()];
        std::rc::Rc::new(Pixmap { width, height, pixels })
    };
    let client = scene.add_client(ClientLabel::default(), picture(100, 80));
    let dialog = scene.add_client(ClientLabel::default(), picture(60, 40));
    scene.toggle_tiling();
    scene.float(dialog);
    let there = outer(&scene, dialog);
    let wanted = inner_size(Size { width: 1000 - 2 * RING, height: 600 - 2 * RING });
    assert_eq!(tile(&mut scene), [(client, Some(wanted))]);
    scene.show_picture(client, picture(wanted.width.unsigned_abs(), wanted.height.unsigned_abs()));
    assert!(tile(&mut scene).is_empty());
    assert_eq!((outer(&scene, client), outer(&scene, dialog)), (within((0, 0, 1000, 600)), there));
    scene.toggle_tiling();
    assert_eq!(tile(&mut scene), [(client, None)], "its own size again");
}

#[test]
fn one_that_is_full_screen_gets_its_tile_afterwards() {
    let mut scene = start();
    let [first, second] = ["first", "second"].map(|name| guest(&mut scene, name));
    scene.set_fullscreen(Some(first));
    scene.toggle_tiling();
    tile(&mut scene);
    assert_eq!(scene.fullscreen(), Some(first));
    scene.set_fullscreen(None);
    tile(&mut scene);
    assert_eq!(outer(&scene, first), within((0, 0, 500, 600)));
    assert_eq!(outer(&scene, second), within((500, 0, 500, 600)));
}

proptest! {
    #[test]
    fn tiles_never_overlap_and_stay_within_their_output(count in 1..40_usize, width in 300..4000_i32, height in 200..3000_i32) {
        let mut scene = Scene::new();
        outputs(&mut scene, (width, height));
        let windows: Vec<_> = (0..count).map(|number| guest(&mut scene, &format!("guest {number}"))).collect();
        for window in &windows {
            scene.move_to_output(*window, LEFT);
        }
        scene.toggle_tiling();
        tile(&mut scene);
        let tiles: Vec<Rect> = windows.iter().map(|window| scene.stage().spot(*window).unwrap().outer).collect();
        let all = Rect { x: 0, y: 0, width, height };
        // Where there is no room for a label any more, frames are larger than tiles.
        prop_assume!(width / 2 - 2 * RING >= 166 && height / 40 >= 2 * RING + 29);
        for (index, tile) in tiles.iter().enumerate() {
            prop_assert!(all.contains(tile), "{tile:?}");
            prop_assert!(tiles[..index].iter().all(|other| !other.overlaps(tile)));
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Workspaces: what is on another one is neither seen nor in the way, and all is there again when that is shown.

use grantway::scene::element::{BufferId, Color, OutputId, Rect, Size};
use grantway::scene::layout::Workspace;
use grantway::scene::{Scene, SceneOutput, Shown, WindowId, WindowLabel, kiosk};

const LEFT: OutputId = OutputId(1);
const RIGHT: OutputId = OutputId(2);
const CONTENT: Size = Size { width: 300, height: 200 };

fn label(name: &str) -> WindowLabel {
    WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color: Color { red: 66, green: 133, blue: 214 } }
}

fn workspace(number: u8) -> Workspace {
    Workspace::new(number).unwrap()
}

/// Two outputs.
fn start() -> Scene {
    let mut scene = Scene::new();
    let output = |id, width, height| SceneOutput { id, size: Size { width, height } };
    scene.set_outputs(&[output(LEFT, 1000, 600), output(RIGHT, 800, 500)]);
    scene
}

fn guest(scene: &mut Scene, name: &str) -> WindowId {
    let window = scene.add_window(label(name), CONTENT);
    let source = Rect { x: 0, y: 0, width: 300, height: 200 };
    scene.show(window, Some(Shown { buffer: BufferId(1), source, version: 1 }));
    window
}

fn seen(scene: &Scene) -> Vec<WindowId> {
    let mut seen: Vec<_> = scene.stage().spots.iter().map(|spot| spot.window).collect();
    seen.sort_unstable();
    seen
}

#[test]
fn there_are_nine() {
    let numbers: Vec<_> = (0..=255).filter_map(Workspace::new).map(Workspace::number).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert_eq!(Scene::new().workspace(), workspace(1));
}

#[test]
fn windows_are_seen_on_their_own_alone_and_stay_where_they_are() {
    let mut scene = start();
    let first = guest(&mut scene, "first");
    let there = scene.placement(first);
    scene.take_damaged();
    scene.set_workspace(workspace(2));
    assert_eq!(scene.take_damaged(), [LEFT, RIGHT]);
    assert_eq!((scene.placement(first), scene.sight(first), seen(&scene)), (None, None, vec![]));
    let second = guest(&mut scene, "second");
    assert_eq!(scene.workspace_of(second), Some(workspace(2)));
    assert_eq!(scene.placement(second), there, "the other one is not in its way");
    assert_eq!(seen(&scene), [second]);
    scene.take_damaged();
    scene.set_workspace(workspace(2));
    assert_eq!(scene.take_damaged(), [], "it is shown already");
    scene.set_workspace(workspace(1));
    assert_eq!((scene.placement(first), seen(&scene)), (there, vec![first]));
    assert_eq!(scene.sight(first), Some(LEFT), "the one elsewhere does not cover it");
}

#[test]
fn a_window_is_sent_to_another_one() {
    let mut scene = start();
    let (first, second) = (guest(&mut scene, "first"), guest(&mut scene, "second"));
    scene.take_damaged();
    scene.send_window(first, workspace(9));
    assert_eq!(scene.take_damaged(), [LEFT]);
    assert_eq!((seen(&scene), scene.workspace()), (vec![second], workspace(1)));
    scene.set_workspace(workspace(9));
    assert_eq!(seen(&scene), [first]);
    scene.take_damaged();
    scene.send_window(second, workspace(9));
    assert_eq!((seen(&scene), scene.take_damaged()), (vec![first, second], vec![LEFT]));
}

#[test]
fn full_screen_belongs_to_its_workspace() {
    let mut scene = start();
    let (first, second) = (guest(&mut scene, "first"), guest(&mut scene, "second"));
    scene.set_fullscreen(Some(first));
    scene.set_workspace(workspace(2));
    assert_eq!(scene.fullscreen(), None);
    scene.set_workspace(workspace(1));
    assert_eq!(scene.fullscreen(), Some(first));
    // Asked for from elsewhere, its workspace is shown.
    scene.set_workspace(workspace(3));
    scene.set_fullscreen(Some(second));
    assert_eq!((scene.workspace(), scene.fullscreen()), (workspace(1), Some(second)));
    // Sent away it is an ordinary window.
    scene.send_window(second, workspace(3));
    assert_eq!((scene.fullscreen(), seen(&scene)), (None, vec![first]));
    scene.set_workspace(workspace(3));
    assert_eq!(scene.fullscreen(), None);
    // Gone meanwhile.
    scene.set_fullscreen(Some(second));
    scene.set_workspace(workspace(1));
    scene.remove_window(second);
    scene.set_workspace(workspace(3));
    assert_eq!(scene.fullscreen(), None);
    assert_eq!(scene.frame(LEFT).background, grantway::scene::BACKGROUND);
}

#[test]
fn the_screen_says_which_one_it_is_until_that_is_over_and_never_over_secure_attention() {
    let mut scene = start();
    let plain = scene.frame(LEFT).elements.len();
    scene.set_workspace(workspace(5));
    assert_eq!(scene.frame(LEFT).elements.len(), plain + 1);
    assert_eq!(scene.frame(RIGHT).elements.len(), 1, "on each output");
    scene.set_attention(true);
    assert!(scene.frame(RIGHT).elements.iter().all(|element| element.id.0 != 4));
    scene.set_attention(false);
    scene.take_damaged();
    scene.end_note();
    assert_eq!((scene.frame(LEFT).elements.len(), scene.take_damaged()), (plain, vec![LEFT, RIGHT]));
    scene.end_note();
    assert_eq!(scene.take_damaged(), []);
}

#[test]
fn a_kiosk_has_none() {
    let mut scene = start();
    scene.set_kiosk(Vec::<kiosk::Mapping>::new());
    scene.take_damaged();
    scene.set_workspace(workspace(2));
    assert_eq!((scene.workspace(), scene.take_damaged()), (workspace(1), vec![]));
}

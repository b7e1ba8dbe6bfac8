// SPDX-License-Identifier: GPL-3.0-or-later
//! What stays on a desktop of a guest that is gone: its last picture, dimmed and labelled, until it is back or that is
//! closed.

use std::time::Duration;

use grantway::backend::headless::{Headless, RendererKind};
use grantway::backend::{Pointer, Presentation};
use grantway::scene::element::{Color, Content, OutputId, Pixmap, Rect, Size};
use grantway::scene::{Scene, SceneOutput, Shown, WindowId, WindowLabel};

use crate::support::{GuestMemory, code, headless, pixel, settle};

const GREY: u8 = 200;
const SIZE: Size = Size { width: 400, height: 300 };

struct Desk {
    backend: Headless,
    scene: Scene,
    output: OutputId,
    shown: Shown,
    _memory: GuestMemory,
}

fn label(name: &str) -> WindowLabel {
    WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color: Color { red: 66, green: 133, blue: 214 } }
}

impl Desk {
    fn new() -> Self {
        let mut backend = headless(RendererKind::Pixman, &[(1000, 700)]);
        let output = backend.outputs()[0].id;
        let mut scene = Scene::new();
        scene.set_outputs(&[SceneOutput { id: output, size: Size { width: 1000, height: 700 } }]);
        let (width, height) = (SIZE.width.cast_unsigned(), SIZE.height.cast_unsigned());
        let memory = GuestMemory::mapped(usize::try_from(width * height * 4).unwrap());
        memory.write(&vec![GREY; usize::try_from(width * height * 4).unwrap()]);
        let layout =
            grantway::backend::PixelLayout { width, height, fourcc: code("XR24"), pitch: width * 4, offset: 0 };
        let buffer = backend.import(memory.memory.clone(), layout).unwrap().id;
        let shown = Shown { buffer, source: Rect { x: 0, y: 0, ..area() }, version: 1 };
        Self { backend, scene, output, shown, _memory: memory }
    }

    fn guest(&mut self, name: &str) -> WindowId {
        let window = self.scene.add_window(label(name), SIZE);
        self.scene.show(window, Some(self.shown));
        window
    }

    /// Lets the guest go, as its link does it.
    fn end(&mut self, window: WindowId, seconds: u64) {
        if let Some(shown) = self.scene.wants_still(window, Duration::from_secs(seconds)) {
            let still = self.backend.still(shown.buffer, shown.source).unwrap();
            self.scene.keep_still(window, still);
        }
        self.scene.show(window, None);
        self.scene.remove_window(window);
    }

    fn picture(&mut self) -> Pixmap {
        self.backend.commit(self.output, self.scene.frame(self.output));
        settle(&mut self.backend);
        self.backend.screenshot(self.output, Pointer::With).unwrap()
    }

    fn names_guest_memory(&self) -> bool {
        let buffer = |content: &Content| matches!(content, Content::Buffer { .. });
        self.scene.frame(self.output).elements.iter().any(|element| buffer(&element.content))
    }
}

fn area() -> Rect {
    Rect { width: SIZE.width, height: SIZE.height, ..Rect::default() }
}

fn inner(scene: &Scene, window: WindowId) -> Rect {
    scene.stage().spot(window).unwrap().content
}

#[test]
fn the_last_picture_stays_dimmed_in_its_frame() {
    let mut desk = Desk::new();
    let window = desk.guest("web");
    let before = desk.picture();
    let rect = inner(&desk.scene, window);
    let at =
        |picture: &Pixmap, x: i32, y: i32| pixel(picture, (rect.x + x).cast_unsigned(), (rect.y + y).cast_unsigned());
    assert_eq!(at(&before, 3, 3), [GREY; 3]);
    desk.end(window, 5);
    assert!(!desk.names_guest_memory(), "the guest's pages can be given back");
    let after = desk.picture();
    let dimmed = at(&after, 3, 3);
    assert!((50..100).contains(&dimmed[0]), "{dimmed:?}");
    assert_eq!(at(&after, 3, -10), at(&before, 3, -10), "the label is as it was");
    let middle = (-60..60).flat_map(|x| (-8..8).map(move |y| (x, y)));
    let text = middle.filter(|(x, y)| at(&after, SIZE.width / 2 + x, SIZE.height / 2 + y)[0] > 200).count();
    assert!(text > 30, "it says so: {text} bright pixels");
    desk.scene.dismiss(window);
    assert!(desk.scene.stage().spot(window).is_none());
    assert_ne!(at(&desk.picture(), 3, 3), dimmed);
}

#[test]
fn it_gives_way_to_the_guest_that_is_back_in_the_same_place() {
    let mut desk = Desk::new();
    let (web, map) = (desk.guest("web"), desk.guest("map"));
    desk.scene.move_window(web, (500, 330), (0, 0));
    let (place, other) = (desk.scene.stage().spot(web).unwrap().outer, desk.scene.stage().spot(map).unwrap().outer);
    desk.end(web, 5);
    assert_eq!(desk.scene.stage().spot(web).unwrap().outer, place);
    let again = desk.guest("web");
    assert!(desk.scene.stage().spot(web).is_none(), "there is one window of it");
    assert_eq!(desk.scene.stage().spot(again).unwrap().outer, place);
    assert_eq!(desk.scene.stage().spot(map).unwrap().outer, other);
    // Nothing dismisses a guest that is there.
    desk.scene.dismiss(again);
    assert!(desk.scene.stage().spot(again).is_some());
}

#[test]
fn nothing_stays_of_a_guest_that_showed_nothing_or_was_off_the_screen() {
    let mut desk = Desk::new();
    let blank = desk.scene.add_window(label("blank"), SIZE);
    desk.scene.remove_window(blank);
    assert!(desk.scene.stage().spot(blank).is_none());
    let minimised = desk.guest("minimised");
    desk.scene.set_minimised(minimised, true);
    desk.end(minimised, 5);
    desk.scene.set_minimised(minimised, false);
    assert!(desk.scene.stage().spot(minimised).is_none());
}

#[test]
fn a_guest_that_went_dark_long_ago_has_its_last_picture_too() {
    let mut desk = Desk::new();
    let window = desk.guest("web");
    let still = desk.scene.wants_still(window, Duration::from_secs(5)).unwrap();
    let still = desk.backend.still(still.buffer, still.source).unwrap();
    desk.scene.keep_still(window, still);
    desk.scene.show(window, None);
    assert!(desk.scene.wants_still(window, Duration::from_secs(50)).is_none(), "there is nothing to be copied");
    desk.scene.remove_window(window);
    assert!(desk.scene.stage().spot(window).is_some());
}

#[test]
fn many_guests_that_are_gone_leave_a_few_pictures() {
    let mut desk = Desk::new();
    let windows: Vec<_> = (0..40).map(|number| desk.guest(&format!("guest-{number}"))).collect();
    for window in &windows {
        desk.end(*window, 5);
    }
    let left = windows.iter().filter(|window| desk.scene.stage().spot(**window).is_some()).count();
    assert!(left <= 16, "{left}");
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The scene as it is drawn: content at 1:1, labels and borders outside it, full screen, damage.

use std::path::Path;

use grantway::backend::headless::{Headless, RendererKind};
use grantway::backend::{Commit, OutputInfo, PixelLayout, Pointer, Presentation};
use grantway::control::Picture;
use grantway::scene::decoration::{BORDER, TITLE, readable_on};
use grantway::scene::element::{Color, OutputId, Pixmap, Rect, Size};
use grantway::scene::{AROUND_FULL_SCREEN, BACKGROUND, HelpLine, Scene, SceneOutput, Shown, WindowId, WindowLabel};

use crate::support::{GuestMemory, code, headless, noise, pixel, settle};

const BLUE: Color = Color { red: 66, green: 133, blue: 214 };
const YELLOW: Color = Color { red: 240, green: 196, blue: 60 };
const RED: Color = Color { red: 196, green: 58, blue: 52 };
const GREEN: Color = Color { red: 88, green: 168, blue: 92 };

fn label(name: &str, domid: u16, connector: u32, color: Color) -> WindowLabel {
    WindowLabel { name: name.to_owned(), domid, connector, color }
}

fn size(width: i32, height: i32) -> Size {
    Size { width, height }
}

fn scene_output(info: &OutputInfo) -> SceneOutput {
    SceneOutput { id: info.id, size: size(info.width.cast_signed(), info.height.cast_signed()) }
}

fn rgb(color: Color) -> [u8; 3] {
    [color.red, color.green, color.blue]
}

/// A guest with a picture in its buffer.
struct Guest {
    bytes: Vec<u8>,
    layout: PixelLayout,
    shown: Shown,
    _memory: GuestMemory,
}

impl Guest {
    fn new(backend: &mut Headless, width: u32, height: u32, bytes: Vec<u8>) -> Self {
        let layout = PixelLayout { width, height, fourcc: code("XR24"), pitch: width * 4, offset: 0 };
        let memory = GuestMemory::mapped(bytes.len());
        memory.write(&bytes);
        let buffer = backend.import(memory.memory.clone(), layout).unwrap().id;
        let source = Rect { x: 0, y: 0, width: width.cast_signed(), height: height.cast_signed() };
        Self { bytes, layout, shown: Shown { buffer, source, version: 1 }, _memory: memory }
    }

    fn noisy(backend: &mut Headless, width: u32, height: u32) -> Self {
        let bytes = noise(width, usize::try_from(width * height * 4).unwrap());
        Self::new(backend, width, height, bytes)
    }

    fn pixel(&self, x: i32, y: i32) -> [u8; 3] {
        let at = usize::try_from(y.cast_unsigned() * self.layout.pitch + x.cast_unsigned() * 4).unwrap();
        [self.bytes[at + 2], self.bytes[at + 1], self.bytes[at]]
    }

    /// The picture shows this content, pixel by pixel, in `rect`, from `source` on.
    fn compare(&self, shot: &Pixmap, rect: Rect, what: &str) {
        for y in 0..rect.height {
            for x in 0..rect.width {
                let is = pixel(shot, (rect.x + x).cast_unsigned(), (rect.y + y).cast_unsigned());
                assert_eq!(is, self.pixel(x, y), "{what} at {x},{y}");
            }
        }
    }
}

fn show(backend: &mut Headless, scene: &Scene, output: OutputId) -> Pixmap {
    assert_eq!(backend.commit(output, scene.frame(output)), Commit::Submitted);
    settle(backend);
    backend.screenshot(output, Pointer::With).unwrap()
}

fn start(outputs: &[(u32, u32)]) -> (Headless, Scene, Vec<OutputId>) {
    let backend = headless(RendererKind::Pixman, outputs);
    let infos = backend.outputs();
    let mut scene = Scene::new();
    scene.set_outputs(&infos.iter().map(scene_output).collect::<Vec<_>>());
    (backend, scene, infos.iter().map(|info| info.id).collect())
}

fn save(name: &str, shot: &Pixmap) {
    let Pixmap { width, height, pixels } = shot.clone();
    Picture { width, height, pixels }.write_png(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)).unwrap();
}

#[test]
fn content_is_exact_and_everything_of_ours_is_outside_it() {
    let (mut backend, mut scene, outputs) = start(&[(900, 400)]);
    let guests = [(320, 200, BLUE), (40, 30, YELLOW), (123, 45, RED)].map(|(width, height, color)| {
        let guest = Guest::noisy(&mut backend, width, height);
        let label = label("web", 3, 0, color);
        let window = scene.add_window(label, size(guest.shown.source.width, guest.shown.source.height));
        scene.show(window, Some(guest.shown));
        (guest, window, color)
    });
    let shot = show(&mut backend, &scene, outputs[0]);
    save("scene-content.png", &shot);
    for (guest, window, color) in guests {
        let (_, rect) = scene.placement(window).unwrap();
        guest.compare(&shot, rect, "content");
        let left = (rect.x - 1).cast_unsigned();
        for y in rect.y..rect.y + rect.height + BORDER {
            assert_eq!(pixel(&shot, left, y.cast_unsigned()), rgb(color), "left of the content, line {y}");
        }
        for y in rect.y..rect.y + rect.height + BORDER {
            let right = (rect.x + rect.width).cast_unsigned();
            assert_eq!(pixel(&shot, right, y.cast_unsigned()), rgb(color), "right of the content, line {y}");
        }
        for x in rect.x..rect.x + rect.width {
            let below = (rect.y + rect.height).cast_unsigned();
            assert_eq!(pixel(&shot, x.cast_unsigned(), below), rgb(color), "below the content, column {x}");
        }
        let bar = (rect.x..rect.x + 140).flat_map(|x| (rect.y - TITLE..rect.y).map(move |y| (x, y)));
        let ink = readable_on(color);
        let far = |one: [u8; 3], other: [u8; 3]| -> u32 {
            one.into_iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other))).sum()
        };
        let text = bar.map(|(x, y)| pixel(&shot, x.cast_unsigned(), y.cast_unsigned()));
        let inked = text.filter(|is| far(*is, rgb(ink)) < far(*is, rgb(color))).count();
        assert!(inked > 60, "there is text in the title bar: {inked} pixels");
        let outside = pixel(&shot, (rect.x - BORDER - 1).cast_unsigned(), rect.y.cast_unsigned());
        assert_eq!(outside, rgb(BACKGROUND));
    }
}

#[test]
fn full_screen_is_centred_or_cropped_and_alone() {
    let (mut backend, mut scene, outputs) = start(&[(300, 200)]);
    let small = Guest::noisy(&mut backend, 100, 50);
    let large = Guest::noisy(&mut backend, 400, 250);
    let one = scene.add_window(label("small", 1, 0, BLUE), size(100, 50));
    let two = scene.add_window(label("large", 2, 0, RED), size(400, 250));
    scene.show(one, Some(small.shown));
    scene.show(two, Some(large.shown));

    scene.set_fullscreen(Some(one));
    let rect = Rect { x: 100, y: 75, width: 100, height: 50 };
    assert_eq!(scene.placement(one), Some((outputs[0], rect)));
    assert_eq!(scene.placement(two), None, "hidden");
    let shot = show(&mut backend, &scene, outputs[0]);
    small.compare(&shot, rect, "small");
    assert_eq!(pixel(&shot, 99, 100), rgb(AROUND_FULL_SCREEN));

    scene.set_fullscreen(Some(two));
    let whole = Rect { x: 0, y: 0, width: 300, height: 200 };
    assert_eq!(scene.placement(two), Some((outputs[0], whole)));
    let shot = show(&mut backend, &scene, outputs[0]);
    large.compare(&shot, whole, "large");

    scene.remove_window(two);
    assert_eq!(scene.fullscreen(), None);
    assert!(scene.placement(one).is_some_and(|(_, rect)| rect.y >= TITLE), "decorated again");
}

#[test]
fn only_outputs_whose_picture_changed_are_damaged() {
    let (mut backend, mut scene, outputs) = start(&[(400, 300), (400, 300)]);
    assert_eq!(scene.take_damaged(), outputs);
    let first = scene.add_window(label("a", 1, 0, BLUE), size(300, 200));
    assert_eq!(scene.take_damaged(), outputs, "the first window ends the waiting");
    let second = scene.add_window(label("b", 2, 0, RED), size(300, 200));
    assert_eq!(scene.placement(second).unwrap().0, outputs[1], "the first output is full");
    assert_eq!(scene.take_damaged(), [outputs[1]]);
    let guest = Guest::noisy(&mut backend, 300, 200);
    scene.show(second, Some(guest.shown));
    assert_eq!(scene.take_damaged(), [outputs[1]]);
    scene.show(second, Some(guest.shown));
    assert_eq!(scene.take_damaged(), [], "the same again");
    scene.show(first, Some(Shown { version: 2, ..guest.shown }));
    assert_eq!(scene.take_damaged(), [outputs[0]]);
    scene.remove_window(second);
    assert_eq!(scene.take_damaged(), [outputs[1]]);
    scene.remove_window(second);
    scene.show(second, None);
    scene.resize_content(second, size(1, 1));
    assert_eq!(scene.take_damaged(), [], "a window that is not there");
}

#[test]
fn windows_stay_when_others_go_and_move_when_their_output_goes() {
    let (_, mut scene, outputs) = start(&[(800, 300), (800, 300)]);
    let windows: Vec<WindowId> =
        (0..4).map(|number| scene.add_window(label("w", number, 0, BLUE), size(350, 200))).collect();
    let before: Vec<_> = windows.iter().map(|id| scene.placement(*id).unwrap()).collect();
    assert_eq!(
        before.iter().map(|(output, _)| *output).collect::<Vec<_>>(),
        [outputs[0], outputs[0], outputs[1], outputs[1]]
    );
    scene.remove_window(windows[0]);
    assert_eq!(scene.placement(windows[3]).unwrap(), before[3]);
    let again = scene.add_window(label("w", 9, 0, BLUE), size(350, 200));
    assert_eq!(scene.placement(again).unwrap(), before[0], "the old place is free again");

    let second = SceneOutput { id: outputs[1], size: size(800, 300) };
    scene.set_outputs(&[second]);
    assert_eq!(scene.placement(windows[3]).unwrap(), before[3], "its output is still there");
    assert_eq!(scene.placement(windows[1]).unwrap().0, outputs[1]);
    scene.set_outputs(&[]);
    assert_eq!(scene.placement(windows[1]), None);
    scene.set_outputs(&[second]);
    assert!(windows[1..].iter().all(|id| scene.placement(*id).is_some()));
}

#[test]
fn sizes_out_of_all_bounds_do_no_harm() {
    let (mut backend, mut scene, outputs) = start(&[(300, 200)]);
    let window = scene.add_window(label("x", 0, 0, BLUE), size(i32::MAX, i32::MIN));
    let guest = Guest::noisy(&mut backend, 10, 10);
    let beyond = Rect { x: i32::MAX - 1, y: 5, width: i32::MAX, height: i32::MAX };
    scene.show(window, Some(Shown { source: beyond, ..guest.shown }));
    show(&mut backend, &scene, outputs[0]);
    scene.resize_content(window, size(0, 0));
    scene.set_fullscreen(Some(window));
    show(&mut backend, &scene, outputs[0]);
    assert_eq!(scene.frame(OutputId(77)).elements.len(), 0);
}

/// A source that reaches beyond its buffer covers less; it is not drawn larger.
#[test]
fn content_is_never_scaled() {
    let (mut backend, mut scene, outputs) = start(&[(300, 200)]);
    let guest = Guest::noisy(&mut backend, 60, 50);
    let window = scene.add_window(label("x", 0, 0, BLUE), size(100, 80));
    let source = Rect { x: 0, y: 0, width: 100, height: 80 };
    scene.show(window, Some(Shown { source, ..guest.shown }));
    let shot = show(&mut backend, &scene, outputs[0]);
    let (_, rect) = scene.placement(window).unwrap();
    guest.compare(&shot, Rect { width: 60, height: 50, ..rect }, "content");
    assert_eq!(pixel(&shot, (rect.x + 60).cast_unsigned(), rect.y.cast_unsigned()), [0, 0, 0], "black beside it");
}

/// For the eye: the pictures lie in the target's temporary directory.
#[test]
fn a_desktop_is_drawn() {
    let (mut backend, mut scene, outputs) = start(&[(1280, 800)]);
    save("scene-waiting.png", &show(&mut backend, &scene, outputs[0]));
    let names = [
        ("web", 3, 0, BLUE, 640, 360),
        ("banking", 5, 0, GREEN, 400, 300),
        ("untrusted-with-a-very-long-name-indeed", 12, 1, RED, 320, 240),
        ("vault", 7, 0, YELLOW, 320, 200),
        ("tiny", 8, 0, Color { red: 150, green: 90, blue: 190 }, 64, 48),
    ];
    for (index, (name, domid, connector, color, width, height)) in names.into_iter().enumerate() {
        let picture = gradient(width, height);
        let guest = Guest::new(&mut backend, width, height, picture);
        let window =
            scene.add_window(label(name, domid, connector, color), size(width.cast_signed(), height.cast_signed()));
        if index != 3 {
            scene.show(window, Some(guest.shown));
        }
    }
    let shot = show(&mut backend, &scene, outputs[0]);
    save("scene-desktop.png", &shot);
    let colors: std::collections::BTreeSet<_> = shot.pixels.as_chunks::<4>().0.iter().collect();
    assert!(colors.len() > 1000, "gradients, labels and borders");
}

fn gradient(width: u32, height: u32) -> Vec<u8> {
    let part = |value: u32, of: u32| u8::try_from(value * 255 / of).unwrap();
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| [part(x, width), part(y, height), 128, 0])
        .collect()
}

/// For the eye, too.
#[test]
fn the_reserved_keys_are_shown_over_everything_but_secure_attention() {
    let (mut backend, mut scene, outputs) = start(&[(1280, 800)]);
    let line = |key: &str, does: &'static str| HelpLine { key: key.to_owned(), does: does.into() };
    scene.set_help("right-ctrl", &[line("esc", "who owns what"), line("left button", "move a window")], Some("slash"));
    save("scene-hint.png", &show(&mut backend, &scene, outputs[0]));
    let window = scene.add_window(label("web", 3, 0, BLUE), size(640, 360));
    scene.set_fullscreen(Some(window));
    let without = show(&mut backend, &scene, outputs[0]);
    scene.toggle_help();
    let with = show(&mut backend, &scene, outputs[0]);
    save("scene-help.png", &with);
    assert_ne!(pixel(&with, 640, 400), pixel(&without, 640, 400));
    scene.set_attention(true);
    let attention = scene.frame(outputs[0]).elements.len();
    scene.toggle_help();
    assert_eq!(scene.frame(outputs[0]).elements.len(), attention);
    show(&mut backend, &scene, outputs[0]);
    scene.set_attention(false);
    assert_eq!(show(&mut backend, &scene, outputs[0]).pixels, without.pixels);
}

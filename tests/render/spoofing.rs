// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures that lie: a guest that draws another one's window, a client that draws a guest's frame, a whole desktop in a
//! full-screen guest. In each the truth stands in the picture where nobody but us draws.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use grantway::backend::headless::{Headless, RendererKind};
use grantway::backend::{PixelLayout, Pointer, Presentation};
use grantway::control::Picture;
use grantway::scene::decoration::{BORDER, ClientLabel, TITLE};
use grantway::scene::element::{Color, OutputId, Pixmap, Rect, Size};
use grantway::scene::{Scene, SceneOutput, Shown, WindowId, WindowLabel};

use crate::support::{GuestMemory, code, headless, pixel, settle};

const BANK: Color = Color { red: 40, green: 160, blue: 60 };
const GAMES: Color = Color { red: 190, green: 50, blue: 40 };
const OUTPUT: Size = Size { width: 1000, height: 700 };

type Rgb = [u8; 3];

const fn rgb(color: Color) -> Rgb {
    [color.red, color.green, color.blue]
}

struct Desk {
    backend: Headless,
    scene: Scene,
    output: OutputId,
    memory: Vec<GuestMemory>,
}

impl Desk {
    fn new() -> Self {
        let backend = headless(RendererKind::Pixman, &[(1000, 700)]);
        let output = backend.outputs()[0].id;
        let mut scene = Scene::new();
        scene.set_outputs(&[SceneOutput { id: output, size: OUTPUT }]);
        Self { backend, scene, output, memory: Vec::new() }
    }

    /// A guest that shows this picture.
    fn guest(&mut self, name: &str, color: Color, picture: &Pixmap) -> WindowId {
        let label = WindowLabel { name: name.to_owned(), domid: 3, connector: 0, color };
        let memory = GuestMemory::mapped(picture.pixels.len());
        memory.write(&picture.pixels);
        let Pixmap { width, height, .. } = *picture;
        let layout = PixelLayout { width, height, fourcc: code("XR24"), pitch: width * 4, offset: 0 };
        let buffer = self.backend.import(memory.memory.clone(), layout).unwrap().id;
        self.memory.push(memory);
        let size = size_of(picture);
        let window = self.scene.add_window(label, size);
        let source = Rect { x: 0, y: 0, width: size.width, height: size.height };
        self.scene.show(window, Some(Shown { buffer, source, version: 1 }));
        window
    }

    fn outer(&self, window: WindowId) -> Rect {
        self.scene.stage().spot(window).unwrap().outer
    }

    fn picture(&mut self) -> Pixmap {
        self.backend.commit(self.output, self.scene.frame(self.output));
        settle(&mut self.backend);
        self.backend.screenshot(self.output, Pointer::With).unwrap()
    }
}

fn size_of(picture: &Pixmap) -> Size {
    Size { width: picture.width.cast_signed(), height: picture.height.cast_signed() }
}

fn plain(width: u32, height: u32, [red, green, blue]: Rgb) -> Pixmap {
    let pixels = (0..width * height).flat_map(|_| [blue, green, red, 255]).collect();
    Pixmap { width, height, pixels }
}

fn at(picture: &Pixmap, x: i32, y: i32) -> Rgb {
    pixel(picture, x.cast_unsigned(), y.cast_unsigned())
}

/// The pixels of a window's frame: title bar and borders.
fn frame(picture: &Pixmap, outer: Rect) -> Vec<Rgb> {
    let content = Rect {
        x: outer.x + BORDER,
        y: outer.y + TITLE,
        width: outer.width - 2 * BORDER,
        height: outer.height - TITLE - BORDER,
    };
    let all = (outer.y..outer.bottom()).flat_map(|y| (outer.x..outer.right()).map(move |x| (x, y)));
    let outside = all.filter(|(x, y)| !content.contains(&Rect { x: *x, y: *y, width: 1, height: 1 }));
    outside.map(|(x, y)| at(picture, x, y)).collect()
}

fn share(pixels: &[Rgb], color: Color) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap());
    count(pixels.iter().filter(|pixel| **pixel == rgb(color)).count()) / count(pixels.len())
}

fn save(name: &str, shot: &Pixmap) {
    let Pixmap { width, height, pixels } = shot.clone();
    Picture { width, height, pixels }.write_png(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)).unwrap();
}

#[test]
fn a_guest_that_draws_another_guests_window_has_its_own_frame_around_it() {
    let mut desk = Desk::new();
    let bank = desk.guest("bank", BANK, &plain(300, 200, [250; 3]));
    let before = desk.picture();
    // The whole window, frame and all, as it was seen.
    let stolen = before.crop(desk.outer(bank)).unwrap();
    desk.scene.remove_window(bank);
    desk.scene.dismiss(bank);
    let games = desk.guest("games", GAMES, &stolen);
    let shot = desk.picture();
    save("spoof-guest.png", &shot);
    let outer = desk.outer(games);
    let around = frame(&shot, outer);
    assert!(share(&around, GAMES) > 0.8, "the frame is of the one that draws");
    assert_eq!(share(&around, BANK).to_bits(), 0_f64.to_bits(), "and nothing in it of the other");
    // What it has drawn is there, within.
    assert_eq!(at(&shot, outer.x + BORDER + 200, outer.y + TITLE + 3), rgb(BANK));
    // It can't draw over another one's frame either, wherever it lies.
    let bank = desk.guest("bank", BANK, &plain(300, 200, [250; 3]));
    desk.scene.move_window(games, (outer.x, outer.y), (0, 0));
    desk.scene.move_window(bank, (outer.x + 40, outer.y + 40), (0, 0));
    let shot = desk.picture();
    assert!(share(&frame(&shot, desk.outer(bank)), BANK) > 0.8);
}

#[test]
fn a_client_that_draws_a_guests_window_has_the_clients_frame_around_it() {
    let mut desk = Desk::new();
    let bank = desk.guest("bank", BANK, &plain(300, 200, [250; 3]));
    let before = desk.picture();
    let (stolen, truth) = (before.crop(desk.outer(bank)).unwrap(), frame(&before, desk.outer(bank)));
    // It may call itself whatever it likes.
    let label = ClientLabel { title: "bank".to_owned(), app: "dom 3 · connector 0".to_owned() };
    let client = desk.scene.add_client(label, Rc::new(stolen));
    let shot = desk.picture();
    save("spoof-client.png", &shot);
    let around = frame(&shot, desk.outer(client));
    assert_eq!(share(&around, BANK).to_bits(), 0_f64.to_bits());
    let colours = |pixels: &[Rgb]| {
        let mut counts: Vec<(Rgb, usize)> = Vec::new();
        for pixel in pixels {
            match counts.iter_mut().find(|(colour, _)| colour == pixel) {
                Some((_, count)) => *count += 1,
                None => counts.push((*pixel, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    };
    // A guest's frame is of one colour and its text, a client's of stripes in two.
    let (guests, clients) = (colours(&truth), colours(&around));
    assert!(guests[0].1 * 5 > truth.len() * 4, "a guest's: {:?}", &guests[..2]);
    assert!(clients[1].1 * 5 > around.len(), "a client's: {:?}", &clients[..2]);
}

#[test]
fn a_full_screen_guest_that_draws_a_desktop_is_found_out_by_secure_attention() {
    let mut desk = Desk::new();
    let bank = desk.guest("bank", BANK, &plain(300, 200, [250; 3]));
    // Even what secure attention shows: it has seen that once.
    desk.scene.set_attention(true);
    let attention = desk.picture();
    desk.scene.set_attention(false);
    let games = desk.guest("games", GAMES, &attention);
    desk.scene.set_fullscreen(Some(games));
    let lie = desk.picture();
    save("spoof-desktop.png", &lie);
    assert_eq!(lie.pixels, attention.pixels, "the picture alone does not tell");
    desk.scene.set_attention(true);
    let truth = desk.picture();
    save("spoof-desktop-attention.png", &truth);
    let all: Vec<Rgb> = (0..OUTPUT.height)
        .flat_map(|y| (0..OUTPUT.width).map(move |x| (x, y)))
        .map(|(x, y)| at(&truth, x, y))
        .collect();
    assert!(share(&all, GAMES) > 0.9, "all of it is the guest's that has the screen");
    assert_eq!(share(&all, BANK).to_bits(), 0_f64.to_bits());
    desk.scene.set_attention(false);
    desk.scene.set_fullscreen(None);
    assert!(share(&frame(&desk.picture(), desk.outer(bank)), BANK) > 0.8);
}

#[test]
fn what_is_left_of_a_guest_keeps_its_frame_and_is_covered_by_secure_attention() {
    let mut desk = Desk::new();
    let games = desk.guest("games", GAMES, &plain(300, 200, rgb(BANK)));
    let shown = desk.scene.wants_still(games, Duration::from_secs(9)).unwrap();
    let still = desk.backend.still(shown.buffer, shown.source).unwrap();
    desk.scene.keep_still(games, still);
    desk.scene.remove_window(games);
    let outer = desk.outer(games);
    assert!(share(&frame(&desk.picture(), outer), GAMES) > 0.8);
    desk.scene.set_attention(true);
    let shot = desk.picture();
    assert_eq!(at(&shot, outer.x + BORDER + 5, outer.y + TITLE + 5), rgb(GAMES), "no picture of a guest meanwhile");
}

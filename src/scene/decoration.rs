// SPDX-License-Identifier: GPL-3.0-or-later
//! What surrounds a guest's content, so that its owner is known at a glance: a border and a title bar in
//! the domain's colour. None of it ever lies over the content, and no guest can draw it.

use std::rc::Rc;

use super::element::{Color, Pixmap, Rect, Size};
use super::text::Font;

/// Pixels of border left, right and below the content.
pub const BORDER: i32 = 3;

/// Pixels of the ring around the window that has the keyboard. It lies outside of the window, in the gap
/// between windows, so that the domain's colour stays whole beside it.
pub const RING: i32 = 4;

/// The ring's colour, which no domain's border has by default.
pub const RING_COLOR: Color = Color { red: 255, green: 214, blue: 64 };

/// Pixels of title bar above the content.
pub const TITLE: i32 = 25;

/// The least width inside the border: a label has to be readable also above a tiny content.
pub const LEAST_WIDTH: i32 = 160;

/// The border of a client's window.
pub const CLIENT_COLOR: Color = Color { red: 104, green: 108, blue: 114 };
/// The ground of what a client's title bar says, and of its stripes.
const PLATE_COLOR: Color = Color { red: 44, green: 47, blue: 51 };
/// The other stripes of a client's title bar.
const STRIPE_COLOR: Color = Color { red: 150, green: 154, blue: 160 };
/// Pixels from the beginning of a stripe to that of the next but one.
const STRIPES: u32 = 16;
/// What is on a client's title bar, before what it calls itself.
const OWN: &str = "Dom0";
const CLIENT_INK: Color = Color { red: 255, green: 255, blue: 255 };
const CLIENT_DIM_INK: Color = Color { red: 196, green: 200, blue: 206 };
/// Pixels of stripes that stay at both ends, whatever a client calls itself.
const LEAST_STRIPES: i32 = 20;

const TEXT_SIZE: f32 = 16.0;
const PADDING: i32 = 8;
const LEAST_NAME: i32 = 48;
const OWNER_SIZE: f32 = 32.0;
const OWNER_LINE: i32 = 44;

/// Whose content it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowLabel {
    /// The domain's name.
    pub name: String,
    /// The domain's number.
    pub domid: u16,
    /// The connector's number, from 0.
    pub connector: u32,
    /// The domain's colour.
    pub color: Color,
}

impl WindowLabel {
    /// In one line of words.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { name, domid, connector, .. } = self;
        format!("{name} (dom {domid}, connector {connector})")
    }
}

/// What the frame says of a window of one of Dom0's own clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLabel {
    /// The window's title, in the client's words.
    pub title: String,
    /// The application's name, in the client's words.
    pub app: String,
}

/// The size of a window around content of `size`.
#[must_use]
pub fn outer_size(size: Size) -> Size {
    Size { width: size.width.max(LEAST_WIDTH) + 2 * BORDER, height: size.height + TITLE + BORDER }
}

/// The size of the content in a window of `outer`, which may be smaller than a label wants; at least a pixel.
#[must_use]
pub fn inner_size(outer: Size) -> Size {
    Size { width: (outer.width - 2 * BORDER).max(1), height: (outer.height - TITLE - BORDER).max(1) }
}

/// The smallest window that a user can make.
pub const LEAST: Size = Size { width: LEAST_WIDTH + 2 * BORDER, height: TITLE + BORDER + 32 };

/// Where, in a window at `outer`, the content's upper left corner is.
#[must_use]
pub const fn content_origin(outer: &Rect) -> (i32, i32) {
    (outer.x + BORDER, outer.y + TITLE)
}

/// The parts of the frame without the title bar: left, right, below. Beside a content that is narrower
/// than the title bar the right one is wide.
#[must_use]
pub const fn borders(outer: &Rect, content: &Rect) -> [Rect; 3] {
    let side = outer.height - TITLE;
    let width = outer.right() - content.right();
    [
        Rect { x: outer.x, y: content.y, width: BORDER, height: side },
        Rect { x: content.right(), y: content.y, width, height: side },
        Rect { x: content.x, y: content.bottom(), width: content.width, height: BORDER },
    ]
}

/// The ring around a window at `outer`: left, right, above, below.
#[must_use]
pub const fn ring(outer: &Rect) -> [Rect; 4] {
    let (x, y) = (outer.x - RING, outer.y - RING);
    let (width, height) = (outer.width + 2 * RING, outer.height);
    [
        Rect { x, y: outer.y, width: RING, height },
        Rect { x: outer.right(), y: outer.y, width: RING, height },
        Rect { x, y, width, height: RING },
        Rect { x, y: outer.bottom(), width, height: RING },
    ]
}

/// Where the title bar is.
#[must_use]
pub const fn title_bar(outer: &Rect) -> Rect {
    Rect { x: outer.x, y: outer.y, width: outer.width, height: TITLE }
}

/// Draws the title bar, `width` pixels wide: the name on the left, domain and connector on the right. A
/// long name is cut; what doesn't fit beside it is left out, the connector first.
#[must_use]
pub fn draw_title(font: Option<&Font>, label: &WindowLabel, width: i32) -> Rc<Pixmap> {
    let mut picture = filled(width, TITLE, label.color);
    if let Some(font) = font {
        let text = readable_on(label.color);
        let room = width - 2 * PADDING;
        let right = right_text(font, label, room);
        let right_width = font.width(&right, TEXT_SIZE);
        let name = font.elide(&label.name, TEXT_SIZE, room - right_width - PADDING);
        font.draw(&mut picture, PADDING, &name, TEXT_SIZE, text);
        font.draw(&mut picture, width - PADDING - right_width, &right, TEXT_SIZE, text);
    }
    Rc::new(picture)
}

/// Draws the title bar of a client's window, `width` pixels wide: slanting stripes, and on a plate "Dom0" and what
/// the client calls itself. Guests' bars have one colour and no stripes, so a client can't look like one.
#[must_use]
pub fn draw_client_title(font: Option<&Font>, label: &ClientLabel, width: i32) -> Rc<Pixmap> {
    let mut picture = striped(width, TITLE);
    if let Some(font) = font {
        let own = font.width(OWN, TEXT_SIZE);
        let room = width - 2 * LEAST_STRIPES - 3 * PADDING - own;
        let name = font.elide(client_name(label), TEXT_SIZE, room);
        let plate = own + 3 * PADDING + font.width(&name, TEXT_SIZE);
        fill(&mut picture, LEAST_STRIPES..LEAST_STRIPES + plate, PLATE_COLOR);
        font.draw(&mut picture, LEAST_STRIPES + PADDING, OWN, TEXT_SIZE, CLIENT_INK);
        font.draw(&mut picture, LEAST_STRIPES + 2 * PADDING + own, &name, TEXT_SIZE, CLIENT_DIM_INK);
    }
    Rc::new(picture)
}

fn client_name(label: &ClientLabel) -> &str {
    if label.title.is_empty() { &label.app } else { &label.title }
}

/// The longest text that leaves room for the name, or for its beginning where nothing else helps.
fn right_text(font: &Font, label: &WindowLabel, room: i32) -> String {
    let (WindowLabel { domid, connector, .. }, name) = (label, font.width(&label.name, TEXT_SIZE));
    let texts = [
        (format!("dom {domid} · connector {connector}"), name),
        (format!("dom {domid} · {connector}"), name.min(LEAST_NAME)),
        (format!("dom {domid}"), name.min(LEAST_NAME)),
    ];
    let fits = |(text, name): &(String, i32)| font.width(text, TEXT_SIZE) + PADDING + name <= room;
    texts.into_iter().find(fits).map(|(text, _)| text).unwrap_or_default()
}

/// Who owns a content, in two lines that are shown in its place: the name, and then the domain, the
/// connector and its size. What doesn't fit is cut, or left out.
#[must_use]
pub fn draw_owner(font: &Font, label: &WindowLabel, size: Size) -> [Option<Rc<Pixmap>>; 2] {
    let details = format!("dom {} · connector {} · {}x{}", label.domid, label.connector, size.width, size.height);
    two_lines(font, [&label.name, &details], label.color, size)
}

/// The same for one of Dom0's own clients.
#[must_use]
pub fn draw_client_owner(font: &Font, label: &ClientLabel, size: Size) -> [Option<Rc<Pixmap>>; 2] {
    let details = format!("calls itself \"{}\" · {}x{}", client_name(label), size.width, size.height);
    two_lines(font, ["Dom0's own application", &details], CLIENT_COLOR, size)
}

fn two_lines(font: &Font, [name, details]: [&str; 2], ground: Color, size: Size) -> [Option<Rc<Pixmap>>; 2] {
    let ink = readable_on(ground);
    let room = size.width - 2 * PADDING;
    [(name, OWNER_SIZE, OWNER_LINE), (details, TEXT_SIZE, TITLE)].map(|(text, scale, height)| {
        let text = font.elide(text, scale, room);
        let width = font.width(&text, scale);
        if text.is_empty() || height > size.height {
            return None;
        }
        let mut picture = filled(width, height, ground);
        font.draw(&mut picture, 0, &text, scale, ink);
        Some(Rc::new(picture))
    })
}

/// A short line of text on a plain ground, no larger than `room`; nothing if it doesn't fit.
#[must_use]
pub fn draw_note(font: &Font, text: &str, color: Color, ground: Color, room: Size) -> Option<Rc<Pixmap>> {
    let width = font.width(text, TEXT_SIZE) + 2 * PADDING;
    if width > room.width || TITLE > room.height {
        return None;
    }
    let mut picture = filled(width, TITLE, ground);
    font.draw(&mut picture, PADDING, text, TEXT_SIZE, color);
    Some(Rc::new(picture))
}

/// Black or white, whichever stands out more (relative luminance as in WCAG 2).
#[must_use]
pub fn readable_on(ground: Color) -> Color {
    let linear = |part: u8| {
        let part = f32::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * linear(ground.red) + 0.7152 * linear(ground.green) + 0.0722 * linear(ground.blue);
    // At this luminance the contrast with black, (L + 0.05) / 0.05, equals that with white, 1.05 / (L + 0.05).
    if luminance > 0.179 { Color { red: 16, green: 16, blue: 16 } } else { Color { red: 255, green: 255, blue: 255 } }
}

fn filled(width: i32, height: i32, color: Color) -> Pixmap {
    let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    let count = usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(0);
    Pixmap { width, height, pixels: [color.blue, color.green, color.red, 255].repeat(count) }
}

/// Slanting stripes of a client's two colours.
fn striped(width: i32, height: i32) -> Pixmap {
    let mut picture = filled(width, height, PLATE_COLOR);
    let Color { red, green, blue } = STRIPE_COLOR;
    let places = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| x + y));
    for (pixel, place) in picture.pixels.as_chunks_mut::<4>().0.iter_mut().zip(places) {
        if place % STRIPES < STRIPES / 2 {
            *pixel = [blue, green, red, 255];
        }
    }
    picture
}

/// Fills columns of a picture with one colour.
fn fill(picture: &mut Pixmap, columns: std::ops::Range<i32>, Color { red, green, blue }: Color) {
    let columns = u32::try_from(columns.start).unwrap_or(0)..u32::try_from(columns.end).unwrap_or(0);
    let places = (0..picture.height).flat_map(|_| 0..picture.width);
    for (pixel, x) in picture.pixels.as_chunks_mut::<4>().0.iter_mut().zip(places) {
        if columns.contains(&x) {
            *pixel = [blue, green, red, 255];
        }
    }
}

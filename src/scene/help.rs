// SPDX-License-Identifier: GPL-3.0-or-later
//! The keys that Grantway takes for itself, as a picture over everything.

use std::borrow::Cow;
use std::rc::Rc;

use super::decoration::RING_COLOR;
use super::element::{Color, Pixmap};
use super::text::Font;

pub(super) const GROUND: Color = Color { red: 28, green: 32, blue: 38 };
pub(super) const INK: Color = Color { red: 236, green: 238, blue: 242 };
pub(super) const DIM_INK: Color = Color { red: 150, green: 158, blue: 168 };
const KEY_INK: Color = RING_COLOR;
pub(super) const TEXT_SIZE: f32 = 18.0;
pub(super) const PADDING: i32 = 24;
pub(super) const LINE: i32 = 28;
/// Pixels of the picture's edge.
pub(super) const EDGE: i32 = 3;

/// A key or button, and what it does together with the reserved key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpLine {
    /// As the configuration names it.
    pub key: String,
    /// In a few words.
    pub does: Cow<'static, str>,
}

/// Draws the lines below a heading that names the reserved key.
pub(super) fn draw(font: &Font, reserved: &str, lines: &[HelpLine]) -> Rc<Pixmap> {
    let heading = format!("With {reserved} held:");
    let keys = lines.iter().map(|line| font.width(&line.key, TEXT_SIZE)).max().unwrap_or(0);
    let does = lines.iter().map(|line| font.width(&line.does, TEXT_SIZE)).max().unwrap_or(0);
    let width = (keys + PADDING + does).max(font.width(&heading, TEXT_SIZE)) + 2 * PADDING;
    let mut picture = Stack::new(width);
    picture.edge();
    picture.add(LINE, GROUND, |row| font.draw(row, PADDING, &heading, TEXT_SIZE, INK));
    for HelpLine { key, does } in lines {
        picture.add(LINE, GROUND, |row| {
            font.draw(row, PADDING, key, TEXT_SIZE, KEY_INK);
            font.draw(row, 2 * PADDING + keys, does, TEXT_SIZE, INK);
        });
    }
    picture.edge();
    picture.done()
}

/// A picture that grows downwards.
pub(super) struct Stack(Pixmap);

impl Stack {
    pub(super) fn new(width: i32) -> Self {
        Self(Pixmap { width: u32::try_from(width).unwrap_or(0), height: 0, pixels: Vec::new() })
    }

    /// Its upper or lower end: a line of the ring's colour on the outside.
    pub(super) fn edge(&mut self) {
        let space = |picture: &mut Self| picture.add(PADDING / 2, GROUND, |_| {});
        if self.0.height > 0 {
            space(self);
            self.add(EDGE, RING_COLOR, |_| {});
        } else {
            self.add(EDGE, RING_COLOR, |_| {});
            space(self);
        }
    }

    pub(super) fn done(self) -> Rc<Pixmap> {
        Rc::new(self.0)
    }

    pub(super) fn add(&mut self, height: i32, Color { red, green, blue }: Color, draw: impl FnOnce(&mut Pixmap)) {
        let (width, height) = (self.0.width, u32::try_from(height).unwrap_or(0));
        let count = usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(0);
        let mut row = Pixmap { width, height, pixels: [blue, green, red, 255].repeat(count) };
        draw(&mut row);
        self.0.height = self.0.height.saturating_add(height);
        self.0.pixels.append(&mut row.pixels);
    }
}

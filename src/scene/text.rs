// SPDX-License-Identifier: GPL-3.0-or-later
//! Text on pictures of ours: one line, one font, left to right.

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont, point};

use super::element::{Color, Pixmap};

/// Which is shown for what was cut off.
const ELLIPSIS: char = '…';

/// The font that comes with the program.
#[derive(Debug)]
pub struct Font {
    font: FontRef<'static>,
}

impl Font {
    /// Reads the font.
    ///
    /// # Errors
    /// Never with the font as it was shipped.
    pub fn bundled() -> Result<Self, ab_glyph::InvalidFont> {
        let font = FontRef::try_from_slice(include_bytes!("../../assets/fonts/DejaVuSans.ttf"))?;
        Ok(Self { font })
    }

    /// Width of a line in pixels, rounded up, at `size` pixels from ascent to descent.
    #[must_use]
    pub fn width(&self, text: &str, size: f32) -> i32 {
        let font = self.font.as_scaled(PxScale::from(size));
        to_pixels(printable(text).map(|letter| font.h_advance(font.glyph_id(letter))).sum::<f32>().ceil())
    }

    /// The text, or as much of its beginning as fits with an ellipsis into `width` pixels; may be empty.
    #[must_use]
    pub fn elide(&self, text: &str, size: f32, width: i32) -> String {
        let mut letters: Vec<char> = printable(text).collect();
        if self.width(text, size) <= width {
            return letters.into_iter().collect();
        }
        while letters.pop().is_some() {
            let shorter: String = letters.iter().collect::<String>().trim_end().chars().chain([ELLIPSIS]).collect();
            if self.width(&shorter, size) <= width {
                return shorter;
            }
        }
        String::new()
    }

    /// Draws a line of text from column `x`, in the middle of the picture's height.
    pub fn draw(&self, picture: &mut Pixmap, x: i32, text: &str, size: f32, color: Color) {
        let font = self.font.as_scaled(PxScale::from(size));
        let middle = f32::from(u16::try_from(picture.height).unwrap_or(u16::MAX)) / 2.0;
        // Capitals reach about 0.73 em up; so they, not the descenders, are centred, on a whole line.
        let baseline = (middle + capital_height(&self.font, size) / 2.0).round();
        let mut pen = from_pixels(x);
        for letter in printable(text) {
            let id = font.glyph_id(letter);
            if let Some(outline) = self.font.outline_glyph(id.with_scale_and_position(size, point(pen, baseline))) {
                let bounds = outline.px_bounds();
                let (left, top) = (to_pixels(bounds.min.x), to_pixels(bounds.min.y));
                outline.draw(|column, line, coverage| {
                    let at = (left.saturating_add_unsigned(column), top.saturating_add_unsigned(line));
                    blend(picture, at, color, coverage);
                });
            }
            pen += font.h_advance(id);
        }
    }
}

/// What could disturb a label is shown as a mark of its own.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| {
        let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns { '\u{fffd}' } else { letter }
    })
}

fn capital_height(font: &FontRef<'_>, size: f32) -> f32 {
    let glyph = font.glyph_id('H').with_scale(size);
    font.outline_glyph(glyph).map_or(size * 0.6, |outline| outline.px_bounds().height())
}

/// Lays a colour over an opaque pixel.
fn blend(picture: &mut Pixmap, (x, y): (i32, i32), color: Color, coverage: f32) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if x >= picture.width || y >= picture.height {
        return;
    }
    let Ok(index) = usize::try_from(u64::from(y) * u64::from(picture.width) + u64::from(x)) else { return };
    let Some([blue, green, red, _]) = picture.pixels.as_chunks_mut::<4>().0.get_mut(index) else { return };
    // Thin stems, half of a pixel wide, would look grey: they are darkened a little.
    let share = u32::from(to_byte(coverage.clamp(0.0, 1.0).powf(0.75)));
    for (below, above) in [(red, color.red), (green, color.green), (blue, color.blue)] {
        let mixed = (u32::from(above) * share + u32::from(*below) * (255 - share) + 127) / 255;
        *below = mixed.to_le_bytes()[0];
    }
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn to_byte(coverage: f32) -> u8 {
    (coverage * 255.0).round() as u8
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "`as` saturates")]
fn to_pixels(length: f32) -> i32 {
    length as i32
}

#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "pictures are far smaller than 2^24")]
fn from_pixels(length: i32) -> f32 {
    length as f32
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What the simulated guests draw, in each of Linux's nine formats, and how to tell from a captured picture
//! which frame it shows, and whether it shows only one.

use thiserror::Error;

/// A colour: red, green, blue.
pub type Rgb = [u8; 3];

/// What a guest draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A colour that changes with every frame, and a bar that moves: see [`identify`].
    Tear,
    /// Eight vertical colour bars, the same in every frame.
    Bars,
    /// One colour, the same in every frame.
    Solid,
}

/// A pixel format, as Linux's frontend offers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The DRM format's name.
    pub name: &'static str,
    /// Bits in a pixel.
    pub bpp: u32,
}

/// The formats that Linux's frontend offers.
pub const FORMATS: [Format; 9] = [
    Format { name: "RG16", bpp: 16 },
    Format { name: "RG24", bpp: 24 },
    Format { name: "XR24", bpp: 32 },
    Format { name: "AR24", bpp: 32 },
    Format { name: "XR12", bpp: 16 },
    Format { name: "AR12", bpp: 16 },
    Format { name: "XR15", bpp: 16 },
    Format { name: "AR15", bpp: 16 },
    Format { name: "YUYV", bpp: 16 },
];

impl Format {
    /// The format of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FORMATS.into_iter().find(|format| format.name == name)
    }

    /// The DRM format code.
    #[must_use]
    pub fn fourcc(self) -> u32 {
        self.name.bytes().rev().fold(0, |code, byte| code << 8 | u32::from(byte))
    }

    /// Appends one pixel's bytes. What a display must ignore (alpha, unused bits) is not the same everywhere, so
    /// that whoever looks at it is found out.
    pub fn put(self, x: u32, rgb: Rgb, out: &mut Vec<u8>) {
        let [r, g, b] = rgb.map(u16::from);
        let unused = if x.is_multiple_of(2) { 0x5 } else { 0xa };
        match self.name {
            "RG16" => out.extend(((r >> 3) << 11 | (g >> 2) << 5 | b >> 3).to_le_bytes()),
            "RG24" => out.extend([rgb[2], rgb[1], rgb[0]]),
            "XR24" | "AR24" => out.extend([rgb[2], rgb[1], rgb[0], if unused == 5 { 0x40 } else { 0xc0 }]),
            "XR12" | "AR12" => out.extend((unused << 12 | (r >> 4) << 8 | (g >> 4) << 4 | b >> 4).to_le_bytes()),
            "XR15" | "AR15" => {
                out.extend(((unused & 1) << 15 | (r >> 3) << 10 | (g >> 3) << 5 | b >> 3).to_le_bytes());
            }
            _ => out.extend(yuyv(x, rgb)),
        }
    }
}

/// BT.601, limited range. Both pixels of a pair are given the chroma that they bring themselves.
fn yuyv(x: u32, rgb: Rgb) -> [u8; 2] {
    let [r, g, b] = rgb.map(i32::from);
    let y = ((66 * r + 129 * g + 25 * b + 128) >> 8) + 16;
    let u = ((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128;
    let v = ((112 * r - 94 * g - 18 * b + 128) >> 8) + 128;
    let chroma = if x.is_multiple_of(2) { u } else { v };
    [y, chroma].map(|value| u8::try_from(value.clamp(0, 255)).unwrap_or(0))
}

/// The background of a frame. Three brightnesses of each primary that every format can tell apart, and none near its
/// inverse, so that the bar can be seen; a cycle has 27 frames, and neighbours differ.
#[must_use]
pub fn tear_colour(frame: u64) -> Rgb {
    let digit = |value: u64| match value % 3 {
        0 => 0x10,
        1 => 0x60,
        _ => 0xf0,
    };
    [digit(frame), digit(frame / 3), digit(frame / 9)]
}

/// The columns of a frame's bar, as start and end; it is drawn in the background's inverse.
#[must_use]
pub fn tear_bar(frame: u64, width: u32) -> (u32, u32) {
    let wide = (width / 8).max(1);
    let places = u64::from(width.saturating_sub(wide).saturating_add(1).max(1));
    // Even, so that a pair of YUYV pixels has one colour.
    let start = u32::try_from((frame * 8) % places).unwrap_or(0) & !1;
    (start, start.saturating_add(wide & !1).max(start + 1))
}

/// The colour of a pixel.
#[must_use]
pub fn pixel(pattern: Pattern, frame: u64, x: u32, width: u32) -> Rgb {
    match pattern {
        Pattern::Tear => {
            let (start, end) = tear_bar(frame, width);
            let colour = tear_colour(frame);
            if (start..end).contains(&x) { colour.map(|value| !value) } else { colour }
        }
        Pattern::Bars => {
            let bar = 7 - (x / (width / 8).max(1)).min(7);
            [bar & 2, bar & 4, bar & 1].map(|lit| if lit == 0 { 0x10 } else { 0xf0 })
        }
        Pattern::Solid => [0x20, 0x60, 0xa0],
    }
}

/// One line of a frame; all lines are alike.
#[must_use]
pub fn line(pattern: Pattern, format: Format, frame: u64, width: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for x in 0..width {
        format.put(x, pixel(pattern, frame, x, width), &mut out);
    }
    out
}

/// Why a captured picture is not one frame of [`Pattern::Tear`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotOneFrame {
    /// The corner has a colour that no frame has.
    #[error("the colour {0:?} belongs to no frame")]
    Colour(Rgb),
    /// The bar stands where no frame of that colour has it.
    #[error("no frame of colour {0:?} has its bar there")]
    Bar(Rgb),
    /// A line differs from the first one: the picture is torn.
    #[error("line {line} shows another frame than line 0: at column {column} it is {is:?}, not {wanted:?}")]
    Torn {
        /// The first such line.
        line: u32,
        /// The first such column.
        column: u32,
        /// What is there.
        is: Rgb,
        /// What is at the same column of line 0.
        wanted: Rgb,
    },
}

/// Whether a picture (given by its pixels) shows exactly one frame of [`Pattern::Tear`], among `frames`.
/// Gives the last frame number that fits.
///
/// # Errors
/// See [`NotOneFrame`].
pub fn identify(
    width: u32,
    height: u32,
    frames: std::ops::Range<u64>,
    at: impl Fn(u32, u32) -> Rgb,
) -> Result<u64, NotOneFrame> {
    for line in 1..height {
        for column in 0..width {
            let (is, wanted) = (at(column, line), at(column, 0));
            if is != wanted {
                return Err(NotOneFrame::Torn { line, column, is, wanted });
            }
        }
    }
    let near = |is: Rgb, wanted: Rgb| is.iter().zip(wanted).all(|(is, wanted)| is.abs_diff(wanted) <= 24);
    let fits = |frame: &u64| (0..width).all(|x| near(at(x, 0), pixel(Pattern::Tear, *frame, x, width)));
    let (left, right) = (at(0, 0), at(width.saturating_sub(1), 0));
    let colour = |frame: &u64| near(left, tear_colour(*frame)) || near(right, tear_colour(*frame));
    match frames.clone().rev().find(|frame| colour(frame) && fits(frame)) {
        Some(frame) => Ok(frame),
        None if frames.clone().any(|frame| colour(&frame)) => Err(NotOneFrame::Bar(left)),
        None => Err(NotOneFrame::Colour(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_from_its_neighbours_and_a_torn_one_is_found() {
        let at = |frame: u64| move |x: u32, _: u32| pixel(Pattern::Tear, frame, x, 640);
        for frame in 0..100 {
            assert_eq!(identify(640, 4, 0..100, at(frame)), Ok(frame));
        }
        let torn = |x: u32, y: u32| pixel(Pattern::Tear, 5 + u64::from(y > 1), x, 640);
        assert!(matches!(identify(640, 4, 0..100, torn), Err(NotOneFrame::Torn { line: 2, .. })));
    }

    #[test]
    fn lines_have_the_pitch_of_a_linux_dumb_buffer() {
        for format in FORMATS {
            for width in [1, 17, 640, 1365, 1366] {
                let bytes = line(Pattern::Tear, format, 3, width).len();
                assert_eq!(bytes, usize::try_from((width * format.bpp).div_ceil(8)).unwrap(), "{format:?}");
            }
        }
        assert_eq!(Format::named("XR24").unwrap().fourcc(), 0x3432_5258);
    }
}

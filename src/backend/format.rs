// SPDX-License-Identifier: GPL-3.0-or-later
//! The pixel formats that a guest may use: how wide they are, who can read them in place, and the
//! conversion that stands in where nobody can.
//!
//! A guest's alpha is ignored: every `A` format is read as its `X` sibling.

use pixman::FormatCode;
use smithay::backend::allocator::Fourcc;

use super::PixelLayout;

/// One pixel format of the guests.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The DRM code's four letters, such as `XR24`.
    pub name: &'static str,
    /// Bits that a pixel takes in memory.
    pub bits: u32,
    /// The same bits without alpha.
    pub opaque: Fourcc,
    /// The code under which pixman reads it.
    pub pixman: FormatCode,
    pixels: Pixels,
}

#[derive(Clone, Copy, Debug)]
enum Pixels {
    Bits8888,
    Bits888,
    Bits565,
    Bits4444,
    Bits1555,
    Yuyv,
}

const fn format(name: &'static str, bits: u32, opaque: Fourcc, pixman: FormatCode, pixels: Pixels) -> Format {
    Format { name, bits, opaque, pixman, pixels }
}

/// All formats, as Linux's `drm_xen_front` offers them to its programs.
pub static FORMATS: [Format; 9] = [
    format("RG16", 16, Fourcc::Rgb565, FormatCode::R5G6B5, Pixels::Bits565),
    format("RG24", 24, Fourcc::Rgb888, FormatCode::R8G8B8, Pixels::Bits888),
    format("XR24", 32, Fourcc::Xrgb8888, FormatCode::X8R8G8B8, Pixels::Bits8888),
    format("AR24", 32, Fourcc::Xrgb8888, FormatCode::X8R8G8B8, Pixels::Bits8888),
    format("XR12", 16, Fourcc::Xrgb4444, FormatCode::X4R4G4B4, Pixels::Bits4444),
    format("AR12", 16, Fourcc::Xrgb4444, FormatCode::X4R4G4B4, Pixels::Bits4444),
    format("XR15", 16, Fourcc::Xrgb1555, FormatCode::X1R5G5B5, Pixels::Bits1555),
    format("AR15", 16, Fourcc::Xrgb1555, FormatCode::X1R5G5B5, Pixels::Bits1555),
    format("YUYV", 16, Fourcc::Yuyv, FormatCode::YUY2, Pixels::Yuyv),
];

/// Finds a format by its DRM code.
#[must_use]
pub fn find(fourcc: u32) -> Option<&'static Format> {
    FORMATS.iter().find(|format| code(format.name) == Some(fourcc))
}

/// The four letters of a DRM code, `?` for what can't be printed.
#[must_use]
pub fn name(fourcc: u32) -> String {
    fourcc.to_le_bytes().map(|byte| if byte.is_ascii_graphic() { char::from(byte) } else { '?' }).iter().collect()
}

fn code(name: &str) -> Option<u32> {
    Some(u32::from_le_bytes(name.as_bytes().try_into().ok()?))
}

impl Format {
    /// Bytes of a line that hold pixels: of `pitch` bytes, those that `width` pixels take. An odd width of
    /// YUYV takes a whole last pair where the pitch has room for it.
    #[must_use]
    pub fn line_bytes(&self, width: u32, pitch: u32) -> u32 {
        let whole = match self.pixels {
            Pixels::Yuyv => width.saturating_add(1) / 2 * 4,
            Pixels::Bits8888 | Pixels::Bits888 | Pixels::Bits565 | Pixels::Bits4444 | Pixels::Bits1555 => {
                width.saturating_mul(self.bits / 8)
            }
        };
        whole.min(pitch)
    }

    /// Whether a line of so many pixels ends amid a pair that shares its colour. GL drivers read such
    /// lines wrongly: with the colour of another pixel, or of bytes beyond the line.
    #[must_use]
    pub const fn ends_amid_pair(&self, width: u32) -> bool {
        matches!(self.pixels, Pixels::Yuyv) && !width.is_multiple_of(2)
    }

    /// Checks a layout against the memory that it lies in.
    ///
    /// # Errors
    /// A sentence for the user, when the pixels are not all within `len` bytes.
    pub fn check(&self, layout: &PixelLayout, len: usize) -> Result<(), String> {
        let PixelLayout { width, height, pitch, offset, .. } = *layout;
        if width == 0 || height == 0 {
            return Err(format!("a picture of {width}x{height} pixels has nothing to show"));
        }
        if u64::from(pitch) < u64::from(width) * u64::from(self.bits / 8) {
            return Err(format!("pitch {pitch} is shorter than a line of {width} pixels in {}", self.name));
        }
        let end = u64::from(offset) + u64::from(pitch) * u64::from(height);
        if usize::try_from(end).map_or(true, |end| end > len) {
            return Err(format!("the picture ends at byte {end}, the buffer at byte {len}"));
        }
        Ok(())
    }

    /// Converts a line into XRGB8888, little-endian, alpha 255. Colours of fewer bits are widened by
    /// repeating their upper bits, so that black and white stay what they are; YUYV is BT.601 with limited
    /// range, as pixman reads it. Ends with the shorter of the two lines.
    pub fn convert_line(&self, from: &[u8], to: &mut [u8]) {
        match self.pixels {
            Pixels::Bits8888 => each_pixel(from, to, |[blue, green, red, _]: [u8; 4]| [blue, green, red, 255]),
            Pixels::Bits888 => each_pixel(from, to, |[blue, green, red]: [u8; 3]| [blue, green, red, 255]),
            Pixels::Bits565 => each_pixel(from, to, |pair| {
                let bits = u16::from_le_bytes(pair);
                [widen5(bits), widen6(bits >> 5), widen5(bits >> 11), 255]
            }),
            Pixels::Bits4444 => each_pixel(from, to, |pair| {
                let bits = u16::from_le_bytes(pair);
                [widen4(bits), widen4(bits >> 4), widen4(bits >> 8), 255]
            }),
            Pixels::Bits1555 => each_pixel(from, to, |pair| {
                let bits = u16::from_le_bytes(pair);
                [widen5(bits), widen5(bits >> 5), widen5(bits >> 10), 255]
            }),
            Pixels::Yuyv => convert_yuyv(from, to),
        }
    }
}

fn each_pixel<const N: usize>(from: &[u8], to: &mut [u8], pixel: impl Fn([u8; N]) -> [u8; 4]) {
    for (from, to) in from.as_chunks::<N>().0.iter().zip(to.as_chunks_mut::<4>().0) {
        *to = pixel(*from);
    }
}

const fn low_byte(bits: u16) -> u8 {
    bits.to_le_bytes()[0]
}

const fn widen4(bits: u16) -> u8 {
    low_byte((bits & 15) * 17)
}

const fn widen5(bits: u16) -> u8 {
    let bits = bits & 31;
    low_byte(bits << 3 | bits >> 2)
}

const fn widen6(bits: u16) -> u8 {
    let bits = bits & 63;
    low_byte(bits << 2 | bits >> 4)
}

/// A line may end after the first half of a pair, without its V: then the V before it, or grey.
fn convert_yuyv(from: &[u8], to: &mut [u8]) {
    let (pairs, rest) = from.as_chunks::<4>();
    let mut pixels = to.as_chunks_mut::<4>().0.iter_mut();
    let mut last_v = 128;
    for [first, u, second, v] in pairs {
        last_v = *v;
        for (luma, to) in [first, second].into_iter().zip(pixels.by_ref()) {
            *to = yuv(*luma, *u, *v);
        }
    }
    if let ([luma, u, ..], Some(to)) = (rest, pixels.next()) {
        *to = yuv(*luma, *u, last_v);
    }
}

/// BT.601, limited range, in 16.16 fixed point scaled by 256/255, truncated.
fn yuv(luma: u8, u: u8, v: u8) -> [u8; 4] {
    let luma = (i32::from(luma) - 16) * 76_583;
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let component = |value: i32| value.clamp(0, 0xff_ffff).to_le_bytes()[2];
    [component(luma + 132_770 * u), component(luma - 53_490 * v - 25_726 * u), component(luma + 105_006 * v), 255]
}

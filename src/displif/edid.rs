// SPDX-License-Identifier: GPL-3.0-or-later
//! The EDID 1.4 of a connector (VESA E-EDID Standard, release A, revision 2): one mode, the connector's size at
//! 60 Hz with reduced blanking.
//!
//! The base block's detailed timing ends at 4,095 pixels or lines and 655.35 MHz. Beyond that the base block
//! holds the size halved until it fits, and an extension block holds the real mode as a DisplayID 1.3 type I
//! timing, which Linux reads too.

/// Bytes in a block.
pub const BLOCK: usize = 128;

/// Three letters in the place of a registered manufacturer.
const VENDOR: [u8; 3] = *b"GWY";
const PRODUCT_CODE: u16 = 1;
/// 2025, as years since 1990, and the week number that makes it a model year.
const MODEL_YEAR: [u8; 2] = [0xff, 35];
/// The name, ended and padded as the standard wants.
const NAME: [u8; 13] = *b"Grantway\n    ";
/// The chromaticities of sRGB, as bytes 25 to 34 code them.
const SRGB: [u8; 10] = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];

const REFRESH_HZ: u64 = 60;
/// Horizontal blanking of CVT reduced blanking, in pixels.
const H_FRONT: u32 = 48;
const H_SYNC: u32 = 32;
const H_BLANK: u32 = 160;
/// Vertical blanking: front porch and least back porch in lines, least time in nanoseconds.
const V_FRONT: u32 = 3;
const V_BACK_MIN: u32 = 6;
const V_BLANK_MIN_NS: u64 = 460_000;
/// Least pixels in a frame, blanking included: a pixel clock below 10 MHz counts as invalid.
const FRAME_MIN: u32 = 170_000;
/// Pixels in an inch.
const DPI: u32 = 96;

/// A mode at 60 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timing {
    width: u32,
    height: u32,
    v_sync: u32,
    v_blank: u32,
    /// In units of 10 kHz.
    clock: u32,
}

impl Timing {
    /// CVT's reduced blanking (VESA CVT 1.1), without its rounding of the width to 8 pixels and of the clock to
    /// 250 kHz.
    fn new(width: u32, height: u32) -> Self {
        let v_sync = v_sync_width(width, height);
        let active_ns = 1_000_000_000_u64.div_euclid(REFRESH_HZ).saturating_sub(V_BLANK_MIN_NS);
        let lines = V_BLANK_MIN_NS.saturating_mul(height.into()).checked_div(active_ns).unwrap_or(0).saturating_add(1);
        let least = V_FRONT.saturating_add(v_sync).saturating_add(V_BACK_MIN);
        let mut v_blank = u32::try_from(lines).unwrap_or(u32::MAX).max(least);
        let h_total = width.saturating_add(H_BLANK);
        let v_total = height.saturating_add(v_blank).max(FRAME_MIN.div_ceil(h_total));
        v_blank = v_total.saturating_sub(height);
        let hertz = u64::from(h_total).saturating_mul(v_total.into()).saturating_mul(REFRESH_HZ);
        let clock = u32::try_from(hertz.saturating_add(5000).div_euclid(10_000)).unwrap_or(u32::MAX);
        Self { width, height, v_sync, v_blank, clock }
    }

    /// Whether a detailed timing of the base block can say it.
    fn fits_base(&self) -> bool {
        self.width <= 4095 && self.height <= 4095 && self.v_blank <= 4095 && u16::try_from(self.clock).is_ok()
    }
}

/// CVT codes the shape of the picture in the width of the vertical sync.
fn v_sync_width(width: u32, height: u32) -> u32 {
    let shapes = [(4, 3, 4), (16, 9, 5), (16, 10, 6), (5, 4, 7), (15, 9, 7)];
    let same = |across: u32, down: u32| height.saturating_mul(across).div_euclid(down) == width;
    shapes.into_iter().find(|(across, down, _)| same(*across, *down)).map_or(10, |(_, _, lines)| lines)
}

/// The byte of `value` that starts at bit `shift`.
fn byte(value: u32, shift: u32) -> u8 {
    let [low, ..] = value.checked_shr(shift).unwrap_or(0).to_le_bytes();
    low
}

/// Two four-bit values in one byte.
fn nibbles(high: u32, low: u32) -> u8 {
    byte(high & 0xf, 0) << 4 | byte(low & 0xf, 0)
}

/// Millimetres at [`DPI`], at least 1.
fn millimetres(pixels: u32) -> u32 {
    pixels.saturating_mul(254).div_ceil(DPI.saturating_mul(10)).max(1)
}

/// The byte that makes the sum of all bytes 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

/// The EDID for a connector of `width` × `height` pixels, each 1..=8192: one or two blocks.
#[must_use]
pub fn generate(width: u32, height: u32) -> Vec<u8> {
    let native = Timing::new(width, height);
    let mut base = native;
    let mut halvings = 0;
    while !base.fits_base() && halvings < 16 {
        base = Timing::new((base.width / 2).max(1), (base.height / 2).max(1));
        halvings += 1;
    }
    let extended = base != native;
    let mut edid = base_block(&base, (width, height), extended);
    if extended {
        edid.extend(display_id_block(&native));
    }
    edid
}

fn base_block(timing: &Timing, size: (u32, u32), extended: bool) -> Vec<u8> {
    let (width_mm, height_mm) = (millimetres(size.0), millimetres(size.1));
    let centimetres = |mm: u32| byte(mm.div_ceil(10).min(255), 0);
    let mut block = Vec::with_capacity(2 * BLOCK);
    block.extend([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    block.extend(VENDOR.iter().fold(0_u16, |id, letter| id << 5 | u16::from(letter & 0x1f)).to_be_bytes());
    block.extend(PRODUCT_CODE.to_le_bytes());
    block.extend([0; 4]);
    block.extend(MODEL_YEAR);
    block.extend([1, 4]);
    // Digital, 8 bits a colour, no particular interface.
    block.push(0b1010_0000);
    block.extend([centimetres(width_mm), centimetres(height_mm)]);
    // Gamma 2.2. sRGB is the default colour space; the first timing is the native one, unless it did not fit.
    block.extend([120, if extended { 0b100 } else { 0b110 }]);
    block.extend(SRGB);
    // No established timings, and no standard ones.
    block.extend([0; 3]);
    block.extend([1; 16]);
    block.extend(detailed_timing(timing, width_mm, height_mm));
    block.extend([0, 0, 0, 0xfc, 0]);
    block.extend(NAME);
    for _ in 0..2 {
        block.extend([0, 0, 0, 0x10]);
        block.extend([0; 14]);
    }
    block.push(u8::from(extended));
    block.push(checksum(&block));
    block
}

/// An 18-byte detailed timing.
fn detailed_timing(timing: &Timing, width_mm: u32, height_mm: u32) -> [u8; 18] {
    let Timing { width, height, v_sync, v_blank, clock } = *timing;
    [
        byte(clock, 0),
        byte(clock, 8),
        byte(width, 0),
        byte(H_BLANK, 0),
        nibbles(width >> 8, H_BLANK >> 8),
        byte(height, 0),
        byte(v_blank, 0),
        nibbles(height >> 8, v_blank >> 8),
        byte(H_FRONT, 0),
        byte(H_SYNC, 0),
        nibbles(V_FRONT, v_sync),
        // The upper bits of the four values before are all 0.
        0,
        byte(width_mm, 0),
        byte(height_mm, 0),
        nibbles(width_mm >> 8, height_mm >> 8),
        0,
        0,
        // Separate digital sync, horizontal positive: reduced blanking.
        0b0001_1010,
    ]
}

/// A DisplayID 1.3 section in an extension block, with the mode as its preferred one.
fn display_id_block(timing: &Timing) -> Vec<u8> {
    let blocks = [
        (0x00, 0, product_identification()),
        (0x01, 0, display_parameters(timing)),
        (0x03, 1, type_one_timing(timing)),
        (0x0f, 0, INTERFACE.to_vec()),
    ];
    let mut data = Vec::with_capacity(BLOCK);
    for (tag, revision, payload) in blocks {
        data.extend([tag, revision, u8::try_from(payload.len()).unwrap_or(0)]);
        data.extend(payload);
    }
    // Version, length, a stand-alone display device, no further sections.
    let mut section = vec![0x13, u8::try_from(data.len()).unwrap_or(0), 3, 0];
    section.extend(data);
    section.push(checksum(&section));
    let mut block = vec![0x70];
    block.extend(section);
    block.resize(BLOCK - 1, 0);
    block.push(checksum(&block));
    block
}

/// Payload of the display interface block: digital, proprietary, one link; 8 bits RGB; no content protection.
const INTERFACE: [u8; 10] = [0xb1, 0, 0x02, 0, 0, 0, 0, 0, 0, 0];

fn product_identification() -> Vec<u8> {
    let mut payload = VENDOR.to_vec();
    payload.extend(PRODUCT_CODE.to_le_bytes());
    // No serial number; the model year counts from 2000 here; no further name.
    payload.extend([0, 0, 0, 0, 0xff, 25, 0]);
    payload
}

fn display_parameters(timing: &Timing) -> Vec<u8> {
    let (width, height) = (timing.width, timing.height);
    let tenths = |pixels: u32| millimetres(pixels).saturating_mul(10);
    let mut payload = Vec::new();
    for value in [tenths(width), tenths(height), width, height] {
        payload.extend([byte(value, 0), byte(value, 8)]);
    }
    let (long, short) = (width.max(height), width.min(height));
    let aspect = long.saturating_mul(100).checked_div(short).unwrap_or(100).saturating_sub(100).min(255);
    // No features; gamma 2.2; the aspect ratio; 8 bits a colour, by the interface and by the panel.
    payload.extend([0, 120, byte(aspect, 0), 0x77]);
    payload
}

/// A 20-byte type I timing: all values are stored less 1.
fn type_one_timing(timing: &Timing) -> Vec<u8> {
    let clock = timing.clock.saturating_sub(1);
    let mut bytes = vec![byte(clock, 0), byte(clock, 8), byte(clock, 16)];
    // Preferred, progressive, no particular aspect ratio.
    bytes.push(0b1000_1000);
    let positive = 0x8000;
    let horizontal = [timing.width - 1, H_BLANK - 1, (H_FRONT - 1) | positive, H_SYNC - 1];
    let vertical = [timing.height - 1, timing.v_blank - 1, V_FRONT - 1, timing.v_sync - 1];
    for value in horizontal.into_iter().chain(vertical) {
        bytes.extend([byte(value, 0), byte(value, 8)]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_sum_to_zero() {
        for (width, height, blocks) in [(1, 1, 1), (1366, 768, 1), (3840, 2160, 1), (4096, 2160, 2), (8192, 8192, 2)] {
            let edid = generate(width, height);
            assert_eq!(edid.len(), blocks * BLOCK, "{width}x{height}");
            for block in edid.chunks(BLOCK) {
                assert_eq!(block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
            }
        }
    }

    #[test]
    fn timings_are_those_of_reduced_blanking() {
        // cvt -r 1920 1080 60: 138.5 MHz, 2080 x 1111, sync 5.
        let timing = Timing::new(1920, 1080);
        assert_eq!((timing.v_sync, timing.v_blank, timing.clock), (5, 31, 13_865));
        let timing = Timing::new(1366, 768);
        assert_eq!((timing.v_sync, timing.v_blank), (10, 22));
    }

    #[test]
    fn the_rate_is_60_hz_at_every_size() {
        for width in [1, 17, 640, 1365, 1366, 4095, 4096, 8192] {
            for height in [1, 17, 480, 4095, 8192] {
                let timing = Timing::new(width, height);
                let frame = u64::from(width + H_BLANK) * u64::from(height + timing.v_blank);
                let millihertz = u64::from(timing.clock) * 10_000_000 / frame;
                assert!((59_900..=60_100).contains(&millihertz), "{width}x{height}: {millihertz} mHz");
            }
        }
    }
}

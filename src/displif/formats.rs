// SPDX-License-Identifier: GPL-3.0-or-later
//! The pixel formats that a guest may attach: those that Linux's frontend offers, all of one plane.

/// The DRM format code of four characters.
const fn code(name: [u8; 4]) -> u32 {
    u32::from_le_bytes(name)
}

/// DRM format codes and bits in a pixel.
const FORMATS: [(u32, u32); 9] = [
    (code(*b"RG16"), 16),
    (code(*b"RG24"), 24),
    (code(*b"XR24"), 32),
    (code(*b"AR24"), 32),
    (code(*b"XR12"), 16),
    (code(*b"AR12"), 16),
    (code(*b"XR15"), 16),
    (code(*b"AR15"), 16),
    (code(*b"YUYV"), 16),
];

/// Bits in a pixel of a format; `None` for a format that is not accepted.
#[must_use]
pub fn bits_per_pixel(fourcc: u32) -> Option<u32> {
    FORMATS.iter().find(|(code, _)| *code == fourcc).map(|(_, bits)| *bits)
}

/// Bytes in a line of `width` pixels of `bpp` bits, without padding; `None` when that is beyond 32 bits.
#[must_use]
pub fn tight_pitch(width: u32, bpp: u32) -> Option<u32> {
    let bits = u64::from(width).checked_mul(u64::from(bpp))?;
    u32::try_from(bits.div_ceil(8)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_nine_formats_only() {
        assert_eq!(bits_per_pixel(0x3432_5258), Some(32), "XR24");
        for unknown in [0, u32::MAX, code(*b"NV12"), code(*b"XR30"), code(*b"C8  ")] {
            assert_eq!(bits_per_pixel(unknown), None);
        }
    }

    #[test]
    fn lines_are_not_aligned() {
        assert_eq!(tight_pitch(1366, 32), Some(5464));
        assert_eq!(tight_pitch(17, 24), Some(51));
        assert_eq!(tight_pitch(1, 16), Some(2));
        assert_eq!(tight_pitch(u32::MAX, u32::MAX), None);
    }
}

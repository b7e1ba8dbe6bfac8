// SPDX-License-Identifier: GPL-3.0-or-later
//! The lab's own test picture, drawn by the guest's program and once more by the runner to compare. Each
//! pixel tells where it belongs, so that a wrong pitch, offset, size or channel order shows.

/// The colour 0xrrggbb of a pixel; pictures with different seeds differ in every pixel.
pub(crate) fn colour(x: u32, y: u32, seed: u32) -> u32 {
    let (red, green) = (x & 0xff, y & 0xff);
    let blue = (seed.wrapping_mul(0x35) ^ (x >> 8 << 4) ^ (y >> 8 << 6) ^ ((x ^ y) & 0x0f)) & 0xff;
    red << 16 | green << 8 | blue
}

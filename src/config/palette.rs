// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's colour where none is configured: it depends on the domain's name alone, so that it is the same
//! after each restart and on each machine.

use super::Rgb;

/// Clearly different, and dark enough for a white label.
const COLORS: [u32; 16] = [
    0x2f_6f_b5, 0x2e_7d_4f, 0xb5_4a_2f, 0x7a_4f_b3, 0x00_79_7a, 0xa8_3a_6d, 0x8a_6a_12, 0x45_59_a8, 0x5c_7a_1f,
    0xb0_3a_3a, 0x1f_75_9c, 0x94_52_1f, 0x5a_5f_6e, 0x8b_3f_9c, 0x3a_6e_3a, 0x9c_3f_50,
];

/// The colour that belongs to a domain's name.
pub(super) fn color_of(name: &str) -> Rgb {
    let index = hash(name) % u64::try_from(COLORS.len()).unwrap_or(1);
    let color = usize::try_from(index).ok().and_then(|index| COLORS.get(index)).copied().unwrap_or_default();
    let [_, red, green, blue] = color.to_be_bytes();
    Rgb { red, green, blue }
}

/// FNV-1a, 64 bits: short, and the same for all time, unlike the standard library's hasher.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The compositor's own cursor: an arrow whose upper left pixel is the place it points at.

use std::rc::Rc;

use super::element::Pixmap;

/// `#` is the outline, `.` the inside, a space is see-through.
const ARROW: [&str; 19] = [
    "#           ",
    "##          ",
    "#.#         ",
    "#..#        ",
    "#...#       ",
    "#....#      ",
    "#.....#     ",
    "#......#    ",
    "#.......#   ",
    "#........#  ",
    "#.........# ",
    "#..........#",
    "#......#####",
    "#...#..#    ",
    "#..##..#    ",
    "#.#  #..#   ",
    "##   #..#   ",
    "#     #..#  ",
    "      ####  ",
];

/// Draws the arrow.
#[must_use]
pub fn arrow() -> Rc<Pixmap> {
    let width = ARROW.iter().map(|line| line.len()).max().unwrap_or(0);
    let pixels = ARROW.iter().flat_map(|line| line.bytes()).flat_map(|mark| match mark {
        b'#' => [0, 0, 0, 255],
        b'.' => [255, 255, 255, 255],
        _ => [0; 4],
    });
    let side = |length: usize| u32::try_from(length).unwrap_or(0);
    Rc::new(Pixmap { width: side(width), height: side(ARROW.len()), pixels: pixels.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arrow_is_a_whole_picture_that_begins_at_its_point() {
        let arrow = arrow();
        assert!(ARROW.iter().all(|line| line.len() == ARROW[0].len()));
        assert_eq!(arrow.pixels.len(), usize::try_from(arrow.width * arrow.height * 4).unwrap());
        assert_eq!(arrow.pixels[..4], [0, 0, 0, 255]);
    }
}

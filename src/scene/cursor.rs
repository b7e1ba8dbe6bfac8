// SPDX-License-Identifier: GPL-3.0-or-later
//! What the pointer looks like: an arrow of our own, other shapes that clients may ask for by name, or, over a client's
//! window, a picture of the client's.

use std::rc::Rc;

use super::element::Pixmap;

/// A line of a drawing: `#` is black, `.` is white, a space is see-through.
type Drawing = &'static [&'static str];

const ARROW: Drawing = &[
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

const TEXT: Drawing = &[
    ".......", ".##.##.", "...#...", "  .#.  ", "  .#.  ", "  .#.  ", "  .#.  ", "  .#.  ", "  .#.  ", "  .#.  ",
    "  .#.  ", "  .#.  ", "...#...", ".##.##.", ".......",
];

const HAND: Drawing = &[
    "   ##       ",
    "  #..#      ",
    "  #..#      ",
    "  #..#      ",
    "  #..###    ",
    "  #..#..### ",
    " ##..#..#..#",
    "#.#........#",
    "#..........#",
    " #.........#",
    "  #........#",
    "  #.......# ",
    "   #......# ",
    "   #......# ",
    "   ######## ",
];

const CROSS: Drawing = &[
    "     ...     ",
    "     .#.     ",
    "     .#.     ",
    "     .#.     ",
    "     .#.     ",
    "......#......",
    ".###########.",
    "......#......",
    "     .#.     ",
    "     .#.     ",
    "     .#.     ",
    "     .#.     ",
    "     ...     ",
];

/// Also, with across for down, the horizontal one.
const VERTICAL: Drawing = &[
    "    .    ",
    "   .#.   ",
    "  .###.  ",
    " .#####. ",
    ".#######.",
    "....#....",
    "   .#.   ",
    "   .#.   ",
    "   .#.   ",
    "   .#.   ",
    "   .#.   ",
    "....#....",
    ".#######.",
    " .#####. ",
    "  .###.  ",
    "   .#.   ",
    "    .    ",
];

/// Also, with left for right, the rising one.
const FALLING: Drawing = &[
    ".......      ",
    ".#####.      ",
    ".####.       ",
    ".###.        ",
    ".##.#.       ",
    ".#. .#.      ",
    "..   .#.   ..",
    "      .#. .#.",
    "       .#.##.",
    "        .###.",
    "       .####.",
    "      .#####.",
    "      .......",
];

const FOUR_WAYS: Drawing = &[
    "      ...      ",
    "     ..#..     ",
    "    ..###..    ",
    "    ...#...    ",
    "  ... .#. ...  ",
    " ..#...#...#.. ",
    "..##...#...##..",
    ".#############.",
    "..##...#...##..",
    " ..#...#...#.. ",
    "  ... .#. ...  ",
    "    ...#...    ",
    "    ..###..    ",
    "     ..#..     ",
    "      ...      ",
];

const GLASS: Drawing = &[
    "###########",
    "#.........#",
    " #.......# ",
    " #.......# ",
    "  #.....#  ",
    "   #...#   ",
    "    #.#    ",
    "    #.#    ",
    "    #.#    ",
    "   #...#   ",
    "  #..#..#  ",
    " #..###..# ",
    " #.#####.# ",
    "#.........#",
    "###########",
];

/// The shapes that we draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// The usual one.
    #[default]
    Arrow,
    /// Over text.
    Text,
    /// Over a link.
    Hand,
    /// To point at a pixel.
    Cross,
    /// An upper or lower edge is moved.
    Vertical,
    /// A left or right edge is moved.
    Horizontal,
    /// The upper left corner, or the lower right one, is moved.
    Falling,
    /// The lower left corner, or the upper right one, is moved.
    Rising,
    /// Something is moved in all directions.
    FourWays,
    /// Something takes its time.
    Glass,
}

/// All shapes.
const SHAPES: [Shape; 10] = [
    Shape::Arrow,
    Shape::Text,
    Shape::Hand,
    Shape::Cross,
    Shape::Vertical,
    Shape::Horizontal,
    Shape::Falling,
    Shape::Rising,
    Shape::FourWays,
    Shape::Glass,
];

/// A cursor.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// What is drawn.
    pub picture: Rc<Pixmap>,
    /// The pixel of the picture that points at something; may lie beside it.
    pub hotspot: (i32, i32),
}

impl Cursor {
    /// Whether another one looks the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.picture, &other.picture) && self.hotspot == other.hotspot
    }
}

/// What the pointer is to look like.
#[derive(Clone, Debug)]
pub enum Look {
    /// One of our shapes.
    Shape(Shape),
    /// A client's picture.
    Client(Cursor),
}

impl Default for Look {
    fn default() -> Self {
        Self::Shape(Shape::default())
    }
}

/// Our shapes, each drawn once.
#[derive(Debug)]
pub(super) struct Shapes(Vec<(Shape, Cursor)>);

impl Shapes {
    pub(super) fn new() -> Self {
        Self(SHAPES.into_iter().map(|shape| (shape, draw(shape))).collect())
    }

    /// What a look is drawn as; nothing only if a shape was forgotten.
    pub(super) fn cursor(&self, look: Look) -> Option<Cursor> {
        match look {
            Look::Client(cursor) => Some(cursor),
            Look::Shape(shape) => self.0.iter().find(|(other, _)| *other == shape).map(|(_, cursor)| cursor.clone()),
        }
    }
}

/// Draws the arrow.
#[must_use]
pub fn arrow() -> Rc<Pixmap> {
    draw(Shape::Arrow).picture
}

fn draw(shape: Shape) -> Cursor {
    let (drawing, hotspot) = match shape {
        Shape::Arrow => (ARROW, (0, 0)),
        Shape::Text => (TEXT, (3, 7)),
        Shape::Hand => (HAND, (3, 0)),
        Shape::Cross => (CROSS, (6, 6)),
        Shape::Vertical => (VERTICAL, (4, 8)),
        Shape::Horizontal => (VERTICAL, (8, 4)),
        Shape::Falling | Shape::Rising => (FALLING, (6, 6)),
        Shape::FourWays => (FOUR_WAYS, (7, 7)),
        Shape::Glass => (GLASS, (5, 7)),
    };
    let mut lines: Vec<Vec<u8>> = drawing.iter().map(|line| line.bytes().collect()).collect();
    match shape {
        Shape::Horizontal => lines = across_for_down(&lines),
        Shape::Rising => lines.iter_mut().for_each(|line| line.reverse()),
        Shape::Arrow
        | Shape::Text
        | Shape::Hand
        | Shape::Cross
        | Shape::Vertical
        | Shape::Falling
        | Shape::FourWays
        | Shape::Glass => {}
    }
    Cursor { picture: picture(&lines), hotspot }
}

fn across_for_down(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let width = lines.iter().map(Vec::len).max().unwrap_or(0);
    (0..width).map(|x| lines.iter().filter_map(|line| line.get(x).copied()).collect()).collect()
}

fn picture(lines: &[Vec<u8>]) -> Rc<Pixmap> {
    let width = lines.iter().map(Vec::len).max().unwrap_or(0);
    let pixels = lines.iter().flatten().flat_map(|mark| match mark {
        b'#' => [0, 0, 0, 255],
        b'.' => [255, 255, 255, 255],
        _ => [0; 4],
    });
    let side = |length: usize| u32::try_from(length).unwrap_or(0);
    Rc::new(Pixmap { width: side(width), height: side(lines.len()), pixels: pixels.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arrow_begins_at_its_point() {
        assert_eq!(arrow().pixels[..4], [0, 0, 0, 255]);
    }

    #[test]
    fn each_shape_is_a_whole_picture_with_its_hotspot_on_it() {
        let shapes = Shapes::new();
        for shape in SHAPES {
            let Cursor { picture, hotspot: (x, y) } = shapes.cursor(Look::Shape(shape)).unwrap();
            let Pixmap { width, height, pixels } = &*picture;
            assert_eq!(pixels.len(), usize::try_from(width * height * 4).unwrap(), "{shape:?}");
            let pixel = usize::try_from(y * i32::try_from(*width).unwrap() + x).unwrap();
            assert_eq!(pixels[pixel * 4 + 3], 255, "{shape:?} is see-through where it points");
        }
    }
}

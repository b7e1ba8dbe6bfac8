// SPDX-License-Identifier: GPL-3.0-or-later
//! One output's picture as a list of elements: what the presentation backends are given.

use std::rc::Rc;

/// Names an output while it is there; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId(pub u32);

/// Names a guest buffer that a presentation backend has imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub u64);

/// Names an element from frame to frame, so that only what changed is drawn again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId(pub u64);

/// The pointer, on whichever output it is.
pub const CURSOR_ID: ElementId = ElementId(1);

/// A rectangle in pixels of an output (origin top left, y down) or of a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width, at least 0.
    pub width: i32,
    /// Height, at least 0.
    pub height: i32,
}

impl Rect {
    /// The first column to the right of it.
    #[must_use]
    pub const fn right(&self) -> i32 {
        self.x.saturating_add(self.width)
    }

    /// The first line below it.
    #[must_use]
    pub const fn bottom(&self) -> i32 {
        self.y.saturating_add(self.height)
    }

    /// Whether the two share a pixel.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// Whether all pixels of `other` are pixels of this one.
    #[must_use]
    pub const fn contains(&self, other: &Self) -> bool {
        self.x <= other.x && other.right() <= self.right() && self.y <= other.y && other.bottom() <= self.bottom()
    }

    /// What the two share, if they share a pixel.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        self.overlaps(other).then_some(Self { x, y, width: right - x, height: bottom - y })
    }
}

/// A width and a height in pixels, each at least 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Size {
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// How far a picture is turned clockwise where it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Upright.
    #[default]
    None,
    /// By 90 degrees: its upper edge is at the right.
    Right,
    /// By 180 degrees.
    Half,
    /// By 270 degrees: its upper edge is at the left.
    Left,
}

impl Rotation {
    /// The size that a picture of `size` takes when it is turned.
    #[must_use]
    pub const fn turn(self, size: Size) -> Size {
        match self {
            Self::None | Self::Half => size,
            Self::Right | Self::Left => Size { width: size.height, height: size.width },
        }
    }

    /// Where a part of a turned picture lies in the picture itself, which has `size` before it is turned.
    #[must_use]
    pub const fn turn_back(self, part: Rect, size: Size) -> Rect {
        let Rect { x, y, width, height } = part;
        match self {
            Self::None => part,
            Self::Right => Rect { x: y, y: size.height - x - width, width: height, height: width },
            Self::Half => Rect { x: size.width - x - width, y: size.height - y - height, width, height },
            Self::Left => Rect { x: size.width - y - height, y: x, width: height, height: width },
        }
    }

    /// Where what lies `below` the middle of a picture, by so many pixels, is when the picture is turned.
    #[must_use]
    pub const fn turn_down(self, below: i32) -> (i32, i32) {
        match self {
            Self::None => (0, below),
            Self::Right => (-below, 0),
            Self::Half => (0, -below),
            Self::Left => (below, 0),
        }
    }
}

/// A colour, opaque, components 0..=255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

/// A picture made by us: a label, a cursor. Premultiplied ARGB8888, little-endian, tightly packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixmap {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// `width * height * 4` bytes.
    pub pixels: Vec<u8>,
}

impl Pixmap {
    /// A part of the picture; `None` when the part is not within it.
    #[must_use]
    pub fn crop(&self, part: Rect) -> Option<Self> {
        let edge = |value: i32| usize::try_from(value).ok();
        let (left, top, width, height) = (edge(part.x)?, edge(part.y)?, edge(part.width)?, edge(part.height)?);
        let stride = usize::try_from(self.width).ok()?.checked_mul(4)?;
        let (start, length) = (left.checked_mul(4)?, width.checked_mul(4)?);
        if start.checked_add(length)? > stride {
            return None;
        }
        let mut pixels = Vec::with_capacity(length.checked_mul(height)?);
        for line in top..top.checked_add(height)? {
            let from = line.checked_mul(stride)?.checked_add(start)?;
            pixels.extend_from_slice(self.pixels.get(from..from.checked_add(length)?)?);
        }
        Some(Self { width: u32::try_from(width).ok()?, height: u32::try_from(height).ok()?, pixels })
    }
}

/// What an element shows.
#[derive(Clone, Debug)]
pub enum Content {
    /// A part of a guest's buffer. Always opaque, whatever its format says of alpha.
    Buffer {
        /// The buffer.
        buffer: BufferId,
        /// The part that is shown, in the buffer's pixels.
        source: Rect,
        /// Changes whenever the pixels may have changed.
        version: u64,
        /// Pixels in between are mixed from those around them where it is scaled; else the nearest one is taken.
        smooth: bool,
    },
    /// One colour.
    Solid(Color),
    /// Our own picture; drawn again when the `Rc` is another one.
    Pixmap(Rc<Pixmap>),
}

/// One thing to draw.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its name.
    pub id: ElementId,
    /// Where, in the output's pixels.
    pub target: Rect,
    /// What.
    pub content: Content,
    /// How the content is turned within the target.
    pub rotation: Rotation,
}

/// A whole picture of one output.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Front to back.
    pub elements: Vec<Element>,
    /// What shows where no element is.
    pub background: Color,
}

impl Frame {
    /// The same without the pointer; `None` where there is none in it.
    #[must_use]
    pub fn without_pointer(&self) -> Option<Self> {
        let elements: Vec<_> = self.elements.iter().filter(|element| element.id != CURSOR_ID).cloned().collect();
        (elements.len() < self.elements.len()).then_some(Self { elements, background: self.background })
    }

    /// The guest's buffer that an element shows; `None` for what is none of a guest's.
    #[must_use]
    pub fn buffer(&self, id: ElementId) -> Option<BufferId> {
        let element = self.elements.iter().find(|element| element.id == id)?;
        match element.content {
            Content::Buffer { buffer, .. } => Some(buffer),
            Content::Solid(_) | Content::Pixmap(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_takes_just_its_part() {
        let pixels = (0..4 * 3 * 2).collect();
        let picture = Pixmap { width: 3, height: 2, pixels };
        let part = picture.crop(Rect { x: 1, y: 1, width: 2, height: 1 });
        assert_eq!(part, Some(Pixmap { width: 2, height: 1, pixels: (16..24).collect() }));
        assert_eq!(picture.crop(Rect { x: 2, y: 0, width: 2, height: 1 }), None);
        assert_eq!(picture.crop(Rect { x: -1, y: 0, width: 2, height: 1 }), None);
        assert_eq!(picture.crop(Rect { x: 0, y: 1, width: 1, height: 2 }), None);
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! How a picture of one size is shown in an area of another: pure geometry.

use super::element::{Rect, Rotation, Size};

/// What is done about the difference in size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// Nothing: pixel for pixel in the middle, cropped on all sides where it is larger.
    #[default]
    Centre,
    /// As large as fits, in its own shape.
    Scale,
    /// The whole area, whatever becomes of its shape.
    Stretch,
    /// The whole area in its own shape; what is too much is cut off on two sides.
    Crop,
}

impl Fit {
    /// All of them, in the order in which the user goes through them.
    pub const ALL: [Self; 4] = [Self::Scale, Self::Centre, Self::Crop, Self::Stretch];

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        let mut rest = Self::ALL.into_iter().cycle().skip_while(|fit| *fit != self);
        rest.nth(1).unwrap_or_default()
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fit| fit.name() == name)
    }

    /// The word for it, in the configuration and in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Centre => "centre",
            Self::Scale => "scale",
            Self::Stretch => "stretch",
            Self::Crop => "crop",
        }
    }
}

/// Which part of a picture is shown where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The part, in the picture's own pixels, before it is turned.
    pub source: Rect,
    /// Where, in the pixels that the area is given in.
    pub target: Rect,
}

impl Fitted {
    /// The same with the part of a picture of `size` that begins at `corner`, or as near to it as there is one.
    #[must_use]
    pub fn beginning_at(self, corner: (i32, i32), size: Size) -> Self {
        let within = |at: i32, length: i32, whole: i32| at.min(whole.saturating_sub(length)).max(0);
        let Rect { width, height, .. } = self.source;
        let (x, y) = (within(corner.0, width, size.width), within(corner.1, height, size.height));
        Self { source: Rect { x, y, ..self.source }, ..self }
    }
}

/// Fits a picture of `size` (at least 1x1), turned by `rotation`, into an area. Of an area without pixels nothing
/// is used.
#[must_use]
pub fn fit(area: Rect, size: Size, fit: Fit, rotation: Rotation) -> Fitted {
    let turned = rotation.turn(size);
    let (width, height) = (Axis::new(area.width, turned.width), Axis::new(area.height, turned.height));
    let wide = i64::from(area.width) * i64::from(turned.height) >= i64::from(area.height) * i64::from(turned.width);
    let (across, down) = match (fit, wide) {
        (Fit::Centre, _) => (width.centre(), height.centre()),
        (Fit::Stretch, _) => (width.all(), height.all()),
        (Fit::Scale, true) => (width.shrunk(ratio(turned.width, area.height, turned.height)), height.all()),
        (Fit::Scale, false) => (width.all(), height.shrunk(ratio(turned.height, area.width, turned.width))),
        (Fit::Crop, true) => (width.all(), height.cut(ratio(turned.width, area.height, area.width))),
        (Fit::Crop, false) => (width.cut(ratio(turned.height, area.width, area.height)), height.all()),
    };
    let source = Rect { x: across.source.0, y: down.source.0, width: across.source.1, height: down.source.1 };
    let target = Rect {
        x: area.x.saturating_add(across.target.0),
        y: area.y.saturating_add(down.target.0),
        width: across.target.1,
        height: down.target.1,
    };
    Fitted { source: rotation.turn_back(source, size), target }
}

/// `value * up / down` to the nearest, at least 1.
fn ratio(value: i32, up: i32, down: i32) -> i32 {
    let (value, up, down) = (i64::from(value), i64::from(up), i64::from(down).max(1));
    i32::try_from(((2 * value * up + down) / (2 * down)).max(1)).unwrap_or(i32::MAX)
}

/// One direction: the lengths of the area and of the picture.
#[derive(Clone, Copy)]
struct Axis {
    area: i32,
    picture: i32,
}

/// Start and length, of what is shown and of where.
struct Spans {
    source: (i32, i32),
    target: (i32, i32),
}

impl Axis {
    const fn new(area: i32, picture: i32) -> Self {
        Self { area, picture }
    }

    const fn all(self) -> Spans {
        Spans { source: (0, self.picture), target: (0, self.area) }
    }

    fn centre(self) -> Spans {
        let length = self.area.min(self.picture);
        Spans { source: ((self.picture - length) / 2, length), target: ((self.area - length) / 2, length) }
    }

    /// The whole picture on `length` pixels in the middle.
    fn shrunk(self, length: i32) -> Spans {
        let length = length.min(self.area);
        Spans { source: (0, self.picture), target: ((self.area - length) / 2, length) }
    }

    /// The middle `length` pixels of the picture on the whole area.
    fn cut(self, length: i32) -> Spans {
        let length = length.min(self.picture);
        Spans { source: ((self.picture - length) / 2, length), target: (0, self.area) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect { x: 100, y: 50, width: 800, height: 400 };

    fn rect(x: i32, y: i32, width: i32, height: i32) -> Rect {
        Rect { x, y, width, height }
    }

    fn fitted(width: i32, height: i32, how: Fit, rotation: Rotation) -> (Rect, Rect) {
        let Fitted { source, target } = fit(AREA, Size { width, height }, how, rotation);
        (source, target)
    }

    #[test]
    fn a_centred_picture_is_never_scaled() {
        let centre = |width, height| fitted(width, height, Fit::Centre, Rotation::None);
        assert_eq!(centre(800, 400), (rect(0, 0, 800, 400), AREA));
        assert_eq!(centre(400, 300), (rect(0, 0, 400, 300), rect(300, 100, 400, 300)));
        assert_eq!(centre(1000, 300), (rect(100, 0, 800, 300), rect(100, 100, 800, 300)));
    }

    #[test]
    fn a_scaled_picture_keeps_its_shape_and_is_shown_whole() {
        let scale = |width, height| fitted(width, height, Fit::Scale, Rotation::None);
        assert_eq!(scale(400, 400), (rect(0, 0, 400, 400), rect(300, 50, 400, 400)));
        assert_eq!(scale(400, 100), (rect(0, 0, 400, 100), rect(100, 150, 800, 200)));
        assert_eq!(scale(1600, 800), (rect(0, 0, 1600, 800), AREA));
    }

    #[test]
    fn a_stretched_or_cropped_picture_fills_the_area() {
        assert_eq!(fitted(123, 45, Fit::Stretch, Rotation::None), (rect(0, 0, 123, 45), AREA));
        assert_eq!(fitted(400, 400, Fit::Crop, Rotation::None), (rect(0, 100, 400, 200), AREA));
        assert_eq!(fitted(400, 100, Fit::Crop, Rotation::None), (rect(100, 0, 200, 100), AREA));
    }

    #[test]
    fn a_turned_picture_takes_the_area_that_its_turned_size_needs() {
        assert_eq!(fitted(400, 800, Fit::Scale, Rotation::Right), (rect(0, 0, 400, 800), AREA));
        assert_eq!(fitted(300, 200, Fit::Centre, Rotation::Left), (rect(0, 0, 300, 200), rect(400, 100, 200, 300)));
        // Turned it is 100x400, of which the middle 50 lines fill the area.
        assert_eq!(fitted(400, 100, Fit::Crop, Rotation::Right), (rect(175, 0, 50, 100), AREA));
    }
}

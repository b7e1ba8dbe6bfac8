// SPDX-License-Identifier: GPL-3.0-or-later
//! Where input can go: what is shown where, on one plane that all outputs share.
//!
//! The outputs stand side by side on it, from left to right in their order, at a common top. A [`Stage`] is
//! a copy, so that whoever routes input can compare it with the last one.

use super::element::{OutputId, Rect, Rotation, Size};
pub use super::window::WindowId;

/// One output's part of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// The output.
    pub output: OutputId,
    /// Its part.
    pub rect: Rect,
}

/// A window that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which.
    pub window: WindowId,
    /// The output that shows it.
    pub output: OutputId,
    /// The window with its decoration, on the plane.
    pub outer: Rect,
    /// What the frame is around, on the plane: the guest's picture, and what is beside it where that has another shape.
    pub inside: Rect,
    /// What shows the guest's picture, on the plane; never empty.
    pub content: Rect,
    /// The part of the guest's picture that is shown there, in its own pixels.
    pub source: Rect,
    /// How it is turned there.
    pub rotation: Rotation,
    /// The guest's whole picture, in its own pixels.
    pub size: Size,
    /// Whether it has its output for itself.
    pub full_screen: bool,
}

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The window.
    pub window: WindowId,
    /// Whether it is the guest's picture.
    pub on_content: bool,
    /// Whether it is the border or label.
    pub on_frame: bool,
}

/// A place in a guest's picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestPoint {
    /// From the left, in its pixels: 0 to width - 1.
    pub x: i32,
    /// From the top, in its pixels: 0 to height - 1.
    pub y: i32,
    /// The picture's size.
    pub size: Size,
}

/// All that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// The outputs, from left to right.
    pub areas: Vec<Area>,
    /// The windows, front to back.
    pub spots: Vec<Spot>,
}

/// Puts the outputs side by side.
#[must_use]
pub fn side_by_side(outputs: impl IntoIterator<Item = (OutputId, Size)>) -> Vec<Area> {
    let mut x = 0_i32;
    let mut areas = Vec::new();
    for (output, size) in outputs {
        let rect = Rect { x, y: 0, width: size.width, height: size.height };
        x = rect.right();
        areas.push(Area { output, rect });
    }
    areas
}

impl Stage {
    /// Width and height of the plane; nothing is beyond it.
    #[must_use]
    pub fn size(&self) -> Size {
        let right = self.areas.iter().map(|area| area.rect.right()).max();
        let bottom = self.areas.iter().map(|area| area.rect.bottom()).max();
        Size { width: right.unwrap_or(0), height: bottom.unwrap_or(0) }
    }

    /// The output at a place.
    #[must_use]
    pub fn area_at(&self, x: i32, y: i32) -> Option<&Area> {
        self.areas.iter().find(|area| holds(&area.rect, x, y))
    }

    /// The place that lies on an output and is nearest; without an output, the origin.
    #[must_use]
    pub fn nearest(&self, x: i32, y: i32) -> (i32, i32) {
        let places = self.areas.iter().map(|area| nearest_in(&area.rect, x, y));
        let distance = |place: &(i32, i32)| {
            let (across, down) = (i64::from(place.0) - i64::from(x), i64::from(place.1) - i64::from(y));
            across * across + down * down
        };
        places.min_by_key(distance).unwrap_or_default()
    }

    /// The window at a place.
    #[must_use]
    pub fn at(&self, x: i32, y: i32) -> Option<Hit> {
        let area = self.area_at(x, y)?;
        let shown = |spot: &&Spot| spot.output == area.output && holds(&spot.outer, x, y);
        let spot = self.spots.iter().find(shown)?;
        let (on_content, on_frame) = (holds(&spot.content, x, y), !holds(&spot.inside, x, y));
        Some(Hit { window: spot.window, on_content, on_frame })
    }

    /// Whether a part of the plane shows a window's picture and nothing else.
    #[must_use]
    pub fn shows_only(&self, window: WindowId, part: &Rect) -> bool {
        let Some(index) = self.spots.iter().position(|spot| spot.window == window) else { return false };
        let (in_front, spot) = (self.spots.iter().take(index), self.spots.get(index));
        let within = self.visible(window).is_some_and(|visible| visible.contains(part));
        let on_it = |other: &Spot| spot.is_some_and(|spot| spot.output == other.output) && other.outer.overlaps(part);
        within && !in_front.into_iter().any(on_it)
    }

    /// A window that is shown.
    #[must_use]
    pub fn spot(&self, window: WindowId) -> Option<&Spot> {
        self.spots.iter().find(|spot| spot.window == window)
    }

    /// The part of a window's picture that an output shows, on the plane.
    #[must_use]
    pub fn visible(&self, window: WindowId) -> Option<Rect> {
        let spot = self.spot(window)?;
        let area = self.areas.iter().find(|area| area.output == spot.output)?;
        spot.content.intersection(&area.rect)
    }
}

impl Spot {
    /// The pixel of the guest's picture at a place; the nearest one for a place beside it. The first pixel of
    /// the content is the guest's first, the last is its last, however the picture is scaled.
    #[must_use]
    pub fn to_guest(&self, x: i32, y: i32) -> GuestPoint {
        let (x, y) = nearest_in(&self.content, x, y);
        let source = Size { width: self.source.width, height: self.source.height };
        let turned = self.rotation.turn(source);
        let pixel = Rect {
            x: scale(x - self.content.x, self.content.width, turned.width),
            y: scale(y - self.content.y, self.content.height, turned.height),
            width: 1,
            height: 1,
        };
        let pixel = self.rotation.turn_back(pixel, source);
        GuestPoint { x: self.source.x + pixel.x, y: self.source.y + pixel.y, size: self.size }
    }
}

/// The position among `to` pixels that corresponds to position `at` among `from` pixels: ends map to ends,
/// what lies between to the nearest.
#[must_use]
pub fn scale(at: i32, from: i32, to: i32) -> i32 {
    let (last_from, last_to) = (i64::from(from) - 1, i64::from(to) - 1);
    if last_from <= 0 || last_to <= 0 {
        return 0;
    }
    let scaled = (2 * i64::from(at) * last_to + last_from) / (2 * last_from);
    i32::try_from(scaled.clamp(0, last_to)).unwrap_or(0)
}

/// Whether a pixel is one of the rectangle's.
#[must_use]
pub const fn holds(rect: &Rect, x: i32, y: i32) -> bool {
    rect.x <= x && x < rect.right() && rect.y <= y && y < rect.bottom()
}

/// The rectangle's pixel that is nearest.
#[must_use]
pub fn nearest_in(rect: &Rect, x: i32, y: i32) -> (i32, i32) {
    let last = |from: i32, end: i32| from.max(end.saturating_sub(1));
    (x.clamp(rect.x, last(rect.x, rect.right())), y.clamp(rect.y, last(rect.y, rect.bottom())))
}

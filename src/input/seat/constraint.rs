// SPDX-License-Identifier: GPL-3.0-or-later
//! A client keeps the pointer where it is, or within a part of its window. It has that as long as the pointer is over
//! that, and until the user takes it back: by a chord, by moving a window, or by giving the focus to another one.

use super::{Outcome, Seat};
use crate::scene::element::Rect;
use crate::scene::focus::WindowId;

/// Where the pointer may be, on the plane of all outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Nowhere else.
    pub whole: Rect,
    /// Which parts are within, and which are not: for a pixel the last one counts that it is in.
    pub parts: Vec<(bool, Rect)>,
}

impl Bounds {
    /// Whether a pixel is within.
    #[must_use]
    pub fn contain(&self, (x, y): (i32, i32)) -> bool {
        let pixel = Rect { x, y, width: 1, height: 1 };
        let part = self.parts.iter().rev().find(|(_, part)| part.overlaps(&pixel));
        self.whole.overlaps(&pixel) && part.is_some_and(|(within, _)| *within)
    }
}

/// What a client wants of the pointer that is over its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// The window.
    pub window: WindowId,
    /// The pointer stays where it is, and its client hears how far it would have moved; else it stays within.
    pub lock: bool,
    /// It begins when the pointer is there.
    pub bounds: Bounds,
}

/// Where the pointer comes to be that is within and is moved elsewhere: as far as the edge, and then along that.
pub(super) fn nearest_within(within: impl Fn((i32, i32)) -> bool, from: (i32, i32), to: (i32, i32)) -> (i32, i32) {
    if within(to) {
        return to;
    }
    let edge = last_within(&within, from, to);
    let across = last_within(&within, edge, (to.0, edge.1));
    last_within(&within, across, (across.0, to.1))
}

/// The last pixel that is within on the way from one that is.
fn last_within(within: impl Fn((i32, i32)) -> bool, from: (i32, i32), to: (i32, i32)) -> (i32, i32) {
    const STEPS: u32 = 16;
    let at = |part: i64| {
        let along = |from: i32, to: i32| {
            let way = (i64::from(to) - i64::from(from)) * part;
            i32::try_from(i64::from(from) + (way >> STEPS)).unwrap_or(from)
        };
        (along(from.0, to.0), along(from.1, to.1))
    };
    let (mut good, mut bad) = (0, 1 << STEPS);
    if within(at(bad)) {
        return to;
    }
    while bad - good > 1 {
        let middle = i64::midpoint(good, bad);
        if within(at(middle)) { good = middle } else { bad = middle }
    }
    at(good)
}

impl Seat {
    /// What a client wants of the pointer; whether it has that. To be asked again after whatever the user does.
    pub fn constrain(&mut self, wanted: Option<Constraint>) -> bool {
        let within = |wanted: &Constraint| wanted.bounds.contain(self.pointer.pixel());
        self.constraint = wanted.filter(within);
        self.constraint().is_some()
    }

    /// What holds of the pointer now.
    pub(super) fn constraint(&self) -> Option<&Constraint> {
        self.constraint.as_ref().filter(|constraint| {
            let window = Some(constraint.window);
            self.live() && self.pointed() == window && self.taken_back != window
        })
    }

    /// The user wants the pointer back, until that window gets the focus or is clicked into.
    pub(super) fn take_pointer_back(&mut self) {
        if let Some(constraint) = self.constraint.take() {
            self.taken_back = Some(constraint.window);
        }
    }

    /// The user has turned to a window.
    pub(super) fn give_pointer(&mut self, window: WindowId) {
        self.taken_back = self.taken_back.filter(|taken| *taken != window);
    }

    /// A client hears how far the pointer has moved, or would have.
    pub(super) fn tell_moved(&mut self, by: (i32, i32), raw: (i32, i32)) {
        let hears = |window: &WindowId| self.world.device(*window).is_some_and(|device| device.beyond);
        let window = self.pointed().filter(|window| self.live() && hears(window));
        self.out.extend(window.map(|window| Outcome::Moved { window, by, raw }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_goes_along_an_edge_and_stays_within() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        // A frame of 10 pixels around a hole, which reaches beyond what is there of it.
        let parts = vec![(true, rect(100, 100, 900, 40)), (false, rect(110, 110, 40, 20))];
        let bounds = Bounds { whole: rect(0, 0, 160, 200), parts };
        for (from, to, wanted) in [
            ((105, 105), (120, 105), (120, 105)),
            ((105, 105), (500, 105), (159, 105)),
            ((105, 105), (500, -500), (159, 100)),
            ((105, 105), (-500, 120), (100, 120)),
            ((120, 105), (120, 125), (120, 109)),
            ((120, 105), (130, 125), (130, 109)),
        ] {
            let found = nearest_within(|place| bounds.contain(place), from, to);
            assert!(bounds.contain(found), "{from:?} to {to:?}: {found:?}");
            let off = (found.0 - wanted.0).abs().max((found.1 - wanted.1).abs());
            assert!(off <= 1, "{from:?} to {to:?}: {found:?}, not {wanted:?}");
        }
        assert!(!Bounds::default().contain((0, 0)));
    }
}

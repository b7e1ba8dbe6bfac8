// SPDX-License-Identifier: GPL-3.0-or-later
//! A window that the user holds: it is moved, or its edges are. No guest hears of it.
//!
//! By its frame with the left button: the title bar moves it, a border or corner changes its size. Anywhere while the
//! reserved key is held: the left button moves it, the right one takes the nearest corner, the
//! middle one draws along the picture of which not all is seen. And as a client asks for its
//! own window, by a button that is down in that.

use super::{Outcome, Seat};
use crate::scene::element::Rect;
use crate::scene::focus::{Spot, WindowId};
use crate::scene::layout::Edges;

/// Linux's codes of the left and the right button.
pub(super) const BTN_LEFT: u32 = 0x110;
const BTN_RIGHT: u32 = 0x111;
const BTN_MIDDLE: u32 = 0x112;

/// Pixels along a border, from its end, that are a corner's.
const CORNER: i32 = 24;

/// A window that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldWindow {
    pub(super) window: WindowId,
    /// The button that holds it.
    pub(super) button: u32,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Pixels from the window's upper left corner, frame included.
    Move { grip: (i32, i32) },
    /// The window at the beginning, and where the pointer was.
    Resize { from: Rect, edges: Edges, at: (i32, i32) },
    /// The corner of what was seen of the picture at the beginning, and where the pointer was.
    Pan { from: (i32, i32), at: (i32, i32) },
}

impl Seat {
    /// The left button went down on a window's frame.
    pub(super) fn hold_frame(&mut self, window: WindowId) {
        let Some(spot) = self.world.stage.spot(window) else { return };
        let edges = edges_at(spot, self.pointer.pixel());
        self.hold(window, BTN_LEFT, edges);
    }

    /// A button went down while the reserved key is held.
    pub(super) fn take_hold(&mut self, button: u32) {
        if !matches!(button, BTN_LEFT | BTN_RIGHT | BTN_MIDDLE) || !self.live() || self.grabbed().is_some() {
            return;
        }
        self.take_pointer_back();
        let Some(hit) = self.world.hit(self.pointer.pixel()) else { return };
        let Some(spot) = self.world.stage.spot(hit.window) else { return };
        let edges = if button == BTN_LEFT { Edges::default() } else { nearest_corner(spot, self.pointer.pixel()) };
        let (at, from) = (self.pointer.pixel(), (spot.source.x, spot.source.y));
        let pan = (button == BTN_MIDDLE && !spot.full_screen).then_some(How::Pan { from, at });
        self.focus_window(hit.window);
        match pan {
            Some(how) => self.hold_so(hit.window, button, how),
            None if button == BTN_MIDDLE => {}
            None => self.hold(hit.window, button, edges),
        }
    }

    /// A client asks that its window is held by a button that is down in it: moved, or these edges of it. Nothing
    /// happens when no such button is down, or the window is full screen.
    pub fn hold_as_asked(&mut self, window: WindowId, button: u32, edges: Edges) {
        let down = self.world.owner(window).is_some_and(|owner| self.views.holds(owner, button));
        if down && self.live() && self.held_window.is_none() && self.grabbed().is_none() {
            self.hold(window, button, edges);
        }
    }

    fn hold(&mut self, window: WindowId, button: u32, edges: Edges) {
        let Some(spot) = self.world.stage.spot(window).filter(|spot| !spot.full_screen) else { return };
        let (at, from) = (self.pointer.pixel(), spot.outer);
        let how = if edges == Edges::default() {
            How::Move { grip: (at.0 - from.x, at.1 - from.y) }
        } else {
            How::Resize { from, edges, at }
        };
        self.hold_so(window, button, how);
    }

    fn hold_so(&mut self, window: WindowId, button: u32, how: How) {
        self.held_window = Some(HeldWindow { window, button, how });
        // A client loses the pointer meanwhile; it has to hear of it again, also at the same place.
        self.pointer.forget_told();
    }

    /// The pointer has moved; whether a window is held by it.
    pub(super) fn drag_window(&mut self) -> bool {
        let Some(HeldWindow { window, how, .. }) = self.held_window else { return false };
        let (x, y) = self.pointer.pixel();
        self.out.push(match how {
            How::Move { grip } => Outcome::Move { window, at: (x, y), grip },
            How::Resize { from, edges, at } => Outcome::Resize { window, from, edges, by: (x - at.0, y - at.1) },
            How::Pan { from, at } => Outcome::Pan { window, from, by: (x - at.0, y - at.1) },
        });
        true
    }
}

/// The edges that a place of a frame is near to; none in the title bar, which moves the window.
fn edges_at(spot: &Spot, (x, y): (i32, i32)) -> Edges {
    let (outer, inside) = (spot.outer, spot.inside);
    if y < inside.y {
        return Edges::default();
    }
    let side = |before: bool, after: bool| i32::from(after) - i32::from(before);
    let (left, right, below) = (x < inside.x, x >= inside.right(), y >= inside.bottom());
    let beside = left || right;
    Edges {
        across: side(left || (below && x < outer.x + CORNER), right || (below && x >= outer.right() - CORNER)),
        down: side(false, below || (beside && y >= outer.bottom() - CORNER)),
    }
}

fn nearest_corner(spot: &Spot, (x, y): (i32, i32)) -> Edges {
    let outer = spot.outer;
    let half = |at: i32, start: i32, length: i32| if at - start < length / 2 { -1 } else { 1 };
    Edges { across: half(x, outer.x, outer.width), down: half(y, outer.y, outer.height) }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The pointer: where it is, who has it, and what its buttons and wheel do.

use super::constraint::nearest_within;
use super::hold::{BTN_LEFT, HeldWindow};
use super::{Outcome, Seat};
use crate::backend::input::{Axis, Fraction};
use crate::input::GuestEvent;
use crate::input::world::PointerKind;
use crate::scene::focus::{Stage, WindowId, nearest_in};

/// Parts of a pixel in which motion is counted.
const PARTS: i32 = 256;

/// Who has the pointer for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grab {
    /// It stays within the window's content.
    Confined(WindowId),
    /// It stays where it is, and the window's guest gets its motion.
    Locked(WindowId),
}

impl Grab {
    const fn window(self) -> WindowId {
        match self {
            Self::Confined(window) | Self::Locked(window) => window,
        }
    }
}

/// Where the pointer is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pointer {
    /// On the plane of all outputs, in 1/256 pixel.
    x: i32,
    y: i32,
    /// Whether any device has moved it.
    seen: bool,
    /// What is left of motion after whole units were told.
    rest: (i32, i32),
    /// The last position that a guest was told.
    told: Option<(WindowId, i32, i32)>,
}

impl Pointer {
    pub(super) const fn pixel(&self) -> (i32, i32) {
        (self.x.div_euclid(PARTS), self.y.div_euclid(PARTS))
    }

    pub(super) const fn forget_told(&mut self) {
        self.told = None;
    }

    /// Moves to a pixel's middle, unless it is on that pixel.
    fn move_to(&mut self, pixel: (i32, i32)) {
        if self.pixel() != pixel {
            let middle = |at: i32| at.saturating_mul(PARTS).saturating_add(PARTS / 2);
            (self.x, self.y) = (middle(pixel.0), middle(pixel.1));
        }
    }
}

/// The pixel of the plane at a fraction of it.
pub(super) fn pixel_at(stage: &Stage, place: Fraction) -> (i32, i32) {
    let size = stage.size();
    let part = |part: u32, whole: i32| {
        let pixel = (u64::from(part) * u64::try_from(whole).unwrap_or(0)) >> 32;
        i32::try_from(pixel).unwrap_or(0)
    };
    stage.nearest(part(place.x, size.width), part(place.y, size.height))
}

impl Seat {
    /// Where the pointer is, whoever draws it; `None` where a guest has it for itself, or there is none.
    #[must_use]
    pub fn pointed_at(&self) -> Option<(i32, i32)> {
        let locked = matches!(self.grab, Some(Grab::Locked(_)));
        (self.pointer.seen && !self.paused && !locked).then(|| self.pointer.pixel())
    }

    /// The pixel of a part of all outputs.
    #[must_use]
    pub fn pixel(&self, place: Fraction) -> (i32, i32) {
        pixel_at(&self.world.stage, place)
    }

    /// Where the cursor has to be drawn, on the plane of all outputs; `None` where a guest draws its own, has
    /// the pointer for itself, or there is no pointer.
    #[must_use]
    pub fn cursor(&self) -> Option<(i32, i32)> {
        let place = self.pointer.pixel();
        if !self.pointer.seen || self.paused {
            return None;
        }
        if self.attention {
            return Some(place);
        }
        let locked = matches!(self.grab, Some(Grab::Locked(_)));
        let theirs = self.drag().or_else(|| self.under_pointer()).is_some_and(|window| self.world.own_cursor(window));
        (!locked && !theirs).then_some(place)
    }

    pub(super) fn motion(&mut self, (dx, dy): (i32, i32), raw: (i32, i32)) {
        self.pointer.seen = true;
        if let Some(Grab::Locked(window)) = self.grab {
            return self.move_locked(window, raw);
        }
        self.tell_moved((dx, dy), raw);
        self.move_kept(|seat| {
            seat.pointer.x = seat.pointer.x.saturating_add(dx);
            seat.pointer.y = seat.pointer.y.saturating_add(dy);
        });
    }

    pub(super) fn position(&mut self, place: Fraction) {
        self.pointer.seen = true;
        if matches!(self.grab, Some(Grab::Locked(_))) {
            // A tablet has no motion that could be passed on, and the cursor stays where it was.
            return;
        }
        let pixel = pixel_at(&self.world.stage, place);
        self.move_kept(|seat| seat.pointer.move_to(pixel));
    }

    /// Moves the pointer as far as the client lets it that keeps it.
    fn move_kept(&mut self, go: impl FnOnce(&mut Self)) {
        let (constraint, from) = (self.constraint().cloned(), self.pointer.pixel());
        if constraint.as_ref().is_some_and(|constraint| constraint.lock) {
            return;
        }
        go(self);
        self.pull_pointer_in();
        if let Some(constraint) = constraint {
            let within =
                |place| constraint.bounds.contain(place) && self.world.content_at(place) == Some(constraint.window);
            let place = nearest_within(within, from, self.pointer.pixel());
            self.pointer.move_to(place);
        }
        self.pointer_moved();
    }

    fn pointer_moved(&mut self) {
        if !self.drag_window() {
            self.deliver_position();
        }
    }

    fn move_locked(&mut self, window: WindowId, (raw_dx, raw_dy): (i32, i32)) {
        let take = |rest: &mut i32, raw: i32| {
            let sum = rest.saturating_add(raw);
            *rest = sum % PARTS;
            sum / PARTS
        };
        let dx = take(&mut self.pointer.rest.0, raw_dx);
        let dy = take(&mut self.pointer.rest.1, raw_dy);
        if (dx, dy) != (0, 0) {
            self.tell(window, GuestEvent::Motion { dx, dy });
        }
    }

    /// Keeps the pointer on the outputs, and within the window that it is confined to.
    pub(super) fn pull_pointer_in(&mut self) {
        let (x, y) = self.pointer.pixel();
        let mut place = self.world.stage.nearest(x, y);
        if let Some(Grab::Confined(window)) = self.grab
            && let Some(visible) = self.world.stage.visible(window)
        {
            place = nearest_in(&visible, place.0, place.1);
        }
        self.pointer.move_to(place);
    }

    /// A window that is hidden, or whose guest can't have the pointer any longer, has no grab.
    pub(super) fn check_grab(&mut self) {
        let world = &self.world;
        self.grab = self.grab.filter(|grab| match grab {
            Grab::Locked(window) => world.pointer(*window) == Some(PointerKind::Relative),
            Grab::Confined(window) => world.pointer(*window).is_some() && world.confines(*window),
        });
        self.drag = self.drag.filter(|window| world.pointer(*window).is_some());
        let still = |held: &HeldWindow| world.stage.spot(held.window).is_some_and(|spot| !spot.full_screen);
        self.held_window = self.held_window.filter(still);
    }

    /// The pointer was brought to a window: it is locked to it or confined where that is wanted. Whether it
    /// was locked just now.
    pub(super) fn engage(&mut self, window: WindowId) -> bool {
        if !self.live() {
            return false;
        }
        match self.world.pointer(window) {
            Some(PointerKind::Relative) => {
                let new = self.grab != Some(Grab::Locked(window));
                self.grab = Some(Grab::Locked(window));
                self.pointer.rest = (0, 0);
                new
            }
            Some(PointerKind::Absolute) => {
                if self.world.confines(window) && self.pointer.seen {
                    self.grab = Some(Grab::Confined(window));
                    self.pull_pointer_in();
                }
                false
            }
            None => false,
        }
    }

    /// The window that a button is held in.
    fn drag(&self) -> Option<WindowId> {
        self.drag.filter(|window| self.world.owner(*window).is_some_and(|owner| self.views.holds_button(owner)))
    }

    /// The window under the pointer, if it may be told of the pointer: that with the focus, or another one of
    /// the same guest.
    fn under_pointer(&self) -> Option<WindowId> {
        let window = self.world.content_at(self.pointer.pixel())?;
        self.focus.is_some_and(|focus| self.world.same_owner(focus, window)).then_some(window)
    }

    /// The window that gets what the pointer does.
    #[must_use]
    pub fn pointed(&self) -> Option<WindowId> {
        if self.held_window.is_some() {
            return None;
        }
        if let Some(Grab::Locked(window)) = self.grab {
            return Some(window);
        }
        match self.drag() {
            // A guest's windows are one space: its drags go from one to the other.
            Some(drag) => {
                Some(self.under_pointer().filter(|under| self.world.same_owner(drag, *under)).unwrap_or(drag))
            }
            None => self.under_pointer(),
        }
    }

    /// Tells the guest under the pointer where it is, if it does not know.
    pub(super) fn deliver_position(&mut self) {
        let pointed = self.pointed();
        if pointed.is_none() {
            // Clients are told that it has left them: when it comes back to the same place, that is news.
            self.pointer.forget_told();
        }
        let Some(window) = pointed.filter(|_| self.live() && self.pointer.seen) else { return };
        if self.world.pointer(window) != Some(PointerKind::Absolute) {
            return;
        }
        let Some((x, y)) = self.world.place_in(window, self.pointer.pixel()) else { return };
        let told = Some((window, x, y));
        if self.pointer.told != told {
            self.pointer.told = told;
            self.tell(window, GuestEvent::Position { x, y });
        }
    }

    /// A button that nothing of ours wants.
    pub(super) fn button_pressed(&mut self, code: u32) {
        if !self.live() {
            return;
        }
        if self.drag().is_none() && !matches!(self.grab, Some(Grab::Locked(_))) {
            let locked = self.click(code);
            if locked {
                // It is unrelated to where the guest has its pointer.
                return;
            }
        }
        let Some(window) = self.pointed().filter(|window| self.world.pointer(*window).is_some()) else { return };
        if self.world.pointer(window) == Some(PointerKind::Relative) && self.grab != Some(Grab::Locked(window)) {
            return;
        }
        self.deliver_position();
        self.drag = self.drag().or(Some(window));
        self.tell_pressed(window, code);
    }

    /// The focus follows a click; a click beside all guests, or on one that may have nothing, takes it from
    /// everybody. With the left button a window is held by its frame. Whether the click locked the pointer.
    fn click(&mut self, code: u32) -> bool {
        let hit = self.world.hit(self.pointer.pixel());
        let window = hit.map(|hit| hit.window).filter(|window| self.world.may_focus(*window));
        if self.focus == window {
            // It comes to the front also if it has the focus.
            self.out.push(Outcome::Focus(window));
        }
        self.set_focus(window);
        if let Some(hit) = hit.filter(|hit| hit.on_frame && code == BTN_LEFT) {
            self.hold_frame(hit.window);
        }
        let nobodys = hit.filter(|hit| !hit.on_frame && self.world.target(hit.window).is_none());
        self.out.extend(nobodys.map(|hit| Outcome::Dismiss(hit.window)));
        let content = hit.filter(|hit| hit.on_content).map(|hit| hit.window).filter(|hit| Some(*hit) == window);
        if let Some(window) = content {
            self.give_pointer(window);
        }
        content.is_some_and(|window| self.engage(window))
    }

    pub(super) fn turn(&mut self, axis: Axis, v120: i32) {
        if axis == Axis::Horizontal || !self.live() || self.reserved() {
            return;
        }
        let Some(window) = self.pointed().filter(|window| self.world.pointer(*window).is_some()) else { return };
        let clicks = self.wheel.turn(v120);
        if clicks != 0 {
            self.deliver_position();
            self.tell(window, GuestEvent::Wheel { clicks: clicks.saturating_neg() });
        }
    }

    /// Whether the pointer is locked to a window, or kept within it; which.
    #[must_use]
    pub fn grabbed(&self) -> Option<WindowId> {
        self.grab.map(Grab::window)
    }
}

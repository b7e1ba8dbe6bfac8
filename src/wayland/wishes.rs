// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients want to become of their windows, and what they are told of it.
//!
//! A client may have its window moved only by a button that the user holds down in it, and no window leaves its frame
//! by itself: one that wants to be full screen gets all of its output but for the frame, so that whose it is stays to
//! be seen. Only the user's chord takes the frame away.

use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::{ResizeEdge, State, WmCapabilities};
use smithay::utils::Serial;
use smithay::wayland::shell::xdg::ToplevelSurface;

use super::server::{Server, Toplevel};
use super::{Event, ToplevelId};
use crate::scene::layout::{Edges, Region};

/// What a client may ask for; there is no window menu.
pub(super) const CAPABILITIES: [WmCapabilities; 3] =
    [WmCapabilities::Maximize, WmCapabilities::Fullscreen, WmCapabilities::Minimize];

/// The states of a window that has a part of its output; the last four are those of edges that are at the part's.
const STATES: [State; 6] =
    [State::Maximized, State::Fullscreen, State::TiledTop, State::TiledBottom, State::TiledLeft, State::TiledRight];

/// A button that a client was told to be down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Down {
    /// Linux's code.
    pub(super) button: u32,
    pub(super) serial: Serial,
    pub(super) window: ToplevelId,
}

/// How a window stands, as its client wants it and as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) maximised: bool,
    pub(super) full_screen: bool,
    region: Option<Region>,
    /// Its client waits for an answer, also when nothing has changed.
    pub(super) answer: bool,
}

impl Standing {
    pub(super) const fn wants_whole(self) -> bool {
        self.maximised || self.full_screen
    }

    /// Whether each of [`STATES`] holds.
    fn states(self) -> [bool; 6] {
        let (left, right) = (self.region == Some(Region::LeftHalf), self.region == Some(Region::RightHalf));
        let tile = self.region.is_some_and(Region::is_tile);
        let half = left || right || tile;
        [self.maximised, self.full_screen, half, half, left || tile, right || tile]
    }
}

impl Toplevel {
    /// The window has this part of its output now. What its client has wanted before is over with the whole.
    pub(super) fn set_region(&mut self, region: Option<Region>) {
        let before = self.standing;
        let whole = region == Some(Region::Whole);
        let full_screen = whole && before.full_screen;
        let maximised = whole && (before.maximised || !full_screen);
        self.standing = Standing { maximised, full_screen, region, ..before };
        if self.standing != before || before.answer {
            let states = self.standing.states();
            self.surface.set_states(STATES.into_iter().zip(states));
        }
    }

    /// Tells the client what has changed, or what it waits to hear.
    pub(super) fn send_configure(&mut self) {
        if !self.surface.is_initial_configure_sent() {
            return;
        }
        if std::mem::take(&mut self.standing.answer) {
            self.surface.send_configure();
        } else {
            self.surface.send_pending_configure();
        }
    }
}

impl Server {
    /// A client wants that its window is held by the button whose press had this serial.
    pub(super) fn wants_hold(&mut self, surface: &ToplevelSurface, serial: Serial, edges: Edges) {
        let window = self.toplevel_of(surface.wl_surface());
        match self.down.iter().find(|down| down.serial == serial && Some(down.window) == window) {
            Some(Down { button, window, .. }) => {
                self.events.push(Event::Hold { window: *window, button: *button, edges });
            }
            None => tracing::debug!("a client would move its window, but no button is down in it with that serial"),
        }
    }

    /// A client wants its window to stand otherwise. Before the window is there, it is remembered.
    pub(super) fn wants(&mut self, surface: &ToplevelSurface, change: impl FnOnce(&mut Standing)) {
        let Some(window) = self.toplevel_of(surface.wl_surface()) else { return };
        let Some(toplevel) = self.toplevels.get_mut(&window) else { return };
        change(&mut toplevel.standing);
        toplevel.standing.answer = true;
        let whole = toplevel.standing.wants_whole();
        self.events.extend(toplevel.picture.is_some().then_some(Event::Whole { window, whole }));
    }

    pub(super) fn wants_minimised(&mut self, surface: &ToplevelSurface) {
        let window = self.toplevel_of(surface.wl_surface());
        let mapped = window.filter(|id| self.toplevels.get(id).is_some_and(|toplevel| toplevel.picture.is_some()));
        self.events.extend(mapped.map(Event::Minimise));
    }
}

/// The protocol's edges are bits: above, below, left, right.
pub(super) fn edges(edges: ResizeEdge) -> Edges {
    let bits = u32::from(edges);
    let bit = |bit: u32| i32::from(bits & bit != 0);
    Edges { across: bit(8) - bit(4), down: bit(2) - bit(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_that_clients_name_are_those_that_move() {
        let named = [
            (ResizeEdge::None, (0, 0)),
            (ResizeEdge::Top, (0, -1)),
            (ResizeEdge::BottomLeft, (-1, 1)),
            (ResizeEdge::Right, (1, 0)),
            (ResizeEdge::TopRight, (1, -1)),
        ];
        for (name, (across, down)) in named {
            assert_eq!(edges(name), Edges { across, down }, "{name:?}");
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A locked session: each output shows what the lock shows there, or nothing.

use super::dock::Level;
use super::element::{Color, Frame, OutputId};
use super::focus::{self, Stage};
use super::window::{Window, WindowId};
use super::{Scene, SceneOutput, banner_element};

/// What shows on an output for which the lock has nothing.
const NOTHING: Color = Color { red: 0, green: 0, blue: 0 };

impl Scene {
    /// Shows nothing but docks of [`Level::Lock`], or no longer. Each output is drawn once more in any case: somebody
    /// waits for that.
    pub fn set_locked(&mut self, locked: bool) {
        self.locked = locked;
        self.damage_all();
    }

    /// Whether the session is locked.
    #[must_use]
    pub const fn locked(&self) -> bool {
        self.locked
    }

    /// What is where, for input.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let areas = focus::side_by_side(self.outputs.iter().map(|output| (output.id, output.size)));
        let spots = if self.locked {
            self.docks
                .iter()
                .filter(|docked| docked.level() == Level::Lock)
                .filter_map(|docked| docked.spot(&areas))
                .collect()
        } else {
            self.layout.get().spots(self.view(), &areas)
        };
        Stage { areas, spots }
    }

    /// The picture of an output while the session is locked. Secure attention takes away what the lock shows, too.
    pub(super) fn locked_frame(&self, output: SceneOutput) -> Frame {
        let mut frame = Frame { elements: Vec::new(), background: NOTHING };
        frame.elements.extend(self.cursor_on(output.id));
        if self.attention {
            frame.elements.extend(self.banner.as_ref().and_then(|banner| banner_element(banner, output.size)));
        } else {
            frame.elements.extend(self.lock_on(output.id).map(|docked| docked.element()));
        }
        frame
    }

    /// A window, unless the session is locked.
    pub(super) fn shown(&self, id: WindowId) -> Option<&Window> {
        self.window(id).filter(|_| !self.locked)
    }

    fn lock_on(&self, output: OutputId) -> Option<&super::dock::Docked> {
        self.docks.iter().find(|docked| docked.level() == Level::Lock && docked.output() == output)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Where guests' windows are and were: for the guests that come back, and for the next compositor.

use super::Scene;
use super::arrangement::Layout;
use super::element::{OutputId, Size};
use super::fit::Fit;

/// How a guest's window was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The domain's name.
    pub guest: String,
    /// The connector's number.
    pub connector: u32,
    /// The output.
    pub output: OutputId,
    /// Its upper left corner there, frame included, in pixels.
    pub corner: (i32, i32),
    /// The size inside of the frame, if the user had changed that; each side at least 1 and at most 16384.
    pub area: Option<Size>,
    /// How the picture is shown in that, if the user had decided about it.
    pub fit: Option<Fit>,
}

impl Remembered {
    pub(super) fn is_of(&self, (guest, connector): &(String, u32)) -> bool {
        (&self.guest, &self.connector) == (guest, connector)
    }
}

impl Scene {
    /// How the guests' windows are, and how those were of guests that are gone where the user had put them somewhere;
    /// none in a kiosk.
    #[must_use]
    pub fn remembered(&self) -> Vec<Remembered> {
        match &self.layout {
            Layout::Desktop(desktop) => desktop.remembered(self.view()),
            Layout::Kiosk(_) => Vec::new(),
        }
    }

    /// Puts the windows of guests that are not there yet where they were.
    pub fn remember(&mut self, places: Vec<Remembered>) {
        if let Layout::Desktop(desktop) = &mut self.layout {
            desktop.remember(places);
        }
    }

    /// Whether a window may be somewhere else since the last call.
    pub fn take_rearranged(&mut self) -> bool {
        match &mut self.layout {
            Layout::Desktop(desktop) => desktop.take_rearranged(),
            Layout::Kiosk(_) => false,
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Guests' windows one by one, for lists of them.

use super::element::{OutputId, Size};
use super::window::WindowId;
use super::{Scene, WindowLabel};

/// A guest's window.
#[derive(Clone, Copy, Debug)]
pub struct GuestWindow<'a> {
    /// Whose it is.
    pub label: &'a WindowLabel,
    /// The size of its picture, in the guest's pixels.
    pub size: Size,
    /// The guest shows nothing.
    pub blank: bool,
    /// The guest is gone, and its last picture is what there is of it.
    pub gone: bool,
}

impl Scene {
    /// A guest's window, or what is left of it; `None` for one of Dom0's own clients.
    #[must_use]
    pub fn guest_window(&self, id: WindowId) -> Option<GuestWindow<'_>> {
        let window = self.window(id)?;
        let label = window.label()?;
        Some(GuestWindow { label, size: window.picture_size(), blank: window.shown.is_none(), gone: window.gone })
    }

    /// Moves a window to the same place on another output, as far as its title bar stays in reach; one with a tile gets a
    /// tile there. In a kiosk nothing happens.
    pub fn move_to_output(&mut self, id: WindowId, output: OutputId) {
        let Some(to) = self.outputs.iter().position(|other| other.id == output) else { return };
        let Some(index) = self.windows.iter().position(|window| window.id == id) else { return };
        let Some(place) = self.windows.get(index).and_then(|window| window.place) else { return };
        if place.output == to || self.is_kiosk() {
            return;
        }
        self.damage(id);
        let tiled =
            self.windows.get_mut(index).and_then(|window| Some((window.place.as_mut()?, window.given.as_mut()?)));
        if let Some((place, given)) = tiled.filter(|(_, given)| given.region.is_tile()) {
            (place.output, given.before.output) = (to, to);
        } else {
            let at = (to, place.rect.x, place.rect.y);
            self.layout.get_mut().move_to(index, at, (0, 0), &mut self.windows, &self.outputs);
        }
        self.damage(id);
    }
}

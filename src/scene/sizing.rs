// SPDX-License-Identifier: GPL-3.0-or-later
//! How large windows are, and how guests' pictures are shown in them where the two differ.

use super::arrangement::{Layout, Wanted};
use super::element::{Color, Rect, Size};
use super::fit::Fit;
use super::layout::Region;
use super::window::WindowId;
use super::{Scene, focus};

impl Scene {
    /// Gives a window another size, as the user wants it. A guest's picture is scaled to fit, in its own shape; for a
    /// client's window the size is returned that its client is to draw, or `None` for its own. In a kiosk, and full
    /// screen, nothing happens.
    pub fn size_window(&mut self, id: WindowId, wanted: Wanted) -> Option<Size> {
        let index = self.windows.iter().position(|window| window.id == id)?;
        self.damage(id);
        let wanted = self.on_its_output(index, wanted);
        let size = self.layout.get_mut().size_to(index, wanted, &mut self.windows, &self.outputs, self.font.as_ref());
        self.damage(id);
        size
    }

    /// The same with a rectangle on the window's output in the place of one on the plane of all outputs.
    fn on_its_output(&self, index: usize, wanted: Wanted) -> Wanted {
        let areas = focus::side_by_side(self.outputs.iter().map(|output| (output.id, output.size)));
        let place = self.windows.get(index).and_then(|window| window.place);
        match (wanted, place.and_then(|place| areas.get(place.output))) {
            (Wanted::Edges { from, edges, by }, Some(area)) => {
                Wanted::Edges { from: Rect { x: from.x.saturating_sub(area.rect.x), ..from }, edges, by }
            }
            (wanted, _) => wanted,
        }
    }

    /// The part of its output that a window was given, and still has.
    #[must_use]
    pub fn region(&self, id: WindowId) -> Option<Region> {
        self.window(id)?.given.map(|given| given.region)
    }

    /// Says what a guest is called, in which colour its frame is, and how its picture is shown in a window of another
    /// size, until the user decides.
    pub fn describe_guest(&mut self, id: WindowId, name: &str, color: Color, fit: Fit) {
        let Some(window) = self.windows.iter_mut().find(|window| window.id == id) else { return };
        window.relabel(name, color, self.font.as_ref());
        window.preferred = fit;
        if let Some(kiosk) = self.layout.kiosk_mut() {
            kiosk.fit_window(window, &self.outputs, self.font.as_ref());
        }
        self.damage(id);
    }

    /// Says how a guest's picture is shown in a window of another size, until the user decides.
    pub fn prefer_fit(&mut self, id: WindowId, fit: Fit) {
        if let Some(window) = self.windows.iter_mut().find(|window| window.id == id) {
            window.preferred = fit;
        }
    }

    /// How a guest's picture is shown in a window of another size; `None` for a client, which draws itself anew.
    #[must_use]
    pub fn fit_of(&self, id: WindowId) -> Option<Fit> {
        self.window(id).filter(|window| window.is_guest()).map(|window| window.fit())
    }

    /// Shows a guest's picture the next way, as the user wants it. In a kiosk, and full screen, nothing happens.
    pub fn next_fit(&mut self, id: WindowId) {
        let full_screen = self.fullscreen() == Some(id);
        let Layout::Desktop(desktop) = &mut self.layout else { return };
        let window = self.windows.iter_mut().find(|window| window.id == id);
        if let Some(window) = window.filter(|window| window.is_guest() && !full_screen) {
            let next = window.fit().next();
            window.set_fit(Some(next));
            window.moved = true;
            desktop.mark_rearranged();
            self.damage(id);
        }
    }

    /// Shows another part of a picture of which something is cut off: as if it were held at a pixel and drawn along
    /// by so many pixels of the display, when `from` was the upper left corner of what was seen of it.
    pub fn pan_window(&mut self, id: WindowId, from: (i32, i32), by: (i32, i32)) {
        let window = self.windows.iter_mut().find(|window| window.id == id);
        let Some((window, place)) = window.and_then(|window| window.place.map(|place| (window, place))) else { return };
        if window.pan(&place.rect, from, by) {
            self.damage(id);
        }
    }
}

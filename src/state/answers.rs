// SPDX-License-Identifier: GPL-3.0-or-later
//! Answers to what is asked over the control socket.

use crate::backend::{OutputId, Pointer};
use crate::control::{GuestSelector, Picture, Response, ScreenshotTarget};
use crate::scene::WindowId;
use crate::scene::element::Pixmap;

use super::State;

impl State {
    pub(super) fn screenshot(&mut self, target: &ScreenshotTarget) -> Result<Picture, String> {
        let Pixmap { width, height, pixels } = match target {
            ScreenshotTarget::FirstOutput => {
                let first = self.presentation.outputs().into_iter().next();
                let first = first.ok_or("there is no output to take a picture of")?;
                self.presentation.screenshot(first.id, Pointer::With)?
            }
            ScreenshotTarget::Output(name) => {
                let output = self.output_named(name)?;
                self.presentation.screenshot(output, Pointer::With)?
            }
            ScreenshotTarget::Guest { guest, connector } => {
                let window = self.window_of(guest, *connector)?;
                self.window_picture(window)?
            }
        };
        Ok(Picture { width, height, pixels })
    }

    pub(super) fn output_named(&self, name: &str) -> Result<OutputId, String> {
        let outputs = self.presentation.outputs();
        if let Some(output) = outputs.iter().find(|output| output.name == name) {
            return Ok(output.id);
        }
        let names: Vec<_> = outputs.iter().map(|output| output.name.as_str()).collect();
        Err(format!("there is no output \"{name}\"; there are: {}", names.join(", ")))
    }

    pub(super) fn window_of(&self, guest: &GuestSelector, connector: usize) -> Result<WindowId, String> {
        let is_it = |domid: u16, name: &str| match guest {
            GuestSelector::DomId(wanted) => *wanted == domid,
            GuestSelector::Name(wanted) => wanted == name,
        };
        let mut links = self.registry.devices_by_key().filter(|(key, entry)| is_it(key.domid.0, entry.name()));
        let link = links.find_map(|(_, entry)| entry.link()).ok_or_else(|| format!("there is no connected {guest}"))?;
        let windows: Vec<_> = link.windows().collect();
        let wanted = windows.get(connector).copied();
        wanted.ok_or_else(|| format!("{guest} has {} connectors, there is no connector {connector}", windows.len()))
    }

    /// A guest's own picture, pixel for pixel, wherever and however it is shown.
    pub(super) fn window_picture(&self, window: WindowId) -> Result<Pixmap, String> {
        let shown = self.scene.shown_by(window).ok_or("it shows no picture now")?;
        self.presentation.still(shown.buffer, shown.source)
    }

    pub(super) fn fullscreen(&mut self, guest: Option<&GuestSelector>) -> Response {
        if self.scene.is_kiosk() {
            return Response::Error("this is a kiosk: what is where is fixed by its configuration".to_owned());
        }
        let window = match guest.map(|guest| self.window_of(guest, 0)).transpose() {
            Ok(window) => window,
            Err(why) => return Response::Error(why),
        };
        self.scene.set_fullscreen(window);
        Response::Done
    }
}

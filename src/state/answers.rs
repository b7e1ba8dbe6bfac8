// SPDX-License-Identifier: GPL-3.0-or-later
//! Answers to what is asked over the control socket.

use crate::backend::OutputId;
use crate::control::{GuestSelector, Picture, Response, ScreenshotTarget};
use crate::scene::WindowId;
use crate::scene::element::{Pixmap, Rect};

use super::State;

impl State {
    pub(super) fn screenshot(&mut self, target: &ScreenshotTarget) -> Result<Picture, String> {
        let Pixmap { width, height, pixels } = match target {
            ScreenshotTarget::FirstOutput => {
                let first = self.presentation.outputs().into_iter().next();
                let first = first.ok_or("there is no output to take a picture of")?;
                self.presentation.screenshot(first.id)?
            }
            ScreenshotTarget::Output(name) => {
                let output = self.output_named(name)?;
                self.presentation.screenshot(output)?
            }
            ScreenshotTarget::Guest { guest, connector } => {
                let window = self.window_of(guest, *connector)?;
                self.window_picture(window)?
            }
        };
        Ok(Picture { width, height, pixels })
    }

    fn output_named(&self, name: &str) -> Result<OutputId, String> {
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

    /// A guest's own picture: what the output shows of its content.
    fn window_picture(&mut self, window: WindowId) -> Result<Pixmap, String> {
        let (output, content) = self.scene.placement(window).ok_or("the window is on no output")?;
        let picture = self.presentation.screenshot(output)?;
        crop(&picture, content).ok_or_else(|| "the window is not wholly on its output".to_owned())
    }

    pub(super) fn fullscreen(&mut self, guest: Option<&GuestSelector>) -> Response {
        let window = match guest.map(|guest| self.window_of(guest, 0)).transpose() {
            Ok(window) => window,
            Err(why) => return Response::Error(why),
        };
        self.scene.set_fullscreen(window);
        Response::Done
    }
}

/// A part of a picture; `None` when the part is not within it.
fn crop(picture: &Pixmap, part: Rect) -> Option<Pixmap> {
    let edge = |value: i32| usize::try_from(value).ok();
    let (left, top, width, height) = (edge(part.x)?, edge(part.y)?, edge(part.width)?, edge(part.height)?);
    let stride = usize::try_from(picture.width).ok()?.checked_mul(4)?;
    let (start, length) = (left.checked_mul(4)?, width.checked_mul(4)?);
    if start.checked_add(length)? > stride {
        return None;
    }
    let mut pixels = Vec::with_capacity(length.checked_mul(height)?);
    for line in top..top.checked_add(height)? {
        let from = line.checked_mul(stride)?.checked_add(start)?;
        pixels.extend_from_slice(picture.pixels.get(from..from.checked_add(length)?)?);
    }
    Some(Pixmap { width: u32::try_from(width).ok()?, height: u32::try_from(height).ok()?, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_takes_just_its_part() {
        let pixels = (0..4 * 3 * 2).collect();
        let picture = Pixmap { width: 3, height: 2, pixels };
        let part = crop(&picture, Rect { x: 1, y: 1, width: 2, height: 1 });
        assert_eq!(part, Some(Pixmap { width: 2, height: 1, pixels: (16..24).collect() }));
        assert_eq!(crop(&picture, Rect { x: 2, y: 0, width: 2, height: 1 }), None);
        assert_eq!(crop(&picture, Rect { x: -1, y: 0, width: 2, height: 1 }), None);
        assert_eq!(crop(&picture, Rect { x: 0, y: 1, width: 1, height: 2 }), None);
    }
}

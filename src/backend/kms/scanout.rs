// SPDX-License-Identifier: GPL-3.0-or-later
//! What a frame put on which plane, and why not the rest.

use smithay::backend::drm::{DrmSurface, PlaneInfo};
use smithay::reexports::drm::control::{Device as _, PlaneType, framebuffer};

use super::guest_buffers::GuestBuffers;
use super::refusal::{self, Refusal};
use crate::backend::Scanout;
use crate::scene::element::{BufferId, Content, Element, ElementId, Frame};

/// How each guest's picture of a frame gets onto the display.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<(ElementId, Result<BufferId, Refusal>)>);

impl Report {
    /// Of a frame that was handed over with these elements on planes, these `refused` before it was tried, on an
    /// output with so many overlay planes. `size` gives a buffer's size in pixels.
    pub(super) fn new(
        frame: &Frame,
        on_planes: &[ElementId],
        refused: &[(ElementId, Refusal)],
        overlays: usize,
        size: impl Fn(BufferId) -> Option<(u32, u32)>,
    ) -> Self {
        let outcome = |(index, element): (usize, &Element)| {
            let Content::Buffer { buffer, source, .. } = element.content else { return None };
            if on_planes.contains(&element.id) {
                return Some((element.id, Ok(buffer)));
            }
            let before = refused.iter().find(|(id, _)| *id == element.id).map(|(_, why)| why.clone());
            let why = before.unwrap_or_else(|| {
                let drawn = |over: &Element| !on_planes.contains(&over.id);
                refusal::cover(&frame.elements, index, drawn).map_or_else(
                    || {
                        let size = size(buffer).unwrap_or_default();
                        refusal::untold(source, element, size, on_planes.len() < overlays)
                    },
                    Refusal::Covered,
                )
            });
            Some((element.id, Err(why)))
        };
        Self(frame.elements.iter().enumerate().filter_map(outcome).collect())
    }

    /// Whether guests were composed for no other reason than that the display was just set.
    pub(super) fn waits(&self) -> bool {
        self.0.iter().any(|(_, outcome)| *outcome == Err(Refusal::JustSet))
    }

    /// The buffers on planes.
    pub(super) fn buffers(&self) -> impl Iterator<Item = BufferId> {
        self.0.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()).copied()
    }

    /// In words for the user. On which plane a picture is the kernel says.
    pub(super) fn tell(&self, element: ElementId, surface: &DrmSurface, guests: &GuestBuffers) -> Option<Scanout> {
        let (_, outcome) = self.0.iter().find(|(id, _)| *id == element)?;
        Some(match outcome {
            Err(why) => Scanout::Composite(why.to_string()),
            Ok(buffer) => Scanout::Plane(
                guests.handle(*buffer).and_then(|shown| plane(surface, shown)).unwrap_or_else(|| "plane".to_owned()),
            ),
        })
    }
}

fn plane(surface: &DrmSurface, shown: framebuffer::Handle) -> Option<String> {
    let planes = surface.planes().overlay.iter().chain([surface.plane_info()]);
    let shows =
        |plane: &&PlaneInfo| surface.get_plane(plane.handle).is_ok_and(|state| state.framebuffer() == Some(shown));
    let plane = { planes }.find(shows)?;
    let kind = if plane.type_ == PlaneType::Primary { "primary" } else { "overlay" };
    Some(format!("plane {} ({kind})", u32::from(plane.handle)))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::scene::element::{CURSOR_ID, Color, Pixmap, Rect, Rotation};

    const SIZE: (u32, u32) = (100, 100);

    fn picture(id: u64, x: i32) -> Element {
        let rect = |x| Rect { x, y: 0, width: 100, height: 100 };
        let content = Content::Buffer { buffer: BufferId(id), source: rect(0), version: 1 };
        Element { id: ElementId(id), target: rect(x), content, rotation: Rotation::None }
    }

    fn frame(elements: Vec<Element>) -> Frame {
        Frame { elements, background: Color { red: 0, green: 0, blue: 0 } }
    }

    fn report(frame: &Frame, on_planes: &[u64], refused: &[(ElementId, Refusal)], overlays: usize) -> Report {
        let on_planes: Vec<_> = on_planes.iter().copied().map(ElementId).collect();
        Report::new(frame, &on_planes, refused, overlays, |_| Some(SIZE))
    }

    #[test]
    fn each_guest_is_told_of_and_nothing_else() {
        let cursor = Content::Pixmap(Rc::new(Pixmap { width: 1, height: 1, pixels: vec![0; 4] }));
        let cursor = Element {
            id: CURSOR_ID,
            target: Rect { x: 150, y: 5, width: 9, height: 9 },
            content: cursor,
            rotation: Rotation::None,
        };
        let frame = frame(vec![cursor, picture(20, 0), picture(21, 100), picture(22, 300), picture(23, 400)]);
        let refused = [(ElementId(22), Refusal::Pitch(5464))];
        let report = report(&frame, &[20], &refused, 1);
        let refusals: Vec<_> = report.0.iter().map(|(id, outcome)| (id.0, outcome.clone())).collect();
        assert_eq!(
            refusals,
            [
                (20, Ok(BufferId(20))),
                (21, Err(Refusal::Covered(refusal::Cover::Pointer))),
                (22, Err(Refusal::Pitch(5464))),
                (23, Err(Refusal::NoPlaneLeft)),
            ]
        );
        assert_eq!(report.buffers().collect::<Vec<_>>(), [BufferId(20)]);
    }

    #[test]
    fn with_planes_left_it_was_the_test() {
        let report = report(&frame(vec![picture(20, 0)]), &[], &[], 1);
        assert_eq!(report.0, [(ElementId(20), Err(Refusal::Test(refusal::Asked::Nothing)))]);
    }
}

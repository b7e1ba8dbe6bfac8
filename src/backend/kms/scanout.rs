// SPDX-License-Identifier: GPL-3.0-or-later
//! What a frame put on which plane, and why not the rest.

use smithay::backend::drm::{DrmSurface, PlaneInfo};
use smithay::reexports::drm::control::{Device as _, PlaneType, framebuffer};

use super::guest_buffers::GuestBuffers;
use super::refusal::{self, Asked, Refusal};
use crate::backend::Scanout;
use crate::scene::element::{BufferId, CURSOR_ID, Content, Element, ElementId, Frame};

/// What speaks against planes before they are tested.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Against all guests' pictures.
    pub(super) guests: Option<Refusal>,
    /// Against some of them.
    pub(super) some: Vec<(ElementId, Refusal)>,
    /// Against the pointer.
    pub(super) pointer: Option<Refusal>,
}

impl Refused {
    /// Whether nothing but a mode that was just set speaks against them.
    pub(super) fn waits(&self) -> bool {
        [&self.guests, &self.pointer].into_iter().any(|why| *why == Some(Refusal::JustSet))
    }
}

/// A frame that was handed over.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) frame: Frame,
    pub(super) refused: Refused,
    /// The elements that planes show.
    pub(super) on_planes: Vec<ElementId>,
}

/// What a display has, for [`Report::tell`].
pub(super) struct Means<'a> {
    pub(super) surface: &'a DrmSurface,
    pub(super) guests: &'a GuestBuffers,
    /// The pointer's framebuffer.
    pub(super) pointer: Option<framebuffer::Handle>,
}

impl Report {
    /// The guests' buffers on planes.
    pub(super) fn buffers(&self) -> Vec<BufferId> {
        let buffer = |element: &Element| match element.content {
            Content::Buffer { buffer, .. } if self.on_planes.contains(&element.id) => Some(buffer),
            Content::Buffer { .. } | Content::Solid(_) | Content::Pixmap(_) => None,
        };
        if self.on_planes.is_empty() { Vec::new() } else { self.frame.elements.iter().filter_map(buffer).collect() }
    }

    /// In words for the user; nothing about what is neither a guest's picture nor the pointer. `size` gives a
    /// buffer's size in pixels. On which plane something is the kernel says.
    pub(super) fn tell(
        &self,
        id: ElementId,
        means: &Means<'_>,
        size: impl Fn(BufferId) -> Option<(u32, u32)>,
    ) -> Option<Scanout> {
        let index = self.frame.elements.iter().position(|element| element.id == id)?;
        let shown = match self.frame.elements.get(index)?.content {
            Content::Buffer { buffer, .. } => means.guests.handle(buffer),
            Content::Pixmap(_) if id == CURSOR_ID => means.pointer,
            Content::Pixmap(_) | Content::Solid(_) => return None,
        };
        if self.on_planes.contains(&id) {
            let plane = shown.and_then(|shown| plane_of(means.surface, shown)).map(name);
            return Some(Scanout::Plane(plane.unwrap_or_else(|| "plane".to_owned())));
        }
        Some(Scanout::Composite(self.why_not(index, means.surface.planes().overlay.len(), size)?.to_string()))
    }

    /// Why an element is on no plane of an output with so many overlays.
    fn why_not(&self, index: usize, overlays: usize, size: impl Fn(BufferId) -> Option<(u32, u32)>) -> Option<Refusal> {
        let element = self.frame.elements.get(index)?;
        let Content::Buffer { buffer, source, .. } = element.content else {
            return Some(self.refused.pointer.clone().unwrap_or(Refusal::Test(Asked::Nothing)));
        };
        let some = || self.refused.some.iter().find(|(id, _)| *id == element.id).map(|(_, why)| why.clone());
        let before = self.refused.guests.clone().or_else(some);
        Some(before.unwrap_or_else(|| {
            let drawn = |over: &Element| !self.on_planes.contains(&over.id);
            refusal::cover(&self.frame.elements, index, drawn).map_or_else(
                || {
                    let taken = self.on_planes.iter().filter(|id| **id != CURSOR_ID).count();
                    refusal::untold(source, element, size(buffer).unwrap_or_default(), taken < overlays)
                },
                Refusal::Covered,
            )
        }))
    }
}

/// The plane that shows a framebuffer, by the kernel's word.
pub(super) fn plane_of(surface: &DrmSurface, shown: framebuffer::Handle) -> Option<&PlaneInfo> {
    let planes = surface.planes();
    let mut all = planes.overlay.iter().chain(&planes.cursor).chain([surface.plane_info()]);
    all.find(|plane| surface.get_plane(plane.handle).is_ok_and(|state| state.framebuffer() == Some(shown)))
}

fn name(plane: &PlaneInfo) -> String {
    let kind = match plane.type_ {
        PlaneType::Primary => "primary",
        PlaneType::Overlay => "overlay",
        PlaneType::Cursor => "cursor",
    };
    format!("plane {} ({kind})", u32::from(plane.handle))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::scene::element::{Color, Pixmap, Rect, Rotation};

    const SIZE: (u32, u32) = (100, 100);

    fn picture(id: u64, x: i32) -> Element {
        let rect = |x| Rect { x, y: 0, width: 100, height: 100 };
        let content = Content::Buffer { buffer: BufferId(id), source: rect(0), version: 1, smooth: false };
        Element { id: ElementId(id), target: rect(x), content, rotation: Rotation::None }
    }

    fn pointer(x: i32) -> Element {
        let content = Content::Pixmap(Rc::new(Pixmap { width: 1, height: 1, pixels: vec![0; 4] }));
        let target = Rect { x, y: 5, width: 9, height: 9 };
        Element { id: CURSOR_ID, target, content, rotation: Rotation::None }
    }

    fn report(elements: Vec<Element>, on_planes: &[ElementId], refused: Refused) -> Report {
        let frame = Frame { elements, background: Color { red: 0, green: 0, blue: 0 } };
        Report { frame, refused, on_planes: on_planes.to_vec() }
    }

    fn why(report: &Report, index: usize) -> Option<Refusal> {
        report.why_not(index, 1, |_| Some(SIZE))
    }

    fn elements() -> Vec<Element> {
        vec![pointer(150), picture(20, 0), picture(21, 100), picture(22, 300), picture(23, 400)]
    }

    #[test]
    fn each_guest_is_told_of() {
        let refused = Refused {
            some: vec![(ElementId(22), Refusal::Pitch(5464))],
            pointer: Some(Refusal::NoCursorPlane),
            ..Refused::default()
        };
        let report = report(elements(), &[ElementId(20)], refused);
        assert_eq!(why(&report, 0), Some(Refusal::NoCursorPlane));
        assert_eq!(why(&report, 2), Some(Refusal::Covered(refusal::Cover::Pointer)));
        assert_eq!(why(&report, 3), Some(Refusal::Pitch(5464)));
        assert_eq!(why(&report, 4), Some(Refusal::NoPlaneLeft));
        assert_eq!(report.buffers(), [BufferId(20)]);
    }

    #[test]
    fn a_pointer_on_its_plane_covers_nothing_and_takes_none_of_the_others() {
        let report = report(elements(), &[CURSOR_ID], Refused::default());
        assert_eq!(why(&report, 2), Some(Refusal::Test(Asked::Nothing)));
        assert_eq!(report.buffers(), []);
    }

    #[test]
    fn what_speaks_against_all_is_told_of_each() {
        let refused = Refused { guests: Some(Refusal::Forbidden), ..Refused::default() };
        let report = report(elements(), &[], refused);
        assert_eq!(why(&report, 1), Some(Refusal::Forbidden));
        assert!(!report.refused.waits());
        assert_eq!(why(&report, 0), Some(Refusal::Test(Asked::Nothing)));
    }

    #[test]
    fn with_planes_left_it_was_the_test() {
        let report = report(vec![picture(20, 0)], &[], Refused::default());
        assert_eq!(why(&report, 0), Some(Refusal::Test(Asked::Nothing)));
    }

    #[test]
    fn after_a_mode_was_set_the_frame_waits() {
        let just_set = || Some(Refusal::JustSet);
        assert!(Refused { guests: just_set(), ..Refused::default() }.waits());
        assert!(Refused { pointer: just_set(), guests: Some(Refusal::Forbidden), ..Refused::default() }.waits());
    }
}

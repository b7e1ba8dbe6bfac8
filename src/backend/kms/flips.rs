// SPDX-License-Identifier: GPL-3.0-or-later
//! A frame in which guests on planes show another of their buffers, and nothing else is new: one commit of
//! framebuffers, without a renderer, a test commit or a damage list.
//!
//! It goes by Smithay's `DrmCompositor`, which goes on believing that the planes show what it gave them last. That does
//! no harm: a guest's element counts as damaged until the compositor is shown it, so its plane is set again then; size,
//! place and format, by which it decides on test commits, are what they were.

use std::rc::Rc;

use smithay::backend::drm::{DrmDeviceFd, DrmSurface};
use smithay::reexports::drm::control::atomic::AtomicModeReq;
use smithay::reexports::drm::control::property::Value;
use smithay::reexports::drm::control::{AtomicCommitFlags, Device as _, framebuffer, plane, property};

use super::scanout::plane_of;
use crate::backend::PixelLayout;
use crate::scene::element::{BufferId, Content, Element, ElementId, Frame};

/// A guest's picture on a plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    element: ElementId,
    plane: plane::Handle,
    fb_id: property::Handle,
    /// Of the buffer that it was tested with.
    layout: PixelLayout,
}

/// Where the guests of a frame are, as long as only their buffers change.
#[derive(Debug, Default)]
pub(super) enum Seats {
    /// Not looked for since a frame that changed more.
    #[default]
    Unknown,
    Known(Vec<Seat>),
    /// The driver refused such a commit: not tried again until the display is set anew.
    Refused,
}

/// An element that shows another buffer than before, or another state of the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flip {
    pub(super) element: ElementId,
    pub(super) buffer: BufferId,
}

/// What has flipped from one frame to the next; `None` when anything else has changed, or something that no plane
/// shows, or nothing at all.
pub(super) fn flips(last: &Frame, next: &Frame, on_planes: &[ElementId]) -> Option<Vec<Flip>> {
    if last.background != next.background || last.elements.len() != next.elements.len() {
        return None;
    }
    let mut flips = Vec::new();
    for (old, new) in last.elements.iter().zip(&next.elements) {
        match change(old, new)? {
            Change::Nothing => {}
            Change::Buffer(flip) if on_planes.contains(&flip.element) => flips.push(flip),
            Change::Buffer(_) => return None,
        }
    }
    (!flips.is_empty()).then_some(flips)
}

enum Change {
    Nothing,
    Buffer(Flip),
}

/// `None` when more than its buffer has changed.
fn change(old: &Element, new: &Element) -> Option<Change> {
    if old.id != new.id || old.target != new.target || old.rotation != new.rotation {
        return None;
    }
    match (&old.content, &new.content) {
        (Content::Solid(old), Content::Solid(new)) if old == new => Some(Change::Nothing),
        (Content::Pixmap(old), Content::Pixmap(new)) if Rc::ptr_eq(old, new) => Some(Change::Nothing),
        (
            Content::Buffer { buffer: before, source: part, version: old, .. },
            Content::Buffer { buffer, source, version, .. },
        ) if part == source => {
            let same = before == buffer && old == version;
            let flip = Flip { element: new.id, buffer: *buffer };
            Some(if same { Change::Nothing } else { Change::Buffer(flip) })
        }
        _ => None,
    }
}

impl Seats {
    /// Whether a frame that has flips only may be tried.
    pub(super) const fn may_flip(&self) -> bool {
        !matches!(self, Self::Refused)
    }

    /// After a frame that changed more than buffers.
    pub(super) fn forget(&mut self) {
        if self.may_flip() {
            *self = Self::Unknown;
        }
    }

    /// The seats of these elements; asks the kernel once. `picture` gives an element's framebuffer and layout as of the
    /// last frame.
    pub(super) fn find(
        &mut self,
        surface: &DrmSurface,
        elements: &[ElementId],
        picture: impl Fn(ElementId) -> Option<(framebuffer::Handle, PixelLayout)>,
    ) -> &[Seat] {
        if matches!(self, Self::Unknown) {
            let seat = |element: &ElementId| {
                let (shown, layout) = picture(*element)?;
                let plane = plane_of(surface, shown)?.handle;
                Some(Seat { element: *element, plane, fb_id: fb_id(surface.device_fd(), plane)?, layout })
            };
            *self = Self::Known(elements.iter().filter_map(seat).collect());
        }
        match self {
            Self::Known(seats) => seats,
            Self::Unknown | Self::Refused => &[],
        }
    }
}

/// Where a flip goes; `None` when that is not known, or the buffer lies differently from the one before.
pub(super) fn seat(seats: &[Seat], element: ElementId, layout: PixelLayout) -> Option<&Seat> {
    seats.iter().find(|seat| seat.element == element && seat.layout == layout)
}

fn fb_id(device: &DrmDeviceFd, plane: plane::Handle) -> Option<property::Handle> {
    let properties = device.get_properties(plane).ok()?;
    let (handles, _) = properties.as_props_and_values();
    let named =
        |handle: &&property::Handle| device.get_property(**handle).is_ok_and(|info| info.name().to_bytes() == b"FB_ID");
    handles.iter().find(named).copied()
}

/// Hands the flips to the kernel, which reports them as it does each frame.
pub(super) fn commit(device: &DrmDeviceFd, flips: &[(Seat, framebuffer::Handle)]) -> std::io::Result<()> {
    let mut request = AtomicModeReq::new();
    for (seat, framebuffer) in flips {
        request.add_property(seat.plane, seat.fb_id, Value::Framebuffer(Some(*framebuffer)));
    }
    device.atomic_commit(AtomicCommitFlags::PAGE_FLIP_EVENT | AtomicCommitFlags::NONBLOCK, request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::element::{Color, Pixmap, Rect, Rotation};

    const BLACK: Color = Color { red: 0, green: 0, blue: 0 };
    const GUEST: ElementId = ElementId(20);

    fn element(id: u64, x: i32, content: Content) -> Element {
        let target = Rect { x, y: 0, width: 100, height: 100 };
        Element { id: ElementId(id), target, content, rotation: Rotation::None }
    }

    fn picture(id: u64, buffer: u64, version: u64) -> Element {
        let source = Rect { x: 0, y: 0, width: 100, height: 100 };
        element(id, 0, Content::Buffer { buffer: BufferId(buffer), source, version, smooth: false })
    }

    fn label() -> Element {
        element(5, 200, Content::Pixmap(Rc::new(Pixmap { width: 1, height: 1, pixels: vec![0; 4] })))
    }

    fn frame(elements: Vec<Element>) -> Frame {
        Frame { elements, background: BLACK }
    }

    fn flip(buffer: u64) -> Flip {
        Flip { element: GUEST, buffer: BufferId(buffer) }
    }

    #[test]
    fn another_buffer_of_a_guest_on_a_plane_is_a_flip() {
        let label = label();
        let last = frame(vec![label.clone(), picture(20, 1, 1)]);
        let next = frame(vec![label, picture(20, 2, 2)]);
        assert_eq!(flips(&last, &next, &[GUEST]), Some(vec![flip(2)]));
        assert_eq!(flips(&last, &next, &[]), None, "it is drawn");
    }

    #[test]
    fn so_is_the_same_buffer_drawn_anew_and_nothing_is_none() {
        let last = frame(vec![picture(20, 1, 1)]);
        assert_eq!(flips(&last, &frame(vec![picture(20, 1, 2)]), &[GUEST]), Some(vec![flip(1)]));
        assert_eq!(flips(&last, &last, &[GUEST]), None);
    }

    #[test]
    fn each_guest_has_its_own() {
        let last = frame(vec![picture(20, 1, 1), picture(21, 3, 1)]);
        let next = frame(vec![picture(20, 2, 2), picture(21, 3, 1)]);
        let all = [GUEST, ElementId(21)];
        assert_eq!(flips(&last, &next, &all), Some(vec![flip(2)]));
        let drawn = frame(vec![picture(20, 2, 2), picture(21, 4, 2)]);
        assert_eq!(flips(&last, &drawn, &[GUEST]), None, "the other one is drawn, and has flipped too");
    }

    #[test]
    fn whatever_else_changes_makes_it_a_frame_like_others() {
        let last = || vec![label(), picture(20, 1, 1)];
        let first = frame(last());
        let label_of = |frame: &Frame| frame.elements[0].clone();
        let flipped = picture(20, 2, 2);
        let mut moved = flipped.clone();
        moved.target.x = 1;
        let mut turned = flipped.clone();
        turned.rotation = Rotation::Half;
        let mut cropped = flipped.clone();
        if let Content::Buffer { source, .. } = &mut cropped.content {
            source.width = 50;
        }
        for changed in [moved, turned, cropped, picture(22, 2, 2), element(20, 0, Content::Solid(BLACK))] {
            assert_eq!(flips(&first, &frame(vec![label_of(&first), changed]), &[GUEST]), None);
        }
        let new_label = frame(vec![label(), flipped.clone()]);
        assert_eq!(flips(&first, &new_label, &[GUEST]), None, "the label is another picture");
        let mut grey = frame(vec![label_of(&first), flipped.clone()]);
        grey.background.red = 9;
        assert_eq!(flips(&first, &grey, &[GUEST]), None);
        assert_eq!(flips(&first, &frame(vec![flipped]), &[GUEST]), None, "the label is gone");
    }

    #[test]
    fn a_buffer_that_lies_differently_has_no_seat() {
        let layout = PixelLayout { width: 16, height: 16, fourcc: 1, pitch: 64, offset: 0 };
        let handle = |number| smithay::reexports::drm::control::from_u32(number).unwrap();
        let plane: plane::Handle = smithay::reexports::drm::control::from_u32(31).unwrap();
        let seats = [Seat { element: GUEST, plane, fb_id: handle(17), layout }];
        assert_eq!(seat(&seats, GUEST, layout).map(|seat| seat.plane), Some(plane));
        assert!(seat(&seats, GUEST, PixelLayout { pitch: 128, ..layout }).is_none());
        assert!(seat(&seats, ElementId(21), layout).is_none());
    }
}

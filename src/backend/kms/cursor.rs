// SPDX-License-Identifier: GPL-3.0-or-later
//! The pointer on the plane that a display may have for it.
//!
//! Smithay fills cursor planes through GBM, which would load Mesa on machines that have no GPU. So that plane is
//! handed to it as one more overlay, above all others, that lists no format but one with alpha, which guests' pictures
//! never have and which the other overlays don't list: the pointer gets onto this plane alone, and nothing else does.

use std::rc::Rc;

use smithay::backend::allocator::{Format as DrmFormat, Modifier};
use smithay::backend::drm::{DrmDeviceFd, PlaneInfo, Planes};
use smithay::reexports::drm::buffer::DrmFourcc;
use smithay::reexports::drm::control::dumbbuffer::DumbBuffer;
use smithay::reexports::drm::control::{Device as _, PlaneType};

use super::guest_buffers::{GuestBuffers, Named, PlaneFramebuffer};
use super::refusal::Refusal;
use crate::backend::render::PlanePicture;
use crate::scene::element::Pixmap;

/// The format of the pointer's picture.
const FORMAT: DrmFourcc = DrmFourcc::Argb8888;

/// The side of a pointer's framebuffer that all drivers take, unless they say what they want.
const USUAL_SIDE: u32 = 64;

/// A display's plane for the pointer.
pub(super) struct CursorPlane {
    /// Size of its framebuffers in pixels.
    size: (u32, u32),
    modifier: Modifier,
    prepared: Option<Prepared>,
}

/// What came of a picture, so that it is not tried again at each frame.
struct Prepared {
    source: Rc<Pixmap>,
    outcome: Result<(Named, Rc<Pixmap>), Refusal>,
}

impl CursorPlane {
    /// The planes of a display as Smithay is to see them, and the one for the pointer among them. `limit` is the
    /// largest side that the driver allows a pointer.
    pub(super) fn among(mut planes: Planes, limit: u32) -> (Planes, Option<Self>) {
        for overlay in &mut planes.overlay {
            overlay.formats = overlay.formats.iter().copied().filter(|format| format.code != FORMAT).collect();
        }
        let found = planes.cursor.drain(..).find_map(|plane| Some((size(&plane, limit)?, modifier(&plane)?, plane)));
        let Some((size, modifier, plane)) = found else { return (planes, None) };
        let others = planes.primary.iter().chain(&planes.overlay);
        let top = others.filter_map(|plane| plane.zpos).max().unwrap_or(0);
        planes.overlay.push(PlaneInfo {
            type_: PlaneType::Overlay,
            zpos: Some(top.saturating_add(1)),
            formats: [DrmFormat { code: FORMAT, modifier }].into_iter().collect(),
            ..plane
        });
        (planes, Some(Self { size, modifier, prepared: None }))
    }

    /// The picture as the plane shows it; made when it is a new one.
    pub(super) fn prepare(
        &mut self,
        device: &DrmDeviceFd,
        guests: &GuestBuffers,
        picture: &Rc<Pixmap>,
    ) -> Result<PlanePicture, Refusal> {
        let prepared = match self.prepared.take() {
            Some(prepared) if Rc::ptr_eq(&prepared.source, picture) => prepared,
            _ => Prepared { source: Rc::clone(picture), outcome: self.make(device, guests, picture) },
        };
        let outcome = self.prepared.insert(prepared).outcome.as_ref();
        let ready = |(named, picture): &(Named, Rc<Pixmap>)| PlanePicture {
            storage: named.storage(),
            picture: Rc::clone(picture),
        };
        outcome.map(ready).map_err(Clone::clone)
    }

    fn make(
        &self,
        device: &DrmDeviceFd,
        guests: &GuestBuffers,
        picture: &Pixmap,
    ) -> Result<(Named, Rc<Pixmap>), Refusal> {
        let padded = padded(picture, self.size).ok_or(Refusal::CursorTooLarge)?;
        let refused = |error: String| Refusal::Framebuffer(error.into());
        let framebuffer = framebuffer(device, &padded).map_err(|error| refused(error.to_string()))?;
        let format = DrmFormat { code: FORMAT, modifier: self.modifier };
        let named = guests.name(framebuffer, format).map_err(refused)?;
        Ok((named, Rc::new(padded)))
    }

    /// The framebuffer that the plane shows, once there was one.
    pub(super) fn named(&self) -> Option<&Named> {
        self.prepared.as_ref()?.outcome.as_ref().ok().map(|(named, _)| named)
    }
}

/// The size of the plane's framebuffers: what the driver wants, else the usual one.
fn size(plane: &PlaneInfo, limit: u32) -> Option<(u32, u32)> {
    let hint = plane.size_hints.as_ref().and_then(|hints| hints.first());
    let hint = hint.map(|size| (u32::from(size.w), u32::from(size.h)));
    let side = USUAL_SIDE.min(limit);
    hint.or((side > 0).then_some((side, side)))
}

fn modifier(plane: &PlaneInfo) -> Option<Modifier> {
    let listed = |modifier: &Modifier| plane.formats.contains(&DrmFormat { code: FORMAT, modifier: *modifier });
    [Modifier::Linear, Modifier::Invalid].into_iter().find(listed)
}

/// The picture with a see-through margin to the right and below; `None` where it doesn't fit.
fn padded(picture: &Pixmap, (width, height): (u32, u32)) -> Option<Pixmap> {
    let bytes = |pixels: u32| usize::try_from(pixels).ok()?.checked_mul(4);
    if picture.width == 0 || picture.width > width || picture.height > height {
        return None;
    }
    let (line, stride) = (bytes(picture.width)?, bytes(width)?);
    let mut pixels = vec![0; stride.checked_mul(usize::try_from(height).ok()?)?];
    for (from, to) in picture.pixels.chunks_exact(line).zip(pixels.chunks_exact_mut(stride)) {
        to.get_mut(..line)?.copy_from_slice(from);
    }
    Some(Pixmap { width, height, pixels })
}

fn framebuffer(device: &DrmDeviceFd, picture: &Pixmap) -> std::io::Result<PlaneFramebuffer> {
    let mut buffer = device.create_dumb_buffer((picture.width, picture.height), FORMAT, 32)?;
    let filled = fill(device, &mut buffer, picture);
    // 32 of 32 bits count: with alpha.
    let added = filled.and_then(|()| device.add_framebuffer(&buffer, 32, 32));
    // The framebuffer holds the memory.
    if let Err(error) = device.destroy_dumb_buffer(buffer) {
        tracing::warn!(%error, "the handle of the pointer's buffer can't be given back");
    }
    added.map(|handle| PlaneFramebuffer::Raw { device: device.clone(), handle })
}

fn fill(device: &DrmDeviceFd, buffer: &mut DumbBuffer, picture: &Pixmap) -> std::io::Result<()> {
    use smithay::reexports::drm::buffer::Buffer as _;
    let short = || std::io::Error::other("its driver's buffer is too small");
    let pitch = usize::try_from(buffer.pitch()).map_err(|_| short())?;
    let line = usize::try_from(picture.width).map_err(|_| short())?.saturating_mul(4);
    let mut mapping = device.map_dumb_buffer(buffer)?;
    let lines = mapping.as_mut().chunks_mut(pitch.max(1));
    for (from, to) in picture.pixels.chunks_exact(line.max(1)).zip(lines) {
        to.get_mut(..line).ok_or_else(short)?.copy_from_slice(from);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use smithay::reexports::drm::control::from_u32;
    use smithay::utils::Size;

    use super::*;
    use crate::scene::cursor;

    fn plane(number: u32, type_: PlaneType, zpos: Option<i32>, codes: &[DrmFourcc]) -> PlaneInfo {
        let format = |code: &DrmFourcc| DrmFormat { code: *code, modifier: Modifier::Linear };
        let formats = codes.iter().map(format).collect();
        PlaneInfo { handle: from_u32(number).unwrap(), type_, zpos, formats, size_hints: None }
    }

    fn planes(cursor: Vec<PlaneInfo>) -> Planes {
        let both = [DrmFourcc::Xrgb8888, FORMAT];
        Planes {
            primary: vec![plane(31, PlaneType::Primary, Some(0), &both)],
            overlay: vec![plane(32, PlaneType::Overlay, Some(2), &both)],
            cursor,
        }
    }

    #[test]
    fn the_pointers_plane_is_the_topmost_and_its_alone() {
        let cursor = plane(40, PlaneType::Cursor, None, &[DrmFourcc::Xrgb8888, FORMAT]);
        let (planes, found) = CursorPlane::among(planes(vec![cursor]), 512);
        assert_eq!(found.unwrap().size, (64, 64));
        assert!(planes.cursor.is_empty());
        let overlay = |number| planes.overlay.iter().find(|plane| u32::from(plane.handle) == number).unwrap();
        assert_eq!((overlay(40).zpos, overlay(40).type_), (Some(3), PlaneType::Overlay));
        let codes = |number| overlay(number).formats.iter().map(|format| format.code).collect::<Vec<_>>();
        assert_eq!(codes(40), [FORMAT]);
        assert_eq!(codes(32), [DrmFourcc::Xrgb8888]);
    }

    #[test]
    fn a_display_without_such_a_plane_draws_the_pointer() {
        assert!(CursorPlane::among(planes(vec![]), 512).1.is_none());
        let without_alpha = plane(40, PlaneType::Cursor, None, &[DrmFourcc::Xrgb8888]);
        let (planes, found) = CursorPlane::among(planes(vec![without_alpha]), 512);
        assert!(found.is_none());
        assert_eq!(planes.overlay.len(), 1);
    }

    #[test]
    fn the_drivers_sizes_are_kept() {
        let mut plane = plane(40, PlaneType::Cursor, None, &[FORMAT]);
        assert_eq!(size(&plane, 512), Some((64, 64)));
        assert_eq!(size(&plane, 32), Some((32, 32)));
        assert_eq!(size(&plane, 0), None);
        plane.size_hints = Some(vec![Size::from((48, 32)), Size::from((256, 256))]);
        assert_eq!(size(&plane, 512), Some((48, 32)));
    }

    #[test]
    fn the_margin_can_be_seen_through() {
        let arrow = cursor::arrow();
        let picture = padded(&arrow, (64, 64)).unwrap();
        assert_eq!((picture.width, picture.height, picture.pixels.len()), (64, 64, 64 * 64 * 4));
        let (width, height) = (i32::try_from(arrow.width).unwrap(), i32::try_from(arrow.height).unwrap());
        let part = crate::scene::element::Rect { x: 0, y: 0, width, height };
        assert_eq!(picture.crop(part).unwrap(), *arrow);
        let shown = |pixels: &[u8]| pixels.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!(shown(&picture.pixels), shown(&arrow.pixels));
        assert_eq!(padded(&arrow, (8, 64)), None);
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client's surfaces show, put together into one picture for each window.
//!
//! Pixels are copied when they are committed, so that the client has its buffer back at once and can neither change
//! nor take away what is drawn (docs/decisions/0015-wayland-clients.md).

use std::cell::RefCell;
use std::rc::Rc;

use smithay::desktop::PopupManager;
use smithay::reexports::wayland_server::protocol::wl_callback::WlCallback;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point, Rectangle, Size, Transform};
use smithay::wayland::compositor::{
    BufferAssignment, SubsurfaceCachedState, SurfaceAttributes, SurfaceData, TraversalAction, with_states,
    with_surface_tree_downward, with_surface_tree_upward,
};
use smithay::wayland::shell::xdg::SurfaceCachedState;
use smithay::wayland::viewporter::ViewportCachedState;

use super::shm;
use crate::scene::element::Pixmap;

/// The largest side of a window's picture, in pixels.
const LARGEST: i32 = 8192;

/// What a surface shows; beside Smithay's own data.
#[derive(Debug, Default)]
struct Shown(RefCell<Option<Rc<Pixmap>>>);

/// One surface of a window, placed.
pub(super) struct Layer {
    pub(super) surface: WlSurface,
    /// Its upper left corner, from that of the window's content.
    pub(super) place: Point<i32, Logical>,
    size: Size<i32, Logical>,
}

/// Takes in what was committed on a surface and what is below it.
pub(super) fn take_buffers(surface: &WlSurface) {
    with_surface_tree_upward(
        surface,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |_, states, ()| take_buffer(states),
        |_, _, ()| true,
    );
}

fn take_buffer(states: &SurfaceData) {
    let assigned = states.cached_state.get::<SurfaceAttributes>().current().buffer.take();
    let shown = states.data_map.get_or_insert(Shown::default);
    match assigned {
        Some(BufferAssignment::NewBuffer(buffer)) => {
            match shm::copy(&buffer) {
                Ok(pixmap) => *shown.0.borrow_mut() = Some(Rc::new(pixmap)),
                Err(why) => tracing::debug!("a client's buffer can't be shown: {why}"),
            }
            buffer.release();
        }
        Some(BufferAssignment::Removed) => *shown.0.borrow_mut() = None,
        None => {}
    }
}

/// Whether a surface shows anything.
pub(super) fn is_mapped(surface: &WlSurface) -> bool {
    with_states(surface, |states| picture(states).is_some())
}

fn picture(states: &SurfaceData) -> Option<Rc<Pixmap>> {
    states.data_map.get::<Shown>()?.0.borrow().clone()
}

/// The frame callbacks of a surface and of what is below it.
pub(super) fn take_callbacks(surface: &WlSurface, out: &mut Vec<WlCallback>) {
    with_surface_tree_downward(
        surface,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |_, states, ()| out.append(&mut states.cached_state.get::<SurfaceAttributes>().current().frame_callbacks),
        |_, _, ()| true,
    );
}

/// The part of a window's surfaces that is its content, in the coordinates of `root`: what the client says, within
/// what it shows.
pub(super) fn geometry(root: &WlSurface) -> Rectangle<i32, Logical> {
    let size = with_states(root, view).map_or_else(Size::default, |view| view.size);
    let all = Rectangle::from_size(size);
    let said = with_states(root, |states| states.cached_state.get::<SurfaceCachedState>().current().geometry);
    let part = said.and_then(|said| said.intersection(all)).unwrap_or(all);
    let size = Size::from((part.size.w.clamp(1, LARGEST), part.size.h.clamp(1, LARGEST)));
    Rectangle::new(part.loc, size)
}

/// A window's surfaces, back to front, its popups in front.
pub(super) fn layers(root: &WlSurface) -> Vec<Layer> {
    let mut layers = Vec::new();
    let origin = geometry(root).loc;
    tree(root, Point::from((-origin.x, -origin.y)), &mut layers);
    for (popup, place) in PopupManager::popups_for_surface(root) {
        tree(popup.wl_surface(), place - popup.geometry().loc, &mut layers);
    }
    layers
}

fn tree(root: &WlSurface, at: Point<i32, Logical>, out: &mut Vec<Layer>) {
    let placed = |states: &SurfaceData, parent: &Point<i32, Logical>| {
        let subsurface = states.role == Some(smithay::wayland::compositor::SUBSURFACE_ROLE);
        let offset = subsurface.then(|| states.cached_state.get::<SubsurfaceCachedState>().current().location);
        *parent + offset.unwrap_or_default()
    };
    with_surface_tree_upward(
        root,
        at,
        |_, states, parent| match view(states) {
            Some(_) => TraversalAction::DoChildren(placed(states, parent)),
            None => TraversalAction::SkipChildren,
        },
        |surface, states, parent| {
            if let Some(View { size, .. }) = view(states) {
                out.push(Layer { surface: surface.clone(), place: placed(states, parent), size });
            }
        },
        |_, _, _| true,
    );
}

/// The surface that takes input at a place of the window's content, and its corner.
pub(super) fn under(root: &WlSurface, place: Point<i32, Logical>) -> Option<(WlSurface, Point<i32, Logical>)> {
    layers(root).into_iter().rev().find_map(|layer| {
        let on_it = place - layer.place;
        let within = Rectangle::from_size(layer.size).contains(on_it);
        let takes = with_states(&layer.surface, |states| {
            let mut attributes = states.cached_state.get::<SurfaceAttributes>();
            attributes.current().input_region.as_ref().is_none_or(|region| region.contains(on_it))
        });
        (within && takes).then_some((layer.surface, layer.place))
    })
}

/// A surface's size, if it shows anything.
pub(super) fn size(surface: &WlSurface) -> Option<Size<i32, Logical>> {
    with_states(surface, view).map(|view| view.size)
}

/// How a surface's picture is shown.
struct View {
    picture: Rc<Pixmap>,
    /// Pixels of the buffer for one of the surface.
    scale: i32,
    transform: Transform,
    /// The part that is shown, before it is scaled to `size`.
    part: Rectangle<f64, Logical>,
    size: Size<i32, Logical>,
    /// The surface before a viewport.
    whole: Size<f64, Logical>,
}

fn view(states: &SurfaceData) -> Option<View> {
    let picture = picture(states)?;
    let (scale, transform) = {
        let mut attributes = states.cached_state.get::<SurfaceAttributes>();
        let attributes = attributes.current();
        (attributes.buffer_scale.max(1), Transform::from(attributes.buffer_transform))
    };
    let buffer = (i32::try_from(picture.width).ok()?, i32::try_from(picture.height).ok()?);
    let natural: Size<i32, Logical> = Size::<i32, smithay::utils::Buffer>::from(buffer).to_logical(scale, transform);
    let viewport = *states.cached_state.get::<ViewportCachedState>().current();
    let part = viewport.src.unwrap_or_else(|| Rectangle::from_size(natural.to_f64()));
    let size = viewport.size().unwrap_or(natural);
    let shown = size.w > 0 && size.h > 0;
    shown.then(|| View { picture, scale, transform, part, size, whole: natural.to_f64() })
}

/// The picture of a window's content.
pub(super) fn compose(root: &WlSurface) -> Pixmap {
    let size = geometry(root).size;
    let (width, height) = (u32::try_from(size.w).unwrap_or(0), u32::try_from(size.h).unwrap_or(0));
    let bytes = usize::try_from(u64::from(width) * u64::from(height) * 4).unwrap_or(0);
    let mut canvas = Pixmap { width, height, pixels: vec![0; bytes] };
    for layer in layers(root) {
        if let Some(view) = with_states(&layer.surface, view) {
            draw(&mut canvas, &view, layer.place);
        }
    }
    canvas
}

fn draw(canvas: &mut Pixmap, view: &View, place: Point<i32, Logical>) {
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    let all = Rectangle::from_size(Size::from((side(canvas.width), side(canvas.height))));
    let Some(target) = Rectangle::new(place, view.size).intersection(all) else { return };
    let plain = view.is_plain();
    for y in target.loc.y..target.loc.y + target.size.h {
        let on_it = Point::from((target.loc.x, y)) - place;
        let Some(line) = line_mut(canvas, (target.loc.x, y), target.size.w) else { continue };
        if plain {
            let above = pixels_from(&view.picture, (on_it.x, on_it.y)).unwrap_or_default();
            line.iter_mut().zip(above).for_each(|(below, above)| blend(below, *above));
            continue;
        }
        for (x, below) in (on_it.x..).zip(line) {
            let from = view.sample((x, on_it.y).into());
            if let Some([above, ..]) = from.and_then(|from| pixels_from(&view.picture, from)) {
                blend(below, *above);
            }
        }
    }
}

impl View {
    /// Whether the surface's pixels are the buffer's.
    fn is_plain(&self) -> bool {
        let unscaled = self.part == Rectangle::from_size(self.whole) && self.size.to_f64() == self.whole;
        self.scale == 1 && self.transform == Transform::Normal && unscaled
    }

    /// The buffer's pixel at the middle of one of the surface's.
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "`as` saturates")]
    fn sample(&self, on_it: Point<i32, Logical>) -> Option<(i32, i32)> {
        let along = |at: i32, start: f64, part: f64, size: i32| start + (f64::from(at) + 0.5) * part / f64::from(size);
        let place = Point::<f64, Logical>::from((
            along(on_it.x, self.part.loc.x, self.part.size.w, self.size.w),
            along(on_it.y, self.part.loc.y, self.part.size.h, self.size.h),
        ));
        let (x, y) = in_buffer(self.transform, place, self.whole);
        let scale = f64::from(self.scale);
        let last = |side: u32| i32::try_from(side).ok().and_then(|side| side.checked_sub(1));
        let (right, bottom) = (last(self.picture.width)?, last(self.picture.height)?);
        let pixel = |at: f64, last: i32| ((at * scale).floor() as i32).clamp(0, last);
        Some((pixel(x, right), pixel(y, bottom)))
    }
}

/// Where a place of a surface is in its buffer, which the client has flipped, and then turned counter-clockwise
/// (wl_output.transform). Smithay's own conversion turns by a quarter the other way.
fn in_buffer(transform: Transform, Point { x, y, .. }: Point<f64, Logical>, size: Size<f64, Logical>) -> (f64, f64) {
    let (from_right, from_below) = (size.w - x, size.h - y);
    match transform {
        Transform::Normal => (x, y),
        Transform::_90 => (y, from_right),
        Transform::_180 => (from_right, from_below),
        Transform::_270 => (from_below, x),
        Transform::Flipped => (from_right, y),
        Transform::Flipped90 => (y, x),
        Transform::Flipped180 => (x, from_below),
        Transform::Flipped270 => (from_below, from_right),
    }
}

fn index(picture: &Pixmap, (x, y): (i32, i32)) -> Option<usize> {
    let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
    let within = x < picture.width && y < picture.height;
    within.then(|| usize::try_from(u64::from(y) * u64::from(picture.width) + u64::from(x)).ok()).flatten()
}

/// A picture's pixels from one on.
fn pixels_from(picture: &Pixmap, at: (i32, i32)) -> Option<&[[u8; 4]]> {
    picture.pixels.as_chunks::<4>().0.get(index(picture, at)?..)
}

/// Some pixels of a line.
fn line_mut(picture: &mut Pixmap, at: (i32, i32), length: i32) -> Option<&mut [[u8; 4]]> {
    let start = index(picture, at)?;
    let length = usize::try_from(length).ok()?;
    picture.pixels.as_chunks_mut::<4>().0.get_mut(start..start.checked_add(length)?)
}

/// Lays a premultiplied pixel over another one.
fn blend(below: &mut [u8; 4], above: [u8; 4]) {
    let [.., alpha] = above;
    if alpha == 255 {
        *below = above;
        return;
    }
    let rest = 255 - u32::from(alpha);
    for (below, above) in below.iter_mut().zip(above) {
        let mixed = u32::from(above) + (u32::from(*below) * rest + 127) / 255;
        *below = u8::try_from(mixed).unwrap_or(u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_transparent_lets_half_through() {
        let mut below = [200, 100, 0, 255];
        blend(&mut below, [0, 0, 128, 128]);
        assert_eq!(below, [100, 50, 128, 255]);
        blend(&mut below, [1, 2, 3, 255]);
        assert_eq!(below, [1, 2, 3, 255]);
        blend(&mut below, [0, 0, 0, 0]);
        assert_eq!(below, [1, 2, 3, 255]);
    }

    #[test]
    fn a_turned_and_scaled_buffer_is_shown_upright() {
        // Two pixels side by side, that the client says are its content turned by a quarter.
        let picture = Rc::new(Pixmap { width: 2, height: 1, pixels: vec![1, 1, 1, 255, 2, 2, 2, 255] });
        let natural: Size<i32, Logical> =
            Size::<i32, smithay::utils::Buffer>::from((2, 1)).to_logical(1, Transform::_90);
        assert_eq!((natural.w, natural.h), (1, 2));
        let part = Rectangle::from_size(natural.to_f64());
        let size = Size::from((2, 4));
        let view = View { picture, scale: 1, transform: Transform::_90, part, size, whole: natural.to_f64() };
        let mut canvas = Pixmap { width: 2, height: 4, pixels: vec![0; 32] };
        draw(&mut canvas, &view, Point::default());
        let column = |x| (0..4).map(|y| pixels_from(&canvas, (x, y)).unwrap()[0][0]).collect::<Vec<u8>>();
        assert_eq!(column(1), column(0));
        // What is left in the buffer is shown above.
        assert_eq!(column(0), [1, 1, 2, 2]);
    }
}

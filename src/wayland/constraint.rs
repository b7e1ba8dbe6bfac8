// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that keep the pointer that is over their window (`pointer-constraints`), and such that hear how far it has
//! moved (`relative-pointer`). A client that has the keyboard keeps the pointer, until the user takes that back
//! (`input`).

use smithay::delegate_pointer_constraints;
use smithay::input::pointer::PointerHandle;
use smithay::reexports::wayland_protocols::wp::relative_pointer::zv1::server::zwp_relative_pointer_manager_v1::{
    self as manager, ZwpRelativePointerManagerV1,
};
use smithay::reexports::wayland_protocols::wp::relative_pointer::zv1::server::zwp_relative_pointer_v1::{
    self as relative, ZwpRelativePointerV1,
};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};
use smithay::utils::{Logical, Point, Rectangle};
use smithay::wayland::compositor::{RectangleKind, RegionAttributes};
use smithay::wayland::pointer_constraints::{
    PointerConstraint, PointerConstraintsHandler, PointerConstraintsState, with_pointer_constraint,
};

use super::server::Server;
use super::{ToplevelId, Wayland, surface};
use crate::input::Bounds;
use crate::scene::element::Rect;
use crate::time::Time;

/// Relative pointers of one client; more are told nothing.
const MOST: usize = 16;

/// Rectangles of a region; one of more keeps no pointer.
const MOST_PARTS: usize = 256;

/// Parts of a pixel in which motion is counted.
const PARTS: f64 = 256.0;

/// What the client under the pointer wants of it.
#[derive(Clone, Debug)]
pub struct PointerWish {
    /// Its window.
    pub window: ToplevelId,
    /// The pointer is to stay where it is, and not only within.
    pub lock: bool,
    /// Where, on the plane of all outputs.
    pub bounds: Bounds,
}

/// Who hears how far the pointer has moved, while it is over that client's window.
#[derive(Debug)]
pub(super) struct Motions(Vec<ZwpRelativePointerV1>);

impl Motions {
    /// Offers both protocols.
    pub(super) fn new(display: &DisplayHandle) -> Self {
        PointerConstraintsState::new::<Server>(display);
        display.create_global::<Server, ZwpRelativePointerManagerV1, ()>(1, ());
        Self(Vec::new())
    }
}

impl Wayland {
    /// What the client under the pointer wants of it, if it has the keyboard, too.
    #[must_use]
    pub fn pointer_wish(&self) -> Option<PointerWish> {
        let (surface, corner) = self.server.under_pointer()?;
        let window = self.server.window_of(&surface)?;
        let focused = self.server.toplevels.get(&self.server.focused?)?;
        if !focused.surface.wl_surface().id().same_client_as(&surface.id()) {
            return None;
        }
        let whole = Rectangle::from_size(surface::size(&surface)?);
        let pointer = self.server.seat.get_pointer()?;
        with_pointer_constraint(&surface, &pointer, |constraint| {
            let constraint = constraint?;
            let lock = matches!(&*constraint, PointerConstraint::Locked(_));
            Some(PointerWish { window, lock, bounds: bounds(constraint.region(), whole, corner)? })
        })
    }

    /// Whether that client has what it wants.
    pub fn set_constrained(&mut self, constrained: bool) {
        let Some(((surface, _), pointer)) = self.server.under_pointer().zip(self.server.seat.get_pointer()) else {
            return;
        };
        with_pointer_constraint(&surface, &pointer, |constraint| match constraint {
            Some(constraint) if constraint.is_active() == constrained => {}
            Some(constraint) if constrained => constraint.activate(),
            Some(constraint) => constraint.deactivate(),
            None => {}
        });
    }

    /// The pointer that is over a client has moved, or would have if it were not kept: accelerated and as the device
    /// said, in 1/256 pixel.
    pub fn pointer_moved(&mut self, by: (i32, i32), raw: (i32, i32), now: Time) {
        let Some(pointer) = self.server.seat.get_pointer() else { return };
        let Some(focus) = pointer.current_focus() else { return };
        let microseconds = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let pixels = |parts: i32| f64::from(parts) / PARTS;
        for object in self.server.motions.0.iter().filter(|object| object.id().same_client_as(&focus.id())) {
            let ((dx, dy), (raw_dx, raw_dy)) = (by, raw);
            let (high, low) = (half(microseconds >> 32), half(microseconds));
            object.relative_motion(high, low, pixels(dx), pixels(dy), pixels(raw_dx), pixels(raw_dy));
        }
        pointer.frame(&mut self.server);
    }
}

/// The region of a surface, and nothing beside that surface, on the plane of all outputs.
fn bounds(
    region: Option<&RegionAttributes>,
    whole: Rectangle<i32, Logical>,
    corner: Point<f64, Logical>,
) -> Option<Bounds> {
    let on_plane = |part: &Rectangle<i32, Logical>| {
        let loc = part.loc + corner.to_i32_round();
        Rect { x: loc.x, y: loc.y, width: part.size.w, height: part.size.h }
    };
    let rects = region.map_or(&[][..], |region| region.rects.as_slice());
    let part =
        |(kind, part): &(RectangleKind, Rectangle<i32, Logical>)| (matches!(kind, RectangleKind::Add), on_plane(part));
    let parts = if region.is_none() { vec![(true, on_plane(&whole))] } else { rects.iter().map(part).collect() };
    (rects.len() <= MOST_PARTS).then(|| Bounds { whole: on_plane(&whole), parts })
}

impl PointerConstraintsHandler for Server {
    /// It begins when it is looked at next: at the end of this turn at the latest.
    fn new_constraint(&mut self, _surface: &WlSurface, _pointer: &PointerHandle<Self>) {}

    /// The pointer stays where the user has left it.
    fn cursor_position_hint(
        &mut self,
        _surface: &WlSurface,
        _pointer: &PointerHandle<Self>,
        _location: Point<f64, Logical>,
    ) {
    }
}

impl GlobalDispatch<ZwpRelativePointerManagerV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        manager: New<ZwpRelativePointerManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(manager, ());
    }
}

impl Dispatch<ZwpRelativePointerManagerV1, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &ZwpRelativePointerManagerV1,
        request: manager::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let manager::Request::GetRelativePointer { id, .. } = request else { return };
        let object = init.init(id, ());
        let theirs = state.motions.0.iter().filter(|other| other.id().same_client_as(&object.id()));
        if theirs.count() >= MOST {
            return tracing::debug!("a client has too many relative pointers");
        }
        state.motions.0.push(object);
    }
}

impl Dispatch<ZwpRelativePointerV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ZwpRelativePointerV1,
        _: relative::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }

    fn destroyed(state: &mut Self, _: ClientId, object: &ZwpRelativePointerV1, (): &()) {
        state.motions.0.retain(|other| other != object);
    }
}

delegate_pointer_constraints!(Server);

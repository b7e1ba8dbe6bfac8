// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients want the pointer to look like.

use smithay::input::pointer::{CursorIcon, CursorImageStatus, CursorImageSurfaceData};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{SurfaceAttributes, with_states};

use super::ToplevelId;
use super::server::Server;
use super::surface;
use crate::scene::cursor::{Cursor, Look, Shape};

/// The largest side of a client's cursor, in pixels; the arrow is shown for a larger one.
const LARGEST: i32 = 64;

/// The shapes that we have; the arrow stands for all others.
const SHAPES: [(CursorIcon, Shape); 24] = [
    (CursorIcon::Text, Shape::Text),
    (CursorIcon::VerticalText, Shape::Text),
    (CursorIcon::Pointer, Shape::Hand),
    (CursorIcon::Crosshair, Shape::Cross),
    (CursorIcon::Cell, Shape::Cross),
    (CursorIcon::NResize, Shape::Vertical),
    (CursorIcon::SResize, Shape::Vertical),
    (CursorIcon::NsResize, Shape::Vertical),
    (CursorIcon::RowResize, Shape::Vertical),
    (CursorIcon::EResize, Shape::Horizontal),
    (CursorIcon::WResize, Shape::Horizontal),
    (CursorIcon::EwResize, Shape::Horizontal),
    (CursorIcon::ColResize, Shape::Horizontal),
    (CursorIcon::NwResize, Shape::Falling),
    (CursorIcon::SeResize, Shape::Falling),
    (CursorIcon::NwseResize, Shape::Falling),
    (CursorIcon::NeResize, Shape::Rising),
    (CursorIcon::SwResize, Shape::Rising),
    (CursorIcon::NeswResize, Shape::Rising),
    (CursorIcon::Move, Shape::FourWays),
    (CursorIcon::Grabbing, Shape::FourWays),
    (CursorIcon::AllScroll, Shape::FourWays),
    (CursorIcon::AllResize, Shape::FourWays),
    (CursorIcon::Wait, Shape::Glass),
];

/// The pointer as the client wants it whose window it is over.
#[derive(Debug, Default)]
pub(super) enum Pointer {
    #[default]
    Ours,
    Hidden,
    Shape(Shape),
    /// A surface, and what it shows.
    Surface(WlSurface, Option<Look>),
}

impl Server {
    /// Smithay has checked that this client has the pointer.
    pub(super) fn set_cursor(&mut self, image: CursorImageStatus) {
        self.pointer = match image {
            CursorImageStatus::Hidden => Pointer::Hidden,
            CursorImageStatus::Named(icon) => {
                let known = SHAPES.iter().find(|(other, _)| *other == icon);
                known.map_or(Pointer::Ours, |(_, shape)| Pointer::Shape(*shape))
            }
            CursorImageStatus::Surface(surface) => {
                let look = look(&surface);
                Pointer::Surface(surface, look)
            }
        };
    }

    /// What the pointer looks like over a window, if it is to be seen.
    pub(super) fn cursor_over(&self, window: ToplevelId) -> Option<Look> {
        if self.pointer_window() != Some(window) {
            return Some(Look::default());
        }
        match &self.pointer {
            Pointer::Hidden => None,
            Pointer::Shape(shape) => Some(Look::Shape(*shape)),
            Pointer::Surface(surface, look) if surface.is_alive() => look.clone(),
            Pointer::Ours | Pointer::Surface(..) => Some(Look::default()),
        }
    }

    /// The window that the pointer is over, and the surface that is the pointer's picture there.
    pub(super) fn shown_cursor(&self) -> Option<(ToplevelId, WlSurface)> {
        match &self.pointer {
            Pointer::Surface(surface, _) if surface.is_alive() => Some((self.pointer_window()?, surface.clone())),
            Pointer::Ours | Pointer::Hidden | Pointer::Shape(_) | Pointer::Surface(..) => None,
        }
    }

    /// A surface with no window was committed: whether it is the pointer's picture. That is paced with the window which
    /// it lies over.
    pub(super) fn cursor_committed(&mut self, surface: &WlSurface) -> bool {
        let Pointer::Surface(cursor, look) = &mut self.pointer else { return false };
        if cursor != surface {
            return false;
        }
        *look = self::look(surface);
        let Some(window) = self.pointer_window() else { return false };
        if let Some(toplevel) = self.toplevels.get_mut(&window) {
            toplevel.waits = true;
        }
        true
    }

    fn pointer_window(&self) -> Option<ToplevelId> {
        self.window_of(&self.seat.get_pointer()?.current_focus()?)
    }
}

/// What a surface looks like as a cursor; nothing without a picture.
fn look(surface: &WlSurface) -> Option<Look> {
    let hotspot = with_states(surface, |states| {
        let moved = states.cached_state.get::<SurfaceAttributes>().current().buffer_delta.take();
        let mut data = states.data_map.get::<CursorImageSurfaceData>()?.lock().ok()?;
        data.hotspot -= moved.unwrap_or_default();
        Some((data.hotspot.x, data.hotspot.y))
    });
    if !surface::is_mapped(surface) {
        return None;
    }
    let size = surface::geometry(surface).size;
    if size.w > LARGEST || size.h > LARGEST {
        tracing::debug!("a client's cursor of {}x{} pixels is not shown: {LARGEST} are the most", size.w, size.h);
        return Some(Look::default());
    }
    let picture = std::rc::Rc::new(surface::compose(surface));
    Some(Look::Client(Cursor { picture, hotspot: hotspot.unwrap_or_default() }))
}

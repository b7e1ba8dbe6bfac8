// SPDX-License-Identifier: GPL-3.0-or-later
//! What a surface is for: a window, or a part of the desktop itself.

use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::State;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::wlr_layer::LayerSurfaceData;
use smithay::wayland::shell::xdg::ToplevelSurface;

use super::layer::LayerRole;
use super::lock::LockRole;
use crate::scene::element::Size;

/// What it is.
#[derive(Debug)]
pub(super) enum Role {
    Window(ToplevelSurface),
    Layer(LayerRole),
    Lock(LockRole),
}

impl Role {
    pub(super) fn wl_surface(&self) -> &WlSurface {
        match self {
            Self::Window(surface) => surface.wl_surface(),
            Self::Layer(layer) => layer.surface.wl_surface(),
            Self::Lock(lock) => lock.surface.wl_surface(),
        }
    }

    pub(super) const fn layer(&self) -> Option<&LayerRole> {
        match self {
            Self::Window(_) | Self::Lock(_) => None,
            Self::Layer(layer) => Some(layer),
        }
    }

    /// Whether it is a window that belongs to something else: a dialog, or a launcher.
    pub(super) fn is_dialog(&self) -> bool {
        match self {
            Self::Window(surface) => surface.parent().is_some(),
            Self::Layer(_) | Self::Lock(_) => true,
        }
    }

    pub(super) fn is_initial_configure_sent(&self) -> bool {
        match self {
            Self::Window(surface) => surface.is_initial_configure_sent(),
            Self::Layer(layer) => with_states(layer.surface.wl_surface(), |states| {
                let data = states.data_map.get::<LayerSurfaceData>().and_then(|data| data.lock().ok());
                data.is_some_and(|data| data.initial_configure_sent)
            }),
            // By Smithay, with the role.
            Self::Lock(_) => true,
        }
    }

    pub(super) fn send_configure(&self) {
        match self {
            Self::Window(surface) => drop(surface.send_configure()),
            Self::Layer(layer) => drop(layer.surface.send_configure()),
            Self::Lock(lock) => lock.surface.send_configure(),
        }
    }

    pub(super) fn send_pending_configure(&self) {
        match self {
            Self::Window(surface) => drop(surface.send_pending_configure()),
            Self::Layer(layer) => drop(layer.surface.send_pending_configure()),
            Self::Lock(lock) => lock.surface.send_configure(),
        }
    }

    /// A layer's size is what its client wants, and the output has.
    pub(super) fn set_size(&self, size: Option<Size>) {
        if let Self::Window(surface) = self {
            surface.with_pending_state(|state| state.size = size.map(|size| (size.width, size.height).into()));
        }
    }

    pub(super) fn set_states(&self, states: impl IntoIterator<Item = (State, bool)>) {
        let Self::Window(surface) = self else { return };
        surface.with_pending_state(|pending| {
            for (state, holds) in states {
                if holds {
                    pending.states.set(state);
                } else {
                    pending.states.unset(state);
                }
            }
        });
    }

    pub(super) fn send_close(&self) {
        match self {
            Self::Window(surface) => surface.send_close(),
            Self::Layer(layer) => layer.surface.send_close(),
            // There is no such wish.
            Self::Lock(_) => {}
        }
    }

    /// It shows nothing any longer: its client has to begin anew.
    pub(super) fn reset(&self) {
        if let Self::Window(surface) = self {
            surface.reset_initial_configure_sent();
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that want the displays to stay on while their windows are seen.

use smithay::delegate_idle_inhibit;
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::idle_inhibit::IdleInhibitHandler;

use super::ToplevelId;
use super::server::Server;

/// Wishes of one client that count.
const MOST: usize = 64;

impl Server {
    /// The windows that this is about, seen or not.
    pub(super) fn wakeful(&self) -> impl Iterator<Item = ToplevelId> {
        let alive = self.wakeful.iter().filter(|surface| surface.is_alive());
        alive.filter_map(|surface| self.window_of(surface))
    }
}

impl IdleInhibitHandler for Server {
    fn inhibit(&mut self, surface: WlSurface) {
        self.wakeful.retain(Resource::is_alive);
        let theirs = self.wakeful.iter().filter(|other| other.id().same_client_as(&surface.id()));
        if theirs.count() < MOST {
            self.wakeful.push(surface);
        } else {
            tracing::debug!("a client wants the displays to stay on for too many reasons");
        }
    }

    fn uninhibit(&mut self, surface: WlSurface) {
        if let Some(index) = self.wakeful.iter().position(|other| *other == surface) {
            self.wakeful.swap_remove(index);
        }
    }
}

delegate_idle_inhibit!(Server);

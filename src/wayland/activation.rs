// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that hand the keyboard on: one that the user has just clicked or typed into makes a token, and whoever shows
//! that token gets the keyboard for its window. A token is good once, and only as long as the user has turned to no
//! other window: nobody takes the keyboard from what is being typed into.

use smithay::delegate_xdg_activation;
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Client, Resource};
use smithay::utils::Serial;
use smithay::wayland::xdg_activation::{
    XdgActivationHandler, XdgActivationState, XdgActivationToken, XdgActivationTokenData,
};

use super::Event;
use super::server::{ClientState, Server};

/// How many presses are kept in mind, and how many tokens.
const MOST: usize = 16;

/// A key, a button or a finger went down in a client's window.
#[derive(Debug)]
pub(super) struct Press {
    serial: Serial,
    client: ClientId,
}

impl Server {
    /// The user did something in a window of this surface's client.
    pub(super) fn note_press(&mut self, serial: Serial, surface: Option<&WlSurface>) {
        let Some(client) = surface.and_then(Resource::client).map(|client| client.id()) else { return };
        self.told_last = Some((self.pressed, client.clone()));
        if self.presses.len() >= MOST {
            self.presses.pop_front();
        }
        self.presses.push_back(Press { serial, client });
    }

    /// Whether a new window of a client gets the keyboard: when the user has done nothing since the client came, or did
    /// the last thing with that client. Whoever types into something else goes on typing there.
    pub(super) fn is_expected(&self, client: &Client) -> bool {
        let came = client.get_data::<ClientState>().map(|state| state.came);
        came == Some(self.pressed) || self.told_last == Some((self.pressed, client.id()))
    }

    /// The user has turned to another window.
    pub(super) fn forget_presses(&mut self) {
        self.presses.clear();
        self.activation.retain_tokens(|_, _| false);
    }
}

impl XdgActivationHandler for Server {
    fn activation_state(&mut self) -> &mut XdgActivationState {
        &mut self.activation
    }

    /// Whether it is good.
    fn token_created(&mut self, _token: XdgActivationToken, data: XdgActivationTokenData) -> bool {
        let of = |press: &Press| {
            let serial = data.serial.as_ref().is_some_and(|(serial, _)| *serial == press.serial);
            serial && data.client_id.as_ref() == Some(&press.client)
        };
        let good = self.presses.iter().any(of) && self.activation.tokens().count() < MOST;
        if !good {
            tracing::debug!("a client's token for the keyboard comes from nothing that the user did with it");
        }
        good
    }

    fn request_activation(&mut self, token: XdgActivationToken, _data: XdgActivationTokenData, surface: WlSurface) {
        self.activation.remove_token(&token);
        let Some(window) = self.window_of(&surface) else { return };
        let Some(toplevel) = self.toplevels.get_mut(&window) else { return };
        if toplevel.picture.is_some() {
            self.events.push(Event::Activate(window));
        } else {
            toplevel.activate = true;
        }
    }
}

delegate_xdg_activation!(Server);

// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients may do with what is the user's: type on the keyboard, and keep the pointer.

use crate::input::Constraint;

use super::State;

impl State {
    /// Clients type for a client's window alone that has the keyboard: for no guest, and not while the session is
    /// locked or secure attention is shown.
    pub(super) fn let_clients_type(&mut self) {
        let Some(clients) = &mut self.clients else { return };
        let keyboard = self.desk.seat.keyboard().filter(|_| !self.scene.locked());
        clients.wayland.let_type(keyboard.is_some_and(|window| clients.toplevel(window).is_some()));
    }

    /// The client under the pointer keeps that as it wants, as far as the seat lets it.
    pub(super) fn let_clients_keep_pointer(&mut self) {
        let Some(clients) = &mut self.clients else { return };
        let wanted = clients.wayland.pointer_wish().and_then(|wish| {
            Some(Constraint { window: clients.window(wish.window)?, lock: wish.lock, bounds: wish.bounds })
        });
        let kept = self.desk.seat.constrain(wanted);
        clients.wayland.set_constrained(kept);
    }

    /// The pointer has moved over a client, which may want to know how far.
    pub(super) fn tell_moved(&mut self, by: (i32, i32), raw: (i32, i32)) {
        if let Some(clients) = &mut self.clients {
            clients.wayland.pointer_moved(by, raw, self.now);
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients may do with what is the user's: type on the keyboard.

use super::State;

impl State {
    /// Clients type for a client's window alone that has the keyboard: for no guest, and not while the session is
    /// locked or secure attention is shown.
    pub(super) fn let_clients_type(&mut self) {
        let Some(clients) = &mut self.clients else { return };
        let keyboard = self.desk.seat.keyboard().filter(|_| !self.scene.locked());
        clients.wayland.let_type(keyboard.is_some_and(|window| clients.toplevel(window).is_some()));
    }
}

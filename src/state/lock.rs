// SPDX-License-Identifier: GPL-3.0-or-later
//! Locking the session: from the wish to the moment in which no display shows anything else.

use std::collections::BTreeMap;

use crate::backend::{Commit, OutputId};

use super::State;

/// The outputs that may still show something else, and whether a frame of the locked session is on its way to them;
/// `None` when nobody waits for that.
#[derive(Debug, Default)]
pub(super) struct Covering(Option<BTreeMap<OutputId, bool>>);

impl State {
    /// The session is locked, or unlocked. Guests and clients hear at once that nothing is held any longer.
    pub(super) fn set_locked(&mut self, locked: bool) {
        if locked && !self.scene.locked() {
            let focus = self.desk.seat.focus();
            self.clients.iter_mut().for_each(|clients| clients.before_lock = focus);
        }
        self.scene.set_locked(locked);
        let outputs = self.presentation.outputs();
        let lit = outputs.iter().filter(|output| !self.power.is_off(output.id));
        let waits = locked.then(|| lit.map(|output| (output.id, false)).collect());
        if let Some(clients) = &mut self.clients {
            clients.covering = Covering(waits);
        }
        self.look();
        let before = self.clients.as_mut().filter(|_| !locked).and_then(|clients| clients.before_lock.take());
        before.into_iter().for_each(|window| self.desk.seat.focus_window(window));
    }

    /// A frame was made for an output.
    pub(super) fn lock_drawn(&mut self, output: OutputId, commit: Commit) {
        let locked = self.scene.locked();
        let Some(Covering(Some(waits))) = self.clients.as_mut().map(|clients| &mut clients.covering) else { return };
        match commit {
            Commit::Submitted if locked => {
                waits.entry(output).and_modify(|drawn| *drawn = true);
            }
            // It shows that already.
            Commit::NoDamage if locked => drop(waits.remove(&output)),
            Commit::Submitted | Commit::NoDamage | Commit::Skipped => {}
        }
    }

    /// The frame that was on its way to an output is shown.
    pub(super) fn lock_presented(&mut self, output: OutputId) {
        if let Some(Covering(Some(waits))) = self.clients.as_mut().map(|clients| &mut clients.covering)
            && waits.get(&output) == Some(&true)
        {
            waits.remove(&output);
        }
    }

    /// Tells who locks when everything is covered.
    pub(super) fn settle_lock(&mut self) {
        let Some(clients) = &mut self.clients else { return };
        if let Covering(Some(waits)) = &mut clients.covering {
            let outputs = self.presentation.outputs();
            waits.retain(|id, _| outputs.iter().any(|output| output.id == *id) && !self.power.is_off(*id));
            if waits.is_empty() {
                clients.covering = Covering(None);
                clients.wayland.covered();
            }
        }
    }

    /// The lock has the keyboard whenever nobody else has; nobody else can.
    pub(super) fn focus_lock(&mut self) {
        if self.scene.locked() && self.desk.seat.focus().is_none() {
            let first = self.desk.seat.world().stage.spots.first().map(|spot| spot.window);
            first.into_iter().for_each(|window| self.desk.seat.focus_window(window));
        }
    }
}

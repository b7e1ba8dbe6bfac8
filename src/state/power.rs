// SPDX-License-Identifier: GPL-3.0-or-later
//! Which displays are off (DPMS): asked for over the control socket, or since nobody has done anything for a while.
//!
//! An output that is off is in no pacer, so nothing is drawn for it and nobody waits for its vblanks: what it would
//! show flips at the pace of what nobody sees.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backend::OutputId;
use crate::backend::input::{InputEvent, InputKind};
use crate::scene::WindowId;
use crate::time::Time;

use super::State;

/// The displays' power.
#[derive(Debug)]
pub(super) struct Power {
    /// After so long without input all displays go off; `None` is never.
    off_after: Option<Duration>,
    /// When the user did something last; the first turn of the loop counts as that.
    last_input: Option<Time>,
    off: BTreeSet<OutputId>,
}

impl Power {
    pub(super) const fn new(off_after: Option<Duration>) -> Self {
        Self { off_after, last_input: None, off: BTreeSet::new() }
    }

    pub(super) fn set_off_after(&mut self, off_after: Option<Duration>, now: Time) {
        if self.off_after != off_after {
            // Else the displays could go off at once.
            (self.off_after, self.last_input) = (off_after, Some(now));
        }
    }

    pub(super) fn is_off(&self, output: OutputId) -> bool {
        self.off.contains(&output)
    }

    /// The output is gone.
    pub(super) fn forget(&mut self, output: OutputId) {
        self.off.remove(&output);
    }

    fn idle_at(&self) -> Option<Time> {
        Some(self.last_input?.saturating_add(self.off_after?))
    }
}

impl State {
    /// When nobody has done anything for long enough; `None` while no display is on.
    pub(super) fn idle_at(&self) -> Option<Time> {
        let lit = || self.presentation.outputs().iter().any(|output| !self.power.is_off(output.id));
        self.power.idle_at().filter(|_| lit())
    }

    /// Switches all displays off when it is time.
    pub(super) fn follow_idleness(&mut self, now: Time) {
        self.power.last_input.get_or_insert(now);
        let idle = self.idle_at().is_some_and(|idle| idle <= now);
        if idle && self.clients_stay_awake() {
            // As if the user had done something: when it is over, the displays stay on for a while.
            self.power.last_input = Some(now);
        } else if idle {
            tracing::info!("nobody has done anything for a while: the displays go off");
            self.set_power(None, false, now);
        }
    }

    fn user_active(&mut self, now: Time) {
        if let Some(clients) = &mut self.clients {
            clients.wayland.user_active(now);
        }
    }

    /// Tells clients that wait for it that nobody has done anything for long enough. At a turn's end, when it is settled
    /// what is seen.
    pub(super) fn tell_idleness(&mut self, now: Time) {
        if self.clients.as_ref().is_some_and(|clients| clients.wayland.wants_idleness()) {
            let awake = self.clients_stay_awake();
            if let Some(clients) = &mut self.clients {
                clients.wayland.follow_idleness(awake, now);
            }
        }
    }

    /// Switches one output on or off, or all.
    pub(super) fn set_power(&mut self, only: Option<OutputId>, on: bool, now: Time) {
        for output in self.presentation.outputs() {
            let is_off = self.power.is_off(output.id);
            if only.is_some_and(|only| only != output.id) || is_off != on {
                continue;
            }
            if on {
                self.power.off.remove(&output.id);
                self.pacing.output_added(output.id, output.refresh, output.variable);
            } else {
                self.power.off.insert(output.id);
                self.presentation.switch_off(output.id);
                self.clients_dark(output.id);
                let flips = self.pacing.output_removed(output.id);
                self.presented(flips, now);
            }
        }
    }

    /// Switches one output on or off, or all: for the control socket.
    pub(super) fn power_by_name(&mut self, name: Option<&str>, on: bool, now: Time) -> Result<(), String> {
        let only = name.map(|name| self.output_named(name)).transpose()?;
        // Else it might go off again in this turn.
        self.power.last_input = Some(now);
        self.set_power(only, on, now);
        Ok(())
    }

    /// Takes note of what the user does. Returns whether it only switched displays on: whoever sees nothing means
    /// nobody by it.
    pub(super) fn wakes(&mut self, event: &InputEvent) -> bool {
        let does = match event.kind {
            InputKind::Added | InputKind::Removed | InputKind::TouchFrame => false,
            InputKind::Key { pressed, .. } => pressed,
            InputKind::Motion { .. } | InputKind::Position(_) | InputKind::Wheel { .. } | InputKind::Touch { .. } => {
                true
            }
        };
        if !does {
            return false;
        }
        self.power.last_input = Some(self.now);
        self.user_active(self.now);
        // With one display on the user sees what is done, and has switched the others off on purpose.
        let dark = self.is_dark();
        if dark {
            self.set_power(None, true, self.now);
        }
        dark
    }

    /// Whether all displays are off.
    fn is_dark(&self) -> bool {
        !self.power.off.is_empty() && self.presentation.outputs().iter().all(|output| self.power.is_off(output.id))
    }

    /// The session is back, which is somebody's doing.
    pub(super) fn wake(&mut self, now: Time) {
        self.power.last_input = Some(now);
        self.user_active(now);
        self.set_power(None, true, now);
    }

    /// The output on which a window is seen; `None` where there is none, or its display is off.
    pub(super) fn lit_sight(&self, window: WindowId) -> Option<OutputId> {
        self.scene.sight(window).filter(|output| !self.power.is_off(*output))
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures of outputs for those of Dom0's clients that may have them.

use crate::backend::{Commit, OutputId, Pointer};
use crate::time::Time;

use super::State;

impl State {
    /// A client wants a picture of an output: the next frame is drawn for it, where one will come.
    pub(super) fn capture(&mut self, output: OutputId) {
        let is_there = self.presentation.outputs().iter().any(|info| info.id == output);
        if self.power.is_off(output) || !is_there {
            if let Some(clients) = &mut self.clients {
                clients.wayland.fail_captures(output);
            }
        } else {
            self.pacing.queue_redraw(output, self.now);
        }
    }

    /// A frame was drawn, or nothing in it had changed: who waits for a picture of it gets one. While secure attention
    /// is shown nobody does: it is between the user and the compositor.
    pub(super) fn answer_captures(&mut self, output: OutputId, commit: Commit, now: Time) {
        let Some(clients) = &mut self.clients else { return };
        if commit == Commit::Submitted {
            clients.wayland.changed(output);
        }
        if commit == Commit::Skipped || self.scene.attention() {
            return;
        }
        for pointer in [Pointer::With, Pointer::Without] {
            if clients.wayland.wants_picture(output, pointer) {
                let picture = self.presentation.screenshot(output, pointer);
                if let Err(why) = &picture {
                    tracing::debug!("an output's picture can't be had: {why}");
                }
                clients.wayland.give_picture(output, pointer, picture.ok().as_ref(), now);
            }
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The configuration, read again while the compositor runs: all of what can change does, or nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::backend::input::{InputEvent, InputKind, TouchEvent};
use crate::control::Response;
use crate::guest::policy::PolicyFor;
use crate::input::view::is_button;
use crate::input::{Bindings, Keymap};
use crate::scene::{HelpLine, Scene};
use crate::time::Time;
use crate::wayland::KeyboardLayout;

use super::State;
use super::programs::Command;

/// What of the configuration can change while the compositor runs, in the words of the parts that it is for.
#[expect(missing_debug_implementations, reason = "holds the policy's closure")]
pub struct Settings {
    /// Who a guest is and what it may.
    pub policy_for: PolicyFor,
    /// The reserved keys.
    pub bindings: Bindings,
    /// The programs that some of them start, in the bindings' order.
    pub programs: Vec<Command>,
    /// Whether guests are sent the lock keys that bring their locks to the user's.
    pub sync_locks: bool,
    /// What the screen says of the reserved keys; nothing in a kiosk.
    pub help: Option<HelpText>,
    /// Dom0's keyboard layout, where it can be had.
    pub keymap: Option<Keymap>,
    /// The same for Dom0's own clients.
    pub layout: KeyboardLayout,
    /// The programs whose clients are privileged.
    pub privileged: Vec<PathBuf>,
    /// Time between the flip events of a window that nobody sees; at most 3 s, or guests give up.
    pub hidden_interval: Duration,
    /// After so long without input all displays go off; `None` is never.
    pub off_after: Option<Duration>,
}

/// What the screen says of the reserved keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpText {
    /// The reserved key.
    pub reserved: String,
    /// What others do with it.
    pub lines: Vec<HelpLine>,
    /// The key that shows this, if there is one.
    pub by: Option<String>,
}

impl HelpText {
    /// Has it shown when the user asks for it.
    pub fn tell(&self, scene: &mut Scene) {
        scene.set_help(&self.reserved, &self.lines, self.by.as_deref());
    }
}

/// A configuration that was read again, and is good.
#[expect(missing_debug_implementations, reason = "holds the policy's closure")]
pub struct Reloaded {
    /// All that can change, changed or not.
    pub settings: Settings,
    /// What has changed.
    pub changed: Vec<String>,
    /// What has to wait for the next start.
    pub needs_restart: Vec<String>,
}

/// Reads the configuration again; an error is a line for the user, and then nothing has changed.
pub type Reload = Box<dyn FnMut() -> Result<Reloaded, String>>;

/// What stands above the error on the screen.
const REFUSED: &str = "Grantway: the configuration is as it was; the file has an error";

impl State {
    /// Reads the configuration again.
    pub(super) fn reload(&mut self, now: Time) -> Response {
        let Reloaded { settings, changed, needs_restart } = match (self.reload)() {
            Ok(reloaded) => reloaded,
            Err(why) => {
                tracing::warn!("the configuration is as it was: {why}");
                self.scene.set_notice(REFUSED, &why);
                return Response::Error(format!("the configuration is as it was: {why}"));
            }
        };
        self.scene.end_notice();
        let layouts = self.clients.as_mut().map(|clients| {
            clients.wayland.set_privileged(&settings.privileged);
            clients.wayland.set_keyboard(&settings.layout)
        });
        if let Some(Err(why)) = layouts {
            tracing::warn!("{why}");
        }
        self.registry.set_policies(settings.policy_for, &mut self.scene);
        self.desk.seat.rebind(settings.bindings, settings.sync_locks);
        self.programs.bound = settings.programs;
        self.desk.keymap = settings.keymap;
        if let Some(help) = &settings.help {
            help.tell(&mut self.scene);
        }
        self.pacing.set_hidden_interval(settings.hidden_interval);
        self.power.set_off_after(settings.off_after, now);
        tracing::info!("the configuration was read again; changed: {}", list(&changed));
        for key in &needs_restart {
            tracing::warn!("{key} needs a restart");
        }
        Response::Reloaded { changed, needs_restart }
    }

    /// Whether the user has clicked the notice away; nobody else hears of that click.
    pub(super) fn closes_notice(&mut self, event: &InputEvent) -> bool {
        let at = match event.kind {
            InputKind::Key { code, pressed: true } if is_button(code) => self.desk.seat.pointed_at(),
            InputKind::Touch { event: TouchEvent::Down(place), .. } => Some(self.desk.seat.pixel(place)),
            InputKind::Added
            | InputKind::Removed
            | InputKind::Key { .. }
            | InputKind::Motion { .. }
            | InputKind::Position(_)
            | InputKind::Wheel { .. }
            | InputKind::Touch { .. }
            | InputKind::TouchFrame => None,
        };
        let on_it =
            at.and_then(|at| self.on_output(at)).is_some_and(|(output, x, y)| self.scene.is_notice(output, x, y));
        on_it && self.scene.end_notice()
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What of the configuration can change while the compositor runs.

use std::time::Duration;

use super::{HIDDEN_AT_MOST, bindings, help, keymap, policy};
use crate::cli::{Failure, Source};
use crate::config::{Change, Config, InputConfig, Program};
use crate::state::{Command, Reload, Reloaded, Settings};
use crate::wayland::KeyboardLayout;

/// The configuration in the words of those that it is for.
pub(super) fn of(config: &Config) -> Result<Settings, Failure> {
    let hidden_interval = Duration::from_secs(1) / config.pacing.hidden_hz.max(1);
    let off_after = Some(config.idle.off_after_seconds).filter(|seconds| *seconds > 0);
    Ok(Settings {
        policy_for: policy(config.clone()),
        bindings: bindings(&config.keys),
        sync_locks: config.input.sync_locks,
        help: config.kiosk.is_empty().then(|| help::text(&config.keys)),
        programs: commands(config.keys.programs.values()),
        keymap: keymap(&config.input)?,
        layout: layout(config),
        privileged: config.desktop.privileged.clone(),
        hidden_interval: hidden_interval.min(HIDDEN_AT_MOST),
        off_after: off_after.map(|seconds| Duration::from_secs(seconds.into())),
    })
}

/// Programs, in their order.
pub(super) fn commands<'a>(programs: impl Iterator<Item = &'a Program>) -> Vec<Command> {
    programs.map(|program| program.words().to_vec()).collect()
}

/// Dom0's keyboard layout, for its own clients.
pub(super) fn layout(config: &Config) -> KeyboardLayout {
    let InputConfig { layout, variant, options, .. } = config.input.clone();
    KeyboardLayout { layout, variant, options }
}

/// Reads the configuration again, each time that it is asked to, while `running` holds.
pub(super) fn again(source: Source, mut running: Config) -> Reload {
    Box::new(move || {
        let Change { config, changed, needs_restart } = running.changed_to(source.read()?);
        let settings = of(&config).map_err(|why| why.to_string())?;
        running = config;
        Ok(Reloaded { settings, changed, needs_restart })
    })
}

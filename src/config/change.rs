// SPDX-License-Identifier: GPL-3.0-or-later
//! Another configuration for a running compositor: what of it can hold at once, and what waits for the next start.

use super::{BackendConfig, Config, ControlConfig, DesktopConfig, LogConfig, OutputConfig};

/// What comes of a configuration that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What holds from now on: the new configuration, with the old values of what can't change.
    pub config: Config,
    /// What is another than before, and holds now; sections, guests and keys by their names in the file.
    pub changed: Vec<String>,
    /// What is another than before, and holds when the compositor is started again.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// What a running compositor makes of another configuration.
    #[must_use]
    pub fn changed_to(&self, wanted: Self) -> Change {
        let fixed = [
            self.backend.differs(&wanted.backend),
            outputs_differ(&self.output, &wanted.output),
            vec![("kiosk", self.kiosk != wanted.kiosk)],
            self.desktop.differs(&wanted.desktop),
            self.control.differs(&wanted.control),
            self.log.differs(&wanted.log),
        ];
        let free = [
            ("limits", self.limits != wanted.limits),
            ("keys", self.keys != wanted.keys),
            ("input", self.input != wanted.input),
            ("desktop.privileged", self.desktop.privileged != wanted.desktop.privileged),
            ("pacing", self.pacing != wanted.pacing),
            ("idle", self.idle != wanted.idle),
        ];
        let mut changed = named(free);
        changed.extend(self.guests_that_differ(&wanted));
        let DesktopConfig { wayland, start, .. } = self.desktop.clone();
        let desktop = DesktopConfig { wayland, start, ..wanted.desktop };
        let config = Self {
            backend: self.backend.clone(),
            output: self.output.clone(),
            kiosk: self.kiosk.clone(),
            desktop,
            control: self.control.clone(),
            log: self.log.clone(),
            ..wanted
        };
        Change { config, changed, needs_restart: named(fixed.into_iter().flatten()) }
    }

    fn guests_that_differ(&self, wanted: &Self) -> Vec<String> {
        let gone = self.guest.keys().filter(|name| !wanted.guest.contains_key(*name));
        let other = wanted.guest.iter().filter(|(name, guest)| self.guest.get(*name) != Some(guest));
        gone.chain(other.map(|(name, _)| name)).map(|name| format!("guest.\"{}\"", name.escape_default())).collect()
    }
}

/// Whether each key is another.
type Keys = Vec<(&'static str, bool)>;

fn named(keys: impl IntoIterator<Item = (&'static str, bool)>) -> Vec<String> {
    keys.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

// Taken apart, so that no key of these sections can be forgotten here.
impl BackendConfig {
    fn differs(&self, other: &Self) -> Keys {
        let Self { kind, renderer, session, drm_device, scanout, variable_refresh } = other;
        vec![
            ("backend.kind", self.kind != *kind),
            ("backend.renderer", self.renderer != *renderer),
            ("backend.session", self.session != *session),
            ("backend.drm-device", self.drm_device != *drm_device),
            ("backend.scanout", self.scanout != *scanout),
            ("backend.variable-refresh", self.variable_refresh != *variable_refresh),
        ]
    }
}

impl DesktopConfig {
    /// What clients are privileged can change.
    fn differs(&self, other: &Self) -> Keys {
        let Self { wayland, privileged: _, start } = other;
        vec![("desktop.wayland", self.wayland != *wayland), ("desktop.start", self.start != *start)]
    }
}

impl ControlConfig {
    fn differs(&self, other: &Self) -> Keys {
        let Self { socket, mode } = other;
        vec![("control.socket", self.socket != *socket), ("control.mode", self.mode != *mode)]
    }
}

impl LogConfig {
    fn differs(&self, other: &Self) -> Keys {
        let Self { level } = other;
        vec![("log.level", self.level != *level)]
    }
}

fn outputs_differ(running: &[OutputConfig], wanted: &[OutputConfig]) -> Keys {
    if running.len() != wanted.len() || running.iter().zip(wanted).any(|(old, new)| old.name != new.name) {
        return vec![("output", true)];
    }
    let any = |differs: fn(&OutputConfig, &OutputConfig) -> bool| {
        running.iter().zip(wanted).any(|(old, new)| differs(old, new))
    };
    vec![
        ("output.mode", any(|old, new| old.mode != new.mode)),
        ("output.panel", any(|old, new| old.panel != new.panel)),
        ("output.background", any(|old, new| old.background != new.background)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, "c.toml").unwrap()
    }

    /// Names of what holds now, and of what does not.
    fn change(from: &str, to: &str) -> (Vec<String>, Vec<String>) {
        let Change { changed, needs_restart, .. } = config(from).changed_to(config(to));
        (changed, needs_restart)
    }

    #[test]
    fn what_can_change_holds_at_once_and_the_rest_is_named_by_its_key() {
        let now = [
            ("limits.connectors = 2", "limits"),
            ("keys.reserved = \"scroll-lock\"", "keys"),
            ("keys.programs = { enter = [\"foot\"] }", "keys"),
            ("input.layout = \"de\"", "input"),
            ("desktop.privileged = [\"/usr/bin/grim\"]", "desktop.privileged"),
            ("pacing.hidden-hz = 5", "pacing"),
            ("idle.off-after-seconds = 60", "idle"),
            ("[guest.web]\nlabel = \"Browser\"", "guest.\"web\""),
        ];
        for (text, name) in now {
            assert_eq!(change("", text), (vec![name.to_owned()], vec![]), "{text}");
            assert_eq!(change(text, ""), (vec![name.to_owned()], vec![]), "{text}");
            assert_eq!(config("").changed_to(config(text)).config, config(text), "{text}");
        }
        let later = [
            ("backend.kind = \"headless\"", "backend.kind"),
            ("backend.renderer = \"gl\"", "backend.renderer"),
            ("backend.session = \"none\"", "backend.session"),
            ("backend.drm-device = \"/dev/dri/card1\"", "backend.drm-device"),
            ("backend.scanout = \"auto\"", "backend.scanout"),
            ("backend.variable-refresh = true", "backend.variable-refresh"),
            ("[[output]]\nname = \"a\"\nmode = \"800x600\"", "output"),
            ("[[kiosk]]\nguest = \"web\"\noutput = \"a\"", "kiosk"),
            ("desktop.wayland = \"auto\"", "desktop.wayland"),
            ("desktop.start = [[\"waybar\"]]", "desktop.start"),
            ("control.socket = \"/tmp/s\"", "control.socket"),
            ("control.mode = \"0660\"", "control.mode"),
            ("log.level = \"debug\"", "log.level"),
        ];
        for (text, name) in later {
            assert_eq!(change("", text), (vec![], vec![name.to_owned()]), "{text}");
            assert_eq!(config("").changed_to(config(text)).config, Config::default(), "{text}");
        }
    }

    #[test]
    fn of_an_output_the_key_is_named() {
        let output = |rest: &str| format!("[[output]]\nname = \"a\"\n{rest}");
        let before = output("mode = \"800x600\"");
        assert_eq!(change(&before, &output("mode = \"640x480\"")).1, ["output.mode"]);
        let background = output("mode = \"800x600\"\nbackground = \"#102030\"");
        assert_eq!(change(&before, &background).1, ["output.background"]);
        assert_eq!(change(&before, &before), (vec![], vec![]));
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The configuration file: what may stand in it, its defaults, and errors that say where and what to do.
//!
//! Everything here is plain data. `assets/grantway.toml` documents each key and equals the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

mod change;
mod error;
mod keys;
mod kiosk;
mod limits;
mod palette;
mod programs;
mod values;

pub use change::Change;
pub use error::ConfigError;
pub use keys::{CursorPolicy, InputAllowed, InputConfig, Key, KeysConfig, PointerPolicy};
pub use kiosk::{After, Area, Before, ConnectorName, Edid, Fit, KioskConfig, Turn};
pub use limits::{LimitsConfig, LimitsOverride};
pub use programs::Program;
pub use values::{FileMode, Mode, PanelName, ParseModeError, Rgb, SocketPath, WaylandSocket};

use values::{text, whole};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_PATH: &str = "/etc/grantway/grantway.toml";

/// The commented default configuration, as `grantway default-config` prints it.
pub const DEFAULT_TEXT: &str = include_str!("../../assets/grantway.toml");

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// What presents.
    pub backend: BackendConfig,
    /// Outputs and their modes, by name.
    pub output: Vec<OutputConfig>,
    /// Where which guest connector is shown, and nothing else; a desktop when empty.
    pub kiosk: Vec<KioskConfig>,
    /// What each guest may use.
    pub limits: LimitsConfig,
    /// What differs for single guests, by domain name.
    pub guest: BTreeMap<String, GuestConfig>,
    /// The reserved key and its chords.
    pub keys: KeysConfig,
    /// Dom0's keyboard.
    pub input: InputConfig,
    /// Dom0's own applications.
    pub desktop: DesktopConfig,
    /// The control socket.
    pub control: ControlConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Frame pacing.
    pub pacing: PacingConfig,
    /// What happens when nobody does anything.
    pub idle: IdleConfig,
}

/// `[backend]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BackendConfig {
    /// Which backend presents.
    pub kind: BackendKind,
    /// What composes the picture.
    pub renderer: RendererKind,
    /// Who hands out the devices.
    pub session: SessionKind,
    /// The DRM device to present on; `None` takes the seat's primary one.
    #[serde(deserialize_with = "values::device")]
    pub drm_device: Option<PathBuf>,
    /// Whether guests' buffers are put on planes.
    pub scanout: ScanoutKind,
    /// Whether displays that can show a frame whenever it comes (VRR) do so.
    pub variable_refresh: bool,
}

/// Which backend presents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// KMS where a display can be used, else headless
    #[default]
    Auto,
    /// No display; outputs exist only in memory
    Headless,
    /// Displays of this machine, by kernel mode setting
    Kms,
}

/// What composes the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RendererKind {
    /// With KMS GL where there is a GPU, else pixman
    #[default]
    Auto,
    /// The CPU
    Pixman,
    /// The GPU, by EGL and OpenGL ES
    Gl,
}

/// Whether guests' buffers are put on the planes of a display.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanoutKind {
    /// Everything is composed
    #[default]
    Off,
    /// Where the hardware takes them
    Auto,
}

/// Who hands out the devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// None for root, else libseat
    #[default]
    Auto,
    /// seatd or logind, by libseat
    Libseat,
    /// Devices are opened directly, which needs root and an unused console
    None,
}

/// `[[output]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutputConfig {
    /// The connector's name, such as `HDMI-A-1`; for the headless backend any name.
    #[serde(deserialize_with = "text::<_, 64>")]
    pub name: String,
    /// The wanted mode.
    pub mode: Mode,
    /// The display that is meant by the name, wherever it is plugged in.
    #[serde(default)]
    pub panel: Option<PanelName>,
    /// What shows in a kiosk where no guest does; black when absent.
    #[serde(default)]
    pub background: Option<Rgb>,
}

/// `[guest."name"]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct GuestConfig {
    /// Colour of border and label; `None` takes one that depends on the name alone.
    pub color: Option<Rgb>,
    /// Text of the label; `None` takes the domain's name.
    #[serde(deserialize_with = "values::optional_text::<_, 64>")]
    pub label: Option<String>,
    /// Whether the guest is shown full screen when it connects.
    pub fullscreen: bool,
    /// How its picture is shown in a window of another size; `None` scales it.
    pub fit: Option<Fit>,
    /// What it gets of the input.
    pub input: InputAllowed,
    /// When the pointer is kept within it.
    pub pointer: PointerPolicy,
    /// Whose cursor is seen over it.
    pub cursor: CursorPolicy,
    /// Whether privileged shells get small pictures of its displays.
    pub thumbnails: bool,
    /// Whether the guest's buffers may be made of our memory, where its device is configured for it.
    pub be_alloc: bool,
    /// Limits that differ from `[limits]`.
    pub limits: LimitsOverride,
    /// Its input devices.
    pub vkb: VkbConfig,
}

impl GuestConfig {
    /// The colour: the configured one, else one that depends on the domain's name alone.
    #[must_use]
    pub fn color(&self, name: &str) -> Rgb {
        self.color.unwrap_or_else(|| palette::color_of(name))
    }

    /// The label: the configured one, else the domain's name.
    #[must_use]
    pub fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.label.as_deref().unwrap_or(name)
    }
}

/// `[guest."name".vkb]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct VkbConfig {
    /// Whether its devices of backend type `qemu` are served too, for a guest that has no QEMU.
    pub take_qemu: bool,
    /// How its pointer works.
    pub pointer: PointerKind,
    /// Connectors by the `unique-id` of the input device that serves each.
    pub connectors: BTreeMap<String, String>,
}

/// How a guest's pointer works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointerKind {
    /// It is where the user's is.
    #[default]
    Absolute,
    /// It is told of motion alone, and takes the user's pointer with a click.
    Relative,
}

/// `[desktop]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct DesktopConfig {
    /// Where Dom0's own Wayland clients connect.
    pub wayland: WaylandSocket,
    /// The programs, by absolute path, whose clients get the privileged protocols.
    #[serde(deserialize_with = "values::programs")]
    pub privileged: Vec<PathBuf>,
    /// Programs that are started at the beginning.
    #[serde(deserialize_with = "programs::list")]
    pub start: Vec<Program>,
}

/// `[control]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ControlConfig {
    /// Where the socket is.
    pub socket: SocketPath,
    /// The socket's file mode.
    pub mode: FileMode,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// A bug of ours
    Error,
    /// Possible, but bad
    Warn,
    /// What an administrator wants to know
    #[default]
    Info,
    /// Trouble that guests cause, in detail
    Debug,
    /// Each request
    Trace,
}

impl LogLevel {
    /// The level's name, which is also a filter directive.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LogConfig {
    /// How much is logged.
    pub level: LogLevel,
}

/// `[pacing]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PacingConfig {
    /// Flips a second that a connector without a visible window is paced at, 1..=60. Never 0: a Linux
    /// guest gives up on a flip after three seconds.
    #[serde(deserialize_with = "whole::<_, 1, 60>")]
    pub hidden_hz: u32,
}

impl Default for PacingConfig {
    fn default() -> Self {
        Self { hidden_hz: 10 }
    }
}

/// `[idle]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct IdleConfig {
    /// Seconds without input after which all displays are switched off, up to a day; 0 is never.
    #[serde(deserialize_with = "whole::<_, 0, 86_400>")]
    pub off_after_seconds: u32,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], a single line for the user: the file can't be read, or something in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(&file, &error))?;
        Self::parse(&text, &file)
    }

    /// Parses and checks a configuration; `file` is its name in errors.
    ///
    /// # Errors
    /// [`ConfigError`], a single line for the user.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::from_toml(&error, text, file))?;
        config.check().map_err(|problem| ConfigError::at_key(&problem.key, &problem.what, text, file))?;
        Ok(config)
    }

    /// What differs for the guest of that name.
    #[must_use]
    pub fn guest_config(&self, guest: &str) -> GuestConfig {
        self.guest.get(guest).cloned().unwrap_or_default()
    }

    fn check(&self) -> Result<(), Problem> {
        for (index, output) in self.output.iter().enumerate() {
            if self.output.iter().take(index).any(|other| other.name == output.name) {
                let key = vec!["output".to_owned(), index.to_string(), "name".to_owned()];
                return Err(Problem { key, what: format!("output `{}` is configured twice", output.name) });
            }
        }
        for (index, kiosk) in self.kiosk.iter().enumerate() {
            let key = |key: &str| vec!["kiosk".to_owned(), index.to_string(), key.to_owned()];
            if let Some((name, what)) = kiosk.contradiction() {
                return Err(Problem { key: key(name), what });
            }
            let same = |other: &&KioskConfig| (&other.guest, &other.connector) == (&kiosk.guest, &kiosk.connector);
            if self.kiosk.iter().take(index).any(|other| same(&other)) {
                let what = format!("this connector of \"{}\" has a place already; it can't be in two", kiosk.guest);
                return Err(Problem { key: key("guest"), what });
            }
        }
        if !self.kiosk.is_empty() {
            let none = "a kiosk starts no programs: leave this, or [[kiosk]], away".to_owned();
            let section = if !self.desktop.start.is_empty() {
                Some(("desktop", "start"))
            } else {
                Some(("keys", "programs")).filter(|_| !self.keys.programs.is_empty())
            };
            if let Some((section, key)) = section {
                return Err(Problem { key: vec![section.to_owned(), key.to_owned()], what: none });
            }
        }
        if let Some((key, what)) = self.keys.contradiction() {
            return Err(Problem { key: vec!["keys".to_owned(), key.to_owned()], what });
        }
        if let Some((key, what)) = self.limits.contradiction() {
            return Err(Problem { key: vec!["limits".to_owned(), key.to_owned()], what });
        }
        for (name, own) in &self.guest {
            if let Some((key, what)) = self.limits.with(&own.limits).contradiction() {
                let key = ["guest", name, "limits", key].map(ToOwned::to_owned).to_vec();
                return Err(Problem { key, what });
            }
        }
        Ok(())
    }
}

/// What contradicts what, and the path of the key that is named in the error.
struct Problem {
    key: Vec<String>,
    what: String,
}

#[cfg(test)]
mod tests;

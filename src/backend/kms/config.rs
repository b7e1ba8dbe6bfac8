// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user may choose, and how a start can fail.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::backend::panel::PanelPattern;

/// How the devices are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionKind {
    /// Through libseat (seatd or logind): devices without root rights, and switching of virtual terminals.
    #[default]
    Libseat,
    /// By their names, as root, without a session: for a machine that shows nothing else.
    Direct,
}

/// Who draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RendererChoice {
    /// The GPU where the device has one, else the CPU.
    #[default]
    Auto,
    /// The CPU, into dumb buffers.
    Pixman,
    /// The GPU; a device without one is refused.
    Gl,
}

/// A wanted picture size, and the refresh rate if it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeRequest {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Frames in 1000 s; any rate when absent.
    pub refresh_mhz: Option<u32>,
}

/// What the user wants of one output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputSetting {
    /// The mode that the display prefers.
    #[default]
    Preferred,
    /// This mode; the preferred one where the display doesn't offer it.
    Mode(ModeRequest),
    /// Not used.
    Off,
}

/// A text that is no [`OutputSetting`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is no output mode; write \"preferred\", \"off\", \"800x600\" or \"800x600@60\"")]
pub struct BadOutputSetting(pub String);

impl FromStr for OutputSetting {
    type Err = BadOutputSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "preferred" => Ok(Self::Preferred),
            "off" => Ok(Self::Off),
            _ => mode_request(text).map(Self::Mode).ok_or_else(|| BadOutputSetting(text.to_owned())),
        }
    }
}

fn mode_request(text: &str) -> Option<ModeRequest> {
    let (size, refresh) = match text.split_once('@') {
        Some((size, refresh)) => (size, Some(refresh_mhz(refresh)?)),
        None => (text, None),
    };
    let (width, height) = size.split_once('x')?;
    let request = ModeRequest { width: number(width)?, height: number(height)?, refresh_mhz: refresh };
    (request.width > 0 && request.height > 0).then_some(request)
}

/// Digits only: `parse` alone would also take a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Hertz with up to three decimals.
fn refresh_mhz(text: &str) -> Option<u32> {
    let (hertz, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.is_empty() || decimals.len() > 3 {
        return None;
    }
    let thousandths = number::<u32>(&format!("{decimals:0<3}"))?;
    let total = number::<u32>(hertz)?.checked_mul(1000)?.checked_add(thousandths)?;
    (1_000..=1_000_000).contains(&total).then_some(total)
}

/// Everything that a start needs.
#[derive(Clone, Debug, Default)]
pub struct KmsConfig {
    /// How the devices are opened.
    pub session: SessionKind,
    /// The only device to use, such as `/dev/dri/card0`; all of the seat when absent.
    pub device: Option<PathBuf>,
    /// By connector name, such as `HDMI-A-1`; outputs that are not named use their preferred mode.
    pub outputs: BTreeMap<String, OutputSetting>,
    /// By what the displays say of themselves; comes before their connectors' names.
    pub panels: Vec<(PanelPattern, OutputSetting)>,
    /// Who draws.
    pub renderer: RendererChoice,
    /// No guest's buffer is put on a plane.
    pub compose_only: bool,
    /// Displays that can show a frame whenever it comes do so.
    pub variable_refresh: bool,
}

impl KmsConfig {
    /// What is wanted of the display with that EDID at the connector of that name.
    pub(super) fn output(&self, name: &str, edid: Option<&[u8]>) -> OutputSetting {
        if let Some((_, setting)) = self.panels.iter().find(|(panel, _)| panel.matches_edid(edid)) {
            return *setting;
        }
        self.outputs.get(name).copied().unwrap_or_default()
    }
}

/// Why there is no display.
#[derive(Debug, Error)]
pub enum KmsError {
    /// No session service answers.
    #[error(
        "no session: libseat says \"{0}\"; start seatd (and be in its group) or log in at a local console, \
         or use the direct session as root"
    )]
    NoSession(String),
    /// Somebody else's virtual terminal is in front.
    #[error("the session did not become active within {0} s: switch to its virtual terminal and start again")]
    SessionInactive(u64),
    /// Nothing to open.
    #[error(
        "no display device: /dev/dri holds no card; load the display driver (for QEMU: modprobe bochs), or \
         name the device"
    )]
    NoDevice,
    /// The device is there but can't be used.
    #[error("display device {path} refused: {why}")]
    Device {
        /// Its name.
        path: PathBuf,
        /// What failed and what to do.
        why: String,
    },
    /// The event loop, udev.
    #[error("{what} failed: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The kernel's words.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(width: u16, height: u16, refresh_mhz: Option<u32>) -> OutputSetting {
        OutputSetting::Mode(ModeRequest { width, height, refresh_mhz })
    }

    #[test]
    fn settings_are_read() {
        for (text, setting) in [
            ("preferred", OutputSetting::Preferred),
            ("off", OutputSetting::Off),
            ("800x600", mode(800, 600, None)),
            ("800x600@60", mode(800, 600, Some(60_000))),
            ("3840x2160@59.94", mode(3840, 2160, Some(59_940))),
            ("1920x1080@23.976", mode(1920, 1080, Some(23_976))),
        ] {
            assert_eq!(text.parse(), Ok(setting), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_text() {
        for text in [
            "",
            "on",
            "Off",
            "800",
            "800x",
            "x600",
            "0x600",
            "800x0",
            "800x600@",
            "800x600@0",
            "800x600@60.",
            "800x600@60.1234",
            "800x600@-60",
            "+800x600",
            "70000x600",
            "800x600@4294968",
            "800x600@60x",
        ] {
            let refused = text.parse::<OutputSetting>().unwrap_err();
            assert!(refused.to_string().contains(&format!("\"{text}\"")), "{refused}");
        }
    }

    #[test]
    fn outputs_without_a_setting_use_the_preferred_mode() {
        let mut config = KmsConfig::default();
        config.outputs.insert("Virtual-1".into(), OutputSetting::Off);
        assert_eq!(config.output("Virtual-1", None), OutputSetting::Off);
        assert_eq!(config.output("Virtual-2", None), OutputSetting::Preferred);
    }
}

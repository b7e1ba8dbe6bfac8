// SPDX-License-Identifier: GPL-3.0-or-later
//! Single values of the configuration, each checked where it is read, so that an error has its place.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// A whole number within a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const LOW: u32, const HIGH: u32>(u32);

impl<const LOW: u32, const HIGH: u32> Whole<LOW, HIGH> {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<'de, const LOW: u32, const HIGH: u32> Deserialize<'de> for Whole<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        whole::<D, LOW, HIGH>(from).map(Self)
    }
}

/// Reads a whole number of `LOW..=HIGH`.
pub(super) fn whole<'de, D: Deserializer<'de>, const LOW: u32, const HIGH: u32>(from: D) -> Result<u32, D::Error> {
    from.deserialize_i64(WholeVisitor::<LOW, HIGH>)
}

struct WholeVisitor<const LOW: u32, const HIGH: u32>;

impl<const LOW: u32, const HIGH: u32> Visitor<'_> for WholeVisitor<LOW, HIGH> {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LOW} to {HIGH}")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u32, E> {
        u32::try_from(value)
            .ok()
            .filter(|value| (LOW..=HIGH).contains(value))
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }
}

/// Reads a text of 1 to `MAX` characters, none of them a control character.
pub(super) fn text<'de, D: Deserializer<'de>, const MAX: usize>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let length = text.chars().count();
    if length == 0 || length > MAX || text.chars().any(char::is_control) {
        return Err(D::Error::custom(format!("a text of 1 to {MAX} printable characters is expected")));
    }
    Ok(text)
}

/// Reads a text as [`text`] does, or an empty one.
pub(super) fn text_or_empty<'de, D: Deserializer<'de>, const MAX: usize>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.chars().count() > MAX || text.chars().any(char::is_control) {
        return Err(D::Error::custom(format!("a text of at most {MAX} printable characters is expected")));
    }
    Ok(text)
}

/// Reads a text as [`text`] does, where it may also be absent.
pub(super) fn optional_text<'de, D: Deserializer<'de>, const MAX: usize>(from: D) -> Result<Option<String>, D::Error> {
    text::<D, MAX>(from).map(Some)
}

/// Reads a device: `"auto"`, or an absolute path.
pub(super) fn device<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(from)?;
    if text == "auto" {
        return Ok(None);
    }
    absolute(text).map(Some).map_err(D::Error::custom)
}

/// The most programs that can be listed.
const MOST_PROGRAMS: usize = 64;

/// Reads a list of programs, each by its absolute path.
pub(super) fn programs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    if texts.len() > MOST_PROGRAMS {
        return Err(D::Error::custom(format!("at most {MOST_PROGRAMS} programs can be listed")));
    }
    let program = |text: String| {
        let plain = text.starts_with('/') && !text.ends_with('/') && !text.chars().any(char::is_control);
        plain.then(|| PathBuf::from(&text)).ok_or_else(|| {
            let text = text.escape_default();
            D::Error::custom(format!("\"{text}\" is not the absolute path of a program, such as \"/usr/bin/grim\""))
        })
    };
    texts.into_iter().map(program).collect()
}

/// Reads an absolute path.
pub(super) fn optional_path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(from)?;
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err(D::Error::custom(format!("\"{}\" is not an absolute path", text.escape_default())));
    }
    Ok(Some(PathBuf::from(text)))
}

fn absolute(text: String) -> Result<PathBuf, String> {
    if !text.starts_with('/') || text.contains('\0') {
        return Err(format!("\"{text}\" is neither \"auto\" nor an absolute path"));
    }
    Ok(PathBuf::from(text))
}

/// Derives `Deserialize` from `FromStr`, so that the file and the command line take the same text.
macro_rules! deserialize_from_str {
    ($type:ty) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
pub(super) use deserialize_from_str;

/// An output's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Width in pixels, 64..=16384.
    pub width: u32,
    /// Height in pixels, 64..=16384.
    pub height: u32,
    /// Frames a second in mHz, 1,000..=1,000,000; `None` leaves the choice to the backend.
    pub refresh_mhz: Option<u32>,
}

/// A text that is not a mode.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{text}\" is not a mode: {why}; write it like \"1920x1080\" or \"1920x1080@60\"")]
pub struct ParseModeError {
    text: String,
    why: &'static str,
}

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, ParseModeError> {
        let refuse = |why| ParseModeError { text: text.chars().take(64).collect(), why };
        let (size, refresh) = text.split_once('@').map_or((text, None), |(size, refresh)| (size, Some(refresh)));
        let (width, height) = size.split_once('x').ok_or_else(|| refuse("no \"x\" between width and height"))?;
        let side = |digits: &str| -> Option<u32> {
            let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|side| digits_only && (64..=16384).contains(side))
        };
        let width = side(width).ok_or_else(|| refuse("the width is not a number from 64 to 16384"))?;
        let height = side(height).ok_or_else(|| refuse("the height is not a number from 64 to 16384"))?;
        let refresh_mhz = match refresh {
            None => None,
            Some(refresh) => {
                Some(millihertz(refresh).ok_or_else(|| refuse("the rate is not a number from 1 to 1000 Hz"))?)
            }
        };
        Ok(Self { width, height, refresh_mhz })
    }
}

/// Reads `60` or `59.94` as mHz, without floating point.
fn millihertz(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(fraction).filter(|rate| (1000..=1_000_000).contains(rate))
}

deserialize_from_str!(Mode);

/// Displays by what they say of themselves: `MAKE`, `MAKE/MODEL` or `MAKE/MODEL/SERIAL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelName {
    /// The manufacturer's three letters.
    pub make: String,
    /// The product's name.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
}

impl FromStr for PanelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let make = parts.next().unwrap_or_default();
        let (model, serial) = (parts.next(), parts.next());
        let letters = make.len() == 3 && make.bytes().all(|byte| byte.is_ascii_uppercase());
        if !letters || [&model, &serial].into_iter().flatten().any(String::is_empty) {
            return Err(format!(
                "\"{}\" is not a panel; write \"MAKE\", \"MAKE/MODEL\" or \"MAKE/MODEL/SERIAL\" with the manufacturer's \
                 three letters, like \"DEL/DELL U2412M\"",
                text.chars().take(64).collect::<String>().escape_default()
            ));
        }
        Ok(Self { make, model, serial })
    }
}

deserialize_from_str!(PanelName);

/// A colour, components 0..=255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl FromStr for Rgb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("\"{}\" is not a colour; write it like \"#2f6fb5\"", text.escape_default());
        let digits = text.strip_prefix('#').ok_or_else(refuse)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).map_err(|_| refuse())?.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

deserialize_from_str!(Rgb);

/// Where the control socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SocketPath {
    /// The place that suits the user: see `control::default_socket`.
    #[default]
    Auto,
    /// This absolute path.
    Path(PathBuf),
}

impl FromStr for SocketPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" { Ok(Self::Auto) } else { absolute(text.to_owned()).map(Self::Path) }
    }
}

deserialize_from_str!(SocketPath);

/// Where Dom0's own Wayland clients connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WaylandSocket {
    /// Nowhere.
    #[default]
    None,
    /// The first free name in `$XDG_RUNTIME_DIR`, from `wayland-1` on.
    Auto,
    /// This absolute path.
    Path(PathBuf),
}

impl FromStr for WaylandSocket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            path => absolute(path.to_owned()).map(Self::Path).map_err(|_| {
                format!("\"{}\" is neither \"none\" nor \"auto\" nor an absolute path", path.escape_default())
            }),
        }
    }
}

deserialize_from_str!(WaylandSocket);

/// A socket's file mode: the owner may always read and write, the group may, nobody else may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// The permission bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the file's group may connect.
    #[must_use]
    pub const fn group(self) -> bool {
        self.0 & 0o060 == 0o060
    }
}

impl Default for FileMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0600" => Ok(Self(0o600)),
            "0660" => Ok(Self(0o660)),
            _ => Err(format!(
                "\"{}\" is not allowed; \"0600\" (owner) or \"0660\" (owner and group) are, since who can connect can see every guest's screen",
                text.escape_default()
            )),
        }
    }
}

deserialize_from_str!(FileMode);

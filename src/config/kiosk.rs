// SPDX-License-Identifier: GPL-3.0-or-later
//! `[[kiosk]]`: which guest connector is shown where, when nothing else is to be shown.

use std::path::PathBuf;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::values::{self, Rgb, deserialize_from_str};

/// `[[kiosk]]`: one guest connector's place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KioskConfig {
    /// The domain's name, or its UUID.
    #[serde(deserialize_with = "values::text::<_, 64>")]
    pub guest: String,
    /// Which of its connectors.
    #[serde(default)]
    pub connector: ConnectorName,
    /// The output's name; see [`super::OutputConfig`].
    #[serde(deserialize_with = "values::text::<_, 64>")]
    pub output: String,
    /// Where on the output; all of it when absent.
    #[serde(default)]
    pub area: Option<Area>,
    /// How the picture fits the area.
    #[serde(default)]
    pub fit: Fit,
    /// How far it is turned clockwise.
    #[serde(default)]
    pub rotate: Turn,
    /// What is higher covers what is lower, 0 to 1000.
    #[serde(default)]
    pub layer: Layer,
    /// What fills the area where the picture does not; nothing when absent.
    #[serde(default)]
    pub background: Option<Rgb>,
    /// What shows until the guest has drawn.
    #[serde(default)]
    pub before: Before,
    /// What shows when the guest is gone.
    #[serde(default)]
    pub after: After,
    /// The picture of `splash`: a PNG file.
    #[serde(default, deserialize_with = "values::optional_path")]
    pub splash: Option<PathBuf>,
    /// Whether the guest's label is shown above it.
    #[serde(default)]
    pub label: bool,
    /// Which EDID the guest is handed.
    #[serde(default)]
    pub edid: Edid,
}

/// One of a guest's connectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorName {
    /// By its place in the domain's first display device.
    Index(u32),
    /// By its `unique-id`, in any of the domain's display devices.
    UniqueId(String),
}

impl Default for ConnectorName {
    fn default() -> Self {
        Self::Index(0)
    }
}

impl<'de> Deserialize<'de> for ConnectorName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ConnectorVisitor)
    }
}

struct ConnectorVisitor;

impl serde::de::Visitor<'_> for ConnectorVisitor {
    type Value = ConnectorName;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a unique-id in quotes, or a number from 0 to 15")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<ConnectorName, E> {
        let index = u32::try_from(value).ok().filter(|index| *index < 16);
        index.map(ConnectorName::Index).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(value), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ConnectorName, E> {
        let good = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        good.then(|| ConnectorName::UniqueId(text.to_owned()))
            .ok_or_else(|| E::custom("a text of 1 to 64 printable characters is expected"))
    }
}

/// A rectangle of an output, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Left edge, 0..=16384.
    pub x: u32,
    /// Top edge, 0..=16384.
    pub y: u32,
    /// Width, 1..=16384.
    pub width: u32,
    /// Height, 1..=16384.
    pub height: u32,
}

impl FromStr for Area {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str, least: u32| -> Option<u32> {
            let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|number| digits_only && (least..=16384).contains(number))
        };
        let area = || {
            let mut parts = text.splitn(3, '+');
            let (width, height) = parts.next()?.split_once('x')?;
            let (x, y) = (parts.next()?, parts.next()?);
            Some(Self { x: number(x, 0)?, y: number(y, 0)?, width: number(width, 1)?, height: number(height, 1)? })
        };
        area().ok_or_else(|| {
            let text: String = text.chars().take(64).collect();
            format!(
                "\"{}\" is not an area; write WIDTHxHEIGHT+LEFT+TOP in pixels up to 16384, like \"800x480+0+120\"",
                text.escape_default()
            )
        })
    }
}

deserialize_from_str!(Area);

/// How a picture fits its area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Pixel for pixel in the middle.
    #[default]
    Centre,
    /// As large as fits, in its own shape.
    Scale,
    /// The whole area, whatever becomes of its shape.
    Stretch,
    /// The whole area in its own shape, cut off on two sides.
    Crop,
}

/// Degrees clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// 0.
    #[default]
    None,
    /// 90.
    Right,
    /// 180.
    Half,
    /// 270.
    Left,
}

impl Turn {
    /// The degrees.
    #[must_use]
    pub const fn degrees(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Right => 90,
            Self::Half => 180,
            Self::Left => 270,
        }
    }
}

impl<'de> Deserialize<'de> for Turn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let degrees = i64::deserialize(from)?;
        let turns = [Self::None, Self::Right, Self::Half, Self::Left];
        let found = turns.into_iter().find(|turn| i64::from(turn.degrees()) == degrees);
        found
            .ok_or_else(|| D::Error::custom(format!("a picture is turned by 0, 90, 180 or 270 degrees, not {degrees}")))
    }
}

/// What covers what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer(i32);

impl Layer {
    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        values::whole::<D, 0, 1000>(from).and_then(|layer| i32::try_from(layer).map_err(D::Error::custom)).map(Self)
    }
}

/// What shows before the guest has drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Black.
    #[default]
    Black,
    /// The picture.
    Splash,
    /// What lies below.
    Nothing,
}

/// What shows after the guest is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Black.
    #[default]
    Black,
    /// Its last frame, dimmed, with a line of text.
    LastFrame,
    /// The picture.
    Splash,
    /// What lies below.
    Nothing,
}

/// Which EDID a guest is handed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edid {
    /// The display's own, where its picture has the whole output.
    #[default]
    Panel,
    /// One that is made for the connector's size.
    Synthetic,
}

impl KioskConfig {
    /// A key that can't stay as it is beside the others, and why.
    pub(super) fn contradiction(&self) -> Option<(&'static str, String)> {
        let missing = |key| Some((key, format!("`{key} = \"splash\"` wants the key `splash`, a PNG file")));
        match (&self.splash, self.before, self.after) {
            (None, Before::Splash, _) => missing("before"),
            (None, _, After::Splash) => missing("after"),
            _ => None,
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Keys by name: Linux's `KEY_*` names in lower case, with dashes, and a few more that people expect.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::programs::{MOST, Program};

/// Names and Linux's key codes; where a code has several names the first is shown.
const NAMES: &[(&str, u16)] = &[
    ("esc", 1),
    ("escape", 1),
    ("1", 2),
    ("2", 3),
    ("3", 4),
    ("4", 5),
    ("5", 6),
    ("6", 7),
    ("7", 8),
    ("8", 9),
    ("9", 10),
    ("0", 11),
    ("minus", 12),
    ("equal", 13),
    ("backspace", 14),
    ("tab", 15),
    ("q", 16),
    ("w", 17),
    ("e", 18),
    ("r", 19),
    ("t", 20),
    ("y", 21),
    ("u", 22),
    ("i", 23),
    ("o", 24),
    ("p", 25),
    ("left-brace", 26),
    ("right-brace", 27),
    ("enter", 28),
    ("return", 28),
    ("left-ctrl", 29),
    ("ctrl", 29),
    ("a", 30),
    ("s", 31),
    ("d", 32),
    ("f", 33),
    ("g", 34),
    ("h", 35),
    ("j", 36),
    ("k", 37),
    ("l", 38),
    ("semicolon", 39),
    ("apostrophe", 40),
    ("grave", 41),
    ("left-shift", 42),
    ("shift", 42),
    ("backslash", 43),
    ("z", 44),
    ("x", 45),
    ("c", 46),
    ("v", 47),
    ("b", 48),
    ("n", 49),
    ("m", 50),
    ("comma", 51),
    ("dot", 52),
    ("slash", 53),
    ("right-shift", 54),
    ("kp-asterisk", 55),
    ("left-alt", 56),
    ("alt", 56),
    ("space", 57),
    ("caps-lock", 58),
    ("f1", 59),
    ("f2", 60),
    ("f3", 61),
    ("f4", 62),
    ("f5", 63),
    ("f6", 64),
    ("f7", 65),
    ("f8", 66),
    ("f9", 67),
    ("f10", 68),
    ("num-lock", 69),
    ("scroll-lock", 70),
    ("kp-7", 71),
    ("kp-8", 72),
    ("kp-9", 73),
    ("kp-minus", 74),
    ("kp-4", 75),
    ("kp-5", 76),
    ("kp-6", 77),
    ("kp-plus", 78),
    ("kp-1", 79),
    ("kp-2", 80),
    ("kp-3", 81),
    ("kp-0", 82),
    ("kp-dot", 83),
    ("102nd", 86),
    ("f11", 87),
    ("f12", 88),
    ("kp-enter", 96),
    ("right-ctrl", 97),
    ("kp-slash", 98),
    ("sysrq", 99),
    ("print", 99),
    ("right-alt", 100),
    ("alt-gr", 100),
    ("home", 102),
    ("up", 103),
    ("page-up", 104),
    ("left", 105),
    ("right", 106),
    ("end", 107),
    ("down", 108),
    ("page-down", 109),
    ("insert", 110),
    ("delete", 111),
    ("mute", 113),
    ("volume-down", 114),
    ("volume-up", 115),
    ("power", 116),
    ("pause", 119),
    ("left-meta", 125),
    ("meta", 125),
    ("logo", 125),
    ("right-meta", 126),
    ("compose", 127),
    ("menu", 139),
    ("f13", 183),
    ("f14", 184),
    ("f15", 185),
    ("f16", 186),
    ("f17", 187),
    ("f18", 188),
    ("f19", 189),
    ("f20", 190),
    ("f21", 191),
    ("f22", 192),
    ("f23", 193),
    ("f24", 194),
];

/// The highest key code of Linux.
const KEY_MAX: u16 = 0x2ff;

/// A key of a keyboard: Linux's code, 1..=767.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u16);

impl Key {
    /// The right Ctrl key.
    pub const RIGHT_CTRL: Self = Self(97);
    /// Esc.
    pub const ESC: Self = Self(1);

    /// Linux's code.
    #[must_use]
    pub fn code(self) -> u32 {
        self.0.into()
    }
}

impl FromStr for Key {
    type Err = String;

    /// A name, or `code:` and a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, code)| *code);
        let numbered = || text.strip_prefix("code:")?.parse().ok().filter(|code| (1..=KEY_MAX).contains(code));
        named.or_else(numbered).map(Self).ok_or_else(|| {
            let text: String = text.chars().take(64).collect();
            let near =
                NAMES.iter().map(|(name, _)| (strsim::jaro(name, &text), *name)).max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = near.filter(|(near, _)| *near > 0.75).map(|(_, name)| format!("; did you mean \"{name}\"?"));
            let hint = hint.unwrap_or_else(|| "; write \"right-ctrl\", \"f\", \"f11\" or \"code:88\"".to_owned());
            format!("\"{}\" is not a key{hint}", text.escape_default())
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, code)| *code == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "code:{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Reads a key, or `"none"`.
fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Key>, D::Error> {
    let text = String::deserialize(from)?;
    if text == "none" { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}

/// Reads the programs that keys start.
fn programs<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Key, Program>, D::Error> {
    let programs = BTreeMap::<Key, Program>::deserialize(from)?;
    if programs.len() > MOST {
        return Err(D::Error::custom(format!("at most {MOST} programs can have keys")));
    }
    Ok(programs)
}

/// `[keys]`: the reserved key, and what it does together with others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct KeysConfig {
    /// The key that no guest ever gets.
    pub reserved: Key,
    /// Shows who owns each part of the screen.
    pub secure_attention: Key,
    /// Gives the next guest the keyboard.
    #[serde(deserialize_with = "optional")]
    pub next_guest: Option<Key>,
    /// Gives the previous guest the keyboard.
    #[serde(deserialize_with = "optional")]
    pub previous_guest: Option<Key>,
    /// Shows the guest with the keyboard full screen, or no longer.
    #[serde(deserialize_with = "optional")]
    pub full_screen: Option<Key>,
    /// Gives the window with the keyboard its whole output, frame included, or what it had before.
    #[serde(deserialize_with = "optional")]
    pub maximise: Option<Key>,
    /// The same with the left half.
    #[serde(deserialize_with = "optional")]
    pub left_half: Option<Key>,
    /// The same with the right half.
    #[serde(deserialize_with = "optional")]
    pub right_half: Option<Key>,
    /// Gives it the size of its picture.
    #[serde(deserialize_with = "optional")]
    pub natural_size: Option<Key>,
    /// Shows its guest's picture the next way: scaled, in the middle, and so on.
    #[serde(deserialize_with = "optional")]
    pub next_fit: Option<Key>,
    /// Tiles the windows of the workspace that is shown, or no longer.
    #[serde(deserialize_with = "optional")]
    pub tile: Option<Key>,
    /// Gives the window with the keyboard the first tile.
    #[serde(deserialize_with = "optional")]
    pub first_tile: Option<Key>,
    /// Whether 1 to 9, where they are no other chord's, show a workspace, and with Shift move a window to it.
    pub workspaces: bool,
    /// Takes it off the screen.
    #[serde(deserialize_with = "optional")]
    pub minimise: Option<Key>,
    /// Closes it, if it is one of Dom0's own clients'.
    #[serde(deserialize_with = "optional")]
    pub close: Option<Key>,
    /// Frees the pointer.
    #[serde(deserialize_with = "optional")]
    pub release_pointer: Option<Key>,
    /// Shows all of this on the screen, or no longer.
    #[serde(deserialize_with = "optional")]
    pub help: Option<Key>,
    /// Ends the compositor.
    #[serde(deserialize_with = "optional")]
    pub terminate: Option<Key>,
    /// Programs, by the keys that start them.
    #[serde(deserialize_with = "programs")]
    pub programs: BTreeMap<Key, Program>,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            reserved: Key::RIGHT_CTRL,
            secure_attention: Key::ESC,
            next_guest: Some(Key(15)),
            previous_guest: Some(Key(41)),
            full_screen: Some(Key(33)),
            maximise: Some(Key(103)),
            left_half: Some(Key(105)),
            right_half: Some(Key(106)),
            natural_size: Some(Key(108)),
            next_fit: Some(Key(31)),
            tile: Some(Key(20)),
            first_tile: Some(Key(24)),
            workspaces: true,
            minimise: Some(Key(50)),
            close: Some(Key(17)),
            release_pointer: Some(Key(25)),
            help: Some(Key(53)),
            terminate: Some(Key(14)),
            programs: BTreeMap::new(),
        }
    }
}

impl KeysConfig {
    /// The chords' names in the file, with their keys.
    #[must_use]
    pub const fn chords(&self) -> [(&'static str, Option<Key>); 16] {
        [
            ("secure-attention", Some(self.secure_attention)),
            ("next-guest", self.next_guest),
            ("previous-guest", self.previous_guest),
            ("full-screen", self.full_screen),
            ("maximise", self.maximise),
            ("left-half", self.left_half),
            ("right-half", self.right_half),
            ("natural-size", self.natural_size),
            ("next-fit", self.next_fit),
            ("tile", self.tile),
            ("first-tile", self.first_tile),
            ("minimise", self.minimise),
            ("close", self.close),
            ("release-pointer", self.release_pointer),
            ("help", self.help),
            ("terminate", self.terminate),
        ]
    }

    /// The keys of the workspaces, by these' numbers.
    pub fn workspace_keys(&self) -> impl Iterator<Item = (u8, Key)> {
        let taken = self.chords().map(|(_, key)| key);
        let keys = (1..=9_u8).map(|number| (number, Key(u16::from(number) + 1)));
        keys.filter(move |(_, key)| self.workspaces && !taken.contains(&Some(*key)) && !self.programs.contains_key(key))
    }

    /// The first key of the section that has no meaning beside the others, and why.
    pub(super) fn contradiction(&self) -> Option<(&'static str, String)> {
        let chords = self.chords();
        let contradiction = chords.iter().enumerate().find_map(|(index, (name, key))| {
            let key = (*key)?;
            if key == self.reserved {
                return Some((*name, format!("{name} is {key}, which is the reserved key itself")));
            }
            let (other, _) = chords.iter().take(index).find(|(_, other)| *other == Some(key))?;
            Some((*name, format!("{name} and {other} are both {key}")))
        });
        contradiction.or_else(|| {
            self.programs.iter().find_map(|(key, program)| {
                let chord = chords.iter().find(|(_, other)| *other == Some(*key)).map(|(name, _)| *name);
                let other = if *key == self.reserved { Some("the reserved key") } else { chord };
                other.map(|other| ("programs", format!("{key} would start {}, and is {other}", program.name())))
            })
        })
    }
}

/// `[input]`: Dom0's keyboard layout, and what follows the user from guest to guest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct InputConfig {
    /// The layout, as the X keyboard extension names it.
    #[serde(deserialize_with = "super::values::text::<_, 64>")]
    pub layout: String,
    /// Its variant; may be empty.
    #[serde(deserialize_with = "super::values::text_or_empty::<_, 64>")]
    pub variant: String,
    /// Options, separated by commas; may be empty.
    #[serde(deserialize_with = "super::values::text_or_empty::<_, 256>")]
    pub options: String,
    /// Whether a guest that gets the keyboard is sent the lock keys that bring its locks to the user's.
    pub sync_locks: bool,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self { layout: "us".to_owned(), variant: String::new(), options: String::new(), sync_locks: true }
    }
}

/// What a guest gets of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputAllowed {
    /// Everything
    #[default]
    All,
    /// Pointer and touch, no keys
    Pointer,
    /// Nothing
    View,
}

/// When the pointer is kept within a guest that it was clicked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointerPolicy {
    /// While it is full screen
    #[default]
    Auto,
    /// Never
    Free,
    /// Always
    Confined,
}

/// Whose cursor is seen over a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CursorPolicy {
    /// Ours
    #[default]
    Compositor,
    /// The guest's own, which it draws into its picture
    Guest,
}

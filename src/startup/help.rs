// SPDX-License-Identifier: GPL-3.0-or-later
//! What the reserved keys do, in a few words, for the screen.

use crate::config::KeysConfig;
use crate::scene::HelpLine;
use crate::state::HelpText;

/// In the order of [`KeysConfig::chords`].
const DOES: [&str; 16] = [
    "who owns what; all is let go",
    "the next window",
    "the window before",
    "full screen",
    "all of the screen, framed",
    "its left half",
    "its right half",
    "as large as the picture",
    "scaled, 1:1, cropped, …",
    "tiles, or none",
    "the first tile",
    "off the screen",
    "close (Dom0's own)",
    "free the pointer",
    "these keys",
    "end Grantway",
];

const BUTTONS: [(&str, &str); 3] = [
    ("left button", "move a window"),
    ("right button", "change its size"),
    ("middle button", "see another part of it"),
];

/// What the screen says of these keys.
pub(super) fn text(keys: &KeysConfig) -> HelpText {
    let chords = keys.chords().into_iter().zip(DOES).filter_map(|((_, key), does)| Some((key?.to_string(), does)));
    let buttons = BUTTONS.map(|(key, does)| (key.to_owned(), does));
    let workspaces = keys.workspaces.then_some([
        ("1 to 9".to_owned(), "another workspace"),
        ("shift, 1 to 9".to_owned(), "the window to another one"),
    ]);
    let workspaces = workspaces.into_iter().flatten();
    let programs = keys
        .programs
        .iter()
        .map(|(key, program)| HelpLine { key: key.to_string(), does: format!("start {}", program.name()).into() });
    let lines = chords.chain(workspaces).chain(buttons).map(|(key, does)| HelpLine { key, does: does.into() });
    let lines = programs.chain(lines).collect();
    HelpText { reserved: keys.reserved.to_string(), lines, by: keys.help.map(|key| key.to_string()) }
}

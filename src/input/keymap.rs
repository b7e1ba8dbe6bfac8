// SPDX-License-Identifier: GPL-3.0-or-later
//! Dom0's own keyboard layout: which keys have to be pressed for a text.
//!
//! Guests get raw key codes and have layouts of their own, so a text arrives as it is meant only in a guest
//! with the same layout.

use std::collections::BTreeMap;

use smithay::input::keyboard::xkb;

const KEY_LEFTSHIFT: u32 = 42;
const KEY_RIGHTALT: u32 = 100;
/// xkb's key codes are Linux's and this.
const XKB_OFFSET: u32 = 8;

/// How a letter is typed: the keys in the order in which they go down.
type Stroke = Vec<u32>;

/// Which keys make which letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    strokes: BTreeMap<char, Stroke>,
}

impl Keymap {
    /// Reads a layout, with an optional variant and options, as the X keyboard extension names them.
    ///
    /// # Errors
    /// A sentence for the user: there is no such layout, or the layouts are not installed.
    pub fn new(layout: &str, variant: &str, options: &str) -> Result<Self, String> {
        let mut context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
        // It would print to standard error; the one line below says what matters.
        context.set_log_level(xkb::LogLevel::Critical);
        let options = Some(options.to_owned()).filter(|options| !options.is_empty());
        let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
        let keymap = xkb::Keymap::new_from_names(&context, "evdev", "pc105", layout, variant, options, flags);
        let keymap = keymap.ok_or_else(|| {
            format!("there is no keyboard layout \"{layout}\" with variant \"{variant}\", or xkb-data is not installed")
        })?;
        Ok(Self { strokes: strokes(&keymap) })
    }

    /// The keys for a text, letter by letter.
    ///
    /// # Errors
    /// The first letter that the layout has no key for.
    pub fn type_text(&self, text: &str) -> Result<Vec<&[u32]>, char> {
        let key = |letter: char| {
            // The key Enter makes a carriage return.
            let wanted = if letter == '\n' { '\r' } else { letter };
            self.strokes.get(&wanted).map(Vec::as_slice).ok_or(letter)
        };
        text.chars().map(key).collect()
    }
}

/// Tries each key with each combination of the modifiers that choose a letter, the simplest first.
fn strokes(keymap: &xkb::Keymap) -> BTreeMap<char, Stroke> {
    let mut strokes = BTreeMap::new();
    for modifiers in [&[][..], &[KEY_LEFTSHIFT], &[KEY_RIGHTALT], &[KEY_LEFTSHIFT, KEY_RIGHTALT]] {
        let mut state = xkb::State::new(keymap);
        for modifier in modifiers {
            state.update_key(xkb::Keycode::new(modifier + XKB_OFFSET), xkb::KeyDirection::Down);
        }
        for code in keymap.min_keycode().raw()..=keymap.max_keycode().raw() {
            let Some(key) = code.checked_sub(XKB_OFFSET).filter(|key| !modifiers.contains(key)) else { continue };
            let letter = char::from_u32(state.key_get_utf32(xkb::Keycode::new(code))).filter(|letter| *letter != '\0');
            if let Some(letter) = letter {
                strokes.entry(letter).or_insert_with(|| modifiers.iter().copied().chain([key]).collect());
            }
        }
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_typed_as_the_layout_has_them() {
        let us = Keymap::new("us", "", "").unwrap();
        assert_eq!(us.type_text("aA1!\n").unwrap(), [&[30][..], &[42, 30], &[2], &[42, 2], &[28]]);
        assert_eq!(us.type_text("aß"), Err('ß'));
        let de = Keymap::new("de", "nodeadkeys", "").unwrap();
        assert_eq!(de.type_text("zß@~").unwrap(), [&[21][..], &[12], &[100, 16], &[100, 27]]);
        assert!(Keymap::new("no-such-layout", "", "").unwrap_err().contains("no-such-layout"));
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Sets of key and button codes.

/// The codes that a set can hold are below this; Linux's `KEY_MAX` is 0x2ff.
const CODES: u32 = 0x300;

/// Linux's `BTN_LEFT` to `BTN_TASK`: what its frontend gives to the pointer.
const BUTTONS: std::ops::RangeInclusive<u32> = 0x110..=0x117;

/// Whether Linux's frontend takes the code for a button of the pointer.
#[must_use]
pub fn is_button(code: u32) -> bool {
    BUTTONS.contains(&code)
}

/// Whether Linux's frontend takes the code for a key: `KEY_ESC` to below `KEY_UNKNOWN`, and `KEY_OK` to below
/// `KEY_MAX`. It complains in the guest's log of all others, and reads beyond its bitmap for those above
/// `KEY_MAX`.
#[must_use]
pub fn is_key(code: u32) -> bool {
    matches!(code, 1..=239 | 0x160..=0x2fe)
}

/// A set of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySet([u64; 12]);

impl KeySet {
    /// All codes for which `wanted` holds.
    #[must_use]
    pub fn of(wanted: impl Fn(u32) -> bool) -> Self {
        let mut set = Self::default();
        for code in (0..CODES).filter(|code| wanted(*code)) {
            set.insert(code);
        }
        set
    }

    fn bit(code: u32) -> (usize, u64) {
        (usize::try_from(code >> 6).unwrap_or(usize::MAX), 1 << (code & 63))
    }

    /// Whether the code is in the set.
    #[must_use]
    pub fn contains(&self, code: u32) -> bool {
        let (word, bit) = Self::bit(code);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Puts a code in; one that no set can hold is left out.
    pub fn insert(&mut self, code: u32) {
        let (word, bit) = Self::bit(code);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    /// Takes a code out.
    pub fn remove(&mut self, code: u32) {
        let (word, bit) = Self::bit(code);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Takes all codes out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether no code is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many codes are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The lowest code.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        let found = (0_u32..).zip(self.0).find(|(_, word)| *word != 0);
        found.map(|(index, word)| index.saturating_mul(64).saturating_add(word.trailing_zeros()))
    }

    /// The codes, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..CODES).filter(|code| self.contains(*code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = KeySet::default();
        for code in [0x2ff, 0, 63, 64, 0x110, 0x300, u32::MAX] {
            set.insert(code);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 0x110, 0x2ff]);
        assert_eq!((set.len(), set.first()), (5, Some(0)));
        set.remove(0);
        set.remove(9000);
        assert_eq!(set.first(), Some(63));
        assert!(!set.contains(u32::MAX));
        set.clear();
        assert!(set.is_empty());
        assert_eq!(set.first(), None);
    }

    #[test]
    fn keys_and_buttons_are_those_of_linux() {
        let buttons = KeySet::of(is_button);
        assert_eq!((buttons.first(), buttons.len()), (Some(0x110), 8));
        // KEY_ESC, and KEY_UNKNOWN; BTN_MISC; KEY_OK; KEY_MAX.
        let expected = [(0, false), (1, true), (239, true), (240, false), (0x100, false), (0x160, true)];
        for (code, taken) in expected {
            assert_eq!(is_key(code), taken, "{code}");
        }
        assert!(is_key(0x2fe));
        assert!(!is_key(0x2ff));
    }
}

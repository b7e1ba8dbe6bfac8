// SPDX-License-Identifier: GPL-3.0-or-later
//! The states of the two ends of a PV device (Xen's `io/xenbus.h`), and the values that stand in xenstore.

use std::fmt::{self, Write as _};

/// State of one end of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XenbusState {
    /// The node is missing, or says 0.
    Unknown,
    /// Being set up.
    Initialising,
    /// Set up as far as possible without the other end.
    InitWait,
    /// All parameters are published.
    Initialised,
    /// In use.
    Connected,
    /// Wants to let go.
    Closing,
    /// Has let go.
    Closed,
    /// Being set up anew.
    Reconfiguring,
    /// Set up anew.
    Reconfigured,
}

impl XenbusState {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Initialising,
        Self::InitWait,
        Self::Initialised,
        Self::Connected,
        Self::Closing,
        Self::Closed,
        Self::Reconfiguring,
        Self::Reconfigured,
    ];

    /// The value as it stands in xenstore.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "0",
            Self::Initialising => "1",
            Self::InitWait => "2",
            Self::Initialised => "3",
            Self::Connected => "4",
            Self::Closing => "5",
            Self::Closed => "6",
            Self::Reconfiguring => "7",
            Self::Reconfigured => "8",
        }
    }

    /// Parses a `state` node; `None` for anything that is not one of the nine states.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == value)
    }
}

impl fmt::Display for XenbusState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Unknown => "Unknown",
            Self::Initialising => "Initialising",
            Self::InitWait => "InitWait",
            Self::Initialised => "Initialised",
            Self::Connected => "Connected",
            Self::Closing => "Closing",
            Self::Closed => "Closed",
            Self::Reconfiguring => "Reconfiguring",
            Self::Reconfigured => "Reconfigured",
        };
        f.write_str(name)
    }
}

/// Parses a decimal number as a driver writes it: digits only, no sign, no spaces, in range.
#[must_use]
pub fn parse_u32(value: &str) -> Option<u32> {
    if value.is_empty() || value.len() > 10 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok()
}

/// At most 32 characters of a guest's string, with all but plain ones escaped, for the log.
#[must_use]
pub fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars().take(32) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", character.escape_default());
    }
    text.push_str(if value.chars().nth(32).is_some() { "...\"" } else { "\"" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_the_digits_0_to_8() {
        for digit in 0..=8 {
            let text = digit.to_string();
            assert_eq!(XenbusState::parse(&text).unwrap().as_str(), text);
        }
        for bad in ["9", "-1", "foo", "", "04", "4 ", "4\n", "44"] {
            assert_eq!(XenbusState::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_guests_text_is_quoted_plainly_and_shortened() {
        assert_eq!(quoted("a\n\u{1b}[2J\"é"), r#""a\n\u{1b}[2J\"\u{e9}""#);
        assert_eq!(quoted(&"x".repeat(32)), format!("\"{}\"", "x".repeat(32)));
        assert_eq!(quoted(&"x".repeat(33)), format!("\"{}...\"", "x".repeat(32)));
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(parse_u32("0"), Some(0));
        assert_eq!(parse_u32("4294967295"), Some(u32::MAX));
        for bad in ["", "4294967296", "99999999999", "-1", "+1", " 1", "1 ", "0x1", "1\0", "٣"] {
            assert_eq!(parse_u32(bad), None, "{bad:?}");
        }
    }
}

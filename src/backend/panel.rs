// SPDX-License-Identifier: GPL-3.0-or-later
//! Which display it is, as it says itself (VESA E-EDID Standard, release A, revision 2, sections 3.4 and 3.10.3),
//! so that an output can be named by its display and not by the socket that this is plugged into.

const HEADER: [u8; 8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
const DESCRIPTORS: [usize; 4] = [54, 72, 90, 108];
const DESCRIPTOR: usize = 18;
const TAG_NAME: u8 = 0xfc;
const TAG_SERIAL: u8 = 0xff;

/// A display's name for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    /// The manufacturer's three letters.
    pub make: String,
    /// The product's name; where it has none, its code as four hexadecimal digits.
    pub model: String,
    /// The serial number; empty where there is none.
    pub serial: String,
}

impl Panel {
    /// Reads the first block of an EDID; `None` for what is no EDID.
    #[must_use]
    pub fn read(edid: &[u8]) -> Option<Self> {
        if edid.get(..8)? != HEADER || edid.len() < 128 {
            return None;
        }
        let letters = u16::from_be_bytes([*edid.get(8)?, *edid.get(9)?]);
        let letter = |shift: u32| u8::try_from(letters >> shift & 31).ok().map(|letter| char::from(b'@' + letter));
        let make = [letter(10)?, letter(5)?, letter(0)?].into_iter().collect();
        let code = u16::from_le_bytes([*edid.get(10)?, *edid.get(11)?]);
        let number = u32::from_le_bytes([*edid.get(12)?, *edid.get(13)?, *edid.get(14)?, *edid.get(15)?]);
        let numbered = if number == 0 { String::new() } else { number.to_string() };
        Some(Self {
            make,
            model: text(edid, TAG_NAME).unwrap_or_else(|| format!("{code:04x}")),
            serial: text(edid, TAG_SERIAL).unwrap_or(numbered),
        })
    }
}

/// The text of the descriptor with that tag: up to 13 characters, ended by a line feed.
fn text(edid: &[u8], tag: u8) -> Option<String> {
    let descriptors = DESCRIPTORS.iter().filter_map(|start| edid.get(*start..start.saturating_add(DESCRIPTOR)));
    let found = descriptors
        .into_iter()
        .find(|descriptor| descriptor.starts_with(&[0, 0, 0]) && descriptor.get(3) == Some(&tag))?;
    let bytes = found.get(5..)?.iter().take_while(|byte| **byte != b'\n');
    let text: String = bytes.map(|byte| char::from(*byte)).filter(|letter| !letter.is_control()).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Which displays are meant; what is absent matters not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelPattern {
    /// The manufacturer's three letters.
    pub make: String,
    /// The product's name.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
}

impl PanelPattern {
    /// Whether a display is one of those that are meant.
    #[must_use]
    pub fn matches(&self, panel: &Panel) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        self.make == panel.make && same(&self.model, &panel.model) && same(&self.serial, &panel.serial)
    }

    /// Whether an EDID is that of one of the displays that are meant.
    #[must_use]
    pub fn matches_edid(&self, edid: Option<&[u8]>) -> bool {
        edid.and_then(Panel::read).is_some_and(|panel| self.matches(&panel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edid() -> Vec<u8> {
        let mut edid = vec![0; 128];
        edid[..8].copy_from_slice(&HEADER);
        // "DEL": 4, 5, 12.
        edid[8..10].copy_from_slice(&(4_u16 << 10 | 5 << 5 | 12).to_be_bytes());
        edid[10..16].copy_from_slice(&[0x7b, 0xa0, 57, 48, 0, 0]);
        edid
    }

    fn describe(edid: &mut [u8], at: usize, tag: u8, text: &[u8]) {
        edid[at + 3] = tag;
        edid[at + 5..at + 5 + text.len()].copy_from_slice(text);
    }

    #[test]
    fn a_display_is_known_by_its_descriptors_else_by_its_numbers() {
        let mut edid = edid();
        let panel = |make: &str, model: &str, serial: &str| {
            Some(Panel { make: make.into(), model: model.into(), serial: serial.into() })
        };
        assert_eq!(Panel::read(&edid), panel("DEL", "a07b", "12345"));
        describe(&mut edid, 72, TAG_NAME, b"DELL U2412M\n ");
        describe(&mut edid, 108, TAG_SERIAL, b"YMYH1\n       ");
        assert_eq!(Panel::read(&edid), panel("DEL", "DELL U2412M", "YMYH1"));
        assert_eq!(Panel::read(&edid[..127]), None);
        assert_eq!(Panel::read(&[]), None);
        edid[0] = 1;
        assert_eq!(Panel::read(&edid), None);
    }

    #[test]
    fn a_panel_is_named_as_exactly_as_one_likes() {
        let panel = Panel { make: "DEL".into(), model: "DELL U2412M".into(), serial: "YMYH1".into() };
        let matches = |make: &str, model: Option<&str>, serial: Option<&str>| {
            let (model, serial) = (model.map(str::to_owned), serial.map(str::to_owned));
            PanelPattern { make: make.to_owned(), model, serial }.matches(&panel)
        };
        assert!(matches("DEL", None, None) && matches("DEL", Some("DELL U2412M"), None));
        assert!(matches("DEL", Some("DELL U2412M"), Some("YMYH1")) && matches("DEL", None, Some("YMYH1")));
        assert!(!matches("ACR", None, None) && !matches("DEL", Some("DELL"), None));
        assert!(!matches("DEL", Some("DELL U2412M"), Some("2")));
    }
}

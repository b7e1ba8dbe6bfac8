// SPDX-License-Identifier: GPL-3.0-or-later
//! An input device, as a guest's configuration describes it.

/// The keys that libxl writes into the backend's directory when they are given.
const FEATURES: [&str; 10] = [
    "feature-disable-keyboard",
    "feature-disable-pointer",
    "feature-abs-pointer",
    "feature-raw-pointer",
    "feature-multi-touch",
    "multi-touch-width",
    "multi-touch-height",
    "multi-touch-num-contacts",
    "width",
    "height",
];

/// An input device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Vkb {
    pub(super) number: u32,
    /// The kind of its backend's directory: `vinput` for `backend-type=linux`, else `vkbd`.
    pub(super) kind: &'static str,
    pub(super) keys: Vec<(String, String)>,
}

impl Vkb {
    /// Reads the text between the quotes of `vkb=['…']`.
    ///
    /// # Errors
    /// In words, as for the user of `xl`.
    pub(in super::super) fn parse(number: u32, text: &str) -> Result<Self, String> {
        let mut device = Self { number, kind: "vkbd", keys: Vec::new() };
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').ok_or_else(|| format!("vkb: {item:?} is not understood"))?;
            match (key, value) {
                ("backend", "0") | ("backend-type", "qemu") => {}
                ("backend-type", "linux") => device.kind = "vinput",
                ("unique-id", id) => device.keys.push((key.to_owned(), id.to_owned())),
                (key, value) if FEATURES.contains(&key) => {
                    let number: u32 = value.parse().map_err(|_| format!("vkb: {item:?} is no number"))?;
                    // libxl writes no zero.
                    if number != 0 {
                        device.keys.push((key.to_owned(), number.to_string()));
                    }
                }
                _ => return Err(format!("vkb: {item:?} is not understood")),
            }
        }
        Ok(device)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What the toolstack configured for an input device, what the frontend asked for, and what comes of both.

use crate::xen::store::Snapshot;
use crate::xen::xenbus::parse_u32;

use super::{Capabilities, TouchArea};

/// What Linux takes for width and height when they are not given.
pub const DEFAULT_AREA: (u32, u32) = (800, 600);

/// Widest and highest area that makes sense: coordinates are signed on the wire.
const MAX_SIDE: u32 = 65_536;

/// The keys that are read of our own directory.
pub const OWN_KEYS: [&str; 11] = [
    "unique-id",
    "feature-disable-keyboard",
    "feature-disable-pointer",
    "feature-abs-pointer",
    "feature-raw-pointer",
    "feature-multi-touch",
    "width",
    "height",
    "multi-touch-width",
    "multi-touch-height",
    "multi-touch-num-contacts",
];

/// The keys by which the frontend asks for something.
pub const REQUEST_KEYS: [&str; 3] = ["request-abs-pointer", "request-raw-pointer", "request-multi-touch"];

/// What stands in our own directory: the toolstack's word. `None` where nothing stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The device's name, for the pairing with a display.
    pub unique_id: Option<String>,
    /// The frontend shall make no keyboard.
    pub disable_keyboard: Option<u32>,
    /// The frontend shall make no pointer.
    pub disable_pointer: Option<u32>,
    /// Absolute positions are offered.
    pub abs_pointer: Option<u32>,
    /// Raw positions are offered.
    pub raw_pointer: Option<u32>,
    /// Touch is offered.
    pub multi_touch: Option<u32>,
    /// The pointer's space.
    pub width: Option<u32>,
    /// The pointer's space.
    pub height: Option<u32>,
    /// The touch screen's space.
    pub touch_width: Option<u32>,
    /// The touch screen's space.
    pub touch_height: Option<u32>,
    /// Fingers at once.
    pub contacts: Option<u32>,
}

/// What the frontend asks for. Anything but a number that is not 0 asks for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Absolute positions.
    pub abs_pointer: bool,
    /// Raw positions.
    pub raw_pointer: bool,
    /// Touch.
    pub multi_touch: bool,
}

impl Requests {
    /// Reads the frontend's directory.
    #[must_use]
    pub fn read(snapshot: &Snapshot, frontend: &str) -> Self {
        let asked = |key: &str| {
            let value = snapshot.value(&format!("{frontend}/{key}")).and_then(parse_u32);
            value.is_some_and(|value| value != 0)
        };
        let [abs_pointer, raw_pointer, multi_touch] = REQUEST_KEYS.map(asked);
        Self { abs_pointer, raw_pointer, multi_touch }
    }
}

fn is_on(value: Option<u32>) -> bool {
    value.is_some_and(|value| value != 0)
}

impl Features {
    /// Reads our directory, `backend`.
    #[must_use]
    pub fn read(snapshot: &Snapshot, backend: &str) -> Self {
        Self::of(|key| snapshot.value(&format!("{backend}/{key}")).map(str::to_owned))
    }

    /// Takes the values of our directory from `value`.
    #[must_use]
    pub fn of(value: impl Fn(&str) -> Option<String>) -> Self {
        let number = |key: &str| value(key).as_deref().and_then(parse_u32);
        Self {
            unique_id: value("unique-id").filter(|id| !id.is_empty()),
            disable_keyboard: number("feature-disable-keyboard"),
            disable_pointer: number("feature-disable-pointer"),
            abs_pointer: number("feature-abs-pointer"),
            raw_pointer: number("feature-raw-pointer"),
            multi_touch: number("feature-multi-touch"),
            width: number("width"),
            height: number("height"),
            touch_width: number("multi-touch-width"),
            touch_height: number("multi-touch-height"),
            contacts: number("multi-touch-num-contacts"),
        }
    }

    /// The pointer's space, in pixels.
    #[must_use]
    pub fn area(&self) -> (u32, u32) {
        let side =
            |side: Option<u32>, default: u32| side.filter(|side| (1..=MAX_SIDE).contains(side)).unwrap_or(default);
        (side(self.width, DEFAULT_AREA.0), side(self.height, DEFAULT_AREA.1))
    }

    fn touch_area(&self, most_contacts: u8) -> Option<TouchArea> {
        let side = |side: Option<u32>| side.filter(|side| (1..=MAX_SIDE).contains(side));
        let contacts = u8::try_from(self.contacts?).unwrap_or(u8::MAX).min(most_contacts);
        let area = TouchArea { width: side(self.touch_width)?, height: side(self.touch_height)?, contacts };
        (contacts > 0).then_some(area)
    }

    /// What may be sent to a frontend that asks for `requests`; no more than `most_contacts` fingers.
    ///
    /// Linux's frontend looks every key up in the bitmap of its pointer first and in that of its keyboard
    /// second, without asking whether they exist: a guest without a pointer must never get a key event of any
    /// kind, and one without a keyboard none but buttons.
    #[must_use]
    pub fn capabilities(&self, requests: Requests, most_contacts: u8) -> Capabilities {
        let pointer = !is_on(self.disable_pointer);
        let absolute = pointer && requests.abs_pointer && is_on(self.abs_pointer);
        let touch = requests.multi_touch && is_on(self.multi_touch);
        Capabilities {
            keyboard: pointer && !is_on(self.disable_keyboard),
            pointer,
            relative: pointer && !absolute,
            absolute: absolute.then(|| self.area()),
            raw_pointer: absolute && requests.raw_pointer && is_on(self.raw_pointer),
            touch: touch.then(|| self.touch_area(most_contacts)).flatten(),
        }
    }

    /// The requests in the frontend's directory that can't be granted: what was not offered, and what is no
    /// number. The guest does without, as [`Features::capabilities`] says.
    #[must_use]
    pub fn impossible(&self, snapshot: &Snapshot, frontend: &str) -> Vec<&'static str> {
        let granted = self.capabilities(Requests { abs_pointer: true, raw_pointer: true, multi_touch: true }, u8::MAX);
        let offers = [granted.absolute.is_some(), granted.raw_pointer, granted.touch.is_some()];
        let asked = REQUEST_KEYS.into_iter().zip(offers);
        let in_vain = |key: &str, offered: bool| match snapshot.value(&format!("{frontend}/{key}")).map(parse_u32) {
            Some(Some(value)) => value != 0 && !offered,
            Some(None) => true,
            None => false,
        };
        asked.filter(|(key, offered)| in_vain(key, *offered)).map(|(key, _)| key).collect()
    }

    /// What to write into our directory before the guest looks, so that its pointer and its touch screen fit a
    /// display of that size; what the toolstack has configured stays as it is. A relative pointer is one that is not
    /// offered positions.
    #[must_use]
    pub fn missing(
        &self,
        (width, height): (u32, u32),
        contacts: u8,
        relative_pointer: bool,
    ) -> Vec<(&'static str, u32)> {
        let mut keys = Vec::new();
        let mut add = |key: &'static str, present: Option<u32>, value: u32| {
            if present.is_none() {
                keys.push((key, value));
            }
        };
        if !is_on(self.disable_pointer) {
            add("feature-abs-pointer", self.abs_pointer, u32::from(!relative_pointer));
            add("width", self.width, width);
            add("height", self.height, height);
        }
        if contacts > 0 && self.multi_touch != Some(0) {
            add("feature-multi-touch", self.multi_touch, 1);
            add("multi-touch-width", self.touch_width, width);
            add("multi-touch-height", self.touch_height, height);
            add("multi-touch-num-contacts", self.contacts, contacts.into());
        }
        keys
    }

    /// What is wrong with the configuration of a device whose guest has read it, in sentences for the user.
    #[must_use]
    pub fn complaints(&self) -> Vec<&'static str> {
        let mut complaints = Vec::new();
        if is_on(self.disable_pointer) {
            complaints.push(
                "feature-disable-pointer=1: the guest gets no keys either, since Linux crashes on a key without a \
                 pointer; take it out of the guest's vkb line",
            );
        } else if self.abs_pointer.is_none() {
            complaints.push(
                "no feature-abs-pointer: the guest's pointer won't follow the mouse; start grantway before the guest, \
                 or put feature-abs-pointer=1,width=W,height=H into its vkb line",
            );
        } else if self.width.is_none() || self.height.is_none() {
            complaints.push(
                "no width and height: Linux takes 800x600, so its pointer is off; put width=W,height=H into the \
                 guest's vkb line",
            );
        }
        if is_on(self.multi_touch) && self.touch_area(u8::MAX).is_none() {
            complaints.push(
                "feature-multi-touch=1 without a size and a number of contacts: touch does not work; put \
                 multi-touch-width=W,multi-touch-height=H,multi-touch-num-contacts=N into the guest's vkb line",
            );
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Requests = Requests { abs_pointer: true, raw_pointer: true, multi_touch: true };

    fn features(pairs: &[(&str, &str)]) -> Features {
        let mut snapshot = Snapshot::default();
        for (key, value) in pairs {
            snapshot.values.insert(format!("/b/{key}"), (*value).to_owned());
        }
        Features::read(&snapshot, "/b")
    }

    #[test]
    fn a_guest_without_a_pointer_gets_no_key_at_all() {
        let capabilities = features(&[("feature-disable-pointer", "1")]).capabilities(ALL, 10);
        assert_eq!(capabilities, Capabilities::default());
        let capabilities = features(&[("feature-disable-keyboard", "1")]).capabilities(ALL, 10);
        assert!(!capabilities.keyboard);
        assert!(capabilities.pointer && capabilities.relative);
    }

    #[test]
    fn nothing_is_sent_that_was_not_both_offered_and_asked_for() {
        let offered = [("feature-abs-pointer", "1"), ("feature-raw-pointer", "1"), ("width", "64"), ("height", "48")];
        let it = features(&offered);
        assert_eq!(it.capabilities(Requests::default(), 10).absolute, None);
        assert!(it.capabilities(Requests::default(), 10).relative);
        let raw_alone = Requests { raw_pointer: true, ..Requests::default() };
        assert!(!it.capabilities(raw_alone, 10).raw_pointer);
        let all = it.capabilities(ALL, 10);
        assert_eq!((all.absolute, all.raw_pointer, all.relative, all.touch), (Some((64, 48)), true, false, None));
        assert_eq!(features(&[]).capabilities(ALL, 10).absolute, None);
    }

    #[test]
    fn impossible_sizes_are_not_taken() {
        let area = |width, height| {
            features(&[("feature-abs-pointer", "1"), ("width", width), ("height", height)])
                .capabilities(ALL, 10)
                .absolute
        };
        assert_eq!(area("0", "4294967295"), Some(DEFAULT_AREA));
        assert_eq!(area("-1", "foo"), Some(DEFAULT_AREA));
        let touch = |contacts| {
            features(&[
                ("feature-multi-touch", "1"),
                ("multi-touch-width", "64"),
                ("multi-touch-height", "48"),
                ("multi-touch-num-contacts", contacts),
            ])
            .capabilities(ALL, 10)
            .touch
        };
        assert_eq!(touch("0"), None);
        assert_eq!(touch("4294967295"), Some(TouchArea { width: 64, height: 48, contacts: 10 }));
        assert_eq!(touch("3"), Some(TouchArea { width: 64, height: 48, contacts: 3 }));
    }

    #[test]
    fn what_the_toolstack_wrote_stays() {
        let all = features(&[]).missing((640, 480), 10, false);
        assert_eq!(all.len(), 7);
        let relative = features(&[]).missing((640, 480), 0, true);
        assert_eq!(relative, [("feature-abs-pointer", 0), ("width", 640), ("height", 480)]);
        assert_eq!(features(&[("feature-abs-pointer", "1")]).missing((640, 480), 0, true).len(), 2);
        let some = features(&[("feature-abs-pointer", "0"), ("width", "100"), ("feature-multi-touch", "0")]);
        assert_eq!(some.missing((640, 480), 10, false), [("height", 480)]);
        assert_eq!(features(&[("feature-disable-pointer", "1")]).missing((640, 480), 0, false), []);
    }

    #[test]
    fn a_configuration_that_does_not_work_is_complained_of() {
        assert_eq!(features(&[]).complaints().len(), 1);
        assert_eq!(features(&[("feature-abs-pointer", "0"), ("width", "1"), ("height", "1")]).complaints(), [""; 0]);
        let good = [("feature-abs-pointer", "1"), ("width", "640"), ("height", "480")];
        assert_eq!(features(&good).complaints(), [""; 0]);
        assert_eq!(features(&good[..2]).complaints().len(), 1);
        assert_eq!(features(&[good[0], good[1], good[2], ("feature-multi-touch", "1")]).complaints().len(), 1);
        assert_eq!(features(&[("feature-disable-pointer", "1")]).complaints().len(), 1);
    }
}

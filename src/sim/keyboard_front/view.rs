// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest's programs see of its input devices: the events of kbdif, as Linux's `xen-kbdfront` and the
//! kernel's input core behind it take them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::kbdif::wire::{Event, TouchEvent};

/// What the driver made when it found its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    /// "Xen Virtual Keyboard".
    pub keyboard: bool,
    /// "Xen Virtual Pointer".
    pub pointer: bool,
    /// Whether the pointer has absolute axes, 0 to these.
    pub absolute: Option<(i32, i32)>,
    /// The contacts of "Xen Virtual Multi-touch".
    pub contacts: u8,
}

/// One of the guest's input devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The keyboard.
    Keyboard,
    /// The pointer.
    Pointer,
    /// The touch screen.
    Touch,
}

/// One event as `evtest` would show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The device.
    pub source: Source,
    /// The event's name; for keys `KEY`.
    pub name: &'static str,
    /// The key, or the contact.
    pub code: u32,
    /// The value.
    pub value: i32,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Keyboard => "keyboard",
            Source::Pointer => "pointer",
            Source::Touch => "touch",
        };
        write!(f, "{source} {} {} {}", self.name, self.code, self.value)
    }
}

/// The state of the guest's input devices.
#[derive(Debug)]
pub struct View {
    devices: Devices,
    /// Keys and buttons that are down.
    pub keys: BTreeSet<u32>,
    /// Contacts that are down, and where.
    pub contacts: BTreeMap<u8, (i32, i32)>,
    /// The pointer's last absolute position.
    pub position: Option<(i32, i32)>,
    /// The sum of all relative motion, and of the wheel's clicks.
    pub travelled: (i64, i64, i64),
    /// Events that the driver complained of in the log.
    pub complaints: u64,
    /// Touch events since the last sync.
    pub unsynced: bool,
    slot: u8,
}

fn is_pointer_key(code: u32) -> bool {
    (0x110..=0x117).contains(&code)
}

fn is_keyboard_key(code: u32) -> bool {
    matches!(code, 1..=239 | 0x160..=0x2fe)
}

impl View {
    /// Nothing is pressed.
    #[must_use]
    pub fn new(devices: Devices) -> Self {
        Self {
            devices,
            keys: BTreeSet::new(),
            contacts: BTreeMap::new(),
            position: None,
            travelled: (0, 0, 0),
            complaints: 0,
            unsynced: false,
            slot: 0,
        }
    }

    /// The devices.
    #[must_use]
    pub const fn devices(&self) -> Devices {
        self.devices
    }

    /// Takes an event in. Returns what the guest's programs see of it.
    ///
    /// # Errors
    /// In words, when Linux's kernel would have crashed on it.
    pub fn take(&mut self, event: Event) -> Result<Vec<Report>, String> {
        let mut out = Vec::new();
        match event {
            Event::Key { pressed, code } => self.key(pressed, code, &mut out)?,
            Event::Motion { x, y, z } => self.motion(x, y, z, &mut out),
            Event::Position { x, y, z } => self.place(x, y, z, &mut out),
            Event::Touch { contact, event } => self.touch(contact, event, &mut out),
        }
        Ok(out)
    }

    /// Linux looks the key up in the pointer's bitmap and then in the keyboard's, without asking whether they
    /// exist, and without comparing it with the bitmap's size.
    fn key(&mut self, pressed: bool, code: u32, out: &mut Vec<Report>) -> Result<(), String> {
        if code > 0x2ff {
            return Err(format!("key {code:#x} lies beyond the bitmap"));
        }
        if !self.devices.pointer {
            return Err(format!("key {code:#x}, and there is no pointer"));
        }
        let source = if is_pointer_key(code) {
            Source::Pointer
        } else if !self.devices.keyboard {
            return Err(format!("key {code:#x}, and there is no keyboard"));
        } else if is_keyboard_key(code) {
            Source::Keyboard
        } else {
            self.complaints += 1;
            return Ok(());
        };
        let changed = if pressed { self.keys.insert(code) } else { self.keys.remove(&code) };
        if changed {
            out.push(Report { source, name: "KEY", code, value: pressed.into() });
        } else if pressed && source == Source::Keyboard {
            out.push(Report { source, name: "KEY", code, value: 2 });
        }
        Ok(())
    }

    fn wheel(&mut self, z: i32, out: &mut Vec<Report>) {
        if z != 0 {
            self.travelled.2 -= i64::from(z);
            out.push(Report { source: Source::Pointer, name: "REL_WHEEL", code: 0, value: z.wrapping_neg() });
        }
    }

    fn motion(&mut self, x: i32, y: i32, z: i32, out: &mut Vec<Report>) {
        if !self.devices.pointer {
            return;
        }
        if self.devices.absolute.is_none() {
            self.travelled.0 += i64::from(x);
            self.travelled.1 += i64::from(y);
            let axes = [("REL_X", x), ("REL_Y", y)].into_iter().filter(|(_, value)| *value != 0);
            out.extend(axes.map(|(name, value)| Report { source: Source::Pointer, name, code: 0, value }));
        }
        self.wheel(z, out);
    }

    fn place(&mut self, x: i32, y: i32, z: i32, out: &mut Vec<Report>) {
        if !self.devices.pointer {
            return;
        }
        if self.devices.absolute.is_some() {
            let old = self.position.replace((x, y));
            let axes = [("ABS_X", x, old.map(|old| old.0)), ("ABS_Y", y, old.map(|old| old.1))];
            let changed = axes.into_iter().filter(|(_, new, old)| *old != Some(*new));
            out.extend(changed.map(|(name, value, _)| Report { source: Source::Pointer, name, code: 0, value }));
        }
        self.wheel(z, out);
    }

    fn touch(&mut self, contact: u8, event: TouchEvent, out: &mut Vec<Report>) {
        if self.devices.contacts == 0 {
            return;
        }
        // The input core ignores a slot that there is not, and stays with the one before.
        if contact < self.devices.contacts {
            self.slot = contact;
        }
        let slot = self.slot;
        let mut report = |name, value| {
            out.push(Report { source: Source::Touch, name, code: slot.into(), value });
        };
        self.unsynced = event != TouchEvent::Sync;
        match event {
            TouchEvent::Down { x, y } => {
                self.contacts.insert(slot, (x, y));
                for (name, value) in [("ABS_MT_TRACKING_ID", 1), ("ABS_MT_POSITION_X", x), ("ABS_MT_POSITION_Y", y)] {
                    report(name, value);
                }
            }
            TouchEvent::Motion { x, y } => {
                if let Some(place) = self.contacts.get_mut(&slot) {
                    *place = (x, y);
                }
                report("ABS_MT_POSITION_X", x);
                report("ABS_MT_POSITION_Y", y);
            }
            TouchEvent::Up => {
                if self.contacts.remove(&slot).is_some() {
                    report("ABS_MT_TRACKING_ID", -1);
                }
            }
            TouchEvent::Sync => report("SYN_REPORT", 0),
            // Linux has no axis for the shorter diameter, and none for the orientation.
            TouchEvent::Shape { major, .. } => report("ABS_MT_TOUCH_MAJOR", i32::try_from(major).unwrap_or(i32::MAX)),
            TouchEvent::Orientation(_) => {}
        }
    }
}

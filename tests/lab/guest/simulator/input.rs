// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated input driver, and who watches it: told in the words in which `evdev` tells of the kernel's.
//! Only what the simulated driver reports is told: the ends of a pointer's and a keyboard's reports are not.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use grantway::sim::front::{FrontError, Guest};
use grantway::sim::keyboard_front::KeyboardFront;
use grantway::sim::keyboard_front::view::{Report, Source};

use super::tell;
use crate::Result;

const KEYBOARD: &str = "Xen Virtual Keyboard";
const TOUCH: &str = "Xen Virtual Multi-touch";
const POINTER: &str = "Xen Virtual Pointer";

/// Linux's `EV_ABS` and `ABS_MT_SLOT`.
const SLOT: (u16, u16) = (3, 0x2f);

/// A report's type and code, as `linux/input-event-codes.h` numbers them.
fn number(report: &Report) -> Option<(u16, u16)> {
    Some(match report.name {
        "KEY" => (1, u16::try_from(report.code).ok()?),
        "REL_X" => (2, 0),
        "REL_Y" => (2, 1),
        "REL_WHEEL" => (2, 8),
        "ABS_X" => (3, 0),
        "ABS_Y" => (3, 1),
        "ABS_MT_TOUCH_MAJOR" => (3, 0x30),
        "ABS_MT_POSITION_X" => (3, 0x35),
        "ABS_MT_POSITION_Y" => (3, 0x36),
        "ABS_MT_TRACKING_ID" => (3, 0x39),
        "SYN_REPORT" => (0, 0),
        _ => return None,
    })
}

/// The guest's input device.
pub(super) struct Inputs {
    front: KeyboardFront,
    watchers: Vec<UnixStream>,
    slot: u32,
}

impl Inputs {
    pub(super) fn connect(guest: &mut Guest, limit: Duration) -> std::result::Result<Self, FrontError> {
        let front = KeyboardFront::connect(guest, 0, limit)?;
        Ok(Self { front, watchers: Vec::new(), slot: 0 })
    }

    /// To be waited for.
    pub(super) fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.front.channel_fd()
    }

    /// Takes what there is, and tells the watchers.
    pub(super) fn take(&mut self, guest: &mut Guest) -> std::result::Result<(), FrontError> {
        self.front.follow(guest)?;
        self.front.take_events()?;
        if let Some(why) = self.front.oops.take() {
            println!("BUG: the input driver would have crashed: {why}");
        }
        let reports: Vec<Report> = self.front.log.drain(..).map(|(_, report)| report).collect();
        for report in reports {
            for line in self.lines(&report) {
                self.watchers.retain(|watcher| tell(watcher, &line).is_ok());
            }
        }
        Ok(())
    }

    fn lines(&mut self, report: &Report) -> Vec<String> {
        let device = match report.source {
            Source::Keyboard => KEYBOARD,
            Source::Pointer => POINTER,
            Source::Touch => TOUCH,
        };
        let line = |(kind, code): (u16, u16), value: i32| format!("> event {device} {kind} {code} {value}");
        let mut lines = Vec::new();
        let of_a_contact = report.source == Source::Touch && report.name != "SYN_REPORT";
        if of_a_contact && self.slot != report.code {
            self.slot = report.code;
            lines.push(line(SLOT, i32::try_from(report.code).unwrap_or(i32::MAX)));
        }
        lines.extend(number(report).map(|number| line(number, report.value)));
        lines
    }

    /// Tells of the devices, and from now on of every event.
    pub(super) fn watched_by(&mut self, client: UnixStream) -> Result<()> {
        let devices = self.front.view.devices();
        let size = |name: &str, (width, height): (i32, i32)| format!(" {name}x={width} {name}y={height}");
        if devices.keyboard {
            tell(&client, &format!("> device {KEYBOARD}"))?;
        }
        if let Some(area) = self.front.touch_area {
            // As the kernel has it: the first contact is a pointer, too.
            let axes = [size("", area), size("touch-", area)].concat();
            tell(&client, &format!("> device {TOUCH}{axes} slots={}", devices.contacts.saturating_sub(1)))?;
        }
        if devices.pointer {
            let axes = devices.absolute.map(|area| size("", area)).unwrap_or_default();
            tell(&client, &format!("> device {POINTER}{axes}"))?;
        }
        tell(&client, "> input watched")?;
        self.watchers.push(client);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! An input device of this machine, by the kernel's uinput: what QEMU has no device for, or not every QEMU. For
//! everybody else it is a device like any other one.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::os::fd::AsRawFd;

use crate::{Result, Word};

/// Event types and codes of `linux/input-event-codes.h`.
const EV_KEY: u16 = 1;
const EV_REL: u16 = 2;
const EV_ABS: u16 = 3;
const REPORT: [u16; 2] = [0, 0];
const BTN_TOUCH: u16 = 0x14a;
const PROPERTY_DIRECT: i32 = 1;

/// `struct uinput_setup`, with the bus, vendor, product and version of `struct input_id`.
#[repr(C)]
#[derive(Debug)]
struct Setup {
    id: [u16; 4],
    name: [u8; 80],
    effects: u32,
}

/// `struct uinput_abs_setup`.
#[repr(C)]
#[derive(Debug, Default)]
struct AxisSetup {
    code: u16,
    unused: u16,
    value: i32,
    minimum: i32,
    maximum: i32,
    rest: [i32; 3],
}

nix::ioctl_none!(create, b'U', 1);
nix::ioctl_write_ptr!(set_up, b'U', 3, Setup);
nix::ioctl_write_ptr!(set_up_axis, b'U', 4, AxisSetup);
nix::ioctl_write_int_bad!(set_type, nix::request_code_write!(b'U', 100, 4));
nix::ioctl_write_int_bad!(set_key, nix::request_code_write!(b'U', 101, 4));
nix::ioctl_write_int_bad!(set_relative, nix::request_code_write!(b'U', 102, 4));
nix::ioctl_write_int_bad!(set_property, nix::request_code_write!(b'U', 110, 4));

type SetBit = unsafe fn(i32, i32) -> nix::Result<i32>;

/// What a device has.
struct Kind {
    name: &'static str,
    product: u16,
    keys: &'static [u16],
    relative: &'static [u16],
    /// Each axis and its highest value.
    absolute: &'static [(u16, i32)],
    properties: &'static [i32],
}

/// Five buttons, and a wheel with high resolution.
const MOUSE: Kind = Kind {
    name: "Lab Mouse",
    product: 1,
    keys: &[0x110, 0x111, 0x112, 0x113, 0x114],
    relative: &[0, 1, 8, 11],
    absolute: &[],
    properties: &[],
};

/// A screen of twelve contacts, in tenths of a pixel of the lab's display.
const TOUCH: Kind = Kind {
    name: "Lab Touch Screen",
    product: 2,
    keys: &[BTN_TOUCH],
    relative: &[],
    absolute: &[(0, 12_799), (1, 7_999), (0x2f, 11), (0x35, 12_799), (0x36, 7_999), (0x39, 0xffff)],
    properties: &[PROPERTY_DIRECT],
};

fn make(kind: &Kind) -> Result<File> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("/dev/uinput: {what}: {error}");
    let file = OpenOptions::new().write(true).open("/dev/uinput").map_err(|error| failed("open", &error))?;
    let fd = file.as_raw_fd();
    let bit = |set: SetBit, number: i32| {
        // SAFETY: the descriptor is open, and the call takes a number.
        unsafe { set(fd, number) }.map(drop).map_err(|error| failed("its abilities", &error))
    };
    for (kind, some) in
        [(EV_KEY, !kind.keys.is_empty()), (EV_REL, !kind.relative.is_empty()), (EV_ABS, !kind.absolute.is_empty())]
    {
        if some {
            bit(set_type, kind.into())?;
        }
    }
    kind.keys.iter().try_for_each(|key| bit(set_key, i32::from(*key)))?;
    kind.relative.iter().try_for_each(|axis| bit(set_relative, i32::from(*axis)))?;
    kind.properties.iter().try_for_each(|property| bit(set_property, *property))?;
    for (code, maximum) in kind.absolute {
        let axis = AxisSetup { code: *code, maximum: *maximum, ..AxisSetup::default() };
        // SAFETY: the descriptor is open, and the kernel reads one `struct uinput_abs_setup`.
        unsafe { set_up_axis(fd, &raw const axis) }.map_err(|error| failed("an axis", &error))?;
    }
    let mut setup = Setup { id: [6, 1, kind.product, 1], name: [0; 80], effects: 0 };
    setup.name[..kind.name.len()].copy_from_slice(kind.name.as_bytes());
    // SAFETY: the descriptor is open, the kernel reads one `struct uinput_setup`, and the second call takes nothing.
    unsafe { set_up(fd, &raw const setup).and_then(|_| create(fd)) }.map_err(|error| failed("its creation", &error))?;
    Ok(file)
}

/// Makes a device, which is there until the end of `lines`: each is one report, its events as `TYPE CODE VALUE`.
pub(crate) fn run(kind: &str, lines: impl BufRead, word: &mut Word<'_>) -> Result<()> {
    let kind = match kind {
        "mouse" => MOUSE,
        "touch" => TOUCH,
        other => return Err(format!("'{other}' is no device: mouse, touch")),
    };
    let mut device = make(&kind)?;
    word(&format!("device {} is there", kind.name))?;
    for line in lines.lines() {
        let line = line.map_err(|error| error.to_string())?;
        let report = report(&line).ok_or_else(|| format!("'{line}' is no report"))?;
        // The kernel takes only whole events, all of them.
        device.write_all(&report).map_err(|error| format!("{}: {error}", kind.name))?;
    }
    Ok(())
}

/// A report as the kernel takes it, with its end.
fn report(line: &str) -> Option<Vec<u8>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut report = Vec::new();
    for event in words.chunks(3) {
        let [kind, code, value] = event else { return None };
        add(&mut report, [kind.parse().ok()?, code.parse().ok()?], value.parse().ok()?);
    }
    add(&mut report, REPORT, 0);
    Some(report)
}

/// A `struct input_event` of a 64-bit kernel: two words of time, which is the kernel's to tell.
fn add(report: &mut Vec<u8>, numbers: [u16; 2], value: i32) {
    report.extend([0; 16]);
    report.extend(numbers.map(u16::to_ne_bytes).concat());
    report.extend(value.to_ne_bytes());
}

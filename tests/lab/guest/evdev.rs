// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest's programs see of its input devices, through the kernel's ordinary interface, as `evtest` shows it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Result, Word};

/// How long a keyboard and a pointer are waited for: the emulated machine's guest may take minutes to boot.
const LIMIT: Duration = Duration::from_secs(120);

/// `struct input_absinfo`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Axis {
    value: i32,
    minimum: i32,
    maximum: i32,
    rest: [i32; 3],
}

nix::ioctl_read!(axis_x, b'E', 0x40, Axis);
nix::ioctl_read!(axis_y, b'E', 0x41, Axis);
nix::ioctl_read!(axis_slot, b'E', 0x40 + 0x2f, Axis);
nix::ioctl_read!(axis_touch_x, b'E', 0x40 + 0x35, Axis);
nix::ioctl_read!(axis_touch_y, b'E', 0x40 + 0x36, Axis);

type Ioctl = unsafe fn(i32, *mut Axis) -> nix::Result<i32>;

/// One device.
struct Device {
    name: String,
    file: File,
}

impl Device {
    fn maximum(&self, ioctl: Ioctl) -> Option<i32> {
        let mut axis = Axis::default();
        // SAFETY: the descriptor is open, and the kernel writes one `struct input_absinfo`.
        unsafe { ioctl(self.file.as_raw_fd(), &raw mut axis) }.ok().filter(|_| axis.maximum > 0)?;
        Some(axis.maximum)
    }

    fn describe(&self) -> String {
        let axes: [(&str, Ioctl); 5] =
            [("x", axis_x), ("y", axis_y), ("touch-x", axis_touch_x), ("touch-y", axis_touch_y), ("slots", axis_slot)];
        let ranges = axes.iter().filter_map(|(name, ioctl)| Some(format!(" {name}={}", self.maximum(*ioctl)?)));
        format!("{}{}", self.name, ranges.collect::<String>())
    }
}

fn devices() -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    for entry in fs::read_dir("/sys/class/input").map_err(|error| format!("no input devices: {error}"))? {
        let entry = entry.map_err(|error| error.to_string())?;
        let node = entry.file_name().to_string_lossy().into_owned();
        if !node.starts_with("event") {
            continue;
        }
        let name = fs::read_to_string(entry.path().join("device/name")).map_err(|error| format!("{node}: {error}"))?;
        let file = File::open(format!("/dev/input/{node}")).map_err(|error| format!("{node}: {error}"))?;
        devices.push(Device { name: name.trim().to_owned(), file });
    }
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(devices)
}

/// Linux's front driver makes both, or none: a guest without pointer gets no keys either.
const NEEDED: [&str; 2] = ["Xen Virtual Keyboard", "Xen Virtual Pointer"];

/// The devices as soon as there are a keyboard and a pointer. At boot Linux can lose them; then others come.
fn found() -> Result<Vec<Device>> {
    let start = Instant::now();
    loop {
        // One that goes while it is opened is no failure.
        match devices() {
            Ok(devices) if NEEDED.iter().all(|name| devices.iter().any(|device| device.name == *name)) => {
                return Ok(devices);
            }
            other if start.elapsed() > LIMIT => {
                let names: Vec<_> = other?.into_iter().map(|device| device.name).collect();
                return Err(format!("no keyboard and pointer; there are: {}", names.join(", ")));
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Tells which devices there are, and then every event, until it is killed. When a device goes it begins anew with
/// those that come in its place.
pub(crate) fn watch(word: &mut Word<'_>) -> Result<()> {
    loop {
        let devices = found()?;
        for device in &devices {
            word(&format!("device {}", device.describe()))?;
        }
        word("input watched")?;
        let gone = watch_these(devices, word)?;
        word(&format!("input device gone: {gone}"))?;
    }
}

/// Tells every event until a device is gone; which.
fn watch_these(mut devices: Vec<Device>, word: &mut Word<'_>) -> Result<String> {
    loop {
        let ready: Vec<bool> = {
            let mut fds: Vec<_> =
                devices.iter().map(|device| PollFd::new(device.file.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut fds, PollTimeout::NONE).map_err(|error| format!("poll: {error}"))?;
            fds.iter().map(|fd| fd.any().unwrap_or(false)).collect()
        };
        for (device, _) in devices.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            // A `struct input_event` of a 64-bit kernel: two words of time, type, code, value.
            let mut events = [0; 24 * 64];
            let read = match device.file.read(&mut events) {
                Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => return Ok(device.name.clone()),
                read => read.map_err(|error| format!("{}: {error}", device.name))?,
            };
            for event in events[..read].chunks_exact(24) {
                let number = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
                let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
                word(&format!("event {} {} {} {value}", device.name, number(16), number(18)))?;
            }
        }
    }
}

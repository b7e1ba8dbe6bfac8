// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest's programs see of its input devices, through the kernel's ordinary interface, as `evtest` shows it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Result, Word};

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

/// Tells which devices there are, and then every event, until it is killed.
pub(crate) fn watch(word: &mut Word<'_>) -> Result<()> {
    let mut devices = devices()?;
    for device in &devices {
        word(&format!("device {}", device.describe()))?;
    }
    word("input watched")?;
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
            let read = device.file.read(&mut events).map_err(|error| format!("{}: {error}", device.name))?;
            for event in events[..read].chunks_exact(24) {
                let number = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
                let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
                word(&format!("event {} {} {} {value}", device.name, number(16), number(18)))?;
            }
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Input devices for us alone. Without a session service the kernel's console reads the keyboard too: what is
//! typed into a guest would also be typed at Dom0's login prompt, and Ctrl+Alt+Del would restart Dom0.

use std::os::fd::{AsFd, AsRawFd};

nix::ioctl_write_int!(
    /// `EVIOCGRAB` of `linux/input.h`.
    evdev_grab,
    b'E',
    0x90
);

/// Takes an evdev device away from everybody else, the kernel's console included, until it is closed.
///
/// # Errors
/// The kernel's: `EBUSY` where somebody else has it.
pub(super) fn grab(device: &impl AsFd) -> nix::Result<()> {
    // SAFETY: the descriptor is open for the call, and the argument is a number that the kernel does not follow.
    unsafe { evdev_grab(device.as_fd().as_raw_fd(), 1) }.map(drop)
}

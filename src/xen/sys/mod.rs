// SPDX-License-Identifier: GPL-3.0-or-later
//! The only Xen system calls.

mod evtchn;
mod gntdev;
mod grants;
#[allow(unsafe_code, reason = "the drivers' ioctls")]
mod ioctl;
mod kernel;
#[allow(unsafe_code, reason = "mmap and munmap")]
pub mod mapping;
mod probe;
mod store;
mod zcopy;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use thiserror::Error;

use crate::xen::Platform;
pub use probe::{ALLOCATION_PROBE, GIVEN_PROBE, PROVIDER_PROBE, Probe, ProbeState, probe};

/// A part of Xen that is not there, and what to do.
#[derive(Debug, Error)]
#[error("{path} can't be opened: {error}; {advice}")]
pub struct OpenError {
    /// The device or socket.
    pub path: String,
    /// The kernel's word.
    pub error: io::Error,
    /// What to do.
    pub advice: &'static str,
}

/// Connects to the real Xen: xenstored, the event channel driver, and the grant drivers.
///
/// # Errors
/// [`OpenError`] of the first part that is missing. The kernel helper may be missing; it is asked at each export.
pub fn open() -> Result<Platform, OpenError> {
    Ok(Platform {
        store: store::connect()?,
        event_channels: Box::new(evtchn::Evtchn::open()?),
        grants: Box::new(grants::XenGrants::open(Box::new(kernel::ThisKernel))?),
    })
}

/// Opens a device for reading and writing, so that nothing on it blocks.
fn open_device(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits()).open(path)
}

/// What is missing when a device is.
fn advice(error: &io::Error, otherwise: &'static str) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return "run as root, or give the user access to the device";
    }
    otherwise
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! How to reach xenstored.

use std::io;
use std::os::unix::net::UnixStream;

use super::{OpenError, advice, open_device};
use crate::xen::store::Store;

/// The daemon's own socket: no kernel in between, and room for many requests under way.
pub(super) const SOCKETS: [&str; 2] = ["/run/xenstored/socket", "/var/run/xenstored/socket"];

/// The kernel's way, for when xenstored runs in a domain of its own, or keeps its socket to root.
pub(super) const DEVICE: &str = "/dev/xen/xenbus";

/// Connects by the first way that works.
pub(super) fn connect() -> Result<Store, OpenError> {
    for path in SOCKETS {
        match socket(path) {
            Ok(stream) => return Ok(Store::new(Box::new(stream))),
            Err(error) => tracing::debug!(path, %error, "no xenstored there"),
        }
    }
    match open_device(DEVICE) {
        Ok(device) => Ok(Store::over_device(Box::new(device))),
        Err(error) => {
            let advice = advice(&error, "boot under Xen and start xenstored (Debian: systemctl start xen)");
            Err(OpenError { path: format!("{} and {DEVICE}", SOCKETS.join(", ")), error, advice })
        }
    }
}

pub(super) fn socket(path: &str) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

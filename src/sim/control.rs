// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest process and the hypervisor say to each other over the control socket (sequenced packets).
//! Each message is a list of texts, each ended by a NUL, and descriptors beside it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::os;

/// A guest's request, or the hypervisor's answer.
#[derive(Debug)]
pub struct Control {
    /// First the kind, then what belongs to it.
    pub texts: Vec<String>,
    /// Descriptors that came along.
    pub fds: Vec<OwnedFd>,
}

impl Control {
    /// Sends a message.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(socket: BorrowedFd<'_>, texts: &[&str], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        os::send(socket, &crate::xen::store::wire::strings(texts), fds)
    }

    /// Receives a message; `None` when the peer is gone.
    ///
    /// # Errors
    /// The kernel's; also when the message is not text.
    pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let (bytes, fds) = os::receive(socket)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        let texts = text.strip_suffix('\0').unwrap_or(&text).split('\0').map(str::to_owned).collect();
        Ok(Some(Self { texts, fds }))
    }

    /// The texts as slices, for matching.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }
}

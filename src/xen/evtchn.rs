// SPDX-License-Identifier: GPL-3.0-or-later
//! Event channels, as the devices use them.

use std::io;
use std::os::fd::BorrowedFd;

use super::{DomId, Port};

/// What we ask of the event channel driver. Nothing here blocks.
pub trait EventChannels {
    /// Binds a port that `domid` offers to us; returns our local port, unmasked.
    ///
    /// # Errors
    /// The driver's error: no such port, bound already, or offered to another domain.
    fn bind(&mut self, domid: DomId, remote: Port) -> io::Result<Port>;

    /// Closes a local port. A port that is not bound is ignored.
    fn unbind(&mut self, port: Port);

    /// Raises the event at the other end.
    ///
    /// # Errors
    /// The driver's error; the peer may be gone.
    fn notify(&mut self, port: Port) -> io::Result<()>;

    /// Moves the ports that have fired into `out`. Each stays masked until [`EventChannels::unmask`], so
    /// that a storm of events costs one wake-up a service round (XSA-332).
    ///
    /// # Errors
    /// The driver's error.
    fn take_pending(&mut self, out: &mut Vec<Port>) -> io::Result<()>;

    /// Lets the port fire again, after its work was done.
    ///
    /// # Errors
    /// The driver's error.
    fn unmask(&mut self, port: Port) -> io::Result<()>;

    /// Becomes readable when [`EventChannels::take_pending`] would find something.
    fn poll_fd(&self) -> BorrowedFd<'_>;
}

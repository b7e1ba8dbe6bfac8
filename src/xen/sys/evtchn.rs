// SPDX-License-Identifier: GPL-3.0-or-later
//! The event channel driver, `/dev/xen/evtchn`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::{OpenError, advice, ioctl, open_device};
use crate::xen::evtchn::EventChannels;
use crate::xen::{DomId, Port};

pub(super) const DEVICE: &str = "/dev/xen/evtchn";

/// The driver. A port that was read is masked until it is written back.
#[derive(Debug)]
pub(super) struct Evtchn {
    device: File,
}

impl Evtchn {
    pub(super) fn open() -> Result<Self, OpenError> {
        let device = open_device(DEVICE).map_err(|error| {
            let advice = advice(&error, "boot under Xen and load the module xen-evtchn (modprobe xen-evtchn)");
            OpenError { path: DEVICE.to_owned(), error, advice }
        })?;
        Ok(Self { device })
    }
}

impl EventChannels for Evtchn {
    fn bind(&mut self, domid: DomId, remote: Port) -> io::Result<Port> {
        ioctl::evtchn_bind(&self.device, domid, remote)
    }

    fn unbind(&mut self, port: Port) {
        if let Err(error) = ioctl::evtchn_unbind(&self.device, port) {
            tracing::debug!(%port, %error, "a port can't be unbound");
        }
    }

    fn notify(&mut self, port: Port) -> io::Result<()> {
        ioctl::evtchn_notify(&self.device, port)
    }

    fn take_pending(&mut self, out: &mut Vec<Port>) -> io::Result<()> {
        let mut buffer = [0; 256];
        loop {
            match self.device.read(&mut buffer) {
                Ok(read) => {
                    let words = buffer.get(..read).unwrap_or_default().as_chunks::<4>().0;
                    out.extend(words.iter().map(|word| Port(u32::from_ne_bytes(*word))));
                    // A full buffer may have left some behind.
                    if read < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn unmask(&mut self, port: Port) -> io::Result<()> {
        self.device.write_all(&port.0.to_ne_bytes())
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The kernel helper, `/dev/xen/zcopy`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::ioctl::{self, HelperInfo};
use super::open_device;
use crate::xen::grants::ExportId;
use crate::xen::{DomId, GrantRef};

pub(super) const DEVICE: &str = "/dev/xen/zcopy";

/// The version of the helper's interface that we speak.
pub(super) const VERSION: u32 = 2;

/// Bytes in a release record: handle, status, reserved.
const RECORD: usize = 16;

/// The helper.
#[derive(Debug)]
pub(super) struct Zcopy {
    device: File,
    exports: BTreeMap<u64, ExportId>,
}

impl Zcopy {
    /// Opens the helper and checks its version; an error says what to do.
    pub(super) fn open() -> Result<Self, String> {
        let device = open_device(DEVICE).map_err(|error| {
            let missing = "is the module xen-zcopy loaded?";
            format!("{DEVICE} can't be opened: {error}; {}", super::advice(&error, missing))
        })?;
        let info = ioctl::zcopy_info(&device).map_err(|error| format!("{DEVICE}: {error}"))?;
        check(&info)?;
        Ok(Self { device, exports: BTreeMap::new() })
    }

    /// Makes a dma-buf, whose release will be reported under `id`.
    pub(super) fn export(&mut self, domid: DomId, refs: &[GrantRef], id: ExportId) -> io::Result<OwnedFd> {
        let refs: Vec<_> = refs.iter().map(|gref| gref.0).collect();
        let (fd, handle) = ioctl::zcopy_export(&self.device, domid, &refs)?;
        self.exports.insert(handle, id);
        Ok(fd)
    }

    /// Moves what the kernel has let go of into `out`.
    pub(super) fn take_released(&mut self, out: &mut Vec<ExportId>) {
        let mut buffer = [0; RECORD * 32];
        loop {
            let read = match self.device.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return tracing::error!(%error, "the helper's releases can't be read"),
            };
            for record in buffer.get(..read).unwrap_or_default().as_chunks::<RECORD>().0 {
                self.released(*record, out);
            }
            if read < buffer.len() {
                return;
            }
        }
    }

    fn released(&mut self, record: [u8; RECORD], out: &mut Vec<ExportId>) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = record;
        let handle = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        let status = i32::from_ne_bytes([i, j, k, l]);
        match self.exports.remove(&handle) {
            // Not reported: the pages are not free, and the deadline will say so to the guest.
            Some(_) if status != 0 => tracing::error!(handle, status, "the helper could not unmap a buffer's grants"),
            Some(id) => out.push(id),
            None => tracing::error!(handle, "the helper releases a buffer that it never gave"),
        }
    }

    pub(super) fn poll_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Whether we can talk to this helper.
pub(super) fn check(info: &HelperInfo) -> Result<(), String> {
    if info.version == VERSION {
        return Ok(());
    }
    Err(format!("the module xen-zcopy speaks version {}, not {VERSION}; install the one of this release", info.version))
}

/// For the probe: what the helper says of itself.
pub(super) fn info() -> io::Result<HelperInfo> {
    ioctl::zcopy_info(open_device(DEVICE)?)
}

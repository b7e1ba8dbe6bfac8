// SPDX-License-Identifier: GPL-3.0-or-later
//! The kernel helper, `/dev/xen/zcopy`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::ioctl::{self, DomainAccount, Granted, HelperInfo, ImportError};
use super::kernel::{HelperDevice, Kernel};
use super::open_device;
use crate::xen::grants::{ExportId, GrantError};
use crate::xen::{DomId, GrantRef};

pub(super) const DEVICE: &str = "/dev/xen/zcopy";

/// The version of the helper's interface that we speak.
pub(super) const VERSION: u32 = 4;

/// Bytes in a release record: handle, status, reserved.
const RECORD: usize = 16;

/// The helper.
#[derive(Debug)]
pub(super) struct Zcopy {
    device: Box<dyn HelperDevice>,
    exports: BTreeMap<u64, Known>,
    /// Domains that had memory of ours before we gave any: a process before us did.
    inherited: Vec<DomId>,
}

/// What a handle stands for.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: ExportId,
    domid: DomId,
    /// Pages of ours that the domain is charged for.
    charged: usize,
}

impl Zcopy {
    /// Opens the helper and checks its version; an error says what to do.
    pub(super) fn open(kernel: &dyn Kernel) -> Result<Self, String> {
        let device = kernel.helper().map_err(|error| {
            let missing = "is the module xen-zcopy loaded?";
            format!("{DEVICE} can't be opened: {error}; {}", super::advice(&error, missing))
        })?;
        let info = device.info().map_err(|error| format!("{DEVICE}: {error}"))?;
        check(&info)?;
        let mut inherited = Vec::new();
        if info.pages_granted > 0 {
            let accounts = accounts(&*device).map_err(|error| format!("{DEVICE}: who has memory of ours: {error}"))?;
            inherited.extend(accounts.into_iter().map(|(domid, _)| domid));
        }
        Ok(Self { device, exports: BTreeMap::new(), inherited })
    }

    /// See [`crate::xen::grants::Grants::left_behind`].
    pub(super) fn left_behind(&self) -> BTreeMap<DomId, usize> {
        let left = |domid: &DomId| {
            let granted = usize::try_from(self.device.domain(*domid).ok()?.pages_granted).ok()?;
            let own = self.exports.values().filter(|known| known.domid == *domid).map(|known| known.charged);
            Some((*domid, granted.saturating_sub(own.sum()))).filter(|(_, pages)| *pages > 0)
        };
        self.inherited.iter().filter_map(left).collect()
    }

    /// Makes a dma-buf, whose release will be reported under `id`.
    pub(super) fn export(&mut self, domid: DomId, refs: &[GrantRef], id: ExportId) -> io::Result<OwnedFd> {
        let refs: Vec<_> = refs.iter().map(|gref| gref.0).collect();
        let (fd, handle) = self.device.export(domid, &refs)?;
        self.exports.insert(handle, Known { id, domid, charged: 0 });
        Ok(fd)
    }

    /// Allocates and grants pages, perhaps in one piece; the end of both will be reported under `id`.
    pub(super) fn allocate(
        &mut self,
        domid: DomId,
        pages: usize,
        contiguous: bool,
        id: ExportId,
    ) -> Result<(OwnedFd, Vec<GrantRef>), GrantError> {
        let made = self.device.allocate(domid, pages, contiguous);
        let (dmabuf, granted) = made.map_err(|error| self.no_room(domid, pages, &error))?;
        // As the helper does, whose allocator rounds up.
        let charged = if contiguous { pages.next_power_of_two() } else { pages };
        Ok((dmabuf, self.remember(granted, Known { id, domid, charged })))
    }

    /// Grants a dma-buf's pages; the end will be reported under `id`.
    pub(super) fn grant(
        &mut self,
        domid: DomId,
        dmabuf: BorrowedFd<'_>,
        pages: usize,
        id: ExportId,
    ) -> Result<Vec<GrantRef>, GrantError> {
        match self.device.import(domid, dmabuf, pages) {
            Ok(granted) => Ok(self.remember(granted, Known { id, domid, charged: pages })),
            Err(ImportError::Call(error)) => Err(self.no_room(domid, pages, &error)),
            Err(ImportError::Page { page, reason }) => {
                Err(GrantError::Driver(format!("page {page} of the dma-buf can't be granted: {}", words(reason))))
            }
        }
    }

    fn remember(&mut self, granted: Granted, known: Known) -> Vec<GrantRef> {
        self.exports.insert(granted.handle, known);
        granted.refs.into_iter().map(GrantRef).collect()
    }

    fn no_room(&self, domid: DomId, pages: usize, error: &io::Error) -> GrantError {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EDQUOT) => {
                let account = self.device.domain(domid).unwrap_or_default();
                let why = format!(
                    "domain {domid} has {} of at most {} pages of ours, and still maps {} that were taken from it",
                    account.pages_granted, account.max_pages, account.pages_waiting
                );
                GrantError::NoRoom { pages, why }
            }
            Some(Errno::ENOMEM | Errno::ENOSPC | Errno::EMFILE | Errno::ENFILE) => {
                GrantError::NoRoom { pages, why: error.to_string() }
            }
            _ => GrantError::Driver(format!("{DEVICE}: {error}")),
        }
    }

    /// Ends the grants of an allocation. Returns whether it is one of ours.
    pub(super) fn end_access(&self, id: ExportId) -> io::Result<bool> {
        let Some((handle, _)) = self.exports.iter().find(|(_, known)| known.id == id) else { return Ok(false) };
        self.device.end_access(*handle)?;
        Ok(true)
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
            Some(known) => out.push(known.id),
            None => tracing::error!(handle, "the helper releases a buffer that it never gave"),
        }
    }

    pub(super) fn poll_fd(&self) -> BorrowedFd<'_> {
        self.device.poll_fd()
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

/// The domains that have memory of ours, by whomever, in the order of their numbers.
fn accounts(device: &dyn HelperDevice) -> io::Result<Vec<(DomId, DomainAccount)>> {
    let (mut accounts, mut from) = (Vec::new(), 0);
    while let Some(account) = device.next_domain(from)? {
        // Else it could go on for ever.
        let domid = u16::try_from(account.domid).ok().filter(|_| account.domid >= from);
        let domid = domid.ok_or_else(|| io::Error::other(format!("domain {} after {from}", account.domid)))?;
        accounts.push((DomId(domid), account));
        from = account.domid.saturating_add(1);
    }
    Ok(accounts)
}

/// For the probe: the domains that have memory of ours.
pub(super) fn all_accounts() -> io::Result<Vec<(DomId, DomainAccount)>> {
    let device = open_device(DEVICE)?;
    let any = device.info()?.pages_granted > 0;
    if any { accounts(&device) } else { Ok(Vec::new()) }
}

/// `enum xen_zcopy_refused`.
fn words(reason: u32) -> String {
    let words = match reason {
        1 => "the dma-buf ends before it",
        2 => "devices see a copy of it (it was bounced)",
        3 => "it lies in one segment with a page that does not precede it in the machine",
        4 => "a segment starts or ends within it",
        5 => "it belongs to another domain",
        6 => "it is no memory of this domain",
        7 => "its exporter does not tell which page it is",
        _ => return format!("reason {reason}"),
    };
    words.to_owned()
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The mainline grant driver, `/dev/xen/gntdev`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;

use super::kernel::{GntdevDevice, Kernel};
use super::mapping::{Keeper, Region, Run};
use super::{OpenError, advice};
use crate::xen::grants::{Access, GrantError};
use crate::xen::{DomId, GrantRef, PAGE_SIZE};

pub(super) const DEVICE: &str = "/dev/xen/gntdev";

/// The driver.
#[derive(Clone, Debug)]
pub(super) struct Gntdev {
    device: Rc<dyn GntdevDevice>,
}

/// Tells the driver that a mapping is over, after it was unmapped.
#[derive(Debug)]
pub(super) struct Unmap {
    device: Rc<dyn GntdevDevice>,
    index: u64,
    count: u32,
}

impl Drop for Unmap {
    fn drop(&mut self) {
        if let Err(error) = self.device.unmap(self.index, self.count) {
            tracing::error!(%error, pages = self.count, "gntdev does not let go of a mapping");
        }
    }
}

impl Keeper for Unmap {
    fn release(self, region: Region) {
        drop(region);
        drop(self);
    }
}

/// A dma-buf whose release the driver can be asked for.
#[derive(Debug)]
pub(super) struct Watched {
    /// Keeps the number under which the driver knows the dma-buf from being used again. It refers to something
    /// else, so that it does not keep the dma-buf alive.
    place: OwnedFd,
}

impl Gntdev {
    pub(super) fn open(kernel: &dyn Kernel) -> Result<Self, OpenError> {
        let device = kernel.gntdev().map_err(|error| {
            let advice = advice(&error, "boot under Xen and load the module xen-gntdev (modprobe xen-gntdev)");
            OpenError { path: DEVICE.to_owned(), error, advice }
        })?;
        Ok(Self { device })
    }

    /// Maps grants one behind the other.
    pub(super) fn map(&self, domid: DomId, refs: &[GrantRef], access: Access) -> Result<(Region, Unmap), GrantError> {
        let room = |error: io::Error| GrantError::NoRoom {
            pages: refs.len(),
            why: format!("{error}; see the module parameter xen_gntdev.limit"),
        };
        let count = u32::try_from(refs.len()).map_err(|error| room(io::Error::other(error)))?;
        let index = self.device.map(domid, refs).map_err(room)?;
        // From here on the driver is told on every way out.
        let unmap = Unmap { device: Rc::clone(&self.device), index, count };
        let run = Run { offset: index, len: refs.len().saturating_mul(PAGE_SIZE) };
        match self.device.mmap(run, access) {
            Ok(region) => Ok((region, unmap)),
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Err(room(error)),
            // The driver does not say which one, nor why.
            Err(error) => Err(GrantError::Refused { domid, why: error.to_string() }),
        }
    }

    /// Makes a dma-buf.
    pub(super) fn export(&self, domid: DomId, refs: &[GrantRef]) -> io::Result<(OwnedFd, Watched)> {
        let made = self.device.dmabuf(domid, refs)?;
        let dmabuf = made.try_clone()?;
        let mut place = made;
        nix::unistd::dup3(self.device.poll_fd(), &mut place, nix::fcntl::OFlag::O_CLOEXEC)?;
        Ok((dmabuf, Watched { place }))
    }

    /// Whether a dma-buf is gone and its grants unmapped.
    pub(super) fn is_released(&self, watched: &Watched) -> io::Result<bool> {
        let number = u32::try_from(watched.place.as_raw_fd()).map_err(io::Error::other)?;
        self.device.is_released(number)
    }

    /// Whether the kernel's driver can make dma-bufs at all, as far as its answer to an export tells.
    pub(super) fn explain(error: &io::Error) -> String {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOTTY) => "the kernel has no CONFIG_XEN_GNTDEV_DMABUF".to_owned(),
            Some(Errno::EINVAL) => "refused (a PV Dom0 can't, or a grant reference is bad)".to_owned(),
            _ => error.to_string(),
        }
    }
}

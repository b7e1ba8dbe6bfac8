// SPDX-License-Identifier: GPL-3.0-or-later
//! The grant drivers as the providers see them: one call for each ioctl or mmap, and nothing decided. The kernel
//! implements them; so does a simulated kernel, in the providers' tests.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::ioctl::{self, Granted, HelperInfo, ImportError};
use super::mapping::{Region, Run};
use super::{gntdev, open_device, zcopy};
use crate::xen::grants::Access;
use crate::xen::{DomId, GrantRef};

/// Where the drivers are opened.
pub(super) trait Kernel: fmt::Debug {
    /// Opens the kernel helper.
    fn helper(&self) -> io::Result<Box<dyn HelperDevice>>;

    /// Opens mainline's grant driver.
    fn gntdev(&self) -> io::Result<Rc<dyn GntdevDevice>>;

    /// Takes zeroed memory from the dma-heap of that name.
    fn heap(&self, name: &str, bytes: usize) -> io::Result<OwnedFd>;
}

/// The kernel helper's calls.
pub(super) trait HelperDevice: fmt::Debug {
    fn poll_fd(&self) -> BorrowedFd<'_>;
    fn info(&self) -> io::Result<HelperInfo>;
    fn export(&self, domid: DomId, refs: &[u32]) -> io::Result<(OwnedFd, u64)>;
    fn allocate(&self, domid: DomId, pages: usize, contiguous: bool) -> io::Result<(OwnedFd, Granted)>;
    fn import(&self, domid: DomId, dmabuf: BorrowedFd<'_>, pages: usize) -> Result<Granted, ImportError>;
    fn end_access(&self, handle: u64) -> io::Result<()>;
    fn domain(&self, domid: DomId) -> io::Result<ioctl::DomainAccount>;
    /// The first account from a domain's number on.
    fn next_domain(&self, from: u32) -> io::Result<Option<ioctl::DomainAccount>>;
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// The calls of mainline's grant driver.
pub(super) trait GntdevDevice: fmt::Debug {
    fn map(&self, domid: DomId, refs: &[GrantRef]) -> io::Result<u64>;
    fn mmap(&self, run: Run, access: Access) -> io::Result<Region>;
    fn unmap(&self, index: u64, count: u32) -> io::Result<()>;
    fn dmabuf(&self, domid: DomId, refs: &[GrantRef]) -> io::Result<OwnedFd>;
    fn is_released(&self, fd: u32) -> io::Result<bool>;
    fn poll_fd(&self) -> BorrowedFd<'_>;
}

/// This machine's.
#[derive(Debug)]
pub(super) struct ThisKernel;

impl Kernel for ThisKernel {
    fn helper(&self) -> io::Result<Box<dyn HelperDevice>> {
        Ok(Box::new(open_device(zcopy::DEVICE)?))
    }

    fn gntdev(&self) -> io::Result<Rc<dyn GntdevDevice>> {
        Ok(Rc::new(open_device(gntdev::DEVICE)?))
    }

    fn heap(&self, name: &str, bytes: usize) -> io::Result<OwnedFd> {
        ioctl::heap_alloc(open_device(&format!("/dev/dma_heap/{name}"))?, bytes)
    }
}

impl HelperDevice for File {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn info(&self) -> io::Result<HelperInfo> {
        ioctl::zcopy_info(self)
    }

    fn export(&self, domid: DomId, refs: &[u32]) -> io::Result<(OwnedFd, u64)> {
        ioctl::zcopy_export(self, domid, refs)
    }

    fn allocate(&self, domid: DomId, pages: usize, contiguous: bool) -> io::Result<(OwnedFd, Granted)> {
        ioctl::zcopy_alloc(self, domid, pages, contiguous)
    }

    fn import(&self, domid: DomId, dmabuf: BorrowedFd<'_>, pages: usize) -> Result<Granted, ImportError> {
        ioctl::zcopy_import(self, domid, dmabuf, pages)
    }

    fn end_access(&self, handle: u64) -> io::Result<()> {
        ioctl::zcopy_end_access(self, handle)
    }

    fn domain(&self, domid: DomId) -> io::Result<ioctl::DomainAccount> {
        ioctl::zcopy_domain(self, domid)
    }

    fn next_domain(&self, from: u32) -> io::Result<Option<ioctl::DomainAccount>> {
        ioctl::zcopy_next_domain(self, from)
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self;
        Read::read(&mut file, buffer)
    }
}

impl GntdevDevice for File {
    fn map(&self, domid: DomId, refs: &[GrantRef]) -> io::Result<u64> {
        ioctl::gntdev_map(self, domid, refs)
    }

    fn mmap(&self, run: Run, access: Access) -> io::Result<Region> {
        Region::map(self, run, access)
    }

    fn unmap(&self, index: u64, count: u32) -> io::Result<()> {
        ioctl::gntdev_unmap(self, index, count)
    }

    fn dmabuf(&self, domid: DomId, refs: &[GrantRef]) -> io::Result<OwnedFd> {
        ioctl::gntdev_dmabuf(self, domid, refs)
    }

    fn is_released(&self, fd: u32) -> io::Result<bool> {
        ioctl::gntdev_is_released(self, fd)
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

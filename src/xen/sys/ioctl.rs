// SPDX-License-Identifier: GPL-3.0-or-later
//! The drivers' ioctls (Linux's `include/uapi/xen/{evtchn,gntdev}.h`, and the helper's `xen-zcopy.h`).
//!
//! Requests that carry as many references as the caller likes are built in a vector of words.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::xen::{DomId, GrantRef, Port};

/// `struct ioctl_evtchn_bind_interdomain`.
#[repr(C)]
#[derive(Debug)]
struct BindInterdomain {
    domain: u32,
    port: u32,
}

/// `struct ioctl_gntdev_unmap_grant_ref`.
#[repr(C)]
#[derive(Debug)]
struct UnmapGrantRef {
    index: u64,
    count: u32,
    pad: u32,
}

/// `struct ioctl_gntdev_dmabuf_exp_wait_released`.
#[repr(C)]
#[derive(Debug)]
struct WaitReleased {
    fd: u32,
    wait_ms: u32,
}

/// `struct xen_zcopy_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HelperInfo {
    pub(super) version: u32,
    pub(super) flags: u32,
    pub(super) max_pages_per_buffer: u32,
    pub(super) max_pages_per_file: u32,
    pub(super) pages_in_use: u32,
    pub(super) buffers_in_use: u32,
    pub(super) pages_granted: u32,
    pub(super) pages_waiting: u32,
}

/// `struct xen_zcopy_exp_from_refs` and `struct xen_zcopy_alloc`, which are laid out alike.
#[repr(C)]
#[derive(Debug, Default)]
struct NewDmabuf {
    domid: u32,
    flags: u32,
    count: u32,
    fd: i32,
    refs: u64,
    handle: u64,
    reserved: u64,
}

/// `struct xen_zcopy_imp_to_refs`.
#[repr(C)]
#[derive(Debug, Default)]
struct ImpToRefs {
    domid: u32,
    flags: u32,
    count: u32,
    fd: i32,
    refs: u64,
    handle: u64,
    bad_page: u32,
    reason: u32,
}

/// `struct xen_zcopy_end_access`.
#[repr(C)]
#[derive(Debug, Default)]
struct EndAccess {
    handle: u64,
    reserved: u64,
}

/// `struct xen_zcopy_domain`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DomainAccount {
    pub(super) domid: u32,
    pub(super) flags: u32,
    pub(super) buffers: u32,
    pub(super) pages_granted: u32,
    pub(super) pages_waiting: u32,
    pub(super) max_pages: u32,
    pub(super) reserved: [u32; 2],
}

/// `struct dma_heap_allocation_data` (Linux's `include/uapi/linux/dma-heap.h`).
#[repr(C)]
#[derive(Debug, Default)]
struct HeapAllocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// Memory of ours that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    /// The helper's name for it.
    pub(super) handle: u64,
    /// One for each page.
    pub(super) refs: Vec<u32>,
}

/// Why a dma-buf was not granted.
#[derive(Debug)]
pub(super) enum ImportError {
    /// The call failed.
    Call(io::Error),
    /// A page can't be granted as it is: which one, and the helper's `enum xen_zcopy_refused`.
    Page {
        /// The first such page.
        page: u32,
        /// Why.
        reason: u32,
    },
}

// The layouts are part of the kernel's interface.
const _: () = assert!(size_of::<ImpToRefs>() == 40);
const _: () = assert!(size_of::<EndAccess>() == 16);
const _: () = assert!(size_of::<DomainAccount>() == 32);
const _: () = assert!(size_of::<HeapAllocation>() == 24);
const _: () = assert!(size_of::<BindInterdomain>() == 8);
const _: () = assert!(size_of::<UnmapGrantRef>() == 16);
const _: () = assert!(size_of::<WaitReleased>() == 8);
const _: () = assert!(size_of::<HelperInfo>() == 32);
const _: () = assert!(size_of::<NewDmabuf>() == 40);

/// The size of `struct ioctl_gntdev_map_grant_ref` as declared, with one reference.
const MAP_SIZE: usize = 24;

/// The size of `struct ioctl_gntdev_dmabuf_exp_from_refs` as declared, with one reference.
const DMABUF_SIZE: usize = 20;

mod raw {
    use nix::sys::ioctl::NONE;

    use super::{
        BindInterdomain, DMABUF_SIZE, DomainAccount, EndAccess, HeapAllocation, HelperInfo, ImpToRefs, MAP_SIZE,
        NewDmabuf, UnmapGrantRef, WaitReleased,
    };

    nix::ioctl_write_ptr_bad!(evtchn_bind, nix::ioc!(NONE, b'E', 1, size_of::<BindInterdomain>()), BindInterdomain);
    nix::ioctl_write_ptr_bad!(evtchn_unbind, nix::ioc!(NONE, b'E', 3, size_of::<u32>()), u32);
    nix::ioctl_write_ptr_bad!(evtchn_notify, nix::ioc!(NONE, b'E', 4, size_of::<u32>()), u32);
    nix::ioctl_readwrite_bad!(gntdev_map, nix::ioc!(NONE, b'G', 0, MAP_SIZE), u64);
    nix::ioctl_write_ptr_bad!(gntdev_unmap, nix::ioc!(NONE, b'G', 1, size_of::<UnmapGrantRef>()), UnmapGrantRef);
    nix::ioctl_readwrite_bad!(gntdev_dmabuf, nix::ioc!(NONE, b'G', 9, DMABUF_SIZE), u32);
    nix::ioctl_write_ptr_bad!(gntdev_wait, nix::ioc!(NONE, b'G', 10, size_of::<WaitReleased>()), WaitReleased);
    nix::ioctl_read!(zcopy_info, b'Z', 0, HelperInfo);
    nix::ioctl_readwrite!(zcopy_export, b'Z', 1, NewDmabuf);
    nix::ioctl_readwrite!(zcopy_alloc, b'Z', 3, NewDmabuf);
    nix::ioctl_readwrite!(zcopy_import, b'Z', 4, ImpToRefs);
    nix::ioctl_write_ptr!(zcopy_end_access, b'Z', 5, EndAccess);
    nix::ioctl_readwrite!(zcopy_domain, b'Z', 6, DomainAccount);
    nix::ioctl_readwrite!(zcopy_next_domain, b'Z', 7, DomainAccount);
    nix::ioctl_readwrite!(heap_alloc, b'H', 0, HeapAllocation);
}

/// Binds a domain's port; gives ours.
pub(super) fn evtchn_bind(device: impl AsFd, domid: DomId, remote: Port) -> io::Result<Port> {
    let bind = BindInterdomain { domain: domid.0.into(), port: remote.0 };
    // SAFETY: the kernel reads the structure, which lives until the call returns.
    let port = unsafe { raw::evtchn_bind(device.as_fd().as_raw_fd(), &raw const bind) }?;
    u32::try_from(port).map(Port).map_err(io::Error::other)
}

/// Closes a port of ours.
pub(super) fn evtchn_unbind(device: impl AsFd, port: Port) -> io::Result<()> {
    // SAFETY: the kernel reads one word, which lives until the call returns.
    unsafe { raw::evtchn_unbind(device.as_fd().as_raw_fd(), &raw const port.0) }?;
    Ok(())
}

/// Raises the event at the other end of a port of ours.
pub(super) fn evtchn_notify(device: impl AsFd, port: Port) -> io::Result<()> {
    // SAFETY: the kernel reads one word, which lives until the call returns.
    unsafe { raw::evtchn_notify(device.as_fd().as_raw_fd(), &raw const port.0) }?;
    Ok(())
}

/// Prepares a mapping of grants; gives the offset to map it at.
pub(super) fn gntdev_map(device: impl AsFd, domid: DomId, refs: &[GrantRef]) -> io::Result<u64> {
    let count = u32::try_from(refs.len()).map_err(io::Error::other)?;
    let entries = refs.iter().map(|gref| pair(domid.0.into(), gref.0));
    let mut words: Vec<u64> = [pair(count, 0), 0].into_iter().chain(entries).collect();
    // SAFETY: the words are laid out as the kernel's structure with `count` references behind it.
    unsafe { raw::gntdev_map(device.as_fd().as_raw_fd(), words.as_mut_ptr()) }?;
    words.get(1).copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Undoes [`gntdev_map`], when nothing is mapped there any more.
pub(super) fn gntdev_unmap(device: impl AsFd, index: u64, count: u32) -> io::Result<()> {
    let unmap = UnmapGrantRef { index, count, pad: 0 };
    // SAFETY: the kernel reads the structure, which lives until the call returns.
    unsafe { raw::gntdev_unmap(device.as_fd().as_raw_fd(), &raw const unmap) }?;
    Ok(())
}

/// Makes a dma-buf of grants.
pub(super) fn gntdev_dmabuf(device: impl AsFd, domid: DomId, refs: &[GrantRef]) -> io::Result<OwnedFd> {
    let count = u32::try_from(refs.len()).map_err(io::Error::other)?;
    let head = [0, count, 0, domid.0.into()];
    // One more word: the kernel reads its structure with one reference, even where none is asked for.
    let mut words: Vec<u32> = head.into_iter().chain(refs.iter().map(|gref| gref.0)).chain([0]).collect();
    // SAFETY: the words are laid out as the kernel's structure with `count` references behind it.
    unsafe { raw::gntdev_dmabuf(device.as_fd().as_raw_fd(), words.as_mut_ptr()) }?;
    let fd = words.get(2).and_then(|fd| i32::try_from(*fd).ok()).ok_or(io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the dma-buf that was made as descriptor number `fd` is gone. Does not wait.
pub(super) fn gntdev_is_released(device: impl AsFd, fd: u32) -> io::Result<bool> {
    let wait = WaitReleased { fd, wait_ms: 0 };
    // SAFETY: the kernel reads the structure, which lives until the call returns.
    match unsafe { raw::gntdev_wait(device.as_fd().as_raw_fd(), &raw const wait) } {
        // No such buffer: it was released before the kernel was asked.
        Ok(_) | Err(nix::errno::Errno::ENOENT) => Ok(true),
        Err(nix::errno::Errno::ETIMEDOUT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What the helper is, and what it holds.
pub(super) fn zcopy_info(device: impl AsFd) -> io::Result<HelperInfo> {
    let mut info = HelperInfo::default();
    // SAFETY: the kernel writes the structure, which lives until the call returns.
    unsafe { raw::zcopy_info(device.as_fd().as_raw_fd(), &raw mut info) }?;
    Ok(info)
}

/// Makes a dma-buf of grants; gives the helper's handle too.
pub(super) fn zcopy_export(device: impl AsFd, domid: DomId, refs: &[u32]) -> io::Result<(OwnedFd, u64)> {
    // SAFETY: the kernel reads `refs`.
    unsafe { new_dmabuf(device, domid, 0, refs.as_ptr(), refs.len(), raw::zcopy_export) }
}

/// `XEN_ZCOPY_ALLOC_CONTIGUOUS`.
const CONTIGUOUS: u32 = 1;

/// Allocates zeroed pages, perhaps in one piece, grants them, and makes a dma-buf of them.
pub(super) fn zcopy_alloc(
    device: impl AsFd,
    domid: DomId,
    pages: usize,
    contiguous: bool,
) -> io::Result<(OwnedFd, Granted)> {
    let flags = if contiguous { CONTIGUOUS } else { 0 };
    let mut refs = vec![0_u32; pages];
    // SAFETY: the kernel writes `refs`, and nobody looks at them meanwhile.
    let (dmabuf, handle) = unsafe { new_dmabuf(device, domid, flags, refs.as_mut_ptr(), pages, raw::zcopy_alloc) }?;
    Ok((dmabuf, Granted { handle, refs }))
}

/// Asks for a new dma-buf; gives the helper's handle too.
///
/// # Safety
/// `ask` is one of the ioctls that take a [`NewDmabuf`], and `refs` has `count` words that it may read or write.
unsafe fn new_dmabuf(
    device: impl AsFd,
    domid: DomId,
    flags: u32,
    refs: *const u32,
    count: usize,
    ask: unsafe fn(c_int, *mut NewDmabuf) -> nix::Result<c_int>,
) -> io::Result<(OwnedFd, u64)> {
    let count = u32::try_from(count).map_err(io::Error::other)?;
    let refs = u64::try_from(refs.addr()).map_err(io::Error::other)?;
    let mut made = NewDmabuf { domid: domid.0.into(), flags, count, fd: -1, refs, ..NewDmabuf::default() };
    // SAFETY: the kernel reads and writes the structure, which lives until the call returns; the caller answers for
    // the references.
    unsafe { ask(device.as_fd().as_raw_fd(), &raw mut made) }?;
    if made.fd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok((unsafe { OwnedFd::from_raw_fd(made.fd) }, made.handle))
}

/// Grants the pages of a dma-buf.
pub(super) fn zcopy_import(
    device: impl AsFd,
    domid: DomId,
    dmabuf: BorrowedFd<'_>,
    pages: usize,
) -> Result<Granted, ImportError> {
    let number = |error| ImportError::Call(io::Error::other(error));
    let count = u32::try_from(pages).map_err(number)?;
    let mut refs = vec![0_u32; pages];
    let address = u64::try_from(refs.as_mut_ptr().addr()).map_err(number)?;
    let fd = dmabuf.as_raw_fd();
    let mut import = ImpToRefs { domid: domid.0.into(), count, fd, refs: address, ..ImpToRefs::default() };
    // SAFETY: as in new_dmabuf; the kernel writes `refs`.
    match unsafe { raw::zcopy_import(device.as_fd().as_raw_fd(), &raw mut import) } {
        Ok(_) => Ok(Granted { handle: import.handle, refs }),
        Err(nix::errno::Errno::EOPNOTSUPP) if import.reason != 0 => {
            Err(ImportError::Page { page: import.bad_page, reason: import.reason })
        }
        Err(error) => Err(ImportError::Call(error.into())),
    }
}

/// Ends the grants of an allocation or import as soon as the guest has unmapped them.
pub(super) fn zcopy_end_access(device: impl AsFd, handle: u64) -> io::Result<()> {
    let end = EndAccess { handle, reserved: 0 };
    // SAFETY: the kernel reads the structure, which lives until the call returns.
    unsafe { raw::zcopy_end_access(device.as_fd().as_raw_fd(), &raw const end) }?;
    Ok(())
}

/// What a domain was granted, by whomever.
pub(super) fn zcopy_domain(device: impl AsFd, domid: DomId) -> io::Result<DomainAccount> {
    let mut account = DomainAccount { domid: domid.0.into(), ..DomainAccount::default() };
    // SAFETY: the kernel reads and writes the structure, which lives until the call returns.
    unsafe { raw::zcopy_domain(device.as_fd().as_raw_fd(), &raw mut account) }?;
    Ok(account)
}

/// What the first domain from that number on was granted that has anything, by whomever. None when there is none.
pub(super) fn zcopy_next_domain(device: impl AsFd, from: u32) -> io::Result<Option<DomainAccount>> {
    let mut account = DomainAccount { domid: from, ..DomainAccount::default() };
    // SAFETY: the kernel reads and writes the structure, which lives until the call returns.
    match unsafe { raw::zcopy_next_domain(device.as_fd().as_raw_fd(), &raw mut account) } {
        Ok(_) => Ok(Some(account)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes zeroed memory from a dma-heap.
pub(super) fn heap_alloc(device: impl AsFd, bytes: usize) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let mut allocation = HeapAllocation {
        len: u64::try_from(bytes).map_err(io::Error::other)?,
        fd_flags: u32::try_from(flags.bits()).map_err(io::Error::other)?,
        ..HeapAllocation::default()
    };
    // SAFETY: the kernel reads and writes the structure, which lives until the call returns.
    unsafe { raw::heap_alloc(device.as_fd().as_raw_fd(), &raw mut allocation) }?;
    let fd = i32::try_from(allocation.fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Two words beside each other, as the kernel sees them in memory.
fn pair(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

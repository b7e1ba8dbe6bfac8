// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages with descriptors over sequenced-packet sockets.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::cmsg_space;
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Longest message.
const MAX_MESSAGE: usize = 16 * 1024;

/// Sends one message.
///
/// # Errors
/// The kernel's.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one message; an empty one means that the peer is gone.
///
/// # Errors
/// The kernel's; also when the message is too long.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = cmsg_space!([i32; 8]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let (len, cut) = (message.bytes, message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC));
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just made these descriptors for us; nobody else knows them.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    if cut {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a control message is too long"));
    }
    bytes.truncate(len);
    Ok((bytes, fds))
}

/// Makes a dma-buf of a list as [`super::udmabuf`] writes it: a head and three words for each item that it counts.
pub(super) fn udmabuf_create_list(device: &File, list: &[u64]) -> io::Result<OwnedFd> {
    let items = list.first().map(|head| head >> 32).and_then(|count| usize::try_from(count).ok());
    if items.and_then(|items| items.checked_mul(3)?.checked_add(1)) != Some(list.len()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the kernel reads the head and as many items as it counts, all of which are there.
    let raw = unsafe { create_list(device.as_raw_fd(), list.as_ptr()) }?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

nix::ioctl_write_ptr!(create_list, b'u', 0x43, u64);

/// Takes over the descriptor of an `accept4` that has just succeeded.
pub(super) fn adopt(raw: i32) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Uses a descriptor as an eventfd. One that is none fails at its reads and writes, and does no harm.
pub(super) fn eventfd(fd: OwnedFd) -> EventFd {
    // SAFETY: the descriptor is owned, and open.
    unsafe { EventFd::from_owned_fd(fd) }
}

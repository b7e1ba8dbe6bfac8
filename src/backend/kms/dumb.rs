// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory of a display's driver for the buffers of guests: what it can scan out.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use smithay::backend::drm::DrmDeviceFd;
use smithay::reexports::drm::buffer::{Buffer as _, DrmFourcc};
use smithay::reexports::drm::control::Device as _;
use smithay::reexports::drm::control::dumbbuffer::DumbBuffer;

/// Pixels in a line of a page.
const PIXELS_A_PAGE: u32 = 1024;
/// Bytes in a page.
const PAGE: u32 = 4096;

/// Takes a dumb buffer of so many bytes, a whole number of pages, zeroed, as a dma-buf.
///
/// displif has no pitch of its own on the wire: lines follow each other without a gap. A driver that aligns lines
/// would make gaps, so the buffer is asked for as a picture whose lines are pages: what is drawn into it then has
/// the pitch that the guest gives it.
pub(super) fn allocate(device: &DrmDeviceFd, bytes: usize) -> Result<OwnedFd, String> {
    let pages = u32::try_from(bytes).map_err(|_| "more than it can give".to_owned())?.div_ceil(PAGE);
    let mut buffer = device
        .create_dumb_buffer((PIXELS_A_PAGE, pages), DrmFourcc::Xrgb8888, 32)
        .map_err(|error| format!("no dumb buffer of {pages} pages: {error}"))?;
    let exported = if buffer.pitch() == PAGE { export(device, &mut buffer) } else { Err(gaps(&buffer)) };
    // The dma-buf holds the memory; the handle is not needed any more.
    let destroyed = device.destroy_dumb_buffer(buffer);
    if let Err(error) = destroyed {
        tracing::warn!(%error, "a dumb buffer's handle can't be given back");
    }
    exported
}

/// Whether the driver takes a dma-buf as it lies: one that can't gather refuses memory that is not in one piece.
pub(super) fn takes(device: &DrmDeviceFd, dmabuf: BorrowedFd<'_>) -> Result<(), String> {
    let handle = device.prime_fd_to_buffer(dmabuf).map_err(|error| error.to_string())?;
    device.close_buffer(handle).map_err(|error| error.to_string())
}

fn gaps(buffer: &DumbBuffer) -> String {
    format!("a dumb buffer whose lines are {PAGE} bytes has a pitch of {}", buffer.pitch())
}

fn export(device: &DrmDeviceFd, buffer: &mut DumbBuffer) -> Result<OwnedFd, String> {
    // Most drivers hand out zeroed memory; that a guest sees nobody's data must not depend on it.
    device.map_dumb_buffer(buffer).map_err(|error| format!("can't be mapped: {error}"))?.as_mut().fill(0);
    let flags = u32::try_from((OFlag::O_CLOEXEC | OFlag::O_RDWR).bits()).map_err(|error| error.to_string())?;
    device.buffer_to_prime_fd(buffer.handle(), flags).map_err(|error| format!("can't be exported: {error}"))
}

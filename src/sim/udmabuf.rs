// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's pages as a true dma-buf, by the kernel's udmabuf device, so that displays can scan them out.
//!
//! Asked for by `GRANTWAY_SIM_DMABUF=1` where the machine has `/dev/udmabuf`. The device does not tell when the last
//! user lets go; the kernel's count of a dma-buf's users does, when it is looked at.

use std::fs::{File, OpenOptions, read_to_string};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use super::os;
use crate::xen::sys::mapping::Run;

/// How often the users are counted.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The device, where it is wanted and there.
pub(super) fn device() -> Option<File> {
    std::env::var_os("GRANTWAY_SIM_DMABUF").filter(|wanted| wanted == "1")?;
    let opened = OpenOptions::new().read(true).write(true).open("/dev/udmabuf");
    opened.inspect_err(|error| tracing::warn!(%error, "no dma-bufs of guests' pages")).ok()
}

/// A dma-buf of these pages of a sealed memfd, in this order.
///
/// # Errors
/// The kernel's; by default it takes 1024 runs and 64 MiB.
pub(super) fn make(device: &File, memory: &OwnedFd, runs: &[Run]) -> io::Result<OwnedFd> {
    let number = |value: i32| u64::try_from(value).map_err(io::Error::other);
    // struct udmabuf_create_list of linux/udmabuf.h, in words: flags (1: close on exec) and count, then for each
    // item the memfd, the offset and the size.
    let count = u64::try_from(runs.len()).map_err(io::Error::other)?;
    let mut list = vec![1 | count << 32];
    for run in runs {
        list.extend([number(memory.as_raw_fd())?, run.offset, u64::try_from(run.len).map_err(io::Error::other)?]);
    }
    os::udmabuf_create_list(device, &list)
}

/// Whether ours is the only descriptor, mapping or import that is left.
pub(super) fn is_last(dmabuf: &OwnedFd) -> bool {
    let info = read_to_string(format!("/proc/self/fdinfo/{}", dmabuf.as_raw_fd())).unwrap_or_default();
    info.lines().find_map(|line| line.strip_prefix("count:")).is_some_and(|count| count.trim() == "1")
}

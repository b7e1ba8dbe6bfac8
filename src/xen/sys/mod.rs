// SPDX-License-Identifier: GPL-3.0-or-later
//! The only Xen system calls.

#[allow(unsafe_code, reason = "mmap and munmap")]
pub mod mapping;

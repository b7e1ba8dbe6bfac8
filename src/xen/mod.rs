// SPDX-License-Identifier: GPL-3.0-or-later
//! Access to the hypervisor, as the traits that our code calls, and what is common to all PV devices: our
//! half's place in xenstore, and the shared-memory protocols. The system calls behind the traits live in
//! [`sys`]; the simulator implements the same traits.

use std::fmt;

pub mod device;
pub mod event_page;
pub mod evtchn;
#[cfg(any(test, feature = "sim"))]
#[allow(unsafe_code, reason = "heap pages stand in for granted ones")]
pub mod front;
pub mod grants;
#[allow(unsafe_code, reason = "the one type through which guest memory is touched")]
pub mod pages;
pub mod ring;
pub mod store;
pub mod sys;
pub mod xenbus;

/// Bytes in a page of the PV protocols, on every architecture.
pub const PAGE_SIZE: usize = 4096;

/// A domain's number. Reused by Xen after the domain is gone: bind long-lived state to the UUID too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomId(pub u16);

impl fmt::Display for DomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A grant reference: an index into the granting domain's grant table. 0 is reserved by Xen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantRef(pub u32);

impl fmt::Display for GrantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event channel port, local or remote as the context says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A hypervisor to run on: the real one ([`sys::open`]) or the simulator's.
pub struct Platform {
    /// The connection to xenstored.
    pub store: store::Store,
    /// The event channel driver.
    pub event_channels: Box<dyn evtchn::EventChannels>,
    /// The grant drivers.
    pub grants: Box<dyn grants::Grants>,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}

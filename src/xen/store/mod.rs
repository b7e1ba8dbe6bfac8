// SPDX-License-Identifier: GPL-3.0-or-later
//! xenstore, without blocking: what is asked of it, and what comes back.

mod client;
mod job;
pub mod wire;

use std::collections::BTreeMap;

pub use client::{Store, Stream};

/// Pairs an answer with its question; chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One thing to read in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a node.
    Value(String),
    /// The names of a node's children.
    Children(String),
}

/// One change of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a node's value, and makes the node when it is missing.
    Write(String, String),
    /// Removes a node and all below it; a missing node is no error.
    Remove(String),
    /// Changes nothing, and fails the update when the node is gone. Put it before writes into a directory
    /// that the toolstack may have removed, since a write would make it anew.
    Expect(String),
}

/// What one transaction saw. Values are untrusted where a guest owns the node; values longer than
/// [`MAX_VALUE`] or not UTF-8 count as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Values by path.
    pub values: BTreeMap<String, String>,
    /// Names of children by path of the parent.
    pub children: BTreeMap<String, Vec<String>>,
}

/// Longest value that is taken over from xenstore, in bytes.
pub const MAX_VALUE: usize = 1024;

impl Snapshot {
    /// The value at `path`, if there is one.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    /// The children of `path`; empty when there are none.
    #[must_use]
    pub fn children(&self, path: &str) -> &[String] {
        self.children.get(path).map_or(&[], Vec::as_slice)
    }
}

/// What xenstore tells us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// Something at or below a watched path changed; also sent once when the watch is set.
    Watch {
        /// What changed.
        path: String,
        /// The watch's token.
        token: String,
    },
    /// A snapshot is complete.
    Snapshot(Ticket, Snapshot),
    /// An update was committed, or failed for the given reason (a conflict is retried, and never seen here).
    Updated(Ticket, Result<(), String>),
    /// The connection is lost for the given reason; nothing more will come.
    Lost(String),
}

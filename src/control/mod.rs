// SPDX-License-Identifier: GPL-3.0-or-later
//! The control socket: versioned JSON lines between the compositor and `grantway msg` (docs/control.md).
//!
//! The server half never blocks and knows nothing of guests or outputs: requests come out of
//! [`Server::take_requests`], and [`Server::reply`] takes the answers.

use std::path::{Path, PathBuf};

mod client;
mod connection;
mod picture;
mod places;
mod protocol;
mod server;
mod status;
mod table;

pub use client::{Client, ClientError};
pub use picture::Picture;
pub use protocol::{
    GuestSelector, InputAction, MAX_PAYLOAD, MAX_REQUEST, PROTOCOL_VERSION, Request, Response, ScreenshotTarget,
    TouchPhase, decode_request,
};
pub use server::{Access, BindError, ConnectionId, Server};
pub use status::{
    AreaStatus, ClientStatus, ConnectorStatus, DepartedStatus, FocusStatus, GuestStatus, InputStatus, OutputStatus,
    PlaceStatus, PresentedBy, Status, WindowStatus,
};
pub use table::render;

/// Where the socket is when nothing else is said: `/run/grantway/control.sock` for root, otherwise
/// `grantway.sock` in the user's `runtime_dir` (`$XDG_RUNTIME_DIR`), or in `/tmp/grantway-UID` without one.
#[must_use]
pub fn default_socket(uid: u32, runtime_dir: Option<&Path>) -> PathBuf {
    if uid == 0 {
        return PathBuf::from("/run/grantway/control.sock");
    }
    runtime_dir.map_or_else(|| PathBuf::from(format!("/tmp/grantway-{uid}")), Path::to_path_buf).join("grantway.sock")
}

#[cfg(test)]
mod tests;

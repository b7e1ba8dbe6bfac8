// SPDX-License-Identifier: GPL-3.0-or-later
//! What is said over the control socket: one JSON object a line, each with the protocol's version.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Picture, Status};

/// The protocol's version. It changes when an old client would misunderstand; new fields do not change it.
pub const PROTOCOL_VERSION: u64 = 1;

/// Longest request line, in bytes.
pub const MAX_REQUEST: usize = 4096;

/// Largest screenshot, in bytes: one of 8192x8192.
pub const MAX_PAYLOAD: usize = 256 << 20;

/// Names a guest: by domain number, or by the domain's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GuestSelector {
    /// By domain number.
    DomId(u16),
    /// By the domain's name.
    Name(String),
}

impl From<&str> for GuestSelector {
    /// A text that is a number up to 65,535 is a domain number, everything else a name.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::DomId)
    }
}

impl fmt::Display for GuestSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DomId(domid) => write!(f, "domain {domid}"),
            Self::Name(name) => write!(f, "guest \"{name}\""),
        }
    }
}

/// What a screenshot is taken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScreenshotTarget {
    /// The first output.
    FirstOutput,
    /// The output of that name.
    Output(String),
    /// A guest's own picture, without border and label.
    Guest {
        /// Whose.
        guest: GuestSelector,
        /// Which of its connectors.
        connector: usize,
    },
}

/// What the user is to have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InputAction {
    /// A key or button, by Linux's code.
    Key {
        /// Which.
        code: u32,
        /// Down or up; `None` is down and up.
        #[serde(default)]
        pressed: Option<bool>,
    },
    /// A text, by the keys that Dom0's layout has for it.
    Text(String),
    /// The pointer is at a pixel: of the guest's picture, or of all outputs side by side.
    Pointer {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// The pointer moved by so many pixels.
    Motion {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
    },
    /// The wheel turned, by 1/120 of a click; positive scrolls down.
    Wheel {
        /// How far.
        v120: i32,
    },
    /// A finger.
    Touch {
        /// Which.
        contact: u32,
        /// What it does.
        phase: TouchPhase,
        /// From the left, as for the pointer; of no meaning when it is lifted.
        #[serde(default)]
        x: i32,
        /// From the top.
        #[serde(default)]
        y: i32,
    },
}

/// What a finger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TouchPhase {
    /// It comes down.
    Down,
    /// It moves.
    Motion,
    /// It is lifted.
    Up,
}

/// What is asked of the compositor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How things are.
    Status {},
    /// A picture.
    Screenshot {
        /// Of what.
        target: ScreenshotTarget,
    },
    /// Show a guest full screen, or none.
    Fullscreen {
        /// Which guest; `None` ends full screen.
        guest: Option<GuestSelector>,
    },
    /// Show a workspace.
    Workspace {
        /// 1 to 9.
        number: u8,
    },
    /// Switch displays on or off.
    Output {
        /// By the output's name; `None` is all of them.
        #[serde(default)]
        output: Option<String>,
        /// On or off.
        on: bool,
    },
    /// Do as if the user had done something.
    Input {
        /// For which guest, whoever has the focus; `None` is the seat, as from a device.
        #[serde(default)]
        guest: Option<GuestSelector>,
        /// On which of its connectors.
        #[serde(default)]
        connector: usize,
        /// What.
        action: InputAction,
    },
    /// Read the configuration again.
    Reload {},
    /// Let the guests go in order, and end.
    Quit {},
}

/// What the compositor answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// It is done.
    Done,
    /// How things are.
    Status(Box<Status>),
    /// A picture, whose pixels (at most [`MAX_PAYLOAD`] bytes) follow the line as they are.
    Screenshot(Picture),
    /// The configuration was read again.
    Reloaded {
        /// What is another than before, and holds now.
        changed: Vec<String>,
        /// What is another than before, and holds when the compositor is started again.
        needs_restart: Vec<String>,
    },
    /// It was refused or failed: a line for the user.
    Error(String),
}

/// Reads one request line.
///
/// # Errors
/// A line for the client.
pub fn decode_request(line: &[u8]) -> Result<Request, String> {
    let mut value: Value = serde_json::from_slice(line).map_err(|error| format!("the request is not JSON: {error}"))?;
    let fields = value.as_object_mut().ok_or("the request is not a JSON object")?;
    let version = fields.remove("version").ok_or("the request has no \"version\"")?;
    if version != json!(PROTOCOL_VERSION) {
        return Err(format!("the request's version is {version}; this grantway speaks version {PROTOCOL_VERSION}"));
    }
    serde_json::from_value(value).map_err(|error| format!("the request is not understood: {error}"))
}

impl Request {
    /// The request as a line.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("version".to_owned(), json!(PROTOCOL_VERSION));
        }
        line(&value)
    }
}

impl Response {
    /// The response as a line; a screenshot's pixels follow it.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let value = match self {
            Self::Done => json!({"version": PROTOCOL_VERSION, "response": "done"}),
            Self::Status(status) => json!({"version": PROTOCOL_VERSION, "response": "status", "status": status}),
            Self::Screenshot(Picture { width, height, pixels }) => json!({
                "version": PROTOCOL_VERSION, "response": "screenshot",
                "width": width, "height": height, "bytes": pixels.len(),
            }),
            Self::Reloaded { changed, needs_restart } => json!({
                "version": PROTOCOL_VERSION, "response": "reloaded",
                "changed": changed, "needs_restart": needs_restart,
            }),
            Self::Error(message) => json!({"version": PROTOCOL_VERSION, "response": "error", "message": message}),
        };
        line(&value)
    }
}

fn line(value: &Value) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A response's line as the client reads it.
#[derive(Debug, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub(super) enum ResponseLine {
    Done,
    Status { status: Box<Status> },
    Screenshot { width: u32, height: u32, bytes: usize },
    Reloaded { changed: Vec<String>, needs_restart: Vec<String> },
    Error { message: String },
}

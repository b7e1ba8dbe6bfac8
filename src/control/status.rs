// SPDX-License-Identifier: GPL-3.0-or-later
//! What `grantway msg status` tells. Fields are only ever added.

use serde::{Deserialize, Serialize};

/// The whole state, as far as a user may want it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Grantway's version.
    pub version: String,
    /// `xen` or `sim`.
    pub platform: String,
    /// The presentation backend's name.
    pub backend: String,
    /// The renderer's name.
    pub renderer: String,
    /// All outputs.
    pub outputs: Vec<OutputStatus>,
    /// All guests that have a display device.
    pub guests: Vec<GuestStatus>,
    /// Domains without a display device that still map memory of ours.
    #[serde(default)]
    pub departed: Vec<DepartedStatus>,
    /// The window with the focus; `None` when there is none.
    pub focus: Option<FocusStatus>,
    /// Windows of Dom0's own Wayland clients, the oldest first.
    #[serde(default)]
    pub clients: Vec<ClientStatus>,
    /// Whether the secure attention picture is shown, and nobody gets input.
    pub secure_attention: bool,
    /// The workspace that is shown, 1 to 9; `None` in a kiosk.
    #[serde(default)]
    pub workspace: Option<u8>,
    /// The kiosk's table, in its order; empty on a desktop.
    #[serde(default)]
    pub kiosk: Vec<PlaceStatus>,
}

/// A window of one of Dom0's own Wayland clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// The number of its `wl_surface` in its client's connection, as `WAYLAND_DEBUG=1` shows it there.
    #[serde(default)]
    pub surface: u32,
    /// Its title, in the client's words.
    pub title: String,
    /// The application's name, in the client's words.
    pub app: String,
    /// The output that shows it.
    pub output: Option<String>,
    /// Where its content is there.
    pub content: Option<AreaStatus>,
    /// Whether it has the keyboard.
    pub keyboard: bool,
}

/// One guest connector's place in a kiosk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceStatus {
    /// The domain, as configured.
    pub guest: String,
    /// Its connector, as configured.
    pub connector: String,
    /// The output, as configured.
    pub output: String,
    /// Where on the output the picture may be; `None` while that is not there.
    pub area: Option<AreaStatus>,
    /// `centre`, `scale`, `stretch` or `crop`.
    pub fit: String,
    /// Degrees clockwise.
    pub rotate: u32,
    /// What covers what.
    pub layer: i32,
    /// The part of the guest's picture that is shown, in its own pixels; `None` without a guest.
    pub source: Option<AreaStatus>,
    /// Where that is on the output.
    pub target: Option<AreaStatus>,
    /// How much larger it is there, across and down, in thousandths.
    pub scale: Option<(u32, u32)>,
    /// What is seen: `guest`, `off`, or `black`, `splash`, `last-frame`, `nothing`.
    pub shows: String,
    /// Why it is not as one might expect.
    pub why: Option<String>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaStatus {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// Who has the focus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FocusStatus {
    /// The domain's number.
    pub domid: u16,
    /// The domain's name.
    pub name: String,
    /// Which of its connectors.
    pub connector: usize,
    /// Whether it gets keys: its policy allows them, and its input device is connected.
    pub keyboard: bool,
    /// Whether the pointer is locked to it, or kept within it.
    pub pointer_grabbed: bool,
}

/// A domain that is gone, or has no display any more, and still maps memory of ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DepartedStatus {
    /// The domain's number.
    pub domid: u16,
    /// Pages that wait for it.
    pub pages_waiting: u32,
    /// The same, of a compositor before this one.
    #[serde(default)]
    pub pages_left_behind: u32,
}

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// The connector's name.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second, in mHz.
    pub refresh_mhz: u32,
    /// Whether it shows frames whenever they come; `refresh_mhz` is its highest rate then.
    #[serde(default)]
    pub variable_refresh: bool,
    /// Frames shown since it was last switched on.
    pub frames: u64,
    /// Whether it is switched off.
    #[serde(default)]
    pub off: bool,
    /// The plane that shows our cursor, such as `plane 41 (cursor)`, while it is on this output.
    #[serde(default)]
    pub cursor_plane: Option<String>,
    /// Why it is drawn although the backend has planes.
    #[serde(default)]
    pub cursor_plane_refused: Option<String>,
}

/// One guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GuestStatus {
    /// The domain's number.
    pub domid: u16,
    /// The domain's name.
    pub name: String,
    /// The colour of border and label, `#rrggbb`.
    pub color: String,
    /// The display device's xenbus state on our side, such as `connected`.
    pub state: String,
    /// Its connectors, in order.
    pub connectors: Vec<ConnectorStatus>,
    /// Buffers that the guest has.
    pub buffers: u32,
    /// Framebuffers that the guest has.
    pub framebuffers: u32,
    /// Grants that are mapped for its buffers.
    pub grants: u32,
    /// MiB of its memory that are mapped.
    pub mib_held: f64,
    /// Destroyed buffers whose release the kernel has not reported yet.
    pub frees_pending: u32,
    /// MiB of our memory that its buffers are made of, or were and that it still maps.
    #[serde(default)]
    pub mib_allocated: f64,
    /// Pages of our memory that wait for the guest to unmap them.
    #[serde(default)]
    pub pages_waiting: u32,
    /// The same, of a compositor before this one.
    #[serde(default)]
    pub pages_left_behind: u32,
    /// Requests that were answered with an error.
    pub requests_refused: u64,
    /// How often its requests had to wait, because too many before them were refused.
    #[serde(default)]
    pub times_held_back: u64,
    /// Why the last of them was refused.
    pub last_refusal: Option<String>,
    /// The domain's input devices; told with its first display.
    #[serde(default)]
    pub inputs: Vec<InputStatus>,
}

/// One input device of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputStatus {
    /// Its number within the domain.
    pub device: u32,
    /// What the toolstack calls it, if it has a name.
    pub unique_id: Option<String>,
    /// The device's xenbus state on our side, such as `connected`.
    pub state: String,
    /// What the guest takes, such as `keyboard` and `absolute 1280x800`; empty before it is connected.
    pub takes: Vec<String>,
    /// Events that the guest was sent.
    pub events: u64,
    /// Notifies that they took.
    pub notifies: u64,
    /// Motion that went into another motion that was still waiting.
    pub motion_merged: u64,
    /// Motion dropped, because the guest does not read.
    pub motion_dropped: u64,
    /// Presses dropped for the same reason.
    pub presses_dropped: u64,
    /// Input of a kind that the guest does not take.
    pub not_taken: u64,
    /// Events that wait until the guest reads.
    pub waiting: u32,
    /// Releases among them.
    pub releases_waiting: u32,
    /// Keys, buttons and fingers that the user holds.
    pub held: u32,
    /// What is wrong with its configuration.
    pub complaints: Vec<String>,
}

/// Who puts a connector's picture on the display.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PresentedBy {
    /// Nobody: it is not visible, or has no picture.
    #[default]
    Hidden,
    /// The renderer composes it with the rest.
    Composite,
    /// A plane scans it out.
    Plane,
}

impl PresentedBy {
    /// The word shown to the user.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Composite => "composite",
            Self::Plane => "plane",
        }
    }
}

/// One connector of a guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectorStatus {
    /// Its number within the device.
    pub index: usize,
    /// What the toolstack calls it.
    pub unique_id: String,
    /// `enabled`, `disabled`, or what keeps it from working.
    pub state: String,
    /// Width of what is configured, or else of the connector, in pixels.
    pub width: u32,
    /// Height of what is configured, or else of the connector, in pixels.
    pub height: u32,
    /// The framebuffer's format as four characters, such as `XR24`; `None` without a picture.
    pub format: Option<String>,
    /// Flips that were accepted.
    pub flips: u64,
    /// Flip events that were sent.
    pub events: u64,
    /// How the pixels are read, such as `egl-image`.
    pub import_path: Option<String>,
    /// Why that way, and why no better one.
    pub import_reason: Option<String>,
    /// Who made a buffer of the grants, such as `xen-zcopy`.
    pub provider: Option<String>,
    /// Who puts it on the display.
    pub presented_by: PresentedBy,
    /// The plane that shows it, such as `plane 31 (primary)`.
    #[serde(default)]
    pub plane: Option<String>,
    /// Why it is composed although the backend has planes.
    #[serde(default)]
    pub plane_refused: Option<String>,
    /// Bytes of its pixels that were copied; 0 on the zero-copy paths.
    pub bytes_copied: u64,
    /// Where its content is; `None` when it has no place.
    pub window: Option<WindowStatus>,
    /// Why it has no place.
    #[serde(default)]
    pub not_shown: Option<String>,
}

/// Where a connector's content is, without border and label, in the output's pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowStatus {
    /// The output's name.
    pub output: String,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

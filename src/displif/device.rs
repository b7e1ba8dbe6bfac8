// SPDX-License-Identifier: GPL-3.0-or-later
//! The xenbus state machine of one vdispl device, as Linux's frontend really drives it.
//!
//! ```text
//!          directory complete            frontend 3 or 4           mapped, bound
//!   New ───────────────────► InitWait ───────────────► Connecting ─────────────► Connected
//!    │ stale 4/4: write 6       ▲  ▲                        │ failed                │
//!    ▼                          │  │◄───────────────────────┘                       │
//!  Closed ──────────────────────┘  │ frontend stays 5 (rmmod), or 1                 │
//!    ▲      frontend 1 (or 5)      │                                                │
//!    ├─────────────────────────── Closing ◄─────────────────────────────────────────┤ frontend 5
//!    │      frontend 6, gone                                                        │
//!    └──────────────────────────────────────────────────────────────────────────────┘ all else
//! ```
//!
//! What stands in our own backend directory is the toolstack's, and believed. All that the frontend's
//! directory says is a claim: parsed, bounded, and refused when it makes no sense. A refused connection is
//! tried again whenever something changes.

use std::fmt::Write as _;
use std::time::Duration;

use crate::time::Time;
use crate::xen::store::{Change, Query, Snapshot};
use crate::xen::xenbus::{XenbusState, parse_u32};
use crate::xen::{DomId, GrantRef, Port};

use super::limits::Limits;
use super::wire::Version;

/// What we write to `versions`.
pub const VERSIONS: &str = "1,2";

/// How long the frontend may take from Closing to Closed after we said Closing. A guest that powers off needs
/// 0.3 s; one whose module is removed stays at Closing and wants to see InitWait within 1 s.
pub const CLOSING_PATIENCE: Duration = Duration::from_millis(600);

/// Longest `unique-id` that is taken over, in bytes.
const MAX_UNIQUE_ID: usize = 128;

/// A shared page and the event channel that goes with it, as the frontend claims them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The page; not 0.
    pub page: GrantRef,
    /// The frontend's port; not 0.
    pub port: Port,
}

/// A connector, as the frontend's directory claims it. No grant reference and no port occurs twice in a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorSetup {
    /// Place in the device, from 0 without gaps.
    pub index: usize,
    /// What the guest says that its name is: a claim, to be checked against policy. May be empty.
    pub unique_id: String,
    /// Pixels in a line, within the limits.
    pub width: u32,
    /// Lines, within the limits.
    pub height: u32,
    /// The request ring.
    pub requests: Channel,
    /// The event page.
    pub events: Channel,
}

/// What the caller has to do, in order. Writing a state twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAction {
    /// Write [`VERSIONS`]; see [`Device::change`].
    WriteVersions,
    /// Write our state; see [`Device::change`].
    WriteState(XenbusState),
    /// Map the pages, bind the ports, and call [`Device::connected`] with the result.
    Connect {
        /// The version that the frontend chose.
        version: Version,
        /// The connectors; at least one.
        connectors: Vec<ConnectorSetup>,
        /// Whether the device is configured for buffers in our memory (`be-alloc`): a claim, to be checked against
        /// policy.
        be_alloc: bool,
    },
    /// Let go of all that belongs to the connection, for the given reason.
    Disconnect(String),
    /// The frontend can't be served as it is, for the given reason: a line for the log. Not repeated as long
    /// as the reason stays the same.
    Refused(String),
    /// Other things are to be read now: ask for a snapshot of [`Device::queries`] again, and set
    /// [`Device::watches`] anew.
    ReadAgain,
    /// The device was removed by the toolstack; it may come back under the same path.
    Removed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    InitWait,
    Connecting,
    Connected { seen: bool },
    Closing { until: Time },
    Closed,
}

/// One vdispl device.
#[derive(Debug)]
pub struct Device {
    backend: String,
    domid: DomId,
    limits: Limits,
    frontend: Option<String>,
    phase: Phase,
    domain_gone: bool,
    last_refusal: Option<String>,
}

/// What a snapshot says, parsed.
struct View<'a> {
    snapshot: &'a Snapshot,
    own: XenbusState,
    /// `None`: there is no frontend directory.
    frontend: Option<XenbusState>,
    /// The toolstack or the domain's end wants us to let go for good.
    leave: bool,
}

impl Device {
    /// A device that was found under `backend`, the path of our directory, for the guest `domid` (both from
    /// the path, hence the toolstack's word).
    #[must_use]
    pub fn new(backend: String, domid: DomId, limits: Limits) -> Self {
        Self { backend, domid, limits, frontend: None, phase: Phase::New, domain_gone: false, last_refusal: None }
    }

    /// The path of our directory.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The guest.
    #[must_use]
    pub const fn domid(&self) -> DomId {
        self.domid
    }

    /// Whether the frontend is connected.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected { .. })
    }

    /// The name of the phase, for the status display.
    #[must_use]
    pub const fn phase(&self) -> &'static str {
        match self.phase {
            Phase::New => "new",
            Phase::InitWait => "waiting",
            Phase::Connecting => "connecting",
            Phase::Connected { .. } => "connected",
            Phase::Closing { .. } => "closing",
            Phase::Closed => "closed",
        }
    }

    /// The paths to watch: our directory, and nothing of the guest's but its state node (XSA-349).
    #[must_use]
    pub fn watches(&self) -> Vec<String> {
        let frontend = self.frontend.iter().map(|frontend| format!("{frontend}/state"));
        std::iter::once(self.backend.clone()).chain(frontend).collect()
    }

    /// What to read in one snapshot, whenever a watch of this device fires.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        let own = ["state", "frontend", "frontend-id", "online"];
        let mut queries: Vec<_> = own.iter().map(|key| Query::Value(format!("{}/{key}", self.backend))).collect();
        let Some(frontend) = &self.frontend else { return queries };
        queries.extend(["state", "version", "be-alloc"].map(|key| Query::Value(format!("{frontend}/{key}"))));
        // One more than allowed, to tell that there are too many.
        for index in 0..=self.limits.connectors {
            queries.extend(CONNECTOR_KEYS.map(|key| Query::Value(format!("{frontend}/{index}/{key}"))));
        }
        queries
    }

    /// The connectors' names and sizes, as far as they stand in a snapshot: before the guest runs they are the
    /// toolstack's word.
    #[must_use]
    pub fn configured(&self, snapshot: &Snapshot) -> Vec<(String, u32, u32)> {
        let frontend = self.frontend.as_deref().unwrap_or_default();
        let connector = |index: usize| {
            let value = |key: &str| snapshot.value(&format!("{frontend}/{index}/{key}"));
            let (width, height) = parse_resolution(value("resolution")?, &self.limits)?;
            Some((value("unique-id").unwrap_or_default().to_owned(), width, height))
        };
        (0..self.limits.connectors).map_while(connector).collect()
    }

    /// The change of xenstore that an action asks for, if it is one.
    #[must_use]
    pub fn change(&self, action: &DeviceAction) -> Option<Change> {
        match action {
            DeviceAction::WriteVersions => Some(Change::Write(format!("{}/versions", self.backend), VERSIONS.into())),
            DeviceAction::WriteState(state) => {
                Some(Change::Write(format!("{}/state", self.backend), state.as_str().into()))
            }
            DeviceAction::Connect { .. }
            | DeviceAction::Disconnect(_)
            | DeviceAction::Refused(_)
            | DeviceAction::ReadAgain
            | DeviceAction::Removed => None,
        }
    }

    /// When [`Device::tick`] is to be called at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Closing { until } => Some(until),
            Phase::New | Phase::InitWait | Phase::Connecting | Phase::Connected { .. } | Phase::Closed => None,
        }
    }

    /// Time has passed. When it is the deadline, the answer is to look again.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<DeviceAction> {
        match self.phase {
            // What the frontend did last may not have been seen yet, but it certainly did not go on to Closed
            // for this long: it is a module's removal, and it waits for InitWait.
            Phase::Closing { until } if now >= until => {
                let mut out = Vec::new();
                self.prepare(&mut out);
                out
            }
            Phase::New
            | Phase::InitWait
            | Phase::Connecting
            | Phase::Connected { .. }
            | Phase::Closing { .. }
            | Phase::Closed => Vec::new(),
        }
    }

    /// The result of [`DeviceAction::Connect`]. A failure is the frontend's race or fault: it is tried again at
    /// the next change.
    #[must_use]
    pub fn connected(&mut self, result: Result<(), String>) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        if self.phase != Phase::Connecting {
            return out;
        }
        match result {
            Ok(()) => {
                self.phase = Phase::Connected { seen: false };
                self.last_refusal = None;
                out.push(DeviceAction::WriteState(XenbusState::Connected));
            }
            Err(reason) => {
                self.phase = Phase::InitWait;
                self.refuse(reason, &mut out);
            }
        }
        out
    }

    /// The session found the frontend beyond help: let go, and let it start anew.
    #[must_use]
    pub fn fault(&mut self, reason: &str) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        if matches!(self.phase, Phase::Connecting | Phase::Connected { .. }) {
            self.close(reason, &mut out);
        }
        out
    }

    /// The domain has died. Its directories may stay for a while, and its number may be used again.
    #[must_use]
    pub fn domain_gone(&mut self) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        self.domain_gone = true;
        self.disconnect("the domain is gone", &mut out);
        if self.phase != Phase::New {
            self.phase = Phase::Closed;
        }
        // Our state is written only if the directory is still there: writing would make it anew.
        out.push(DeviceAction::ReadAgain);
        out
    }

    /// Something may have changed: the answer to [`Device::queries`], taken in one transaction.
    #[must_use]
    pub fn observe(&mut self, snapshot: &Snapshot, now: Time) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        let Some(own) = snapshot.value(&format!("{}/state", self.backend)) else {
            self.removed(&mut out);
            return out;
        };
        let own = XenbusState::parse(own).unwrap_or(XenbusState::Unknown);
        match self.find_frontend(snapshot, &mut out) {
            Found::Known => {}
            Found::New => {
                out.push(DeviceAction::ReadAgain);
                return out;
            }
            Found::Incomplete => return out,
        }
        let path = |key: &str| format!("{}/{key}", self.frontend.as_deref().unwrap_or_default());
        // A value that is no state counts as Unknown: there, but of no use.
        let frontend =
            snapshot.value(&path("state")).map(|value| XenbusState::parse(value).unwrap_or(XenbusState::Unknown));
        let offline = snapshot.value(&format!("{}/online", self.backend)) == Some("0");
        let leave = self.domain_gone || offline || (own == XenbusState::Closing && frontend.is_none());
        self.step(&View { snapshot, own, frontend, leave }, now, &mut out);
        out
    }

    /// libxl makes the directory first and fills it later: nothing happens until it is complete.
    fn find_frontend(&mut self, snapshot: &Snapshot, out: &mut Vec<DeviceAction>) -> Found {
        let path = snapshot.value(&format!("{}/frontend", self.backend));
        let id = snapshot.value(&format!("{}/frontend-id", self.backend));
        let (Some(path), Some(id)) = (path, id) else { return Found::Incomplete };
        if self.frontend.as_deref() == Some(path) {
            return Found::Known;
        }
        let home = format!("/local/domain/{}/", self.domid);
        if parse_u32(id) != Some(u32::from(self.domid.0)) || !path.starts_with(&home) {
            self.refuse(
                format!("its backend directory names domain {} and frontend {}", quoted(id), quoted(path)),
                out,
            );
            return Found::Incomplete;
        }
        self.frontend = Some(path.to_owned());
        Found::New
    }

    fn removed(&mut self, out: &mut Vec<DeviceAction>) {
        self.disconnect("the device was removed", out);
        if self.phase != Phase::New || self.domain_gone {
            out.push(DeviceAction::Removed);
        }
        self.phase = Phase::New;
        self.frontend = None;
        // Whatever comes back under this path is another device, perhaps of another domain of the same number.
        self.domain_gone = false;
    }

    fn step(&mut self, view: &View<'_>, now: Time, out: &mut Vec<DeviceAction>) {
        if view.leave {
            return self.leave(view, out);
        }
        match self.phase {
            Phase::New => self.start(view, now, out),
            Phase::InitWait => self.wait(view, out),
            Phase::Connecting => self.hold(view, true, now, out),
            Phase::Connected { seen } => self.hold(view, !seen, now, out),
            Phase::Closing { until } => self.closing(view, now >= until, out),
            Phase::Closed => {
                // At 1 the frontend is ready for the next round; at 5 its module is being removed, and waits.
                if matches!(view.frontend, Some(XenbusState::Initialising | XenbusState::Closing)) {
                    self.prepare(out);
                } else if view.own != XenbusState::Closed {
                    out.push(DeviceAction::WriteState(XenbusState::Closed));
                }
            }
        }
    }

    /// The toolstack takes the device away, or the domain has died: it waits for Closed.
    fn leave(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        self.disconnect("the toolstack takes the device away", out);
        if self.phase != Phase::Closed || view.own != XenbusState::Closed {
            out.push(DeviceAction::WriteState(XenbusState::Closed));
        }
        self.phase = Phase::Closed;
    }

    /// A device seen for the first time: fresh, or left behind by a predecessor of this process.
    fn start(&mut self, view: &View<'_>, now: Time, out: &mut Vec<DeviceAction>) {
        use XenbusState::{Closed, Closing, Connected, Initialised, Reconfiguring};
        let predecessor = matches!(view.own, Connected | Closing | Closed);
        match view.frontend {
            None => {}
            Some(Initialised | Connected | Closed) if predecessor => self.close("", out),
            Some(Initialised | Connected) => {
                self.prepare(out);
                self.try_connect(view, out);
            }
            Some(Closing) if predecessor && view.own != Closed => self.begin_closing(now, out),
            Some(Reconfiguring) => self.close("", out),
            Some(_) => self.prepare(out),
        }
    }

    fn wait(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        // The toolstack has made the directory anew, or wrote over our state. (It may also be that our write is
        // still on its way: then this one changes nothing.)
        if view.own != XenbusState::InitWait {
            self.prepare(out);
        }
        match view.frontend {
            Some(XenbusState::Initialised | XenbusState::Connected) => self.try_connect(view, out),
            Some(XenbusState::Reconfiguring) => self.close("", out),
            Some(_) | None => {}
        }
    }

    /// Connected: `fresh` until the frontend has said Connected too.
    fn hold(&mut self, view: &View<'_>, fresh: bool, now: Time, out: &mut Vec<DeviceAction>) {
        if view.own == XenbusState::Initialising {
            self.disconnect("the device was made anew", out);
            return self.prepare(out);
        }
        if view.own == XenbusState::Closing {
            return self.close("the toolstack closes the device", out);
        }
        match view.frontend {
            Some(XenbusState::Connected) => {
                if self.is_connected() {
                    self.phase = Phase::Connected { seen: true };
                }
            }
            Some(XenbusState::Initialised) if fresh => {}
            Some(XenbusState::Closing) => {
                self.disconnect("the frontend closes", out);
                self.begin_closing(now, out);
            }
            Some(XenbusState::Initialising) => {
                self.disconnect("the frontend starts anew", out);
                self.prepare(out);
            }
            Some(XenbusState::Closed) => self.close("the frontend has closed", out),
            Some(state) => self.close(&format!("the frontend went to {state} while connected"), out),
            None => self.close("the frontend's directory is gone", out),
        }
    }

    fn closing(&mut self, view: &View<'_>, overdue: bool, out: &mut Vec<DeviceAction>) {
        match view.frontend {
            Some(XenbusState::Closing) if !overdue => {}
            Some(XenbusState::Closing | XenbusState::Initialising) => self.prepare(out),
            Some(_) | None => self.close("", out),
        }
    }

    fn begin_closing(&mut self, now: Time, out: &mut Vec<DeviceAction>) {
        self.phase = Phase::Closing { until: now.saturating_add(CLOSING_PATIENCE) };
        out.push(DeviceAction::WriteState(XenbusState::Closing));
    }

    fn prepare(&mut self, out: &mut Vec<DeviceAction>) {
        self.phase = Phase::InitWait;
        self.last_refusal = None;
        out.extend([DeviceAction::WriteVersions, DeviceAction::WriteState(XenbusState::InitWait)]);
    }

    fn close(&mut self, reason: &str, out: &mut Vec<DeviceAction>) {
        self.disconnect(reason, out);
        self.phase = Phase::Closed;
        out.push(DeviceAction::WriteState(XenbusState::Closed));
    }

    fn disconnect(&mut self, reason: &str, out: &mut Vec<DeviceAction>) {
        if matches!(self.phase, Phase::Connecting | Phase::Connected { .. }) {
            out.push(DeviceAction::Disconnect(reason.to_owned()));
            self.phase = Phase::Closed;
        }
    }

    fn refuse(&mut self, reason: String, out: &mut Vec<DeviceAction>) {
        if self.last_refusal.as_deref() != Some(reason.as_str()) {
            out.push(DeviceAction::Refused(reason.clone()));
            self.last_refusal = Some(reason);
        }
    }

    fn try_connect(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        let Some(frontend) = self.frontend.clone() else { return };
        match read_claims(view.snapshot, &frontend, &self.limits) {
            Ok((version, connectors)) => {
                let be_alloc = view.snapshot.value(&format!("{frontend}/be-alloc")) == Some("1");
                self.phase = Phase::Connecting;
                out.push(DeviceAction::Connect { version, connectors, be_alloc });
            }
            Err(reason) => self.refuse(reason, out),
        }
    }
}

enum Found {
    Known,
    New,
    Incomplete,
}

const CONNECTOR_KEYS: [&str; 6] =
    ["resolution", "unique-id", "req-ring-ref", "req-event-channel", "evt-ring-ref", "evt-event-channel"];

/// At most 32 characters of a guest's string, with all but plain ones escaped, for the log.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars().take(32) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", character.escape_default());
    }
    text.push_str(if value.chars().nth(32).is_some() { "...\"" } else { "\"" });
    text
}

type Claims = (Version, Vec<ConnectorSetup>);

fn read_claims(snapshot: &Snapshot, frontend: &str, limits: &Limits) -> Result<Claims, String> {
    let version = match snapshot.value(&format!("{frontend}/version")) {
        None | Some("1") => Version::V1,
        Some("2") => Version::V2,
        Some(other) => return Err(format!("version {} refused: we speak {VERSIONS}", quoted(other))),
    };
    let present =
        |index: usize| CONNECTOR_KEYS.iter().any(|key| snapshot.value(&format!("{frontend}/{index}/{key}")).is_some());
    let count = (0..=limits.connectors).take_while(|index| present(*index)).count();
    if count > limits.connectors {
        return Err(format!("more than {} connectors refused: raise the limit, or configure fewer", limits.connectors));
    }
    if let Some(stray) = (count..=limits.connectors).find(|index| present(*index)) {
        return Err(format!("connector {stray} refused: there is no connector {count}"));
    }
    if count == 0 {
        return Err("no connector is configured".into());
    }
    let connectors: Vec<_> =
        (0..count).map(|index| read_connector(snapshot, frontend, index, limits)).collect::<Result<_, _>>()?;
    let pages = connectors.iter().flat_map(|connector| [connector.requests.page.0, connector.events.page.0]);
    let ports = connectors.iter().flat_map(|connector| [connector.requests.port.0, connector.events.port.0]);
    refuse_twins("grant reference", pages)?;
    refuse_twins("event channel", ports)?;
    Ok((version, connectors))
}

fn refuse_twins(what: &str, numbers: impl Iterator<Item = u32>) -> Result<(), String> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    match numbers.iter().zip(numbers.iter().skip(1)).find(|(left, right)| left == right) {
        Some((twin, _)) => Err(format!("{what} {twin} refused: it is named twice")),
        None => Ok(()),
    }
}

fn read_connector(
    snapshot: &Snapshot,
    frontend: &str,
    index: usize,
    limits: &Limits,
) -> Result<ConnectorSetup, String> {
    let value = |key: &str| {
        let value = snapshot.value(&format!("{frontend}/{index}/{key}"));
        value.ok_or_else(|| format!("connector {index} refused: it has no readable {key}"))
    };
    let number = |key: &str| {
        let text = value(key)?;
        match parse_u32(text) {
            Some(number) if number != 0 => Ok(number),
            Some(_) | None => Err(format!("connector {index} refused: {key} is {}", quoted(text))),
        }
    };
    let channel = |page: &str, port: &str| -> Result<Channel, String> {
        Ok(Channel { page: GrantRef(number(page)?), port: Port(number(port)?) })
    };
    let resolution = value("resolution")?;
    let (width, height) = parse_resolution(resolution, limits).ok_or_else(|| {
        format!(
            "connector {index} refused: resolution {} is not WIDTHxHEIGHT up to {}x{}",
            quoted(resolution),
            limits.width,
            limits.height
        )
    })?;
    let unique_id = value("unique-id").unwrap_or_default();
    if unique_id.len() > MAX_UNIQUE_ID || unique_id.chars().any(char::is_control) {
        return Err(format!("connector {index} refused: unique-id {} is too long or no text", quoted(unique_id)));
    }
    Ok(ConnectorSetup {
        index,
        unique_id: unique_id.to_owned(),
        width,
        height,
        requests: channel("req-ring-ref", "req-event-channel")?,
        events: channel("evt-ring-ref", "evt-event-channel")?,
    })
}

fn parse_resolution(value: &str, limits: &Limits) -> Option<(u32, u32)> {
    let (width, height) = value.split_once('x')?;
    let (width, height) = (parse_u32(width)?, parse_u32(height)?);
    ((1..=limits.width).contains(&width) && (1..=limits.height).contains(&height)).then_some((width, height))
}

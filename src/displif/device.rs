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

use std::time::Duration;

use crate::time::Time;
use crate::xen::device::{Action, Half, Look, View};
use crate::xen::store::{Query, Snapshot};
use crate::xen::xenbus::{XenbusState, parse_u32, quoted};
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

/// What the frontend's directory claims, as far as it makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The version that the frontend chose.
    pub version: Version,
    /// The connectors; at least one.
    pub connectors: Vec<ConnectorSetup>,
    /// Whether the device is configured for buffers in our memory (`be-alloc`), to be checked against policy.
    pub be_alloc: bool,
}

/// What the caller has to do. After [`Action::Connect`] it calls [`Device::connected`].
pub type DeviceAction = Action<Claims>;

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
    half: Half,
    limits: Limits,
    phase: Phase,
    /// Of how many connectors all keys are read; of the others the one that tells that they are there.
    connectors: usize,
}

impl Device {
    /// A device that was found under `backend`, the path of our directory, for the guest `domid` (both from
    /// the path, hence the toolstack's word).
    #[must_use]
    pub fn new(backend: String, domid: DomId, limits: Limits) -> Self {
        // All, until it is known how many there are.
        let connectors = limits.connectors.saturating_add(1);
        Self { half: Half::new(backend, domid), limits, phase: Phase::New, connectors }
    }

    /// Where it stands in xenstore.
    #[must_use]
    pub const fn half(&self) -> &Half {
        &self.half
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

    /// What to read in one snapshot, whenever a watch of this device fires.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        // One more than allowed, to tell that there are too many. Each key costs a turn to xenstored and back.
        let connectors = (0..=self.limits.connectors).flat_map(|index| {
            let more = if index < self.connectors { &CONNECTOR_KEYS[..] } else { &[] };
            std::iter::once(&RESOLUTION).chain(more).map(move |key| format!("{index}/{key}"))
        });
        self.half.queries(&[], ["version", "be-alloc"].map(str::to_owned).into_iter().chain(connectors))
    }

    /// The connectors' names and sizes, as far as they stand in a snapshot: before the guest runs they are the
    /// toolstack's word.
    #[must_use]
    pub fn configured(&self, snapshot: &Snapshot) -> Vec<(String, u32, u32)> {
        let frontend = self.half.frontend();
        let connector = |index: usize| {
            let value = |key: &str| snapshot.value(&format!("{frontend}/{index}/{key}"));
            let (width, height) = parse_resolution(value(RESOLUTION)?, &self.limits)?;
            Some((value("unique-id").unwrap_or_default().to_owned(), width, height))
        };
        (0..self.limits.connectors).map_while(connector).collect()
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
                self.half.forgive();
                out.push(DeviceAction::WriteState(XenbusState::Connected));
            }
            Err(reason) => {
                self.phase = Phase::InitWait;
                out.extend(self.half.refuse(reason));
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
        self.half.domain_gone();
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
        match self.half.look(snapshot, now) {
            Look::Removed => self.removed(&mut out),
            Look::Incomplete => {}
            Look::Refused(reason) => out.extend(self.half.refuse(reason)),
            Look::Found => out.push(DeviceAction::ReadAgain),
            Look::Both(_) if self.count(snapshot) => out.push(DeviceAction::ReadAgain),
            Look::Both(view) => self.step(&view, &mut out),
        }
        out
    }

    /// Looks how many connectors there are; true when the snapshot lacks keys of some.
    fn count(&mut self, snapshot: &Snapshot) -> bool {
        let frontend = self.half.frontend();
        let last = (0..=self.limits.connectors).rev().find(|index| is_present(snapshot, frontend, *index));
        let before = std::mem::replace(&mut self.connectors, last.map_or(0, |last| last.saturating_add(1)));
        self.connectors > before
    }

    fn removed(&mut self, out: &mut Vec<DeviceAction>) {
        self.disconnect("the device was removed", out);
        if self.half.removed() || self.phase != Phase::New {
            out.push(DeviceAction::Removed);
        }
        self.phase = Phase::New;
        self.connectors = self.limits.connectors.saturating_add(1);
    }

    fn step(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        if view.leave {
            return self.leave(view, out);
        }
        match self.phase {
            Phase::New => self.start(view, out),
            Phase::InitWait => self.wait(view, out),
            Phase::Connecting => self.hold(view, true, out),
            Phase::Connected { seen } => self.hold(view, !seen, out),
            Phase::Closing { until } => self.closing(view, view.now >= until, out),
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
    fn start(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        use XenbusState::{Closed, Closing, Connected, Initialised, Reconfiguring};
        let predecessor = matches!(view.own, Connected | Closing | Closed);
        match view.frontend {
            None => {}
            Some(Initialised | Connected | Closed) if predecessor => self.close("", out),
            Some(Initialised | Connected) => {
                self.prepare(out);
                self.try_connect(view, out);
            }
            Some(Closing) if predecessor && view.own != Closed => self.begin_closing(view.now, out),
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
    fn hold(&mut self, view: &View<'_>, fresh: bool, out: &mut Vec<DeviceAction>) {
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
                self.begin_closing(view.now, out);
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
        self.half.forgive();
        out.extend([DeviceAction::Write("versions", VERSIONS), DeviceAction::WriteState(XenbusState::InitWait)]);
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

    fn try_connect(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        match read_claims(view.snapshot, self.half.frontend(), &self.limits) {
            Ok(claims) => {
                self.phase = Phase::Connecting;
                out.push(DeviceAction::Connect(claims));
            }
            Err(reason) => out.extend(self.half.refuse(reason)),
        }
    }
}

/// What the toolstack writes for each connector: where it is absent, there is none.
const RESOLUTION: &str = "resolution";

/// What else a connector has.
const CONNECTOR_KEYS: [&str; 5] =
    ["unique-id", "req-ring-ref", "req-event-channel", "evt-ring-ref", "evt-event-channel"];

fn is_present(snapshot: &Snapshot, frontend: &str, index: usize) -> bool {
    snapshot.value(&format!("{frontend}/{index}/{RESOLUTION}")).is_some()
}

fn read_claims(snapshot: &Snapshot, frontend: &str, limits: &Limits) -> Result<Claims, String> {
    let version = match snapshot.value(&format!("{frontend}/version")) {
        None | Some("1") => Version::V1,
        Some("2") => Version::V2,
        Some(other) => return Err(format!("version {} refused: we speak {VERSIONS}", quoted(other))),
    };
    let present = |index: &usize| is_present(snapshot, frontend, *index);
    let count = (0..=limits.connectors).take_while(present).count();
    if count > limits.connectors {
        return Err(format!("more than {} connectors refused: raise the limit, or configure fewer", limits.connectors));
    }
    if let Some(stray) = (count..=limits.connectors).find(present) {
        return Err(format!("connector {stray} refused: connector {count} has no {RESOLUTION}"));
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
    let be_alloc = snapshot.value(&format!("{frontend}/be-alloc")) == Some("1");
    Ok(Claims { version, connectors, be_alloc })
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
    let resolution = value(RESOLUTION)?;
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

// SPDX-License-Identifier: GPL-3.0-or-later
//! The xenbus state machine of one input device, as Linux's frontend really drives it.
//!
//! ```text
//!          directory complete            frontend 3 or 4           mapped, bound
//!   New ───────────────────► InitWait ───────────────► Connecting ─────────────► Connected
//!                               ▲  ▲                        │ failed, tried again     │
//!                               │  │◄───────────────────────┘                         │
//!  Closed ──────────────────────┘  │◄─────────────────── frontend 1, or another page ─┤
//!    ▲      frontend 1, 3, 5       │ frontend stays 5 (rmmod), or 1                   │
//!    ├─────────────────────────── Closing ◄───────────────────────────────────────────┤ frontend 5
//!    │      frontend 6, gone                                                          │
//!    └────────────────────────────────────────────────────────────────────────────────┘ all else
//! ```
//!
//! Linux's frontend publishes its page when it is probed, without waiting for us, goes to Initialised, and to
//! Connected as soon as it sees InitWait *or* Connected. Once it has seen Closing or Closed it stays closed
//! until it sees InitWait, and then goes on with the same page and port. So a device that is left waiting for
//! the next backend is left in InitWait, and one that a predecessor left connected is simply taken over.
//!
//! What stands in our own directory is the toolstack's word. What the frontend says is a claim.

use std::time::Duration;

use crate::time::Time;
use crate::xen::device::{Action, Half, Look, View};
use crate::xen::store::{Query, Snapshot};
use crate::xen::xenbus::{XenbusState, parse_u32};
use crate::xen::{DomId, GrantRef, Port};

use super::Capabilities;
use super::features::{Features, OWN_KEYS, REQUEST_KEYS, Requests};
use super::limits::Limits;

/// How long the frontend may take from Closing to Closed after we said Closing; then it is a module's removal,
/// which waits for InitWait.
pub const CLOSING_PATIENCE: Duration = Duration::from_millis(600);

/// First wait after a page could not be mapped. A guest's kernel can revoke the page of a device whose state
/// already reads Initialised; doubled up to [`LONGEST_RETRY`].
pub const RETRY: Duration = Duration::from_millis(100);

/// How long a frontend at Initialised may take to say Connected once we have; then it has lost its device. Doubled with
/// each time that it is asked to begin anew.
pub const SILENCE: Duration = Duration::from_secs(2);

/// How often a frontend that lost its device is asked to begin anew, as long as the device exists.
pub const RESETS: u8 = 3;

/// Longest wait between two attempts to connect.
pub const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The page and the port that the frontend claims, and what may be sent over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// `page-gref`; not 0. The obsolete `page-ref`, a frame number, is never looked at.
    pub page: GrantRef,
    /// `event-channel`; not 0.
    pub port: Port,
    /// What was offered and asked for.
    pub capabilities: Capabilities,
}

impl Setup {
    /// Whether it is the same page and port.
    fn is_over(self, other: Self) -> bool {
        self.page == other.page && self.port == other.port
    }
}

/// What the caller has to do. After [`Action::Connect`] it calls [`Device::connected`].
pub type DeviceAction = Action<Setup>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    InitWait,
    Connecting(Setup),
    /// `seen` after the frontend has said Connected too, which it is waited for until `patience`.
    Connected {
        setup: Setup,
        seen: bool,
        patience: Option<Time>,
    },
    Closing {
        until: Time,
    },
    Closed,
    /// Left to the next backend: nothing is done any more.
    Retired,
}

/// One input device.
#[derive(Debug)]
pub struct Device {
    half: Half,
    limits: Limits,
    features: Features,
    frontend_state: Option<XenbusState>,
    /// The frontend's state has been looked at.
    looked: bool,
    impossible: Vec<&'static str>,
    phase: Phase,
    retry: Option<Time>,
    wait: Duration,
    /// What could not be connected while the frontend was at Initialised: page and port may belong to another
    /// device of the guest by now, and are not tried again before the frontend has published anew.
    revoked: Option<Setup>,
    resets: u8,
}

impl Device {
    /// A device that was found under `backend`, the path of our directory, for the guest `domid` (both from
    /// the path, hence the toolstack's word).
    #[must_use]
    pub fn new(backend: String, domid: DomId, limits: Limits) -> Self {
        Self {
            half: Half::new(backend, domid),
            limits,
            features: Features::default(),
            frontend_state: None,
            looked: false,
            impossible: Vec::new(),
            phase: Phase::New,
            retry: None,
            wait: RETRY,
            revoked: None,
            resets: 0,
        }
    }

    /// Where it stands in xenstore.
    #[must_use]
    pub const fn half(&self) -> &Half {
        &self.half
    }

    /// What the toolstack configured, as read last.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    /// What the frontend asked for and can't have, as read last: the names of its keys.
    #[must_use]
    pub fn impossible(&self) -> &[&'static str] {
        &self.impossible
    }

    /// Whether the guest has not looked at the features yet. Linux reads them once, when it finds the device.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.looked
            && matches!(self.frontend_state, None | Some(XenbusState::Unknown | XenbusState::Initialising))
            && matches!(self.phase, Phase::New | Phase::InitWait)
    }

    /// The name of the phase, for the status display.
    #[must_use]
    pub const fn phase(&self) -> &'static str {
        match self.phase {
            Phase::New => "new",
            Phase::InitWait => "waiting",
            Phase::Connecting(_) | Phase::Connected { patience: Some(_), .. } => "connecting",
            Phase::Connected { .. } => "connected",
            Phase::Closing { .. } => "closing",
            Phase::Closed | Phase::Retired => "closed",
        }
    }

    /// What to read in one snapshot, whenever a watch of this device fires.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        self.half.queries(&OWN_KEYS, ["page-gref", "event-channel"].iter().chain(&REQUEST_KEYS))
    }

    /// When [`Device::tick`] is to be called at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Closing { until } => Some(until),
            Phase::InitWait => self.retry,
            Phase::Connected { patience, .. } => patience,
            Phase::New | Phase::Connecting(_) | Phase::Closed | Phase::Retired => None,
        }
    }

    /// Time has passed.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return out;
        }
        match self.phase {
            Phase::Closing { .. } => self.prepare(&mut out),
            Phase::InitWait => {
                self.retry = None;
                match self.revoked {
                    Some(setup) => self.reset(setup, now, &mut out),
                    None => out.push(DeviceAction::ReadAgain),
                }
            }
            Phase::Connected { setup, .. } => {
                self.disconnect("the frontend does not say that it is connected: it has lost its device", &mut out);
                self.phase = Phase::InitWait;
                self.reset(setup, now, &mut out);
            }
            Phase::New | Phase::Connecting(_) | Phase::Closed | Phase::Retired => {}
        }
        out
    }

    /// The result of [`DeviceAction::Connect`]. A failure is tried again at the next change, and after a while.
    #[must_use]
    pub fn connected(&mut self, result: Result<(), String>, now: Time) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        let Phase::Connecting(setup) = self.phase else { return out };
        match result {
            Ok(()) => {
                let waits = self.frontend_state == Some(XenbusState::Initialised);
                let patience = self.patience(now).filter(|_| waits);
                self.phase = Phase::Connected { setup, seen: false, patience };
                self.half.forgive();
                self.wait = RETRY;
                out.push(DeviceAction::WriteState(XenbusState::Connected));
            }
            Err(reason) => {
                self.phase = Phase::InitWait;
                // One that has said Connected has seen our InitWait: it is there.
                self.revoked = (self.frontend_state == Some(XenbusState::Initialised)).then_some(setup);
                self.refuse(reason, now, &mut out);
            }
        }
        out
    }

    /// Until when a frontend at Initialised is to say Connected, or to publish anew.
    fn patience(&self, now: Time) -> Option<Time> {
        let longer = 1 << self.resets.min(RESETS);
        (self.resets < RESETS).then(|| now.saturating_add(SILENCE.saturating_mul(longer)))
    }

    /// Linux can lose its device while it boots: it takes what it has just published for a reset, revokes the page,
    /// closes the port, and finds no device to begin anew with, because its state is no longer Initialising (seen
    /// with Linux 7.3: "state reset occurred, reconnecting"). We find the page gone, or, when we were faster, have it
    /// mapped and hear no more. So it is put back. A Linux that lost nothing answers our InitWait with Connected.
    ///
    /// In a driver domain the state is not ours to write: then the page and port stay untouched.
    fn reset(&mut self, lost: Setup, now: Time, out: &mut Vec<DeviceAction>) {
        self.revoked = Some(lost);
        if self.resets >= RESETS {
            return;
        }
        self.resets = self.resets.saturating_add(1);
        self.retry = self.patience(now);
        // Read before the frontend can have published anew, perhaps with the same numbers.
        let asked =
            [DeviceAction::ResetFrontend, DeviceAction::WriteState(XenbusState::InitWait), DeviceAction::ReadAgain];
        out.extend(asked);
    }

    /// The compositor ends: the device is left waiting for the next one.
    #[must_use]
    pub fn retire(&mut self) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        if matches!(self.phase, Phase::Connecting(_) | Phase::Connected { .. }) {
            self.disconnect("the compositor ends", &mut out);
            out.push(DeviceAction::WriteState(XenbusState::InitWait));
        }
        self.phase = Phase::Retired;
        out
    }

    /// The domain has died. Its directories may stay for a while, and its number may be used again.
    #[must_use]
    pub fn domain_gone(&mut self) -> Vec<DeviceAction> {
        let mut out = Vec::new();
        self.half.domain_gone();
        self.disconnect("the domain is gone", &mut out);
        if !matches!(self.phase, Phase::New | Phase::Retired) {
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
        if self.phase == Phase::Retired {
            return out;
        }
        self.features = Features::read(snapshot, self.half.directory());
        match self.half.look(snapshot, now) {
            Look::Removed => self.removed(&mut out),
            Look::Incomplete => {}
            Look::Refused(reason) => self.refuse(reason, now, &mut out),
            Look::Found => out.push(DeviceAction::ReadAgain),
            Look::Both(view) => {
                self.impossible = self.features.impossible(snapshot, self.half.frontend());
                self.frontend_state = view.frontend;
                self.looked = true;
                self.step(&view, &mut out);
            }
        }
        out
    }

    fn removed(&mut self, out: &mut Vec<DeviceAction>) {
        self.disconnect("the device was removed", out);
        if self.half.removed() || self.phase != Phase::New {
            out.push(DeviceAction::Removed);
        }
        self.phase = Phase::New;
        self.frontend_state = None;
        self.looked = false;
        self.revoked = None;
        self.resets = 0;
    }

    fn step(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        use XenbusState::{Closed, Closing, Initialised, Initialising};
        if view.leave {
            return self.leave(view, out);
        }
        match self.phase {
            Phase::New => match view.frontend {
                None => {}
                Some(Closing) if view.own != Closed => self.begin_closing(view.now, out),
                Some(_) => self.wait(view, out),
            },
            Phase::InitWait => self.wait(view, out),
            // The caller connects at once: there is no snapshot in between.
            Phase::Connecting(_) => {}
            Phase::Connected { setup, seen, patience } => self.hold(view, setup, (seen, patience), out),
            Phase::Closing { until } => match view.frontend {
                Some(Closing) if view.now < until => {}
                Some(Closing | Initialising | Initialised) => self.wait(view, out),
                Some(_) | None => self.close("", out),
            },
            Phase::Closed => match view.frontend {
                // At 1 and 3 the frontend begins anew; at 5 its module is being removed, and waits.
                Some(Initialising | Initialised | Closing) => self.wait(view, out),
                Some(_) | None if view.own != Closed => out.push(DeviceAction::WriteState(Closed)),
                Some(_) | None => {}
            },
            Phase::Retired => {}
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

    /// Not connected: says so, and connects if the frontend has published its page.
    fn wait(&mut self, view: &View<'_>, out: &mut Vec<DeviceAction>) {
        if self.phase != Phase::InitWait || view.own != XenbusState::InitWait {
            self.prepare(out);
        }
        if view.frontend != Some(XenbusState::Initialised) {
            self.revoked = None;
        }
        if !matches!(view.frontend, Some(XenbusState::Initialised | XenbusState::Connected)) {
            return;
        }
        match self.read_claims(view.snapshot) {
            Ok(setup) if self.revoked.is_some_and(|revoked| revoked.is_over(setup)) => {}
            Ok(setup) => {
                self.phase = Phase::Connecting(setup);
                out.push(DeviceAction::Connect(setup));
            }
            Err(reason) => self.refuse(reason, view.now, out),
        }
    }

    /// Connected; `seen` and `patience` as in the phase.
    fn hold(
        &mut self,
        view: &View<'_>,
        setup: Setup,
        (seen, patience): (bool, Option<Time>),
        out: &mut Vec<DeviceAction>,
    ) {
        use XenbusState::{Closed, Closing, Connected, Initialised, Initialising};
        if view.own == Initialising {
            self.disconnect("the device was made anew", out);
            return self.wait(view, out);
        }
        if view.own == Closing {
            return self.close("the toolstack closes the device", out);
        }
        match view.frontend {
            Some(state @ (Initialised | Connected)) => {
                match self.read_claims(view.snapshot) {
                    // What it asks for counts until it says Connected: an older Linux asks when it sees InitWait.
                    Ok(claims) if claims == setup || (seen && claims.is_over(setup)) => {
                        let seen = seen || state == Connected;
                        self.phase = Phase::Connected { setup, seen, patience: patience.filter(|_| !seen) };
                    }
                    Ok(_) => {
                        self.disconnect("the frontend has published anew", out);
                        self.wait(view, out);
                    }
                    Err(reason) => {
                        self.disconnect(&reason, out);
                        self.wait(view, out);
                    }
                }
            }
            Some(Closing) => {
                self.disconnect("the frontend closes", out);
                self.begin_closing(view.now, out);
            }
            Some(Initialising) => {
                self.disconnect("the frontend starts anew", out);
                self.prepare(out);
            }
            Some(Closed) => self.close("the frontend has closed", out),
            Some(state) => self.close(&format!("the frontend went to {state} while connected"), out),
            None => self.close("the frontend's directory is gone", out),
        }
    }

    fn begin_closing(&mut self, now: Time, out: &mut Vec<DeviceAction>) {
        self.phase = Phase::Closing { until: now.saturating_add(CLOSING_PATIENCE) };
        out.push(DeviceAction::WriteState(XenbusState::Closing));
    }

    fn prepare(&mut self, out: &mut Vec<DeviceAction>) {
        self.phase = Phase::InitWait;
        self.half.forgive();
        self.retry = None;
        self.wait = RETRY;
        self.revoked = None;
        out.push(DeviceAction::WriteState(XenbusState::InitWait));
    }

    fn close(&mut self, reason: &str, out: &mut Vec<DeviceAction>) {
        self.disconnect(reason, out);
        self.phase = Phase::Closed;
        out.push(DeviceAction::WriteState(XenbusState::Closed));
    }

    fn disconnect(&mut self, reason: &str, out: &mut Vec<DeviceAction>) {
        if matches!(self.phase, Phase::Connecting(_) | Phase::Connected { .. }) {
            out.push(DeviceAction::Disconnect(reason.to_owned()));
            self.phase = Phase::Closed;
        }
    }

    fn refuse(&mut self, reason: String, now: Time, out: &mut Vec<DeviceAction>) {
        self.retry = Some(now.saturating_add(self.wait));
        self.wait = self.wait.saturating_mul(2).min(LONGEST_RETRY);
        out.extend(self.half.refuse(reason));
    }

    fn read_claims(&self, snapshot: &Snapshot) -> Result<Setup, String> {
        let frontend = self.half.frontend();
        let number = |key: &str| match snapshot.value(&format!("{frontend}/{key}")).map(parse_u32) {
            Some(Some(number)) if number != 0 => Ok(number),
            Some(_) => Err(format!("{key} is not a number above 0")),
            None => Err(format!("there is no readable {key}")),
        };
        let requests = Requests::read(snapshot, frontend);
        Ok(Setup {
            page: GrantRef(number("page-gref")?),
            port: Port(number("event-channel")?),
            capabilities: self.features.capabilities(requests, self.limits.contacts),
        })
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What our half of every PV device has in common: where it stands in xenstore, and what is read and written there.
//! The state machines are the protocols' own.

use std::fmt::Display;

use crate::time::Time;

use super::DomId;
use super::store::{Change, Query, Snapshot};
use super::xenbus::{XenbusState, parse_u32, quoted};

/// What the caller has to do, in order. Writing a value twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<C> {
    /// Write a value into our directory, under the key that is named first; see [`Half::change`].
    Write(&'static str, &'static str),
    /// Write our state; see [`Half::change`].
    WriteState(XenbusState),
    /// Write Initialising as the frontend's state, as a toolstack does for a device that begins anew; see
    /// [`Half::change`].
    ResetFrontend,
    /// Map the pages and bind the ports that the frontend claims, and tell the device the result.
    Connect(C),
    /// Let go of all that belongs to the connection, for the given reason.
    Disconnect(String),
    /// The frontend can't be served as it is, for the given reason: a line for the log. Not repeated as long
    /// as the reason stays the same.
    Refused(String),
    /// Ask for a snapshot of the device's queries again, and set [`Half::watch`] anew.
    ReadAgain,
    /// The device was removed by the toolstack; it may come back under the same path.
    Removed,
}

/// Our half of a device.
#[derive(Debug)]
pub struct Half {
    directory: String,
    domid: DomId,
    frontend: Option<String>,
    domain_gone: bool,
    last_refusal: Option<String>,
}

/// What a snapshot shows of both halves.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// All of it.
    pub snapshot: &'a Snapshot,
    /// When it was looked at.
    pub now: Time,
    /// Our state.
    pub own: XenbusState,
    /// The frontend's; `None`: it has no directory. A value that is no state counts as Unknown: there, but of no
    /// use.
    pub frontend: Option<XenbusState>,
    /// The toolstack or the domain's end wants us to let go for good.
    pub leave: bool,
}

/// What is to be made of a snapshot.
#[derive(Debug)]
pub enum Look<'a> {
    /// Our directory is gone.
    Removed,
    /// libxl makes the directory first and fills it later: nothing happens until it is complete.
    Incomplete,
    /// The directory names a frontend that is not the guest's.
    Refused(String),
    /// The frontend is known from now on: there is more to read.
    Found,
    /// Both halves are known.
    Both(View<'a>),
}

impl Half {
    /// A device that was found under `directory`, ours, for the guest `domid` (both from the path, hence the
    /// toolstack's word).
    #[must_use]
    pub const fn new(directory: String, domid: DomId) -> Self {
        Self { directory, domid, frontend: None, domain_gone: false, last_refusal: None }
    }

    /// The path of our directory.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// The path of the frontend's directory; empty as long as it is not known.
    #[must_use]
    pub fn frontend(&self) -> &str {
        self.frontend.as_deref().unwrap_or_default()
    }

    /// What to watch beside our directory: nothing of the guest's but its state node (XSA-349), once that is known.
    #[must_use]
    pub fn watch(&self) -> Option<String> {
        self.frontend.as_ref().map(|frontend| format!("{frontend}/state"))
    }

    /// What to read in one snapshot, whenever a watch fires: what all devices have, and the keys `own` of our
    /// directory and `theirs` of the frontend's.
    #[must_use]
    pub fn queries(&self, own: &[&str], theirs: impl IntoIterator<Item = impl Display>) -> Vec<Query> {
        let own = ["state", "frontend", "frontend-id", "online"].iter().chain(own);
        let mut queries: Vec<_> = own.map(|key| Query::Value(format!("{}/{key}", self.directory))).collect();
        if let Some(frontend) = &self.frontend {
            queries.push(Query::Value(format!("{frontend}/state")));
            queries.extend(theirs.into_iter().map(|key| Query::Value(format!("{frontend}/{key}"))));
        }
        queries
    }

    /// The change of xenstore that an action asks for, if it is one.
    #[must_use]
    pub fn change<C>(&self, action: &Action<C>) -> Option<Change> {
        let (directory, key, value) = match action {
            Action::Write(key, value) => (&self.directory, *key, *value),
            Action::WriteState(state) => (&self.directory, "state", state.as_str()),
            Action::ResetFrontend => (self.frontend.as_ref()?, "state", XenbusState::Initialising.as_str()),
            Action::Connect(_) | Action::Disconnect(_) | Action::Refused(_) | Action::ReadAgain | Action::Removed => {
                return None;
            }
        };
        Some(Change::Write(format!("{directory}/{key}"), value.to_owned()))
    }

    /// Takes in a snapshot of [`Half::queries`].
    #[must_use]
    pub fn look<'a>(&mut self, snapshot: &'a Snapshot, now: Time) -> Look<'a> {
        let own = |key: &str| snapshot.value(&format!("{}/{key}", self.directory));
        let state = |value| XenbusState::parse(value).unwrap_or(XenbusState::Unknown);
        let Some(own_state) = own("state").map(state) else { return Look::Removed };
        let (Some(path), Some(id)) = (own("frontend"), own("frontend-id")) else { return Look::Incomplete };
        if self.frontend.as_deref() != Some(path) {
            let home = format!("/local/domain/{}/", self.domid);
            if parse_u32(id) != Some(u32::from(self.domid.0)) || !path.starts_with(&home) {
                let (id, path) = (quoted(id), quoted(path));
                return Look::Refused(format!("its backend directory names domain {id} and frontend {path}"));
            }
            self.frontend = Some(path.to_owned());
            return Look::Found;
        }
        let frontend = snapshot.value(&format!("{path}/state")).map(state);
        let closing = own_state == XenbusState::Closing && frontend.is_none();
        let leave = self.domain_gone || own("online") == Some("0") || closing;
        Look::Both(View { snapshot, now, own: own_state, frontend, leave })
    }

    /// The domain has died. Its directories may stay for a while, and its number may be used again.
    pub const fn domain_gone(&mut self) {
        self.domain_gone = true;
    }

    /// Our directory is gone: whatever comes back under its path is another device, perhaps of another domain of
    /// the same number. Returns whether the domain was known to be dead.
    pub fn removed(&mut self) -> bool {
        self.frontend = None;
        std::mem::take(&mut self.domain_gone)
    }

    /// The frontend is refused; nothing is to be said when that was for the same reason as before.
    #[must_use]
    pub fn refuse<C>(&mut self, reason: String) -> Option<Action<C>> {
        if self.last_refusal.as_ref() == Some(&reason) {
            return None;
        }
        self.last_refusal = Some(reason.clone());
        Some(Action::Refused(reason))
    }

    /// The frontend may be refused anew.
    pub fn forgive(&mut self) {
        self.last_refusal = None;
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The guests' input devices: which there are, which display each belongs to, and what is connected.

use std::collections::BTreeMap;

use crate::displif::rate::Bucket;
use crate::kbdif::device::{Device, DeviceAction};
use crate::kbdif::features::Features;
use crate::kbdif::status::SessionStatus;
use crate::kbdif::{Capabilities, Contact, ContactEvent, Input};
use crate::time::Time;
use crate::xen::Port;
use crate::xen::store::{Change, Snapshot, Store, StoreEvent};

use super::follow::{Followed, Follower};
use super::keyboard_link::KeyboardLink;
use super::pairing::{Area, Pairing, Scope};
use super::policy::{GuestPolicy, Identity, PolicyFor};
use super::{Context, DeviceKey};

/// The backend directories: `xl` uses the first for `backend-type=linux`; the second is QEMU's, unless a guest
/// is configured otherwise.
const KINDS: [&str; 2] = ["vinput", "vkbd"];

/// Where a window lies among those of its guest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The display device.
    pub(super) display: DeviceKey,
    /// The connector.
    pub(super) connector: usize,
    /// All connectors of the device.
    pub(super) areas: &'a [Area],
}

/// Names one input device: which of the kinds, and which of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct InputKey {
    kind: usize,
    key: DeviceKey,
}

/// One input device that the toolstack has configured.
#[derive(Debug)]
pub struct Entry {
    device: Device,
    name: String,
    policy: GuestPolicy,
    link: Option<KeyboardLink>,
    log: Bucket,
    /// It was told of that the guest asks for what it can't have.
    warned: bool,
}

/// All input devices.
#[derive(Debug)]
pub struct Keyboards {
    followers: Vec<Follower>,
    entries: BTreeMap<InputKey, Entry>,
    /// The displays that the toolstack has configured, as they were before their guests could change them.
    displays: BTreeMap<DeviceKey, Vec<Area>>,
    /// How often any device has connected.
    connections: u64,
}

impl Keyboards {
    /// Begins to follow xenstore.
    pub(super) fn new(store: &mut Store) -> Self {
        let followers = (1..).zip(KINDS).map(|(number, kind)| Follower::new(kind, number, store));
        Self { followers: followers.collect(), entries: BTreeMap::new(), displays: BTreeMap::new(), connections: 0 }
    }

    /// Takes in one event of xenstore, if it is about an input device.
    pub(super) fn store_event(
        &mut self,
        event: &StoreEvent,
        policy_for: &PolicyFor,
        store: &mut Store,
        context: &mut Context<'_>,
    ) {
        let mut all = Vec::new();
        for (kind, follower) in self.followers.iter_mut().enumerate() {
            all.extend(follower.event(event, store, context.now).into_iter().map(|followed| (kind, followed)));
        }
        for (kind, followed) in all {
            match followed {
                Followed::Found { key, directory, name, uuid } => {
                    let policy = policy_for(Identity { name: &name, uuid: uuid.as_deref() });
                    if kind == 0 || policy.input.take_vkbd {
                        let id = InputKey { kind, key };
                        self.entries.insert(id, Entry::new(key, directory, name, policy));
                        self.follow(id, store, context.now);
                    }
                }
                Followed::Gone(key) => {
                    if let Some(mut entry) = self.entries.remove(&InputKey { kind, key }) {
                        entry.disconnect("the device is gone", context);
                    }
                }
                Followed::Read { key, snapshot, died } => {
                    self.observe(InputKey { kind, key }, &snapshot, died, store, context);
                }
            }
        }
    }

    fn follow(&mut self, id: InputKey, store: &mut Store, now: Time) {
        let Some(entry) = self.entries.get(&id) else { return };
        if let Some(follower) = self.followers.get_mut(id.kind) {
            follower.follow(id.key, entry.device.queries(), entry.device.half().watch(), store, now);
        }
    }

    fn write(&mut self, id: InputKey, changes: Vec<Change>, store: &mut Store) {
        if let (Some(entry), Some(follower)) = (self.entries.get(&id), self.followers.get_mut(id.kind)) {
            follower.write(id.key, entry.device.half().directory(), changes, store);
        }
    }

    fn observe(&mut self, id: InputKey, snapshot: &Snapshot, died: bool, store: &mut Store, context: &mut Context<'_>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let mut actions = if died { entry.device.domain_gone() } else { Vec::new() };
        actions.extend(entry.device.observe(snapshot, context.now));
        // Before the toolstack hears that the device waits, and so before it lets the guest run.
        self.prepare(id, store);
        // Watched first: what is read again after that is new enough.
        self.follow(id, store, context.now);
        self.carry_out(id, actions, store, context);
    }

    /// A display waits for its guest: its input devices are made to fit it, before the guest looks at them.
    pub(super) fn fit(&mut self, display: DeviceKey, areas: Vec<Area>, store: &mut Store) {
        self.displays.insert(display, areas);
        let same_domain = |id: &&InputKey| id.key.domid == display.domid;
        let devices: Vec<_> = self.entries.keys().filter(same_domain).copied().collect();
        for id in devices {
            self.prepare(id, store);
        }
    }

    /// A display is gone.
    pub(super) fn display_gone(&mut self, display: DeviceKey) {
        self.displays.remove(&display);
    }

    /// Writes the features that the toolstack did not, while the guest has not looked yet.
    fn prepare(&mut self, id: InputKey, store: &mut Store) {
        let Some(entry) = self.entries.get(&id) else { return };
        let only = self.is_only(id);
        let fitting = self.displays.iter().filter(|(display, _)| display.domid == id.key.domid);
        let area = fitting.filter_map(|(display, areas)| {
            let scope = entry.pairing(id.key, only).serves_any(*display, areas)?;
            Some((scope, scope.size(areas)))
        });
        // A connector that it names is worth more than a device of the same number.
        let Some((_, (width, height))) = area.max_by_key(|(scope, _)| matches!(scope, Scope::Connector(_))) else {
            return;
        };
        if !entry.device.is_unread() {
            return;
        }
        let backend = entry.device.half().directory();
        let write = |(key, value): (&str, u32)| Change::Write(format!("{backend}/{key}"), value.to_string());
        let policy = &entry.policy.input;
        let missing = entry.device.features().missing((width, height), policy.limits.contacts, policy.relative_pointer);
        let changes: Vec<_> = missing.into_iter().map(write).collect();
        if !changes.is_empty() {
            tracing::debug!("{}: input device {}: {changes:?}", entry.name, id.key.device);
            self.write(id, changes, store);
        }
    }

    fn carry_out(&mut self, id: InputKey, actions: Vec<DeviceAction>, store: &mut Store, context: &mut Context<'_>) {
        for action in actions {
            tracing::trace!("dom {} {:?} {}: {action:?}", id.key.domid, KINDS.get(id.kind), id.key.device);
            let Some(entry) = self.entries.get_mut(&id) else { return };
            match &action {
                DeviceAction::Write(..) | DeviceAction::WriteState(_) | DeviceAction::ResetFrontend => {
                    let change = entry.device.half().change(&action);
                    self.write(id, change.into_iter().collect(), store);
                }
                DeviceAction::Connect(setup) => {
                    let label = format!("guest \"{}\" (dom {})", entry.policy.label, id.key.domid);
                    let limits = entry.policy.input.limits.clone();
                    self.connections = self.connections.wrapping_add(1);
                    let number = self.connections;
                    let result = KeyboardLink::connect(label, number, id.key.domid, *setup, limits, context);
                    let result = result.map(|link| {
                        entry.say(id.key, context.now, "connected");
                        entry.warn_of_the_impossible(id.key);
                        entry.link = Some(link);
                    });
                    let actions = entry.device.connected(result, context.now);
                    self.carry_out(id, actions, store, context);
                }
                DeviceAction::Disconnect(why) => {
                    entry.say(id.key, context.now, &format!("disconnected: {why}"));
                    entry.disconnect(why, context);
                }
                DeviceAction::Refused(why) => {
                    if entry.log.take(context.now) {
                        tracing::warn!("{}: not connected: {why}", entry.describe(id.key));
                    }
                }
                DeviceAction::ReadAgain => {
                    if let Some(follower) = self.followers.get_mut(id.kind) {
                        follower.read(id.key, store, context.now);
                    }
                }
                DeviceAction::Removed => {
                    if let Some(follower) = self.followers.get_mut(id.kind) {
                        follower.scan(store);
                    }
                }
            }
        }
    }

    /// Whether the domain has no other input device.
    fn is_only(&self, id: InputKey) -> bool {
        self.entries.keys().filter(|other| other.key.domid == id.key.domid).count() == 1
    }

    /// The connected input device that serves a window, and how far it goes.
    fn serving(&self, place: &Place<'_>) -> Option<(InputKey, Scope)> {
        let candidates =
            self.entries.iter().filter(|(id, entry)| id.key.domid == place.display.domid && entry.link.is_some());
        let scopes = candidates.filter_map(|(id, entry)| {
            let scope = entry.pairing(id.key, self.is_only(*id)).serves(place.display, place.areas, place.connector)?;
            Some((*id, scope))
        });
        // The first of the best.
        scopes.min_by_key(|(_, scope)| !matches!(scope, Scope::Connector(_)))
    }

    /// The connection of a window's device, by a number that no other has, and what the device takes.
    pub(super) fn connection(&self, place: &Place<'_>) -> Option<(u64, Capabilities)> {
        let (id, _) = self.serving(place)?;
        let link = self.entries.get(&id)?.link.as_ref()?;
        Some((link.number(), link.capabilities()))
    }

    /// Hands what the user did to the device of a window.
    pub(super) fn input(&mut self, place: &Place<'_>, events: &[Input], context: &mut Context<'_>) {
        let Some((id, scope)) = self.serving(place) else { return };
        let Some(link) = self.entries.get_mut(&id).and_then(|entry| entry.link.as_mut()) else { return };
        let capabilities = link.capabilities();
        let mapped: Vec<_> = events.iter().map(|event| map(*event, place, scope, &capabilities)).collect();
        link.input(&mapped, context);
    }

    /// A window lost the focus.
    pub(super) fn focus_lost(&mut self, place: &Place<'_>, context: &mut Context<'_>) {
        let Some((id, _)) = self.serving(place) else { return };
        if let Some(link) = self.entries.get_mut(&id).and_then(|entry| entry.link.as_mut()) {
            link.release_all(context);
        }
    }

    /// The windows of a display close, and nobody can say any more that they lost the focus: the guest's devices
    /// release all that they hold.
    pub(super) fn window_lost(&mut self, display: DeviceKey, context: &mut Context<'_>) {
        let same_domain = self.entries.iter_mut().filter(|(id, _)| id.key.domid == display.domid);
        for link in same_domain.filter_map(|(_, entry)| entry.link.as_mut()) {
            link.release_all(context);
        }
    }

    /// An event channel has fired that is no display's.
    pub(super) fn fired(&mut self, port: Port, context: &mut Context<'_>) {
        let mut links = self.entries.values_mut().filter_map(|entry| entry.link.as_mut());
        if let Some(link) = links.find(|link| link.port() == port) {
            link.fired(context);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, store: &mut Store, context: &mut Context<'_>) {
        let mut due = Vec::new();
        for (id, entry) in &mut self.entries {
            if let Some(link) = &mut entry.link {
                link.tick(context);
            }
            due.push((*id, entry.device.tick(context.now)));
        }
        for (id, actions) in due {
            self.carry_out(id, actions, store, context);
        }
        for follower in &mut self.followers {
            follower.tick(store, context.now);
        }
    }

    /// When [`Keyboards::tick`] has to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Time> {
        let links = self.entries.values().filter_map(|entry| entry.link.as_ref()?.deadline());
        let devices = self.entries.values().filter_map(|entry| entry.device.deadline());
        links.chain(devices).chain(self.followers.iter().filter_map(Follower::deadline)).min()
    }

    /// Whether all that was written is in xenstore.
    pub(super) fn is_settled(&self) -> bool {
        self.followers.iter().all(Follower::is_settled)
    }

    /// Lets go of all devices, and leaves them waiting for the next backend.
    pub(super) fn shut_down(&mut self, store: &mut Store, context: &mut Context<'_>) {
        let ids: Vec<_> = self.entries.keys().copied().collect();
        for id in ids {
            let actions = self.entries.get_mut(&id).map(|entry| entry.device.retire()).unwrap_or_default();
            self.carry_out(id, actions, store, context);
        }
    }

    /// The devices, by domain and number.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceKey, &Entry)> {
        self.entries.iter().map(|(id, entry)| (id.key, entry))
    }
}

/// Moves positions from the window into the device's space.
fn map(event: Input, place: &Place<'_>, scope: Scope, capabilities: &Capabilities) -> Input {
    let pointer = capabilities.absolute;
    let touch = capabilities.touch.map(|area| (area.width, area.height));
    let moved = |x, y, space: Option<(u32, u32)>| match space {
        Some(space) => scope.map((x, y), place.areas, place.connector, space),
        None => (x, y),
    };
    match event {
        Input::Position { x, y } => {
            let (x, y) = moved(x, y, pointer);
            Input::Position { x, y }
        }
        Input::Touch(Contact { id, event: ContactEvent::Down { x, y } }) => {
            let (x, y) = moved(x, y, touch);
            Input::Touch(Contact { id, event: ContactEvent::Down { x, y } })
        }
        Input::Touch(Contact { id, event: ContactEvent::Motion { x, y } }) => {
            let (x, y) = moved(x, y, touch);
            Input::Touch(Contact { id, event: ContactEvent::Motion { x, y } })
        }
        Input::Key { .. } | Input::Motion { .. } | Input::Wheel { .. } | Input::Touch(_) | Input::TouchSync => event,
    }
}

impl Entry {
    fn new(key: DeviceKey, directory: String, name: String, policy: GuestPolicy) -> Self {
        Self {
            device: Device::new(directory, key.domid, policy.input.limits.clone()),
            name,
            policy,
            link: None,
            log: super::log_bucket(),
            warned: false,
        }
    }

    /// How far the handshake is.
    #[must_use]
    pub const fn phase(&self) -> &'static str {
        self.device.phase()
    }

    /// What the toolstack configured.
    #[must_use]
    pub const fn features(&self) -> &Features {
        self.device.features()
    }

    /// Figures of the connection, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<SessionStatus> {
        self.link.as_ref().map(KeyboardLink::status)
    }

    fn pairing(&self, key: DeviceKey, only: bool) -> Pairing<'_> {
        let id = self.device.features().unique_id.as_deref();
        let named = id.map(|id| self.policy.input.connectors.get(id).map_or(id, String::as_str));
        Pairing { key, connector: named, only }
    }

    fn describe(&self, key: DeviceKey) -> String {
        format!("guest \"{}\" (dom {} input {})", self.name, key.domid, key.device)
    }

    fn say(&mut self, key: DeviceKey, now: Time, what: &str) {
        if self.log.take(now) {
            tracing::info!("{}: {what}", self.describe(key));
        }
    }

    /// One line for each device: a guest can connect anew as often as it likes.
    fn warn_of_the_impossible(&mut self, key: DeviceKey) {
        let asked = self.device.impossible();
        if !asked.is_empty() && !std::mem::replace(&mut self.warned, true) {
            let asked = asked.join(" and ");
            tracing::warn!("{}: it asks for {asked}, which it was not offered; it does without", self.describe(key));
        }
    }

    fn disconnect(&mut self, why: &str, context: &mut Context<'_>) {
        if let Some(link) = self.link.take() {
            tracing::debug!("guest \"{}\": its input device is let go: {why}", self.name);
            link.close(context);
        }
    }
}

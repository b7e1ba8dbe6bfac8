// SPDX-License-Identifier: GPL-3.0-or-later
//! Which vdispl devices exist, how far each handshake is, and what is connected; and the guests' input devices
//! beside them.

use std::collections::BTreeMap;

use crate::displif::Allocation;
use crate::displif::device::{Claims, ConnectorSetup, Device, DeviceAction};
use crate::displif::rate::Bucket;
use crate::displif::session::Fatal;
use crate::kbdif::{Capabilities, Input};
use crate::scene::element::BufferId;
use crate::scene::{Scene, WindowId};
use crate::time::Time;
use crate::xen::grants::ExportId;
use crate::xen::store::{Change, Query, Snapshot, Store, StoreEvent};
use crate::xen::xenbus::XenbusState;
use crate::xen::{DomId, Port};

use super::follow::{Followed, Follower};
use super::keyboards::{Keyboards, Place};
use super::link::Link;
use super::pairing::Area;
use super::policy::{GuestPolicy, Identity, PolicyFor};
use super::{Context, DeviceKey, FlipToken, LinkId};

/// One device that the toolstack has configured.
#[derive(Debug)]
pub struct Entry {
    device: Device,
    name: String,
    uuid: Option<String>,
    policy: GuestPolicy,
    /// `pv`, `pvh` or `hvm`, as libxl says.
    kind: Option<String>,
    link: Option<Link>,
    log: Bucket,
}

/// All devices.
#[expect(missing_debug_implementations, reason = "holds the policy's closure")]
pub struct Registry {
    follower: Follower,
    entries: BTreeMap<DeviceKey, Entry>,
    keyboards: Keyboards,
    policy_for: PolicyFor,
    next_link: u64,
}

impl Registry {
    /// Begins to follow xenstore.
    #[must_use]
    pub fn new(policy_for: PolicyFor, store: &mut Store) -> Self {
        Self {
            follower: Follower::new("vdispl", 0, store),
            entries: BTreeMap::new(),
            keyboards: Keyboards::new(store),
            policy_for,
            next_link: 0,
        }
    }

    /// Takes in one event of xenstore.
    pub fn store_event(&mut self, event: &StoreEvent, store: &mut Store, context: &mut Context<'_>) {
        tracing::trace!("xenstore: {event:?}");
        for followed in self.follower.event(event, store, context.now) {
            match followed {
                Followed::Found { key, directory, name, uuid } => {
                    let policy = (self.policy_for)(Identity { name: &name, uuid: uuid.as_deref() });
                    let entry = Entry::new(key, directory, (name, uuid), policy);
                    self.entries.insert(key, entry);
                    self.follow(key, store, context.now);
                }
                Followed::Gone(key) => self.forget(key, context),
                Followed::Read { key, snapshot, died } => self.observe(key, &snapshot, died, store, context),
            }
        }
        self.keyboards.store_event(event, &self.policy_for, store, context);
    }

    /// Other policies hold. What a guest may use, and what its input devices are, stays as it was agreed on with the
    /// guest; domains that come later have it as it is now.
    pub fn set_policies(&mut self, policy_for: PolicyFor, scene: &mut Scene) {
        for entry in self.entries.values_mut() {
            let wanted = policy_for(Identity { name: &entry.name, uuid: entry.uuid.as_deref() });
            let (limits, input) = (entry.policy.limits.clone(), entry.policy.input.clone());
            entry.policy = GuestPolicy { limits, input, ..wanted };
            let GuestPolicy { label, color, fit, .. } = &entry.policy;
            for window in entry.link.iter().flat_map(Link::windows) {
                scene.describe_guest(window, label, *color, *fit);
            }
        }
        self.policy_for = policy_for;
    }

    fn forget(&mut self, key: DeviceKey, context: &mut Context<'_>) {
        let Some(mut entry) = self.entries.remove(&key) else { return };
        if let Some(link) = entry.link.take() {
            self.keyboards.window_lost(key, context);
            link.close(context);
        }
        self.keyboards.display_gone(key);
        tracing::info!("guest \"{}\" ({key}): the display is gone", entry.name);
    }

    fn observe(
        &mut self,
        key: DeviceKey,
        snapshot: &Snapshot,
        died: bool,
        store: &mut Store,
        context: &mut Context<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let mut actions = if died { entry.device.domain_gone() } else { Vec::new() };
        entry.kind = snapshot.value(&kind_path(key.domid)).map(str::to_owned);
        actions.extend(entry.device.observe(snapshot, context.now));
        if actions.contains(&DeviceAction::WriteState(XenbusState::InitWait)) {
            // Before the toolstack hears that the display waits, and so before it lets the guest run.
            let connectors = entry.device.configured(snapshot).into_iter();
            let areas = connectors.map(|(unique_id, width, height)| Area { unique_id, width, height });
            self.keyboards.fit(key, areas.collect(), store);
        }
        // Watched first: what is read again after that is new enough.
        self.follow(key, store, context.now);
        self.carry_out(key, actions, store, context);
    }

    fn follow(&mut self, key: DeviceKey, store: &mut Store, now: Time) {
        if let Some(entry) = self.entries.get(&key) {
            self.follower.follow(key, entry.queries(key), entry.device.half().watch(), store, now);
        }
    }

    fn carry_out(&mut self, key: DeviceKey, actions: Vec<DeviceAction>, store: &mut Store, context: &mut Context<'_>) {
        let mut changes = Vec::new();
        for action in actions {
            tracing::trace!("{key}: {action:?}");
            if let Some(change) = self.entries.get(&key).and_then(|entry| entry.device.half().change(&action)) {
                // What is written in a row comes at once, in one transaction.
                changes.push(change);
                continue;
            }
            self.write(key, std::mem::take(&mut changes), store);
            match action {
                DeviceAction::Connect(claims) => self.connect(key, &claims, store, context),
                DeviceAction::Disconnect(why) => self.disconnect(key, &why, context),
                DeviceAction::Refused(why) => {
                    if self.may_log(key, context.now) {
                        tracing::warn!("{}: not connected: {why}", self.describe(key));
                    }
                }
                DeviceAction::ReadAgain => self.follower.read(key, store, context.now),
                DeviceAction::Removed => self.follower.scan(store),
                DeviceAction::Write(..) | DeviceAction::WriteState(_) | DeviceAction::ResetFrontend => {}
            }
        }
        self.write(key, changes, store);
    }

    /// Whether the device may cause another line in the log.
    fn may_log(&mut self, key: DeviceKey, now: Time) -> bool {
        self.entries.get_mut(&key).is_some_and(|entry| entry.log.take(now))
    }

    fn describe(&self, key: DeviceKey) -> String {
        let name = self.entries.get(&key).map_or("", |entry| entry.name.as_str());
        format!("guest \"{name}\" ({key})")
    }

    fn write(&mut self, key: DeviceKey, changes: Vec<Change>, store: &mut Store) {
        if let (Some(entry), false) = (self.entries.get(&key), changes.is_empty()) {
            self.follower.write(key, entry.device.half().directory(), changes, store);
        }
    }

    fn connect(&mut self, key: DeviceKey, claims: &Claims, store: &mut Store, context: &mut Context<'_>) {
        let allocation = self.allocation(key, claims.be_alloc, context.now);
        let connectors = &claims.connectors;
        self.next_link = self.next_link.wrapping_add(1);
        let id = LinkId(self.next_link);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let result = Link::connect(id, key, &entry.policy, claims.version, connectors, allocation, context);
        let result = result.map(|link| {
            if entry.log.take(context.now) {
                tracing::info!("guest \"{}\" ({key}): connected, {} connectors", entry.name, connectors.len());
                if context.scene.is_kiosk() {
                    entry.tell_unplaced(key, connectors);
                }
            }
            entry.link = Some(link);
        });
        let actions = entry.device.connected(result);
        self.carry_out(key, actions, store, context);
    }

    /// Whether buffers are made of our memory; a wish that is refused is told.
    fn allocation(&mut self, key: DeviceKey, asked: bool, now: Time) -> Allocation {
        let Some(entry) = self.entries.get_mut(&key) else { return Allocation::Off };
        let allocation = entry.policy.allocation(asked, entry.kind.as_deref());
        if let Allocation::Refused(why) = &allocation
            && entry.log.take(now)
        {
            tracing::warn!("guest \"{}\" ({key}): its buffers will be refused: {why}", entry.name);
        }
        allocation
    }

    fn disconnect(&mut self, key: DeviceKey, why: &str, context: &mut Context<'_>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if let Some(link) = entry.link.take() {
            if entry.log.take(context.now) {
                tracing::info!("guest \"{}\" ({key}): disconnected: {why}", entry.name);
            }
            self.keyboards.window_lost(key, context);
            link.close(context);
        }
    }

    fn close(&mut self, key: DeviceKey, why: &str, store: &mut Store, context: &mut Context<'_>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let actions = entry.device.fault(why);
        self.carry_out(key, actions, store, context);
    }

    fn close_broken(&mut self, key: DeviceKey, fatal: &Fatal, store: &mut Store, context: &mut Context<'_>) {
        if self.may_log(key, context.now) {
            tracing::warn!("{}: the display is closed: {fatal}", self.describe(key));
        }
        self.close(key, &fatal.to_string(), store, context);
    }

    /// An event channel has fired.
    pub fn fired(&mut self, port: Port, store: &mut Store, context: &mut Context<'_>) {
        let owner = self.links().find(|(_, link)| link.owns(port));
        let Some((key, link)) = owner else { return self.keyboards.fired(port, context) };
        if let Err(fatal) = link.fired(port, context) {
            self.close_broken(key, &fatal, store, context);
        }
    }

    /// Gives each display that has more to do another turn. Returns whether there is still more.
    pub fn go_on(&mut self, store: &mut Store, context: &mut Context<'_>) -> bool {
        let broken: Vec<_> =
            self.links().filter_map(|(key, link)| link.go_on(context).err().map(|fatal| (key, fatal))).collect();
        for (key, fatal) in broken {
            self.close_broken(key, &fatal, store, context);
        }
        self.links().any(|(_, link)| link.has_unfinished())
    }

    fn links(&mut self) -> impl Iterator<Item = (DeviceKey, &mut Link)> {
        self.entries.iter_mut().filter_map(|(key, entry)| Some((*key, entry.link.as_mut()?)))
    }

    /// The kernel has freed an export.
    pub fn freed(&mut self, export: ExportId, context: &mut Context<'_>) {
        context.accounts.release(export);
        for (_, link) in self.links() {
            if link.freed(export, context) {
                return;
            }
        }
    }

    /// The presentation has let go of a buffer.
    pub fn let_go(&mut self, buffer: BufferId) {
        for (_, link) in self.links() {
            link.let_go(buffer);
        }
    }

    /// A flip is on the display. A flip of a connection that is gone reaches nobody.
    pub fn presented(&mut self, token: FlipToken, context: &mut Context<'_>) {
        if let Some((_, link)) = self.links().find(|(_, link)| link.id() == token.link) {
            link.presented(token, context);
        }
    }

    /// Does what is due: late buffers, held flips, devices that flapped.
    pub fn tick(&mut self, store: &mut Store, context: &mut Context<'_>) {
        let mut due = Vec::new();
        for (key, entry) in &mut self.entries {
            if let Some(link) = &mut entry.link {
                link.tick(context);
            }
            due.push((*key, entry.device.tick(context.now)));
        }
        for (key, actions) in due {
            self.carry_out(key, actions, store, context);
        }
        self.follower.tick(store, context.now);
        self.keyboards.tick(store, context);
    }

    /// When [`Registry::tick`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let sessions = self.entries.values().filter_map(|entry| entry.link.as_ref()?.deadline());
        let devices = self.entries.values().filter_map(|entry| entry.device.deadline());
        sessions.chain(devices).chain(self.follower.deadline()).chain(self.keyboards.deadline()).min()
    }

    /// The connection of the input device that serves a window, by a number that no other connection has, and
    /// what the device takes; `None` when there is none, or it is not connected yet.
    #[must_use]
    pub fn input_connection(&self, window: WindowId) -> Option<(u64, Capabilities)> {
        self.keyboards.connection(&place(&self.entries, window)?)
    }

    /// Hands what the user did to the guest that owns the window, with at most one notify for all of it.
    ///
    /// Positions, also those of touch, are pixels of the window's content as the guest knows it (before any
    /// scaling), from its top left corner; they are mapped into the input device's own space here. What the
    /// device does not take is left out. For one finger all events go to the window that it went down on.
    pub fn input(&mut self, window: WindowId, events: &[Input], context: &mut Context<'_>) {
        let Some(place) = place(&self.entries, window) else { return };
        self.keyboards.input(&place, events, context);
    }

    /// The window lost the focus: all keys, buttons and fingers that its guest holds are released in it.
    /// Nothing is pressed again when the focus comes back.
    pub fn focus_lost(&mut self, window: WindowId, context: &mut Context<'_>) {
        let Some(place) = place(&self.entries, window) else { return };
        self.keyboards.focus_lost(&place, context);
    }

    /// The input devices, for the status.
    #[must_use]
    pub const fn keyboards(&self) -> &Keyboards {
        &self.keyboards
    }

    /// The devices, by domain and number.
    pub fn devices_by_key(&self) -> impl Iterator<Item = (DeviceKey, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    /// Whether all that we wrote to xenstore is there.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.follower.is_settled() && self.keyboards.is_settled()
    }

    /// Lets go of all displays, and leaves the devices waiting for the next backend.
    pub fn shut_down(&mut self, store: &mut Store, context: &mut Context<'_>) {
        let keys: Vec<_> = self.entries.keys().copied().collect();
        for key in keys {
            self.close(key, "the compositor ends", store, context);
        }
        self.keyboards.shut_down(store, context);
    }
}

/// Where a window lies among those of its guest.
fn place(entries: &BTreeMap<DeviceKey, Entry>, window: WindowId) -> Option<Place<'_>> {
    entries.iter().find_map(|(key, entry)| {
        let link = entry.link.as_ref()?;
        let connector = link.windows().position(|other| other == window)?;
        Some(Place { display: *key, connector, areas: link.areas() })
    })
}

impl Entry {
    /// The domain's name, as the toolstack gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What holds for the guest.
    #[must_use]
    pub const fn policy(&self) -> &GuestPolicy {
        &self.policy
    }

    /// How far the handshake is.
    #[must_use]
    pub const fn phase(&self) -> &'static str {
        self.device.phase()
    }

    /// The connected display, if it is connected.
    #[must_use]
    pub const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Says which connectors the kiosk has no place for.
    fn tell_unplaced(&self, key: DeviceKey, connectors: &[ConnectorSetup]) {
        for ConnectorSetup { index, unique_id, .. } in connectors {
            if self.policy.place(key.device, *index, unique_id).is_none() {
                tracing::info!(
                    "guest \"{}\" ({key}): connector {index} {unique_id:?} is in no [[kiosk]] block: it is not shown, \
                     and gets no input",
                    self.name
                );
            }
        }
    }

    /// What is to be read of it.
    fn queries(&self, key: DeviceKey) -> Vec<Query> {
        let mut queries = self.device.queries();
        queries.push(Query::Value(kind_path(key.domid)));
        queries
    }

    fn new(key: DeviceKey, directory: String, (name, uuid): (String, Option<String>), policy: GuestPolicy) -> Self {
        Self {
            device: Device::new(directory, key.domid, policy.limits.clone()),
            name,
            uuid,
            policy,
            kind: None,
            link: None,
            log: super::log_bucket(),
        }
    }
}

/// Where libxl says what kind of guest a domain is.
fn kind_path(domid: DomId) -> String {
    format!("/libxl/{domid}/type")
}

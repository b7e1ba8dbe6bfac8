// SPDX-License-Identifier: GPL-3.0-or-later
//! Follows xenstore: which vdispl devices exist, how far each handshake is, and what is connected.
//!
//! Only our own backend directory is watched as a tree: guests can't write there. Of a frontend's directory
//! only `state` is watched (XSA-349).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::displif::Allocation;
use crate::displif::device::{ConnectorSetup, Device, DeviceAction};
use crate::displif::rate::Bucket;
use crate::displif::session::Fatal;
use crate::displif::wire::Version;
use crate::scene::element::BufferId;
use crate::time::Time;
use crate::xen::grants::ExportId;
use crate::xen::store::{Change, Query, Snapshot, Store, StoreEvent, Ticket};
use crate::xen::{DomId, Port};

use super::link::Link;
use super::policy::{GuestPolicy, PolicyFor};
use super::{Context, DeviceKey, FlipToken, LinkId};

/// The watch token of our backend directory.
const BACKEND_TOKEN: &str = "backend";
/// The watch token for domains that are gone.
const RELEASE_TOKEN: &str = "release";
/// Snapshots of one device a second, and in one go: a guest that flaps its state is slowed down to this.
const STEPS_PER_SECOND: u32 = 50;
const STEPS_AT_ONCE: u32 = 20;

/// Lines a minute that one device's comings and goings may cause in the log.
const LINES_PER_MINUTE: u32 = 30;
const LINES_AT_ONCE: u32 = 10;

/// Why a snapshot was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Our domain's number.
    OwnDomain,
    /// The domains that have displays.
    Domains,
    /// The devices of those domains.
    Devices,
    /// One device.
    Device(DeviceKey),
}

/// One device that the toolstack has configured.
#[derive(Debug)]
pub struct Entry {
    device: Device,
    name: String,
    policy: GuestPolicy,
    alive: bool,
    /// `pv`, `pvh` or `hvm`, as libxl says.
    kind: Option<String>,
    link: Option<Link>,
    reading: bool,
    dirty: bool,
    steps: Bucket,
    log: Bucket,
    watched: Vec<String>,
}

/// All devices.
#[expect(missing_debug_implementations, reason = "holds the policy's closure")]
pub struct Registry {
    base: String,
    entries: BTreeMap<DeviceKey, Entry>,
    policy_for: PolicyFor,
    purposes: BTreeMap<Ticket, Purpose>,
    updates: BTreeMap<Ticket, DeviceKey>,
    next_ticket: u64,
    next_link: u64,
    scanning: bool,
    scan_again: bool,
}

impl Registry {
    /// Begins to follow xenstore.
    #[must_use]
    pub fn new(policy_for: PolicyFor, store: &mut Store) -> Self {
        let mut registry = Self {
            base: String::new(),
            entries: BTreeMap::new(),
            policy_for,
            purposes: BTreeMap::new(),
            updates: BTreeMap::new(),
            next_ticket: 0,
            next_link: 0,
            scanning: false,
            scan_again: false,
        };
        registry.ask(Purpose::OwnDomain, vec![Query::Value("domid".to_owned())], store);
        registry
    }

    fn ask(&mut self, purpose: Purpose, queries: Vec<Query>, store: &mut Store) {
        let ticket = self.ticket();
        self.purposes.insert(ticket, purpose);
        store.snapshot(ticket, queries);
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        Ticket(self.next_ticket)
    }

    /// Takes in one event of xenstore.
    pub fn store_event(&mut self, event: StoreEvent, store: &mut Store, context: &mut Context<'_>) {
        tracing::trace!("xenstore: {event:?}");
        match event {
            StoreEvent::Watch { path, token } => self.watch_fired(&path, &token, store, context.now),
            StoreEvent::Snapshot(ticket, snapshot) => match self.purposes.remove(&ticket) {
                Some(Purpose::OwnDomain) => self.own_domain(&snapshot, store),
                Some(Purpose::Domains) => self.domains(&snapshot, store),
                Some(Purpose::Devices) => self.devices(&snapshot, store, context),
                Some(Purpose::Device(key)) => self.device(key, &snapshot, store, context),
                None => {}
            },
            StoreEvent::Updated(ticket, result) => self.updated(ticket, result),
            StoreEvent::Lost(_) => {}
        }
    }

    fn own_domain(&mut self, snapshot: &Snapshot, store: &mut Store) {
        let domid = snapshot.value("domid").and_then(|value| value.parse::<u16>().ok()).unwrap_or(0);
        self.base = format!("/local/domain/{domid}/backend/vdispl");
        store.watch(&self.base, BACKEND_TOKEN);
        store.watch("@releaseDomain", RELEASE_TOKEN);
    }

    fn watch_fired(&mut self, path: &str, token: &str, store: &mut Store, now: Time) {
        if token == RELEASE_TOKEN {
            let keys: Vec<_> = self.entries.keys().copied().collect();
            for key in keys {
                self.read_device(key, store, now);
            }
            return;
        }
        let key = match token {
            BACKEND_TOKEN => parse_backend_path(&self.base, path),
            other => parse_token(other),
        };
        match key {
            Some(key) if self.entries.contains_key(&key) => self.read_device(key, store, now),
            _ if token == BACKEND_TOKEN => self.scan(store),
            _ => {}
        }
    }

    fn scan(&mut self, store: &mut Store) {
        if self.scanning {
            self.scan_again = true;
            return;
        }
        self.scanning = true;
        self.ask(Purpose::Domains, vec![Query::Children(self.base.clone())], store);
    }

    fn domains(&mut self, snapshot: &Snapshot, store: &mut Store) {
        let mut queries = Vec::new();
        for domain in snapshot.children(&self.base) {
            queries.push(Query::Children(format!("{}/{domain}", self.base)));
            queries.push(Query::Value(format!("/local/domain/{domain}/name")));
        }
        self.ask(Purpose::Devices, queries, store);
    }

    fn devices(&mut self, snapshot: &Snapshot, store: &mut Store, context: &mut Context<'_>) {
        self.scanning = false;
        let mut present = Vec::new();
        for (domain, devices) in &snapshot.children {
            for device in devices {
                present.extend(parse_backend_path(&self.base, &format!("{domain}/{device}")));
            }
        }
        let gone: Vec<_> = self.entries.keys().filter(|key| !present.contains(key)).copied().collect();
        for key in gone {
            self.forget(key, store, context);
        }
        for key in present {
            if !self.entries.contains_key(&key) {
                let name =
                    snapshot.value(&name_path(key.domid)).map_or_else(|| format!("dom{}", key.domid), str::to_owned);
                let policy = (self.policy_for)(&name);
                self.entries.insert(key, Entry::new(key, &self.base, name, policy));
                self.read_device(key, store, context.now);
            }
        }
        if std::mem::take(&mut self.scan_again) {
            self.scan(store);
        }
    }

    fn forget(&mut self, key: DeviceKey, store: &mut Store, context: &mut Context<'_>) {
        let Some(mut entry) = self.entries.remove(&key) else { return };
        if let Some(link) = entry.link.take() {
            link.close(context);
        }
        for path in &entry.watched {
            store.unwatch(path, &token(key));
        }
        tracing::info!("guest \"{}\" ({key}): the display is gone", entry.name);
    }

    fn read_device(&mut self, key: DeviceKey, store: &mut Store, now: Time) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if entry.reading || !entry.steps.take(now) {
            entry.dirty = true;
            return;
        }
        entry.reading = true;
        entry.dirty = false;
        let mut queries = entry.device.queries();
        queries.push(Query::Value(name_path(key.domid)));
        queries.push(Query::Value(kind_path(key.domid)));
        self.ask(Purpose::Device(key), queries, store);
    }

    fn device(&mut self, key: DeviceKey, snapshot: &Snapshot, store: &mut Store, context: &mut Context<'_>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.reading = false;
        let alive = snapshot.value(&name_path(key.domid)).is_some();
        let mut actions = Vec::new();
        if entry.alive && !alive {
            actions = entry.device.domain_gone();
        }
        entry.alive = alive;
        entry.kind = snapshot.value(&kind_path(key.domid)).map(str::to_owned);
        actions.extend(entry.device.observe(snapshot, context.now));
        self.carry_out(key, actions, store, context);
        self.follow_watches(key, store);
        if self.entries.get(&key).is_some_and(|entry| entry.dirty) {
            self.read_device(key, store, context.now);
        }
    }

    fn follow_watches(&mut self, key: DeviceKey, store: &mut Store) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let wanted = entry.device.watches();
        for path in entry.watched.iter().filter(|path| !wanted.contains(path)) {
            store.unwatch(path, &token(key));
        }
        for path in wanted.iter().filter(|path| !entry.watched.contains(path)) {
            store.watch(path, &token(key));
        }
        entry.watched = wanted;
    }

    fn carry_out(&mut self, key: DeviceKey, actions: Vec<DeviceAction>, store: &mut Store, context: &mut Context<'_>) {
        for action in actions {
            tracing::trace!("{key}: {action:?}");
            match action {
                DeviceAction::WriteVersions | DeviceAction::WriteState(_) => self.write(key, &action, store),
                DeviceAction::Connect { version, connectors, be_alloc } => {
                    let allocation = self.allocation(key, be_alloc, context.now);
                    self.connect(key, version, &connectors, allocation, store, context);
                }
                DeviceAction::Disconnect(why) => self.disconnect(key, &why, context),
                DeviceAction::Refused(why) => {
                    if self.may_log(key, context.now) {
                        tracing::warn!("{}: not connected: {why}", self.describe(key));
                    }
                }
                DeviceAction::ReadAgain => self.read_device(key, store, context.now),
                DeviceAction::Removed => self.scan(store),
            }
        }
    }

    /// Whether the device may cause another line in the log.
    fn may_log(&mut self, key: DeviceKey, now: Time) -> bool {
        self.entries.get_mut(&key).is_some_and(|entry| entry.log.take(now))
    }

    fn describe(&self, key: DeviceKey) -> String {
        let name = self.entries.get(&key).map_or("", |entry| entry.name.as_str());
        format!("guest \"{name}\" ({key})")
    }

    fn write(&mut self, key: DeviceKey, action: &DeviceAction, store: &mut Store) {
        let change = self.entries.get(&key).and_then(|entry| entry.device.change(action));
        let ticket = self.ticket();
        if let Some(Change::Write(path, value)) = change {
            // The toolstack may have removed the directory meanwhile: writing would make it anew, for ever.
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let changes = vec![Change::Expect(directory.to_owned()), Change::Write(path, value)];
            self.updates.insert(ticket, key);
            store.update(ticket, changes);
        }
    }

    fn updated(&mut self, ticket: Ticket, result: Result<(), String>) {
        let Some(key) = self.updates.remove(&ticket) else { return };
        if let Err(why) = result {
            // Usual when the domain was destroyed and its directory is gone.
            tracing::debug!("{key}: the device's state can't be written to xenstore: {why}");
        }
    }

    fn connect(
        &mut self,
        key: DeviceKey,
        version: Version,
        connectors: &[ConnectorSetup],
        allocation: Allocation,
        store: &mut Store,
        context: &mut Context<'_>,
    ) {
        self.next_link = self.next_link.wrapping_add(1);
        let id = LinkId(self.next_link);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let result = Link::connect(id, key, &entry.policy, version, connectors, allocation, context);
        let result = result.map(|link| {
            if entry.log.take(context.now) {
                tracing::info!("guest \"{}\" ({key}): connected, {} connectors", entry.name, connectors.len());
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
        let Some((key, link)) = owner else { return };
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
        let waiting: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.dirty && !entry.reading).map(|(key, _)| *key).collect();
        for key in waiting {
            self.read_device(key, store, context.now);
        }
    }

    /// When [`Registry::tick`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let sessions = self.entries.values().filter_map(|entry| entry.link.as_ref()?.deadline());
        let devices = self.entries.values().filter_map(|entry| entry.device.deadline());
        let flapping = self.entries.values().filter(|entry| entry.dirty && !entry.reading);
        sessions.chain(devices).chain(flapping.map(|entry| entry.steps.ready_at())).min()
    }

    /// The devices, by domain and number.
    pub fn devices_by_key(&self) -> impl Iterator<Item = (DeviceKey, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    /// Whether all that we wrote to xenstore is there.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.updates.is_empty()
    }

    /// Lets go of all displays, and leaves the devices waiting for the next backend.
    pub fn shut_down(&mut self, store: &mut Store, context: &mut Context<'_>) {
        let keys: Vec<_> = self.entries.keys().copied().collect();
        for key in keys {
            self.close(key, "the compositor ends", store, context);
        }
    }
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

    fn new(key: DeviceKey, base: &str, name: String, policy: GuestPolicy) -> Self {
        let directory = format!("{base}/{}/{}", key.domid, key.device);
        Self {
            device: Device::new(directory, key.domid, policy.limits.clone()),
            name,
            policy,
            alive: false,
            kind: None,
            link: None,
            reading: false,
            dirty: false,
            steps: Bucket::new(STEPS_PER_SECOND, Duration::from_secs(1), STEPS_AT_ONCE),
            log: Bucket::new(LINES_PER_MINUTE, Duration::from_secs(60), LINES_AT_ONCE),
            watched: Vec::new(),
        }
    }
}

fn name_path(domid: DomId) -> String {
    format!("/local/domain/{domid}/name")
}

/// Where libxl says what kind of guest a domain is.
fn kind_path(domid: DomId) -> String {
    format!("/libxl/{domid}/type")
}

fn token(key: DeviceKey) -> String {
    format!("vdispl/{}/{}", key.domid, key.device)
}

fn parse_token(token: &str) -> Option<DeviceKey> {
    parse_key(token.strip_prefix("vdispl/")?)
}

fn parse_backend_path(base: &str, path: &str) -> Option<DeviceKey> {
    parse_key(path.strip_prefix(base)?.strip_prefix('/')?)
}

fn parse_key(path: &str) -> Option<DeviceKey> {
    let mut parts = path.split('/');
    let domid = DomId(parts.next()?.parse().ok()?);
    let device = parts.next()?.parse().ok()?;
    Some(DeviceKey { domid, device })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/local/domain/0/backend/vdispl";
    const KEY: DeviceKey = DeviceKey { domid: DomId(3), device: 1 };

    #[test]
    fn a_path_below_the_backend_directory_names_its_device() {
        assert_eq!(parse_backend_path(BASE, "/local/domain/0/backend/vdispl/3/1/state"), Some(KEY));
        assert_eq!(parse_backend_path(BASE, "/local/domain/0/backend/vdispl/3/1"), Some(KEY));
        assert_eq!(parse_backend_path(BASE, "/local/domain/0/backend/vdispl/3"), None);
        assert_eq!(parse_backend_path(BASE, "/local/domain/0/backend/vdispl/x/1"), None);
        assert_eq!(parse_backend_path(BASE, BASE), None);
    }

    #[test]
    fn a_token_names_its_device() {
        assert_eq!(parse_token(&token(KEY)), Some(KEY));
        assert_eq!(parse_token(BACKEND_TOKEN), None);
    }
}

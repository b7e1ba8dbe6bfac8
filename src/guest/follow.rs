// SPDX-License-Identifier: GPL-3.0-or-later
//! Follows one kind of device in xenstore: which there are, and what stands in their directories.
//!
//! Only our own backend directory is watched as a tree: guests can't write there. Of a frontend's directory
//! only what the device asks for is watched (XSA-349), and a device is read no faster than a limit allows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::displif::rate::Bucket;
use crate::time::Time;
use crate::xen::DomId;
use crate::xen::store::{Change, Query, Snapshot, Store, StoreEvent, Ticket};

use super::DeviceKey;

/// Snapshots of one device a second, and in one go: a guest that flaps its state is slowed down to this.
const STEPS_PER_SECOND: u32 = 50;
const STEPS_AT_ONCE: u32 = 20;

/// Tickets of one follower, and so of one kind of device.
const TICKETS: u64 = 1 << 48;

/// Why a snapshot was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Our domain's number.
    OwnDomain,
    /// The domains that have devices.
    Domains,
    /// The devices of those domains.
    Devices,
    /// One device.
    Device(DeviceKey),
}

/// What was found out.
#[derive(Debug)]
pub(super) enum Followed {
    /// There is a new device of the domain of that name, with this backend directory. Answer with
    /// [`Follower::follow`].
    Found { key: DeviceKey, directory: String, name: String, uuid: Option<String> },
    /// The device is gone.
    Gone(DeviceKey),
    /// The device was read; `died`: its domain is gone since the last time.
    Read { key: DeviceKey, snapshot: Snapshot, died: bool },
}

#[derive(Debug)]
struct Node {
    queries: Vec<Query>,
    /// What is watched beside its directory.
    watched: Option<String>,
    /// That watch has been set, and its first event, which tells of no change, is still to come.
    fresh: bool,
    /// The domain's name, once it was read.
    name: Option<String>,
    alive: bool,
    reading: bool,
    dirty: bool,
    steps: Bucket,
}

/// All devices of one kind.
#[derive(Debug)]
pub(super) struct Follower {
    kind: &'static str,
    base: String,
    nodes: BTreeMap<DeviceKey, Node>,
    purposes: BTreeMap<Ticket, Purpose>,
    updates: BTreeMap<Ticket, DeviceKey>,
    next_ticket: u64,
    scanning: bool,
    scan_again: bool,
}

impl Follower {
    /// Begins to follow `backend/<kind>`. Each follower of one store has its own `number`.
    pub(super) fn new(kind: &'static str, number: u64, store: &mut Store) -> Self {
        let mut follower = Self {
            kind,
            base: String::new(),
            nodes: BTreeMap::new(),
            purposes: BTreeMap::new(),
            updates: BTreeMap::new(),
            next_ticket: number.wrapping_mul(TICKETS),
            scanning: false,
            scan_again: false,
        };
        follower.ask(Purpose::OwnDomain, vec![Query::Value("domid".to_owned())], store);
        follower
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

    /// Takes in one event of xenstore, if it is for this follower, and says what it means.
    pub(super) fn event(&mut self, event: &StoreEvent, store: &mut Store, now: Time) -> Vec<Followed> {
        match event {
            StoreEvent::Watch { path, token } => self.watch_fired(path, token, store, now),
            StoreEvent::Snapshot(ticket, snapshot) => match self.purposes.remove(ticket) {
                Some(Purpose::OwnDomain) => self.own_domain(snapshot, store),
                Some(Purpose::Domains) => self.domains(snapshot, store),
                Some(Purpose::Devices) => return self.devices(snapshot, store),
                Some(Purpose::Device(key)) => return self.device(key, snapshot, store).into_iter().collect(),
                None => {}
            },
            StoreEvent::Updated(ticket, result) => self.updated(*ticket, result),
            StoreEvent::Lost(_) => {}
        }
        Vec::new()
    }

    fn own_domain(&mut self, snapshot: &Snapshot, store: &mut Store) {
        let domid = snapshot.value("domid").and_then(|value| value.parse::<u16>().ok()).unwrap_or(0);
        self.base = format!("/local/domain/{domid}/backend/{}", self.kind);
        store.watch(&self.base, &self.token("backend"));
        store.watch("@releaseDomain", &self.token("release"));
    }

    fn token(&self, what: &str) -> String {
        format!("{}/{what}", self.kind)
    }

    fn token_of(&self, key: DeviceKey) -> String {
        self.token(&format!("{}/{}", key.domid, key.device))
    }

    fn watch_fired(&mut self, path: &str, token: &str, store: &mut Store, now: Time) {
        let Some(what) = token.strip_prefix(self.kind).and_then(|rest| rest.strip_prefix('/')) else { return };
        let key = match what {
            "release" => {
                let keys: Vec<_> = self.nodes.keys().copied().collect();
                for key in keys {
                    self.read(key, store, now);
                }
                return;
            }
            "backend" => parse_backend_path(&self.base, path),
            other => match parse_key(other) {
                Some(key) if self.nodes.get_mut(&key).is_some_and(|node| std::mem::take(&mut node.fresh)) => return,
                key => key,
            },
        };
        match key {
            Some(key) if self.nodes.contains_key(&key) => self.read(key, store, now),
            _ if what == "backend" => self.scan(store),
            _ => {}
        }
    }

    /// Looks which devices there are.
    pub(super) fn scan(&mut self, store: &mut Store) {
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
            queries.push(Query::Value(format!("/local/domain/{domain}/vm")));
        }
        self.ask(Purpose::Devices, queries, store);
    }

    fn devices(&mut self, snapshot: &Snapshot, store: &mut Store) -> Vec<Followed> {
        self.scanning = false;
        let mut present = Vec::new();
        for (domain, devices) in &snapshot.children {
            for device in devices {
                present.extend(parse_backend_path(&self.base, &format!("{domain}/{device}")));
            }
        }
        let gone: Vec<_> = self.nodes.keys().filter(|key| !present.contains(key)).copied().collect();
        let mut out: Vec<_> = gone.into_iter().filter_map(|key| self.forget(key, store)).collect();
        for key in present {
            if let Entry::Vacant(place) = self.nodes.entry(key) {
                place.insert(Node::new());
                let name = snapshot.value(&name_path(key.domid));
                out.push(Followed::Found {
                    key,
                    directory: format!("{}/{}/{}", self.base, key.domid, key.device),
                    name: name.map_or_else(|| format!("dom{}", key.domid), str::to_owned),
                    uuid: snapshot.value(&vm_path(key.domid)).and_then(uuid_of).map(str::to_owned),
                });
            }
        }
        if std::mem::take(&mut self.scan_again) {
            self.scan(store);
        }
        out
    }

    fn forget(&mut self, key: DeviceKey, store: &mut Store) -> Option<Followed> {
        let node = self.nodes.remove(&key)?;
        if let Some(path) = &node.watched {
            store.unwatch(path, &self.token_of(key));
        }
        Some(Followed::Gone(key))
    }

    /// Says what is to be read of a device, and which path beside its directory tells of changes. Reads it for the first
    /// time, when it was just found; when the path is a new one, the caller has to read it again.
    pub(super) fn follow(
        &mut self,
        key: DeviceKey,
        queries: Vec<Query>,
        watch: Option<String>,
        store: &mut Store,
        now: Time,
    ) {
        let token = self.token_of(key);
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.watched != watch {
            if let Some(path) = &node.watched {
                store.unwatch(path, &token);
            }
            if let Some(path) = &watch {
                store.watch(path, &token);
            }
            node.fresh = watch.is_some();
            node.watched = watch;
        }
        let first = node.queries.is_empty();
        node.queries = queries;
        if first || node.dirty {
            self.read(key, store, now);
        }
    }

    /// Asks for a device's directories again, now or as soon as the limit allows.
    pub(super) fn read(&mut self, key: DeviceKey, store: &mut Store, now: Time) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if node.reading || !node.steps.take(now) {
            node.dirty = true;
            return;
        }
        node.reading = true;
        node.dirty = false;
        let mut queries = node.queries.clone();
        queries.push(Query::Value(name_path(key.domid)));
        self.ask(Purpose::Device(key), queries, store);
    }

    fn device(&mut self, key: DeviceKey, snapshot: &Snapshot, store: &mut Store) -> Option<Followed> {
        let node = self.nodes.get_mut(&key)?;
        node.reading = false;
        let name = snapshot.value(&name_path(key.domid));
        if let (Some(name), Some(known)) = (name, &node.name)
            && name != known
        {
            // The number is another domain's now, or the domain was renamed: what we knew of it holds no more.
            self.scan(store);
            return self.forget(key, store);
        }
        let alive = name.is_some();
        node.name = name.map(str::to_owned).or(node.name.take());
        let died = std::mem::replace(&mut node.alive, alive) && !alive;
        Some(Followed::Read { key, snapshot: snapshot.clone(), died })
    }

    /// Writes into a device's directory, if that is still there: the toolstack may have removed it meanwhile,
    /// and writing would make it anew, for ever.
    pub(super) fn write(&mut self, key: DeviceKey, directory: &str, writes: Vec<Change>, store: &mut Store) {
        let ticket = self.ticket();
        let changes = std::iter::once(Change::Expect(directory.to_owned())).chain(writes).collect();
        self.updates.insert(ticket, key);
        store.update(ticket, changes);
    }

    fn updated(&mut self, ticket: Ticket, result: &Result<(), String>) {
        let Some(key) = self.updates.remove(&ticket) else { return };
        if let Err(why) = result {
            // Usual when the domain was destroyed and its directory is gone.
            let kind = self.kind;
            tracing::debug!("dom {} {kind} {}: xenstore can't be written: {why}", key.domid, key.device);
        }
    }

    /// Whether all that was written is in xenstore.
    pub(super) fn is_settled(&self) -> bool {
        self.updates.is_empty()
    }

    /// Reads the devices whose turn has come.
    pub(super) fn tick(&mut self, store: &mut Store, now: Time) {
        let waiting: Vec<_> = self.waiting().map(|(key, _)| key).collect();
        for key in waiting {
            self.read(key, store, now);
        }
    }

    /// When [`Follower::tick`] has to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.waiting().map(|(_, node)| node.steps.ready_at()).min()
    }

    fn waiting(&self) -> impl Iterator<Item = (DeviceKey, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.dirty && !node.reading).map(|(key, node)| (*key, node))
    }
}

impl Node {
    fn new() -> Self {
        Self {
            queries: Vec::new(),
            watched: None,
            fresh: false,
            name: None,
            alive: false,
            reading: false,
            dirty: false,
            steps: Bucket::new(STEPS_PER_SECOND, Duration::from_secs(1), STEPS_AT_ONCE),
        }
    }
}

fn name_path(domid: DomId) -> String {
    format!("/local/domain/{domid}/name")
}

/// Where the toolstack says which machine a domain is. Guests can read it, and not write it.
fn vm_path(domid: DomId) -> String {
    format!("/local/domain/{domid}/vm")
}

fn uuid_of(vm: &str) -> Option<&str> {
    vm.strip_prefix("/vm/")
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
}

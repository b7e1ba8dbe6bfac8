// SPDX-License-Identifier: GPL-3.0-or-later
//! The xenbus state machine against a model of xenstore, in the sequences that were seen on real Xen, against
//! the nonsense that a guest can write, and against everything at random.

use std::collections::BTreeMap;
use std::time::Duration;

use grantway::displif::device::{CLOSING_PATIENCE, Claims, Device, DeviceAction};
use grantway::displif::limits::Limits;
use grantway::displif::wire::Version;
use grantway::time::Time;
use grantway::xen::DomId;
use grantway::xen::store::{Change, Query, Snapshot};
use proptest::prelude::*;

const BACK: &str = "/local/domain/0/backend/vdispl/3/0";
const FRONT: &str = "/local/domain/3/device/vdispl/0";

/// xenstore, a device, and whoever carries out its actions.
struct Lab {
    store: BTreeMap<String, String>,
    device: Device,
    now: Time,
    /// States that we wrote, in order.
    written: Vec<String>,
    /// Everything else that was asked for, in words.
    told: Vec<String>,
    /// Whether a session exists.
    session: bool,
    connect_fails: bool,
    last_connect: Option<DeviceAction>,
}

impl Lab {
    fn empty() -> Self {
        Self {
            store: BTreeMap::new(),
            device: Device::new(BACK.into(), DomId(3), Limits::default()),
            now: Duration::from_secs(10),
            written: Vec::new(),
            told: Vec::new(),
            session: false,
            connect_fails: false,
            last_connect: None,
        }
    }

    /// As the toolstack leaves it: both ends at 1, two connectors.
    fn fresh() -> Self {
        let mut lab = Self::empty();
        lab.back("frontend", FRONT);
        lab.back("frontend-id", "3");
        lab.back("online", "1");
        lab.back("state", "1");
        lab.front("state", "1");
        lab.front("0/resolution", "800x600");
        lab.front("0/unique-id", "conn-a");
        lab.front("1/resolution", "640x480");
        lab.front("1/unique-id", "conn-b");
        lab
    }

    fn connected() -> Self {
        let mut lab = Self::fresh();
        lab.look();
        lab.publish("3");
        lab.look();
        lab.front("state", "4");
        lab.look();
        assert!(lab.device.is_connected() && lab.session);
        lab.clear();
        lab
    }

    fn clear(&mut self) {
        self.written.clear();
        self.told.clear();
    }

    fn back(&mut self, key: &str, value: &str) {
        self.store.insert(format!("{BACK}/{key}"), value.into());
    }

    fn front(&mut self, key: &str, value: &str) {
        self.store.insert(format!("{FRONT}/{key}"), value.into());
    }

    fn remove(&mut self, path: &str) {
        self.store.retain(|key, _| key != path && !key.starts_with(&format!("{path}/")));
    }

    fn publish(&mut self, state: &str) {
        let keys = ["req-ring-ref", "req-event-channel", "evt-ring-ref", "evt-event-channel"];
        for (n, key) in keys.iter().enumerate() {
            self.front(&format!("0/{key}"), &(100 + n).to_string());
            self.front(&format!("1/{key}"), &(200 + n).to_string());
        }
        self.front("state", state);
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for query in self.device.queries() {
            let Query::Value(path) = query else { panic!("only values are asked for") };
            if let Some(value) = self.store.get(&path) {
                snapshot.values.insert(path, value.clone());
            }
        }
        snapshot
    }

    /// A watch fires.
    fn look(&mut self) {
        let actions = self.device.observe(&self.snapshot(), self.now);
        self.carry_out(actions);
    }

    fn wait(&mut self, by: Duration) {
        self.now += by;
        let actions = self.device.tick(self.now);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<DeviceAction>) {
        let mut fired = false;
        for action in actions {
            if let Some(Change::Write(path, value)) = self.device.half().change(&action) {
                if path.ends_with("/state") {
                    self.written.push(value.clone());
                    self.store.insert(path, value);
                    fired = true;
                } else {
                    self.store.insert(path, value);
                }
                continue;
            }
            match action {
                DeviceAction::Connect(_) => {
                    assert!(!self.session, "connected twice");
                    self.last_connect = Some(action);
                    let result = if self.connect_fails { Err("bad_gref".to_owned()) } else { Ok(()) };
                    self.session = result.is_ok();
                    let actions = self.device.connected(result);
                    self.carry_out(actions);
                }
                DeviceAction::Disconnect(why) => {
                    self.session = false;
                    self.told.push(why);
                }
                DeviceAction::Refused(why) => self.told.push(why),
                DeviceAction::ReadAgain => fired = true,
                DeviceAction::Removed => self.told.push("removed".into()),
                DeviceAction::Write(..) | DeviceAction::WriteState(_) | DeviceAction::ResetFrontend => {
                    unreachable!("carried out above")
                }
            }
        }
        if fired {
            // Our own write fires our own watch, after all is done.
            self.look();
        }
    }

    fn state(&self) -> &str {
        &self.store[&format!("{BACK}/state")]
    }
}

#[test]
fn a_device_comes_up() {
    let mut lab = Lab::fresh();
    assert_eq!(lab.device.half().watch(), None);
    lab.look();
    assert_eq!(lab.device.half().watch(), Some(format!("{FRONT}/state")));
    assert_eq!(lab.store[&format!("{BACK}/versions")], "1,2");
    assert_eq!(lab.written, ["2"]);
    lab.publish("3");
    lab.look();
    assert_eq!(lab.written, ["2", "4"]);
    let Some(DeviceAction::Connect(Claims { version, connectors, be_alloc })) = &lab.last_connect else { panic!() };
    assert_eq!((*version, connectors.len(), *be_alloc), (Version::V1, 2, false));
    assert_eq!((connectors[1].index, connectors[1].width, connectors[1].height), (1, 640, 480));
    assert_eq!((connectors[1].unique_id.as_str(), connectors[1].events.page.0), ("conn-b", 202));
    lab.front("state", "4");
    lab.look();
    lab.look();
    assert_eq!((lab.written.len(), lab.told.len()), (2, 0), "nothing more to do");
}

#[test]
fn only_a_1_asks_for_memory_of_ours() {
    for (value, wanted) in [("1", true), ("0", false), ("", false), ("yes", false), ("11", false)] {
        let mut lab = Lab::fresh();
        lab.front("be-alloc", value);
        lab.look();
        lab.publish("3");
        lab.look();
        let Some(DeviceAction::Connect(Claims { be_alloc, .. })) = &lab.last_connect else { panic!("{value:?}") };
        assert_eq!(*be_alloc, wanted, "{value:?}");
    }
}

#[test]
fn the_backend_directory_may_appear_in_steps() {
    let full = Lab::fresh();
    let mut lab = Lab::empty();
    let mut written_before = Vec::new();
    // The most hostile order: our own keys one by one.
    for (path, value) in &full.store {
        lab.store.insert(path.clone(), value.clone());
        lab.look();
        if lab.store.contains_key(&format!("{BACK}/state")) {
            continue;
        }
        written_before.extend(lab.written.clone());
    }
    assert!(written_before.is_empty());
    assert_eq!(lab.state(), "2");
    assert!(lab.told.is_empty(), "{:?}", lab.told);
}

#[test]
fn a_frontend_may_say_4_at_once() {
    let mut lab = Lab::fresh();
    lab.look();
    lab.publish("4");
    lab.look();
    assert_eq!(lab.written, ["2", "4"]);
}

#[test]
fn a_failed_mapping_is_tried_again_at_the_next_change() {
    let mut lab = Lab::fresh();
    lab.look();
    lab.connect_fails = true;
    lab.publish("3");
    for _ in 0..5 {
        lab.look();
    }
    assert_eq!((lab.state(), lab.told.as_slice()), ("2", ["bad_gref".to_owned()].as_slice()), "told once");
    lab.connect_fails = false;
    lab.look();
    assert_eq!(lab.state(), "4");
}

#[test]
fn power_off() {
    let mut lab = Lab::connected();
    lab.front("state", "5");
    lab.look();
    assert!(!lab.session);
    assert_eq!(lab.written, ["5"], "a direct 6 costs the guest 5 s");
    lab.wait(Duration::from_millis(300));
    lab.front("state", "6");
    lab.look();
    assert_eq!(lab.written, ["5", "6"]);
    lab.wait(Duration::from_secs(5));
    assert_eq!(lab.written, ["5", "6"]);
}

#[test]
fn module_removed_and_loaded_again() {
    let mut lab = Lab::connected();
    lab.front("state", "5");
    lab.look();
    let deadline = lab.device.deadline().unwrap();
    assert_eq!(deadline, lab.now + CLOSING_PATIENCE);
    lab.wait(CLOSING_PATIENCE / 2);
    assert_eq!(lab.written, ["5"]);
    lab.wait(CLOSING_PATIENCE / 2);
    assert_eq!(lab.written, ["5", "2"], "rmmod polls for 2, for 1 s");
    lab.front("state", "6");
    lab.look();
    assert_eq!(lab.state(), "2");
    lab.front("state", "1");
    lab.look();
    lab.publish("3");
    lab.look();
    assert_eq!(lab.written, ["5", "2", "4"]);
    assert!(lab.session);
}

#[test]
fn module_removed_while_closed() {
    let mut lab = Lab::connected();
    let actions = lab.device.fault("nonsense in the ring");
    lab.carry_out(actions);
    assert_eq!(lab.written, ["6"]);
    lab.front("state", "5");
    lab.look();
    assert_eq!(lab.state(), "2");
}

#[test]
fn a_guest_that_starts_anew_without_a_word() {
    let mut lab = Lab::connected();
    lab.front("state", "1");
    lab.look();
    assert_eq!((lab.written.as_slice(), lab.session), (["2".to_owned()].as_slice(), false));
    lab.publish("3");
    lab.look();
    assert!(lab.session);
}

#[test]
fn a_destroyed_domain() {
    let mut lab = Lab::connected();
    lab.remove(FRONT);
    lab.look();
    assert_eq!((lab.written.as_slice(), lab.session), (["6".to_owned()].as_slice(), false));
    lab.back("online", "0");
    lab.back("state", "5");
    lab.look();
    assert_eq!(lab.state(), "6");
    lab.remove(BACK);
    lab.look();
    assert_eq!(lab.told.last().map(String::as_str), Some("removed"));
    lab.look();
    lab.wait(Duration::from_secs(10));
    assert!(lab.store.is_empty(), "nothing is written into a directory that is gone");
}

#[test]
fn a_domain_that_is_gone_before_its_directories() {
    let mut lab = Lab::connected();
    let actions = lab.device.domain_gone();
    lab.carry_out(actions);
    assert_eq!((lab.written.as_slice(), lab.session), (["6".to_owned()].as_slice(), false));
    lab.publish("3");
    lab.look();
    assert!(!lab.session && lab.state() == "6", "its number may belong to another domain now");
    lab.remove(BACK);
    lab.look();
    lab.store = Lab::fresh().store;
    lab.look();
    lab.publish("3");
    lab.look();
    assert!(lab.session, "another domain of the same number has its own device");
}

#[test]
fn a_device_that_is_detached() {
    let mut lab = Lab::connected();
    lab.back("online", "0");
    lab.back("state", "5");
    lab.look();
    assert_eq!((lab.written.as_slice(), lab.session), (["6".to_owned()].as_slice(), false));
    lab.front("state", "1");
    lab.look();
    assert_eq!(lab.state(), "6", "not online: it is over");
}

#[test]
fn a_device_that_is_made_anew_between_two_looks() {
    let mut lab = Lab::connected();
    let fresh = Lab::fresh();
    lab.store = fresh.store;
    lab.look();
    assert_eq!((lab.state(), lab.session), ("2", false));
}

#[test]
fn states_that_a_predecessor_left_behind() {
    // (ours, the frontend's, what we write at first, what after the frontend went to 1)
    let cases: [(&str, &str, &[&str]); 8] = [
        ("4", "4", &["6", "2"]),
        ("4", "3", &["6", "2"]),
        ("5", "4", &["6", "2"]),
        ("4", "5", &["5", "2"]),
        ("4", "6", &["6", "2"]),
        ("6", "7", &["6", "2"]),
        ("4", "1", &["2"]),
        ("6", "1", &["2"]),
    ];
    for (own, frontend, expected) in cases {
        let mut lab = Lab::fresh();
        lab.back("state", own);
        lab.publish(frontend);
        lab.look();
        assert!(!lab.session, "{own}/{frontend}");
        lab.front("state", "1");
        lab.look();
        assert_eq!(lab.written, expected, "{own}/{frontend}");
        lab.publish("3");
        lab.look();
        assert!(lab.session, "{own}/{frontend}");
    }
    // It had not connected yet: the pages are fresh.
    let mut lab = Lab::fresh();
    lab.back("state", "2");
    lab.publish("3");
    lab.look();
    assert!(lab.session);
}

#[test]
fn a_frontend_that_goes_astray_while_connected() {
    for state in ["0", "2", "3", "7", "8", "9", "-1", "foo", ""] {
        let mut lab = Lab::connected();
        lab.front("state", state);
        lab.look();
        assert_eq!((lab.state(), lab.session), ("6", false), "{state:?}");
        lab.front("state", "1");
        lab.look();
        assert_eq!(lab.state(), "2", "{state:?}");
    }
}

#[test]
fn what_a_hostile_frontend_claims_is_refused_with_a_reason() {
    let long = "x".repeat(1024);
    let cases: &[(&str, Option<&str>, &str)] = &[
        ("0/resolution", Some(""), "resolution"),
        ("0/resolution", Some("x"), "resolution"),
        ("0/resolution", Some("0x0"), "resolution"),
        ("0/resolution", Some("-1x5"), "resolution"),
        ("0/resolution", Some("99999999999x1"), "resolution"),
        ("0/resolution", Some("1x1x1"), "resolution"),
        ("0/resolution", Some("8193x1"), "resolution"),
        ("0/resolution", Some("800X600"), "resolution"),
        ("0/resolution", Some("\u{1}\u{2}x\u{3}"), "resolution"),
        ("0/resolution", Some(&long), "resolution"),
        ("0/resolution", None, "resolution"),
        ("0/req-ring-ref", None, "req-ring-ref"),
        ("0/req-ring-ref", Some("0"), "req-ring-ref"),
        ("0/req-ring-ref", Some("4294967296"), "req-ring-ref"),
        ("0/req-event-channel", Some("seven"), "req-event-channel"),
        ("0/req-event-channel", Some("0"), "req-event-channel"),
        ("1/evt-ring-ref", Some("100"), "named twice"),
        ("1/evt-event-channel", Some("101"), "named twice"),
        ("0/evt-ring-ref", Some("100"), "named twice"),
        ("0/unique-id", Some(&long), "unique-id"),
        ("0/unique-id", Some("a\nb"), "unique-id"),
        ("3/resolution", Some("640x480"), "connector 3"),
        ("version", Some("3"), "version"),
        ("version", Some("1,2"), "version"),
        ("version", Some(""), "version"),
    ];
    for (key, value, reason) in cases {
        let mut lab = Lab::fresh();
        lab.look();
        lab.publish("3");
        match value {
            Some(value) => lab.front(key, value),
            None => lab.remove(&format!("{FRONT}/{key}")),
        }
        lab.look();
        lab.look();
        assert_eq!((lab.state(), lab.session), ("2", false), "{key} = {value:?}");
        assert_eq!(lab.told.len(), 1, "{key} = {value:?}: {:?}", lab.told);
        assert!(lab.told[0].contains(reason), "{key} = {value:?}: {}", lab.told[0]);
        assert!(lab.told[0].len() < 256 && lab.told[0].is_ascii(), "{:?}", lab.told[0]);
        // Once it is put right, it connects.
        let right = Lab::fresh();
        lab.store = right.store;
        lab.back("state", "2");
        lab.publish("3");
        lab.look();
        assert!(lab.session, "{key} = {value:?}");
    }
}

#[test]
fn too_many_connectors_are_refused_without_reading_them_all() {
    let mut lab = Lab::fresh();
    for n in 0..1000 {
        lab.front(&format!("{n}/resolution"), "64x64");
    }
    lab.look();
    assert!(lab.device.queries().len() < 50);
    lab.publish("3");
    lab.look();
    assert!(lab.told[0].contains("more than 4 connectors"), "{:?}", lab.told);
}

/// What a snapshot reads of a connector's directory.
fn keys_of(lab: &Lab, connector: usize) -> usize {
    let prefix = format!("{FRONT}/{connector}/");
    let asked = |query: &Query| matches!(query, Query::Value(path) if path.starts_with(&prefix));
    lab.device.queries().iter().filter(|query| asked(query)).count()
}

#[test]
fn of_a_connector_that_is_absent_only_one_key_is_read() {
    let mut lab = Lab::fresh();
    lab.look();
    assert_eq!([0, 1, 2, 3, 4].map(|connector| keys_of(&lab, connector)), [6, 6, 1, 1, 1]);
}

#[test]
fn a_connector_that_comes_later_is_read_before_anything_is_done() {
    let mut lab = Lab::fresh();
    lab.look();
    lab.front("2/resolution", "64x64");
    lab.front("2/unique-id", "conn-c");
    lab.publish("3");
    for (n, key) in ["req-ring-ref", "req-event-channel", "evt-ring-ref", "evt-event-channel"].iter().enumerate() {
        lab.front(&format!("2/{key}"), &(300 + n).to_string());
    }
    lab.look();
    assert!(lab.told.is_empty(), "{:?}", lab.told);
    let Some(DeviceAction::Connect(claims)) = &lab.last_connect else { panic!("not connected") };
    assert_eq!(claims.connectors.len(), 3);
    // The toolstack's next device of that path may have any number again.
    lab.store.clear();
    lab.look();
    assert_eq!(keys_of(&lab, 0), 0, "the frontend is not known");
    lab.store = Lab::fresh().store;
    lab.look();
    assert_eq!([1, 2].map(|connector| keys_of(&lab, connector)), [6, 1]);
}

#[test]
fn a_backend_directory_that_names_another_domain_is_refused() {
    for (key, value) in [("frontend-id", "4"), ("frontend", "/local/domain/4/device/vdispl/0"), ("frontend-id", "x")] {
        let mut lab = Lab::fresh();
        lab.back(key, value);
        lab.look();
        assert_eq!((lab.written.len(), lab.told.len()), (0, 1), "{key}: {:?}", lab.told);
    }
}

#[test]
fn version_2_is_negotiated() {
    let mut lab = Lab::fresh();
    lab.look();
    lab.front("version", "2");
    lab.publish("3");
    lab.look();
    assert!(matches!(lab.last_connect, Some(DeviceAction::Connect(Claims { version: Version::V2, .. }))));
}

#[derive(Clone, Debug)]
enum Op {
    Front(&'static str),
    Back(&'static str),
    Online(bool),
    Publish,
    Spoil(&'static str, &'static str),
    RemoveFront,
    RemoveBack,
    Renew,
    ConnectFails(bool),
    Fault,
    Wait(u64),
    Look,
    StaleLook,
}

fn op() -> impl Strategy<Value = Op> {
    let states = prop::sample::select(vec!["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "foo"]);
    let keys = prop::sample::select(vec!["0/resolution", "0/req-ring-ref", "1/resolution", "version", "7/x"]);
    let values = prop::sample::select(vec!["", "1", "2", "800x600", "\u{0}", "0x0"]);
    prop_oneof![
        8 => states.clone().prop_map(Op::Front),
        1 => states.prop_map(Op::Back),
        1 => any::<bool>().prop_map(Op::Online),
        4 => Just(Op::Publish),
        2 => (keys, values).prop_map(|(key, value)| Op::Spoil(key, value)),
        1 => Just(Op::RemoveFront),
        1 => Just(Op::RemoveBack),
        1 => Just(Op::Renew),
        1 => any::<bool>().prop_map(Op::ConnectFails),
        1 => Just(Op::Fault),
        2 => (0..1000_u64).prop_map(Op::Wait),
        8 => Just(Op::Look),
        2 => Just(Op::StaleLook),
    ]
}

impl Lab {
    fn apply(&mut self, op: &Op, stale: &mut Snapshot) {
        match op {
            Op::Front(state) => self.front("state", state),
            Op::Back(state) => self.back("state", state),
            Op::Online(online) => self.back("online", if *online { "1" } else { "0" }),
            Op::Publish => self.publish("3"),
            Op::Spoil(key, value) => self.front(key, value),
            Op::RemoveFront => self.remove(FRONT),
            Op::RemoveBack => self.remove(BACK),
            Op::Renew => self.store = Self::fresh().store,
            Op::ConnectFails(fails) => self.connect_fails = *fails,
            Op::Fault => {
                let actions = self.device.fault("nonsense in the ring");
                self.carry_out(actions);
            }
            Op::Wait(ms) => self.wait(Duration::from_millis(*ms)),
            Op::Look => {
                *stale = self.snapshot();
                self.look();
            }
            Op::StaleLook => {
                let actions = self.device.observe(stale, self.now);
                self.carry_out(actions);
            }
        }
        assert_eq!(self.device.is_connected(), self.session, "{op:?}");
    }

    /// A toolstack that puts right what it owns, and a Linux frontend that answers what it sees, until they are
    /// connected.
    fn settle(&mut self) {
        self.connect_fails = false;
        self.remove(FRONT);
        let own = self.store.remove(&format!("{BACK}/state"));
        self.store.extend(Self::fresh().store);
        if let Some(own) = own {
            self.back("state", &own);
        }
        for _ in 0..20 {
            self.look();
            let front = self.store.get(&format!("{FRONT}/state")).map(String::as_str);
            match (front, self.state()) {
                (Some("1"), "2") => self.publish("3"),
                (Some("3"), "4") => self.front("state", "4"),
                (Some("4"), "4") if self.session => return,
                (_, "5") => self.front("state", "6"),
                _ => self.front("state", "1"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened, a sane toolstack and a sane guest get a connection at the end.
    #[test]
    fn the_machine_always_converges(ops in prop::collection::vec(op(), 0..60)) {
        let mut lab = Lab::fresh();
        let mut stale = Snapshot::default();
        for op in &ops {
            lab.apply(op, &mut stale);
        }
        lab.settle();
        prop_assert!(lab.session, "{:?} with {:?}", lab.device, lab.store);
        prop_assert_eq!(lab.state(), "4");
    }

    /// No text in the frontend's directory does more than being refused.
    #[test]
    fn any_text_is_borne(key in 0..9_usize, value in "\\PC{0,40}|[0-9x]{0,24}") {
        let keys = ["state", "version", "0/resolution", "0/unique-id", "0/req-ring-ref", "0/req-event-channel",
            "1/evt-ring-ref", "1/evt-event-channel", "1/resolution"];
        let mut lab = Lab::fresh();
        lab.look();
        lab.publish("3");
        lab.front(keys[key], &value);
        lab.look();
        prop_assert!(lab.told.iter().all(|line| line.len() < 512 && line.is_ascii()));
    }
}

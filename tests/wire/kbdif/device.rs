// SPDX-License-Identifier: GPL-3.0-or-later
//! The handshake of an input device, as Linux's frontend, libxl and dying domains lead it.

use std::time::Duration;

use grantway::kbdif::device::{CLOSING_PATIENCE, Device, DeviceAction, LONGEST_RETRY, RESETS, RETRY, SILENCE, Setup};
use grantway::kbdif::limits::Limits;
use grantway::time::Time;
use grantway::xen::store::{Change, Query, Snapshot};
use grantway::xen::xenbus::XenbusState;
use grantway::xen::{DomId, GrantRef, Port};

const BACK: &str = "/local/domain/0/backend/vinput/3/0";
const FRONT: &str = "/local/domain/3/device/vkbd/0";

struct Fixture {
    device: Device,
    store: Snapshot,
    now: Time,
    /// Whether the page can be mapped.
    mappable: bool,
    /// Whether the frontend's directory can be written.
    writes_frontend: bool,
    connected: Option<Setup>,
    /// All actions but those that only read.
    log: Vec<DeviceAction>,
}

impl Fixture {
    fn new() -> Self {
        let device = Device::new(BACK.to_owned(), DomId(3), Limits::default());
        let now = Duration::from_secs(1000);
        let (store, log) = (Snapshot::default(), Vec::new());
        let mut it = Self { device, store, now, mappable: true, writes_frontend: true, connected: None, log };
        for (key, value) in [("frontend", FRONT), ("frontend-id", "3"), ("online", "1"), ("state", "1")] {
            it.back(key, value);
        }
        it
    }

    /// A frontend that has published and said Initialised, as Linux does without waiting.
    fn published() -> Self {
        let mut it = Self::new();
        it.publish(8, 5);
        it.front("state", "3");
        it
    }

    fn publish(&mut self, page: u32, port: u32) {
        self.front("page-ref", "123456");
        self.front("page-gref", &page.to_string());
        self.front("event-channel", &port.to_string());
    }

    fn back(&mut self, key: &str, value: &str) {
        self.store.values.insert(format!("{BACK}/{key}"), value.to_owned());
    }

    fn front(&mut self, key: &str, value: &str) {
        self.store.values.insert(format!("{FRONT}/{key}"), value.to_owned());
    }

    fn own(&self) -> &str {
        self.store.value(&format!("{BACK}/state")).unwrap_or("none")
    }

    /// Something has changed: reads and acts until nothing more is to be done.
    fn look(&mut self) {
        let queries = self.device.queries();
        let mut seen = Snapshot::default();
        for query in queries {
            if let Query::Value(path) = query
                && let Some(value) = self.store.value(&path)
            {
                seen.values.insert(path.clone(), value.to_owned());
            }
        }
        let actions = self.device.observe(&seen, self.now);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<DeviceAction>) {
        for action in actions {
            if let Some(Change::Write(path, value)) = self.device.half().change(&action)
                && (self.writes_frontend || path.starts_with(BACK))
            {
                self.store.values.insert(path, value);
            }
            match &action {
                DeviceAction::Connect(setup) => {
                    let result = if self.mappable { Ok(()) } else { Err("bad_gref".to_owned()) };
                    self.connected = self.mappable.then_some(*setup);
                    let more = self.device.connected(result, self.now);
                    self.carry_out(more);
                }
                DeviceAction::Disconnect(_) => self.connected = None,
                DeviceAction::ReadAgain => self.look(),
                DeviceAction::Write(..)
                | DeviceAction::WriteState(_)
                | DeviceAction::ResetFrontend
                | DeviceAction::Refused(_)
                | DeviceAction::Removed => {}
            }
            self.log.push(action);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let actions = self.device.tick(self.now);
        self.carry_out(actions);
    }

    fn set_front(&mut self, state: XenbusState) {
        self.front("state", state.as_str());
        self.look();
    }

    fn refusals(&self) -> usize {
        self.log.iter().filter(|action| matches!(action, DeviceAction::Refused(_))).count()
    }
}

#[test]
fn a_frontend_at_3_or_at_4_is_connected() {
    for state in ["3", "4"] {
        let mut it = Fixture::published();
        it.front("state", state);
        it.look();
        assert_eq!(it.own(), "4");
        let setup = it.connected.unwrap();
        assert_eq!((setup.page, setup.port), (GrantRef(8), Port(5)));
        it.set_front(XenbusState::Connected);
        assert!(it.connected.is_some());
    }
}

#[test]
fn a_guest_that_is_not_there_yet_is_waited_for_and_its_features_are_unread() {
    let mut it = Fixture::new();
    it.look();
    assert!(it.device.is_unread());
    it.front("state", "1");
    it.look();
    assert_eq!(it.own(), "2");
    assert!(it.device.is_unread());
    it.publish(8, 5);
    it.set_front(XenbusState::Initialised);
    assert!(!it.device.is_unread());
    assert_eq!(it.own(), "4");
}

#[test]
fn an_incomplete_directory_is_waited_for() {
    let mut it = Fixture::published();
    it.store.values.remove(&format!("{BACK}/frontend"));
    it.look();
    assert_eq!(it.own(), "1");
    it.back("frontend", FRONT);
    it.look();
    assert_eq!(it.own(), "4");
}

#[test]
fn a_page_that_cannot_be_mapped_is_tried_again_ever_less_often_with_one_line() {
    let mut it = Fixture::published();
    it.front("state", "4");
    it.mappable = false;
    it.look();
    assert_eq!(it.own(), "2");
    let mut waits = Vec::new();
    for _ in 0..10 {
        let deadline = it.device.deadline().expect("a retry");
        waits.push(deadline - it.now);
        it.wait(deadline - it.now);
    }
    assert_eq!(waits[0], RETRY);
    assert_eq!(waits[9], LONGEST_RETRY);
    assert_eq!(it.refusals(), 1);
    it.mappable = true;
    it.wait(LONGEST_RETRY);
    assert!(it.connected.is_some());
    assert_eq!(it.device.deadline(), None);
}

#[test]
fn a_frontend_that_lost_its_device_while_it_booted_is_asked_to_begin_anew() {
    let mut it = Fixture::published();
    it.mappable = false;
    it.look();
    // Its page and port may be another device's by now.
    it.mappable = true;
    it.look();
    assert_eq!(it.connected, None);
    it.wait(RETRY);
    assert_eq!((it.store.value(&format!("{FRONT}/state")), it.own()), (Some("1"), "2"));
    it.look();
    assert_eq!(it.connected, None);
    // Linux's free lists give the same numbers again.
    it.front("state", "3");
    it.look();
    assert!(it.connected.is_some());
    assert_eq!(it.refusals(), 1);
}

#[test]
fn a_frontend_that_lost_its_device_after_we_had_mapped_its_page_is_asked_to_begin_anew() {
    let mut it = Fixture::published();
    it.look();
    assert!(it.connected.is_some());
    it.wait(SILENCE - Duration::from_millis(1));
    assert!(it.connected.is_some());
    it.wait(Duration::from_millis(1));
    assert_eq!(it.connected, None);
    assert_eq!((it.store.value(&format!("{FRONT}/state")), it.own()), (Some("1"), "2"));
    it.look();
    assert_eq!(it.connected, None);
    // Linux's free lists give the same numbers again.
    it.set_front(XenbusState::Initialised);
    assert_eq!(it.connected.map(|setup| setup.port), Some(Port(5)));
    it.set_front(XenbusState::Connected);
    assert_eq!((it.own(), it.device.deadline()), ("4", None));
}

#[test]
fn in_a_driver_domain_what_was_lost_is_left_alone() {
    let mut it = Fixture::published();
    it.writes_frontend = false;
    it.look();
    it.wait(SILENCE);
    // The numbers may be another device's by now.
    it.look();
    assert_eq!((it.connected, it.own()), (None, "2"));
    while let Some(deadline) = it.device.deadline() {
        it.wait(deadline - it.now);
        assert_eq!((it.connected, it.own()), (None, "2"));
    }
    it.publish(9, 6);
    it.look();
    assert_eq!(it.connected.map(|setup| setup.port), Some(Port(6)));
}

#[test]
fn a_slow_frontend_that_lost_nothing_goes_on_with_its_page() {
    let mut it = Fixture::published();
    it.look();
    it.wait(SILENCE);
    assert_eq!(it.connected, None);
    // An older Linux does not look at its own state, and answers InitWait.
    it.set_front(XenbusState::Connected);
    assert_eq!(it.connected.map(|setup| setup.port), Some(Port(5)));
    assert_eq!((it.own(), it.device.deadline()), ("4", None));
}

#[test]
fn one_that_stays_at_3_is_asked_some_times_and_then_kept() {
    let mut it = Fixture::published();
    it.look();
    let mut waits = Vec::new();
    while let Some(deadline) = it.device.deadline() {
        waits.push(deadline - it.now);
        it.wait(deadline - it.now);
        it.set_front(XenbusState::Initialised);
    }
    assert_eq!(waits, [SILENCE, SILENCE * 2, SILENCE * 4]);
    assert_eq!(waits.len(), usize::from(RESETS));
    assert!(it.connected.is_some());
}

#[test]
fn one_that_never_has_a_page_is_asked_some_times_and_then_left_alone() {
    let mut it = Fixture::published();
    it.mappable = false;
    it.look();
    let mut resets = 0;
    while let Some(deadline) = it.device.deadline() {
        it.wait(deadline - it.now);
        if it.store.value(&format!("{FRONT}/state")) == Some("1") {
            resets += 1;
            it.front("state", "3");
            it.look();
        }
    }
    assert_eq!(resets, RESETS);
    it.mappable = true;
    it.look();
    assert_eq!(it.connected, None);
    it.publish(9, 6);
    it.look();
    assert!(it.connected.is_some(), "what is published anew is no longer what was revoked");
}

#[test]
fn claims_that_make_no_sense_are_refused_and_page_ref_is_no_claim() {
    for (key, value) in [("page-gref", "0"), ("page-gref", "-1"), ("event-channel", "0"), ("event-channel", "foo")] {
        let mut it = Fixture::published();
        it.front(key, value);
        it.look();
        it.look();
        assert_eq!((it.own(), it.refusals()), ("2", 1), "{key}={value}");
    }
    let mut it = Fixture::published();
    it.store.values.remove(&format!("{FRONT}/page-gref"));
    it.look();
    assert_eq!(it.connected, None);
}

#[test]
fn what_is_asked_for_counts_until_the_frontend_is_connected_and_not_after() {
    let mut it = Fixture::published();
    it.back("feature-abs-pointer", "1");
    it.look();
    assert!(it.connected.unwrap().capabilities.relative);
    // An older Linux asks when it has seen InitWait.
    it.front("request-abs-pointer", "1");
    it.set_front(XenbusState::Connected);
    assert_eq!(it.connected.unwrap().capabilities.absolute, Some((800, 600)));
    it.set_front(XenbusState::Connected);
    let lines = it.log.len();
    it.front("request-abs-pointer", "0");
    it.look();
    assert_eq!(it.log.len(), lines);
}

#[test]
fn a_frontend_that_publishes_anew_is_connected_anew() {
    let mut it = Fixture::published();
    it.look();
    it.set_front(XenbusState::Connected);
    it.publish(9, 6);
    it.set_front(XenbusState::Initialised);
    assert_eq!(it.connected.unwrap().page, GrantRef(9));
    it.set_front(XenbusState::Initialising);
    assert_eq!((it.connected, it.own()), (None, "2"));
    it.set_front(XenbusState::Initialised);
    assert!(it.connected.is_some());
}

#[test]
fn poweroff_and_rmmod_are_answered_as_they_want_it() {
    let mut it = Fixture::published();
    it.look();
    it.set_front(XenbusState::Closing);
    assert_eq!((it.connected, it.own()), (None, "5"));
    it.set_front(XenbusState::Closed);
    assert_eq!(it.own(), "6");
    it.set_front(XenbusState::Initialised);
    assert!(it.connected.is_some(), "a module that comes back");
    it.set_front(XenbusState::Closing);
    it.wait(CLOSING_PATIENCE);
    assert_eq!(it.own(), "2");
}

#[test]
fn a_device_of_a_predecessor_is_taken_over() {
    let it = Fixture::published();
    assert!(!it.device.is_unread(), "nobody has looked yet");
    for (own, front) in [("4", "4"), ("2", "4"), ("4", "3"), ("6", "6"), ("6", "3")] {
        let mut it = Fixture::published();
        it.back("state", own);
        it.front("state", front);
        it.look();
        if front == "6" {
            // Linux goes on with its old page when it sees InitWait.
            assert_eq!(it.own(), "2");
            it.set_front(XenbusState::Connected);
        }
        assert!(it.connected.is_some(), "{own}/{front}");
        assert!(!it.log.contains(&DeviceAction::WriteState(XenbusState::Closed)));
    }
}

#[test]
fn at_the_end_the_device_is_left_waiting_and_not_closed() {
    let mut it = Fixture::published();
    it.look();
    let actions = it.device.retire();
    it.carry_out(actions);
    it.look();
    assert_eq!((it.connected, it.own()), (None, "2"));
}

#[test]
fn a_domain_that_dies_and_a_device_that_is_removed_are_let_go() {
    let mut it = Fixture::published();
    it.look();
    let actions = it.device.domain_gone();
    it.carry_out(actions);
    assert_eq!((it.connected, it.own()), (None, "6"));
    let mut it = Fixture::published();
    it.look();
    it.store.values.clear();
    it.look();
    assert_eq!(it.connected, None);
    assert!(it.log.contains(&DeviceAction::Removed));
    assert_eq!(it.own(), "none", "nothing is made anew");
}

#[test]
fn the_toolstack_is_obeyed() {
    let mut it = Fixture::published();
    it.look();
    it.back("online", "0");
    it.look();
    assert_eq!((it.connected, it.own()), (None, "6"));
    it.look();
    assert_eq!(it.own(), "6");
}

#[test]
fn states_that_there_are_not_end_the_connection_and_no_more() {
    for state in ["9", "-1", "foo", "", "7", "8", "0", "2"] {
        let mut it = Fixture::published();
        it.look();
        it.front("state", state);
        it.look();
        assert_eq!(it.connected, None, "{state}");
        it.set_front(XenbusState::Initialised);
        assert!(it.connected.is_some(), "{state}");
    }
}

#[test]
fn what_a_guest_asks_for_in_vain_is_known() {
    let mut it = Fixture::published();
    for (key, value) in [("feature-abs-pointer", "1"), ("width", "640"), ("height", "480")] {
        it.back(key, value);
    }
    for (key, value) in [("request-abs-pointer", "1"), ("request-raw-pointer", "1"), ("request-multi-touch", "-1")] {
        it.front(key, value);
    }
    it.look();
    let capabilities = it.connected.unwrap().capabilities;
    assert_eq!((capabilities.absolute, capabilities.raw_pointer), (Some((640, 480)), false));
    assert_eq!(it.device.impossible(), ["request-raw-pointer", "request-multi-touch"]);
    for key in ["request-raw-pointer", "request-multi-touch"] {
        it.front(key, "0");
    }
    it.look();
    assert!(it.device.impossible().is_empty());
    assert!(it.connected.is_some());
}

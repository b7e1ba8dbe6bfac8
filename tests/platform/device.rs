// SPDX-License-Identifier: GPL-3.0-or-later
//! The xenstore client over the kernel's device, which is less patient than xenstored's socket.

use grantway::sim::Hypervisor;
use grantway::xen::store::{Change, Query, Store, StoreEvent, Ticket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A client of a simulated hypervisor's xenstored.
struct Client {
    store: Store,
    stuck: std::rc::Rc<std::cell::Cell<bool>>,
    hypervisor: Hypervisor,
    _directory: tempfile::TempDir,
}

impl Client {
    fn new(over: impl FnOnce(Box<dyn grantway::xen::store::Stream>) -> Store) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (_, mut hypervisor) = Hypervisor::listen(&directory.path().join("hypervisor")).unwrap();
        let stuck = std::rc::Rc::default();
        let device = hypervisor.xenbus_device(&stuck).unwrap();
        Self { store: over(device), stuck, hypervisor, _directory: directory }
    }

    /// Runs until nothing is left to do, as the loop does: it acts on what poll says alone.
    fn settle(&mut self) -> Vec<StoreEvent> {
        let mut events = Vec::new();
        for _ in 0..10_000 {
            let mut wanted = PollFlags::POLLIN;
            wanted.set(PollFlags::POLLOUT, self.store.wants_write());
            let mut fds =
                [PollFd::new(self.hypervisor.poll_fd(), PollFlags::POLLIN), PollFd::new(self.store.poll_fd(), wanted)];
            let ready = poll(&mut fds, PollTimeout::from(20_u16)).unwrap();
            let store_ready = fds[1].any() == Some(true);
            self.hypervisor.dispatch().unwrap();
            if store_ready {
                let _lost_comes_as_event = self.store.dispatch();
            }
            self.store.take_events(&mut events);
            if ready == 0 {
                return events;
            }
        }
        panic!("there is no end of it: {events:?}");
    }

    /// What a compositor asks when it starts, and guests are there.
    fn ask(&mut self) {
        let value = |name: &str| Query::Value(format!("/local/domain/1/device/vdispl/0/{name}"));
        self.store.watch("/local/domain/0/backend/vdispl", "backend");
        self.store.watch("@releaseDomain", "gone");
        for domain in 0..5 {
            let state = Change::Write(format!("/local/domain/0/backend/vdispl/{domain}/0/state"), "2".to_owned());
            let long = Change::Write(format!("/local/domain/0/backend/vdispl/{domain}/0/name"), "x".repeat(200));
            self.store.update(Ticket(domain), vec![state, long]);
            self.store.snapshot(Ticket(100 + domain), vec![value("state"), value("0/resolution"), value("name")]);
            self.store.watch(&format!("/local/domain/{domain}/device/vdispl/0/state"), "front");
        }
        self.store.snapshot(Ticket(1000), vec![Query::Children("/local/domain/0/backend/vdispl".to_owned())]);
    }
}

/// Whether all that [`Client::ask`] asked for is answered, and rightly.
fn all_is_well(client: &Client, events: &[StoreEvent]) -> bool {
    let updated = (0..5).all(|number| events.contains(&StoreEvent::Updated(Ticket(number), Ok(()))));
    let fired =
        |wanted: &str| events.iter().any(|event| matches!(event, StoreEvent::Watch { path, .. } if path == wanted));
    let watched = (0..5).all(|domain| fired(&format!("/local/domain/{domain}/device/vdispl/0/state")));
    let written = (0..5).all(|domain| {
        let directory = format!("/local/domain/0/backend/vdispl/{domain}/0");
        client.hypervisor.store_value(&format!("{directory}/state")).as_deref() == Some("2")
            && client.hypervisor.store_value(&format!("{directory}/name")) == Some("x".repeat(200))
    });
    let children = events.iter().any(|event| {
        matches!(event, StoreEvent::Snapshot(Ticket(1000), seen)
            if seen.children("/local/domain/0/backend/vdispl") == ["0", "1", "2", "3", "4"])
    });
    updated && watched && fired("@releaseDomain") && written && children && !client.stuck.get()
}

#[test]
fn all_is_answered_and_the_kernels_thread_goes_on() {
    let mut client = Client::new(Store::over_device);
    client.ask();
    let events = client.settle();
    assert!(all_is_well(&client, &events), "stuck: {}, {events:?}", client.stuck.get());
    client.store.unwatch("@releaseDomain", "gone");
    client.store.update(Ticket(7), vec![Change::Remove("/local/domain/0/backend/vdispl".to_owned())]);
    assert!(client.settle().contains(&StoreEvent::Updated(Ticket(7), Ok(()))));
    assert!(!client.stuck.get());
}

#[test]
fn a_client_that_does_not_wait_would_stop_dom0s_xenstore() {
    let mut client = Client::new(Store::new);
    client.ask();
    let events = client.settle();
    assert!(client.stuck.get() && !all_is_well(&client, &events), "the simulated device is too patient");
}

#[test]
fn a_client_that_does_not_wait_would_send_one_requests_bytes_in_another() {
    let mut client = Client::new(Store::new);
    client.store.update(Ticket(1), vec![Change::Write("/a".to_owned(), "1".to_owned())]);
    client.store.snapshot(Ticket(2), vec![Query::Value("/a".to_owned())]);
    client.store.snapshot(Ticket(3), vec![Query::Value("/b".to_owned())]);
    client.settle();
    client.store.snapshot(Ticket(4), vec![Query::Value("/a".to_owned())]);
    client.store.snapshot(Ticket(5), vec![Query::Value("/b".to_owned())]);
    let events = client.settle();
    let right =
        |event: &StoreEvent| matches!(event, StoreEvent::Snapshot(Ticket(4), seen) if seen.value("/a") == Some("1"));
    assert!(!events.iter().any(right), "the simulated device keeps more than Linux's: {events:?}");
}

#[test]
fn a_request_that_the_device_refuses_fails_alone() {
    let mut client = Client::new(Store::over_device);
    // Within xenstored's limit, but not within the device's, whose buffer has the header too.
    client.store.update(Ticket(1), vec![Change::Write("/long".to_owned(), "x".repeat(4085))]);
    client.store.update(Ticket(2), vec![Change::Write("/short".to_owned(), "1".to_owned())]);
    let events = client.settle();
    assert!(
        matches!(&events[..], [StoreEvent::Updated(Ticket(1), Err(_)), StoreEvent::Updated(Ticket(2), Ok(()))]),
        "{events:?}"
    );
    assert_eq!(client.hypervisor.store_value("/short").as_deref(), Some("1"));
}

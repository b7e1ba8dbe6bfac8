// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulator's half of the platform, and the xenstore client against its xenstored.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by a panic"
)]

#[path = "platform/device.rs"]
mod device;
#[path = "platform/lab.rs"]
mod lab;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use grantway::sim::ReleasePolicy;
use grantway::sim::front::Guest;
use grantway::sim::gtf;
use grantway::xen::grants::{Access, ExportMemory, GrantError};
use grantway::xen::store::wire::{Decoder, Message, op, strings};
use grantway::xen::store::{Change, Query, Store, StoreEvent, Ticket};
use grantway::xen::{DomId, GrantRef, PAGE_SIZE, Port};
use lab::{Lab, guest_thread};

fn write(path: &str, value: &str) -> Change {
    Change::Write(path.to_owned(), value.to_owned())
}

fn value(path: &str) -> Query {
    Query::Value(path.to_owned())
}

#[test]
fn a_snapshot_sees_the_updates_before_it_and_nothing_where_nothing_is() {
    let mut lab = Lab::start();
    let store = &mut lab.platform.store;
    store.update(Ticket(1), vec![write("/a/b", "1"), write("/a/c", ""), write("/a/d", "x")]);
    store.update(Ticket(2), vec![Change::Remove("/a/d".to_owned()), Change::Remove("/a/nothing".to_owned())]);
    store.snapshot(Ticket(3), vec![value("/a/b"), value("/a/c"), value("/a/d"), Query::Children("/a".to_owned())]);
    store.snapshot(Ticket(4), Vec::new());
    lab.settle();
    let events = lab.take_events();
    assert_eq!(events[0], StoreEvent::Updated(Ticket(1), Ok(())));
    assert_eq!(events[1], StoreEvent::Updated(Ticket(2), Ok(())));
    let snapshot = events
        .iter()
        .find_map(|event| if let StoreEvent::Snapshot(Ticket(3), snapshot) = event { Some(snapshot) } else { None });
    let snapshot = snapshot.unwrap();
    assert_eq!(snapshot.value("/a/b"), Some("1"));
    assert_eq!(snapshot.value("/a/c"), Some(""));
    assert_eq!(snapshot.value("/a/d"), None);
    assert_eq!(snapshot.children("/a"), ["b", "c"]);
    assert!(events.iter().any(|event| matches!(event, StoreEvent::Snapshot(Ticket(4), _))));
}

#[test]
fn an_update_is_all_or_nothing() {
    let mut lab = Lab::start();
    let store = &mut lab.platform.store;
    store.update(Ticket(1), vec![write("/a", "1"), write("no path", "1")]);
    store.update(Ticket(2), vec![Change::Expect("/gone/state".to_owned()), write("/gone/state", "6")]);
    store.update(Ticket(3), vec![write("/long", &"x".repeat(5000)), write("/short", "1")]);
    lab.settle();
    let failed = |event: &StoreEvent| matches!(event, StoreEvent::Updated(_, Err(why)) if !why.is_empty());
    let events = lab.take_events();
    assert_eq!(events.iter().filter(|event| failed(event)).count(), 3, "{events:?}");
    for path in ["/a", "/gone", "/short"] {
        assert_eq!(lab.hypervisor.store_value(path), None, "{path}");
    }
}

#[test]
fn forty_transactions_at_once_stay_within_xenstoreds_limit() {
    let mut lab = Lab::start();
    for ticket in 0..40 {
        lab.platform.store.snapshot(Ticket(ticket), vec![value("/vm"), value("/local")]);
    }
    lab.settle();
    assert_eq!(lab.take_events().len(), 40);
}

#[test]
fn watches_fire_at_once_for_changes_below_and_for_removals_above() {
    let mut lab = Lab::start();
    lab.platform.store.watch("/a/b", "token");
    lab.settle();
    let fired = |path: &str| StoreEvent::Watch { path: path.to_owned(), token: "token".to_owned() };
    assert_eq!(lab.take_events(), [fired("/a/b")]);
    lab.platform.store.update(Ticket(1), vec![write("/a/b/c", "1"), write("/a/bc", "1")]);
    lab.settle();
    assert!(lab.take_events().contains(&fired("/a/b/c")));
    lab.platform.store.update(Ticket(2), vec![Change::Remove("/a".to_owned())]);
    lab.settle();
    assert!(lab.take_events().contains(&fired("/a/b")));
    lab.platform.store.unwatch("/a/b", "token");
    lab.platform.store.update(Ticket(3), vec![write("/a/b", "1")]);
    lab.settle();
    assert_eq!(lab.take_events(), [StoreEvent::Updated(Ticket(3), Ok(()))]);
}

/// A stream that passes one byte a call, and would block every other time.
struct Dribble(UnixStream, bool);

impl Dribble {
    fn turn(&mut self) -> io::Result<()> {
        self.1 = !self.1;
        if self.1 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn()?;
        self.0.read(&mut buffer[..1])
    }
}

impl Write for Dribble {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.turn()?;
        self.0.write(&buffer[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Dribble {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The far end of a connection, played by the test.
struct Daemon(UnixStream, Decoder);

impl Daemon {
    fn pair() -> (UnixStream, Self) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, Self(theirs, Decoder::default()))
    }

    /// The next request, after giving the client as many turns as it takes.
    fn request(&mut self, store: &mut Store) -> Message {
        for _ in 0..1000 {
            store.dispatch().unwrap();
            let mut buffer = [0; 100];
            if let Ok(read) = self.0.read(&mut buffer) {
                self.1.push(&buffer[..read]);
            }
            if let Some(message) = self.1.next_message().unwrap() {
                return message;
            }
        }
        panic!("the client asks nothing");
    }

    fn answer(&mut self, to: &Message, op: u32, payload: Vec<u8>) {
        let mut bytes = Vec::new();
        Message { op, payload, ..to.clone() }.encode(&mut bytes).unwrap();
        self.0.write_all(&bytes).unwrap();
    }
}

fn drain(store: &mut Store) -> Vec<StoreEvent> {
    let mut events = Vec::new();
    for _ in 0..1000 {
        let _lost_comes_as_event = store.dispatch();
        store.take_events(&mut events);
    }
    events
}

#[test]
fn the_client_copes_with_single_bytes_and_with_conflicts() {
    let (stream, mut daemon) = Daemon::pair();
    let mut store = Store::new(Box::new(Dribble(stream, false)));
    store.update(Ticket(9), vec![write("/x", "1"), write("/y", "2")]);
    for round in 0..2 {
        let start = daemon.request(&mut store);
        assert_eq!(start.op, op::TRANSACTION_START, "round {round}");
        daemon.answer(&start, start.op, strings(&["77"]));
        for payload in [b"/x\x001", b"/y\x002"] {
            let write = daemon.request(&mut store);
            assert_eq!((write.op, write.transaction, write.payload.as_slice()), (op::WRITE, 77, &payload[..]));
            daemon.answer(&write, op::WRITE, strings(&["OK"]));
        }
        let end = daemon.request(&mut store);
        assert_eq!((end.op, end.transaction, end.payload.as_slice()), (op::TRANSACTION_END, 77, &b"T\0"[..]));
        if round == 0 {
            daemon.answer(&end, op::ERROR, strings(&["EAGAIN"]));
        } else {
            daemon.answer(&end, op::TRANSACTION_END, strings(&["OK"]));
        }
    }
    assert_eq!(drain(&mut store), [StoreEvent::Updated(Ticket(9), Ok(()))]);
}

#[test]
fn a_broken_connection_is_reported_once() {
    for bytes in [&[][..], &[0xff; 16], &[2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let (stream, mut daemon) = Daemon::pair();
        let mut store = Store::new(Box::new(stream));
        store.snapshot(Ticket(1), vec![value("/a")]);
        daemon.0.write_all(bytes).unwrap();
        drop(daemon);
        let events = drain(&mut store);
        assert!(matches!(events.as_slice(), [StoreEvent::Lost(_)]), "{events:?}");
        assert!(!store.wants_write());
    }
}

#[test]
fn a_flood_of_watch_events_costs_one_entry() {
    let (stream, mut daemon) = Daemon::pair();
    let mut store = Store::new(Box::new(stream));
    store.watch("/a", "t");
    let ask = daemon.request(&mut store);
    daemon.answer(&ask, op::WATCH, strings(&["OK"]));
    for _ in 0..1000 {
        daemon.answer(&Message { request: 0, ..ask.clone() }, op::WATCH_EVENT, strings(&["/a", "t"]));
        store.dispatch().unwrap();
    }
    let mut events = Vec::new();
    store.take_events(&mut events);
    assert_eq!(events.len(), 1);
}

#[test]
fn a_guest_writes_below_its_own_device_directory_only() {
    let mut lab = Lab::start();
    let (guest, mut lab) = lab::with_guest(lab.take(), |mut guest| {
        let home = format!("/local/domain/{}", guest.domid());
        let store = guest.store();
        assert!(store.write(&format!("{home}/device/vdispl/0/state"), "3").is_ok());
        assert!(store.write("device/vdispl/0/1/req-ring-ref", "8").is_ok());
        let theirs = [
            format!("{home}/name"),
            "/local/domain/0/backend/vdispl/1/0/state".to_owned(),
            "/local/domain/2/device/x".to_owned(),
            "/tool/x".to_owned(),
        ];
        for path in theirs {
            assert!(store.write(&path, "evil").is_err(), "{path}");
        }
        // Read-only leaves can't be written, but what owns them can be removed and made again.
        assert!(store.remove(&format!("{home}/device/vdispl/0")).is_ok());
        assert!(store.write(&format!("{home}/device/vdispl/0/0/resolution"), "1x1").is_ok());
        guest
    });
    drop(guest);
    lab.settle();
}

#[test]
fn event_channels_stay_masked_until_unmasked() {
    let mut lab = Lab::start();
    let (guest, mut lab) = lab::with_guest(lab.take(), |mut guest| {
        let channel = guest.offer_channel().unwrap();
        (guest, channel)
    });
    let (guest, channel) = guest;
    let domid = guest.domid();
    let events = &mut lab.platform.event_channels;
    assert!(events.bind(domid, Port(999)).is_err());
    assert!(events.bind(DomId(77), channel.port).is_err());
    let port = events.bind(domid, channel.port).unwrap();
    assert!(events.bind(domid, channel.port).is_err(), "bound already");
    let mut pending = Vec::new();
    // Xen raises the event when the channel is bound.
    events.take_pending(&mut pending).unwrap();
    assert_eq!(pending, [port]);
    channel.notify().unwrap();
    channel.notify().unwrap();
    pending.clear();
    events.take_pending(&mut pending).unwrap();
    assert!(pending.is_empty(), "masked");
    events.unmask(port).unwrap();
    events.take_pending(&mut pending).unwrap();
    assert_eq!(pending, [port], "raised while masked");
    events.unmask(port).unwrap();
    pending.clear();
    events.take_pending(&mut pending).unwrap();
    assert!(pending.is_empty(), "nothing new");
    events.notify(port).unwrap();
    assert!(grantway::sim::front::wait(&[channel.as_fd()], Duration::from_secs(1)).unwrap());
    drop(guest);
    lab.settle();
    let events = &mut lab.platform.event_channels;
    events.notify(port).unwrap();
    events.unbind(port);
    events.unbind(port);
    assert!(events.notify(port).is_err());
}

#[test]
fn grants_are_checked_marked_and_let_go() {
    let mut lab = Lab::start();
    let (guest, mut lab) = lab::with_guest(lab.take(), |guest| guest);
    let mut guest: Guest = guest;
    let domid = guest.domid();
    let frames = guest.allocate(3).unwrap();
    let rw = guest.grant(frames[0], Access::ReadWrite).unwrap();
    let ro = guest.grant(frames[1], Access::Read).unwrap();
    let foreign = guest.grant(frames[2], Access::ReadWrite).unwrap();
    let entry = guest.table().load(foreign).unwrap();
    guest.table().store(foreign, grantway::sim::GrantEntry { domid: 5, ..entry });
    let grants = &mut lab.platform.grants;
    let refused = [(ro, Access::ReadWrite), (foreign, Access::Read), (GrantRef(0), Access::Read)];
    let beyond = [(GrantRef(7), Access::Read), (GrantRef(32_768), Access::Read), (GrantRef(u32::MAX), Access::Read)];
    for (gref, access) in refused.into_iter().chain(beyond) {
        let answer = grants.map(domid, &[rw, gref], access);
        assert!(matches!(answer, Err(GrantError::Refused { .. })), "{gref}");
    }
    assert!(grants.map(DomId(99), &[rw], Access::Read).is_err());
    let flags = |guest: &Guest, gref| guest.table().load(gref).unwrap().flags & (gtf::READING | gtf::WRITING);
    assert_eq!(flags(&guest, rw), 0, "a refusal leaves nothing marked");

    let one = grants.map(domid, &[rw], Access::ReadWrite).unwrap();
    let two = grants.map(domid, &[rw, ro], Access::Read).unwrap();
    assert_eq!(flags(&guest, rw), gtf::READING | gtf::WRITING);
    assert_eq!(flags(&guest, ro), gtf::READING);
    one.write(10, b"hello").unwrap();
    let mut seen = [0; 5];
    guest.view(&frames[..1]).unwrap().read(10, &mut seen).unwrap();
    assert_eq!(&seen, b"hello");
    guest.view(&frames[1..2]).unwrap().write(0, b"there").unwrap();
    two.read(PAGE_SIZE, &mut seen).unwrap();
    assert_eq!(&seen, b"there");
    assert_eq!(lab.hypervisor.mapped_grants(domid), 2);
    assert!(!guest.revoke(rw), "mapped");
    drop(one);
    assert_eq!(flags(&guest, rw), gtf::READING);
    drop(two);
    assert_eq!(flags(&guest, rw), 0);
    assert!(guest.revoke(rw));
    assert!(lab.platform.grants.map(domid, &[rw], Access::Read).is_err(), "revoked");
}

#[test]
fn exports_are_reported_when_they_are_free_and_not_before() {
    let mut lab = Lab::start();
    let (guest, mut lab) = lab::with_guest(lab.take(), |guest| guest);
    let mut guest: Guest = guest;
    let frames = guest.allocate(5).unwrap();
    let refs: Vec<_> = frames.iter().map(|frame| guest.grant(*frame, Access::ReadWrite).unwrap()).collect();
    let domid = guest.domid();
    for (index, frame) in frames.iter().enumerate() {
        guest.view(&[*frame]).unwrap().write(0, &[u8::try_from(index).unwrap()]).unwrap();
    }
    let mut released = Vec::new();
    let export = lab.platform.grants.export(domid, &refs).unwrap();
    let ExportMemory::Mapped(pages) = &export.memory else { panic!("no pages") };
    assert_eq!(pages.len(), 5 * PAGE_SIZE);
    for index in 0..5 {
        let mut byte = [9];
        pages.read(index * PAGE_SIZE, &mut byte).unwrap();
        assert_eq!(usize::from(byte[0]), index);
    }
    lab.platform.grants.take_released(&mut released);
    assert!(released.is_empty());
    drop(export.memory);
    assert!(lab.readable(lab.platform.grants.poll_fd()));
    lab.platform.grants.take_released(&mut released);
    assert_eq!(released, [export.id]);
    assert!(!lab.readable(lab.platform.grants.poll_fd()));

    lab.hypervisor.set_release_policy(ReleasePolicy::Withheld);
    drop(lab.platform.grants.export(domid, &refs).unwrap());
    assert!(!guest.revoke(refs[0]), "withheld");
    released.clear();
    lab.hypervisor.set_release_policy(ReleasePolicy::After(Duration::from_millis(20)));
    drop(lab.platform.grants.export(domid, &refs).unwrap());
    lab.platform.grants.take_released(&mut released);
    assert!(released.is_empty());
    assert!(grantway::sim::front::wait(&[lab.platform.grants.poll_fd()], Duration::from_secs(5)).unwrap());
    lab.platform.grants.take_released(&mut released);
    assert_eq!(released.len(), 1);
    lab.hypervisor.set_release_policy(ReleasePolicy::AtOnce);
    lab.platform.grants.take_released(&mut released);
    assert_eq!(released.len(), 2);
    assert!(refs.iter().all(|gref| guest.revoke(*gref)));

    lab.hypervisor.refuse_exports(Some("no more today"));
    assert!(matches!(lab.platform.grants.export(domid, &refs), Err(GrantError::Driver(why)) if why == "no more today"));
}

#[test]
fn memory_that_could_shrink_is_not_taken() {
    let mut lab = Lab::start();
    let socket = lab.socket();
    let (answer, _lab) = guest_thread(lab.take(), move || {
        let file: OwnedFd = tempfile::tempfile().unwrap().into();
        lab::hello(&socket, "bad", &[], file)
    });
    assert_eq!(answer[0], "refused");
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Guests in processes of their own come and go.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by a panic"
)]

#[path = "platform/lab.rs"]
mod lab;

use std::process::{Child, Command, Stdio};

use grantway::xen::grants::Access;
use grantway::xen::pages::SharedPages;
use grantway::xen::store::{Change, StoreEvent, Ticket};
use grantway::xen::{DomId, GrantRef, Port};
use lab::Lab;

const FRONT: &str = "/local/domain/1/device/vdispl/0";
const BACK: &str = "/local/domain/0/backend/vdispl/1/0";

fn spawn(lab: &Lab, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantway-sim-guest"));
    command.arg("--socket").arg(lab.socket()).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

fn set_state(lab: &mut Lab, state: &str) {
    let path = format!("{BACK}/state");
    let changes = vec![Change::Expect(path.clone()), Change::Write(path, state.to_owned())];
    lab.platform.store.update(Ticket(1), changes);
}

fn number(lab: &Lab, name: &str) -> u32 {
    lab.hypervisor.store_value(&format!("{FRONT}/0/{name}")).unwrap().parse().unwrap()
}

/// Leads a guest up to Connected; gives its ring.
fn connect(lab: &mut Lab) -> SharedPages {
    lab.until("the device is there", |lab| lab.hypervisor.store_value(&format!("{BACK}/state")).is_some());
    set_state(lab, "2");
    let front = |lab: &Lab| lab.hypervisor.store_value(&format!("{FRONT}/state"));
    lab.until("the guest has published", |lab| front(lab).as_deref() == Some("3"));
    let gref = GrantRef(number(lab, "req-ring-ref"));
    let ring = lab.platform.grants.map(DomId(1), &[gref], Access::ReadWrite).unwrap();
    let port = Port(number(lab, "req-event-channel"));
    lab.platform.event_channels.bind(DomId(1), port).unwrap();
    set_state(lab, "4");
    lab.until("the guest is connected", |lab| front(lab).as_deref() == Some("4"));
    ring
}

#[test]
fn a_killed_guest_is_announced_and_its_memory_lives_while_it_is_mapped() {
    let mut lab = Lab::start().take();
    lab.platform.store.watch("@releaseDomain", "gone");
    lab.platform.store.watch("@introduceDomain", "new");
    lab.settle();
    lab.take_events();
    let mut guest = spawn(&lab, &["--name", "web"]);
    let ring = connect(&mut lab);
    assert_eq!(lab.hypervisor.guests(), [(DomId(1), "web".to_owned())]);
    let fired = |events: &[StoreEvent], what: &str| {
        events.iter().any(|event| matches!(event, StoreEvent::Watch { path, .. } if path == what))
    };
    assert!(fired(&lab.take_events(), "@introduceDomain"));
    lab.until("a request comes", |_| ring.load_u32(0) == Ok(1));
    guest.kill().unwrap();
    guest.wait().unwrap();
    lab.until("the guest is gone", |lab| lab.hypervisor.guests().is_empty());
    lab.settle();
    assert!(fired(&lab.take_events(), "@releaseDomain"));
    assert_eq!(lab.hypervisor.store_value(&format!("{FRONT}/state")), None);
    assert_eq!(lab.hypervisor.store_value("/local/domain/1/name"), None);
    assert_eq!(lab.hypervisor.store_value(&format!("{BACK}/state")).as_deref(), Some("5"));
    assert_eq!(lab.hypervisor.store_value(&format!("{BACK}/online")).as_deref(), Some("0"));
    assert_eq!(lab.hypervisor.zombies(), [DomId(1)]);
    // Still readable: what the dead guest wrote is there.
    assert_eq!(ring.load_u32(0), Ok(1));
    drop(ring);
    assert!(lab.hypervisor.zombies().is_empty());
    set_state(&mut lab, "6");
    lab.until("libxl cleans up", |lab| lab.hypervisor.store_value(BACK).is_none());
}

#[test]
fn a_guest_started_again_is_another_domain_with_the_same_identity() {
    let mut lab = Lab::start().take();
    let mut uuids = Vec::new();
    for domid in 1..=2 {
        let mut guest = spawn(&lab, &["--name", "web"]);
        let vm = format!("/local/domain/{domid}/vm");
        lab.until("the guest is there", |lab| lab.hypervisor.store_value(&vm).is_some());
        uuids.push(lab.hypervisor.store_value(&vm));
        guest.kill().unwrap();
        guest.wait().unwrap();
        lab.until("the guest is gone", |lab| lab.hypervisor.guests().is_empty());
    }
    assert_eq!(uuids[0], uuids[1]);
}

#[test]
fn a_guest_that_is_asked_for_nonsense_says_so_in_one_line() {
    let lab = Lab::start().take();
    for args in [&["--pattern", "plaid"][..], &["--fps", "many"], &["--format", "ZZZZ"], &["--colour"]] {
        let guest = Command::new(env!("CARGO_BIN_EXE_grantway-sim-guest"))
            .arg("--socket")
            .arg(lab.socket())
            .args(args)
            .output()
            .unwrap();
        assert_eq!(guest.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&guest.stderr).contains(args[0]), "{args:?}");
    }
}

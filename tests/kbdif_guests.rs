// SPDX-License-Identifier: GPL-3.0-or-later
//! Input from the registry to guests on the simulator, and guests that make trouble.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]
#![cfg(all(feature = "sim", feature = "compositor"))]

#[path = "kbdif_guests/desk.rs"]
mod desk;

use std::time::Duration;

use desk::{Desk, Peer};
use grantway::kbdif::{Contact, ContactEvent, Input, TouchArea};
use grantway::sim::front::now;
use grantway::sim::keyboard_front::KeyboardFront;
use grantway::xen::event_page::{IN_CONS, IN_PROD};
use grantway::xen::xenbus::XenbusState;

const SECOND: Duration = Duration::from_secs(1);
const LINUX: &str = "backend-type=linux,backend=0";
const SHIFT: u32 = 42;
const KEY_A: u32 = 30;
const BTN_LEFT: u32 = 0x110;

fn key(code: u32, pressed: bool) -> Input {
    Input::Key { code, pressed }
}

fn down(id: u32, x: i32, y: i32) -> Input {
    Input::Touch(Contact { id, event: ContactEvent::Down { x, y } })
}

/// What the guest's programs see next.
fn seen(desk: &mut Desk, peer: &mut Peer) -> Vec<String> {
    desk.rest(Duration::from_millis(10));
    while peer.keyboard.take_events().unwrap() > 0 {
        desk.rest(Duration::from_millis(10));
    }
    assert_eq!(peer.keyboard.oops, None);
    peer.keyboard.take_log()
}

#[test]
fn a_plain_vkb_line_gives_a_pointer_and_a_touch_screen_that_fit_the_display() {
    let mut desk = Desk::start();
    let mut peer = desk.peer("web", "conn-a:640x480", LINUX);
    let value = |key| desk.backend(&peer.display.guest, key);
    assert_eq!(value("width").as_deref(), Some("640"));
    assert_eq!(value("multi-touch-num-contacts").as_deref(), Some("10"));
    let window = desk.windows(&peer)[0];
    let capabilities = desk.capabilities(window).unwrap();
    assert_eq!(capabilities.absolute, Some((640, 480)));
    assert_eq!(capabilities.touch, Some(TouchArea { width: 640, height: 480, contacts: 10 }));
    assert!(capabilities.keyboard && !capabilities.relative);
    for (x, y) in [(0, 0), (639, 0), (0, 479), (639, 479), (320, 240)] {
        desk.input(window, &[Input::Position { x, y }]);
        seen(&mut desk, &mut peer);
        assert_eq!(peer.keyboard.view.position, Some((x, y)));
    }
    desk.input(window, &[key(KEY_A, true), key(KEY_A, false), key(BTN_LEFT, true), Input::Wheel { clicks: 1 }]);
    let expected = ["keyboard KEY 30 1", "keyboard KEY 30 0", "pointer KEY 272 1", "pointer REL_WHEEL 0 1"];
    assert_eq!(seen(&mut desk, &mut peer), expected);
    desk.input(window, &[down(5, 3, 4), down(6, 7, 8), Input::TouchSync]);
    assert_eq!(seen(&mut desk, &mut peer).len(), 7);
    assert_eq!(peer.keyboard.view.contacts.len(), 2);
}

#[test]
fn a_guest_configured_for_motion_alone_gets_no_positions() {
    let mut desk = Desk::start();
    let mut peer = desk.peer("game", "conn-a:640x480", LINUX);
    let window = desk.windows(&peer)[0];
    let capabilities = desk.capabilities(window).unwrap();
    assert_eq!((capabilities.absolute, capabilities.relative), (None, true));
    desk.input(window, &[Input::Motion { dx: 3, dy: -4 }]);
    assert_eq!(seen(&mut desk, &mut peer), ["pointer REL_X 0 3", "pointer REL_Y 0 -4"]);
}

#[test]
fn what_the_vkb_line_says_is_kept() {
    let mut desk = Desk::start();
    let line = format!("{LINUX},unique-id=x,feature-abs-pointer=1,width=1280,height=960,feature-disable-keyboard=1");
    let mut peer = desk.peer("web", "conn-a:640x480", &line);
    let window = desk.windows(&peer)[0];
    let capabilities = desk.capabilities(window).unwrap();
    assert_eq!((capabilities.absolute, capabilities.keyboard), (Some((1280, 960)), false));
    desk.input(window, &[Input::Position { x: 639, y: 479 }, key(KEY_A, true), key(BTN_LEFT, true)]);
    seen(&mut desk, &mut peer);
    assert_eq!(peer.keyboard.view.position, Some((1279, 959)));
    assert_eq!(peer.keyboard.view.keys.len(), 1);
    assert_eq!(desk.session(&peer.display.guest).unwrap().not_taken, 1);
}

#[test]
fn the_connectors_of_a_guest_share_one_space() {
    let mut desk = Desk::start();
    let mut peer = desk.peer("web", "conn-a:320x240;conn-b:160x120", LINUX);
    let windows = desk.windows(&peer);
    assert_eq!(desk.capabilities(windows[1]).unwrap().absolute, Some((480, 240)));
    desk.input(windows[1], &[Input::Position { x: 159, y: 119 }]);
    seen(&mut desk, &mut peer);
    assert_eq!(peer.keyboard.view.position, Some((479, 119)));
    desk.input(windows[0], &[down(1, 319, 239), Input::TouchSync]);
    seen(&mut desk, &mut peer);
    assert_eq!(peer.keyboard.view.contacts[&0], (319, 239));
}

#[test]
fn a_device_that_names_a_connector_serves_that_one() {
    let mut desk = Desk::start();
    let line = format!("{LINUX},unique-id=left-hand");
    let peer = desk.peer("web", "conn-a:320x240;conn-b:160x120", &line);
    let windows = desk.windows(&peer);
    assert_eq!(desk.capabilities(windows[0]).unwrap().absolute, Some((320, 240)));
    assert_eq!(desk.capabilities(windows[1]), None);
}

#[test]
fn the_focus_moves_and_nothing_reaches_the_other_guest() {
    let mut desk = Desk::start();
    let mut first = desk.peer("first", "conn-a:320x240", LINUX);
    let mut second = desk.peer("second", "conn-a:320x240", LINUX);
    let (one, two) = (desk.windows(&first)[0], desk.windows(&second)[0]);
    desk.input(one, &[key(SHIFT, true), key(BTN_LEFT, true), down(1, 1, 1), Input::TouchSync]);
    assert_eq!(seen(&mut desk, &mut second), [""; 0]);
    seen(&mut desk, &mut first);
    desk.focus_lost(one);
    let lines = seen(&mut desk, &mut first);
    assert_eq!(lines[..2], ["keyboard KEY 42 0", "pointer KEY 272 0"]);
    assert!(first.keyboard.view.keys.is_empty() && first.keyboard.view.contacts.is_empty());
    // The user still holds both: the winner hears nothing of it, neither the press nor the release.
    desk.input(two, &[key(SHIFT, false), key(BTN_LEFT, false), key(KEY_A, true)]);
    assert_eq!(seen(&mut desk, &mut second), ["keyboard KEY 30 1"]);
    assert_eq!(seen(&mut desk, &mut first), [""; 0]);
    assert_eq!(second.keyboard.events, 1);
}

#[test]
fn a_compositor_that_was_killed_leaves_nothing_pressed() {
    for in_order in [true, false] {
        let mut desk = Desk::start();
        let mut peer = desk.peer("web", "conn-a:320x240", LINUX);
        let window = desk.windows(&peer)[0];
        desk.input(window, &[key(SHIFT, true), down(1, 1, 1), Input::TouchSync]);
        seen(&mut desk, &mut peer);
        assert_eq!(peer.keyboard.view.keys.len(), 1);
        desk.restart(in_order);
        desk.until("the device is taken over", |desk| desk.session(&peer.display.guest).is_some());
        let Peer { display, keyboard } = &mut peer;
        desk.serve(|| {
            keyboard.await_connected(&mut display.guest, now() + SECOND * 10).unwrap();
            keyboard.take_until(SECOND * 5, |view| view.keys.is_empty() && view.contacts.is_empty()).unwrap();
        });
        // The display's driver has to come back for a window, which is displif's matter; the device is ours again.
        assert_eq!(desk.backend(&peer.display.guest, "state").as_deref(), Some("4"));
    }
}

#[test]
fn a_display_that_goes_takes_what_is_held_with_it() {
    let mut desk = Desk::start();
    let mut peer = desk.peer("web", "conn-a:320x240", LINUX);
    let window = desk.windows(&peer)[0];
    desk.input(window, &[key(SHIFT, true)]);
    assert_eq!(seen(&mut desk, &mut peer), ["keyboard KEY 42 1"]);
    let Peer { display, .. } = &mut peer;
    desk.serve(|| display.close().unwrap());
    assert_eq!(seen(&mut desk, &mut peer), ["keyboard KEY 42 0"]);
}

#[test]
fn a_frontend_whose_page_was_revoked_is_asked_to_begin_anew() {
    let mut desk = Desk::start();
    let mut guest = desk.guest("web", &[&format!("vkb:{LINUX}")]);
    let mut keyboard = desk.serve(|| {
        let mut keyboard = KeyboardFront::probe(&mut guest, 0, SECOND * 10).unwrap();
        // Before the backend can have mapped it, or else it was mapped, and this is tried again below.
        keyboard.set_state(&mut guest, XenbusState::Initialising).unwrap();
        keyboard
    });
    desk.rest(Duration::from_millis(100));
    assert!(keyboard.revoke_page(&mut guest), "nobody has it mapped");
    desk.serve(|| keyboard.set_state(&mut guest, XenbusState::Initialised).unwrap());
    let state = format!("{}/state", keyboard.directory());
    let asked = (0..500).any(|_| {
        desk.rest(Duration::from_millis(20));
        desk.serve(|| guest.store().read(&state).unwrap()).as_deref() == Some("1")
    });
    assert!(asked, "the frontend is not asked to begin anew");
    assert!(desk.session(&guest).is_none());
    assert_eq!(desk.backend(&guest, "state").as_deref(), Some("2"));
    desk.serve(|| {
        keyboard.publish(&mut guest).unwrap();
        keyboard.set_state(&mut guest, XenbusState::Initialised).unwrap();
    });
    desk.until("the new page", |desk| desk.session(&guest).is_some());
    desk.serve(|| keyboard.await_connected(&mut guest, now() + SECOND * 10).unwrap());
}

#[test]
fn a_frontend_that_is_connected_and_has_lost_its_device_is_asked_to_begin_anew() {
    let mut desk = Desk::start();
    let mut guest = desk.guest("web", &[&format!("vkb:{LINUX}")]);
    let mut keyboard = desk.serve(|| KeyboardFront::probe(&mut guest, 0, SECOND * 10).unwrap());
    desk.until("the connection", |desk| desk.session(&guest).is_some());
    // Linux has taken its device away, and says nothing.
    let state = format!("{}/state", keyboard.directory());
    let asked = (0..1000).any(|_| {
        desk.rest(Duration::from_millis(20));
        desk.serve(|| guest.store().read(&state).unwrap()).as_deref() == Some("1")
    });
    assert!(asked, "the frontend is not asked to begin anew");
    desk.until("the old page to be let go", |desk| desk.hypervisor.mapped_grants(guest.domid()) == 0);
    desk.serve(|| {
        keyboard.publish(&mut guest).unwrap();
        keyboard.set_state(&mut guest, XenbusState::Initialised).unwrap();
    });
    desk.until("the new page", |desk| desk.session(&guest).is_some());
    desk.serve(|| keyboard.await_connected(&mut guest, now() + SECOND * 10).unwrap());
}

#[test]
fn the_obsolete_page_ref_is_never_mapped() {
    let mut desk = Desk::start();
    let mut guest = desk.guest("web", &[&format!("vkb:{LINUX}")]);
    let directory = format!("/local/domain/{}/device/vkbd/0", guest.domid());
    desk.serve(|| {
        KeyboardFront::probe(&mut guest, 0, SECOND * 10).unwrap();
        guest.store().write(&format!("{directory}/state"), "1").unwrap();
        guest.store().remove(&format!("{directory}/page-gref")).unwrap();
        guest.store().write(&format!("{directory}/page-ref"), "8").unwrap();
        guest.store().write(&format!("{directory}/state"), "3").unwrap();
    });
    desk.rest(Duration::from_millis(400));
    assert!(desk.session(&guest).is_none());
    assert_eq!(desk.hypervisor.mapped_grants(guest.domid()), 0);
}

#[test]
fn qemus_devices_are_left_to_qemu_unless_the_configuration_says_otherwise() {
    let mut desk = Desk::start();
    let qemus = desk.guest("web", &["vkb:backend=0"]);
    let mut ours = desk.guest("no-qemu", &["vkb:backend=0"]);
    desk.serve(|| KeyboardFront::connect(&mut ours, 0, SECOND * 10).unwrap());
    assert!(desk.session(&ours).is_some());
    assert!(desk.session(&qemus).is_none());
    let path = format!("/local/domain/0/backend/vkbd/{}/0/state", qemus.domid());
    assert_eq!(desk.hypervisor.store_value(&path).as_deref(), Some("1"));
}

#[test]
fn a_guest_comes_and_goes_and_nothing_is_kept() {
    let mut desk = Desk::start();
    for _ in 0..5 {
        let mut peer = desk.peer("web", "conn-a:320x240", LINUX);
        let window = desk.windows(&peer)[0];
        desk.input(window, &[key(SHIFT, true)]);
        assert_eq!(seen(&mut desk, &mut peer), ["keyboard KEY 42 1"], "nothing of the one before");
        let domid = peer.display.guest.domid();
        drop(peer);
        desk.until("the device is gone", |desk| desk.registry.keyboards().devices().next().is_none());
        assert_eq!(desk.hypervisor.mapped_grants(domid), 0);
    }
}

/// What a kiosk's user has of xenstore.
#[test]
fn guests_come_and_go_through_the_kernels_xenbus_device() {
    let (mut desk, stopped) = Desk::start_over_device();
    let mut first = desk.peer("web", "conn-a:320x240;conn-b:200x100", LINUX);
    for name in ["mail", "work", "mail"] {
        let mut peer = desk.peer(name, "conn-a:320x240", LINUX);
        let window = desk.windows(&peer)[0];
        desk.input(window, &[key(SHIFT, true)]);
        assert_eq!(seen(&mut desk, &mut peer), ["keyboard KEY 42 1"]);
        drop(peer);
        desk.until("one guest is left", |desk| desk.registry.keyboards().devices().count() == 1);
    }
    let window = desk.windows(&first)[0];
    desk.input(window, &[key(SHIFT, true)]);
    assert_eq!(seen(&mut desk, &mut first), ["keyboard KEY 42 1"]);
    assert!(!stopped.get());
}

#[test]
fn bad_guests_are_bounded_and_the_good_one_notices_nothing() {
    let mut desk = Desk::start();
    let mut good = desk.peer("good", "conn-a:320x240", LINUX);
    let good_window = desk.windows(&good)[0];
    let mut never = desk.peer("never", "conn-a:320x240", LINUX);
    let garbage = desk.peer("garbage", "conn-a:320x240", LINUX);
    let mut flapping = desk.peer("flapping", "conn-a:320x240", LINUX);
    let mut wishing = desk.peer("wishing", "conn-a:320x240", LINUX);
    let directory = wishing.keyboard.directory().to_owned();
    desk.serve(|| {
        let store = wishing.display.guest.store();
        for (key, value) in [("request-raw-pointer", "4294967295"), ("request-multi-touch", "-1"), ("width", "9")] {
            store.write(&format!("{directory}/{key}"), value).unwrap();
        }
        store.write(&format!("{directory}/event-channel"), "0").unwrap();
    });
    let windows = [&never, &garbage, &flapping, &wishing].map(|peer| desk.windows(peer)[0]);
    for round in 0..400_u32 {
        let page = garbage.keyboard.page().unwrap();
        for (at, offset) in [IN_CONS, IN_PROD, 8, 12].into_iter().enumerate() {
            page.store_u32(offset, round.wrapping_mul(0x9e37_79b9).rotate_left(u32::try_from(at).unwrap())).unwrap();
        }
        garbage.keyboard.notify().unwrap();
        never.keyboard.notify().unwrap();
        for window in windows {
            let code = 1 + round % 100;
            desk.input(window, &[key(code, true), Input::Position { x: 1, y: 1 }, down(round, 1, 1)]);
            desk.input(window, &[key(code, false), Input::TouchSync]);
        }
        if round % 20 == 0 {
            let state =
                [XenbusState::Unknown, XenbusState::Initialising, XenbusState::Reconfigured][round as usize % 3];
            desk.serve(|| flapping.keyboard.set_state(&mut flapping.display.guest, state).unwrap());
        }
        desk.input(good_window, &[key(KEY_A, round % 2 == 0)]);
        desk.turn(Duration::ZERO);
        assert_eq!(good.keyboard.take_events().unwrap(), 1, "round {round}");
    }
    for peer in [&never, &garbage] {
        let status = desk.session(&peer.display.guest).unwrap();
        assert!(status.waiting <= 256 + 200, "{status:?}");
    }
    assert!(desk.session(&never.display.guest).unwrap().presses_dropped > 0);
    assert_eq!(
        seen(&mut desk, &mut good),
        (0..400).map(|round| format!("keyboard KEY 30 {}", 1 - round % 2)).collect::<Vec<_>>()
    );
    // The one that never read reads at last: it holds only what the user does, ten fingers at most.
    let Peer { keyboard, .. } = &mut never;
    desk.serve(|| keyboard.take_until(SECOND * 10, |view| view.keys.is_empty()).unwrap());
    desk.focus_lost(windows[0]);
    desk.serve(|| keyboard.take_until(SECOND * 10, |view| view.contacts.is_empty()).unwrap());
}

#[test]
fn a_storm_of_notifies_costs_no_more_than_the_limit() {
    let mut desk = Desk::start();
    let peer = desk.peer("web", "conn-a:320x240", LINUX);
    let start = now();
    while now() < start + Duration::from_millis(300) {
        peer.keyboard.notify().unwrap();
        desk.turn(Duration::ZERO);
    }
    let window = desk.windows(&peer)[0];
    desk.input(window, &[key(KEY_A, true)]);
    assert_eq!(desk.session(&peer.display.guest).unwrap().events, 1);
}

#[test]
fn a_number_used_again_is_another_guest() {
    let mut desk = Desk::start();
    let old = desk.peer("trusted", "conn-a:640x480", LINUX);
    let (domid, window) = (old.display.guest.domid(), desk.windows(&old)[0]);
    let vkb = format!("vkb:{LINUX}");
    let heir = desk.reborn(old, "other", &[&vkb, "backend=0,be-alloc=0,connectors=conn-a:640x480"]);
    assert_eq!((heir.domid(), desk.name_of(domid)), (domid, Some("trusted")), "nobody has looked yet");
    desk.until("the new guest to have its own name", |desk| desk.name_of(domid) == Some("other"));
    assert!(desk.capabilities(window).is_none(), "what the old one had is gone");
}

#[test]
fn a_compositor_that_ends_releases_all_that_is_held() {
    let mut desk = Desk::start();
    let mut peer = desk.peer("web", "conn-a:320x240", LINUX);
    let window = desk.windows(&peer)[0];
    desk.input(window, &[key(SHIFT, true), key(BTN_LEFT, true), down(1, 1, 1), Input::TouchSync]);
    seen(&mut desk, &mut peer);
    assert_eq!((peer.keyboard.view.keys.len(), peer.keyboard.view.contacts.len()), (2, 1));
    desk.shut_down();
    // No other one comes: this one has to have said it.
    peer.keyboard.take_events().unwrap();
    let view = &peer.keyboard.view;
    assert!(view.keys.is_empty() && view.contacts.is_empty() && !view.unsynced, "{view:?}");
}

#[test]
fn a_device_that_starts_anew_is_told_that_all_is_up_on_its_old_page() {
    let mut desk = Desk::start();
    let mut peer = desk.peer("web", "conn-a:320x240", LINUX);
    let window = desk.windows(&peer)[0];
    desk.input(window, &[key(SHIFT, true)]);
    assert_eq!(seen(&mut desk, &mut peer), ["keyboard KEY 42 1"]);
    let Peer { display, keyboard } = &mut peer;
    desk.serve(|| keyboard.set_state(&mut display.guest, XenbusState::Initialising).unwrap());
    desk.until("the end of the connection", |desk| desk.session(&peer.display.guest).is_none());
    assert_eq!(seen(&mut desk, &mut peer), ["keyboard KEY 42 0"]);
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Guests that make trouble with their input devices, beside one that does not: each costs bounded memory and
//! one line of the log, and the other's input comes as ever. And a mouse that floods a guest.

use std::time::Duration;

use grantway::control::{InputAction, InputStatus, Response};
use grantway::sim::display_front::DisplayFront;
use grantway::sim::front::{Guest, now};
use grantway::sim::keyboard_front::KeyboardFront;
use grantway::xen::event_page::IN_CONS;
use grantway::xen::xenbus::XenbusState;

use crate::desk::{Desk, wait_for};
use crate::input::chord;

const LIMIT: Duration = Duration::from_secs(60);
const LEFT: u32 = 0x110;
const SHIFT: u32 = 42;
const CAPS: u32 = 58;
const TAB: u32 = 15;

/// What one request types: far more than a guest's page and our queue hold.
const TYPED: usize = 2000;

/// What the compositor may need more after a flood than before it.
const GROWTH: u64 = 4 << 20;

/// A guest that a test leads by the hand.
struct Led {
    display: DisplayFront,
    keyboard: KeyboardFront,
}

impl Led {
    fn start(desk: &Desk, name: &str) -> Self {
        let devices = ["vkb:backend-type=linux,backend=0", "backend=0,be-alloc=0,connectors=a:320x240"];
        let guest = Guest::start(&desk.xen(), name, &devices, 1024).unwrap();
        let mut display = DisplayFront::new(guest, 0, 1);
        let keyboard = KeyboardFront::connect(&mut display.guest, 0, LIMIT).unwrap();
        display.connect(LIMIT).unwrap();
        Self { display, keyboard }
    }

    /// Its driver is loaded anew, and asks for what stands in its directory then.
    fn reconnect(&mut self) {
        let Self { display, keyboard } = self;
        keyboard.set_state(&mut display.guest, XenbusState::Initialising).unwrap();
        wait_for("the backend to wait", || {
            let state = keyboard.backend_state(&mut display.guest).unwrap();
            (state == XenbusState::InitWait).then_some(())
        });
        keyboard.set_state(&mut display.guest, XenbusState::Initialised).unwrap();
        keyboard.await_connected(&mut display.guest, now() + LIMIT).unwrap();
    }

    /// Reads all that there is for it.
    fn drain(&mut self, desk: &mut Desk, name: &str) {
        wait_for("all to be read", || {
            self.keyboard.take_events().unwrap();
            (input_of(desk, name).waiting == 0).then_some(())
        });
        self.keyboard.take_events().unwrap();
        assert_eq!(self.keyboard.oops, None);
    }
}

/// Types so many letters that none of a guest's own can take them all at once.
fn flood(desk: &mut Desk, name: &str) {
    let text = InputAction::Text("ab".repeat(TYPED / 2));
    assert_eq!(desk.input_to(name, text), Response::Done);
}

fn input_of(desk: &mut Desk, name: &str) -> InputStatus {
    wait_for("the guest's input device", || desk.find_guest(name)?.inputs.into_iter().next())
}

/// A good guest, which is told of one key a turn, and what the bad one does meanwhile.
fn beside_a_good_one(name: &str, turns: u32, mut bad: impl FnMut(&mut Desk, &mut Led, u32)) -> (Desk, Led) {
    let mut desk = Desk::new(&["--output", "1280x720@60"]);
    let mut good = Led::start(&desk, "good");
    let mut led = Led::start(&desk, name);
    for name in ["good", name] {
        desk.wait_connector(name, 0, |connector| connector.window.is_some());
    }
    let mut tap = |desk: &mut Desk| {
        assert_eq!(desk.input_to("good", InputAction::Text("a".to_owned())), Response::Done);
        wait_for("the key", || {
            good.keyboard.take_events().unwrap();
            (good.keyboard.log.len() >= 2).then_some(())
        });
        assert_eq!(good.keyboard.take_log(), ["keyboard KEY 30 1", "keyboard KEY 30 0"]);
    };
    tap(&mut desk);
    let (before, lines) = (desk.memory(), desk.log().len());
    for turn in 0..turns {
        bad(&mut desk, &mut led, turn);
        tap(&mut desk);
    }
    let after = desk.memory();
    assert!(after < before + GROWTH, "{before} bytes before, {after} after");
    let said: Vec<String> = desk.log().split_off(lines);
    assert_eq!(said.len(), 1, "one line: {said:?}");
    assert!(said[0].contains("WARN") && said[0].contains(&format!("\"{name}\"")), "{said:?}");
    (desk, led)
}

#[test]
fn a_guest_that_never_reads_its_input_costs_one_line_and_no_memory() {
    let (mut desk, mut led) = beside_a_good_one("never", 20, |desk, _, _| flood(desk, "never"));
    let line = desk.log().pop().unwrap();
    assert!(line.contains("does not read its input"), "{line}");
    let status = input_of(&mut desk, "never");
    assert!(status.presses_dropped > 1000, "{status:?}");
    assert!(status.waiting <= 256 + 2, "{status:?}");
    // It reads at last: nothing is held.
    led.drain(&mut desk, "never");
    assert!(led.keyboard.events > 256, "{} events", led.keyboard.events);
    assert_eq!(led.keyboard.view.keys.len(), 0, "{:?}", led.keyboard.view);
    desk.quit();
}

#[test]
fn a_guest_that_writes_garbage_into_its_page_costs_one_line_and_no_memory() {
    let (mut desk, _) = beside_a_good_one("garbage", 20, |desk, led, turn| {
        let page = led.keyboard.page().unwrap();
        for round in 0..50_u32 {
            let garbage = (turn * 50 + round + 1).wrapping_mul(0x9e37_79b9);
            // The indices, and both rings.
            for offset in (0..16).step_by(4).chain((1024..4096).step_by(64)) {
                page.store_u32(offset, garbage.rotate_left(u32::try_from(offset % 31).unwrap())).unwrap();
            }
            page.store_u32(IN_CONS, 0x8000_0000 | garbage).unwrap();
            led.keyboard.notify().unwrap();
        }
        assert_eq!(desk.input_to("garbage", InputAction::Text("a".to_owned())), Response::Done);
        flood(desk, "garbage");
    });
    let line = desk.log().pop().unwrap();
    assert!(line.contains("in_cons makes no sense"), "{line}");
    let status = input_of(&mut desk, "garbage");
    assert!(status.waiting <= 256 + 2 && status.presses_dropped > 1000, "{status:?}");
    desk.quit();
}

#[test]
fn a_guest_that_asks_for_what_there_is_not_costs_one_line() {
    let (mut desk, mut led) = beside_a_good_one("wishing", 20, |desk, led, turn| {
        let directory = led.keyboard.directory().to_owned();
        let values = ["4294967295", "-1", "yes", "99999999999999999999"];
        let value = values[usize::try_from(turn).unwrap() % values.len()];
        for key in ["request-raw-pointer", "request-multi-touch", "request-everything", "feature-raw-pointer", "width"]
        {
            led.display.guest.store().write(&format!("{directory}/{key}"), value).unwrap();
        }
        led.reconnect();
        // It may have held anything before.
        led.drain(desk, "wishing");
        assert_eq!(desk.input_to("wishing", InputAction::Text("a".to_owned())), Response::Done);
        led.drain(desk, "wishing");
        assert!(led.keyboard.take_log().ends_with(&["keyboard KEY 30 1".to_owned(), "keyboard KEY 30 0".to_owned()]));
    });
    let line = desk.log().pop().unwrap();
    assert!(line.contains("request-raw-pointer") && line.contains("does without"), "{line}");
    let status = input_of(&mut desk, "wishing");
    assert!(!status.takes.iter().any(|takes| takes.contains("raw")), "{status:?}");
    // It works with what it was offered.
    led.keyboard.take_log();
    assert_eq!(desk.input_to("wishing", InputAction::Pointer { x: 319, y: 239 }), Response::Done);
    led.keyboard.take_until(LIMIT, |view| view.position == Some((319, 239))).unwrap();
    desk.quit();
}

#[test]
fn a_mouse_that_floods_a_guest_costs_few_notifies_and_no_button() {
    let mut desk = Desk::new(&["--output", "1280x720@60"]);
    let mut led = Led::start(&desk, "web");
    let window = desk.wait_connector("web", 0, |connector| connector.window.is_some()).window.unwrap();
    let place = |step: i32| InputAction::Pointer { x: window.x + step % 320, y: window.y + step % 240 };
    desk.input(place(0));
    wait_for("the first position", || (led.keyboard.take_events().unwrap() > 0).then_some(()));
    led.keyboard.take_log();
    let before = input_of(&mut desk, "web");
    // As fast as it goes, for long enough that a mouse of 1 kHz would have moved a thousand times.
    let (start, mut steps, mut clicks) = (now(), 0, 0);
    while steps < 1000 || now() < start + Duration::from_secs(1) {
        steps += 1;
        desk.input(place(steps));
        if steps % 100 == 50 {
            desk.input(InputAction::Key { code: LEFT, pressed: None });
            clicks += 1;
        }
        led.keyboard.take_events().unwrap();
    }
    let took = now() - start;
    let last = (steps % 320, steps % 240);
    led.keyboard.take_until(LIMIT, |view| view.position == Some(last)).unwrap();
    let buttons: Vec<String> =
        led.keyboard.take_log().into_iter().filter(|line| line.starts_with("pointer KEY")).collect();
    let every = ["pointer KEY 272 1", "pointer KEY 272 0"];
    assert_eq!(buttons, every.into_iter().cycle().take(2 * clicks).collect::<Vec<_>>());
    let status = input_of(&mut desk, "web");
    let notifies = status.notifies - before.notifies;
    let batches = u64::try_from(took.as_millis() / 4).unwrap() + 2 + u64::try_from(2 * clicks).unwrap();
    assert!(notifies <= batches, "{notifies} notifies in {took:?}");
    assert!(notifies <= status.events - before.events, "no notify without an event");
    assert_eq!((status.motion_dropped, status.presses_dropped), (0, 0));
    desk.quit();
}

#[test]
fn what_a_guest_has_not_read_when_it_loses_the_focus_it_never_sees() {
    let mut desk = Desk::new(&["--output", "1280x720@60"]);
    let mut led = Led::start(&desk, "slow");
    let _other = Led::start(&desk, "other");
    desk.wait_connector("slow", 0, |connector| connector.window.is_some());
    desk.wait_connector("other", 0, |connector| connector.window.is_some());
    wait_for("the focus", || (desk.status().focus?.name == "slow").then_some(()));
    desk.input(InputAction::Key { code: SHIFT, pressed: Some(true) });
    desk.input(InputAction::Text("a".repeat(100)));
    assert!(input_of(&mut desk, "slow").waiting > 100);
    chord(&mut desk, TAB);
    assert_eq!(desk.status().focus.unwrap().name, "other");
    // Shift's release, and that of a letter that the full page may have cut off from its press.
    let waiting = input_of(&mut desk, "slow").waiting;
    assert!((1..=2).contains(&waiting), "{waiting} wait");
    led.drain(&mut desk, "slow");
    assert!(led.keyboard.view.keys.is_empty() && led.keyboard.events < 60, "{} events", led.keyboard.events);
    desk.quit();
}

#[test]
fn a_device_that_connects_anew_is_told_of_the_lock_anew() {
    let mut desk = Desk::new(&["--output", "1280x720@60"]);
    let mut led = Led::start(&desk, "web");
    wait_for("the focus", || desk.status().focus?.keyboard.then_some(()));
    let tap = ["keyboard KEY 58 1", "keyboard KEY 58 0"];
    desk.input(InputAction::Key { code: CAPS, pressed: None });
    led.drain(&mut desk, "web");
    assert_eq!(led.keyboard.take_log(), tap);
    // A driver that is loaded anew has a page of its own, and all locks off; so has one whose domain was restored,
    // which does not go through Initialising.
    for restored in [false, true] {
        led.keyboard.publish(&mut led.display.guest).unwrap();
        if restored {
            led.keyboard.set_state(&mut led.display.guest, XenbusState::Initialised).unwrap();
        } else {
            led.reconnect();
        }
        wait_for("the lock", || {
            led.keyboard.take_events().unwrap();
            (led.keyboard.log.len() >= 2).then_some(())
        });
        assert_eq!(led.keyboard.take_log(), tap, "restored: {restored}");
    }
    desk.quit();
}

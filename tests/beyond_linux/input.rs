// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user does, by `grantway msg input`, and what is to be seen of it.

use std::time::{Duration, Instant};

use grantway::control::{ConnectorStatus, InputAction, Response, TouchPhase, WindowStatus};
use grantway::scene::decoration::RING_COLOR;

use crate::desk::{Desk, Picture, Rgb, wait_for};

const RIGHT_CTRL: u32 = 97;
const ESC: u32 = 1;
const TAB: u32 = 15;
const F: u32 = 33;
const LEFT: u32 = 0x110;

const RING: Rgb = [RING_COLOR.red, RING_COLOR.green, RING_COLOR.blue];
const CONFIG: &str = "[guest.web]\ncolor = \"#a03020\"\n[guest.map]\ncolor = \"#20a030\"\n";
const WEB: Rgb = [0xa0, 0x30, 0x20];
const MAP: Rgb = [0x20, 0xa0, 0x30];

fn tap(desk: &mut Desk, code: u32) {
    desk.input(InputAction::Key { code, pressed: None });
}

pub(crate) fn chord(desk: &mut Desk, code: u32) {
    desk.input(InputAction::Key { code: RIGHT_CTRL, pressed: Some(true) });
    tap(desk, code);
    desk.input(InputAction::Key { code: RIGHT_CTRL, pressed: Some(false) });
}

fn place(connector: ConnectorStatus) -> WindowStatus {
    connector.window.unwrap()
}

fn two_guests() -> (Desk, Vec<crate::desk::Guest>, WindowStatus, WindowStatus) {
    let config = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(config.path(), CONFIG).unwrap();
    let mut desk = Desk::new(&["--output", "1280x720@240", "--config", config.path().to_str().unwrap()]);
    let mut guests = Vec::new();
    for (name, size) in [("web", "640x480"), ("map", "400x300")] {
        let connector = format!("a:{size}");
        let still = ["--connectors", &connector, "--pattern", "bars", "--flips", "2", "--linger"];
        guests.push(desk.guest(name, &still));
        desk.wait_connector(name, 0, |connector| connector.events == 2);
    }
    let (web, map) = (desk.wait_connector("web", 0, |_| true), desk.wait_connector("map", 0, |_| true));
    (desk, guests, place(web), place(map))
}

fn colours(picture: &Picture, window: &WindowStatus) -> Vec<Rgb> {
    let at = |x: i32, y: i32| picture.at(u32::try_from(window.x + x).unwrap(), u32::try_from(window.y + y).unwrap());
    let mut colours: Vec<Rgb> = (0..window.width).flat_map(|x| [at(x, 0), at(x, window.height - 1)]).collect();
    colours.sort_unstable();
    colours.dedup();
    colours
}

#[test]
fn secure_attention_covers_every_guest_and_says_who_owns_what() {
    let (mut desk, _guests, web, map) = two_guests();
    let before = desk.output_picture();
    assert!(colours(&before, &web).len() > 4, "the guest's bars are shown");
    desk.input(InputAction::Pointer { x: web.x + 500, y: web.y + 300 });
    chord(&mut desk, ESC);
    assert!(desk.status().secure_attention);
    wait_for("the covers", || (colours(&desk.output_picture(), &web) == [WEB]).then_some(()));
    let picture = desk.keep_picture("secure-attention.png");
    assert_eq!(colours(&picture, &map), [MAP]);
    let written = |window: &WindowStatus, ground: Rgb| {
        let at = |x: i32, y: i32| picture.at(u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
        let columns = window.x..window.x + window.width;
        let middle = window.y + window.height / 2;
        let lines = middle - 50..middle + 50;
        lines.flat_map(|y| columns.clone().map(move |x| (x, y))).filter(|(x, y)| at(*x, *y) != ground).count()
    };
    assert!(written(&web, WEB) > 400 && written(&map, MAP) > 400, "both are labelled");
    desk.fullscreen(Some("web"));
    wait_for("the cover of all", || (desk.output_picture().at(640, 130) == WEB).then_some(()));
    desk.keep_picture("secure-attention-full-screen.png");
    desk.fullscreen(None);
    tap(&mut desk, ESC);
    assert!(!desk.status().secure_attention);
    wait_for("the guests' pictures", || (colours(&desk.output_picture(), &web).len() > 4).then_some(()));
    desk.quit();
}

#[test]
fn the_cursor_follows_and_leaves_nothing_behind() {
    let (mut desk, _guests, web, _) = two_guests();
    let plain = desk.output_picture();
    let (x, y) = (web.x + 300, web.y + 200);
    let at = |x: i32, y: i32| (u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
    let point = at(x, y);
    desk.input(InputAction::Pointer { x, y });
    wait_for("the cursor", || (desk.output_picture().at(point.0, point.1) == [0; 3]).then_some(()));
    let shown = desk.keep_picture("cursor.png");
    assert_eq!(shown.at(point.0 + 1, point.1 + 4), [255; 3]);
    desk.input(InputAction::Motion { dx: -250, dy: -150 });
    let moved = at(x - 250, y - 150);
    wait_for("the cursor elsewhere", || (desk.output_picture().at(moved.0, moved.1) == [0; 3]).then_some(()));
    let picture = desk.output_picture();
    for (dx, dy) in (0..12).flat_map(|dx| (0..19).map(move |dy| (dx, dy))) {
        let (x, y) = (point.0 + dx, point.1 + dy);
        assert_eq!(picture.at(x, y), plain.at(x, y), "{x},{y}");
    }
    desk.quit();
}

#[test]
fn the_focus_moves_by_click_and_by_chord() {
    let (mut desk, _guests, web, map) = two_guests();
    let focus = |desk: &mut Desk| desk.status().focus.map(|focus| focus.name);
    assert_eq!(focus(&mut desk).as_deref(), Some("web"));
    for (window, name) in [(&map, "map"), (&web, "web")] {
        desk.input(InputAction::Pointer { x: window.x + 5, y: window.y + 5 });
        desk.input(InputAction::Key { code: LEFT, pressed: None });
        assert_eq!(focus(&mut desk).as_deref(), Some(name));
    }
    chord(&mut desk, TAB);
    assert_eq!(focus(&mut desk).as_deref(), Some("map"));
    chord(&mut desk, TAB);
    assert_eq!(focus(&mut desk).as_deref(), Some("web"));
    chord(&mut desk, F);
    wait_for("full screen", || (desk.output_picture().at(0, 0) == [0; 3]).then_some(()));
    chord(&mut desk, TAB);
    assert_eq!(focus(&mut desk).as_deref(), Some("map"), "the next guest is full screen instead");
    assert!(desk.wait_connector("web", 0, |_| true).window.is_none());
    chord(&mut desk, F);
    desk.wait_connector("web", 0, |connector| connector.window.is_some());
    desk.quit();
}

#[test]
fn input_for_one_guest_is_refused_where_no_device_could_reach_it() {
    let (mut desk, _guests, ..) = two_guests();
    let refusal = |desk: &mut Desk, name, code| match desk.input_to(name, InputAction::Key { code, pressed: None }) {
        Response::Error(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(refusal(&mut desk, "web", 30).contains("no input device"));
    assert!(refusal(&mut desk, "nobody", 30).contains("no connected guest \"nobody\""));
    desk.fullscreen(Some("map"));
    assert!(refusal(&mut desk, "web", 30).contains("not shown"));
    desk.quit();
}

#[test]
fn the_terminate_chord_ends_the_session_well() {
    let (mut desk, guests, ..) = two_guests();
    chord_without_answer(&mut desk);
    desk.wait_end();
    drop(guests);
}

/// The last of it may come after the end.
fn chord_without_answer(desk: &mut Desk) {
    desk.input(InputAction::Key { code: RIGHT_CTRL, pressed: Some(true) });
    desk.input(InputAction::Key { code: 14, pressed: Some(true) });
}

#[test]
fn no_ring_without_a_keyboard() {
    let (mut desk, _guests, web, _) = two_guests();
    let picture = desk.output_picture();
    assert_ne!(ring(&picture, &web), RING, "this guest has no input device");
    desk.quit();
}

/// What lies where the ring would be.
fn ring(picture: &Picture, window: &WindowStatus) -> Rgb {
    picture.at(u32::try_from(window.x).unwrap() - 5, u32::try_from(window.y).unwrap() + 10)
}

fn text_lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

fn seen(report: &serde_json::Value) -> Vec<String> {
    assert_eq!(report["error"], serde_json::Value::Null, "{report}");
    assert_eq!(report["oops"], serde_json::Value::Null, "{report}");
    report["input"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// Motion that comes faster than 250 times a second is added up.
fn a_moment() {
    let mut rounds = 0;
    wait_for("a moment", || {
        rounds += 1;
        (rounds > 3).then_some(())
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, and what is seen of it")]
fn what_the_user_does_is_what_the_right_guests_programs_see() {
    let mut desk = Desk::new(&["--output", "1280x720@240"]);
    let mut guests = Vec::new();
    for (name, size) in [("web", "640x480"), ("map", "400x300")] {
        let connector = format!("a:{size}");
        guests.push(desk.guest(name, &["--connectors", &connector, "--keyboard", "--fps", "20", "--seconds", "12"]));
        let ready = |guest: &grantway::control::GuestStatus| {
            guest.connectors.iter().any(|connector| connector.events > 0)
                && guest.inputs.iter().any(|input| input.takes.iter().any(|takes| takes == "keyboard"))
        };
        wait_for("the guest", || desk.find_guest(name).filter(ready));
    }
    let web = place(desk.wait_connector("web", 0, |_| true));
    let map = place(desk.wait_connector("map", 0, |_| true));
    assert!(desk.status().focus.is_some_and(|focus| focus.name == "web" && focus.keyboard));
    wait_for("the ring", || (ring(&desk.output_picture(), &web) == RING).then_some(()));
    desk.input(InputAction::Text("Hi".to_owned()));
    for (x, y) in [(0, 0), (639, 0), (0, 479), (639, 479), (320, 240)] {
        desk.input(InputAction::Pointer { x: web.x + x, y: web.y + y });
        a_moment();
    }
    for code in [LEFT, LEFT + 1, LEFT + 2] {
        tap(&mut desk, code);
    }
    // However fast: a click is not undone by one the other way.
    for v120 in [120, -120, 60, 60] {
        desk.input(InputAction::Wheel { v120 });
    }
    // Shift and a button are held while the focus moves.
    for pressed in [true, false] {
        desk.input(InputAction::Key { code: 42, pressed: Some(pressed) });
        desk.input(InputAction::Key { code: LEFT, pressed: Some(pressed) });
        if pressed {
            chord(&mut desk, TAB);
        }
    }
    tap(&mut desk, 30);
    desk.keep_picture("focus.png");
    desk.input(InputAction::Pointer { x: map.x + 5, y: map.y + 6 });
    tap(&mut desk, LEFT);
    assert_eq!(desk.input_to("web", InputAction::Key { code: 48, pressed: None }), Response::Done);
    chord(&mut desk, ESC);
    tap(&mut desk, 30);
    tap(&mut desk, ESC);
    for (contact, window) in [(0, &map), (1, &web)] {
        let (x, y) = (window.x + 6, window.y + 7);
        desk.input(InputAction::Touch { contact, phase: TouchPhase::Down, x, y });
    }
    for contact in [0, 1] {
        desk.input(InputAction::Touch { contact, phase: TouchPhase::Up, x: 0, y: 0 });
    }
    let fingers = [
        "touch ABS_MT_TRACKING_ID 0 1",
        "touch ABS_MT_POSITION_X 0 6",
        "touch ABS_MT_POSITION_Y 0 7",
        "touch SYN_REPORT 0 0",
        "touch ABS_MT_TRACKING_ID 0 -1",
        "touch SYN_REPORT 0 0",
    ];
    let web_sees = [
        "keyboard KEY 42 1",
        "keyboard KEY 35 1",
        "keyboard KEY 35 0",
        "keyboard KEY 42 0",
        "keyboard KEY 23 1",
        "keyboard KEY 23 0",
        "pointer ABS_X 0 0",
        "pointer ABS_Y 0 0",
        "pointer ABS_X 0 639",
        "pointer ABS_X 0 0",
        "pointer ABS_Y 0 479",
        "pointer ABS_X 0 639",
        "pointer ABS_X 0 320",
        "pointer ABS_Y 0 240",
        "pointer KEY 272 1",
        "pointer KEY 272 0",
        "pointer KEY 273 1",
        "pointer KEY 273 0",
        "pointer KEY 274 1",
        "pointer KEY 274 0",
        "pointer REL_WHEEL 0 -1",
        "pointer REL_WHEEL 0 1",
        "pointer REL_WHEEL 0 -1",
        "keyboard KEY 42 1",
        "pointer KEY 272 1",
        "keyboard KEY 42 0",
        "pointer KEY 272 0",
        "keyboard KEY 48 1",
        "keyboard KEY 48 0",
    ];
    let map_sees = [
        "keyboard KEY 30 1",
        "keyboard KEY 30 0",
        "pointer ABS_X 0 5",
        "pointer ABS_Y 0 6",
        "pointer KEY 272 1",
        "pointer KEY 272 0",
    ];
    let map_report = guests.pop().unwrap().report();
    assert_eq!(seen(&map_report), text_lines(&[&map_sees[..], &fingers].concat()));
    assert_eq!(seen(&guests.pop().unwrap().report()), text_lines(&[&web_sees[..], &fingers].concat()));
    desk.quit();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
fn displays_that_went_off_are_switched_on_by_a_key_that_is_nobodys() {
    const IDLE: Duration = Duration::from_secs(2);
    let config = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(config.path(), format!("[idle]\noff-after-seconds = {}\n", IDLE.as_secs())).unwrap();
    let mut desk = Desk::new(&["--output", "1280x720@240", "--config", config.path().to_str().unwrap()]);
    wait_for("the displays to go off", || desk.status().outputs[0].off.then_some(()));
    // A guest is served all the same, at the pace of what nobody sees.
    let guest = desk.guest("web", &["--connectors", "a:640x480", "--flips", "20", "--linger"]);
    desk.wait_connector("web", 0, |connector| connector.events == 20);
    let asked = Instant::now();
    chord(&mut desk, ESC);
    let status = desk.status();
    assert!(!status.secure_attention, "the reserved key went to nobody");
    assert!(!status.outputs[0].off || asked.elapsed() >= IDLE);
    wait_for("secure attention", || {
        chord(&mut desk, ESC);
        desk.status().secure_attention.then_some(())
    });
    drop(guest);
    desk.quit();
}

#[test]
fn a_guests_screenshot_is_its_own_pixels_wherever_they_are_shown() {
    let mut desk = Desk::new(&["--output", "1280x720@240"]);
    let guest = desk.guest("web", &["--connectors", "a:300x200", "--pattern", "bars", "--flips", "2", "--linger"]);
    desk.wait_connector("web", 0, |connector| connector.events == 2);
    let whole = |picture: &Picture| {
        let places = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
        places.map(|(x, y)| picture.at(x, y)).collect::<Vec<_>>()
    };
    let before = desk.picture_of("web", 0);
    assert_eq!((before.width, before.height), (300, 200));
    let window = desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    // The pointer over it, and then a corner of its window dragged.
    desk.input(InputAction::Pointer { x: window.x + 10, y: window.y + 10 });
    assert!(whole(&desk.picture_of("web", 0)) == whole(&before));
    desk.input(InputAction::Pointer { x: window.x + window.width + 1, y: window.y + window.height + 1 });
    desk.input(InputAction::Key { code: LEFT, pressed: Some(true) });
    desk.input(InputAction::Pointer { x: window.x + 500, y: window.y + 400 });
    desk.input(InputAction::Key { code: LEFT, pressed: Some(false) });
    let scaled = desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    assert!(scaled.width > window.width, "{scaled:?}");
    assert!(whole(&desk.picture_of("web", 0)) == whole(&before));
    drop(guest);
    desk.quit();
}

#[test]
fn of_two_displays_one_that_was_switched_off_stays_off_until_both_are() {
    let mut desk = Desk::new(&["--output", "640x480", "--output", "800x600"]);
    let off = |desk: &mut Desk| desk.status().outputs.iter().map(|output| output.off).collect::<Vec<_>>();
    let name = |desk: &mut Desk, index: usize| desk.status().outputs[index].name.clone();
    let (left, right) = (name(&mut desk, 0), name(&mut desk, 1));
    desk.switch_output(&right, false);
    desk.input(InputAction::Pointer { x: 10, y: 10 });
    assert_eq!(off(&mut desk), [false, true]);
    desk.switch_output(&left, false);
    desk.input(InputAction::Pointer { x: 20, y: 20 });
    assert_eq!(off(&mut desk), [false, false]);
    desk.quit();
}

#[test]
fn what_is_left_of_a_guest_is_closed_by_a_click_and_replaced_by_the_guest() {
    let (mut desk, mut guests, web, map) = two_guests();
    let shown = |picture: &Picture, window: &WindowStatus| {
        picture.at(u32::try_from(window.x + 4).unwrap(), u32::try_from(window.y + 4).unwrap())
    };
    let before = desk.output_picture();
    for guest in guests.drain(..) {
        guest.kill();
    }
    desk.wait_gone("web");
    desk.wait_gone("map");
    wait_for("the last pictures", || (shown(&desk.output_picture(), &map) != shown(&before, &map)).then_some(()));
    let left = desk.keep_picture("guests-stopped.png");
    let dimmed = |window: &WindowStatus| {
        shown(&before, window).into_iter().zip(shown(&left, window)).all(|(before, left)| left <= before)
    };
    assert!(dimmed(&web) && dimmed(&map));
    desk.input(InputAction::Pointer { x: map.x + 5, y: map.y + 5 });
    desk.input(InputAction::Key { code: LEFT, pressed: None });
    wait_for("one to be gone", || {
        let picture = desk.output_picture();
        (shown(&picture, &map) != shown(&left, &map) && shown(&picture, &web) == shown(&left, &web)).then_some(())
    });
    let guest = desk.guest("web", &["--connectors", "a:640x480", "--pattern", "bars", "--flips", "2", "--linger"]);
    desk.wait_connector("web", 0, |connector| connector.events == 2);
    wait_for("its picture", || (shown(&desk.output_picture(), &web) == shown(&before, &web)).then_some(()));
    drop(guest);
    desk.quit();
}

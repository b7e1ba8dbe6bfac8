// SPDX-License-Identifier: GPL-3.0-or-later
//! Dom0's own Wayland clients beside a guest, as a user would have them: the compositor, the guest and the clients
//! over their true protocols (docs/desktop.md).
#![cfg(all(feature = "sim", feature = "compositor"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, in its helpers too"
)]

mod activation;
mod awake;
mod capture;
mod constraint;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../beyond_linux/desk.rs"]
mod desk;
mod idle;
mod layer;
mod listing;
mod lock;
mod pointer;
mod quiet;
mod sandbox;
mod shell;
mod tiling;
mod times;
mod typing;
mod window;
mod wishes;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use desk::{Desk, Guest, Rgb, wait_for};
use grantway::control::{AreaStatus, ClientStatus, InputAction};
use tempfile::TempDir;
use window::Window;

const RED: Rgb = [200, 16, 32];
const BLUE: Rgb = [16, 32, 200];
const LEFT: u32 = 0x110;
const KEY_A: u32 = 30;
const KEY_B: u32 = 48;
const LEFT_SHIFT: u32 = 42;
const RIGHT_CTRL: u32 = 97;
const TAB: u32 = 15;

struct Dom0 {
    desk: Desk,
    socket: PathBuf,
    _guest: Guest,
    _dir: TempDir,
}

impl Dom0 {
    /// A guest "web" on the left, and a socket for clients.
    fn new() -> Self {
        Self::configured("")
    }

    /// The same for clients that are privileged: this program is.
    fn privileged() -> Self {
        let program = std::env::current_exe().unwrap();
        Self::configured(&format!("[desktop]\nprivileged = [{program:?}]\n"))
    }

    fn configured(text: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let (socket, config) = (dir.path().join("wayland"), dir.path().join("config.toml"));
        std::fs::write(&config, text).unwrap();
        let arguments = ["--output", "1000x500@240", "--wayland", socket.to_str().unwrap(), "--config"];
        let mut desk = Desk::new(&[arguments.as_slice(), &[config.to_str().unwrap()]].concat());
        let guest = desk.guest(
            "web",
            &["--connectors", "a:300x200", "--pattern", "bars", "--flips", "2", "--linger", "--keyboard"],
        );
        desk.wait_connector("web", 0, |connector| connector.events == 2);
        wait_for("the guest's keyboard", || {
            let inputs = desk.find_guest("web")?.inputs;
            inputs.iter().any(|input| input.state == "connected").then_some(())
        });
        Self { desk, socket, _guest: guest, _dir: dir }
    }

    fn client(&mut self, title: &str) -> ClientStatus {
        let find = |status: grantway::control::Status| status.clients.into_iter().find(|client| client.title == title);
        wait_for(&format!("the window {title}"), || find(self.desk.status()).filter(|client| client.content.is_some()))
    }

    fn content(&mut self, title: &str) -> AreaStatus {
        self.client(title).content.unwrap()
    }

    fn click(&mut self, x: i32, y: i32) {
        self.desk.input(InputAction::Pointer { x, y });
        self.desk.input(InputAction::Key { code: LEFT, pressed: None });
    }

    fn key(&mut self, code: u32, pressed: bool) {
        self.desk.input(InputAction::Key { code, pressed: Some(pressed) });
    }

    fn guest_events(&mut self) -> u64 {
        self.desk.find_guest("web").unwrap().inputs.iter().map(|input| input.events).sum()
    }

    /// Waits until a pixel of the output has that colour.
    fn wait_pixel(&mut self, x: i32, y: i32, wanted: Rgb) {
        let (x, y) = (u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
        wait_for(&format!("{wanted:?} at {x},{y}"), || (self.desk.output_picture().at(x, y) == wanted).then_some(()));
    }
}

fn inside(area: AreaStatus, x: i32, y: i32) -> (i32, i32) {
    (area.x + x, area.y + y)
}

#[test]
fn a_client_is_seen_beside_a_guest_in_a_frame_that_no_guest_has() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "web dom 1", (240, 100), RED);
    let area = dom0.content("web dom 1");
    assert_eq!((area.width, area.height), (240, 100));
    for (x, y) in [(0, 0), (239, 99)] {
        let (x, y) = inside(area, x, y);
        dom0.wait_pixel(x, y, RED);
    }
    window.wait("shown");
    let told = window.take();
    assert!(told.contains(&"released".to_owned()) || told.is_empty(), "{told:?}");

    // A guest's bar has one colour where it has no text, a client's has two at both ends.
    let picture = dom0.desk.keep_picture("client-beside-guest.png");
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    let bar = |x: i32, y: i32| {
        let colors = (0..18).map(|step| picture.at(u32::try_from(x + step).unwrap(), u32::try_from(y - 20).unwrap()));
        colors.collect::<BTreeSet<Rgb>>()
    };
    let (left, right) = (bar(area.x, area.y), bar(area.x + 222, area.y));
    assert_eq!((left.len(), &left), (2, &right));
    let guests = bar(guest.x - 2, guest.y - 3);
    assert_eq!(guests.len(), 1);
    assert!(left.is_disjoint(&guests));
    let below = |area: AreaStatus| picture.at(u32::try_from(area.x).unwrap(), u32::try_from(area.y + 101).unwrap());
    assert!(!guests.contains(&below(area)));

    // Another size and colour.
    window.paint((180, 140), BLUE);
    let area = wait_for("the new size", || Some(dom0.content("web dom 1")).filter(|area| area.width == 180));
    let (x, y) = inside(area, 179, 139);
    dom0.wait_pixel(x, y, BLUE);

    // Gone with its client.
    drop(window);
    wait_for("its end", || dom0.desk.status().clients.is_empty().then_some(()));
    let (x, y) = inside(area, 90, 70);
    dom0.wait_pixel(x, y, [38, 44, 52]);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn keys_and_pointer_reach_the_client_or_the_guest_and_never_both() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    let area = dom0.content("notes");
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    window.wait("shown");
    // The user has done nothing since it came.
    window.wait("active");
    let told = window.take();
    assert!(told.iter().any(|told| told == "keyboard"), "{told:?}");

    let (x, y) = inside(area, 20, 30);
    dom0.click(x, y);
    window.wait("272 Released");
    let told = window.take();
    for line in ["pointer 20,30", "272 Pressed"] {
        assert!(told.iter().any(|told| told == line), "{line} in {told:?}");
    }
    assert!(dom0.client("notes").keyboard);
    let before = dom0.guest_events();
    dom0.desk.input(InputAction::Text("aB".to_owned()));
    dom0.desk.input(InputAction::Wheel { v120: 120 });
    window.wait("wheel 15");
    let keys = [
        (KEY_A, "Pressed"),
        (KEY_A, "Released"),
        (LEFT_SHIFT, "Pressed"),
        (KEY_B, "Pressed"),
        (KEY_B, "Released"),
        (LEFT_SHIFT, "Released"),
    ];
    let told: Vec<String> = window.take().into_iter().filter(|told| !told.starts_with("modifiers")).collect();
    let mut wanted: Vec<String> = keys.iter().map(|(code, state)| format!("{code} {state}")).collect();
    wanted.push("wheel 15".to_owned());
    assert_eq!(told, wanted);
    assert_eq!(dom0.guest_events(), before, "the guest was told of what was the client's");

    // What is held is released before the guest gets the keyboard, and the reserved key reaches nobody.
    dom0.key(KEY_A, true);
    dom0.key(RIGHT_CTRL, true);
    dom0.key(TAB, true);
    dom0.key(TAB, false);
    dom0.key(RIGHT_CTRL, false);
    window.wait("no keyboard");
    let told: Vec<String> = window.take().into_iter().filter(|told| !told.starts_with("modifiers")).collect();
    let order: Vec<usize> = [format!("{KEY_A} Pressed"), format!("{KEY_A} Released"), "no keyboard".to_owned()]
        .iter()
        .map(|line| told.iter().position(|told| told == line).unwrap_or_else(|| panic!("{line} in {told:?}")))
        .collect();
    assert!(order.is_sorted(), "{told:?}");
    for code in [RIGHT_CTRL, TAB] {
        assert!(!told.iter().any(|told| told.starts_with(&format!("{code} "))), "{told:?}");
    }
    dom0.key(KEY_A, false);

    dom0.click(guest.x + 10, guest.y + 10);
    let before = dom0.guest_events();
    dom0.desk.input(InputAction::Text("a".to_owned()));
    wait_for("the guest's keys", || (dom0.guest_events() > before).then_some(()));
    let told = window.take();
    assert!(!told.iter().any(|told| told.starts_with(&format!("{KEY_A} "))), "{told:?}");
    assert!(!dom0.client("notes").keyboard);
    dom0.desk.quit();
}

#[test]
fn a_popup_stays_within_its_windows_content() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "menu", (200, 100), RED);
    let area = dom0.content("menu");
    window.popup((-60, -60), (120, 120), BLUE);
    let (x, y) = inside(area, 5, 5);
    dom0.wait_pixel(x, y, BLUE);
    let picture = dom0.desk.keep_picture("popup.png");
    let size = dom0.content("menu");
    assert_eq!((size.width, size.height), (200, 100));
    for y in 0..500 {
        for x in 0..1000_i32 {
            let inside = (area.x..area.x + 200).contains(&x) && (area.y..area.y + 100).contains(&y);
            let color = picture.at(u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
            assert!(inside || color != BLUE, "the popup is seen at {x},{y}");
        }
    }
    // The client goes with its popup open.
    drop(window);
    wait_for("its end", || dom0.desk.status().clients.is_empty().then_some(()));
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn a_new_window_gets_the_keyboard_unless_the_user_does_something_else() {
    let mut dom0 = Dom0::new();
    let mut first = Window::open(&dom0.socket, "first", (100, 60), RED);
    first.wait("keyboard");
    // It has connected, and the user goes on typing into the first one.
    let mut second = Window::connect(&dom0.socket, "second");
    dom0.desk.input(InputAction::Text("a".to_owned()));
    second.paint((100, 60), BLUE);
    dom0.client("second");
    assert!(dom0.client("first").keyboard);
    drop((first, second));
    // What a guest is told counts as well.
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    let mut third = Window::connect(&dom0.socket, "third");
    dom0.click(guest.x + 5, guest.y + 5);
    third.paint((100, 60), BLUE);
    assert!(!dom0.client("third").keyboard);
    dom0.desk.quit();
}

#[test]
fn a_still_client_is_not_told_of_frames_and_nothing_is_drawn() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "still", (200, 100), RED);
    window.wait("shown");
    window.take();
    let frames = |dom0: &mut Dom0| dom0.desk.status().outputs[0].frames;
    // The guest's and the client's last changes may still be on their way.
    wait_for("rest", || {
        let before = frames(&mut dom0);
        for _ in 0..5 {
            window.take();
            dom0.desk.output_picture();
        }
        (frames(&mut dom0) == before).then_some(())
    });
    // The same picture once more: its client is told, and nothing is drawn.
    let before = frames(&mut dom0);
    window.paint((200, 100), RED);
    window.wait("shown");
    assert_eq!(frames(&mut dom0), before);
    assert_eq!(window.take().iter().filter(|told| *told == "shown").count(), 1);
    dom0.desk.quit();
}

#[test]
fn a_kiosk_takes_no_clients() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("kiosk.toml");
    std::fs::write(&config, "[[kiosk]]\nguest = \"web\"\noutput = \"panel\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantway"));
    command.arg("--config").arg(&config).args(["--headless", "--wayland", "auto"]);
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(message.contains("a kiosk has no place for Dom0's own Wayland clients"), "{message}");
}

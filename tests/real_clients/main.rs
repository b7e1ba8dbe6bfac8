// SPDX-License-Identifier: GPL-3.0-or-later
//! Programs of Debian's as Dom0's own clients, beside a guest: judged by what is seen of them and by what they print.
//! `make clients-test` installs them and runs this; without them the tests fail.
#![cfg(all(feature = "sim", feature = "compositor"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../beyond_linux/desk.rs"]
mod desk;
mod grim;
mod program;
mod user;

use std::collections::BTreeSet;

use desk::{Desk, Guest, Picture, Rgb, wait_for};
use grantway::control::{AreaStatus, InputAction, ScreenshotTarget, TouchPhase};
use program::Program;
use tempfile::TempDir;

const LEFT: u32 = 0x110;

/// Who may do more than show windows.
const PRIVILEGED: [&str; 6] = [
    "/usr/bin/grim",
    "/usr/bin/wf-recorder",
    "/usr/bin/wl-copy",
    "/usr/bin/wl-paste",
    "/usr/bin/swayidle",
    "/usr/bin/wtype",
];

struct Dom0 {
    desk: Desk,
    dir: TempDir,
    _guest: Guest,
    /// A guest's picture, before any client came.
    before: Vec<Rgb>,
}

impl Dom0 {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("wayland");
        let config = dir.path().join("grantway.toml");
        std::fs::write(&config, format!("[desktop]\nprivileged = {PRIVILEGED:?}\n")).unwrap();
        let (config, socket) = (config.to_str().unwrap(), socket.to_str().unwrap());
        let arguments = ["--config", config, "--output", "1600x1000@60", "--wayland", socket];
        let mut desk = Desk::new(&arguments);
        let guest = desk.guest("web", &["--connectors", "a:300x200", "--pattern", "bars", "--flips", "2", "--linger"]);
        desk.wait_connector("web", 0, |connector| connector.events == 2);
        let before = seen_of_guest(&mut desk);
        Self { desk, dir, _guest: guest, before }
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Program {
        Program::start(self.dir.path(), program, arguments)
    }

    /// Where the content is of the window with this title.
    fn content(&mut self, title: &str) -> AreaStatus {
        wait_for(&format!("the window {title}"), || {
            let clients = self.desk.status().clients;
            clients.into_iter().find(|client| client.title == title)?.content
        })
    }

    /// A window's content as the display shows it.
    fn look(&mut self, title: &str) -> Vec<Rgb> {
        let area = self.content(title);
        part(&self.desk.screenshot(ScreenshotTarget::FirstOutput), area)
    }

    /// Waits until a window's content satisfies `until`.
    fn wait_look(&mut self, title: &str, until: impl Fn(&[Rgb]) -> bool) {
        wait_for(&format!("the picture of {title}"), || until(&self.look(title)).then_some(()));
    }

    fn click(&mut self, title: &str) {
        let area = self.content(title);
        self.desk.input(InputAction::Pointer { x: area.x + area.width / 2, y: area.y + area.height / 2 });
        self.desk.input(InputAction::Key { code: LEFT, pressed: None });
    }

    /// A program was there, and the guest's picture is what it was.
    fn end(mut self, name: &str) {
        self.desk.keep_picture(&format!("real-{name}.png"));
        wait_for("the end of all windows", || self.desk.status().clients.is_empty().then_some(()));
        assert!(seen_of_guest(&mut self.desk) == self.before, "the guest's picture is another one");
        assert_eq!(self.desk.log(), Vec::<String>::new());
        self.desk.quit();
    }
}

/// What the display shows where the guest's picture is.
fn seen_of_guest(desk: &mut Desk) -> Vec<Rgb> {
    let window = desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    let area = AreaStatus { x: window.x, y: window.y, width: window.width, height: window.height };
    part(&desk.screenshot(ScreenshotTarget::FirstOutput), area)
}

fn all(picture: &Picture) -> Vec<Rgb> {
    let lines = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
    lines.map(|(x, y)| picture.at(x, y)).collect()
}

fn part(picture: &Picture, area: AreaStatus) -> Vec<Rgb> {
    let range = |from: i32, length: i32| u32::try_from(from).unwrap()..u32::try_from(from + length).unwrap();
    let across = range(area.x, area.width);
    range(area.y, area.height)
        .flat_map(|y| across.clone().map(move |x| (x, y)))
        .map(|(x, y)| picture.at(x, y))
        .collect()
}

fn colors(pixels: &[Rgb]) -> usize {
    pixels.iter().collect::<BTreeSet<_>>().len()
}

/// Waits for a window that goes on to change, as it should, and ends its program.
fn moves(name: &str, title: &str, (width, height): (i32, i32), least_colors: usize) {
    let mut dom0 = Dom0::new();
    let program = dom0.start(name, &[]);
    let area = dom0.content(title);
    assert_eq!((area.width, area.height), (width, height));
    dom0.wait_look(title, |pixels| colors(pixels) >= least_colors);
    let first = dom0.look(title);
    dom0.wait_look(title, |pixels| pixels != first);
    dom0.desk.keep_picture(&format!("real-{name}.png"));
    assert_eq!(program.stop(), "");
    dom0.end(&format!("{name}-gone"));
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn weston_simple_shm() {
    moves("weston-simple-shm", "simple-shm", (250, 250), 20);
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn weston_simple_damage() {
    moves("weston-simple-damage", "simple-damage", (300, 200), 3);
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn weston_simple_touch() {
    let mut dom0 = Dom0::new();
    let program = dom0.start("weston-simple-touch", &[]);
    let area = dom0.content("simple-touch");
    dom0.wait_look("simple-touch", |pixels| colors(pixels) == 1);
    // It draws where a finger is.
    let (x, y) = (area.x + area.width / 2, area.y + area.height / 2);
    dom0.desk.input(InputAction::Touch { contact: 0, phase: TouchPhase::Down, x, y });
    dom0.desk.input(InputAction::Touch { contact: 0, phase: TouchPhase::Motion, x: x + 9, y });
    dom0.wait_look("simple-touch", |pixels| colors(pixels) > 1);
    dom0.desk.input(InputAction::Touch { contact: 0, phase: TouchPhase::Up, x, y });
    assert_eq!(program.stop(), "");
    dom0.end("weston-simple-touch");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn weston_terminal() {
    let mut dom0 = Dom0::new();
    let script = dom0.dir.path().join("shell");
    std::fs::write(&script, "#!/bin/sh\nprintf '\\033[44m%800s' ''; read line; echo \"$line\" > \"$HOME/typed\"\n")
        .unwrap();
    program::make_executable(&script);
    let program = dom0.start("weston-terminal", &["--shell", script.to_str().unwrap()]);
    let title = wait_for("weston-terminal", || {
        Some(dom0.desk.status().clients.first().filter(|client| client.content.is_some())?.title.clone())
    });
    // A tenth of it is blue at least.
    dom0.wait_look(&title, |pixels| pixels.iter().filter(|[r, g, b]| b > r && b > g).count() * 10 > pixels.len());
    dom0.click(&title);
    dom0.type_line();
    assert!(!program.wait_end().contains("error"));
    assert_eq!(dom0.typed(), "ab\n");
    dom0.end("weston-terminal");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn foot() {
    let mut dom0 = Dom0::new();
    let script = "read line; echo \"$line\" > \"$HOME/typed\"";
    let arguments = ["-T", "typing", "-W", "40x10", "-o", "colors.background=204060", "sh", "-c", script];
    let program = dom0.start("foot", &arguments);
    dom0.wait_look("typing", |pixels| pixels.iter().filter(|pixel| **pixel == [0x20, 0x40, 0x60]).count() > 5000);
    dom0.click("typing");
    dom0.type_line();
    let printed = program.wait_end();
    assert!(printed.contains("using SSD decorations") && !printed.contains("err:"), "{printed}");
    assert_eq!(dom0.typed(), "ab\n");
    dom0.end("foot");
}

impl Dom0 {
    /// A, B and Enter.
    fn type_line(&mut self) {
        for code in [30, 48, 28] {
            self.desk.input(InputAction::Key { code, pressed: None });
        }
    }

    fn typed(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("typed")).unwrap()
    }
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn wl_copy_and_wl_paste() {
    let dom0 = Dom0::new();
    for (primary, text) in [(None, "from one to the other"), (Some("--primary"), "by the middle button")] {
        let arguments =
            |others: &[&'static str]| -> Vec<&str> { primary.into_iter().chain(others.iter().copied()).collect() };
        let mut copy = arguments(&["--foreground"]);
        copy.push(text);
        let source = dom0.start("wl-copy", &copy);
        // It ends with an error as long as nothing was copied.
        let paste = || dom0.start("wl-paste", &arguments(&["--no-newline"])).wait_result();
        wait_for("the text", || (paste().as_deref() == Ok(text)).then_some(()));
        assert_eq!(source.stop(), "");
    }
    dom0.end("wl-clipboard");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn wayland_info() {
    let dom0 = Dom0::new();
    let printed = dom0.start("wayland-info", &[]).wait_end();
    for wanted in [
        "name: headless-1",
        "width: 1600 px, height: 1000 px, refresh: 60.000 Hz",
        "capabilities: pointer keyboard touch",
        "presentation clock id: 1",
        "logical_width: 1600, logical_height: 1000",
        "'XR24'",
    ] {
        assert!(printed.contains(wanted), "{wanted} is not in:\n{printed}");
    }
    // It is not on the list.
    for hidden in ["zwlr_screencopy_manager_v1", "zwlr_data_control_manager_v1"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    dom0.end("wayland-info");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn gtk_4() {
    let mut dom0 = Dom0::new();
    let program = dom0.start("gtk4-demo", &["--run=entry_undo"]);
    dom0.wait_look("Undo and Redo", |pixels| colors(pixels) > 20);
    dom0.desk.keep_picture("real-gtk4.png");
    let printed = program.stop();
    assert!(!printed.contains("CRITICAL") && !printed.contains("Gdk-"), "{printed}");
    dom0.end("gtk4-gone");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn qt_6() {
    let mut dom0 = Dom0::new();
    let script = "
from PyQt6.QtWidgets import QApplication, QPushButton
app = QApplication([])
button = QPushButton('Press')
button.setWindowTitle('button')
button.setStyleSheet('background: #123456; border: none')
button.clicked.connect(lambda: print('pressed on', app.platformName(), flush=True))
button.resize(300, 200)
button.show()
app.exec()
";
    let program = dom0.start("/usr/bin/python3", &["-c", script]);
    dom0.wait_look("button", |pixels| pixels.iter().filter(|pixel| **pixel == [0x12, 0x34, 0x56]).count() > 50_000);
    dom0.click("button");
    wait_for("the click's effect", || (program.printed() == "pressed on wayland\n").then_some(()));
    program.stop();
    dom0.end("qt6");
}

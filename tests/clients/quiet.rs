// SPDX-License-Identifier: GPL-3.0-or-later
//! A desktop on which nothing happens, and one on which much has happened.

use std::time::Duration;

use tempfile::TempDir;

use crate::desk::{Desk, wait_for};
use crate::window::Window;
use crate::{BLUE, Dom0, RED};

#[test]
#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
fn a_desktop_on_which_nothing_happens_is_not_woken() {
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("wayland");
    let mut desk = Desk::new(&["--wayland", socket.to_str().unwrap()]);
    // Without a keyboard, whose simulated driver looks into xenstore, which here is the compositor's process, too.
    let guest = desk.guest("web", &["--connectors", "a:300x200", "--pattern", "bars", "--flips", "2", "--linger"]);
    desk.wait_connector("web", 0, |connector| connector.events == 2);
    let mut window = Window::open(&socket, "still", (200, 100), RED);
    window.wait("shown");
    // What has come about is written down a second later.
    std::thread::sleep(Duration::from_secs(3));
    let frames = desk.status().outputs[0].frames;
    // The compositor goes to sleep after the answer that it has just given.
    std::thread::sleep(Duration::from_secs(1));
    let before = desk.sleeps();
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!(desk.sleeps(), before, "the compositor was woken");
    assert_eq!(desk.status().outputs[0].frames, frames, "something was drawn");
    drop(guest);
    desk.quit();
}

#[test]
fn windows_that_come_and_go_leave_nothing_behind() {
    let mut dom0 = Dom0::new();
    let mut cycles = |count: u32| {
        for _ in 0..count {
            let mut window = Window::open(&dom0.socket, "cycle", (200, 100), RED);
            window.popup((10, 10), (50, 50), BLUE);
        }
        wait_for("their end", || dom0.desk.status().clients.is_empty().then_some(()));
        dom0.desk.memory()
    };
    // What is resident goes up and down by some hundred KiB: the least of some looks counts.
    cycles(200);
    let mut least = |looks: u32, windows: u32| (0..looks).map(|_| cycles(windows)).min().unwrap_or_default();
    let before = least(4, 50);
    least(5, 200);
    let after = least(4, 50);
    assert!(after <= before + before / 100, "{before} bytes before 1,000 more windows, {after} after them");
    dom0.desk.quit();
}

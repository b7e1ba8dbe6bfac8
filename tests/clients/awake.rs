// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that want the displays to stay on.

use std::time::Duration;

use grantway::control::InputAction;
use tempfile::TempDir;

use super::desk::{Desk, wait_for};
use super::window::Window;
use super::{BLUE, RED};

#[test]
#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
fn the_displays_stay_on_while_a_client_wants_that_whose_window_is_seen() {
    let dir = TempDir::new().unwrap();
    let (socket, config) = (dir.path().join("wayland"), dir.path().join("idle.toml"));
    std::fs::write(&config, "[idle]\noff-after-seconds = 1\n").unwrap();
    let (socket_name, config) = (socket.to_str().unwrap(), config.to_str().unwrap());
    let mut desk = Desk::new(&["--output", "1000x500@240", "--wayland", socket_name, "--config", config]);
    let mut window = Window::open(&socket, "film", (200, 100), RED);
    let inhibitor = window.stay_awake();
    // Whatever was before.
    desk.input(InputAction::Pointer { x: 900, y: 450 });
    std::thread::sleep(Duration::from_secs(3));
    assert!(!desk.status().outputs[0].off);
    inhibitor.destroy();
    window.hear();
    wait_for("the displays to go off", || desk.status().outputs[0].off.then_some(()));

    // A commit that nobody can see is never shown.
    window.take();
    window.paint_timed((200, 100), &[BLUE]);
    window.wait("discarded");

    // Off the screen it keeps nothing on.
    desk.input(InputAction::Pointer { x: 901, y: 450 });
    let _inhibitor = window.stay_awake();
    window.toplevel.set_minimized();
    window.hear();
    wait_for("the displays to go off", || desk.status().outputs[0].off.then_some(()));
    assert_eq!(desk.log(), Vec::<String>::new());
    desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that come through a sandbox's socket.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

use tempfile::TempDir;
use wayland_client::delegate_noop;
use wayland_protocols::wp::security_context::v1::client::wp_security_context_manager_v1::WpSecurityContextManagerV1;
use wayland_protocols::wp::security_context::v1::client::wp_security_context_v1::WpSecurityContextV1;

use super::desk::wait_for;
use super::window::{Told, Window};
use super::{BLUE, Dom0, RED, inside};

/// What only some may see.
const PRIVILEGED: [&str; 9] = [
    "grantway_guest_displays_v1",
    "zwlr_layer_shell_v1",
    "ext_session_lock_manager_v1",
    "wp_security_context_manager_v1",
    "zwlr_screencopy_manager_v1",
    "zwlr_data_control_manager_v1",
    "zwlr_foreign_toplevel_manager_v1",
    "ext_idle_notifier_v1",
    "zwp_virtual_keyboard_manager_v1",
];

delegate_noop!(Told: ignore WpSecurityContextManagerV1);
delegate_noop!(Told: ignore WpSecurityContextV1);

fn sees(window: &Window, interface: &str) -> bool {
    window.globals.contents().clone_list().iter().any(|global| global.interface == interface)
}

#[test]
fn a_sandboxed_client_has_a_window_and_none_of_the_privileged_protocols() {
    let mut dom0 = Dom0::privileged();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sandbox");
    let (listener, (ours, theirs)) = (UnixListener::bind(&path).unwrap(), UnixStream::pair().unwrap());
    let mut maker = Window::open(&dom0.socket, "maker", (100, 50), RED);
    assert!(PRIVILEGED.iter().all(|interface| sees(&maker, interface)));
    let handle = maker.queue.handle();
    let manager: WpSecurityContextManagerV1 = maker.globals.bind(&handle, 1..=1, ()).unwrap();
    let context = manager.create_listener(listener.as_fd(), theirs.as_fd(), &handle, ());
    context.set_sandbox_engine("org.example".to_owned());
    context.set_app_id("editor".to_owned());
    context.commit();
    maker.hear();
    drop((listener, theirs));

    // This program is listed, and still is not privileged there.
    let sandboxed = Window::open(&path, "boxed", (200, 100), BLUE);
    let area = dom0.content("boxed");
    let (x, y) = inside(area, 100, 50);
    dom0.wait_pixel(x, y, BLUE);
    let seen: Vec<&str> = PRIVILEGED.into_iter().filter(|interface| sees(&sandboxed, interface)).collect();
    assert_eq!(seen, Vec::<&str>::new());

    // Nobody comes any longer when its maker says so; who is there stays.
    drop(ours);
    wait_for("the socket's end", || UnixStream::connect(&path).is_err().then_some(()));
    dom0.wait_pixel(x, y, BLUE);

    // No socket is refused.
    let file = tempfile::tempfile().unwrap();
    let (_ours, theirs) = UnixStream::pair().unwrap();
    manager.create_listener(file.as_fd(), theirs.as_fd(), &handle, ());
    assert!(maker.queue.roundtrip(&mut Told::default()).is_err(), "a protocol error is due");
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

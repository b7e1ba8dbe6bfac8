// SPDX-License-Identifier: GPL-3.0-or-later
//! What the Wayland conformance suite (wlcs) loads: for each of its tests a compositor is started as a user would
//! start it, on the simulator, and told by its control socket what the user does (docs/wlcs.md).
#![allow(unsafe_code, reason = "the suite is a C++ program")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::not_unsafe_ptr_arg_deref,
    clippy::disallowed_methods,
    clippy::as_conversions,
    missing_debug_implementations,
    reason = "a test fails by panicking, and waits"
)]

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::os::raw::c_int;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use grantway::control::{AreaStatus, Client, InputAction, Request, Response, TouchPhase};
use tempfile::TempDir;
use wlcs::ffi_display_server_api::{WlcsExtensionDescriptor, WlcsIntegrationDescriptor, WlcsServerIntegration};
use wlcs::ffi_wrappers::wlcs_server;
use wlcs::{Pointer, Touch, Wlcs, extension_list, wlcs_server_integration};

wlcs_server_integration!(Grantway);

/// Where the suite's origin is on the output: its windows' frames, which lie around them, are on the output too.
const ORIGIN: (i32, i32) = (300, 300);

/// Far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Linux's code of the left button.
const LEFT: u32 = 0x110;

/// From a window's content to the middle of its title bar.
const TO_TITLE: (i32, i32) = (1, -12);

static EXTENSIONS: &[WlcsExtensionDescriptor] = extension_list!(
    ("wl_compositor", 6),
    ("wl_subcompositor", 1),
    ("wl_shm", 1),
    ("wl_data_device_manager", 3),
    ("wl_seat", 9),
    ("wl_output", 4),
    ("xdg_wm_base", 6),
    ("wp_viewporter", 1),
    ("zwp_primary_selection_device_manager_v1", 1),
    ("xdg_activation_v1", 1),
    ("zwp_relative_pointer_manager_v1", 1),
    ("zwp_pointer_constraints_v1", 1),
);

static DESCRIPTOR: WlcsIntegrationDescriptor = WlcsIntegrationDescriptor {
    version: 1,
    num_extensions: EXTENSIONS.len(),
    supported_extensions: EXTENSIONS.as_ptr(),
};

#[link(name = "wayland-client")]
unsafe extern "C" {
    fn wl_proxy_get_id(proxy: *mut wayland_sys::client::wl_proxy) -> u32;
}

/// A running compositor.
struct Desk {
    dir: TempDir,
    compositor: Child,
    client: Client,
    /// Where the suite has put the pointer last, on the output.
    pointer: (i32, i32),
}

impl Desk {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let program = std::env::var_os("GRANTWAY").expect("GRANTWAY names the program");
        let platform = format!("sim:{}", dir.path().join("xen.sock").display());
        let mut command = Command::new(program);
        command.args(["--platform", &platform, "--backend", "headless", "--log", "warn", "--output", "2400x1800@240"]);
        command.arg("--socket").arg(dir.path().join("control.sock"));
        command.arg("--wayland").arg(dir.path().join("wayland")).stdin(Stdio::null());
        let compositor = command.spawn().unwrap();
        let control = dir.path().join("control.sock");
        let client = wait("the compositor", || Client::connect(&control, PATIENCE).ok());
        let mut desk = Self { dir, compositor, client, pointer: (0, 0) };
        // Its outputs are there, and so is its Wayland socket.
        desk.status();
        desk
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("wayland")
    }

    fn status(&mut self) -> grantway::control::Status {
        match self.client.request(&Request::Status {}).unwrap() {
            Response::Status(status) => *status,
            other => panic!("{other:?} for a status"),
        }
    }

    fn input(&mut self, action: InputAction) {
        let answer = self.client.request(&Request::Input { guest: None, connector: 0, action }).unwrap();
        assert_eq!(answer, Response::Done);
    }

    fn button(&mut self, code: u32, pressed: bool) {
        self.input(InputAction::Key { code, pressed: Some(pressed) });
    }

    fn point(&mut self, (x, y): (i32, i32)) {
        self.input(InputAction::Pointer { x, y });
    }

    fn move_pointer(&mut self, to: (i32, i32)) {
        self.pointer = to;
        self.point(to);
    }

    /// Where the content of the newest window is that has this surface.
    fn content(&mut self, surface: u32) -> AreaStatus {
        wait("the window", || {
            let clients = self.status().clients;
            clients.into_iter().rev().find(|client| client.surface == surface)?.content
        })
    }

    /// Drags a window by its title bar, as a user does, which also gives it the keyboard.
    fn place(&mut self, surface: u32, (x, y): (i32, i32)) {
        let content = self.content(surface);
        let grip = |(x, y): (i32, i32)| (x + TO_TITLE.0, y + TO_TITLE.1);
        self.point(grip((content.x, content.y)));
        self.button(LEFT, true);
        self.point(grip((x, y)));
        self.button(LEFT, false);
        self.point(self.pointer);
        let content = self.content(surface);
        assert_eq!((content.x, content.y), (x, y), "the window is not where it was dragged");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ended_already = self.compositor.kill();
        let _reaped_already = self.compositor.wait();
    }
}

fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = ready() {
            return result;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The compositor of one test, shared by the devices that the suite makes.
type Shared = Rc<RefCell<Option<Desk>>>;

fn on_desk<T>(desk: &Shared, action: impl FnOnce(&mut Desk) -> T) -> T {
    action(desk.borrow_mut().as_mut().expect("the compositor runs"))
}

/// The suite's fixed-point numbers have 8 bits behind the point.
const fn pixels(fixed: c_int) -> i32 {
    fixed >> 8
}

/// A finger's place. The suite's version 1.5 gives whole pixels where its header says fixed-point numbers; no test
/// touches anything further out than this.
const fn finger(at: c_int) -> c_int {
    if at < 1 << 12 { at << 8 } else { at }
}

const fn on_output(x: c_int, y: c_int) -> (i32, i32) {
    (pixels(x) + ORIGIN.0, pixels(y) + ORIGIN.1)
}

/// The suite's view of a compositor.
pub struct Grantway {
    desk: Shared,
}

/// Its pointer.
pub struct Mouse(Shared);

/// Its finger.
pub struct Finger {
    desk: Shared,
    at: (i32, i32),
}

impl Wlcs for Grantway {
    type Pointer = Mouse;
    type Touch = Finger;

    fn new() -> Self {
        Self { desk: Shared::default() }
    }

    fn start(&mut self) {
        *self.desk.borrow_mut() = Some(Desk::start());
    }

    fn stop(&mut self) {
        self.desk.borrow_mut().take();
    }

    fn create_client_socket(&self) -> io::Result<OwnedFd> {
        let socket = on_desk(&self.desk, |desk| desk.socket());
        UnixStream::connect(socket).map(OwnedFd::from)
    }

    fn position_window_absolute(
        &self,
        _display: *mut wayland_sys::client::wl_display,
        surface: *mut wayland_sys::client::wl_proxy,
        x: i32,
        y: i32,
    ) {
        // SAFETY: the suite passes a proxy of its own that is alive.
        let surface = unsafe { wl_proxy_get_id(surface) };
        on_desk(&self.desk, |desk| desk.place(surface, (x + ORIGIN.0, y + ORIGIN.1)));
    }

    fn create_pointer(&mut self) -> Option<Mouse> {
        Some(Mouse(Rc::clone(&self.desk)))
    }

    fn create_touch(&mut self) -> Option<Finger> {
        Some(Finger { desk: Rc::clone(&self.desk), at: ORIGIN })
    }

    fn get_descriptor(&self) -> &WlcsIntegrationDescriptor {
        &DESCRIPTOR
    }
}

impl Pointer for Mouse {
    fn move_absolute(&mut self, x: c_int, y: c_int) {
        on_desk(&self.0, |desk| desk.move_pointer(on_output(x, y)));
    }

    fn move_relative(&mut self, dx: c_int, dy: c_int) {
        on_desk(&self.0, |desk| {
            let (dx, dy) = (pixels(dx), pixels(dy));
            desk.pointer = (desk.pointer.0 + dx, desk.pointer.1 + dy);
            desk.input(InputAction::Motion { dx, dy });
        });
    }

    fn button_up(&mut self, button: i32) {
        on_desk(&self.0, |desk| desk.button(button.cast_unsigned(), false));
    }

    fn button_down(&mut self, button: i32) {
        on_desk(&self.0, |desk| desk.button(button.cast_unsigned(), true));
    }
}

impl Finger {
    fn report(&self, phase: TouchPhase) {
        let (x, y) = self.at;
        on_desk(&self.desk, |desk| desk.input(InputAction::Touch { contact: 0, phase, x, y }));
    }
}

impl Touch for Finger {
    fn touch_down(&mut self, x: c_int, y: c_int) {
        self.at = on_output(finger(x), finger(y));
        self.report(TouchPhase::Down);
    }

    fn touch_move(&mut self, x: c_int, y: c_int) {
        self.at = on_output(finger(x), finger(y));
        self.report(TouchPhase::Motion);
    }

    fn touch_up(&mut self) {
        self.report(TouchPhase::Up);
    }
}

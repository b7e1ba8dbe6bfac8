// SPDX-License-Identifier: GPL-3.0-or-later
//! A client that locks the session.

use grantway::control::InputAction;
use wayland_client::protocol::{wl_compositor, wl_output, wl_surface};
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols::ext::session_lock::v1::client::ext_session_lock_manager_v1::ExtSessionLockManagerV1;
use wayland_protocols::ext::session_lock::v1::client::ext_session_lock_surface_v1::{self, ExtSessionLockSurfaceV1};
use wayland_protocols::ext::session_lock::v1::client::ext_session_lock_v1::{self, ExtSessionLockV1};

use super::desk::{Rgb, wait_for};
use super::window::{Told, Window};
use super::{BLUE, Dom0, KEY_A, RED, RIGHT_CTRL, TAB};

const BLACK: Rgb = [0, 0, 0];
const KEY_ESC: u32 = 1;
const KEY_BACKSPACE: u32 = 14;

impl Window {
    fn lock(&mut self) -> ExtSessionLockV1 {
        let handle = self.queue.handle();
        let manager: ExtSessionLockManagerV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let lock = manager.lock(&handle, ());
        self.hear();
        lock
    }

    /// Shows a colour on the locked output.
    fn curtain(&mut self, lock: &ExtSessionLockV1, color: Rgb) -> wl_surface::WlSurface {
        let handle = self.queue.handle();
        let compositor: wl_compositor::WlCompositor = self.globals.bind(&handle, 4..=5, ()).unwrap();
        let output: wl_output::WlOutput = self.globals.bind(&handle, 4..=4, ()).unwrap();
        let surface = compositor.create_surface(&handle, ());
        lock.get_lock_surface(&surface, &output, &handle, ());
        self.wait("curtain 1000x500");
        self.paint_on(&surface, (1000, 500), color);
        surface
    }
}

impl Dispatch<ExtSessionLockV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &ExtSessionLockV1,
        event: ext_session_lock_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            ext_session_lock_v1::Event::Locked => told.note("locked"),
            ext_session_lock_v1::Event::Finished => told.note("finished"),
            _ => {}
        }
    }
}

impl Dispatch<ExtSessionLockSurfaceV1, ()> for Told {
    fn event(
        told: &mut Self,
        surface: &ExtSessionLockSurfaceV1,
        event: ext_session_lock_surface_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let ext_session_lock_surface_v1::Event::Configure { serial, width, height } = event {
            surface.ack_configure(serial);
            told.note(format!("curtain {width}x{height}"));
        }
    }
}
delegate_noop!(Told: ignore ExtSessionLockManagerV1);

/// The colours of the whole output, but for the pointer's place.
fn wait_only(dom0: &mut Dom0, wanted: Rgb) {
    wait_for(&format!("nothing but {wanted:?}"), || {
        let picture = dom0.desk.output_picture();
        let pixels = (0..picture.width).flat_map(|x| (0..picture.height).map(move |y| (x, y)));
        let away = pixels.filter(|(x, y)| *x < 950 || *y < 450);
        away.into_iter().all(|(x, y)| picture.at(x, y) == wanted).then_some(())
    });
}

fn tap(dom0: &mut Dom0, code: u32) {
    dom0.key(code, true);
    dom0.key(code, false);
}

#[test]
fn a_locked_session_shows_nothing_but_the_lock_and_nobody_else_gets_input() {
    let mut dom0 = Dom0::privileged();
    let mut notes = Window::open(&dom0.socket, "notes", (200, 100), RED);
    let area = dom0.content("notes");
    dom0.wait_pixel(area.x + 5, area.y + 5, RED);
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    dom0.click(guest.x + 10, guest.y + 10);
    dom0.desk.input(InputAction::Pointer { x: 980, y: 480 });
    let before = dom0.guest_events();
    dom0.key(KEY_A, true);
    wait_for("the guest's key", || (dom0.guest_events() == before + 1).then_some(()));
    // The ring of the window with the keyboard.
    dom0.wait_pixel(guest.x - 5, guest.y + 10, [255, 214, 64]);
    let unlocked = dom0.desk.output_picture();

    // What the guest holds is released, and it is told of no more.
    let mut locker = Window::open(&dom0.socket, "locker", (100, 50), BLUE);
    let lock = locker.lock();
    locker.wait("locked");
    wait_only(&mut dom0, BLACK);
    wait_for("the release", || (dom0.guest_events() == before + 2).then_some(()));
    let _curtain = locker.curtain(&lock, BLUE);
    wait_only(&mut dom0, BLUE);
    locker.wait("keyboard");
    let (told, quiet) = (dom0.guest_events(), notes.take().len());
    assert_eq!(told, before + 2);
    dom0.key(KEY_A, false);
    locker.take();
    tap(&mut dom0, KEY_A);
    locker.wait(&format!("{KEY_A} Released"));
    dom0.click(guest.x + 10, guest.y + 10);
    locker.wait("272 Released");
    // No chord leads out.
    for code in [TAB, KEY_BACKSPACE] {
        dom0.key(RIGHT_CTRL, true);
        tap(&mut dom0, code);
        dom0.key(RIGHT_CTRL, false);
    }
    dom0.desk.input(InputAction::Pointer { x: 980, y: 480 });
    tap(&mut dom0, KEY_A);
    wait_only(&mut dom0, BLUE);
    assert_eq!(dom0.guest_events(), told);
    let heard = notes.take();
    assert!(heard.iter().all(|line| !line.contains("Pressed") && line != "keyboard"), "{quiet} {heard:?}");

    // Secure attention: it is not the lock that is drawn.
    dom0.key(RIGHT_CTRL, true);
    tap(&mut dom0, KEY_ESC);
    dom0.key(RIGHT_CTRL, false);
    dom0.wait_pixel(500, 100, BLACK);
    dom0.desk.keep_picture("locked-attention.png");
    tap(&mut dom0, KEY_ESC);
    wait_only(&mut dom0, BLUE);

    lock.unlock_and_destroy();
    locker.hear();
    drop(locker);
    let away = |x: u32, y: u32| x < 950 || y < 450;
    wait_for("what was there before", || {
        let now = dom0.desk.output_picture();
        let places = (0..now.width).flat_map(|x| (0..now.height).map(move |y| (x, y)));
        places.filter(|(x, y)| away(*x, *y)).all(|(x, y)| now.at(x, y) == unlocked.at(x, y)).then_some(())
    });
    tap(&mut dom0, KEY_A);
    wait_for("the guest's keys", || (dom0.guest_events() == told + 2).then_some(()));
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn a_lock_outlives_its_client_and_only_the_lock_that_holds_unlocks() {
    let mut dom0 = Dom0::privileged();
    dom0.desk.input(InputAction::Pointer { x: 980, y: 480 });
    let mut first = Window::open(&dom0.socket, "first", (100, 50), RED);
    let lock = first.lock();
    first.wait("locked");
    let _curtain = first.curtain(&lock, BLUE);
    wait_only(&mut dom0, BLUE);

    // Another one is told so, and can neither unlock nor show anything.
    let mut second = Window::open(&dom0.socket, "second", (100, 50), RED);
    let refused = second.lock();
    second.wait("finished");
    refused.unlock_and_destroy();
    assert!(second.queue.roundtrip(&mut Told::default()).is_err(), "a protocol error is due");
    wait_only(&mut dom0, BLUE);

    // It dies: black, and still locked.
    drop(first);
    wait_only(&mut dom0, BLACK);
    let before = dom0.guest_events();
    tap(&mut dom0, KEY_A);
    assert_eq!(dom0.guest_events(), before);

    // A new one takes over.
    let mut third = Window::open(&dom0.socket, "third", (100, 50), RED);
    let lock = third.lock();
    third.wait("locked");
    let _curtain = third.curtain(&lock, BLUE);
    wait_only(&mut dom0, BLUE);
    lock.unlock_and_destroy();
    third.hear();
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone();
    assert!(guest.is_some());
    let area = dom0.content("third");
    dom0.wait_pixel(area.x + 5, area.y + 5, RED);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that keep the pointer, and what takes it back.

use grantway::control::InputAction;
use wayland_client::protocol::{wl_compositor, wl_region};
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols::wp::pointer_constraints::zv1::client::zwp_confined_pointer_v1::{self, ZwpConfinedPointerV1};
use wayland_protocols::wp::pointer_constraints::zv1::client::zwp_locked_pointer_v1::{self, ZwpLockedPointerV1};
use wayland_protocols::wp::pointer_constraints::zv1::client::zwp_pointer_constraints_v1::{
    Lifetime, ZwpPointerConstraintsV1,
};
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_manager_v1::ZwpRelativePointerManagerV1;
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_v1::{self, ZwpRelativePointerV1};

use super::window::{Told, Window};
use super::{Dom0, LEFT, RED, RIGHT_CTRL, TAB, inside};

const KEY_ESC: u32 = 1;
const KEY_P: u32 = 25;

delegate_noop!(Told: ignore ZwpPointerConstraintsV1);
delegate_noop!(Told: ignore ZwpRelativePointerManagerV1);
delegate_noop!(Told: ignore wl_region::WlRegion);

impl Dispatch<ZwpLockedPointerV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &ZwpLockedPointerV1,
        event: zwp_locked_pointer_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        told.note(if matches!(event, zwp_locked_pointer_v1::Event::Locked) { "kept" } else { "free" });
    }
}

impl Dispatch<ZwpConfinedPointerV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &ZwpConfinedPointerV1,
        event: zwp_confined_pointer_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        told.note(if matches!(event, zwp_confined_pointer_v1::Event::Confined) { "kept" } else { "free" });
    }
}

impl Dispatch<ZwpRelativePointerV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &ZwpRelativePointerV1,
        event: zwp_relative_pointer_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let zwp_relative_pointer_v1::Event::RelativeMotion { dx, dy, dx_unaccel, dy_unaccel, .. } = event {
            assert_eq!((dx, dy), (dx_unaccel, dy_unaccel));
            told.note(format!("moved {dx},{dy}"));
        }
    }
}

impl Window {
    fn hear_motion(&mut self) -> ZwpRelativePointerV1 {
        let handle = self.queue.handle();
        let manager: ZwpRelativePointerManagerV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let object = manager.get_relative_pointer(&self.pointer, &handle, ());
        self.hear();
        object
    }

    fn lock_pointer(&mut self, lifetime: Lifetime) -> ZwpLockedPointerV1 {
        let handle = self.queue.handle();
        let constraints: ZwpPointerConstraintsV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let object = constraints.lock_pointer(&self.surface, &self.pointer, None, lifetime, &handle, ());
        self.hear();
        object
    }

    /// Within a frame of that size from the window's corner, but for a part of it.
    fn confine_pointer(&mut self, size: (i32, i32), (x, y, width, height): (i32, i32, i32, i32)) {
        let handle = self.queue.handle();
        let constraints: ZwpPointerConstraintsV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let compositor: wl_compositor::WlCompositor = self.globals.bind(&handle, 4..=5, ()).unwrap();
        let region = compositor.create_region(&handle, ());
        region.add(0, 0, size.0, size.1);
        region.subtract(x, y, width, height);
        constraints.confine_pointer(&self.surface, &self.pointer, Some(&region), Lifetime::Persistent, &handle, ());
        self.hear();
    }
}

/// What it was told of the pointer.
fn told(window: &mut Window) -> Vec<String> {
    let about = |told: &String| {
        ["kept", "free", "no pointer"].contains(&told.as_str()) || told.starts_with("to ") || told.starts_with("moved")
    };
    window.take().into_iter().filter(about).collect()
}

impl Dom0 {
    fn motion(&mut self, dx: i32, dy: i32) {
        self.desk.input(InputAction::Motion { dx, dy });
    }

    pub(crate) fn chord(&mut self, code: u32) {
        self.key(RIGHT_CTRL, true);
        self.desk.input(InputAction::Key { code, pressed: None });
        self.key(RIGHT_CTRL, false);
    }

    /// A window with that title, clicked at 20,30.
    fn game(&mut self, title: &str) -> Window {
        let mut window = Window::open(&self.socket, title, (200, 100), RED);
        let (x, y) = inside(self.content(title), 20, 30);
        self.click(x, y);
        window.wait("272 Released");
        told(&mut window);
        window
    }
}

#[test]
fn a_locked_pointer_stays_until_the_user_takes_it_back() {
    let mut dom0 = Dom0::new();
    let mut game = dom0.game("game");
    let _motion = game.hear_motion();
    dom0.motion(5, 0);
    assert_eq!(told(&mut game), ["moved 5,0", "to 25,30"]);
    let lock = game.lock_pointer(Lifetime::Persistent);
    assert_eq!(told(&mut game), ["kept"]);
    dom0.motion(300, -7);
    dom0.desk.input(InputAction::Pointer { x: 999, y: 499 });
    assert_eq!(told(&mut game), ["moved 300,-7"]);

    // The chord gives it back, until the next click.
    dom0.chord(KEY_P);
    dom0.motion(1, 1);
    assert_eq!(told(&mut game), ["free", "moved 1,1", "to 26,31"]);
    dom0.desk.input(InputAction::Key { code: LEFT, pressed: None });
    dom0.motion(1, 1);
    assert_eq!(told(&mut game), ["kept", "moved 1,1"]);

    // Secure attention takes it for as long as it is shown.
    dom0.chord(KEY_ESC);
    dom0.motion(0, 2);
    assert_eq!(told(&mut game)[0], "free");
    dom0.motion(0, -2);
    dom0.desk.input(InputAction::Key { code: KEY_ESC, pressed: None });
    assert_eq!(told(&mut game).last().unwrap(), "kept");

    // So does moving the window by the reserved key.
    let before = dom0.content("game");
    dom0.key(RIGHT_CTRL, true);
    dom0.key(LEFT, true);
    dom0.motion(40, 60);
    dom0.key(LEFT, false);
    dom0.key(RIGHT_CTRL, false);
    let after = dom0.content("game");
    assert_eq!((after.x - before.x, after.y - before.y), (40, 60));
    assert!(told(&mut game).contains(&"free".to_owned()));
    dom0.desk.input(InputAction::Key { code: LEFT, pressed: None });
    assert_eq!(told(&mut game).last().unwrap(), "kept");

    // And the chord to the next window.
    dom0.chord(TAB);
    let mut heard = told(&mut game);
    heard.sort();
    assert_eq!(heard, ["free", "no pointer"]);
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    dom0.click(guest.x + 10, guest.y + 10);
    let events = dom0.guest_events();
    dom0.desk.input(InputAction::Text("a".to_owned()));
    assert!(dom0.guest_events() > events);
    lock.destroy();
    assert_eq!(told(&mut game), Vec::<String>::new());
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn only_a_client_with_the_keyboard_keeps_the_pointer() {
    let mut dom0 = Dom0::new();
    let mut other = dom0.game("other");
    let mut game = dom0.game("game");
    told(&mut other);
    // It has neither, and then only the pointer over it.
    let _lock = other.lock_pointer(Lifetime::Persistent);
    let _motion = other.hear_motion();
    dom0.motion(3, 0);
    assert_eq!(told(&mut other), Vec::<String>::new());
    let (x, y) = inside(dom0.content("other"), 190, 90);
    dom0.desk.input(InputAction::Pointer { x, y });
    assert!(!told(&mut other).contains(&"kept".to_owned()));

    // One that is good once.
    let (x, y) = inside(dom0.content("game"), 20, 30);
    dom0.click(x, y);
    let _once = game.lock_pointer(Lifetime::Oneshot);
    assert_eq!(told(&mut game).last().unwrap(), "kept");
    dom0.chord(KEY_P);
    dom0.desk.input(InputAction::Key { code: LEFT, pressed: None });
    dom0.motion(1, 0);
    assert_eq!(told(&mut game), ["free", "to 21,30"]);

    // A client that goes lets go of it.
    let _lock = game.lock_pointer(Lifetime::Persistent);
    assert_eq!(told(&mut game), ["kept"]);
    drop(game);
    dom0.desk.input(InputAction::Pointer { x: 5, y: 5 });
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn a_confined_pointer_goes_along_the_edges_of_its_region() {
    let mut dom0 = Dom0::new();
    let mut game = dom0.game("game");
    game.confine_pointer((60, 60), (40, 40, 100, 100));
    assert_eq!(told(&mut game), ["kept"]);
    for ((dx, dy), wanted) in
        [((300, 0), "to 59,30"), ((0, 300), "to 59,39"), ((-300, 300), "to 0,59"), ((-10, -300), "to 0,0")]
    {
        dom0.motion(dx, dy);
        assert_eq!(told(&mut game), [wanted]);
    }
    let (x, y) = inside(dom0.content("game"), 30, 30);
    dom0.desk.input(InputAction::Pointer { x, y });
    dom0.desk.input(InputAction::Pointer { x: x + 500, y });
    assert_eq!(told(&mut game), ["to 30,30", "to 59,30"]);
    dom0.chord(KEY_P);
    dom0.motion(5, 0);
    assert_eq!(told(&mut game), ["free", "to 64,30"]);
    let _lots: Vec<_> = (0..200).map(|_| game.hear_motion()).collect();
    dom0.motion(1, 0);
    assert_eq!(told(&mut game).len(), 17);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A seat in front of a scene with guests.

use grantway::backend::OutputId;
use grantway::backend::input::{Axis, Fraction, InputDevice, InputEvent, InputKind, TouchEvent};
use grantway::input::{
    Allowed, Bindings, Chord, Confine, Device, GuestEvent, Outcome, Owner, PointerKind, Policy, Seat, Target, World,
};
use grantway::scene::element::{Color, Size};
use grantway::scene::layout::{Region, Workspace};
use grantway::scene::{Scene, SceneOutput, WindowId, WindowLabel};

pub(crate) const MODIFIER: u32 = 97;
pub(crate) const ESC: u32 = 1;
pub(crate) const TAB: u32 = 15;
pub(crate) const A: u32 = 30;
pub(crate) const B: u32 = 48;
pub(crate) const SHIFT: u32 = 42;
pub(crate) const CAPS: u32 = 58;
pub(crate) const RELEASE: u32 = 25;
pub(crate) const LEFT: u32 = 0x110;
pub(crate) const RIGHT: u32 = 0x111;

pub(crate) const KEYBOARD: InputDevice = InputDevice(0);
pub(crate) const MOUSE: InputDevice = InputDevice(1);
pub(crate) const SCREEN: InputDevice = InputDevice(2);

pub(crate) fn bindings() -> Bindings {
    let chords = vec![
        (ESC, Chord::Attention),
        (TAB, Chord::NextGuest),
        (41, Chord::PreviousGuest),
        (33, Chord::FullScreen),
        (103, Chord::Region(Region::Whole)),
        (50, Chord::Minimise),
        (4, Chord::Workspace(Workspace::new(3).unwrap())),
        (RELEASE, Chord::ReleasePointer),
        (14, Chord::Terminate),
    ];
    Bindings { modifier: MODIFIER, chords }
}

pub(crate) fn color() -> Color {
    Color { red: 200, green: 60, blue: 60 }
}

pub(crate) const ALL: Policy = Policy { allowed: Allowed::All, confine: Confine::Auto, own_cursor: false, dock: false };

pub(crate) fn device(owner: u64) -> Device {
    Device { owner: Owner(owner), keyboard: true, pointer: Some(PointerKind::Absolute), contacts: 10, beyond: false }
}

pub(crate) struct Desk {
    pub(crate) scene: Scene,
    pub(crate) targets: Vec<Target>,
    pub(crate) seat: Seat,
}

impl Desk {
    /// A desk of 1000 x 600 pixels.
    pub(crate) fn new() -> Self {
        let mut scene = Scene::new();
        scene.set_outputs(&[SceneOutput { id: OutputId(1), size: Size { width: 1000, height: 600 } }]);
        Self { scene, targets: Vec::new(), seat: Seat::new(bindings(), true) }
    }

    /// Two guests with a keyboard and an absolute pointer; the first has the focus, since it came first.
    pub(crate) fn two() -> (Self, WindowId, WindowId) {
        let mut desk = Self::new();
        let (first, second) = (desk.guest(1, 400, 300, ALL), desk.guest(2, 320, 200, ALL));
        desk.seat.take_outcomes();
        (desk, first, second)
    }

    pub(crate) fn guest(&mut self, owner: u16, width: i32, height: i32, policy: Policy) -> WindowId {
        let label = WindowLabel { name: format!("guest-{owner}"), domid: owner, connector: 0, color: color() };
        let window = self.scene.add_window(label, Size { width, height });
        self.targets.push(Target { window, policy, device: Some(device(owner.into())) });
        self.look();
        window
    }

    pub(crate) fn target(&mut self, window: WindowId) -> &mut Target {
        self.targets.iter_mut().find(|target| target.window == window).unwrap()
    }

    pub(crate) fn world(&self) -> World {
        World { stage: self.scene.stage(), targets: self.targets.clone() }
    }

    pub(crate) fn look(&mut self) {
        self.seat.look(self.world());
    }

    pub(crate) fn event(&mut self, device: InputDevice, kind: InputKind) {
        self.seat.event(InputEvent { device, time_us: 0, kind });
    }

    pub(crate) fn key(&mut self, code: u32, pressed: bool) {
        self.event(KEYBOARD, InputKind::Key { code, pressed });
    }

    pub(crate) fn tap(&mut self, code: u32) {
        self.key(code, true);
        self.key(code, false);
    }

    pub(crate) fn chord(&mut self, code: u32) {
        self.key(MODIFIER, true);
        self.tap(code);
        self.key(MODIFIER, false);
    }

    pub(crate) fn button(&mut self, code: u32, pressed: bool) {
        self.event(MOUSE, InputKind::Key { code, pressed });
    }

    pub(crate) fn fraction(&self, x: i32, y: i32) -> Fraction {
        let size = self.scene.stage().size();
        let part = |at: i32, whole: i32| {
            let part = ((2 * u64::try_from(at).unwrap() + 1) << 31) / u64::try_from(whole).unwrap();
            u32::try_from(part).unwrap()
        };
        Fraction { x: part(x, size.width), y: part(y, size.height) }
    }

    /// Points at a pixel of the desk.
    pub(crate) fn point(&mut self, x: i32, y: i32) {
        let place = self.fraction(x, y);
        self.event(MOUSE, InputKind::Position(place));
    }

    /// Points at a pixel of a guest's picture.
    pub(crate) fn point_into(&mut self, window: WindowId, x: i32, y: i32) {
        let (x, y) = self.on_desk(window, x, y);
        self.point(x, y);
    }

    pub(crate) fn on_desk(&self, window: WindowId, x: i32, y: i32) -> (i32, i32) {
        let content = self.scene.stage().spot(window).unwrap().content;
        (content.x + x, content.y + y)
    }

    pub(crate) fn click_into(&mut self, window: WindowId, x: i32, y: i32) {
        self.point_into(window, x, y);
        self.button(LEFT, true);
        self.button(LEFT, false);
    }

    pub(crate) fn moved(&mut self, dx: i32, dy: i32) {
        let (dx, dy) = (dx * 256, dy * 256);
        self.event(MOUSE, InputKind::Motion { dx, dy, raw_dx: dx / 2, raw_dy: dy / 2 });
    }

    pub(crate) fn wheel(&mut self, v120: i32) {
        self.event(MOUSE, InputKind::Wheel { axis: Axis::Vertical, v120 });
    }

    pub(crate) fn finger(&mut self, contact: u32, event: TouchEvent) {
        self.event(SCREEN, InputKind::Touch { contact, event });
    }

    pub(crate) fn finger_down(&mut self, contact: u32, window: WindowId, x: i32, y: i32) {
        let (x, y) = self.on_desk(window, x, y);
        let place = self.fraction(x, y);
        self.finger(contact, TouchEvent::Down(place));
    }

    /// What guests were told since the last time, as text.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let outcomes = self.seat.take_outcomes();
        let lines = outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Guest { window, event } => {
                let target = self.targets.iter().find(|target| target.window == window).unwrap();
                let owner = target.device.map_or(0, |device| device.owner.0);
                Some(format!("{owner}: {}", say(event)))
            }
            _ => None,
        });
        lines.collect()
    }
}

fn say(event: GuestEvent) -> String {
    let sign = |pressed| if pressed { '+' } else { '-' };
    match event {
        GuestEvent::Key { code, pressed } => format!("{}{code}", sign(pressed)),
        GuestEvent::Motion { dx, dy } => format!("by {dx},{dy}"),
        GuestEvent::Wheel { clicks } => format!("wheel {clicks}"),
        GuestEvent::Position { x, y } => format!("at {x},{y}"),
        GuestEvent::TouchDown { contact, x, y } => format!("down {contact} {x},{y}"),
        GuestEvent::TouchMotion { contact, x, y } => format!("move {contact} {x},{y}"),
        GuestEvent::TouchUp { contact } => format!("up {contact}"),
        GuestEvent::TouchSync => "sync".to_owned(),
    }
}

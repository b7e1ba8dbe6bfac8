// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients are told of keyboard, pointer and fingers. Who is told has been decided before (`input`).

use smithay::backend::input::{Axis, AxisSource, ButtonState, KeyState};
use smithay::input::keyboard::{FilterResult, Keycode, XkbConfig};
use smithay::input::pointer::{AxisFrame, ButtonEvent, MotionEvent};
use smithay::input::touch;
use smithay::reexports::wayland_server::Resource as _;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point, SERIAL_COUNTER};

use super::layer::LayerRole;
use super::server::{Server, Toplevel, root};
use super::wishes::Down;
use super::{ToplevelId, Wayland, surface};
use crate::input::GuestEvent;
use crate::input::view::is_button;

/// xkb's key codes are Linux's and this.
const XKB_OFFSET: u32 = 8;

/// How long a key is held before it repeats, in milliseconds, and how often it then does in a second.
const REPEAT: (i32, i32) = (400, 25);

/// What a click of the wheel is, in parts of high resolution, and in pixels.
const CLICK: (i32, f64) = (120, 15.0);

/// Dom0's keyboard layout, as the X keyboard extension names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyboardLayout {
    /// The layout.
    pub layout: String,
    /// Its variant; may be empty.
    pub variant: String,
    /// Options, separated by commas; may be empty.
    pub options: String,
}

/// What the pointer is over.
#[derive(Clone, Debug)]
pub(super) struct Over {
    way: Way,
    /// The surface, and its corner on the plane.
    under: Option<(WlSurface, Point<f64, Logical>)>,
}

/// Where input goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) window: ToplevelId,
    /// The corner of the window's content, on the plane of all outputs.
    pub(super) corner: (i32, i32),
    /// Milliseconds.
    pub(super) time: u32,
}

impl Wayland {
    /// Gives clients another keyboard layout.
    ///
    /// # Errors
    /// A sentence for the user: there is no such layout, and the one before stays.
    pub fn set_keyboard(&mut self, keyboard: &KeyboardLayout) -> Result<(), String> {
        let KeyboardLayout { layout, variant, options } = keyboard;
        let options = Some(options.clone()).filter(|options| !options.is_empty());
        let config = XkbConfig { layout, variant, options, ..XkbConfig::default() };
        let Some(device) = self.server.seat.get_keyboard() else { return Ok(()) };
        let set = device.set_xkb_config(&mut self.server, config);
        set.map_err(|error| format!("Wayland clients can't be given the keyboard layout \"{layout}\": {error}"))
    }
}

impl Server {
    pub(super) fn add_devices(&mut self, keyboard: &KeyboardLayout) -> Result<(), String> {
        let KeyboardLayout { layout, variant, options } = keyboard;
        let options = Some(options.clone()).filter(|options| !options.is_empty());
        let config = XkbConfig { layout, variant, options, ..XkbConfig::default() };
        let (delay, rate) = REPEAT;
        let added = self.seat.add_keyboard(config, delay, rate);
        added.map_err(|error| format!("Wayland clients can't be given the keyboard layout \"{layout}\": {error}"))?;
        self.typing.set_layout(keyboard);
        self.seat.add_pointer();
        self.seat.add_touch();
        Ok(())
    }

    /// Gives a window the keyboard, or takes it from all.
    pub(super) fn focus(&mut self, window: Option<ToplevelId>) {
        let window = window.filter(|id| self.toplevels.get(id).is_some_and(takes_keys));
        let before = std::mem::replace(&mut self.focused, window);
        if before != window {
            self.dismiss_popups();
            if window.is_some() {
                self.forget_presses();
            }
        }
        self.focus_within();
    }

    /// The keyboard is a grabbed popup's, if the window that has it shows one: the newest has it.
    pub(super) fn focus_within(&mut self) {
        let toplevel = self.focused.and_then(|id| self.toplevels.get(&id));
        let popup = self.grabs.iter().rev().map(|popup| popup.wl_surface());
        let popup = popup.into_iter().find(|surface| self.window_of(surface) == self.focused);
        let surface = toplevel.map(|toplevel| popup.unwrap_or_else(|| toplevel.surface.wl_surface()).clone());
        if let Some(keyboard) = self.seat.get_keyboard().filter(|keyboard| keyboard.current_focus() != surface) {
            self.stop_typing();
            keyboard.set_focus(self, surface, SERIAL_COUNTER.next_serial());
        }
    }

    /// The pointer is over no client.
    pub(super) fn pointer_left(&mut self, time: u32) {
        self.over = None;
        let Some(pointer) = self.seat.get_pointer().filter(|pointer| pointer.current_focus().is_some()) else { return };
        let (location, serial) = (pointer.current_location(), SERIAL_COUNTER.next_serial());
        // A window is moved by the button that was down in it: that button is its client's no longer.
        if pointer.is_grabbed() {
            pointer.unset_grab(self, serial, time);
        }
        pointer.motion(self, None, &MotionEvent { location, serial, time });
        pointer.frame(self);
    }

    pub(super) fn tell(&mut self, way: Way, event: GuestEvent) {
        match event {
            GuestEvent::Key { code, pressed } if is_button(code) => self.button(way, code, pressed),
            GuestEvent::Key { code, pressed } => self.key(way, code, pressed),
            GuestEvent::Position { x, y } => self.position(way, (x, y)),
            GuestEvent::Wheel { clicks } => self.wheel(way, clicks),
            // Only who takes relative motion is told of it, which clients do not.
            GuestEvent::Motion { .. } => {}
            GuestEvent::TouchDown { .. }
            | GuestEvent::TouchMotion { .. }
            | GuestEvent::TouchUp { .. }
            | GuestEvent::TouchSync => self.touch(way, event),
        }
    }

    fn key(&mut self, Way { time, .. }: Way, code: u32, pressed: bool) {
        let Some(keyboard) = self.seat.get_keyboard() else { return };
        let state = if pressed { KeyState::Pressed } else { KeyState::Released };
        let (code, serial) = (Keycode::new(code + XKB_OFFSET), SERIAL_COUNTER.next_serial());
        self.stop_typing();
        if pressed {
            self.note_press(serial, keyboard.current_focus().as_ref());
        }
        keyboard.input(self, code, state, serial, time, |_, _, _| FilterResult::<()>::Forward);
    }

    fn button(&mut self, Way { time, .. }: Way, button: u32, pressed: bool) {
        let Some(pointer) = self.seat.get_pointer() else { return };
        let beside = pressed && !pointer.current_focus().is_some_and(|surface| self.is_grabbed_popup(&surface));
        let state = if pressed { ButtonState::Pressed } else { ButtonState::Released };
        let serial = SERIAL_COUNTER.next_serial();
        if pressed {
            self.note_press(serial, pointer.current_focus().as_ref());
        }
        self.down.retain(|down| down.button != button);
        let window = pointer.current_focus().filter(|_| pressed).and_then(|surface| self.window_of(&surface));
        self.down.extend(window.map(|window| Down { button, serial, window }));
        pointer.button(self, &ButtonEvent { serial, time, button, state });
        pointer.frame(self);
        if beside {
            self.dismiss_popups();
        }
    }

    fn is_grabbed_popup(&self, surface: &WlSurface) -> bool {
        let root = root(surface);
        self.grabs.iter().any(|popup| *popup.wl_surface() == root)
    }

    /// The surface that the pointer is over, and its corner on the plane, unless the pointer is still another's.
    pub(super) fn under_pointer(&self) -> Option<(WlSurface, Point<f64, Logical>)> {
        let under = self.over.as_ref()?.under.clone()?;
        let focus = self.seat.get_pointer()?.current_focus();
        Some(under).filter(|(surface, _)| focus.as_ref() == Some(surface) && surface.is_alive())
    }

    /// The newest first, as the protocol wants it.
    fn dismiss_popups(&mut self) {
        for popup in std::mem::take(&mut self.grabs).into_iter().rev() {
            popup.send_popup_done();
        }
        self.focus_within();
    }

    /// The surface at a place of a window's content, and its corner on the plane.
    fn under(&self, way: Way, (x, y): (i32, i32)) -> Option<(WlSurface, Point<f64, Logical>)> {
        let root = self.toplevels.get(&way.window)?.surface.wl_surface();
        let (surface, place) = surface::under(root, (x, y).into())?;
        Some((surface, (place + Point::from(way.corner)).to_f64()))
    }

    fn position(&mut self, way: Way, place: (i32, i32)) {
        let Some(pointer) = self.seat.get_pointer() else { return };
        let under = self.under(way, place);
        self.over = Some(Over { way, under: under.clone() });
        let (location, serial) = (on_plane(way, place), SERIAL_COUNTER.next_serial());
        pointer.motion(self, under, &MotionEvent { location, serial, time: way.time });
        pointer.frame(self);
    }

    /// A window's surfaces may lie otherwise: a pointer that has not moved can be over another one, or elsewhere on it.
    pub(super) fn point_again(&mut self, window: ToplevelId) {
        let Some(Over { way, under }) = self.over.clone().filter(|over| over.way.window == window) else { return };
        let Some(pointer) = self.seat.get_pointer().filter(|pointer| !pointer.is_grabbed()) else { return };
        let place = pointer.current_location().to_i32_floor::<i32>() - Point::from(way.corner);
        if self.under(way, (place.x, place.y)) != under {
            self.position(way, (place.x, place.y));
        }
    }

    fn wheel(&mut self, Way { time, .. }: Way, clicks: i32) {
        let Some(pointer) = self.seat.get_pointer() else { return };
        // Up is less for Wayland.
        let clicks = clicks.saturating_neg();
        let (parts, pixels) = CLICK;
        let frame = AxisFrame::new(time)
            .source(AxisSource::Wheel)
            .value(Axis::Vertical, f64::from(clicks) * pixels)
            .v120(Axis::Vertical, clicks.saturating_mul(parts));
        pointer.axis(self, frame);
        pointer.frame(self);
    }

    fn touch(&mut self, way: Way, event: GuestEvent) {
        let Some(touch) = self.seat.get_touch() else { return };
        let (serial, time) = (SERIAL_COUNTER.next_serial(), way.time);
        let slot = |contact: u32| Some(contact).into();
        match event {
            GuestEvent::TouchDown { contact, x, y } => {
                let (under, location) = (self.under(way, (x, y)), on_plane(way, (x, y)));
                self.note_press(serial, under.as_ref().map(|(surface, _)| surface));
                touch.down(self, under, &touch::DownEvent { slot: slot(contact), location, serial, time });
            }
            GuestEvent::TouchMotion { contact, x, y } => {
                let (under, location) = (self.under(way, (x, y)), on_plane(way, (x, y)));
                touch.motion(self, under, &touch::MotionEvent { slot: slot(contact), location, time });
            }
            GuestEvent::TouchUp { contact } => {
                touch.up(self, &touch::UpEvent { slot: slot(contact), serial, time });
            }
            GuestEvent::TouchSync => touch.frame(self),
            GuestEvent::Key { .. }
            | GuestEvent::Motion { .. }
            | GuestEvent::Wheel { .. }
            | GuestEvent::Position { .. } => {}
        }
    }
}

/// Panels may want none.
fn takes_keys(toplevel: &Toplevel) -> bool {
    toplevel.surface.layer().is_none_or(LayerRole::takes_keys)
}

fn on_plane(way: Way, (x, y): (i32, i32)) -> Point<f64, Logical> {
    (Point::<i32, Logical>::from((x, y)) + Point::from(way.corner)).to_f64()
}

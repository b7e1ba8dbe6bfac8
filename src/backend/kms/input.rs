// SPDX-License-Identifier: GPL-3.0-or-later
//! This machine's keyboards, pointers and touch screens, by libinput and udev.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use calloop::LoopHandle;
use nix::fcntl::OFlag;
use smithay::backend::input::{
    AbsolutePositionEvent, Axis as WheelAxis, AxisSource, ButtonState, Event as _, InputBackend,
    InputEvent as LibinputEvent, KeyState, KeyboardKeyEvent, PointerAxisEvent, PointerButtonEvent, PointerMotionEvent,
};
use smithay::backend::libinput::LibinputInputBackend;
use smithay::backend::session::libseat::LibSeatSession;
use smithay::backend::session::{AsErrno, Session as _};
use smithay::reexports::input::event::{self, DeviceEvent, Event};
use smithay::reexports::input::{Device, DeviceCapability, Led, Libinput, LibinputInterface};
use smithay::reexports::rustix::fs::OFlags;

use super::grab::grab;
use super::session::{Inbox, Notice, Session};
use crate::backend::input::{Axis, Fraction, InputDevice, InputEvent, InputKind, Lamps, TouchEvent};

/// xkb's key codes, which Smithay gives, are Linux's and this.
const XKB_OFFSET: u32 = 8;

/// libinput gives scrolling by fingers in units of a mouse wheel's degrees: so many are a click.
const DEGREES_IN_A_CLICK: f64 = 15.0;

/// Opens input devices for libinput.
enum Opener {
    Libseat(LibSeatSession),
    Direct,
}

impl LibinputInterface for Opener {
    fn open_restricted(&mut self, path: &Path, flags: i32) -> Result<OwnedFd, i32> {
        match self {
            Self::Libseat(session) => {
                let flags = OFlags::from_bits_truncate(flags.cast_unsigned());
                session.open(path, flags).map_err(|error| -error.as_errno().unwrap_or(nix::libc::EIO))
            }
            Self::Direct => {
                let flags = OFlag::from_bits_truncate(flags);
                let write = flags.intersects(OFlag::O_RDWR | OFlag::O_WRONLY);
                OpenOptions::new()
                    .read(true)
                    .write(write)
                    .custom_flags((flags | OFlag::O_CLOEXEC).bits())
                    .open(path)
                    .map(OwnedFd::from)
                    .inspect(|device| grab_or_warn(path, device))
                    .map_err(|error| -error.raw_os_error().unwrap_or(nix::libc::EIO))
            }
        }
    }

    fn close_restricted(&mut self, device: OwnedFd) {
        match self {
            Self::Libseat(session) => {
                if let Err(error) = session.close(device) {
                    tracing::debug!(%error, "the session did not take an input device back");
                }
            }
            Self::Direct => drop(device),
        }
    }
}

fn grab_or_warn(path: &Path, device: &OwnedFd) {
    if let Err(error) = grab(device) {
        tracing::warn!(device = %path.display(), %error, "the kernel's console reads along: it can't be had alone");
    }
}

/// The seat's input devices.
#[derive(Debug)]
pub(super) struct Inputs {
    context: Libinput,
    names: Rc<RefCell<Names>>,
    /// Those with keys; libinput keeps one that is gone without effect.
    keyboards: Vec<Device>,
    lamps: Lamps,
}

impl Inputs {
    /// Finds the devices of the session's seat, and follows those that come and go.
    pub(super) fn open(session: &Session, handle: &LoopHandle<'static, Inbox>) -> io::Result<Self> {
        let (opener, seat) = match session {
            Session::Libseat(session) => (Opener::Libseat(session.clone()), session.seat()),
            Session::Direct => (Opener::Direct, "seat0".to_owned()),
        };
        let mut context = Libinput::new_with_udev(opener);
        context
            .udev_assign_seat(&seat)
            .map_err(|()| io::Error::other(format!("udev has no input devices of {seat}")))?;
        let names = Rc::new(RefCell::new(Names::default()));
        let shared = Rc::clone(&names);
        handle
            .insert_source(LibinputInputBackend::new(context.clone()), move |event, (), inbox| {
                shared.borrow_mut().report(event, inbox);
            })
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { context, names, keyboards: Vec::new(), lamps: Lamps::default() })
    }

    /// The devices that came and went by what was just asked of libinput, which wakes nobody for them: without this
    /// they would be known when the first of them is used.
    pub(super) fn found(&mut self) -> Inbox {
        let mut inbox = Inbox::new();
        if let Err(error) = self.context.dispatch() {
            tracing::error!(%error, "the input devices can't be read");
        }
        for event in &mut self.context {
            let event = if let Event::Device(DeviceEvent::Added(added)) = event {
                LibinputEvent::DeviceAdded { device: event::EventTrait::device(&added) }
            } else if let Event::Device(DeviceEvent::Removed(removed)) = event {
                LibinputEvent::DeviceRemoved { device: event::EventTrait::device(&removed) }
            } else {
                continue;
            };
            self.names.borrow_mut().report(event, &mut inbox);
        }
        inbox
    }

    /// A keyboard is there: its lamps are as those of the others.
    pub(super) fn add_keyboard(&mut self, mut keyboard: Device) {
        light(&mut keyboard, self.lamps);
        self.keyboards.retain(|known| known.sysname() != keyboard.sysname());
        self.keyboards.push(keyboard);
    }

    /// Lights the lamps of all keyboards.
    pub(super) fn set_lamps(&mut self, lamps: Lamps) {
        self.lamps = lamps;
        self.keyboards.iter_mut().for_each(|keyboard| light(keyboard, lamps));
    }

    /// Gives the devices up, or takes them again; they are [`Inputs::found`] to be gone, or there.
    pub(super) fn set_paused(&mut self, paused: bool) {
        if paused {
            self.context.suspend();
        } else if self.context.resume().is_err() {
            tracing::error!("the input devices can't be had again");
        }
    }
}

fn light(keyboard: &mut Device, lamps: Lamps) {
    let mut lit = Led::empty();
    lit.set(Led::CAPSLOCK, lamps.caps);
    lit.set(Led::NUMLOCK, lamps.num);
    lit.set(Led::SCROLLLOCK, lamps.scroll);
    keyboard.led_update(lit);
}

/// Numbers for devices.
#[derive(Debug, Default)]
struct Names {
    known: BTreeMap<String, InputDevice>,
    last: u32,
}

impl Names {
    fn of(&mut self, device: &Device) -> InputDevice {
        *self.known.entry(device.sysname().to_owned()).or_insert_with(|| {
            self.last = self.last.wrapping_add(1);
            InputDevice(self.last)
        })
    }

    fn report(&mut self, event: LibinputEvent<LibinputInputBackend>, inbox: &mut Inbox) {
        if let LibinputEvent::DeviceAdded { device } = &event
            && device.has_capability(DeviceCapability::Keyboard)
        {
            inbox.push(Notice::Keyboard(device.clone()));
        }
        inbox.extend(self.translate(event).map(Notice::Input));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "gestures, tablets' tools and lids mean nothing to a PV guest")]
    fn translate(&mut self, event: LibinputEvent<LibinputInputBackend>) -> Option<InputEvent> {
        let (device, time_us, kind) = match event {
            LibinputEvent::DeviceAdded { device } => {
                tracing::info!(device = device.name(), node = device.sysname(), "input device found");
                (self.of(&device), 0, InputKind::Added)
            }
            LibinputEvent::DeviceRemoved { device } => {
                tracing::info!(device = device.name(), node = device.sysname(), "input device gone");
                let id = self.of(&device);
                self.known.remove(device.sysname());
                (id, 0, InputKind::Removed)
            }
            LibinputEvent::Keyboard { event } => (self.of(&event.device()), event.time(), key(&event)?),
            LibinputEvent::PointerMotion { event } => (self.of(&event.device()), event.time(), motion(&event)),
            LibinputEvent::PointerMotionAbsolute { event } => {
                (self.of(&event.device()), event.time(), InputKind::Position(fraction(&event)))
            }
            LibinputEvent::PointerButton { event } => {
                let pressed = event.state() == ButtonState::Pressed;
                (self.of(&event.device()), event.time(), InputKind::Key { code: event.button_code(), pressed })
            }
            LibinputEvent::PointerAxis { event } => (self.of(&event.device()), event.time(), wheel(&event)?),
            LibinputEvent::TouchDown { event } => {
                (self.of(&event.device()), event.time(), touch(&event, TouchEvent::Down(fraction(&event))))
            }
            LibinputEvent::TouchMotion { event } => {
                (self.of(&event.device()), event.time(), touch(&event, TouchEvent::Motion(fraction(&event))))
            }
            LibinputEvent::TouchUp { event } => (self.of(&event.device()), event.time(), touch(&event, TouchEvent::Up)),
            LibinputEvent::TouchCancel { event } => {
                (self.of(&event.device()), event.time(), touch(&event, TouchEvent::Cancel))
            }
            LibinputEvent::TouchFrame { event } => (self.of(&event.device()), event.time(), InputKind::TouchFrame),
            _ => return None,
        };
        Some(InputEvent { device, time_us, kind })
    }
}

fn key(event: &impl KeyboardKeyEvent<LibinputInputBackend>) -> Option<InputKind> {
    let code = event.key_code().raw().checked_sub(XKB_OFFSET)?;
    Some(InputKind::Key { code, pressed: event.state() == KeyState::Pressed })
}

fn motion(event: &impl PointerMotionEvent<LibinputInputBackend>) -> InputKind {
    InputKind::Motion {
        dx: whole(event.delta_x() * 256.0),
        dy: whole(event.delta_y() * 256.0),
        raw_dx: whole(event.delta_x_unaccel() * 256.0),
        raw_dy: whole(event.delta_y_unaccel() * 256.0),
    }
}

/// Wheels report parts of a click; fingers report degrees, or nothing when they stop.
fn wheel(event: &impl PointerAxisEvent<LibinputInputBackend>) -> Option<InputKind> {
    let amount = |axis| match event.source() {
        AxisSource::Wheel | AxisSource::WheelTilt => event.amount_v120(axis),
        AxisSource::Finger | AxisSource::Continuous => {
            event.amount(axis).map(|degrees| degrees * 120.0 / DEGREES_IN_A_CLICK)
        }
    };
    let turned = |axis| amount(axis).map(whole).filter(|v120| *v120 != 0);
    let vertical = turned(WheelAxis::Vertical).map(|v120| InputKind::Wheel { axis: Axis::Vertical, v120 });
    let horizontal = || turned(WheelAxis::Horizontal).map(|v120| InputKind::Wheel { axis: Axis::Horizontal, v120 });
    vertical.or_else(horizontal)
}

fn touch<E: smithay::backend::input::TouchEvent<LibinputInputBackend>>(event: &E, what: TouchEvent) -> InputKind {
    let contact = i32::from(event.slot()).cast_unsigned();
    InputKind::Touch { contact, event: what }
}

fn fraction<B: InputBackend, E: AbsolutePositionEvent<B>>(event: &E) -> Fraction {
    // libinput maps a device's range to 0..size.
    const SIZE: i32 = 1 << 30;
    let part = |at: f64| {
        let at = u64::try_from(whole(at).clamp(0, SIZE - 1)).unwrap_or(0);
        u32::try_from(at << 2).unwrap_or(u32::MAX)
    };
    Fraction { x: part(event.x_transformed(SIZE)), y: part(event.y_transformed(SIZE)) }
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "`as` saturates")]
fn whole(number: f64) -> i32 {
    number.round() as i32
}

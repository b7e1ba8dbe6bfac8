// SPDX-License-Identifier: GPL-3.0-or-later
//! The device half of the PV keyboard, pointer and touch protocol (Xen's `io/kbdif.h`), without I/O and
//! without a clock: what the user does and times go in, events are written into the frontend's page, and the
//! answer says whether the frontend is to be notified.

pub mod device;
pub mod features;
pub mod keys;
pub mod limits;
pub mod session;
pub mod status;
mod touch;
pub mod wire;

/// One thing that the user did, for one guest.
///
/// Positions are whole pixels from the top left corner of what they are said to be relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key or button went down or up. Repeats are not sent: guests repeat by themselves.
    Key {
        /// Linux's code, `KEY_*` or `BTN_*`. Codes that Linux's frontend does not take are left out.
        code: u32,
        /// Down.
        pressed: bool,
    },
    /// The pointer moved, for guests with a relative pointer; right and down are positive.
    Motion {
        /// To the right, in the pointer's own units.
        dx: i32,
        /// Down, in the pointer's own units.
        dy: i32,
    },
    /// The wheel turned by whole clicks: positive is away from the user, which scrolls up (Linux's
    /// `REL_WHEEL`). On the wire the sign is the other way round.
    Wheel {
        /// Clicks.
        clicks: i32,
    },
    /// The pointer is here, for guests with an absolute pointer.
    Position {
        /// Pixels from the left edge.
        x: i32,
        /// Pixels from the top edge.
        y: i32,
    },
    /// Something about one finger.
    Touch(Contact),
    /// All that belongs to one moment of touch has been said.
    TouchSync,
}

/// Something about one finger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Names the finger from [`ContactEvent::Down`] to [`ContactEvent::Up`]: any number, but different from
    /// that of the others that are down on the same guest.
    pub id: u32,
    /// What happened.
    pub event: ContactEvent,
}

/// What happened with a finger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactEvent {
    /// It touched here.
    Down {
        /// Pixels from the left edge.
        x: i32,
        /// Pixels from the top edge.
        y: i32,
    },
    /// It moved to here.
    Motion {
        /// Pixels from the left edge.
        x: i32,
        /// Pixels from the top edge.
        y: i32,
    },
    /// It was lifted.
    Up,
    /// Its print changed: the axes of an ellipse.
    Shape {
        /// Longer diameter, in pixels.
        major: u32,
        /// Shorter diameter, in pixels.
        minor: u32,
    },
    /// Its print turned.
    Orientation {
        /// Clockwise from the positive Y axis to the longer diameter, in degrees, -180..=180.
        angle: i16,
    },
}

/// Where a guest can be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TouchArea {
    /// Width in pixels; positions are 0..width.
    pub width: u32,
    /// Height in pixels; positions are 0..height.
    pub height: u32,
    /// Fingers at once; more are left out.
    pub contacts: u8,
}

/// What a guest's input device takes. All else is left out, and counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Keys.
    pub keyboard: bool,
    /// Buttons and wheel.
    pub pointer: bool,
    /// [`Input::Motion`].
    pub relative: bool,
    /// [`Input::Position`]: the width and height of the space, in pixels. Never together with `relative`.
    pub absolute: Option<(u32, u32)>,
    /// Whether the guest asked for absolute positions in units of 1/32767 of the space; the session scales.
    pub raw_pointer: bool,
    /// [`Input::Touch`].
    pub touch: Option<TouchArea>,
}

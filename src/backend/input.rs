// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user does, as the presentation backends report it: plain numbers, no device's own units.

/// Names an input device while it is there; never used twice by a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputDevice(pub u32);

impl InputDevice {
    /// The control socket, which is no device of any backend.
    pub const CONTROL: Self = Self(u32::MAX);
}

/// One thing that happened on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputEvent {
    /// On which device.
    pub device: InputDevice,
    /// When, in µs on the monotonic clock.
    pub time_us: u64,
    /// What.
    pub kind: InputKind,
}

/// A place on the layout of all outputs, from its upper left corner, in 1/2^32 of its width and height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fraction {
    /// Across.
    pub x: u32,
    /// Down.
    pub y: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// The device is there.
    Added,
    /// The device is gone; what was held on it is not any longer.
    Removed,
    /// A key or a button (Linux `KEY_*`, `BTN_*`). Repeats are not reported.
    Key {
        /// Which.
        code: u32,
        /// Down or up.
        pressed: bool,
    },
    /// The pointer moved by so much, in 1/256 pixel.
    Motion {
        /// Accelerated, for the cursor: right.
        dx: i32,
        /// Accelerated, for the cursor: down.
        dy: i32,
        /// As the device said: right.
        raw_dx: i32,
        /// As the device said: down.
        raw_dy: i32,
    },
    /// The pointer is at a place.
    Position(Fraction),
    /// A wheel was turned, by 1/120 of a click: positive is down, or right.
    Wheel {
        /// Which wheel.
        axis: Axis,
        /// How far.
        v120: i32,
    },
    /// A finger.
    Touch {
        /// Which finger, by a number that the device reuses when it is lifted.
        contact: u32,
        /// What it did.
        event: TouchEvent,
    },
    /// All that was reported of the device's fingers since the last frame happened at once.
    TouchFrame,
}

/// A wheel's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Up and down.
    Vertical,
    /// Left and right.
    Horizontal,
}

/// What a finger did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchEvent {
    /// It came down at a place.
    Down(Fraction),
    /// It moved to a place.
    Motion(Fraction),
    /// It was lifted.
    Up,
    /// The device takes back that it was ever down.
    Cancel,
}

/// Which of a keyboard's lamps are lit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lamps {
    /// Caps Lock.
    pub caps: bool,
    /// Num Lock.
    pub num: bool,
    /// Scroll Lock.
    pub scroll: bool,
}

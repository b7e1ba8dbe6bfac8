// SPDX-License-Identifier: GPL-3.0-or-later
//! The events of kbdif, as the C structs of Xen's `io/kbdif.h` lay them out (native byte order: both ends run
//! on one machine).

/// Bytes in every event (`XENKBD_IN_EVENT_SIZE`).
pub const EVENT: usize = 40;

/// One event as it lies in the page.
pub type Packet = [u8; EVENT];

/// `XENKBD_TYPE_MOTION`.
pub const TYPE_MOTION: u8 = 1;
/// `XENKBD_TYPE_KEY`.
pub const TYPE_KEY: u8 = 3;
/// `XENKBD_TYPE_POS`.
pub const TYPE_POS: u8 = 4;
/// `XENKBD_TYPE_MTOUCH`.
pub const TYPE_MTOUCH: u8 = 5;

/// `XENKBD_MT_EV_DOWN`.
pub const MT_DOWN: u8 = 0;
/// `XENKBD_MT_EV_UP`.
pub const MT_UP: u8 = 1;
/// `XENKBD_MT_EV_MOTION`.
pub const MT_MOTION: u8 = 2;
/// `XENKBD_MT_EV_SYN`.
pub const MT_SYN: u8 = 3;
/// `XENKBD_MT_EV_SHAPE`.
pub const MT_SHAPE: u8 = 4;
/// `XENKBD_MT_EV_ORIENT`.
pub const MT_ORIENT: u8 = 5;

/// Largest coordinate of a frontend that asked for raw positions.
pub const RAW_MAX: i32 = 0x7fff;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Relative motion.
    Motion {
        /// Right.
        x: i32,
        /// Down.
        y: i32,
        /// Wheel: Linux reports `REL_WHEEL = -z`.
        z: i32,
    },
    /// A key or button.
    Key {
        /// Down.
        pressed: bool,
        /// Linux's code.
        code: u32,
    },
    /// Absolute position.
    Position {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
        /// Wheel, as in [`Event::Motion`].
        z: i32,
    },
    /// Something about one contact, or the end of a set of such events.
    Touch {
        /// The contact's number, below the number of contacts.
        contact: u8,
        /// What.
        event: TouchEvent,
    },
}

/// What a touch event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchEvent {
    /// It came down here.
    Down {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// It was lifted.
    Up,
    /// It is here now.
    Motion {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// The end of a set of events.
    Sync,
    /// The axes of its ellipse.
    Shape {
        /// The longer one.
        major: u32,
        /// The shorter one.
        minor: u32,
    },
    /// The clockwise angle of its longer axis, in degrees.
    Orientation(i16),
}

/// A packet being written; all that is not written stays 0, as the header demands of reserved fields.
struct Writer(Packet);

impl Writer {
    fn put(mut self, offset: usize, bytes: &[u8]) -> Self {
        let to = self.0.iter_mut().skip(offset);
        for (to, from) in to.zip(bytes) {
            *to = *from;
        }
        self
    }

    fn words(self, first: i32, second: i32, third: i32) -> Self {
        self.put(4, &first.to_ne_bytes()).put(8, &second.to_ne_bytes()).put(12, &third.to_ne_bytes())
    }
}

impl Event {
    /// Lays the event out.
    #[must_use]
    pub fn encode(&self) -> Packet {
        let kind = |kind: u8| Writer([0; EVENT]).put(0, &[kind]);
        let packet = match *self {
            Self::Motion { x, y, z } => kind(TYPE_MOTION).words(x, y, z),
            Self::Position { x, y, z } => kind(TYPE_POS).words(x, y, z),
            Self::Key { pressed, code } => kind(TYPE_KEY).put(1, &[pressed.into()]).put(4, &code.to_ne_bytes()),
            Self::Touch { contact, event } => {
                let touch = |what: u8| kind(TYPE_MTOUCH).put(1, &[what, contact]);
                let pair = |what: u8, first: [u8; 4], second: [u8; 4]| touch(what).put(8, &first).put(12, &second);
                match event {
                    TouchEvent::Down { x, y } => pair(MT_DOWN, x.to_ne_bytes(), y.to_ne_bytes()),
                    TouchEvent::Up => touch(MT_UP),
                    TouchEvent::Motion { x, y } => pair(MT_MOTION, x.to_ne_bytes(), y.to_ne_bytes()),
                    TouchEvent::Sync => touch(MT_SYN),
                    TouchEvent::Shape { major, minor } => pair(MT_SHAPE, major.to_ne_bytes(), minor.to_ne_bytes()),
                    TouchEvent::Orientation(angle) => touch(MT_ORIENT).put(8, &angle.to_ne_bytes()),
                }
            }
        };
        packet.0
    }
}

#[cfg(any(test, feature = "sim"))]
impl Event {
    /// Reads an event, as a frontend does; `None` for a type that there is not.
    #[must_use]
    pub fn decode(packet: &Packet) -> Option<Self> {
        let (words, _) = packet.as_chunks::<4>();
        let word = |index: usize| words.get(index).copied().map_or(0, i32::from_ne_bytes);
        let unsigned = |index: usize| words.get(index).copied().map_or(0, u32::from_ne_bytes);
        let [kind, what, contact, ..] = *packet;
        let (x, y, z) = (word(1), word(2), word(3));
        Some(match kind {
            TYPE_MOTION => Self::Motion { x, y, z },
            TYPE_POS => Self::Position { x, y, z },
            TYPE_KEY => Self::Key { pressed: what != 0, code: unsigned(1) },
            TYPE_MTOUCH => {
                let (x, y) = (word(2), word(3));
                let event = match what {
                    MT_DOWN => TouchEvent::Down { x, y },
                    MT_UP => TouchEvent::Up,
                    MT_MOTION => TouchEvent::Motion { x, y },
                    MT_SYN => TouchEvent::Sync,
                    MT_SHAPE => TouchEvent::Shape { major: unsigned(2), minor: unsigned(3) },
                    MT_ORIENT => {
                        let [.., low, high] = *packet.first_chunk::<10>()?;
                        TouchEvent::Orientation(i16::from_ne_bytes([low, high]))
                    }
                    _ => return None,
                };
                Self::Touch { contact, event }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_survives_the_wire() {
        let touch = |event| Event::Touch { contact: 9, event };
        let events = [
            Event::Motion { x: -1, y: i32::MAX, z: i32::MIN },
            Event::Key { pressed: true, code: 0x2fe },
            Event::Key { pressed: false, code: 1 },
            Event::Position { x: 7, y: -8, z: 9 },
            touch(TouchEvent::Down { x: 1, y: -2 }),
            touch(TouchEvent::Up),
            touch(TouchEvent::Motion { x: 3, y: 4 }),
            touch(TouchEvent::Sync),
            touch(TouchEvent::Shape { major: u32::MAX, minor: 5 }),
            touch(TouchEvent::Orientation(-180)),
        ];
        for event in events {
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
        assert_eq!(Event::decode(&[2; EVENT]), None);
        assert_eq!(Event::decode(&[TYPE_MTOUCH; EVENT]).map(|_| ()), Some(()));
        assert_eq!(Event::decode(&[0xff; EVENT]), None);
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The packets of displif, as the C structs of Xen's `io/displif.h` lay them out (native byte order: both ends
//! run on one machine). A packet is copied out of the ring before it comes here.

use crate::xen::GrantRef;

/// Bytes in every request, response and event.
pub const PACKET: usize = 64;

/// One request, response or event.
pub type Packet = [u8; PACKET];

/// `XENDISPL_OP_DBUF_CREATE`.
pub const OP_DBUF_CREATE: u8 = 0x10;
/// `XENDISPL_OP_DBUF_DESTROY`.
pub const OP_DBUF_DESTROY: u8 = 0x11;
/// `XENDISPL_OP_FB_ATTACH`.
pub const OP_FB_ATTACH: u8 = 0x12;
/// `XENDISPL_OP_FB_DETACH`.
pub const OP_FB_DETACH: u8 = 0x13;
/// `XENDISPL_OP_SET_CONFIG`.
pub const OP_SET_CONFIG: u8 = 0x14;
/// `XENDISPL_OP_PG_FLIP`.
pub const OP_PG_FLIP: u8 = 0x15;
/// `XENDISPL_OP_GET_EDID`; version 2 only.
pub const OP_GET_EDID: u8 = 0x16;

/// `XENDISPL_EVT_PG_FLIP`.
pub const EVT_PG_FLIP: u8 = 0;

/// `XENDISPL_DBUF_FLG_REQ_ALLOC`: the frontend wants us to allocate the buffer. Linux leaves the field
/// uninitialised, so the bit alone means nothing.
pub const FLAG_REQ_ALLOC: u32 = 1;

/// `XENDISPL_EDID_MAX_SIZE`: the least that a frontend must offer for an EDID, in bytes.
pub const EDID_MAX_SIZE: u32 = 32_768;

/// Version of the protocol, as the frontend chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Without `data_ofs` and GET_EDID. Meant when the frontend says nothing.
    V1,
    /// With both.
    V2,
}

/// The error numbers of Xen (`public/errno.h`) that we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// No such buffer or framebuffer.
    NoEntry,
    /// Our side failed.
    Io,
    /// A limit on memory or grants.
    NoMemory,
    /// Xen refused a grant reference.
    Fault,
    /// The buffer is being destroyed already.
    Busy,
    /// The cookie is in use.
    Exists,
    /// The request makes no sense.
    Invalid,
    /// A limit on the number of things.
    NoSpace,
    /// No such operation in this version, or on this ring.
    NotSupported,
    /// The pages did not become free in time.
    TimedOut,
}

impl Errno {
    /// The negative number that goes into a response.
    #[must_use]
    pub const fn status(self) -> i32 {
        match self {
            Self::NoEntry => -2,
            Self::Io => -5,
            Self::NoMemory => -12,
            Self::Fault => -14,
            Self::Busy => -16,
            Self::Exists => -17,
            Self::Invalid => -22,
            Self::NoSpace => -28,
            Self::NotSupported => -95,
            Self::TimedOut => -110,
        }
    }
}

/// `struct xendispl_dbuf_create_req`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateBuffer {
    /// The guest's name for the buffer.
    pub cookie: u64,
    /// Pixels in a line; 0 with `height` and `bpp` when the geometry comes at FB_ATTACH.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bits in a pixel.
    pub bpp: u32,
    /// Bytes in the buffer.
    pub size: u32,
    /// See [`FLAG_REQ_ALLOC`].
    pub flags: u32,
    /// First page of the page directory.
    pub directory: GrantRef,
    /// Byte offset of the first pixel; to be ignored in version 1.
    pub data_offset: u32,
}

/// `struct xendispl_fb_attach_req`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachFramebuffer {
    /// The buffer.
    pub buffer_cookie: u64,
    /// The guest's name for the framebuffer.
    pub cookie: u64,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// DRM format code.
    pub fourcc: u32,
}

/// `struct xendispl_set_config_req`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetConfig {
    /// The framebuffer to show.
    pub cookie: u64,
    /// Left edge, in pixels.
    pub x: u32,
    /// Top edge, in pixels.
    pub y: u32,
    /// Width, in pixels.
    pub width: u32,
    /// Height, in pixels.
    pub height: u32,
    /// Bits in a pixel.
    pub bpp: u32,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// DBUF_CREATE.
    CreateBuffer(CreateBuffer),
    /// DBUF_DESTROY of the buffer with this cookie.
    DestroyBuffer(u64),
    /// FB_ATTACH.
    AttachFramebuffer(AttachFramebuffer),
    /// FB_DETACH of the framebuffer with this cookie.
    DetachFramebuffer(u64),
    /// SET_CONFIG.
    SetConfig(SetConfig),
    /// PG_FLIP to the framebuffer with this cookie.
    Flip(u64),
    /// GET_EDID.
    GetEdid {
        /// Bytes in the buffer that takes the EDID.
        size: u32,
        /// First page of that buffer's page directory.
        directory: GrantRef,
    },
    /// An operation that displif does not know.
    Unknown,
}

/// What a response has to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// The guest's name for the request.
    pub id: u16,
    /// The operation's code.
    pub operation: u8,
}

/// A decoded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// To be repeated in the response.
    pub id: RequestId,
    /// What is asked for. All fields are unchecked.
    pub operation: Operation,
}

/// Reads fields at fixed offsets; what lies beyond the packet reads as 0, which no caller asks for.
struct Fields<'a>(&'a Packet);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        offset
            .checked_add(N)
            .and_then(|end| self.0.get(offset..end))
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or([0; N])
    }

    fn u8(&self, offset: usize) -> u8 {
        u8::from_ne_bytes(self.bytes(offset))
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_ne_bytes(self.bytes(offset))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(offset))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(offset))
    }
}

/// Writes fields at fixed offsets over zeroes, so that every reserved byte is 0.
struct Writer(Packet);

impl Writer {
    fn new(id: u16, code: u8) -> Self {
        let mut writer = Self([0; PACKET]);
        writer.put(0, &id.to_ne_bytes());
        writer.put(2, &[code]);
        writer
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        for (to, from) in self.0.iter_mut().skip(offset).zip(bytes) {
            *to = *from;
        }
    }
}

impl Request {
    /// Decodes a packet. Nothing is checked, and every packet decodes.
    #[must_use]
    pub fn decode(packet: &Packet) -> Self {
        let fields = Fields(packet);
        let id = RequestId { id: fields.u16(0), operation: fields.u8(2) };
        let operation = match id.operation {
            OP_DBUF_CREATE => Operation::CreateBuffer(CreateBuffer {
                cookie: fields.u64(8),
                width: fields.u32(16),
                height: fields.u32(20),
                bpp: fields.u32(24),
                size: fields.u32(28),
                flags: fields.u32(32),
                directory: GrantRef(fields.u32(36)),
                data_offset: fields.u32(40),
            }),
            OP_DBUF_DESTROY => Operation::DestroyBuffer(fields.u64(8)),
            OP_FB_ATTACH => Operation::AttachFramebuffer(AttachFramebuffer {
                buffer_cookie: fields.u64(8),
                cookie: fields.u64(16),
                width: fields.u32(24),
                height: fields.u32(28),
                fourcc: fields.u32(32),
            }),
            OP_FB_DETACH => Operation::DetachFramebuffer(fields.u64(8)),
            OP_SET_CONFIG => Operation::SetConfig(SetConfig {
                cookie: fields.u64(8),
                x: fields.u32(16),
                y: fields.u32(20),
                width: fields.u32(24),
                height: fields.u32(28),
                bpp: fields.u32(32),
            }),
            OP_PG_FLIP => Operation::Flip(fields.u64(8)),
            OP_GET_EDID => Operation::GetEdid { size: fields.u32(8), directory: GrantRef(fields.u32(12)) },
            _ => Operation::Unknown,
        };
        Self { id, operation }
    }
}

/// `struct xendispl_resp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Which request is answered.
    pub id: RequestId,
    /// 0, or a negative error number.
    pub status: i32,
    /// Bytes of EDID written; 0 for every other operation.
    pub edid_size: u32,
}

impl Response {
    /// Lays the response out; all reserved bytes are 0.
    #[must_use]
    pub fn encode(&self) -> Packet {
        let mut writer = Writer::new(self.id.id, self.id.operation);
        writer.put(4, &self.status.to_ne_bytes());
        writer.put(8, &self.edid_size.to_ne_bytes());
        writer.0
    }

    /// Reads a response, as a frontend does.
    #[must_use]
    pub fn decode(packet: &Packet) -> Self {
        let fields = Fields(packet);
        Self {
            id: RequestId { id: fields.u16(0), operation: fields.u8(2) },
            status: i32::from_ne_bytes(fields.bytes(4)),
            edid_size: fields.u32(8),
        }
    }
}

/// `struct xendispl_evt` of a completed flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlipEvent {
    /// Consecutive from 0 after each connect, wrapping.
    pub id: u16,
    /// What was flipped to.
    pub cookie: u64,
}

impl FlipEvent {
    /// Lays the event out; all reserved bytes are 0.
    #[must_use]
    pub fn encode(&self) -> Packet {
        let mut writer = Writer::new(self.id, EVT_PG_FLIP);
        writer.put(8, &self.cookie.to_ne_bytes());
        writer.0
    }

    /// Reads an event, as a frontend does; `None` when it is of an unknown type.
    #[must_use]
    pub fn decode(packet: &Packet) -> Option<Self> {
        let fields = Fields(packet);
        (fields.u8(2) == EVT_PG_FLIP).then(|| Self { id: fields.u16(0), cookie: fields.u64(8) })
    }
}

#[cfg(any(test, feature = "sim"))]
impl Operation {
    /// Lays a request out, as a frontend does. `Unknown` gets operation code 0.
    #[must_use]
    pub fn encode(&self, id: u16) -> Packet {
        let mut packet;
        match *self {
            Self::CreateBuffer(create) => {
                packet = Writer::new(id, OP_DBUF_CREATE);
                packet.put(8, &create.cookie.to_ne_bytes());
                let words = [create.width, create.height, create.bpp, create.size, create.flags];
                for (offset, word) in (16..).step_by(4).zip(words) {
                    packet.put(offset, &word.to_ne_bytes());
                }
                packet.put(36, &create.directory.0.to_ne_bytes());
                packet.put(40, &create.data_offset.to_ne_bytes());
            }
            Self::DestroyBuffer(cookie) => {
                packet = Writer::new(id, OP_DBUF_DESTROY);
                packet.put(8, &cookie.to_ne_bytes());
            }
            Self::AttachFramebuffer(attach) => {
                packet = Writer::new(id, OP_FB_ATTACH);
                packet.put(8, &attach.buffer_cookie.to_ne_bytes());
                packet.put(16, &attach.cookie.to_ne_bytes());
                for (offset, word) in (24..).step_by(4).zip([attach.width, attach.height, attach.fourcc]) {
                    packet.put(offset, &word.to_ne_bytes());
                }
            }
            Self::DetachFramebuffer(cookie) => {
                packet = Writer::new(id, OP_FB_DETACH);
                packet.put(8, &cookie.to_ne_bytes());
            }
            Self::SetConfig(config) => {
                packet = Writer::new(id, OP_SET_CONFIG);
                packet.put(8, &config.cookie.to_ne_bytes());
                let words = [config.x, config.y, config.width, config.height, config.bpp];
                for (offset, word) in (16..).step_by(4).zip(words) {
                    packet.put(offset, &word.to_ne_bytes());
                }
            }
            Self::Flip(cookie) => {
                packet = Writer::new(id, OP_PG_FLIP);
                packet.put(8, &cookie.to_ne_bytes());
            }
            Self::GetEdid { size, directory } => {
                packet = Writer::new(id, OP_GET_EDID);
                packet.put(8, &size.to_ne_bytes());
                packet.put(12, &directory.0.to_ne_bytes());
            }
            Self::Unknown => packet = Writer::new(id, 0),
        }
        packet.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_survives_the_wire() {
        let operations = [
            Operation::CreateBuffer(CreateBuffer {
                cookie: 0x1122_3344_5566_7788,
                width: 1,
                height: 2,
                bpp: 3,
                size: 4,
                flags: 5,
                directory: GrantRef(6),
                data_offset: 7,
            }),
            Operation::DestroyBuffer(9),
            Operation::AttachFramebuffer(AttachFramebuffer {
                buffer_cookie: 1,
                cookie: 2,
                width: 3,
                height: 4,
                fourcc: 5,
            }),
            Operation::DetachFramebuffer(u64::MAX),
            Operation::SetConfig(SetConfig { cookie: 1, x: 2, y: 3, width: 4, height: 5, bpp: 6 }),
            Operation::Flip(77),
            Operation::GetEdid { size: 32_768, directory: GrantRef(8) },
            Operation::Unknown,
        ];
        for operation in operations {
            let request = Request::decode(&operation.encode(0xabcd));
            assert_eq!(request.operation, operation);
            assert_eq!(request.id.id, 0xabcd);
        }
    }

    #[test]
    fn responses_and_events_survive_the_wire() {
        let id = RequestId { id: 7, operation: OP_GET_EDID };
        let response = Response { id, status: Errno::Invalid.status(), edid_size: 256 };
        assert_eq!(Response::decode(&response.encode()), response);
        assert!(response.encode()[12..].iter().all(|byte| *byte == 0));
        let event = FlipEvent { id: u16::MAX, cookie: 42 };
        assert_eq!(FlipEvent::decode(&event.encode()), Some(event));
        assert_eq!(FlipEvent::decode(&[1; PACKET]), None);
    }

    #[test]
    fn unknown_codes_are_unknown() {
        for code in [0x00, 0x0f, 0x17, 0xff] {
            let mut packet = [0xee; PACKET];
            packet[2] = code;
            assert_eq!(Request::decode(&packet).operation, Operation::Unknown);
        }
    }
}

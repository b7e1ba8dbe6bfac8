// SPDX-License-Identifier: GPL-3.0-or-later
//! The kernel's mode-setting calls, as few as the lab needs. Layouts: Linux, include/uapi/drm/drm_mode.h.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::Result;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CardResources {
    pointers: [u64; 4],
    count_fbs: u32,
    count_crtcs: u32,
    count_connectors: u32,
    count_encoders: u32,
    limits: [u32; 4],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ModeInfo {
    clock: u32,
    hdisplay: u16,
    horizontal: [u16; 4],
    vdisplay: u16,
    vertical: [u16; 4],
    vrefresh: u32,
    flags: u32,
    kind: u32,
    name: [u8; 32],
}

#[repr(C)]
#[derive(Default)]
struct GetConnector {
    encoders: u64,
    modes: u64,
    props: u64,
    prop_values: u64,
    count_modes: u32,
    count_props: u32,
    count_encoders: u32,
    encoder_id: u32,
    connector_id: u32,
    connector_type: [u32; 2],
    connection: u32,
    size_mm: [u32; 2],
    subpixel: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Default)]
struct SetCrtc {
    connectors: u64,
    count_connectors: u32,
    crtc_id: u32,
    fb_id: u32,
    x: u32,
    y: u32,
    gamma_size: u32,
    mode_valid: u32,
    mode: ModeInfo,
}

#[repr(C)]
#[derive(Default)]
struct AddFb {
    fb_id: u32,
    width: u32,
    height: u32,
    fourcc: u32,
    flags: u32,
    handles: [u32; 4],
    pitches: [u32; 4],
    offsets: [u32; 4],
    modifiers: [u64; 4],
}

#[repr(C)]
#[derive(Default)]
struct PageFlip {
    crtc_id: u32,
    fb_id: u32,
    flags: u32,
    reserved: u32,
    user_data: u64,
}

#[repr(C)]
#[derive(Default)]
struct CreateDumb {
    height: u32,
    width: u32,
    bpp: u32,
    flags: u32,
    handle: u32,
    pitch: u32,
    size: u64,
}

#[repr(C)]
#[derive(Default)]
struct MapDumb {
    handle: u32,
    pad: u32,
    offset: u64,
}

nix::ioctl_readwrite!(get_resources, b'd', 0xa0, CardResources);
nix::ioctl_readwrite!(set_crtc, b'd', 0xa2, SetCrtc);
nix::ioctl_readwrite!(get_connector, b'd', 0xa7, GetConnector);
nix::ioctl_readwrite!(add_fb, b'd', 0xb8, AddFb);
nix::ioctl_readwrite!(rm_fb, b'd', 0xaf, u32);
nix::ioctl_readwrite!(page_flip, b'd', 0xb0, PageFlip);
nix::ioctl_readwrite!(create_dumb, b'd', 0xb2, CreateDumb);
nix::ioctl_readwrite!(map_dumb, b'd', 0xb3, MapDumb);
nix::ioctl_readwrite!(destroy_dumb, b'd', 0xb4, u32);

const PAGE_FLIP_EVENT: u32 = 1;
/// drm_event.type of a finished flip.
const FLIP_COMPLETE: u32 = 2;

/// Runs one call of the card and words its error.
fn call(what: &str, result: nix::Result<i32>) -> Result<()> {
    result.map(|_| ()).map_err(|error| format!("{what}: {error}"))
}

/// A card and its connectors.
pub(crate) struct Card {
    file: File,
    pub(crate) heads: Vec<Head>,
}

/// A connector at its first mode, with the CRTC of the same place in the card's list: `drm_xen_front` has
/// one for each.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    crtc: u32,
    connector: u32,
    mode: ModeInfo,
}

/// A format of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    fourcc: u32,
    bits: u32,
}

/// A dumb buffer with its framebuffer, mapped. Destroyed by [`Card::destroy`], or with the process.
pub(crate) struct Buffer {
    fb: u32,
    handle: u32,
    /// Pixels in a row of the picture.
    pub(crate) width: usize,
    pitch: usize,
    format: Format,
    pixels: NonNull<u8>,
    bytes: NonZeroUsize,
}

impl Format {
    pub(crate) const XR24: Self = Self { fourcc: u32::from_le_bytes(*b"XR24"), bits: 32 };

    /// A format by its four characters: one with 8 bits a channel in the order of XR24, or RG16.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let bits = match name {
            "XR24" | "AR24" => 32,
            "RG16" => 16,
            _ => return Err(format!("cannot draw in format {name}")),
        };
        let code = name.as_bytes().try_into().map_err(|_| format!("{name} is no format"))?;
        Ok(Self { fourcc: u32::from_le_bytes(code), bits })
    }

    /// A colour 0xrrggbb, opaque, as the bytes of one pixel.
    fn encode(self, colour: u32) -> ([u8; 4], usize) {
        let [blue, green, red, _] = colour.to_le_bytes();
        if self.bits == 16 {
            let pixel = u16::from(red >> 3) << 11 | u16::from(green >> 2) << 5 | u16::from(blue >> 3);
            let [low, high] = pixel.to_le_bytes();
            return ([low, high, 0, 0], 2);
        }
        ([blue, green, red, 0xff], 4)
    }
}

impl Head {
    /// Width and height of its mode.
    pub(crate) fn size(&self) -> (u32, u32) {
        (u32::from(self.mode.hdisplay), u32::from(self.mode.vdisplay))
    }
}

impl Card {
    pub(crate) fn open(path: &str) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| format!("{path}: {error}"))?;
        let (mut crtcs, mut connectors) = ([0_u32; 8], [0_u32; 8]);
        let mut resources = CardResources {
            pointers: [0, crtcs.as_mut_ptr() as u64, connectors.as_mut_ptr() as u64, 0],
            count_crtcs: 8,
            count_connectors: 8,
            ..CardResources::default()
        };
        // SAFETY: the arrays that the structure points to have the lengths that it gives, and live.
        call("the card's resources", unsafe { get_resources(file.as_raw_fd(), &raw mut resources) })?;
        let mut heads = Vec::new();
        for (crtc, connector) in crtcs.into_iter().zip(connectors).take(resources.count_connectors.min(8) as usize) {
            heads.push(Head { crtc, connector, mode: first_mode(&file, connector)? });
        }
        if heads.is_empty() {
            return Err("the card has no connector".into());
        }
        Ok(Self { file, heads })
    }

    /// A new buffer of a head's size.
    pub(crate) fn buffer(&self, head: &Head, format: Format) -> Result<Buffer> {
        let (width, height) = head.size();
        let mut dumb = CreateDumb { width, height, bpp: format.bits, ..CreateDumb::default() };
        // SAFETY: the kernel reads and writes the structure only.
        call("a dumb buffer", unsafe { create_dumb(self.file.as_raw_fd(), &raw mut dumb) })?;
        let mut fb = AddFb { width, height, fourcc: format.fourcc, ..AddFb::default() };
        (fb.handles[0], fb.pitches[0]) = (dumb.handle, dumb.pitch);
        // SAFETY: as above.
        call("a framebuffer", unsafe { add_fb(self.file.as_raw_fd(), &raw mut fb) })?;
        let mut map = MapDumb { handle: dumb.handle, ..MapDumb::default() };
        // SAFETY: as above.
        call("the buffer's map offset", unsafe { map_dumb(self.file.as_raw_fd(), &raw mut map) })?;
        let bytes = NonZeroUsize::new(dumb.size as usize).ok_or("the buffer has no bytes")?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let offset = i64::try_from(map.offset).map_err(|_| "the map offset is too large")?;
        // SAFETY: a fresh mapping of `bytes` of the buffer, unmapped once, in `destroy`.
        let pixels = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, self.file.as_fd(), offset) }
            .map_err(|error| format!("the buffer's mapping: {error}"))?;
        let (width, pitch) = (width as usize, dumb.pitch as usize);
        Ok(Buffer { fb: fb.fb_id, handle: dumb.handle, width, pitch, format, pixels: pixels.cast(), bytes })
    }

    /// Sets a head's mode with the buffer on the screen.
    pub(crate) fn show(&self, head: &Head, buffer: &Buffer) -> Result<()> {
        let connector = head.connector;
        let mut crtc = SetCrtc {
            connectors: (&raw const connector) as u64,
            count_connectors: 1,
            crtc_id: head.crtc,
            fb_id: buffer.fb,
            mode_valid: 1,
            mode: head.mode,
            ..SetCrtc::default()
        };
        // SAFETY: the one connector that the structure points to lives to the end of the call.
        call("setting the mode", unsafe { set_crtc(self.file.as_raw_fd(), &raw mut crtc) })
    }

    /// Asks for a flip to the buffer, whose event will carry `tag`.
    pub(crate) fn flip(&self, head: &Head, buffer: &Buffer, tag: u64) -> Result<()> {
        let mut flip = PageFlip {
            crtc_id: head.crtc,
            fb_id: buffer.fb,
            flags: PAGE_FLIP_EVENT,
            user_data: tag,
            ..PageFlip::default()
        };
        // SAFETY: the kernel reads the structure only.
        call("a page flip", unsafe { page_flip(self.file.as_raw_fd(), &raw mut flip) })
    }

    /// Waits for the next flip's event and returns its tag.
    pub(crate) fn flip_event(&self) -> Result<u64> {
        // drm_event_vblank: type, length, user_data, and 16 bytes more; one event at a time is asked for.
        let mut event = [0_u8; 32];
        let count = (&self.file).read(&mut event).map_err(|error| format!("waiting for a flip's event: {error}"))?;
        let word = |at: usize| u32::from_ne_bytes([event[at], event[at + 1], event[at + 2], event[at + 3]]);
        if count < 32 || word(0) != FLIP_COMPLETE {
            return Err(format!("an event of {count} bytes and type {} came instead of a flip's", word(0)));
        }
        Ok(u64::from(word(8)) | u64::from(word(12)) << 32)
    }

    /// Takes the framebuffer away, which blanks the screen when it is shown.
    pub(crate) fn remove_framebuffer(&self, buffer: &Buffer) -> Result<()> {
        let mut fb = buffer.fb;
        // SAFETY: the kernel reads the number only.
        call("removing the framebuffer", unsafe { rm_fb(self.file.as_raw_fd(), &raw mut fb) })
    }

    /// Destroys the buffer, whose framebuffer must be gone, for this to be the end of its pages.
    pub(crate) fn destroy(&self, buffer: Buffer) -> Result<()> {
        // SAFETY: the mapping made in `buffer`, which is consumed here.
        unsafe { munmap(buffer.pixels.cast(), buffer.bytes.get()) }.map_err(|error| format!("unmapping: {error}"))?;
        let mut handle = buffer.handle;
        // SAFETY: the kernel reads the number only.
        call("destroying the buffer", unsafe { destroy_dumb(self.file.as_raw_fd(), &raw mut handle) })
    }
}

impl Buffer {
    /// Every pixel in one colour, 0xrrggbb.
    pub(crate) fn fill(&mut self, colour: u32) {
        self.draw(|_, _| colour);
    }

    /// Draws the picture that a function of column and row gives, in colours 0xrrggbb.
    pub(crate) fn draw(&mut self, colour: impl Fn(u32, u32) -> u32) {
        let (width, pitch, format) = (self.width, self.pitch, self.format);
        // SAFETY: the mapping has `bytes` bytes, and only this process writes to it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.pixels.as_ptr(), self.bytes.get()) };
        for (row, y) in bytes.chunks_exact_mut(pitch).zip(0..) {
            for (pixel, x) in row.chunks_exact_mut(format.bits as usize / 8).take(width).zip(0..) {
                let (value, length) = format.encode(colour(x, y));
                pixel.copy_from_slice(&value[..length]);
            }
        }
    }
}

/// The connector's first mode.
fn first_mode(file: &File, connector: u32) -> Result<ModeInfo> {
    let mut modes = [ModeInfo::default(); 32];
    // Asked twice, as the kernel wants it: a count of zero makes it look the modes up.
    let mut ask = GetConnector { connector_id: connector, ..GetConnector::default() };
    // SAFETY: with all counts at zero the kernel writes to the structure only.
    call("the connector", unsafe { get_connector(file.as_raw_fd(), &raw mut ask) })?;
    let count = ask.count_modes.min(32);
    let mut ask = GetConnector {
        connector_id: connector,
        modes: modes.as_mut_ptr() as u64,
        count_modes: count,
        ..GetConnector::default()
    };
    // SAFETY: the array has room for `count` modes, and lives.
    call("the connector's modes", unsafe { get_connector(file.as_raw_fd(), &raw mut ask) })?;
    if count == 0 || ask.count_modes == 0 {
        return Err(format!("connector {connector} has no mode"));
    }
    Ok(modes[0])
}

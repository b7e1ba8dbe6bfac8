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
    pitch: u32,
    bpp: u32,
    depth: u32,
    handle: u32,
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
nix::ioctl_readwrite!(add_fb, b'd', 0xae, AddFb);
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

/// A card, with its first connector at that connector's first mode.
pub(crate) struct Card {
    file: File,
    crtc: u32,
    connector: u32,
    mode: ModeInfo,
}

/// A dumb buffer with its framebuffer, 32 bits a pixel, mapped. Destroyed by [`Card::destroy`], or with
/// the process.
pub(crate) struct Buffer {
    fb: u32,
    handle: u32,
    pixels: NonNull<u32>,
    bytes: NonZeroUsize,
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
        let (crtc, connector) = (crtcs[0], connectors[0]);
        let mode = first_mode(&file, connector)?;
        Ok(Self { file, crtc, connector, mode })
    }

    /// A new buffer of the mode's size.
    pub(crate) fn buffer(&self) -> Result<Buffer> {
        let (width, height) = (u32::from(self.mode.hdisplay), u32::from(self.mode.vdisplay));
        let mut dumb = CreateDumb { width, height, bpp: 32, ..CreateDumb::default() };
        // SAFETY: the kernel reads and writes the structure only.
        call("a dumb buffer", unsafe { create_dumb(self.file.as_raw_fd(), &raw mut dumb) })?;
        let mut fb = AddFb { width, height, pitch: dumb.pitch, bpp: 32, depth: 24, handle: dumb.handle, fb_id: 0 };
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
        Ok(Buffer { fb: fb.fb_id, handle: dumb.handle, pixels: pixels.cast(), bytes })
    }

    /// Sets the mode with the buffer on the screen.
    pub(crate) fn show(&self, buffer: &Buffer) -> Result<()> {
        let connector = self.connector;
        let mut crtc = SetCrtc {
            connectors: (&raw const connector) as u64,
            count_connectors: 1,
            crtc_id: self.crtc,
            fb_id: buffer.fb,
            mode_valid: 1,
            mode: self.mode,
            ..SetCrtc::default()
        };
        // SAFETY: the one connector that the structure points to lives to the end of the call.
        call("setting the mode", unsafe { set_crtc(self.file.as_raw_fd(), &raw mut crtc) })
    }

    /// Asks for a flip to the buffer, whose event will carry `tag`.
    pub(crate) fn flip(&self, buffer: &Buffer, tag: u64) -> Result<()> {
        let mut flip = PageFlip {
            crtc_id: self.crtc,
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
        let count = self.bytes.get() / 4;
        // SAFETY: the mapping has `bytes` bytes, is aligned to pages, and only this process writes to it.
        let pixels = unsafe { std::slice::from_raw_parts_mut(self.pixels.as_ptr(), count) };
        pixels.fill(colour);
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

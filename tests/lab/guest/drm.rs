// SPDX-License-Identifier: GPL-3.0-or-later
//! The kernel's mode-setting calls, as few as the lab needs. Layouts: Linux, include/uapi/drm/drm_mode.h.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::Result;
use crate::card::{Card, Format};

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

#[repr(C)]
#[derive(Default)]
struct GetProperty {
    values: u64,
    enums: u64,
    id: u32,
    flags: u32,
    name: [u8; 32],
    count_values: u32,
    count_enums: u32,
}

#[repr(C)]
#[derive(Default)]
struct SetProperty {
    value: u64,
    property: u32,
    connector: u32,
}

nix::ioctl_readwrite!(get_resources, b'd', 0xa0, CardResources);
nix::ioctl_readwrite!(set_crtc, b'd', 0xa2, SetCrtc);
nix::ioctl_readwrite!(get_connector, b'd', 0xa7, GetConnector);
nix::ioctl_readwrite!(get_property, b'd', 0xaa, GetProperty);
nix::ioctl_readwrite!(set_property, b'd', 0xab, SetProperty);
nix::ioctl_readwrite!(add_fb, b'd', 0xb8, AddFb);
nix::ioctl_readwrite!(rm_fb, b'd', 0xaf, u32);
nix::ioctl_readwrite!(page_flip, b'd', 0xb0, PageFlip);
nix::ioctl_readwrite!(create_dumb, b'd', 0xb2, CreateDumb);
nix::ioctl_readwrite!(map_dumb, b'd', 0xb3, MapDumb);
nix::ioctl_readwrite!(destroy_dumb, b'd', 0xb4, u32);

const PAGE_FLIP_EVENT: u32 = 1;
/// drm_event.type of a finished flip.
const FLIP_COMPLETE: u32 = 2;

const DPMS_ON: u64 = 0;
const DPMS_OFF: u64 = 3;

/// Runs one call of the card and words its error.
fn call(what: &str, result: nix::Result<i32>) -> Result<()> {
    result.map(|_| ()).map_err(|error| format!("{what}: {error}"))
}

/// The kernel's card and its connectors.
pub(crate) struct DrmCard {
    file: File,
    heads: Vec<Head>,
}

/// A connector at its first mode, with the CRTC of the same place in the card's list: `drm_xen_front` has
/// one for each.
#[derive(Clone, Copy)]
struct Head {
    crtc: u32,
    connector: u32,
    mode: ModeInfo,
}

/// A dumb buffer with its framebuffer, mapped. Destroyed by [`Card::destroy`], or with the process.
pub(crate) struct DumbBuffer {
    fb: u32,
    handle: u32,
    size: (u32, u32),
    pitch: usize,
    format: Format,
    pixels: NonNull<u8>,
    bytes: NonZeroUsize,
}

impl DrmCard {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
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

    /// The number of a connector's property.
    fn property(&self, connector: u32, wanted: &str) -> Result<u32> {
        let (mut ids, mut values) = ([0_u32; 32], [0_u64; 32]);
        // Room for one mode: a count of zero would make the kernel look all modes up once more.
        let mut mode = ModeInfo::default();
        let mut ask = GetConnector {
            connector_id: connector,
            modes: (&raw mut mode) as u64,
            count_modes: 1,
            props: ids.as_mut_ptr() as u64,
            prop_values: values.as_mut_ptr() as u64,
            count_props: 32,
            ..GetConnector::default()
        };
        // SAFETY: the arrays that the structure points to have the lengths that it gives, and live.
        call("the connector's properties", unsafe { get_connector(self.file.as_raw_fd(), &raw mut ask) })?;
        for id in ids.into_iter().take(ask.count_props.min(32) as usize) {
            let mut property = GetProperty { id, ..GetProperty::default() };
            // SAFETY: with all counts at zero the kernel writes to the structure only.
            call("a property", unsafe { get_property(self.file.as_raw_fd(), &raw mut property) })?;
            if property.name.split(|byte| *byte == 0).next() == Some(wanted.as_bytes()) {
                return Ok(id);
            }
        }
        Err(format!("connector {connector} has no property {wanted}"))
    }
}

impl Card for DrmCard {
    type Buffer = DumbBuffer;

    fn connectors(&self) -> usize {
        self.heads.len()
    }

    fn size(&self, connector: usize) -> (u32, u32) {
        let mode = &self.heads[connector].mode;
        (u32::from(mode.hdisplay), u32::from(mode.vdisplay))
    }

    fn buffer(&mut self, connector: usize, format: Format) -> Result<DumbBuffer> {
        let (width, height) = self.size(connector);
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
        let (size, pitch) = ((width, height), dumb.pitch as usize);
        Ok(DumbBuffer { fb: fb.fb_id, handle: dumb.handle, size, pitch, format, pixels: pixels.cast(), bytes })
    }

    fn draw_rows(&mut self, buffer: &mut DumbBuffer, row: &mut dyn FnMut(u32, &mut Vec<u8>)) -> Result<()> {
        // SAFETY: the mapping has `bytes` bytes, and only this process writes to it.
        let all = unsafe { std::slice::from_raw_parts_mut(buffer.pixels.as_ptr(), buffer.bytes.get()) };
        let mut bytes = Vec::new();
        for (place, y) in all.chunks_exact_mut(buffer.pitch).zip(0..buffer.size.1) {
            bytes.clear();
            row(y, &mut bytes);
            place.get_mut(..bytes.len()).ok_or("a row is longer than the buffer's")?.copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn layout(buffer: &DumbBuffer) -> (u32, Format) {
        (buffer.size.0, buffer.format)
    }

    fn show(&mut self, connector: usize, buffer: &DumbBuffer) -> Result<()> {
        let Head { crtc, connector, mode } = self.heads[connector];
        let mut crtc = SetCrtc {
            connectors: (&raw const connector) as u64,
            count_connectors: 1,
            crtc_id: crtc,
            fb_id: buffer.fb,
            mode_valid: 1,
            mode,
            ..SetCrtc::default()
        };
        // SAFETY: the one connector that the structure points to lives to the end of the call.
        call("setting the mode", unsafe { set_crtc(self.file.as_raw_fd(), &raw mut crtc) })
    }

    fn flip(&mut self, connector: usize, buffer: &DumbBuffer, tag: u64) -> Result<()> {
        let mut flip = PageFlip {
            crtc_id: self.heads[connector].crtc,
            fb_id: buffer.fb,
            flags: PAGE_FLIP_EVENT,
            user_data: tag,
            ..PageFlip::default()
        };
        // SAFETY: the kernel reads the structure only.
        call("a page flip", unsafe { page_flip(self.file.as_raw_fd(), &raw mut flip) })
    }

    fn flip_event(&mut self) -> Result<u64> {
        // drm_event_vblank: type, length, user_data, and 16 bytes more; one event at a time is asked for.
        let mut event = [0_u8; 32];
        let count = (&self.file).read(&mut event).map_err(|error| format!("waiting for a flip's event: {error}"))?;
        let word = |at: usize| u32::from_ne_bytes([event[at], event[at + 1], event[at + 2], event[at + 3]]);
        if count < 32 || word(0) != FLIP_COMPLETE {
            return Err(format!("an event of {count} bytes and type {} came instead of a flip's", word(0)));
        }
        Ok(u64::from(word(8)) | u64::from(word(12)) << 32)
    }

    fn power(&mut self, connector: usize, on: bool) -> Result<()> {
        let connector = self.heads[connector].connector;
        let property = self.property(connector, "DPMS")?;
        let mut set = SetProperty { value: if on { DPMS_ON } else { DPMS_OFF }, property, connector };
        // SAFETY: the kernel reads the structure only.
        call("DPMS", unsafe { set_property(self.file.as_raw_fd(), &raw mut set) })
    }

    fn remove_framebuffer(&mut self, buffer: &DumbBuffer) -> Result<()> {
        let mut fb = buffer.fb;
        // SAFETY: the kernel reads the number only.
        call("removing the framebuffer", unsafe { rm_fb(self.file.as_raw_fd(), &raw mut fb) })
    }

    fn destroy(&mut self, buffer: DumbBuffer) -> Result<()> {
        // SAFETY: the mapping made in `buffer`, which is consumed here.
        unsafe { munmap(buffer.pixels.cast(), buffer.bytes.get()) }.map_err(|error| format!("unmapping: {error}"))?;
        let mut handle = buffer.handle;
        // SAFETY: the kernel reads the number only.
        call("destroying the buffer", unsafe { destroy_dumb(self.file.as_raw_fd(), &raw mut handle) })
    }

    fn pause(&mut self, time: Option<Duration>) -> Result<()> {
        match time {
            Some(time) => std::thread::sleep(time),
            None => loop {
                std::thread::park();
            },
        }
        Ok(())
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

// SPDX-License-Identifier: GPL-3.0-or-later
//! Guest memory, outputs and frames for the tests.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Duration;

use grantway::backend::headless::{Clock, Headless, HeadlessConfig, OutputConfig, RendererKind};
use grantway::backend::{Event, OutputId, PixelLayout, Presentation};
use grantway::buffer::memory::BufferMemory;
use grantway::scene::element::{BufferId, Color, Content, Element, ElementId, Frame, Pixmap, Rect, Rotation};
use grantway::xen::grants::ExportMemory;
use grantway::xen::pages::SharedPages;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

pub(crate) const REFRESH: Duration = Duration::from_micros(16_667);
pub(crate) const BACKGROUND: Color = Color { red: 12, green: 34, blue: 56 };

/// Memory that a guest could have granted, and whether anyone still maps it.
pub(crate) struct GuestMemory {
    pub(crate) memory: Rc<BufferMemory>,
    pub(crate) mapped: Rc<Cell<bool>>,
    base: NonNull<u8>,
    len: usize,
}

struct Mapping {
    base: NonNull<std::ffi::c_void>,
    len: usize,
    mapped: Rc<Cell<bool>>,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.mapped.set(false);
        // SAFETY: mapped below, unmapped only here.
        unsafe { munmap(self.base, self.len) }.unwrap();
    }
}

fn page_aligned(bytes: usize) -> NonZeroUsize {
    NonZeroUsize::new(bytes.next_multiple_of(4096).max(4096)).unwrap()
}

impl GuestMemory {
    /// Mapped pages, without a dma-buf.
    pub(crate) fn mapped(bytes: usize) -> Self {
        let len = page_aligned(bytes);
        // SAFETY: a new anonymous mapping.
        let base =
            unsafe { mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED) }
                .unwrap();
        let mapped = Rc::new(Cell::new(true));
        let mapping = Mapping { base, len: len.get(), mapped: Rc::clone(&mapped) };
        // SAFETY: the mapping lives as long as `mapping`.
        let pages = unsafe { SharedPages::new(base.cast(), len.get(), Box::new(mapping)) };
        let memory = Rc::new(BufferMemory::new(ExportMemory::Mapped(pages), len.get()));
        Self { memory, mapped, base: base.cast(), len: len.get() }
    }

    /// A memfd in the place of a dma-buf: newer drivers take it, older ones refuse it.
    pub(crate) fn descriptor(bytes: usize) -> Self {
        let len = page_aligned(bytes);
        let fd: OwnedFd = memfd_create("guest", MFdFlags::MFD_CLOEXEC).unwrap();
        nix::unistd::ftruncate(&fd, i64::try_from(len.get()).unwrap()).unwrap();
        // SAFETY: a new mapping; it stays until the process ends.
        let base =
            unsafe { mmap(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, &fd, 0) }
                .unwrap();
        let memory = Rc::new(BufferMemory::new(ExportMemory::Dmabuf(fd), len.get()));
        Self { memory, mapped: Rc::new(Cell::new(true)), base: base.cast(), len: len.get() }
    }

    /// What the guest draws.
    pub(crate) fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len && self.mapped.get());
        // SAFETY: within the mapping, which is still there.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.as_ptr(), bytes.len()) };
    }
}

/// Noise, the same at every run.
pub(crate) fn noise(seed: u32, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[3]
    })
    .take(bytes)
    .collect()
}

pub(crate) fn headless(renderer: RendererKind, outputs: &[(u32, u32)]) -> Headless {
    let outputs = outputs.iter().enumerate().map(|(index, (width, height))| output(index, *width, *height)).collect();
    Headless::new(HeadlessConfig { outputs, renderer, clock: Clock::Manual })
        .unwrap_or_else(|error| panic!("{renderer:?} does not start: {error}"))
}

pub(crate) fn output(index: usize, width: u32, height: u32) -> OutputConfig {
    OutputConfig { name: format!("headless-{}", index + 1), width, height, refresh: REFRESH }
}

pub(crate) fn events(backend: &mut Headless) -> Vec<Event> {
    let mut events = Vec::new();
    backend.take_events(&mut events);
    events
}

/// Lets time pass until nothing is on its way.
pub(crate) fn settle(backend: &mut Headless) -> Vec<Event> {
    while let Some(time) = backend.deadline() {
        backend.dispatch(time);
    }
    events(backend)
}

pub(crate) fn code(name: &str) -> u32 {
    u32::from_le_bytes(name.as_bytes().try_into().unwrap())
}

pub(crate) fn rect(x: i32, y: i32, width: u32, height: u32) -> Rect {
    Rect { x, y, width: width.cast_signed(), height: height.cast_signed() }
}

pub(crate) fn shown(buffer: BufferId, layout: &PixelLayout, version: u64) -> Content {
    Content::Buffer { buffer, source: rect(0, 0, layout.width, layout.height), version, smooth: false }
}

pub(crate) fn frame(elements: Vec<(u64, Rect, Content)>) -> Frame {
    let element = |(id, target, content)| Element { id: ElementId(id), target, content, rotation: Rotation::None };
    Frame { elements: elements.into_iter().map(element).collect(), background: BACKGROUND }
}

/// Red, green, blue of a pixel; the alpha has to be 255.
pub(crate) fn pixel(picture: &Pixmap, x: u32, y: u32) -> [u8; 3] {
    let at = usize::try_from((y * picture.width + x) * 4).unwrap();
    assert_eq!(picture.pixels[at + 3], 255, "alpha at {x},{y}");
    [picture.pixels[at + 2], picture.pixels[at + 1], picture.pixels[at]]
}

pub(crate) fn only_output(backend: &Headless) -> OutputId {
    backend.outputs()[0].id
}

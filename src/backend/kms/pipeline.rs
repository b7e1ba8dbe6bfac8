// SPDX-License-Identifier: GPL-3.0-or-later
//! From a frame to a scanout buffer and onto the display, for one device: with the CPU into dumb buffers or
//! with the GPU into GBM buffers.

use std::error::Error;
use std::fmt;
use std::rc::Rc;

use smithay::backend::allocator::dmabuf::{AsDmabuf, Dmabuf};
use smithay::backend::allocator::dumb::{DumbAllocator, DumbBuffer};
use smithay::backend::allocator::gbm::{GbmAllocator, GbmBuffer, GbmBufferFlags, GbmConvertError, GbmDevice};
use smithay::backend::allocator::{Allocator, Buffer};
use smithay::backend::drm::dumb::DumbFramebuffer;
use smithay::backend::drm::exporter::gbm::GbmFramebufferExporter;
use smithay::backend::drm::exporter::{self, ExportFramebuffer};
use smithay::backend::drm::gbm::{GbmFramebuffer, framebuffer_from_dmabuf};
use smithay::backend::drm::{DrmDeviceFd, DrmSurface, Framebuffer};
use smithay::backend::renderer::Bind;
use smithay::backend::renderer::gles::GlesRenderer;
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::reexports::drm::control::crtc;
use smithay::reexports::drm::{Device as _, DriverCapability};

use super::config::RendererChoice;
use super::displays::Displays;
use super::gpu::{self, Gpu};
use super::guest_buffers::{AddFramebuffer, OnPlane, PlaneFramebuffer, Source, WithGuests, add_raw};
use crate::backend::render::gles;
use crate::backend::{ImportPath, ImportRefused, PixelLayout, Pointer, Scanout};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, ElementId, Frame, Pixmap, Rect};

/// What came of drawing a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// On its way to the display.
    Submitted,
    /// Nothing changed.
    NoDamage,
}

/// One device's way to its displays, whoever draws. Displays are named by their CRTC.
pub(super) trait Pipeline: fmt::Debug {
    /// Who draws, for the user.
    fn renderer(&self) -> &'static str;

    /// Prepares a display; nothing is shown before the first frame.
    fn add(&mut self, surface: DrmSurface) -> Result<(), String>;

    /// Switches a display off, unless the device is paused.
    fn remove(&mut self, crtc: crtc::Handle);

    /// Makes a guest's buffer showable.
    fn import(
        &mut self,
        id: BufferId,
        memory: Rc<BufferMemory>,
        layout: PixelLayout,
    ) -> Result<(ImportPath, String), ImportRefused>;

    /// Forgets a guest's buffer: it is in no later frame, and what was drawn of it stays drawn. Nothing of ours
    /// reads it afterwards but planes that show it; see [`Pipeline::holds`].
    fn evict(&mut self, id: BufferId);

    /// Whether a framebuffer still holds an evicted buffer's memory: until a frame without it is shown.
    fn holds(&self, id: BufferId) -> bool;

    /// Takes evicted buffers from the planes now, whatever the displays show afterwards. The kernel does it, and
    /// waits for the hardware if it has to.
    fn take_away(&mut self);

    /// Bytes copied of a guest's buffer.
    fn bytes_copied(&self, id: BufferId) -> u64;

    /// A copy of a part of a guest's buffer.
    fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String>;

    /// Draws a frame and hands it to the kernel, which flips without being waited for; the first frame of a
    /// display sets its mode, and for that the kernel does make us wait.
    fn draw(&mut self, crtc: crtc::Handle, frame: Frame) -> Result<Drawn, String>;

    /// Whether anything was drawn for the frame handed over last.
    fn draws(&self, crtc: crtc::Handle) -> bool;

    /// The frame handed over last is on the display. Returns whether planes could show more of it by now.
    fn shown(&mut self, crtc: crtc::Handle) -> bool;

    /// Distrusts what is known of the display's state: the next frame sets and draws everything.
    fn reset(&mut self, crtc: crtc::Handle);

    /// Takes everything off the display and switches it off; the next frame sets its mode. The kernel makes us wait
    /// for that.
    fn switch_off(&mut self, crtc: crtc::Handle);

    /// How a guest's picture or the pointer gets onto the display; `None` if it was not in the frame handed over last.
    fn scanout(&self, crtc: crtc::Handle, element: ElementId) -> Option<Scanout>;

    /// Reads back the frame handed over last; what planes show of guests is read where it lies.
    fn screenshot(&mut self, crtc: crtc::Handle, pointer: Pointer) -> Result<Pixmap, String>;
}

/// Makes the pipeline of a device.
pub(super) fn open(fd: &DrmDeviceFd, choice: RendererChoice, compose_only: bool) -> Result<Box<dyn Pipeline>, String> {
    match choice {
        RendererChoice::Pixman => pixman(fd, compose_only),
        RendererChoice::Gl => gl(fd, gpu::open(fd)?, compose_only),
        RendererChoice::Auto => match gpu::open(fd) {
            Ok(gpu) => gl(fd, gpu, compose_only),
            Err(why) => {
                tracing::info!(why, "the CPU draws");
                pixman(fd, compose_only)
            }
        },
    }
}

fn pixman(fd: &DrmDeviceFd, compose_only: bool) -> Result<Box<dyn Pipeline>, String> {
    if fd.get_driver_capability(DriverCapability::DumbBuffer).unwrap_or(0) == 0 {
        return Err("its driver has no dumb buffers, so the CPU can't draw on it".to_owned());
    }
    let renderer = PixmanRenderer::new().map_err(|error| error.to_string())?;
    let formats = Bind::<Dmabuf>::supported_formats(&renderer).unwrap_or_default();
    Ok(Box::new(Displays::new(renderer, Dumb(fd.clone()), formats, compose_only)?))
}

fn gl(fd: &DrmDeviceFd, gpu: Gpu, compose_only: bool) -> Result<Box<dyn Pipeline>, String> {
    let formats = gpu.renderer.egl_context().dmabuf_render_formats().clone();
    let buffers = Gbm { device: fd.clone(), gbm: gpu.gbm };
    Ok(Box::new(Displays::<GlesRenderer, _>::new(gpu.renderer, buffers, formats, compose_only)?))
}

/// Where the scanout buffers of a device come from.
pub(super) trait Buffers: AddFramebuffer {
    type Buffer: Buffer + AsDmabuf<Error = Self::ExportError>;
    type Framebuffer: Framebuffer + fmt::Debug + 'static;
    type Allocator: Allocator<Buffer = Self::Buffer, Error = Self::AllocatorError>;
    type Exporter: ExportFramebuffer<Self::Buffer, Framebuffer = Self::Framebuffer, Error = Self::FramebufferError>;
    type AllocatorError: Error + Send + Sync + 'static;
    type ExportError: Error + Send + Sync + 'static;
    type FramebufferError: Error + Send + Sync + 'static;

    fn allocator(&self) -> Self::Allocator;
    fn exporter(&self) -> Self::Exporter;
}

struct Dumb(DrmDeviceFd);

impl Buffers for Dumb {
    type Buffer = DumbBuffer;
    type Framebuffer = OnPlane<DumbFramebuffer>;
    type Allocator = DumbAllocator;
    type Exporter = WithGuests<DrmDeviceFd>;
    type AllocatorError = std::io::Error;
    type ExportError = std::io::Error;
    type FramebufferError = exporter::dumb::Error;

    fn allocator(&self) -> DumbAllocator {
        DumbAllocator::new(self.0.clone())
    }

    fn exporter(&self) -> Self::Exporter {
        WithGuests(self.0.clone())
    }
}

impl AddFramebuffer for Dumb {
    fn add(&self, source: &Source<'_>) -> Result<PlaneFramebuffer, String> {
        add_raw(&self.0, source)
    }
}

struct Gbm {
    device: DrmDeviceFd,
    gbm: GbmDevice<DrmDeviceFd>,
}

impl Buffers for Gbm {
    type Buffer = GbmBuffer;
    type Framebuffer = OnPlane<GbmFramebuffer>;
    type Allocator = GbmAllocator<DrmDeviceFd>;
    type Exporter = WithGuests<GbmFramebufferExporter<DrmDeviceFd>>;
    type AllocatorError = std::io::Error;
    type ExportError = GbmConvertError;
    type FramebufferError = exporter::gbm::Error;

    fn allocator(&self) -> Self::Allocator {
        GbmAllocator::new(self.gbm.clone(), GbmBufferFlags::RENDERING | GbmBufferFlags::SCANOUT)
    }

    fn exporter(&self) -> Self::Exporter {
        WithGuests(GbmFramebufferExporter::new(self.gbm.clone(), None))
    }
}

impl AddFramebuffer for Gbm {
    /// Through GBM, which counts who uses the device's handle of a buffer: the renderer imports it too.
    fn add(&self, source: &Source<'_>) -> Result<PlaneFramebuffer, String> {
        let Source { memory, layout, format, modifier } = *source;
        let fd = memory.dmabuf().ok_or("there is no dma-buf")?;
        let dmabuf = gles::describe(fd, layout, format, modifier)?;
        framebuffer_from_dmabuf(&self.device, &self.gbm, &dmabuf, true, false)
            .map(PlaneFramebuffer::Gbm)
            .map_err(|error| error.to_string())
    }
}

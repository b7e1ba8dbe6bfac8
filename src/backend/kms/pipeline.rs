// SPDX-License-Identifier: GPL-3.0-or-later
//! From a frame to a scanout buffer and onto the display, for one device: with the CPU into dumb buffers or
//! with the GPU into GBM buffers.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use smithay::backend::allocator::dmabuf::{AsDmabuf, Dmabuf};
use smithay::backend::allocator::dumb::{DumbAllocator, DumbBuffer};
use smithay::backend::allocator::format::FormatSet;
use smithay::backend::allocator::gbm::{GbmAllocator, GbmBuffer, GbmBufferFlags, GbmConvertError, GbmDevice};
use smithay::backend::allocator::{Allocator, Buffer, Fourcc};
use smithay::backend::drm::compositor::{DrmCompositor, FrameError, FrameFlags, PrimaryPlaneElement};
use smithay::backend::drm::dumb::DumbFramebuffer;
use smithay::backend::drm::exporter::gbm::GbmFramebufferExporter;
use smithay::backend::drm::exporter::{self, ExportFramebuffer};
use smithay::backend::drm::gbm::GbmFramebuffer;
use smithay::backend::drm::{DrmDeviceFd, DrmSurface, Framebuffer};
use smithay::backend::renderer::gles::GlesRenderer;
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::backend::renderer::{Bind, ExportMem};
use smithay::output::OutputModeSource;
use smithay::reexports::drm::control::crtc;
use smithay::reexports::drm::{Device as _, DriverCapability};
use smithay::utils::{Scale, Transform};

use super::config::RendererChoice;
use super::gpu::{self, Gpu};
use crate::backend::render::{Gallery, PaintRenderer, Painter, color32, read_back};
use crate::backend::{ImportPath, ImportRefused, PixelLayout};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, Frame, Pixmap, Rect};

/// What the scanout buffers may look like, best first. No alpha: nothing lies below the primary plane.
const SCANOUT_FORMATS: [Fourcc; 5] =
    [Fourcc::Xrgb8888, Fourcc::Argb8888, Fourcc::Xbgr8888, Fourcc::Abgr8888, Fourcc::Rgb565];

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

    /// Forgets a guest's buffer; nothing of ours reads it afterwards. What was drawn of it stays drawn.
    fn evict(&mut self, id: BufferId);

    /// Bytes copied of a guest's buffer.
    fn bytes_copied(&self, id: BufferId) -> u64;

    /// A copy of a part of a guest's buffer.
    fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String>;

    /// Draws a frame and hands it to the kernel, which flips without being waited for; the first frame of a
    /// display sets its mode, and for that the kernel does make us wait.
    fn draw(&mut self, crtc: crtc::Handle, frame: &Frame) -> Result<Drawn, String>;

    /// The frame handed over last is on the display.
    fn shown(&mut self, crtc: crtc::Handle);

    /// Distrusts what is known of the display's state: the next frame sets and draws everything.
    fn reset(&mut self, crtc: crtc::Handle);

    /// Reads back the frame handed over last.
    fn screenshot(&mut self, crtc: crtc::Handle) -> Result<Pixmap, String>;
}

/// Makes the pipeline of a device.
pub(super) fn open(fd: &DrmDeviceFd, choice: RendererChoice) -> Result<Box<dyn Pipeline>, String> {
    match choice {
        RendererChoice::Pixman => pixman(fd),
        RendererChoice::Gl => gl(gpu::open(fd)?),
        RendererChoice::Auto => match gpu::open(fd) {
            Ok(gpu) => gl(gpu),
            Err(why) => {
                tracing::info!(why, "the CPU draws");
                pixman(fd)
            }
        },
    }
}

fn pixman(fd: &DrmDeviceFd) -> Result<Box<dyn Pipeline>, String> {
    if fd.get_driver_capability(DriverCapability::DumbBuffer).unwrap_or(0) == 0 {
        return Err("its driver has no dumb buffers, so the CPU can't draw on it".to_owned());
    }
    let renderer = PixmanRenderer::new().map_err(|error| error.to_string())?;
    let formats = Bind::<Dmabuf>::supported_formats(&renderer).unwrap_or_default();
    Ok(Box::new(Displays::new(renderer, Dumb(fd.clone()), formats)?))
}

fn gl(gpu: Gpu) -> Result<Box<dyn Pipeline>, String> {
    let formats = gpu.renderer.egl_context().dmabuf_render_formats().clone();
    Ok(Box::new(Displays::<GlesRenderer, _>::new(gpu.renderer, Gbm(gpu.gbm), formats)?))
}

/// Where the scanout buffers of a device come from.
trait Buffers {
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
    type Framebuffer = DumbFramebuffer;
    type Allocator = DumbAllocator;
    type Exporter = DrmDeviceFd;
    type AllocatorError = std::io::Error;
    type ExportError = std::io::Error;
    type FramebufferError = exporter::dumb::Error;

    fn allocator(&self) -> DumbAllocator {
        DumbAllocator::new(self.0.clone())
    }

    fn exporter(&self) -> DrmDeviceFd {
        self.0.clone()
    }
}

struct Gbm(GbmDevice<DrmDeviceFd>);

impl Buffers for Gbm {
    type Buffer = GbmBuffer;
    type Framebuffer = GbmFramebuffer;
    type Allocator = GbmAllocator<DrmDeviceFd>;
    type Exporter = GbmFramebufferExporter<DrmDeviceFd>;
    type AllocatorError = std::io::Error;
    type ExportError = GbmConvertError;
    type FramebufferError = exporter::gbm::Error;

    fn allocator(&self) -> Self::Allocator {
        GbmAllocator::new(self.0.clone(), GbmBufferFlags::RENDERING | GbmBufferFlags::SCANOUT)
    }

    fn exporter(&self) -> Self::Exporter {
        GbmFramebufferExporter::new(self.0.clone(), None)
    }
}

/// The displays of one device with their renderer.
struct Displays<R: PaintRenderer, B: Buffers> {
    painter: Painter<R>,
    buffers: B,
    formats: FormatSet,
    displays: HashMap<crtc::Handle, Display<R::TextureId, B>>,
}

struct Display<T, B: Buffers> {
    compositor: DrmCompositor<B::Allocator, B::Exporter, (), DrmDeviceFd>,
    gallery: Gallery<T>,
    /// The scanout buffer of the frame handed over last.
    last: Option<Dmabuf>,
}

impl<R: PaintRenderer, B: Buffers> fmt::Debug for Displays<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Displays").field("painter", &self.painter).finish_non_exhaustive()
    }
}

impl<R: PaintRenderer, B: Buffers> Displays<R, B> {
    fn new(renderer: R, buffers: B, formats: FormatSet) -> Result<Self, String> {
        Ok(Self { painter: Painter::new(renderer)?, buffers, formats, displays: HashMap::new() })
    }
}

impl<R, B> Pipeline for Displays<R, B>
where
    R: PaintRenderer + Bind<Dmabuf> + ExportMem,
    B: Buffers,
{
    fn renderer(&self) -> &'static str {
        R::NAME
    }

    fn add(&mut self, surface: DrmSurface) -> Result<(), String> {
        let crtc = surface.crtc();
        let (width, height) = surface.pending_mode().size();
        let mode = OutputModeSource::Static {
            size: (i32::from(width), i32::from(height)).into(),
            scale: Scale::from(1.0),
            transform: Transform::Normal,
        };
        // Smithay tells of the last format only, so none that is hopeless may be among them.
        let formats = scanout_formats(&surface);
        if formats.is_empty() {
            return Err("its driver scans out none of the usual formats (XRGB8888 or alike, RGB565)".to_owned());
        }
        let compositor = DrmCompositor::new(
            mode,
            surface,
            None,
            self.buffers.allocator(),
            self.buffers.exporter(),
            formats,
            self.formats.iter().copied(),
            // No picture of ours is on the cursor plane.
            (0, 0).into(),
            None,
        )
        .map_err(|error| refusal(&error))?;
        self.displays.insert(crtc, Display { compositor, gallery: Gallery::default(), last: None });
        Ok(())
    }

    fn remove(&mut self, crtc: crtc::Handle) {
        self.displays.remove(&crtc);
    }

    fn import(
        &mut self,
        id: BufferId,
        memory: Rc<BufferMemory>,
        layout: PixelLayout,
    ) -> Result<(ImportPath, String), ImportRefused> {
        self.painter.import(id, memory, layout)
    }

    fn evict(&mut self, id: BufferId) {
        self.painter.evict(id);
    }

    fn bytes_copied(&self, id: BufferId) -> u64 {
        self.painter.bytes_copied(id)
    }

    fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String> {
        self.painter.still(id, part)
    }

    fn draw(&mut self, crtc: crtc::Handle, frame: &Frame) -> Result<Drawn, String> {
        let display = self.displays.get_mut(&crtc).ok_or("no such display")?;
        let elements = display.gallery.elements(&mut self.painter, frame);
        let result = display
            .compositor
            .render_frame(self.painter.renderer(), &elements, color32(frame.background), FrameFlags::empty())
            .map_err(|error| error.to_string())?;
        if result.is_empty {
            return Ok(Drawn::NoDamage);
        }
        let last = match &result.primary_element {
            PrimaryPlaneElement::Swapchain(primary) => {
                if result.needs_sync() {
                    // Only where neither the driver nor the GPU knows fences: a few milliseconds at most.
                    primary.sync.wait().map_err(|error| error.to_string())?;
                }
                primary.buffer().export().ok()
            }
            PrimaryPlaneElement::Element(_) => None,
        };
        // It keeps the buffer from being counted as submitted.
        drop(result);
        display.compositor.queue_frame(()).map_err(|error| error.to_string())?;
        display.last = last;
        Ok(Drawn::Submitted)
    }

    fn shown(&mut self, crtc: crtc::Handle) {
        let Some(display) = self.displays.get_mut(&crtc) else { return };
        if let Err(error) = display.compositor.frame_submitted() {
            tracing::warn!(%error, "a shown frame could not be put away");
        }
    }

    fn reset(&mut self, crtc: crtc::Handle) {
        let Some(display) = self.displays.get_mut(&crtc) else { return };
        if let Err(error) = display.compositor.reset_state() {
            // The device is going away, or the session; what failed before was logged.
            tracing::debug!(%error, "a display's state could not be read");
        }
        // Else the frame that failed would count as drawn, and an equal one as no change.
        display.compositor.reset_buffer_ages();
    }

    fn screenshot(&mut self, crtc: crtc::Handle) -> Result<Pixmap, String> {
        let display = self.displays.get(&crtc).ok_or("no such display")?;
        let mut last = display.last.clone().ok_or("nothing was shown yet")?;
        let renderer = self.painter.renderer();
        let target = renderer.bind(&mut last).map_err(|error| format!("the picture can't be read back: {error}"))?;
        read_back(renderer, &target)
    }
}

fn scanout_formats(surface: &DrmSurface) -> Vec<Fourcc> {
    let plane = &surface.plane_info().formats;
    SCANOUT_FORMATS.into_iter().filter(|format| plane.iter().any(|listed| listed.code == *format)).collect()
}

fn refusal<A, E, F>(error: &FrameError<A, E, F>) -> String
where
    A: Error + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
    F: Error + Send + Sync + 'static,
{
    if matches!(error, FrameError::AsDmabufError(_)) {
        return format!("{error}: its driver can't share its buffers, which drawing needs; a newer kernel's may");
    }
    error.to_string()
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The GPU as renderer, by OpenGL ES: dma-bufs become EGLImages.

use std::os::fd::BorrowedFd;
use std::rc::Rc;

use smithay::backend::allocator::dmabuf::{Dmabuf, DmabufFlags};
use smithay::backend::allocator::{Format as DrmFormat, Modifier};
use smithay::backend::egl::{EGLContext, EGLDevice, EGLDisplay};
use smithay::backend::renderer::ImportDma;
use smithay::backend::renderer::gles::{GlesRenderer, GlesTexture};

use super::{PaintRenderer, Shared};
use crate::backend::format::Format;
use crate::backend::{ImportPath, PixelLayout};
use crate::buffer::memory::BufferMemory;

impl PaintRenderer for GlesRenderer {
    const NAME: &'static str = "gl";

    fn share(
        &mut self,
        memory: &Rc<BufferMemory>,
        layout: &PixelLayout,
        format: &Format,
    ) -> Result<Shared<GlesTexture>, String> {
        let Some(fd) = memory.dmabuf() else {
            return Err("there is no dma-buf to hand to the GPU, only mapped pages".to_owned());
        };
        if format.ends_amid_pair(layout.width) {
            return Err(format!("GL drivers misread an odd number of {} pixels: {}", format.name, layout.width));
        }
        let modifier = self.modifier(format)?;
        let dmabuf = describe(fd, layout, format, modifier)?;
        let texture = self.import_dmabuf(&dmabuf, None).map_err(|error| {
            format!("the GL driver refused {} with {} bytes a line: {error}", format.name, layout.pitch)
        })?;
        let reason = format!("{}, {} bytes a line, sampled by the GPU from the dma-buf", format.name, layout.pitch);
        Ok(Shared { texture, path: ImportPath::EglImage, reason, dmabuf: Some(dmabuf) })
    }
}

trait Modifiers {
    fn modifier(&self, format: &Format) -> Result<Modifier, String>;
}

impl Modifiers for GlesRenderer {
    /// Linear where the driver lists it, else none at all, which drivers without modifiers take as linear.
    fn modifier(&self, format: &Format) -> Result<Modifier, String> {
        [Modifier::Linear, Modifier::Invalid]
            .into_iter()
            .find(|modifier| self.has_dmabuf_format(DrmFormat { code: format.opaque, modifier: *modifier }))
            .ok_or_else(|| format!("the GL driver can't sample linear {} dma-bufs", format.name))
    }
}

/// Smithay's description of a guest's dma-buf, with a descriptor of its own.
///
/// # Errors
/// A sentence for the user: no descriptor was left, or the size is beyond what can be described.
pub fn describe(
    fd: BorrowedFd<'_>,
    layout: &PixelLayout,
    format: &Format,
    modifier: Modifier,
) -> Result<Dmabuf, String> {
    let side = |value: u32| i32::try_from(value).map_err(|_| format!("{value} pixels are too many"));
    let size = (side(layout.width)?, side(layout.height)?);
    let fd = fd.try_clone_to_owned().map_err(|error| format!("the dma-buf can't be duplicated: {error}"))?;
    let mut builder = Dmabuf::builder(size, format.opaque, modifier, DmabufFlags::empty());
    builder.add_plane(fd, 0, layout.offset, layout.pitch);
    builder.build().ok_or_else(|| "the dma-buf has no plane".to_owned())
}

/// A renderer without a display: on the first GPU that gives a context, else on the CPU (llvmpipe).
///
/// # Errors
/// A sentence for the user with what each device answered.
pub fn without_display() -> Result<GlesRenderer, String> {
    let mut devices: Vec<_> =
        EGLDevice::enumerate().map_err(|error| format!("EGL lists no devices: {error}"))?.collect();
    devices.sort_by_key(EGLDevice::is_software);
    let mut refusals = Vec::new();
    for device in devices {
        match on_device(device) {
            Ok(renderer) => return Ok(renderer),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(format!("no EGL device gives an OpenGL ES context: {}; is libegl-mesa0 installed?", refusals.join("; ")))
}

fn on_device(device: EGLDevice) -> Result<GlesRenderer, String> {
    // SAFETY: the display is made here and nowhere else made from this device; Smithay counts its users.
    let display = unsafe { EGLDisplay::new(device) }.map_err(|error| error.to_string())?;
    let context = EGLContext::new(&display).map_err(|error| error.to_string())?;
    // SAFETY: the context is new, current on no thread, and handed over.
    unsafe { GlesRenderer::new(context) }.map_err(|error| error.to_string())
}

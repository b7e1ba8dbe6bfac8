// SPDX-License-Identifier: GPL-3.0-or-later
//! The GPU of a display device, if it has one.

use smithay::backend::allocator::gbm::GbmDevice;
use smithay::backend::drm::{DrmDeviceFd, DrmNode, NodeType};
use smithay::backend::egl::{EGLContext, EGLDevice, EGLDisplay};
use smithay::backend::renderer::gles::GlesRenderer;

/// A device's GPU, ready to draw.
pub(super) struct Gpu {
    pub(super) gbm: GbmDevice<DrmDeviceFd>,
    pub(super) renderer: GlesRenderer,
}

/// Opens the GPU of a display device.
///
/// A device without a render node has none, and then Mesa is not even loaded: its software drivers over GBM
/// crash or hang when they sample a foreign buffer (docs/decisions/kms.md).
///
/// # Errors
/// Why there is none, as words for the log.
pub(super) fn open(fd: &DrmDeviceFd) -> Result<Gpu, String> {
    let node = DrmNode::from_file(fd).map_err(|error| error.to_string())?;
    if !matches!(node.node_with_type(NodeType::Render), Some(Ok(_))) {
        return Err("the device has no render node".to_owned());
    }
    let gbm = GbmDevice::new(fd.clone()).map_err(|error| format!("GBM: {error}"))?;
    // SAFETY: the GBM device is moved into the display's native handle and lives as long as the display; no
    // other display is made from it.
    let display = unsafe { EGLDisplay::new(gbm.clone()) }.map_err(|error| format!("EGL: {error}"))?;
    let device = EGLDevice::device_for_display(&display).map_err(|error| format!("EGL device: {error}"))?;
    if device.is_software() {
        return Err("EGL offers only software rendering".to_owned());
    }
    let context = EGLContext::new(&display).map_err(|error| format!("EGL context: {error}"))?;
    // SAFETY: the context is new, is current on no thread, and is given away here.
    let renderer = unsafe { GlesRenderer::new(context) }.map_err(|error| format!("OpenGL ES: {error}"))?;
    Ok(Gpu { gbm, renderer })
}

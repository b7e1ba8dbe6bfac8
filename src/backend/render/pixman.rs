// SPDX-License-Identifier: GPL-3.0-or-later
//! The CPU as renderer: guest pages are sampled where they lie.

use std::rc::Rc;

use pixman::Image;
use smithay::backend::renderer::pixman::{PixmanRenderer, PixmanTexture};

use super::{PaintRenderer, Shared};
use crate::backend::format::Format;
use crate::backend::{ImportPath, PixelLayout};
use crate::buffer::memory::BufferMemory;

/// pixman reads lines in 32-bit words.
const WORD: u32 = 4;

impl PaintRenderer for PixmanRenderer {
    const NAME: &'static str = "pixman";

    fn share(
        &mut self,
        memory: &Rc<BufferMemory>,
        layout: &PixelLayout,
        format: &Format,
    ) -> Result<Shared<PixmanTexture>, String> {
        if !layout.pitch.is_multiple_of(WORD) {
            return Err(format!(
                "pixman can't sample lines of {} bytes in place: not a multiple of {WORD}",
                layout.pitch
            ));
        }
        if !layout.offset.is_multiple_of(WORD) {
            return Err(format!("pixman can't sample from offset {}: not a multiple of {WORD}", layout.offset));
        }
        let pages = memory.pages().map_err(|error| format!("the pages can't be mapped: {error}"))?;
        let image = image_over(pages.as_ptr(), layout, format)?;
        let reason =
            format!("{}, {} bytes a line, sampled by the CPU from the guest's pages", format.name, layout.pitch);
        Ok(Shared { texture: PixmanTexture::from(image), path: ImportPath::InPlace, reason, dmabuf: None })
    }
}

fn image_over(base: *mut u8, layout: &PixelLayout, format: &Format) -> Result<Image<'static, 'static>, String> {
    let number = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
    let first = base.wrapping_add(number(layout.offset)?);
    let (width, height, pitch) = (number(layout.width)?, number(layout.height)?, number(layout.pitch)?);
    // SAFETY: the whole picture lies within the mapping (Format::check), word-aligned; the mapping outlives
    // the image, since the texture is kept only beside an Rc of the memory. pixman only reads a source.
    unsafe { Image::from_raw_mut(format.pixman, width, height, first.cast(), pitch, false) }
        .map_err(|_| format!("pixman refused {} with {} bytes a line", format.name, layout.pitch))
}

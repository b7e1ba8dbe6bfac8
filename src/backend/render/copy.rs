// SPDX-License-Identifier: GPL-3.0-or-later
//! The way of last resort: the shown part of a guest's buffer is converted into a texture of ours, once for
//! each version, and the bytes are counted.

use smithay::backend::allocator::Fourcc;
use smithay::utils::{Buffer as BufferCoords, Rectangle, Size};

use super::{PaintRenderer, Ready};
use crate::backend::PixelLayout;
use crate::backend::format::{self, Format};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{Pixmap, Rect};

/// What the copies are stored in.
const FORMAT: Fourcc = Fourcc::Xrgb8888;
const PIXEL: usize = 4;

/// Memory on the way from a guest to a texture; shared by all buffers.
#[derive(Debug, Default)]
pub(super) struct Staging {
    line: Vec<u8>,
    picture: Vec<u8>,
}

/// A buffer that is copied.
#[derive(Debug)]
pub(super) struct Copied<T> {
    format: &'static Format,
    latest: Option<Latest<T>>,
    bytes: u64,
}

#[derive(Debug)]
struct Latest<T> {
    texture: T,
    part: Rect,
    version: u64,
}

impl<T: Clone> Copied<T> {
    pub(super) const fn new(format: &'static Format) -> Self {
        Self { format, latest: None, bytes: 0 }
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies the part, unless the latest copy holds it in this version. Another part gets another texture,
    /// since the one before may be in the same frame.
    pub(super) fn ready<R: PaintRenderer<TextureId = T>>(
        &mut self,
        renderer: &mut R,
        staging: &mut Staging,
        memory: &BufferMemory,
        layout: &PixelLayout,
        part: Rect,
        version: u64,
    ) -> Result<Ready<T>, String> {
        if let Some(latest) =
            self.latest.as_ref().filter(|latest| latest.version == version && latest.part.contains(&part))
        {
            return Ok(latest.ready());
        }
        let part = whole_pairs(part);
        self.bytes += stage(staging, memory, layout, self.format, &part)?;
        let before = self.latest.take().filter(|latest| latest.part == part).map(|latest| latest.texture);
        let texture = upload(renderer, before, &staging.picture, (part.width, part.height).into())
            .map_err(|error| error.to_string())?;
        let latest = Latest { texture, part, version };
        Ok(self.latest.insert(latest).ready())
    }
}

/// A part of a guest's picture as a picture of ours, that stays when the guest's memory goes.
pub(super) fn still(memory: &BufferMemory, layout: &PixelLayout, part: Rect) -> Result<Pixmap, String> {
    let format = format::find(layout.fourcc).ok_or("its format is none of those shown")?;
    let side = |value: u32| i32::try_from(value).map_err(|error| error.to_string());
    let all = Rect { x: 0, y: 0, width: side(layout.width)?, height: side(layout.height)? };
    let part = part.intersection(&all).ok_or("the part is not within the picture")?;
    let even = whole_pairs(part);
    let mut staging = Staging::default();
    stage(&mut staging, memory, layout, format, &even)?;
    let number = |value: i32| u32::try_from(value).map_err(|error| error.to_string());
    let picture = Pixmap { width: number(even.width)?, height: number(even.height)?, pixels: staging.picture };
    let wanted = Rect { x: part.x - even.x, y: 0, ..part };
    picture.crop(wanted).ok_or_else(|| "the part is not within the picture".to_owned())
}

impl<T: Clone> Latest<T> {
    fn ready(&self) -> Ready<T> {
        Ready { texture: self.texture.clone(), origin: (self.part.x, self.part.y) }
    }
}

/// The part from an even column on, where every format's bytes begin anew.
const fn whole_pairs(part: Rect) -> Rect {
    let odd = part.x % 2;
    Rect { x: part.x - odd, width: part.width + odd, ..part }
}

/// Converts a part of the guest's picture, line by line, and says how many bytes of it were read.
fn stage(
    staging: &mut Staging,
    memory: &BufferMemory,
    layout: &PixelLayout,
    format: &Format,
    part: &Rect,
) -> Result<u64, String> {
    let number = |value: i32| u32::try_from(value).map_err(|error| error.to_string());
    let index = |value: u32| usize::try_from(value).map_err(|error| error.to_string());
    let (width, height) = (number(part.width)?, number(part.height)?);
    let before = number(part.x)?.saturating_mul(format.bits / 8);
    let line_bytes = format.line_bytes(width, layout.pitch.saturating_sub(before));
    let line_size = index(width)? * PIXEL;
    staging.line.resize(index(line_bytes)?, 0);
    staging.picture.resize(line_size * index(height)?, 0);
    let pages = memory.pages().map_err(|error| error.to_string())?;
    let (pitch, first_line) = (index(layout.pitch)?, index(number(part.y)?)?);
    let mut from = index(layout.offset)? + index(before)? + first_line * pitch;
    for to in staging.picture.chunks_exact_mut(line_size) {
        pages.read(from, &mut staging.line).map_err(|error| error.to_string())?;
        format.convert_line(&staging.line, to);
        from += pitch;
    }
    Ok(u64::from(line_bytes) * u64::from(height))
}

fn upload<R: PaintRenderer>(
    renderer: &mut R,
    before: Option<R::TextureId>,
    pixels: &[u8],
    size: Size<i32, BufferCoords>,
) -> Result<R::TextureId, R::Error> {
    match before {
        Some(texture) => renderer.update_memory(&texture, pixels, Rectangle::from_size(size)).map(|()| texture),
        None => renderer.import_memory(pixels, FORMAT, size, false),
    }
}

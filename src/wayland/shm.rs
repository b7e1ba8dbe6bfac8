// SPDX-License-Identifier: GPL-3.0-or-later
//! Copies clients' shared memory: the client may change it, or take it away, while we read.

use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_shm::Format;
use smithay::wayland::shm::{BufferData, with_buffer_contents, with_buffer_contents_mut};

use crate::scene::element::Pixmap;

/// Bytes of a pixel in the formats that we offer.
const PIXEL: usize = 4;

/// A copy of a buffer's picture.
///
/// # Errors
/// A sentence for the log: it is no such buffer, or its memory was not what the client said.
pub(super) fn copy(buffer: &WlBuffer) -> Result<Pixmap, String> {
    with_buffer_contents(buffer, |memory, len, data| {
        let layout = Layout::of(&data, len).ok_or("the picture does not lie within its pool")?;
        let mut pixels = vec![0; layout.line * layout.height];
        for (line, to) in pixels.chunks_exact_mut(layout.line.max(1)).enumerate() {
            let from = memory.wrapping_add(layout.offset + line * layout.stride);
            // SAFETY: `Layout::of` has checked that each line ends within the pool's `len` bytes, which stay mapped
            // while this closure runs; `to` is our own and as long. Smithay turns a fault into an error.
            unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), layout.line) };
        }
        if data.format == Format::Xrgb8888 {
            pixels.as_chunks_mut::<PIXEL>().0.iter_mut().for_each(|[_, _, _, alpha]| *alpha = 255);
        }
        let (width, height) = (layout.line / PIXEL, layout.height);
        let side = |side: usize| u32::try_from(side).map_err(|error| error.to_string());
        Ok(Pixmap { width: side(width)?, height: side(height)?, pixels })
    })
    .map_err(|error| error.to_string())?
}

/// Whether a picture of that size can be written into a buffer.
///
/// # Errors
/// A sentence for the client: why not.
pub(super) fn fits(buffer: &WlBuffer, size: (u32, u32)) -> Result<(), String> {
    with_buffer_contents(buffer, |_, len, data| Layout::for_picture(&data, len, size).map(|_| ()))
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("no buffer for {}x{} pixels in XRGB8888", size.0, size.1))
}

/// The size of a buffer that a picture can be written into, in pixels.
///
/// # Errors
/// A sentence for the client: it is no such buffer.
pub(super) fn size(buffer: &WlBuffer) -> Result<(u32, u32), String> {
    with_buffer_contents(buffer, |_, len, data| {
        let size = (u32::try_from(data.width).ok()?, u32::try_from(data.height).ok()?);
        Layout::for_picture(&data, len, size).map(|_| size)
    })
    .map_err(|error| error.to_string())?
    .ok_or_else(|| "no buffer for a picture in XRGB8888".to_owned())
}

/// Writes an opaque picture into a buffer of just its size.
///
/// # Errors
/// A sentence for the log: it is no such buffer, or its memory was not what the client said.
pub(super) fn write(buffer: &WlBuffer, picture: &Pixmap) -> Result<(), String> {
    with_buffer_contents_mut(buffer, |memory, len, data| {
        let layout = Layout::for_picture(&data, len, (picture.width, picture.height));
        let layout = layout.ok_or("the picture does not fit into its buffer")?;
        for (line, from) in picture.pixels.chunks_exact(layout.line).take(layout.height).enumerate() {
            let to = memory.wrapping_add(layout.offset + line * layout.stride);
            // SAFETY: `Layout::of` has checked that each line ends within the pool's `len` bytes, which stay mapped
            // while this closure runs; `from` is our own and as long. Smithay turns a fault into an error.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, layout.line) };
        }
        Ok(())
    })
    .map_err(|error| error.to_string())?
}

/// Where the lines are, in bytes.
struct Layout {
    offset: usize,
    stride: usize,
    line: usize,
    height: usize,
}

impl Layout {
    /// `None` when it is not a buffer for a picture of just that size.
    fn for_picture(data: &BufferData, len: usize, (width, height): (u32, u32)) -> Option<Self> {
        let same = |side: i32, wanted: u32| u32::try_from(side) == Ok(wanted);
        let right = same(data.width, width) && same(data.height, height) && data.format == Format::Xrgb8888;
        right.then(|| Self::of(data, len)).flatten()
    }

    /// `None` when not every line is within `len` bytes, or there is none.
    fn of(data: &BufferData, len: usize) -> Option<Self> {
        let number = |value: i32| usize::try_from(value).ok();
        let (offset, stride) = (number(data.offset)?, number(data.stride)?);
        let (line, height) = (number(data.width)?.checked_mul(PIXEL)?, number(data.height)?);
        let end = height.checked_sub(1)?.checked_mul(stride)?.checked_add(offset)?.checked_add(line)?;
        (line > 0 && line <= stride && end <= len).then_some(Self { offset, stride, line, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_written_into_a_buffer_of_its_size_alone() {
        let data = |width, height, format| BufferData { offset: 0, width, height, stride: 12, format };
        let fits = |data: &BufferData, len| Layout::for_picture(data, len, (2, 3)).is_some();
        assert!(fits(&data(2, 3, Format::Xrgb8888), 36));
        assert!(!fits(&data(2, 3, Format::Xrgb8888), 31));
        for (width, height, format) in
            [(3, 3, Format::Xrgb8888), (2, 2, Format::Xrgb8888), (-2, 3, Format::Xrgb8888), (2, 3, Format::Argb8888)]
        {
            assert!(!fits(&data(width, height, format), 36));
        }
    }

    #[test]
    fn a_picture_has_to_lie_within_its_pool() {
        let data =
            |offset, width, height, stride| BufferData { offset, width, height, stride, format: Format::Argb8888 };
        assert!(Layout::of(&data(0, 2, 3, 8), 24).is_some());
        // The last line need not be padded.
        assert!(Layout::of(&data(0, 2, 3, 12), 32).is_some());
        for (offset, width, height, stride) in [
            (1, 2, 3, 8),
            (0, 2, 4, 8),
            (0, 3, 3, 8),
            (-4, 2, 3, 8),
            (0, 0, 3, 8),
            (0, 2, 0, 8),
            (0, 2, i32::MAX, i32::MAX),
        ] {
            assert!(Layout::of(&data(offset, width, height, stride), 24).is_none());
        }
    }
}

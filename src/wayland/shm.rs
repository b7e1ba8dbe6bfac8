// SPDX-License-Identifier: GPL-3.0-or-later
//! Copies clients' shared memory: the client may change it, or take it away, while we read.

use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_shm::Format;
use smithay::wayland::shm::{BufferData, with_buffer_contents};

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

/// Where the lines are, in bytes.
struct Layout {
    offset: usize,
    stride: usize,
    line: usize,
    height: usize,
}

impl Layout {
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

// SPDX-License-Identifier: GPL-3.0-or-later
//! A display card as the verbs of this program use it. Behind it is the kernel's own (`drm`), or the
//! simulated front driver (`simulator`).

use std::time::Duration;

use crate::Result;

/// A format of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// The DRM format code.
    pub(crate) fourcc: u32,
    /// Bits in a pixel.
    pub(crate) bits: u32,
}

impl Format {
    pub(crate) const XR24: Self = Self { fourcc: u32::from_le_bytes(*b"XR24"), bits: 32 };

    /// A format by its four characters: one with 8 bits a channel in the order of XR24, or RG16.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let bits = match name {
            "XR24" | "AR24" => 32,
            "RG16" => 16,
            _ => return Err(format!("cannot draw in format {name}")),
        };
        let code = name.as_bytes().try_into().map_err(|_| format!("{name} is no format"))?;
        Ok(Self { fourcc: u32::from_le_bytes(code), bits })
    }

    /// Appends a colour 0xrrggbb, opaque, as the bytes of one pixel.
    fn encode(self, colour: u32, out: &mut Vec<u8>) {
        let [blue, green, red, _] = colour.to_le_bytes();
        if self.bits == 16 {
            let pixel = u16::from(red >> 3) << 11 | u16::from(green >> 2) << 5 | u16::from(blue >> 3);
            out.extend(pixel.to_le_bytes());
        } else {
            out.extend([blue, green, red, 0xff]);
        }
    }
}

/// A card: its connectors are counted from 0, each at its first mode.
pub(crate) trait Card {
    /// A buffer of a connector's size with its framebuffer. Ends with [`Card::destroy`], or with the card.
    type Buffer;

    /// How many connectors there are.
    fn connectors(&self) -> usize;

    /// Width and height of a connector's mode, in pixels.
    fn size(&self, connector: usize) -> (u32, u32);

    /// A new buffer for a connector.
    fn buffer(&mut self, connector: usize, format: Format) -> Result<Self::Buffer>;

    /// Replaces the picture by the rows that `row` appends, which is called with each row's number in order.
    fn draw_rows(&mut self, buffer: &mut Self::Buffer, row: &mut dyn FnMut(u32, &mut Vec<u8>)) -> Result<()>;

    /// Pixels in a row, and format of a buffer.
    fn layout(buffer: &Self::Buffer) -> (u32, Format);

    /// Sets a connector's mode with the buffer on the screen.
    fn show(&mut self, connector: usize, buffer: &Self::Buffer) -> Result<()>;

    /// Asks for a flip to the buffer, whose event will carry `tag`.
    fn flip(&mut self, connector: usize, buffer: &Self::Buffer, tag: u64) -> Result<()>;

    /// Waits for the next flip's event and returns its tag.
    fn flip_event(&mut self) -> Result<u64>;

    /// Switches a connector that shows something off (DPMS), or on again.
    fn power(&mut self, connector: usize, on: bool) -> Result<()>;

    /// Takes the framebuffer away, which blanks the screen when it is shown.
    fn remove_framebuffer(&mut self, buffer: &Self::Buffer) -> Result<()>;

    /// Destroys the buffer, whose framebuffer must be gone, for this to be the end of its pages.
    fn destroy(&mut self, buffer: Self::Buffer) -> Result<()>;

    /// Does nothing for a while; `None`: until the program is ended.
    fn pause(&mut self, time: Option<Duration>) -> Result<()>;

    /// Every pixel in one colour, 0xrrggbb.
    fn fill(&mut self, buffer: &mut Self::Buffer, colour: u32) -> Result<()> {
        let (width, format) = Self::layout(buffer);
        let mut pixels = Vec::new();
        (0..width).for_each(|_| format.encode(colour, &mut pixels));
        self.draw_rows(buffer, &mut |_, row| row.extend_from_slice(&pixels))
    }

    /// Draws the picture that a function of column and row gives, in colours 0xrrggbb.
    fn draw(&mut self, buffer: &mut Self::Buffer, colour: impl Fn(u32, u32) -> u32) -> Result<()> {
        let (width, format) = Self::layout(buffer);
        self.draw_rows(buffer, &mut |y, row| (0..width).for_each(|x| format.encode(colour(x, y), row)))
    }
}

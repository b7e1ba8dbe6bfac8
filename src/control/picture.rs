// SPDX-License-Identifier: GPL-3.0-or-later
//! A screenshot as it crosses the control socket: raw, since packing it would hold up every guest meanwhile. The
//! client makes a PNG file of it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Compression, Encoder};

/// A picture, 4 bytes a pixel: blue, green, red, and one without a meaning. Lines follow each other without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// `width * height * 4` bytes.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Writes it as a PNG file, 8 bits RGB.
    ///
    /// # Errors
    /// The file's, or `InvalidInput` for a picture whose size doesn't fit its pixels.
    pub fn write_png(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        self.encode_png(&mut file)?;
        file.flush()
    }

    fn encode_png(&self, to: impl Write) -> io::Result<()> {
        let mut encoder = Encoder::new(to, self.width, self.height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Fast);
        let mut rgb = Vec::with_capacity(self.pixels.len() / 4 * 3);
        for [blue, green, red, _] in self.pixels.as_chunks::<4>().0 {
            rgb.extend_from_slice(&[*red, *green, *blue]);
        }
        let invalid = |error: png::EncodingError| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut writer = encoder.write_header().map_err(invalid)?;
        writer.write_image_data(&rgb).map_err(invalid)?;
        writer.finish().map_err(invalid)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures as PNG files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Compression, Encoder};

use crate::scene::element::Pixmap;

/// Writes a picture as PNG, 8 bits RGB; alpha is left out.
///
/// # Errors
/// The file's, or `InvalidInput` for a picture whose size doesn't fit its pixels.
pub fn write_png(path: &Path, picture: &Pixmap) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    encode_png(&mut file, picture)?;
    file.flush()
}

/// As [`write_png`], into any writer.
///
/// # Errors
/// As [`write_png`].
pub fn encode_png(to: impl Write, picture: &Pixmap) -> io::Result<()> {
    let mut encoder = Encoder::new(to, picture.width, picture.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut rgb = Vec::with_capacity(picture.pixels.len() / 4 * 3);
    for [blue, green, red, _] in picture.pixels.as_chunks::<4>().0 {
        rgb.extend_from_slice(&[*red, *green, *blue]);
    }
    let invalid = |error: png::EncodingError| io::Error::new(io::ErrorKind::InvalidInput, error);
    let mut writer = encoder.write_header().map_err(invalid)?;
    writer.write_image_data(&rgb).map_err(invalid)?;
    writer.finish().map_err(invalid)
}

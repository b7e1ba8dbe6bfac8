// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures: reading PPM and PNG, writing PNG, comparing rectangles byte for byte.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use crate::Result;

/// A picture with 8 bits for each of red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Three bytes a pixel, rows without padding.
    pub(crate) pixels: Vec<u8>,
}

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Picture {
    /// Reads a binary PPM (QEMU's screendump) or a PNG, by its name.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let picture = match path.extension().and_then(|extension| extension.to_str()) {
            Some("ppm") => std::fs::read(path).map_err(|error| error.to_string()).and_then(|data| parse_ppm(&data)),
            Some("png") => read_png(path),
            _ => Err("neither .ppm nor .png".into()),
        };
        picture.map_err(|error| format!("picture {}: {error}", path.display()))
    }

    /// The test picture that the guests' program draws.
    pub(crate) fn pattern(width: u32, height: u32, seed: u32) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| crate::pattern::colour(x, y, seed)));
        let pixels = pixels.flat_map(|colour| colour.to_be_bytes().into_iter().skip(1)).collect();
        let size = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        Self { width: size(width), height: size(height), pixels }
    }

    /// Writes a PNG.
    pub(crate) fn write_png(&self, path: &Path) -> Result<()> {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (width, height) = (u32::try_from(self.width), u32::try_from(self.height));
        let (Ok(width), Ok(height)) = (width, height) else { return Err("the picture is too large".into()) };
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.pixels));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Cuts a rectangle out; an error when it is not wholly inside.
    pub(crate) fn crop(&self, area: Area) -> Result<Self> {
        let Area { x, y, width, height } = area;
        if width == 0 || height == 0 || x + width > self.width || y + height > self.height {
            return Err(format!(
                "the rectangle {width}x{height} at {x},{y} is not inside the picture's {}x{}",
                self.width, self.height
            ));
        }
        let rows = self.pixels.chunks_exact(self.width * 3).skip(y).take(height);
        let pixels = rows.flat_map(|row| &row[x * 3..(x + width) * 3]).copied().collect();
        Ok(Self { width, height, pixels })
    }

    /// The smallest rectangle that has all pixels of another colour than this one (red, green, blue).
    pub(crate) fn bounds(&self, background: [u8; 3]) -> Result<Area> {
        let pixels = self.pixels.chunks_exact(3).enumerate().filter(|(_, pixel)| *pixel != background);
        let places: Vec<_> = pixels.map(|(index, _)| (index % self.width, index / self.width)).collect();
        let columns = || places.iter().map(|(x, _)| *x);
        let rows = || places.iter().map(|(_, y)| *y);
        let (Some(x), Some(right), Some(y), Some(bottom)) =
            (columns().min(), columns().max(), rows().min(), rows().max())
        else {
            return Err("the picture has the background's colour only".into());
        };
        Ok(Area { x, y, width: right - x + 1, height: bottom - y + 1 })
    }

    /// What is left of the picture after a trip through a 16-bit RG16 buffer: each channel cut to its
    /// 5, 6 and 5 bits, and widened by repeating its upper bits.
    pub(crate) fn through_rg16(&self) -> Self {
        let widen = |value: u8, bits: u32| {
            let cut = value >> (8 - bits);
            (cut << (8 - bits)) | (cut >> (2 * bits - 8))
        };
        let pixels =
            self.pixels.chunks_exact(3).flat_map(|p| [widen(p[0], 5), widen(p[1], 6), widen(p[2], 5)]).collect();
        Self { pixels, ..*self }
    }

    /// Each pixel twice across and twice down.
    pub(crate) fn doubled(&self) -> Self {
        let across = |line: &[u8]| line.chunks_exact(3).flat_map(|pixel| [pixel, pixel].concat()).collect::<Vec<_>>();
        let pixels = self.pixels.chunks_exact(self.width * 3).flat_map(|line| across(line).repeat(2)).collect();
        Self { width: self.width * 2, height: self.height * 2, pixels }
    }

    /// Twice as wide and as high, each new pixel mixed from the four next to its middle; beyond the edges all is black.
    pub(crate) fn doubled_smoothly(&self) -> Self {
        let (width, height) = (self.width * 2, self.height * 2);
        // Of the two old pixels on a line through a new one's middle, the nearer one (by its place, one more than it
        // is, so that -1 can be told) counts three times.
        let nearest = |at: usize| if at.is_multiple_of(2) { (at / 2 + 1, at / 2) } else { (at / 2 + 1, at / 2 + 2) };
        let old = |x: usize, y: usize, channel: usize| {
            let within = (1..=self.width).contains(&x) && (1..=self.height).contains(&y);
            if within { u32::from(self.pixels[((y - 1) * self.width + x - 1) * 3 + channel]) } else { 0 }
        };
        let mixed = |x: usize, y: usize, channel: usize| {
            let ((near_x, far_x), (near_y, far_y)) = (nearest(x), nearest(y));
            let near = 3 * old(near_x, near_y, channel) + old(far_x, near_y, channel);
            let far = 3 * old(near_x, far_y, channel) + old(far_x, far_y, channel);
            u8::try_from((3 * near + far) / 16).unwrap_or(u8::MAX)
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = places.flat_map(|(x, y)| [0, 1, 2].map(|channel| mixed(x, y, channel))).collect();
        Self { width, height, pixels }
    }

    /// `None` when both are the same, else where and how much they differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if (self.width, self.height) != (other.width, other.height) {
            return Some(format!("sizes {}x{} and {}x{}", self.width, self.height, other.width, other.height));
        }
        let pairs = self.pixels.chunks_exact(3).zip(other.pixels.chunks_exact(3)).enumerate();
        let mut different = pairs.filter(|(_, (mine, theirs))| mine != theirs);
        let (first, (mine, theirs)) = different.next()?;
        let (x, y) = (first % self.width, first / self.width);
        Some(format!(
            "{} of {} pixels differ, the first at {x},{y}: {mine:02x?} instead of {theirs:02x?}",
            different.count() + 1,
            self.width * self.height
        ))
    }

    /// The checksum that the kernel's virtual display (vkms) tells of a frame that looks like this: a CRC-32 without
    /// inversions over 16 bits for each of alpha, red, green and blue.
    pub(crate) fn vkms_crc(&self) -> u32 {
        let bytes = self.pixels.chunks_exact(3).flat_map(|p| [255, 255, p[0], p[0], p[1], p[1], p[2], p[2]]);
        bytes.fold(0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 0 { 0 } else { 0xedb8_8320 })
        })
    }

    /// The colour of a picture that has only one, as rrggbb.
    pub(crate) fn only_colour(&self) -> Result<String> {
        let mut pixels = self.pixels.chunks_exact(3);
        let first = pixels.next().ok_or("the picture is empty")?;
        let others = pixels.filter(|pixel| *pixel != first).count();
        if others > 0 {
            return Err(format!("more than one colour: {others} pixels are not {first:02x?}"));
        }
        Ok(format!("{:02x}{:02x}{:02x}", first[0], first[1], first[2]))
    }
}

/// A PPM of the binary kind with 8 bits a channel.
fn parse_ppm(data: &[u8]) -> Result<Picture> {
    let mut rest = data;
    let mut field = || -> Result<&str> {
        let start = rest.iter().position(|byte| !byte.is_ascii_whitespace()).ok_or("it ends in its header")?;
        rest = &rest[start..];
        let end = rest.iter().position(u8::is_ascii_whitespace).ok_or("it ends in its header")?;
        let (word, tail) = rest.split_at(end);
        rest = tail;
        std::str::from_utf8(word).map_err(|_| "its header is no text".into())
    };
    if field()? != "P6" {
        return Err("it is no binary PPM".into());
    }
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("'{text}' is no number"));
    let (width, height, depth) = (number(field()?)?, number(field()?)?, number(field()?)?);
    let pixels = rest.get(1..).unwrap_or_default();
    if depth != 255 || width.checked_mul(height).and_then(|n| n.checked_mul(3)) != Some(pixels.len()) {
        return Err(format!("{width}x{height}, {depth} does not fit its {} bytes", pixels.len()));
    }
    Ok(Picture { width, height, pixels: pixels.to_vec() })
}

fn read_png(path: &Path) -> Result<Picture> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let info = reader.next_frame(&mut buffer).map_err(|error| error.to_string())?;
    let step = info.color_type.samples();
    if step < 3 {
        return Err(format!("its colours are {:?}, not RGB", info.color_type));
    }
    let pixels = buffer[..info.buffer_size()].chunks_exact(step).flat_map(|pixel| &pixel[..3]).copied().collect();
    let size = usize::try_from(info.width).ok().zip(usize::try_from(info.height).ok());
    let (width, height) = size.ok_or("it is too large")?;
    Ok(Picture { width, height, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_by_two() -> Picture {
        Picture { width: 2, height: 2, pixels: vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9] }
    }

    #[test]
    fn a_ppm_is_read_as_qemu_writes_it() {
        let mut data = b"P6\n2 2\n255\n".to_vec();
        data.extend_from_slice(&two_by_two().pixels);
        assert_eq!(parse_ppm(&data), Ok(two_by_two()));
        data.pop();
        assert!(parse_ppm(&data).is_err(), "a byte is missing");
        assert!(parse_ppm(b"P5\n1 1\n255\n0").is_err(), "another kind");
    }

    #[test]
    fn a_png_is_read_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        two_by_two().write_png(&path).unwrap();
        assert_eq!(Picture::read(&path), Ok(two_by_two()));
    }

    #[test]
    fn the_checksum_is_the_kernels() {
        // As Linux's crc32_le gives it for the two-by-two picture's pixels.
        assert_eq!(two_by_two().vkms_crc(), 0x1092_d217);
    }

    #[test]
    fn a_crop_must_lie_inside() {
        let right = Area { x: 1, y: 0, width: 1, height: 2 };
        assert_eq!(two_by_two().crop(right).unwrap().pixels, [0, 255, 0, 9, 9, 9]);
        assert!(two_by_two().crop(Area { x: 1, y: 1, width: 2, height: 1 }).is_err());
        assert!(two_by_two().crop(Area { x: 0, y: 0, width: 0, height: 1 }).is_err());
    }

    #[test]
    fn bounds_hold_all_that_is_not_background() {
        let mut picture = Picture { width: 5, height: 4, pixels: vec![9; 60] };
        picture.pixels[(5 + 2) * 3] = 1;
        picture.pixels[(10 + 3) * 3 + 2] = 1;
        let Area { x, y, width, height } = picture.bounds([9, 9, 9]).unwrap();
        assert_eq!((x, y, width, height), (2, 1, 2, 2));
        assert!(picture.crop(Area { x: 0, y: 0, width: 2, height: 4 }).unwrap().bounds([9, 9, 9]).is_err());
    }

    #[test]
    fn one_differing_byte_is_found() {
        assert_eq!(two_by_two().difference(&two_by_two()), None);
        let mut other = two_by_two();
        other.pixels[11] = 8;
        let told = two_by_two().difference(&other).unwrap();
        assert!(told.starts_with("1 of 4 pixels differ, the first at 1,1"), "{told}");
    }

    #[test]
    fn rg16_keeps_black_white_and_the_upper_bits() {
        let picture = Picture { width: 3, height: 1, pixels: vec![0, 0, 0, 255, 255, 255, 0xc7, 0xc3, 0x0f] };
        assert_eq!(picture.through_rg16().pixels, [0, 0, 0, 255, 255, 255, 0xc6, 0xc3, 0x08]);
    }

    #[test]
    fn a_doubled_picture_has_each_pixel_four_times() {
        let twice = two_by_two().doubled();
        assert_eq!((twice.width, twice.height), (4, 4));
        for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let four = twice.crop(Area { x: 2 * x, y: 2 * y, width: 2, height: 2 }).unwrap();
            let one = two_by_two().crop(Area { x, y, width: 1, height: 1 }).unwrap();
            assert_eq!(four.only_colour().unwrap(), one.only_colour().unwrap());
        }
    }

    #[test]
    fn a_smoothly_doubled_picture_fades_from_pixel_to_pixel_and_at_its_edges() {
        let picture = Picture { width: 2, height: 1, pixels: vec![160, 0, 0, 0, 16, 0] };
        let twice = picture.doubled_smoothly();
        let red = twice.pixels.iter().step_by(3).copied().collect::<Vec<_>>();
        assert_eq!(red, [90, 90, 30, 0, 90, 90, 30, 0]);
        let green = twice.pixels.iter().skip(1).step_by(3).copied().collect::<Vec<_>>();
        assert_eq!(green, [0, 3, 9, 9, 0, 3, 9, 9]);
    }

    #[test]
    fn only_one_colour_is_one_colour() {
        let plain = Picture { width: 2, height: 1, pixels: vec![1, 2, 3, 1, 2, 3] };
        assert_eq!(plain.only_colour(), Ok("010203".into()));
        assert!(two_by_two().only_colour().is_err());
    }

    #[test]
    fn test_pictures_with_different_seeds_differ_everywhere() {
        let (one, two) = (Picture::pattern(300, 280, 1), Picture::pattern(300, 280, 2));
        let same = one.pixels.chunks_exact(3).zip(two.pixels.chunks_exact(3)).filter(|(a, b)| a == b).count();
        assert_eq!(same, 0);
    }
}

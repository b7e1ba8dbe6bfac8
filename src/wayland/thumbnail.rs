// SPDX-License-Identifier: GPL-3.0-or-later
//! A picture made smaller: each pixel is the mean of those that it stands for.

use crate::scene::element::Pixmap;

/// Bytes of a pixel.
const PIXEL: usize = 4;

/// Where the picture is in what was made: left, top, width and height in pixels.
type Place = (u32, u32, u32, u32);

/// The picture in the middle of another one of that size, which is black elsewhere: as large as it fits, and no larger
/// than it is. `None` when there is nothing in either.
pub(super) fn fitted(picture: &Pixmap, (width, height): (u32, u32)) -> Option<(Pixmap, Place)> {
    let (columns, rows) = inner((picture.width, picture.height), (width, height))?;
    let (x, y) = ((width - columns) / 2, (height - rows) / 2);
    let line = length(width)?.checked_mul(PIXEL)?;
    let mut pixels = [0, 0, 0, 255].repeat(length(width)?.checked_mul(length(height)?)?);
    let across = cuts(picture.width, columns)?;
    let source = length(picture.width)?.checked_mul(PIXEL)?;
    let lines = pixels.chunks_exact_mut(line).skip(length(y)?);
    for (to, rows) in lines.zip(cuts(picture.height, rows)?) {
        let to = to.get_mut(length(x)? * PIXEL..)?.as_chunks_mut::<PIXEL>().0;
        for (pixel, columns) in to.iter_mut().zip(&across) {
            *pixel = mean(picture, source, columns, &rows)?;
        }
    }
    Some((Pixmap { width, height, pixels }, (x, y, columns, rows)))
}

fn length(side: u32) -> Option<usize> {
    usize::try_from(side).ok()
}

/// The size of the picture within the other one, at least one pixel each way.
fn inner((width, height): (u32, u32), (most_wide, most_high): (u32, u32)) -> Option<(u32, u32)> {
    if width == 0 || height == 0 || most_wide == 0 || most_high == 0 {
        return None;
    }
    if width <= most_wide && height <= most_high {
        return Some((width, height));
    }
    let [wide, high, wide_most, high_most] = [width, height, most_wide, most_high].map(u64::from);
    let side = |side: u64| u32::try_from(side.max(1)).ok();
    if wide * high_most >= high * wide_most {
        Some((most_wide, side(high * wide_most / wide)?))
    } else {
        Some((side(wide * high_most / high)?, most_high))
    }
}

/// Which of `from` pixels each of `to` stands for; at least one each.
fn cuts(from: u32, to: u32) -> Option<Vec<std::ops::Range<usize>>> {
    let (from, to) = (length(from)?, length(to)?);
    (0..to).map(|cut| Some(cut * from / to..((cut + 1) * from / to).max(cut * from / to + 1))).collect()
}

fn mean(
    picture: &Pixmap,
    line: usize,
    columns: &std::ops::Range<usize>,
    rows: &std::ops::Range<usize>,
) -> Option<[u8; PIXEL]> {
    let mut sums = [0_u64; 3];
    for row in rows.clone() {
        let begin = row * line;
        let part = picture.pixels.get(begin + columns.start * PIXEL..begin + columns.end * PIXEL)?;
        for [blue, green, red, _] in part.as_chunks::<PIXEL>().0 {
            for (sum, value) in sums.iter_mut().zip([blue, green, red]) {
                *sum += u64::from(*value);
            }
        }
    }
    let count = u64::try_from(columns.len() * rows.len()).ok()?.max(1);
    let [blue, green, red] = sums.map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX));
    Some([blue, green, red, 255])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Pixmap {
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| pixel(x, y).into_iter().chain([0]))
            .collect();
        Pixmap { width, height, pixels }
    }

    #[test]
    fn each_pixel_is_the_mean_of_those_that_it_stands_for() {
        // A chessboard of black and white is grey in half its size; its right half is red.
        let board =
            picture(8, 4, |x, y| if x >= 4 { [0, 0, 200] } else { [[0, 255][usize::from((x + y) % 2 == 1)]; 3] });
        let (small, place) = fitted(&board, (4, 2)).unwrap();
        assert_eq!(place, (0, 0, 4, 2));
        let line = [[128, 128, 128, 255], [128, 128, 128, 255], [0, 0, 200, 255], [0, 0, 200, 255]].concat();
        assert_eq!(small.pixels, line.repeat(2));
    }

    #[test]
    fn it_keeps_its_shape_and_is_in_the_middle() {
        let blue = |width, height| picture(width, height, |_, _| [255, 0, 0]);
        let (small, place) = fitted(&blue(1920, 1080), (100, 100)).unwrap();
        assert_eq!(place, (0, 22, 100, 56));
        let pixel = |x: usize, y: usize| &small.pixels[(y * 100 + x) * 4..][..4];
        for (at, colour) in [((50, 21), 0), ((50, 22), 255), ((0, 77), 255), ((99, 78), 0)] {
            assert_eq!(pixel(at.0, at.1), [colour, 0, 0, 255], "{at:?}");
        }
        assert_eq!(fitted(&blue(1080, 1920), (100, 100)).unwrap().1, (22, 0, 56, 100));
        assert_eq!(fitted(&blue(30, 10), (100, 100)).unwrap().1, (35, 45, 30, 10), "nothing is made larger");
        assert_eq!(fitted(&blue(8192, 1), (512, 3)).unwrap().1, (0, 1, 512, 1));
        assert_eq!(fitted(&blue(1, 8192), (3, 512)).unwrap().1, (1, 0, 1, 512));
        assert!(fitted(&blue(0, 5), (10, 10)).is_none() && fitted(&blue(5, 5), (0, 10)).is_none());
    }

    #[test]
    fn a_picture_with_too_few_pixels_is_none() {
        let short = Pixmap { width: 100, height: 100, pixels: vec![0; 99 * 400] };
        assert!(fitted(&short, (10, 10)).is_none());
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Nine formats, widths that are odd in every way, both renderers: the picture on the output is the one
//! that a converter written only for this test computes from the guest's bytes.

use grantway::backend::headless::{Headless, RendererKind};
use grantway::backend::{Commit, ImportPath, Imported, OutputId, PixelLayout, Pointer, Presentation};

use grantway::scene::element::{Content, Rect};

use crate::support::{GuestMemory, code, events, frame, headless, noise, output, pixel, rect, settle, shown};

const FORMATS: [(&str, u32); 9] = [
    ("RG16", 16),
    ("RG24", 24),
    ("XR24", 32),
    ("AR24", 32),
    ("XR12", 16),
    ("AR12", 16),
    ("XR15", 16),
    ("AR15", 16),
    ("YUYV", 16),
];
const WIDTHS: [u32; 5] = [1, 17, 640, 1365, 1366];
const HEIGHT: u32 = 9;

/// How far a component may be off, by format. All are exact but YUYV: there the reference is computed in
/// floating point, while both renderers use fixed-point factors (pixman's own, and ours, which agree).
const fn tolerance(format: &str, path: ImportPath) -> u8 {
    match (format.as_bytes(), path) {
        (b"YUYV", _) => 1,
        // A GPU that samples 5 bits divides by 31, which differs from repeating the upper bits.
        ([b'R' | b'X' | b'A', _, b'1', _], ImportPath::EglImage) => 1,
        _ => 0,
    }
}

/// `bits` of `word` from `shift` on, widened to 8 bits by writing them again and again.
fn field(word: u32, shift: u32, bits: u32) -> u8 {
    let value = (word >> shift) & ((1 << bits) - 1);
    let (mut written, mut digits) = (value, bits);
    while digits < 8 {
        written = written << bits | value;
        digits += bits;
    }
    u8::try_from(written >> (digits - 8)).unwrap()
}

/// BT.601, limited range.
fn from_yuv(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (y, u, v) = (1.164 * (f64::from(y) - 16.0), f64::from(u) - 128.0, f64::from(v) - 128.0);
    #[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let byte = |value: f64| value.clamp(0.0, 255.0) as u8;
    [byte(y + 1.596 * v), byte(y - 0.813 * v - 0.391 * u), byte(y + 2.018 * u)]
}

/// Red, green, blue of pixel `x`, `y` as the guest meant it.
fn reference(bytes: &[u8], layout: &PixelLayout, format: &str, x: u32, y: u32) -> [u8; 3] {
    let index = |value: u32| usize::try_from(value).unwrap();
    let start = index(layout.offset + y * layout.pitch);
    let line = &bytes[start..start + index(layout.pitch)];
    let word = |size: u32| {
        let at = index(x * size);
        line[at..at + index(size)].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    };
    let three = |word, red, green, blue, bits: [u32; 3]| {
        [field(word, red, bits[0]), field(word, green, bits[1]), field(word, blue, bits[2])]
    };
    match format {
        "RG16" => three(word(2), 11, 5, 0, [5, 6, 5]),
        "RG24" => three(word(3), 16, 8, 0, [8, 8, 8]),
        "XR24" | "AR24" => three(word(4), 16, 8, 0, [8, 8, 8]),
        "XR12" | "AR12" => three(word(2), 8, 4, 0, [4, 4, 4]),
        "XR15" | "AR15" => three(word(2), 10, 5, 0, [5, 5, 5]),
        "YUYV" => {
            let pair = index(x / 2 * 4);
            // A line of an odd number of pixels may end before the last pair's V: the one before it holds.
            let v = line.get(pair + 3).copied().unwrap_or_else(|| if pair == 0 { 128 } else { line[pair - 1] });
            from_yuv(line[index(x * 2)], line[pair + 1], v)
        }
        other => panic!("{other}"),
    }
}

struct Case {
    format: &'static str,
    layout: PixelLayout,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for (format, bits) in FORMATS {
            for width in WIDTHS {
                let tight = width * bits / 8;
                for (pitch, offset) in [(tight, 0), (tight.next_multiple_of(64), 0), (tight.next_multiple_of(4), 4096)]
                {
                    let layout = PixelLayout { width, height: HEIGHT, fourcc: code(format), pitch, offset };
                    cases.push(Self { format, layout });
                }
            }
        }
        cases
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.layout.offset + self.layout.pitch * self.layout.height).unwrap()
    }

    fn compare(&self, backend: &mut Headless, output: OutputId, bytes: &[u8], path: ImportPath) {
        let picture = backend.screenshot(output, Pointer::With).unwrap();
        let tolerance = tolerance(self.format, path);
        for y in 0..HEIGHT {
            for x in 0..self.layout.width {
                let (is, meant) = (pixel(&picture, x, y), reference(bytes, &self.layout, self.format, x, y));
                let near = is.iter().zip(meant).all(|(is, meant)| is.abs_diff(meant) <= tolerance);
                assert!(near, "{} {:?} at {x},{y}: {is:?}, meant {meant:?}", self.format, self.layout);
            }
        }
    }

    /// Shows noise, then other noise in the same buffer.
    fn run(&self, backend: &mut Headless, output: OutputId, guest: &GuestMemory) -> Imported {
        let imported = backend.import(guest.memory.clone(), self.layout).unwrap();
        for version in 1..=2 {
            let bytes = noise(u32::try_from(version).unwrap() + self.layout.pitch, self.bytes());
            guest.write(&bytes);
            let target = rect(0, 0, self.layout.width, HEIGHT);
            let frame = frame(vec![(1, target, shown(imported.id, &self.layout, version))]);
            assert_eq!(backend.commit(output, frame.clone()), Commit::Submitted);
            settle(backend);
            assert_eq!(backend.commit(output, frame.clone()), Commit::NoDamage);
            self.compare(backend, output, &bytes, imported.path);
        }
        imported
    }
}

fn every_case(renderer: RendererKind, mut check: impl FnMut(&Case, &Headless, &Imported)) {
    let mut backend = headless(renderer, &[]);
    for case in Case::all() {
        let output = backend.add_output(output(0, case.layout.width, HEIGHT)).unwrap();
        let guest = GuestMemory::mapped(case.bytes());
        let imported = case.run(&mut backend, output, &guest);
        check(&case, &backend, &imported);
        backend.evict(imported.id);
        backend.remove_output(output);
        events(&mut backend);
    }
}

/// What a copy of both versions reads: the pixels, and no padding. The odd last pixel of a YUYV line
/// is read with its whole pair where there is one.
fn copied(case: &Case) -> u64 {
    let bits = FORMATS.iter().find(|(name, _)| *name == case.format).unwrap().1;
    let pixels = if case.format == "YUYV" { case.layout.width.next_multiple_of(2) } else { case.layout.width };
    u64::from((pixels * bits / 8).min(case.layout.pitch) * HEIGHT * 2)
}

#[test]
fn pixman_draws_every_format_from_the_pages_in_place() {
    every_case(RendererKind::Pixman, |case, backend, imported| {
        let (path, bytes) = match case.layout.pitch % 4 {
            0 => (ImportPath::InPlace, 0),
            _ => (ImportPath::Copy, copied(case)),
        };
        assert_eq!(imported.path, path, "{} {:?}: {}", case.format, case.layout, imported.reason);
        assert_eq!(backend.bytes_copied(imported.id), bytes, "{} {:?}", case.format, case.layout);
    });
}

#[test]
fn gl_draws_every_format_from_a_counted_copy_where_there_is_no_dmabuf() {
    every_case(RendererKind::Gl, |case, backend, imported| {
        assert_eq!(imported.path, ImportPath::Copy);
        assert!(imported.reason.contains("no dma-buf"), "{}", imported.reason);
        assert_eq!(backend.bytes_copied(imported.id), copied(case), "{} {:?}", case.format, case.layout);
    });
}

/// Drivers differ in what they import; the picture may not.
#[test]
fn gl_draws_every_format_from_a_descriptor_by_whatever_path_the_driver_allows() {
    let mut backend = headless(RendererKind::Gl, &[]);
    for case in Case::all() {
        let output = backend.add_output(output(0, case.layout.width, HEIGHT)).unwrap();
        let guest = GuestMemory::descriptor(case.bytes());
        let imported = case.run(&mut backend, output, &guest);
        let bytes = match imported.path {
            ImportPath::EglImage => 0,
            ImportPath::Copy => copied(&case),
            ImportPath::InPlace => panic!("GL can't sample pages in place"),
        };
        assert_eq!(backend.bytes_copied(imported.id), bytes, "{} {:?}: {}", case.format, case.layout, imported.reason);
        backend.evict(imported.id);
        backend.remove_output(output);
    }
}

#[test]
fn pixman_samples_a_descriptor_in_place_too() {
    let mut backend = headless(RendererKind::Pixman, &[(640, HEIGHT)]);
    let layout = PixelLayout { width: 640, height: HEIGHT, fourcc: code("XR24"), pitch: 2560, offset: 0 };
    let case = Case { format: "XR24", layout };
    let output = backend.outputs()[0].id;
    let guest = GuestMemory::descriptor(case.bytes());
    let imported = case.run(&mut backend, output, &guest);
    assert_eq!((imported.path, backend.bytes_copied(imported.id)), (ImportPath::InPlace, 0));
}

/// Of a large picture only what is shown is read; two parts of it in one frame don't disturb each other.
#[test]
fn a_copy_reads_the_shown_part_alone() {
    for (format, bits) in FORMATS {
        let layout = PixelLayout { width: 99, height: 40, fourcc: code(format), pitch: 99 * bits / 8, offset: 3 };
        let case = Case { format, layout };
        let bytes = noise(bits, case.bytes());
        let guest = GuestMemory::mapped(case.bytes());
        guest.write(&bytes);
        let mut backend = headless(RendererKind::Gl, &[(60, 30)]);
        let output = backend.outputs()[0].id;
        let imported = backend.import(guest.memory.clone(), layout).unwrap();
        let parts = [(rect(7, 5, 20, 10), (1, 2)), (rect(10, 20, 89, 20), (30, 2))];
        let contents = parts.iter().zip(1..).map(|((source, (x, y)), id)| {
            let content = Content::Buffer { buffer: imported.id, source: *source, version: 1, smooth: false };
            (id, Rect { x: *x, y: *y, ..*source }, content)
        });
        assert_eq!(backend.commit(output, frame(contents.collect())), Commit::Submitted);
        let picture = backend.screenshot(output, Pointer::With).unwrap();
        for (source, (left, top)) in parts {
            for (x, y) in (0..source.width.min(60 - left)).flat_map(|x| (0..source.height).map(move |y| (x, y))) {
                let is = pixel(&picture, (left + x).cast_unsigned(), (top + y).cast_unsigned());
                let (column, line) = ((source.x + x).cast_unsigned(), (source.y + y).cast_unsigned());
                let meant = reference(&bytes, &layout, format, column, line);
                let near =
                    is.iter().zip(meant).all(|(is, meant)| is.abs_diff(meant) <= tolerance(format, imported.path));
                assert!(near, "{format} at {column},{line}: {is:?}, meant {meant:?}");
            }
        }
        // From the even column before the part on, and to the end of the line at most.
        let pairs = if format == "YUYV" { 22 } else { 21 };
        let read = pairs * bits / 8 * 10 + 89 * bits / 8 * 20;
        assert_eq!(backend.bytes_copied(imported.id), u64::from(read), "{format}");
    }
}

#[test]
fn a_layout_beyond_the_memory_is_refused_in_words() {
    for renderer in [RendererKind::Pixman, RendererKind::Gl] {
        let mut backend = headless(renderer, &[]);
        let guest = GuestMemory::mapped(4096 * 10);
        let fits = PixelLayout { width: 100, height: 100, fourcc: code("XR24"), pitch: 400, offset: 960 };
        let refusal = |layout: PixelLayout, backend: &mut Headless| {
            backend.import(guest.memory.clone(), layout).expect_err("must be refused").0
        };
        assert!(backend.import(guest.memory.clone(), fits).is_ok());
        let beyond = refusal(PixelLayout { offset: 961, ..fits }, &mut backend);
        assert_eq!(beyond, "the picture ends at byte 40961, the buffer at byte 40960");
        let short = refusal(PixelLayout { pitch: 399, ..fits }, &mut backend);
        assert_eq!(short, "pitch 399 is shorter than a line of 100 pixels in XR24");
        let empty = refusal(PixelLayout { height: 0, ..fits }, &mut backend);
        assert_eq!(empty, "a picture of 100x0 pixels has nothing to show");
        let alien = refusal(PixelLayout { fourcc: code("NV12"), ..fits }, &mut backend);
        assert_eq!(alien, "format NV12 is none of those shown");
        let huge = PixelLayout { width: 1, height: u32::MAX, pitch: u32::MAX, offset: u32::MAX, ..fits };
        assert!(refusal(huge, &mut backend).starts_with("the picture ends at byte"));
    }
}

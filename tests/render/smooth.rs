// SPDX-License-Identifier: GPL-3.0-or-later
//! A window that the user has made larger: pixels in between are mixed, and what is not scaled stays as it is.

use grantway::backend::headless::RendererKind;
use grantway::backend::{PixelLayout, Pointer, Presentation};
use grantway::scene::element::Content;

use crate::support::{GuestMemory, code, frame, headless, noise, only_output, pixel, rect, settle};

/// A black and a white pixel, 40 times as large.
fn scaled(renderer: RendererKind, smooth: bool) -> Vec<u8> {
    let mut backend = headless(renderer, &[(100, 60)]);
    let layout = PixelLayout { width: 2, height: 1, fourcc: code("XR24"), pitch: 8, offset: 0 };
    let guest = GuestMemory::mapped(8);
    guest.write(&[0, 0, 0, 0, 255, 255, 255, 0]);
    let buffer = backend.import(guest.memory.clone(), layout).unwrap().id;
    let content = Content::Buffer { buffer, source: rect(0, 0, 2, 1), version: 1, smooth };
    let output = only_output(&backend);
    backend.commit(output, frame(vec![(1, rect(10, 10, 80, 40), content)]));
    settle(&mut backend);
    let picture = backend.screenshot(output, Pointer::With).unwrap();
    (10..90).map(|x| pixel(&picture, x, 30)[0]).collect()
}

#[test]
fn pixels_in_between_are_mixed_where_that_is_wanted() {
    for renderer in [RendererKind::Pixman, RendererKind::Gl] {
        let line = scaled(renderer, true);
        assert!(line[20..60].is_sorted(), "{renderer:?}: {line:?}");
        assert!(line[30] > 40 && line[30] < 100 && line[50] > 155 && line[50] < 215, "{renderer:?}: {line:?}");
        let sharp = scaled(renderer, false);
        assert!(sharp.iter().take(40).all(|value| *value == 0), "{renderer:?}: {sharp:?}");
        assert!(sharp.iter().skip(40).all(|value| *value == 255), "{renderer:?}: {sharp:?}");
    }
}

#[test]
fn what_is_not_scaled_is_pixel_for_pixel_beside_what_is() {
    for renderer in [RendererKind::Pixman, RendererKind::Gl] {
        let mut backend = headless(renderer, &[(100, 60)]);
        let layout = PixelLayout { width: 20, height: 10, fourcc: code("XR24"), pitch: 80, offset: 0 };
        let guest = GuestMemory::mapped(800);
        let pixels = noise(5, 800);
        guest.write(&pixels);
        let buffer = backend.import(guest.memory.clone(), layout).unwrap().id;
        let part = |smooth| Content::Buffer { buffer, source: rect(0, 0, 20, 10), version: 1, smooth };
        let output = only_output(&backend);
        let elements = vec![(1, rect(50, 20, 45, 33), part(true)), (2, rect(3, 4, 20, 10), part(false))];
        backend.commit(output, frame(elements));
        settle(&mut backend);
        let picture = backend.screenshot(output, Pointer::With).unwrap();
        for ((x, y), [blue, green, red, _]) in
            (0..200).map(|index| (3 + index % 20, 4 + index / 20)).zip(pixels.as_chunks::<4>().0)
        {
            assert_eq!(pixel(&picture, x, y), [*red, *green, *blue], "{renderer:?} at {x},{y}");
        }
    }
}

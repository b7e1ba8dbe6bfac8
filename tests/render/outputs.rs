// SPDX-License-Identifier: GPL-3.0-or-later
//! The headless outputs: what is shown when, and who lets go of what.

use std::rc::Rc;
use std::time::Duration;

use grantway::backend::headless::{Headless, OutputConfig, RendererKind};
use grantway::backend::{Commit, Event, ImportPath, OutputId, PixelLayout, Pointer, Presentation};
use grantway::scene::element::{BufferId, CURSOR_ID, Color, Content, Pixmap};

use crate::support::{
    BACKGROUND, GuestMemory, REFRESH, code, events, frame, headless, noise, only_output, output, pixel, rect, settle,
    shown,
};

const BOTH: [RendererKind; 2] = [RendererKind::Pixman, RendererKind::Gl];
const WHITE: Color = Color { red: 255, green: 255, blue: 255 };
const RED: Color = Color { red: 200, green: 16, blue: 32 };

fn guest(backend: &mut Headless) -> (GuestMemory, PixelLayout, BufferId) {
    let layout = PixelLayout { width: 20, height: 10, fourcc: code("XR24"), pitch: 80, offset: 0 };
    let guest = GuestMemory::mapped(800);
    guest.write(&noise(7, 800));
    let imported = backend.import(guest.memory.clone(), layout).unwrap();
    (guest, layout, imported.id)
}

#[test]
fn a_frame_is_presented_at_the_next_multiple_of_the_refresh() {
    let mut backend = headless(RendererKind::Pixman, &[(40, 30)]);
    let id = only_output(&backend);
    let Event::OutputAdded(info) = &events(&mut backend)[0] else { panic!("the output is not announced") };
    assert_eq!((info.id, info.name.as_str(), info.width, info.height), (id, "headless-1", 40, 30));

    backend.dispatch(REFRESH * 3 + Duration::from_millis(1));
    let white = frame(vec![(1, rect(0, 0, 40, 30), Content::Solid(WHITE))]);
    assert_eq!(backend.commit(id, white.clone()), Commit::Submitted);
    assert_eq!(backend.commit(id, white.clone()), Commit::Skipped, "one frame at a time");
    assert_eq!(backend.deadline(), Some(REFRESH * 4));

    backend.dispatch(REFRESH * 4 - Duration::from_nanos(1));
    assert_eq!(events(&mut backend), []);
    backend.dispatch(REFRESH * 4 + Duration::from_millis(2));
    let presented = Event::Presented { output: id, sequence: 4, time: REFRESH * 4 };
    assert_eq!(events(&mut backend), [presented]);
    assert_eq!(backend.deadline(), None);
    assert_eq!(backend.commit(id, white.clone()), Commit::NoDamage);
    assert_eq!(backend.deadline(), None, "nothing was submitted, so nothing follows");
}

#[test]
fn outputs_tick_on_their_own_and_come_and_go() {
    let mut backend = headless(RendererKind::Pixman, &[(40, 30)]);
    let slow = OutputConfig { refresh: Duration::from_millis(100), ..output(1, 8, 8) };
    let slow = backend.add_output(slow).unwrap();
    let fast = only_output(&backend);
    events(&mut backend);
    let empty = frame(vec![]);
    assert_eq!(backend.commit(fast, empty.clone()), Commit::Submitted);
    assert_eq!(backend.commit(slow, empty.clone()), Commit::Submitted);
    backend.dispatch(Duration::from_secs(1));
    let presented = |output, time| Event::Presented { output, sequence: 1, time };
    assert_eq!(events(&mut backend), [presented(fast, REFRESH), presented(slow, Duration::from_millis(100))]);

    let white = frame(vec![(1, rect(0, 0, 8, 8), Content::Solid(WHITE))]);
    assert_eq!(backend.commit(slow, white.clone()), Commit::Submitted);
    assert!(backend.remove_output(slow));
    assert_eq!(settle(&mut backend), [Event::OutputRemoved(slow)]);
    assert_eq!(backend.commit(slow, white.clone()), Commit::Skipped);
    assert!(!backend.remove_output(slow));
    let again = backend.add_output(output(1, 8, 8)).unwrap();
    assert_ne!(again, slow, "an output's name is never used twice");
}

#[test]
fn outputs_out_of_range_are_refused() {
    let mut backend = headless(RendererKind::Pixman, &[]);
    assert!(backend.add_output(output(0, 0, 10)).is_err());
    assert!(backend.add_output(output(0, 10, 16_385)).is_err());
    assert!(backend.add_output(OutputConfig { refresh: Duration::from_micros(999), ..output(0, 9, 9) }).is_err());
    assert_eq!(events(&mut backend), []);
}

#[test]
fn an_evicted_buffer_is_released_once_and_its_pages_unmapped_though_nothing_is_drawn() {
    for renderer in BOTH {
        let mut backend = headless(renderer, &[(40, 30)]);
        let id = only_output(&backend);
        let (GuestMemory { memory, mapped, .. }, layout, buffer) = guest(&mut backend);
        let picture = frame(vec![(1, rect(5, 5, 20, 10), shown(buffer, &layout, 1))]);
        assert_eq!(backend.commit(id, picture.clone()), Commit::Submitted);
        events(&mut backend);
        drop(memory);
        assert!(mapped.get(), "the backend holds the memory");

        backend.evict(buffer);
        backend.evict(buffer);
        assert!(!mapped.get(), "{renderer:?} still holds the memory, with the frame on its way");
        assert_eq!(events(&mut backend), [Event::BufferReleased(buffer)]);
        settle(&mut backend);

        assert_eq!(backend.commit(id, picture.clone()), Commit::Submitted, "what it covered is drawn again");
        let shot = backend.screenshot(id, Pointer::With).unwrap();
        assert_eq!(pixel(&shot, 6, 6), [BACKGROUND.red, BACKGROUND.green, BACKGROUND.blue]);
    }
}

#[test]
fn elements_are_drawn_front_to_back_with_our_own_alpha_but_not_the_guests() {
    for renderer in BOTH {
        let mut backend = headless(renderer, &[(40, 30)]);
        let id = only_output(&backend);
        let layout = PixelLayout { width: 20, height: 10, fourcc: code("AR24"), pitch: 80, offset: 0 };
        let guest = GuestMemory::mapped(800);
        guest.write(&[10, 20, 30, 0].repeat(200));
        let imported = backend.import(guest.memory.clone(), layout).unwrap();
        // Half transparent white, premultiplied.
        let veil = Rc::new(Pixmap { width: 4, height: 4, pixels: [128, 128, 128, 128].repeat(16) });
        let picture = frame(vec![
            (1, rect(6, 6, 4, 4), Content::Pixmap(veil)),
            (2, rect(5, 5, 20, 10), shown(imported.id, &layout, 1)),
            (3, rect(0, 0, 30, 30), Content::Solid(WHITE)),
        ]);
        assert_eq!(backend.commit(id, picture.clone()), Commit::Submitted);
        let shot = backend.screenshot(id, Pointer::With).unwrap();
        assert_eq!(pixel(&shot, 12, 12), [30, 20, 10], "a guest is opaque");
        assert_eq!(pixel(&shot, 1, 1), [255, 255, 255]);
        assert_eq!(pixel(&shot, 35, 29), [BACKGROUND.red, BACKGROUND.green, BACKGROUND.blue]);
        // 128 + 30 · (1 - 128/255), rounded either way.
        for (is, meant) in pixel(&shot, 7, 7).into_iter().zip([143, 138, 133]) {
            assert!(u8::abs_diff(is, meant) <= 1, "{renderer:?}: {is} instead of {meant}");
        }
    }
}

#[test]
fn a_part_of_a_buffer_is_shown_where_it_belongs_and_moves_without_a_trace() {
    for renderer in BOTH {
        let mut backend = headless(renderer, &[(40, 30)]);
        let id = only_output(&backend);
        let (guest, _, buffer) = guest(&mut backend);
        let bytes = noise(7, 800);
        for (x, y) in [(2, 3), (30, 17), (0, 0)] {
            let part = Content::Buffer { buffer, source: rect(4, 2, 10, 6), version: 1, smooth: false };
            assert_eq!(backend.commit(id, frame(vec![(1, rect(x, y, 10, 6), part)])), Commit::Submitted);
            settle(&mut backend);
            let shot = backend.screenshot(id, Pointer::With).unwrap();
            for (column, line) in (0..40).flat_map(|column| (0..30).map(move |line| (column, line))) {
                let (left, top) = (column - x, line - y);
                let meant = if (0..10).contains(&left) && (0..6).contains(&top) {
                    let at = usize::try_from((top + 2) * 80 + (left + 4) * 4).unwrap();
                    [bytes[at + 2], bytes[at + 1], bytes[at]]
                } else {
                    [BACKGROUND.red, BACKGROUND.green, BACKGROUND.blue]
                };
                let is = pixel(&shot, column.cast_unsigned(), line.cast_unsigned());
                assert_eq!(is, meant, "{renderer:?} at {column},{line}");
            }
        }
        drop(guest);
    }
}

#[test]
fn a_screenshot_before_the_first_frame_says_so() {
    let mut backend = headless(RendererKind::Pixman, &[(40, 30)]);
    let id = only_output(&backend);
    assert_eq!(backend.screenshot(id, Pointer::With).unwrap_err(), "the output has not shown anything yet");
    assert_eq!(backend.screenshot(OutputId(99), Pointer::With).unwrap_err(), "there is no such output");
}

#[test]
fn the_path_is_named_with_its_reason() {
    let mut backend = headless(RendererKind::Pixman, &[]);
    let layout = PixelLayout { width: 17, height: 3, fourcc: code("RG24"), pitch: 51, offset: 0 };
    let guest = GuestMemory::mapped(153);
    let imported = backend.import(guest.memory.clone(), layout).unwrap();
    assert_eq!(imported.path, ImportPath::Copy);
    assert_eq!(imported.reason, "pixman can't sample lines of 51 bytes in place: not a multiple of 4");
}

#[test]
fn a_picture_without_the_pointer_has_what_lies_below_and_the_display_keeps_it() {
    for renderer in BOTH {
        let mut backend = headless(renderer, &[(8, 8)]);
        let id = only_output(&backend);
        let below = (7, rect(0, 0, 6, 6), Content::Solid(RED));
        let elements = vec![(CURSOR_ID.0, rect(2, 2, 6, 6), Content::Solid(WHITE)), below];
        assert_eq!(backend.commit(id, frame(elements)), Commit::Submitted);
        let mut looks = |pointer| {
            let shot = backend.screenshot(id, pointer).unwrap();
            [(1, 1), (3, 3), (7, 7)].map(|(x, y)| pixel(&shot, x, y))
        };
        let rgb = |color: Color| [color.red, color.green, color.blue];
        let with = [RED, WHITE, WHITE].map(rgb);
        assert_eq!(looks(Pointer::With), with);
        assert_eq!(looks(Pointer::Without), [RED, RED, BACKGROUND].map(rgb));
        assert_eq!(looks(Pointer::With), with);
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Properties of the layout, over arbitrary outputs and windows.

use grantway::scene::decoration::{BORDER, TITLE, outer_size};
use grantway::scene::element::{Color, OutputId, Rect, Size};
use grantway::scene::layout::{GAP, Place, fits, full_screen, place};
use grantway::scene::{Scene, SceneOutput, WindowId, WindowLabel};
use proptest::prelude::*;

fn size(width: i32, height: i32) -> Size {
    Size { width, height }
}

fn sizes(range: std::ops::Range<i32>, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Size>> {
    prop::collection::vec((range.clone(), range).prop_map(|(width, height)| size(width, height)), count)
}

fn at_distance(one: &Rect, other: &Rect) -> bool {
    let wider = Rect { x: one.x - GAP, y: one.y - GAP, width: one.width + 2 * GAP, height: one.height + 2 * GAP };
    !wider.overlaps(other)
}

/// Whether any position at all is free, tried one by one.
fn has_room(area: Size, others: &[Rect], size: Size) -> bool {
    (GAP..=area.height - GAP - size.height).any(|y| {
        (GAP..=area.width - GAP - size.width).any(|x| {
            let rect = Rect { x, y, width: size.width, height: size.height };
            others.iter().all(|other| at_distance(&rect, other))
        })
    })
}

#[derive(Clone, Debug)]
enum Op {
    Add(Size),
    Remove(prop::sample::Index),
    Resize(prop::sample::Index, Size),
    Outputs(Vec<Size>),
    FullScreen(prop::sample::Index),
    Windows,
}

fn op() -> impl Strategy<Value = Op> {
    let one = || (1..900, 1..700).prop_map(|(width, height)| size(width, height));
    prop_oneof![
        4 => one().prop_map(Op::Add),
        2 => any::<prop::sample::Index>().prop_map(Op::Remove),
        2 => (any::<prop::sample::Index>(), one()).prop_map(|(index, size)| Op::Resize(index, size)),
        1 => sizes(100..2000, 0..3).prop_map(Op::Outputs),
        1 => any::<prop::sample::Index>().prop_map(Op::FullScreen),
        1 => Just(Op::Windows),
    ]
}

fn apply(scene: &mut Scene, windows: &mut Vec<(WindowId, Size)>, op: Op) {
    let color = Color { red: 1, green: 2, blue: 3 };
    let pick = |windows: &Vec<_>, index: prop::sample::Index| (!windows.is_empty()).then(|| index.index(windows.len()));
    match op {
        Op::Add(size) => {
            let label = WindowLabel { name: "guest".to_owned(), domid: 1, connector: 0, color };
            windows.push((scene.add_window(label, size), size));
        }
        Op::Remove(index) => {
            if let Some(index) = pick(windows, index) {
                scene.remove_window(windows.remove(index).0);
            }
        }
        Op::Resize(index, size) => {
            if let Some(index) = pick(windows, index) {
                windows[index].1 = size;
                scene.resize_content(windows[index].0, size);
            }
        }
        Op::Outputs(sizes) => {
            let output = |(index, size)| SceneOutput { id: OutputId(u32::try_from(index).unwrap()), size };
            scene.set_outputs(&sizes.into_iter().enumerate().map(output).collect::<Vec<_>>());
        }
        Op::FullScreen(index) => scene.set_fullscreen(pick(windows, index).map(|index| windows[index].0)),
        Op::Windows => scene.set_fullscreen(None),
    }
}

proptest! {
    /// A window goes to the first output with room, at a distance from all others; only where no position
    /// on any output is free does it overlap.
    #[test]
    fn windows_overlap_only_when_there_is_no_room(
        outputs in sizes(40..260, 1..3),
        windows in sizes(10..120, 1..7),
    ) {
        let mut taken: Vec<Place> = Vec::new();
        for window in windows {
            let spot = place(&outputs, &taken, window).expect("there is an output");
            let room = outputs.iter().position(|area| {
                let output = outputs.iter().position(|other| std::ptr::eq(other, area));
                let others: Vec<Rect> =
                    taken.iter().filter(|place| Some(place.output) == output).map(|place| place.rect).collect();
                has_room(*area, &others, window)
            });
            prop_assert_eq!(size(spot.rect.width, spot.rect.height), window);
            prop_assert_eq!(fits(&outputs, &taken, &spot), room.is_some());
            prop_assert_eq!(spot.output, room.unwrap_or(0));
            taken.push(spot);
        }
    }

    /// A title bar begins on its output, whatever the sizes.
    #[test]
    fn every_window_begins_on_an_output(outputs in sizes(80..400, 1..3), windows in sizes(1..900, 1..40)) {
        let mut taken: Vec<Place> = Vec::new();
        for window in windows {
            let spot = place(&outputs, &taken, window).expect("there is an output");
            let area = outputs[spot.output];
            prop_assert!(spot.rect.x >= GAP && spot.rect.x < area.width && spot.rect.y >= GAP && spot.rect.y < area.height);
            taken.push(spot);
        }
        prop_assert_eq!(place(&[], &taken, size(1, 1)), None);
    }

    #[test]
    fn full_screen_content_is_within_the_output_and_as_large_as_can_be(
        (width, height) in (1..4000, 1..4000), (content_width, content_height) in (1..4000, 1..4000),
    ) {
        let rect = full_screen(size(width, height), size(content_width, content_height));
        let whole = Rect { x: 0, y: 0, width, height };
        prop_assert!(whole.contains(&rect));
        prop_assert_eq!((rect.width, rect.height), (content_width.min(width), content_height.min(height)));
        prop_assert!((width - rect.right() - rect.x).abs() <= 1 && (height - rect.bottom() - rect.y).abs() <= 1);
    }

    /// The content never lies under decoration, and where it is said to be is where it is drawn.
    #[test]
    fn a_scene_holds_its_promises_whatever_happens(ops in prop::collection::vec(op(), 1..40)) {
        let mut scene = Scene::new();
        let mut windows: Vec<(WindowId, Size)> = Vec::new();
        let mut outputs = 0;
        for op in ops {
            if let Op::Outputs(sizes) = &op {
                outputs = sizes.len();
            }
            apply(&mut scene, &mut windows, op);
            for (id, content) in &windows {
                let placement = scene.placement(*id);
                prop_assert!(placement.is_none() || outputs > 0);
                if scene.fullscreen() == Some(*id) {
                    prop_assert_eq!(placement.is_some(), outputs > 0);
                }
                if scene.fullscreen().is_none() {
                    prop_assert_eq!(placement.is_some(), outputs > 0);
                    if let Some((_, rect)) = placement {
                        prop_assert_eq!(size(rect.width, rect.height), *content);
                        prop_assert!(rect.x >= BORDER && rect.y >= TITLE);
                    }
                }
                prop_assert!(outer_size(*content).width >= content.width + 2 * BORDER);
            }
            for output in 0..3 {
                let frame = scene.frame(OutputId(output));
                let mut ids: Vec<_> = frame.elements.iter().map(|element| element.id).collect();
                ids.sort_unstable();
                let count = ids.len();
                ids.dedup();
                prop_assert_eq!(ids.len(), count, "names are unique in a frame");
            }
        }
    }
}

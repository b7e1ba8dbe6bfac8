// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the pointer is, in the guest's own pixels.

use grantway::backend::OutputId;
use grantway::backend::input::{Fraction, InputKind};
use grantway::scene::SceneOutput;
use grantway::scene::element::{Rect, Rotation, Size};
use grantway::scene::focus::{Area, Spot, Stage, scale, side_by_side};
use proptest::prelude::*;

use crate::desk::{ALL, Desk, MOUSE};

#[test]
fn corners_and_centre_are_exact_at_one_to_one_and_scaled() {
    // (pixels on the output, pixels of the guest, pixel pointed at, pixel meant)
    let table = [
        (800, 800, 0, 0),
        (800, 800, 1, 1),
        (800, 800, 400, 400),
        (800, 800, 799, 799),
        (1600, 800, 0, 0),
        (1600, 800, 1599, 799),
        (1600, 800, 800, 400),
        (400, 1920, 0, 0),
        (400, 1920, 399, 1919),
        (400, 1920, 200, 962),
        (799, 1921, 399, 960),
        (1, 1920, 0, 0),
        (1920, 1, 1919, 0),
    ];
    for (from, to, at, meant) in table {
        assert_eq!(scale(at, from, to), meant, "{at} of {from} in {to}");
    }
}

#[test]
fn a_scaled_windows_corners_are_its_guests_corners() {
    let mut desk = Desk::new();
    let window = desk.guest(1, 640, 480, ALL);
    let mut spot = *desk.scene.stage().spot(window).unwrap();
    spot.content = Rect { x: 100, y: 50, width: 320, height: 360 };
    spot.source = Rect { x: 0, y: 0, width: 640, height: 480 };
    for ((x, y), (guest_x, guest_y)) in [
        ((100, 50), (0, 0)),
        ((419, 50), (639, 0)),
        ((100, 409), (0, 479)),
        ((419, 409), (639, 479)),
        ((0, 599), (0, 479)),
        ((260, 230), (321, 240)),
    ] {
        let point = spot.to_guest(x, y);
        assert_eq!((point.x, point.y), (guest_x, guest_y), "{x},{y}");
    }
}

#[test]
fn a_guests_corners_and_centre_are_told_exactly() {
    let (mut desk, first, _) = Desk::two();
    for (x, y) in [(0, 0), (399, 0), (0, 299), (399, 299), (200, 150)] {
        desk.point_into(first, x, y);
        assert_eq!(desk.told(), [format!("1: at {x},{y}")]);
    }
    desk.scene.set_fullscreen(Some(first));
    desk.look();
    for (x, y) in [(0, 0), (399, 0), (0, 299), (399, 299), (200, 150)] {
        desk.told();
        desk.point_into(first, x, y);
        assert_eq!(desk.told(), [format!("1: at {x},{y}")], "full screen");
    }
}

#[test]
fn the_ends_of_a_tablet_are_the_ends_of_the_layout() {
    let mut desk = Desk::new();
    let outputs = [(1, 1000, 600), (2, 800, 500)]
        .map(|(id, width, height)| SceneOutput { id: OutputId(id), size: Size { width, height } });
    desk.scene.set_outputs(&outputs);
    desk.look();
    for (x, y, pixel) in [
        (0, 0, (0, 0)),
        (u32::MAX, 0, (1799, 0)),
        (0, u32::MAX, (0, 599)),
        // Below the second output there is nothing: the nearest pixel is its last line's.
        (u32::MAX, u32::MAX, (1799, 499)),
        (1 << 31, 1 << 31, (900, 300)),
    ] {
        desk.event(MOUSE, InputKind::Position(Fraction { x, y }));
        assert_eq!(desk.seat.cursor(), Some(pixel));
    }
}

#[test]
fn a_window_that_is_larger_than_its_output_ends_with_it() {
    let areas = side_by_side([
        (OutputId(1), Size { width: 300, height: 300 }),
        (OutputId(2), Size { width: 300, height: 300 }),
    ]);
    let mut desk = Desk::new();
    let window = desk.guest(1, 400, 100, ALL);
    let content = Rect { x: 10, y: 10, width: 400, height: 100 };
    let size = Size { width: 400, height: 100 };
    let spot = Spot {
        window,
        output: OutputId(1),
        outer: content,
        inside: content,
        content,
        source: Rect { x: 0, y: 0, ..content },
        rotation: Rotation::None,
        size,
        full_screen: false,
    };
    let stage = Stage { areas, spots: vec![spot] };
    assert!(stage.at(299, 20).is_some());
    assert!(stage.at(300, 20).is_none(), "the other output shows none of it");
    assert_eq!(stage.visible(window), Some(Rect { x: 10, y: 10, width: 290, height: 100 }));
}

proptest! {
    #[test]
    fn every_place_of_the_plane_is_on_an_output_after_all(
        sides in prop::collection::vec((1..3000_i32, 1..3000_i32), 1..4),
        x in any::<i32>(),
        y in any::<i32>(),
    ) {
        let sizes = sides.iter().enumerate().map(|(index, (width, height))| {
            (OutputId(u32::try_from(index).unwrap()), Size { width: *width, height: *height })
        });
        let stage = Stage { areas: side_by_side(sizes), spots: Vec::new() };
        let (x, y) = stage.nearest(x, y);
        prop_assert!(stage.area_at(x, y).is_some());
        prop_assert!(stage.areas.iter().all(|area: &Area| area.rect.right() <= stage.size().width));
    }

    #[test]
    fn scaling_never_leaves_the_guest_and_never_turns_back(from in 1..5000_i32, to in 1..5000_i32, at in 0..5000_i32) {
        let at = at % from;
        let here = scale(at, from, to);
        prop_assert!((0..to).contains(&here));
        prop_assert!(at == 0 || scale(at - 1, from, to) <= here);
    }
}

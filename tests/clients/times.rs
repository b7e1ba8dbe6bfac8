// SPDX-License-Identifier: GPL-3.0-or-later
//! When clients' commits were shown, as they are told.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::window::Window;
use super::{BLUE, Dom0, RED};

const GREEN: super::Rgb = [16, 200, 32];

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}

#[test]
fn a_commit_that_was_shown_has_the_time_of_its_frame_and_no_other_has_one() {
    let dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "timed", (200, 100), RED);
    window.wait("shown");
    window.take();
    let mut last = 0;
    for color in [BLUE, GREEN, RED] {
        let before = now();
        window.paint_timed((200, 100), &[color]);
        window.wait("presented");
        let told = window.take();
        assert!(told.contains(&"clock 1".to_owned()), "{told:?}");
        let [presented] = window.take_presented()[..] else { panic!("not one answer") };
        assert!((before..=now()).contains(&presented.time), "{presented:?} since {before:?}");
        // 240 Hz.
        assert_eq!(presented.refresh, Duration::from_nanos(4_166_666));
        assert!(presented.sequence > last, "{presented:?} after {last}");
        last = presented.sequence;
    }

    // Two at once: the first was never to be seen.
    window.paint_timed((200, 100), &[BLUE, GREEN]);
    window.wait("presented");
    let told = window.take();
    let count = |what: &str| told.iter().filter(|told| *told == what).count();
    assert_eq!((count("presented"), count("discarded")), (1, 1), "{told:?}");
    assert_eq!(window.take_presented().len(), 1);

    // One that changes no pixel is in no frame of its own, and one of a window off the screen in none.
    window.paint_timed((200, 100), &[GREEN]);
    window.wait("shown");
    window.toplevel.set_minimized();
    window.hear();
    window.take();
    window.take_presented();
    window.paint_timed((200, 100), &[BLUE]);
    window.wait("discarded");
    assert_eq!(window.take_presented().len(), 0);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

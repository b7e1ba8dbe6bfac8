// SPDX-License-Identifier: GPL-3.0-or-later
//! What no scenario can tell (docs/lab.md), on the simulator, with the compositor and the guests in processes of
//! their own: Linux's front driver never asks for an EDID, never sends `data_ofs`, and makes 0x0 buffers only of
//! another driver's; twenty boots of a guest would take the emulated machine half an hour; and what a driver is told
//! whose guest may not have our memory. What the user does, by `grantway msg input`, in [`input`] and [`workspaces`]; and guests
//! that make trouble with their input devices, in [`bad_input`]; another configuration while guests run, in
//! [`reload`]; and what the configuration has started, in [`programs`].
#![cfg(all(feature = "sim", feature = "compositor"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, in its helpers too"
)]

mod bad_input;
#[allow(dead_code, reason = "other tests need more of it")]
mod desk;
mod input;
mod programs;
mod reload;
mod workspaces;

use desk::{Desk, Picture};
use grantway::sim::pattern::{self, Pattern};
use serde_json::Value;

const FAST: [&str; 2] = ["--output", "1280x720@240"];

fn assert_bars(picture: &Picture, width: u32, height: u32) {
    assert_eq!((picture.width, picture.height), (width, height));
    for y in 0..height {
        for x in 0..width {
            let (is, wanted) = (picture.at(x, y), pattern::pixel(Pattern::Bars, 0, x, width));
            assert!(is == wanted, "pixel {x},{y} is {is:?}, not {wanted:?}");
        }
    }
}

/// A report of a guest that found nothing wrong.
fn assert_clean(report: &Value) {
    for key in ["flip_errors", "bad_ids", "timeouts", "flip_timeouts", "stray_responses", "still_mapped"] {
        assert_eq!(report[key], 0, "{key} in {report}");
    }
    assert_eq!(report["flips"], report["events"], "{report}");
    assert_eq!(report["error"], Value::Null, "{report}");
}

#[test]
fn a_guest_that_reboots_ten_times_leaves_nothing_behind() {
    let mut desk = Desk::new(&FAST);
    for _ in 0..10 {
        assert_clean(&desk.guest("web", &["--connectors", "a:320x240", "--flips", "3"]).report());
        desk.wait_gone("web");
    }
    for _ in 0..10 {
        let guest = desk.guest("web", &["--connectors", "a:320x240"]);
        desk.wait_connector("web", 0, |connector| connector.events > 1);
        guest.kill();
        desk.wait_gone("web");
    }
    assert!(desk.status().guests.is_empty());
    desk.quit();
}

#[test]
fn the_second_version_gives_an_edid_and_takes_an_offset() {
    let desk = Desk::new(&FAST);
    let second = ["--connectors", "a:1366x768", "--version", "2", "--offset", "4096", "--edid", "--flips", "3"];
    let report = desk.guest("web", &second).report();
    assert_clean(&report);
    assert_eq!(report["edids"].as_array().map(Vec::len), Some(1), "{report}");
}

#[test]
fn buffers_without_a_size_get_theirs_from_the_framebuffer() {
    let mut desk = Desk::new(&FAST);
    let imported = ["--connectors", "a:640x480", "--zero-size", "--pattern", "bars", "--flips", "2", "--linger"];
    let _guest = desk.guest("web", &imported);
    desk.wait_connector("web", 0, |connector| connector.events == 2);
    assert_bars(&desk.picture_of("web", 0), 640, 480);
}

#[test]
fn a_guest_that_may_not_have_our_memory_is_refused() {
    let desk = Desk::new(&FAST);
    let report = desk.guest("other", &["--connectors", "a:320x240", "--be-alloc"]).failure();
    // EOPNOTSUPP; not EINVAL, which its empty directory would deserve.
    assert_eq!(report["error"], "DBUF_CREATE answered with -95", "{report}");
    desk.quit();
}

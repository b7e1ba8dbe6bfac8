// SPDX-License-Identifier: GPL-3.0-or-later
//! The scenarios of `tests/lab/scenarios` on the simulator, one test for each folder. `make xen-test` runs the
//! same folders on real Xen (docs/lab.md).
#![cfg(all(feature = "sim", feature = "compositor"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "it waits and keeps time limits, and has no loop to block")]
#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "as in the runner, whose parts these are")]
#![allow(dead_code, reason = "the runner has more to do")]

#[path = "../lab/guest/pattern.rs"]
mod pattern;
#[path = "../lab/runner/picture.rs"]
mod picture;
#[path = "../lab/runner/qmp.rs"]
mod qmp;
#[path = "../lab/runner/report.rs"]
mod report;
#[path = "../lab/runner/requests.rs"]
mod requests;
#[path = "../lab/runner/results.rs"]
mod results;
#[path = "../lab/runner/scenario.rs"]
mod scenario;
#[path = "../lab/runner/simulator.rs"]
mod simulator;

use std::path::Path;

use scenario::Platform;
use simulator::Simulator;

type Result<T> = std::result::Result<T, String>;

/// A test for each folder, named after it.
macro_rules! scenarios {
    ($($test:ident: $folder:literal,)*) => {
        const TESTED: &[&str] = &[$($folder),*];
        $(#[test]
        fn $test() {
            run($folder);
        })*
    };
}

scenarios! {
    be_alloc: "be-alloc",
    be_alloc_greedy: "be-alloc-greedy",
    compositor_killed: "compositor-killed",
    destroy_while_shown: "destroy-while-shown",
    flips_600: "flips-600",
    full_screen: "full-screen",
    greedy_guest: "greedy-guest",
    guest_destroyed: "guest-destroyed",
    guest_picture: "guest-picture",
    guest_reboots: "guest-reboots",
    guests_and_formats: "guests-and-formats",
    input: "input",
    input_focus: "input-focus",
    kiosk_modes: "kiosk-modes",
    screen_off: "screen-off",
    window_dragged: "window-dragged",
    write_without_flip: "write-without-flip",
}

fn run(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios").join(name);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios");
    let simulator = Simulator {
        grantway: env!("CARGO_BIN_EXE_grantway").into(),
        guest: env!("CARGO_BIN_EXE_lab-guest").into(),
        out: out.clone(),
    };
    let scenario = scenario::load(&[folder], Platform::Simulator).unwrap().remove(0);
    let outcome = simulator.run(&scenario).unwrap();
    if let Some(why) = outcome.failure {
        let log = |file: &str| std::fs::read_to_string(out.join(name).join(file)).unwrap_or_default();
        let (dom0, grantway) = (log("dom0.log"), log("grantway.log"));
        panic!(
            "{name}: {why}\ndom0.sh printed:\n{dom0}\nthe compositor printed:\n{grantway}\nall of it: {}",
            out.display()
        );
    }
}

#[test]
fn no_folder_is_forgotten() {
    let all = scenario::all().unwrap();
    let here = all.into_iter().filter(|scenario| scenario.platforms.contains(&Platform::Simulator));
    let mut names: Vec<String> = here.map(|scenario| scenario.name).collect();
    names.sort();
    assert_eq!(names, TESTED, "the folders that are for the simulator, and the tests above");
}

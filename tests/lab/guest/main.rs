// SPDX-License-Identifier: GPL-3.0-or-later
//! The program of the lab's guests: drives `drm_xen_front` through the kernel's ordinary mode-setting
//! calls, and prints what it measured as "lab: KEY=VALUE" for the scenario in Dom0.
//!
//! modetest shows a pattern; this one shows what modetest cannot: frames that tell a tear, and how
//! long the guest waits for a buffer to be destroyed.
#![allow(clippy::disallowed_methods, reason = "it measures time, and has no loop to block")]
#![allow(clippy::print_stdout, reason = "the console is where its results go")]
#![allow(clippy::indexing_slicing, reason = "a broken test program may stop; what it indexes is its own")]

// The kernel's calls: structures with addresses in them.
#[allow(unsafe_code, clippy::as_conversions)]
mod card;
mod flips;
mod pattern;
mod show;
mod teardown;

use std::process::ExitCode;

/// Whatever goes wrong is told in one line.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "usage: lab-guest flips COUNT [CARD]     double-buffered flips, each frame in its own colour
       lab-guest flip-on [CARD]         the same without an end
       lab-guest show FORMAT:SEED...    still pictures, one for each connector
       lab-guest destroy COUNT [CARD]   buffers destroyed while shown, each timed";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["flips", count, rest @ ..] => number(count).and_then(|count| flips::run(path(rest), Some(count))),
        ["flip-on", rest @ ..] => flips::run(path(rest), None),
        ["destroy", count, rest @ ..] => number(count).and_then(|count| teardown::run(path(rest), count)),
        ["show", pictures @ ..] if !pictures.is_empty() => show::run(path(&[]), pictures),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("lab: error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<u32> {
    text.parse().map_err(|_| format!("'{text}' is no count"))
}

fn path<'a>(rest: &[&'a str]) -> &'a str {
    rest.first().copied().unwrap_or("/dev/dri/card0")
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The program of the scenarios' guests: drives their display, and prints what it measured as
//! "lab: KEY=VALUE" for the scenario in Dom0. In the Xen lab it uses `drm_xen_front` through the kernel's
//! ordinary mode-setting calls; on the simulator it is also the guest itself, whose front driver it asks.
//!
//! modetest shows a pattern; this one shows what modetest cannot: frames that tell a tear, and how
//! long the guest waits for a buffer to be destroyed.
#![allow(clippy::disallowed_methods, reason = "it measures time, and has no loop to block")]
#![allow(clippy::print_stdout, reason = "the console is where its results go")]
#![allow(clippy::indexing_slicing, reason = "a broken test program may stop; what it indexes is its own")]

mod card;
// The kernel's calls: structures with addresses in them.
#[allow(unsafe_code, clippy::as_conversions)]
mod drm;
// The kernel's calls again.
#[allow(unsafe_code)]
mod evdev;
mod flips;
mod hoard;
mod pattern;
mod power;
mod scribble;
mod show;
mod simulator;
mod teardown;
// And the kernel's.
#[allow(unsafe_code)]
mod uinput;

use std::path::PathBuf;
use std::process::ExitCode;

use card::Card;
use drm::DrmCard;

/// Whatever goes wrong is told in one line.
type Result<T> = std::result::Result<T, String>;

/// Where a line of results goes.
type Word<'a> = dyn FnMut(&str) -> Result<()> + 'a;

const USAGE: &str = "usage: lab-guest flips COUNT        double-buffered flips, each frame in its own colour
       lab-guest flip-on            the same without an end
       lab-guest flip-many COUNT    so many connectors flip together, between two buffers each
       lab-guest show FORMAT:SEED...   still pictures, one for each connector
       lab-guest destroy COUNT      buffers destroyed while shown, each timed
       lab-guest input              the input devices, and every event
       lab-guest device mouse|touch an input device, with a report for each line of its input
       lab-guest hoard COUNT        buffers asked for and kept
       lab-guest scribble           what is shown drawn over, without a flip
       lab-guest power COUNT        the screen off and on by DPMS, flips in between
       lab-guest simulate NAME CONNECTORS FOLDER SOCKET INIT...   a guest on the simulator";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["simulate", name, connectors, folder, socket, init @ ..] if !init.is_empty() => {
            simulator::simulate(name, connectors, folder.as_ref(), socket.as_ref(), init)
        }
        // Set by the simulator's init: where the guest listens that this program runs in.
        words => match std::env::var_os("LAB_CARD") {
            Some(card) => simulator::ask(card.as_ref(), words),
            None => run_on_the_kernels(words),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("lab: error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run_on_the_kernels(words: &[&str]) -> Result<()> {
    let mut word = |line: &str| {
        println!("lab: {line}");
        Ok(())
    };
    match words {
        ["input"] => evdev::watch(&mut word),
        ["device", kind] => uinput::run(kind, std::io::stdin().lock(), &mut word),
        words => run(&mut DrmCard::open(&the_card()?)?, words, &mut word),
    }
}

/// The path of the one display card. Its number is not always 0: while a program still has a card that was unplugged,
/// the next one gets another.
fn the_card() -> Result<PathBuf> {
    let folder = std::fs::read_dir("/dev/dri").map_err(|error| format!("/dev/dri: {error}"))?;
    let mut paths = folder.flatten().map(|entry| entry.path());
    let is_card = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"card"));
    paths.find(is_card).ok_or_else(|| "there is no /dev/dri/card*".into())
}

/// Does what the command line asks for.
fn run<C: Card>(card: &mut C, words: &[&str], say: &mut Word<'_>) -> Result<()> {
    match words {
        ["flips", count] => flips::run(card, Some(number(count)?), say),
        ["flip-on"] => flips::run(card, None, say),
        ["flip-many", count] => flips::run_many(card, number(count)?, say),
        ["destroy", count] => teardown::run(card, number(count)?, say),
        ["hoard", count] => hoard::run(card, number(count)?, say),
        ["scribble"] => scribble::run(card, say),
        ["power", count] => power::run(card, number(count)?, say),
        ["show", pictures @ ..] if !pictures.is_empty() => show::run(card, pictures, say),
        _ => Err(USAGE.into()),
    }
}

fn number(text: &str) -> Result<u32> {
    text.parse().map_err(|_| format!("'{text}' is no count"))
}

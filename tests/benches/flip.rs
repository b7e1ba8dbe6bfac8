// SPDX-License-Identifier: GPL-3.0-or-later
//! How fast guests are served, and what it costs: the compositor's own process on the simulator, and a guest in
//! this one. Prints a table, and writes `target/bench/flip.json`. Nothing is judged by its time, since machines
//! differ; docs/performance.md says what the figures mean.

#![allow(clippy::indexing_slicing, reason = "a bench may end by a panic")]

mod calls;
mod compositor;
mod crowd;
mod guest;
mod report;
mod strace;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use compositor::{Compositor, Usage, pause};
use guest::{FlipTimes, Guest, ReplyTimes};
use report::{FlipReport, Report, Sorted};

/// A bench ends at the first thing that goes wrong.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// All cases take turns in each round, since a machine's speed drifts.
const ROUNDS: u32 = 5;
const FLIPS_A_ROUND: usize = 200;
const REPLIES_A_ROUND: usize = 150;
const DESTROYS_A_ROUND: usize = 30;
const REFUSALS_A_ROUND: usize = 400;
const IDLE: Duration = Duration::from_secs(5);

/// A guest's size on an output's rate.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) size: (u32, u32),
    pub(crate) hertz: u32,
}

const VGA: (u32, u32) = (640, 480);
const HD: (u32, u32) = (1280, 720);
const CASES: [Case; 4] = [
    Case { size: VGA, hertz: 60 },
    Case { size: HD, hertz: 60 },
    Case { size: VGA, hertz: 240 },
    Case { size: HD, hertz: 240 },
];

/// Where the system calls are counted.
const TRACED: Case = CASES[0];
const TRACED_FLIPS: u32 = 300;

impl Case {
    /// The output's time between two frames, as the headless backend has it.
    pub(crate) fn refresh(self) -> Duration {
        Duration::from_nanos(1_000_000_000 / u64::from(self.hertz))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}@{}", self.size.0, self.size.1, self.hertz)
    }
}

/// What one case came to so far.
#[derive(Default)]
struct Sum {
    times: FlipTimes,
    usage: Usage,
}

fn measure() -> Outcome<Report> {
    let load_before = report::load();
    let mut sums: [Sum; CASES.len()] = Default::default();
    let (mut replies, mut destroys) = (ReplyTimes::default(), Vec::new());
    let (mut refusals, mut refusing) = (Vec::new(), Usage::default());
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS}"))?;
        for (case, sum) in CASES.into_iter().zip(&mut sums) {
            flips(case, sum)?;
        }
        let mut compositor = Compositor::start(240)?;
        let mut guest = Guest::start(&compositor.socket(), VGA)?;
        guest.replies(REPLIES_A_ROUND, &mut replies)?;
        destroys.extend(guest.destroys(DESTROYS_A_ROUND)?);
        finish(guest, &mut compositor)?;
        compositor.quit()?;
        refusing = refusing.plus(refuse(&mut refusals)?);
    }
    let idle = idle()?;
    say("counting system calls")?;
    let crowd = crowd::measure();
    let traced = strace::trace(TRACED.hertz, TRACED.refresh(), TRACED.size, TRACED_FLIPS);
    Ok(Report {
        attach: Sorted::new(&replies.attach),
        detach: Sorted::new(&replies.detach),
        flips: CASES.into_iter().zip(&sums).map(|(case, sum)| FlipReport::new(case, &sum.times, sum.usage)).collect(),
        destroy: Sorted::new(&destroys),
        refusal: Sorted::new(&refusals),
        refusing,
        idle: (IDLE, idle),
        traced,
        crowd,
        load_before,
    })
}

fn flips(case: Case, sum: &mut Sum) -> Outcome<()> {
    let mut compositor = Compositor::start(case.hertz)?;
    let mut guest = Guest::start(&compositor.socket(), case.size)?;
    // The first ones find caches and phases as they are.
    guest.flips(10, &mut FlipTimes::default())?;
    let before = compositor.usage()?;
    guest.flips(FLIPS_A_ROUND, &mut sum.times)?;
    sum.usage = sum.usage.plus(compositor.usage()?.since(before));
    finish(guest, &mut compositor)?;
    compositor.quit()
}

/// What the compositor uses for requests that it refuses.
fn refuse(times: &mut Vec<Duration>) -> Outcome<Usage> {
    let mut compositor = Compositor::start_refusing(60)?;
    let mut guest = Guest::start(&compositor.socket(), VGA)?;
    guest.flips(10, &mut FlipTimes::default())?;
    let before = compositor.usage()?;
    times.extend(guest.refusals(REFUSALS_A_ROUND)?);
    let usage = compositor.usage()?.since(before);
    finish(guest, &mut compositor)?;
    compositor.quit()?;
    Ok(usage)
}

/// What the compositor uses while a guest is connected that does nothing.
fn idle() -> Outcome<Usage> {
    let mut compositor = Compositor::start(60)?;
    let mut guest = Guest::start(&compositor.socket(), VGA)?;
    guest.flips(10, &mut FlipTimes::default())?;
    pause(Duration::from_millis(100));
    let before = compositor.usage()?;
    pause(IDLE);
    let usage = compositor.usage()?.since(before);
    finish(guest, &mut compositor)?;
    compositor.quit()?;
    Ok(usage)
}

/// Ends the guest, and checks that nothing was copied: else the figures are those of another path.
fn finish(guest: Guest, compositor: &mut Compositor) -> Outcome<()> {
    let status = compositor.status()?;
    let copied: u64 =
        status.guests.iter().flat_map(|guest| &guest.connectors).map(|connector| connector.bytes_copied).sum();
    if copied > 0 {
        return Err(format!("the compositor copied {copied} bytes").into());
    }
    guest.end()
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{line}")
}

fn run() -> Outcome<()> {
    let report = measure()?;
    report.print()?;
    let path = report.write()?;
    writeln!(io::stdout(), "\nfigures: {}", path.display())?;
    report.crowd.map(drop)?;
    report.traced.map(drop)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when even this fails.
            let _unheard = say(&format!("flip: {error}"));
            ExitCode::FAILURE
        }
    }
}

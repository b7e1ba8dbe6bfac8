// SPDX-License-Identifier: GPL-3.0-or-later
//! What a flip costs the compositor when many connectors flip, each at the output's rate.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::Outcome;
use crate::calls::{Calls, parse};
use crate::compositor::{Compositor, Usage, pause};
use crate::guest::{FlipTimes, Guest};

/// Small, so that drawing does not hide the rest.
const SIZE: (u32, u32) = (64, 64);
const HERTZ: u32 = 60;
/// Flips of each connector, in each of both runs.
const FLIPS: usize = 120;
/// Connectors of one guest.
const CONNECTORS: usize = 8;

/// Guests that flip together.
struct Crowd(Vec<Guest>);

/// What so many connectors cost.
pub(crate) struct Cost {
    pub(crate) connectors: usize,
    /// All flips of the run that `usage` is of.
    pub(crate) flips: usize,
    pub(crate) usage: Usage,
    /// System calls a flip, all of them.
    pub(crate) calls: f64,
}

impl Crowd {
    fn start(compositor: &Compositor, connectors: usize) -> Outcome<Self> {
        let each = connectors.min(CONNECTORS);
        let start = |number| Guest::start_with(&compositor.socket(), &format!("crowd-{number}"), SIZE, each);
        let mut crowd = Self((0..connectors / each).map(start).collect::<Outcome<_>>()?);
        crowd.flips(10)?;
        Ok(crowd)
    }

    fn flips(&mut self, count: usize) -> Outcome<()> {
        let mut times = FlipTimes::default();
        for _ in 0..count {
            let started: Vec<_> = self.0.iter_mut().map(|guest| guest.flip_all(&mut times)).collect::<Outcome<_>>()?;
            for (guest, started) in self.0.iter_mut().zip(&started) {
                guest.wait_all(started, &mut times)?;
            }
        }
        Ok(())
    }

    fn end(self) -> Outcome<()> {
        self.0.into_iter().try_for_each(Guest::end)
    }
}

/// Measures 1, 8 and 32 connectors, one after the other.
pub(crate) fn measure() -> Outcome<Vec<Cost>> {
    [1, 8, 32].into_iter().map(cost).collect()
}

fn cost(connectors: usize) -> Outcome<Cost> {
    let compositor = Compositor::start_for(HERTZ, CONNECTORS, None)?;
    let mut crowd = Crowd::start(&compositor, connectors)?;
    let before = compositor.usage()?;
    crowd.flips(FLIPS)?;
    let usage = compositor.usage()?.since(before);
    crowd.end()?;
    compositor.quit()?;
    let flips = FLIPS * connectors;
    Ok(Cost { connectors, flips, usage, calls: calls(connectors, flips)? })
}

/// As [`crate::strace::trace`]: the difference to a run that is as long.
fn calls(connectors: usize, flips: usize) -> Outcome<f64> {
    let dir = TempDir::new()?;
    let busy = traced(&dir.path().join("busy"), connectors, |crowd| crowd.flips(FLIPS))?;
    let idle = traced(&dir.path().join("idle"), connectors, |_| {
        pause(Duration::from_secs(1) / HERTZ * u32::try_from(FLIPS)?);
        Ok(())
    })?;
    let sum = |calls: &Calls| calls.values().sum::<u64>();
    let more = u32::try_from(sum(&busy).saturating_sub(sum(&idle)))?;
    Ok(f64::from(more) / f64::from(u32::try_from(flips)?))
}

fn traced(counts: &Path, connectors: usize, body: impl FnOnce(&mut Crowd) -> Outcome<()>) -> Outcome<Calls> {
    let compositor = Compositor::start_for(HERTZ, CONNECTORS, Some(counts))?;
    let mut crowd = Crowd::start(&compositor, connectors)?;
    body(&mut crowd)?;
    crowd.end()?;
    compositor.quit()?;
    parse(&fs::read_to_string(counts)?)
}

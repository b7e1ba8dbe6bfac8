// SPDX-License-Identifier: GPL-3.0-or-later
//! Counts the compositor's system calls in a flip: one run with flips, one as long without, and the difference.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::Outcome;
use crate::calls::{Calls, parse};
use crate::compositor::{Compositor, pause};
use crate::guest::{FlipTimes, Guest};

/// The system calls of both runs.
pub(crate) struct Traced {
    /// Flips in the one run.
    pub(crate) flips: u32,
    /// Its output's rate.
    pub(crate) hertz: u32,
    /// Calls of the run with flips.
    pub(crate) busy: Calls,
    /// Calls of the run without.
    pub(crate) idle: Calls,
}

impl Traced {
    /// Calls in a flip, by name, the most frequent first.
    pub(crate) fn per_flip(&self) -> Vec<(String, f64)> {
        let named = |(name, calls): (&String, &u64)| {
            let idle = self.idle.get(name).copied().unwrap_or(0);
            Some((name.clone(), self.share(calls.saturating_sub(idle))?))
        };
        let mut calls: Vec<_> = self.busy.iter().filter_map(named).collect();
        calls.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        calls
    }

    fn share(&self, calls: u64) -> Option<f64> {
        Some(f64::from(u32::try_from(calls).ok()?) / f64::from(self.flips))
    }

    /// All calls in a flip.
    pub(crate) fn total(&self) -> Option<f64> {
        let sum = |calls: &Calls| calls.values().sum::<u64>();
        self.share(sum(&self.busy).saturating_sub(sum(&self.idle)))
    }
}

/// Makes both runs.
pub(crate) fn trace(hertz: u32, refresh: Duration, size: (u32, u32), flips: u32) -> Outcome<Traced> {
    check_installed()?;
    let dir = TempDir::new()?;
    let busy = run(&dir.path().join("busy"), hertz, size, |guest| {
        guest.flips(usize::try_from(flips)?, &mut FlipTimes::default())
    })?;
    let idle = run(&dir.path().join("idle"), hertz, size, |_| {
        pause(refresh * flips);
        Ok(())
    })?;
    Ok(Traced { flips, hertz, busy, idle })
}

fn check_installed() -> Outcome<()> {
    let quiet = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match quiet {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("strace is not installed, so system calls can't be counted: install it (apt install strace)".into())
        }
        Err(error) => Err(format!("strace can't be run: {error}").into()),
    }
}

fn run(counts: &Path, hertz: u32, size: (u32, u32), body: impl FnOnce(&mut Guest) -> Outcome<()>) -> Outcome<Calls> {
    let compositor = Compositor::start_traced(hertz, counts)?;
    let mut guest = Guest::start(&compositor.socket(), size)?;
    body(&mut guest)?;
    guest.end()?;
    compositor.quit()?;
    parse(&fs::read_to_string(counts)?)
}

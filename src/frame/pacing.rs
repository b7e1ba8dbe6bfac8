// SPDX-License-Identifier: GPL-3.0-or-later
//! When each output is drawn, and when each flip counts as presented. Pure: times and outcomes are handed
//! in.
//!
//! One output:
//! ```text
//!            queue_redraw            commit: Submitted
//!   Idle ───────────────────► Queued ─────────────────► Waiting ◄─┐ queue_redraw: draw again after it
//!    ▲                        │    ▲                    │   └─────┘
//!    │                        │    └── presented, again ┤
//!    │      commit: NoDamage, │                         │ presented
//!    │      Skipped           ▼                         │
//!    └───────────────── + estimated vblank              │
//!    ▲                                                  │
//!    └──────────────────────────────────────────────────┘
//! ```
//! A flip is presented with the frame that holds it. Where no frame went out, it is presented at the
//! estimated vblank: guests are paced even when nothing moves on the output. While an estimate runs nothing
//! is drawn, so an output draws at most once per refresh. Flips of windows on no output are presented after
//! a fixed, longer time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backend::{Commit, OutputId};
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RedrawState {
    /// Nothing to do.
    Idle,
    /// To be drawn.
    Queued,
    /// A frame is on its way; `again`: something changed since.
    Waiting { again: bool },
}

#[derive(Debug)]
struct OutputPace<T> {
    refresh: Duration,
    state: RedrawState,
    /// Flips that the next frame will hold.
    queued: Vec<T>,
    /// Flips in the frame that is on its way.
    in_flight: Vec<T>,
    /// Flips that wait for an estimated vblank, and its time.
    estimated: Option<(Time, Vec<T>)>,
    last_presented: Time,
    frames: u64,
}

/// The pace of all outputs. `T` names a flip; each one handed in comes out exactly once.
#[derive(Debug)]
pub struct Pacing<T> {
    outputs: BTreeMap<OutputId, OutputPace<T>>,
    hidden: Vec<(Time, T)>,
    hidden_interval: Duration,
}

impl<T> Pacing<T> {
    /// No outputs yet. Flips that nobody sees take `hidden_interval`.
    #[must_use]
    pub const fn new(hidden_interval: Duration) -> Self {
        Self { outputs: BTreeMap::new(), hidden: Vec::new(), hidden_interval }
    }

    /// An output is there, or has another refresh time now.
    pub fn output_added(&mut self, output: OutputId, refresh: Duration) {
        let pace = self.outputs.entry(output).or_insert_with(|| OutputPace::new(refresh));
        pace.refresh = refresh;
        pace.queue();
    }

    /// An output is gone: returns its flips, which count as presented.
    #[must_use]
    pub fn output_removed(&mut self, output: OutputId) -> Vec<T> {
        let Some(pace) = self.outputs.remove(&output) else { return Vec::new() };
        let estimated = pace.estimated.map(|(_, flips)| flips).unwrap_or_default();
        estimated.into_iter().chain(pace.in_flight).chain(pace.queued).collect()
    }

    /// A guest has flipped; its window is on `output`, or on none.
    pub fn flip(&mut self, output: Option<OutputId>, flip: T, now: Time) {
        match output.and_then(|output| self.outputs.get_mut(&output)) {
            Some(pace) => {
                pace.queued.push(flip);
                pace.queue();
            }
            None => self.hidden.push((now.saturating_add(self.hidden_interval), flip)),
        }
    }

    /// Something changed on the output.
    pub fn queue_redraw(&mut self, output: OutputId) {
        if let Some(pace) = self.outputs.get_mut(&output) {
            pace.queue();
        }
    }

    /// Everything has to be drawn anew.
    pub fn queue_redraw_everywhere(&mut self) {
        for pace in self.outputs.values_mut() {
            pace.queue();
        }
    }

    /// The outputs that want a frame now.
    pub fn due(&self) -> impl Iterator<Item = OutputId> {
        let due = |pace: &OutputPace<T>| pace.state == RedrawState::Queued && pace.estimated.is_none();
        self.outputs.iter().filter(move |(_, pace)| due(pace)).map(|(output, _)| *output)
    }

    /// What came of the output's frame.
    pub fn committed(&mut self, output: OutputId, commit: Commit, now: Time) {
        let Some(pace) = self.outputs.get_mut(&output) else { return };
        let flips = std::mem::take(&mut pace.queued);
        match commit {
            Commit::Submitted => {
                pace.state = RedrawState::Waiting { again: false };
                pace.in_flight = flips;
                pace.frames = pace.frames.saturating_add(1);
            }
            Commit::NoDamage | Commit::Skipped => {
                pace.state = RedrawState::Idle;
                let vblank = next_vblank(pace.last_presented, pace.refresh, now);
                pace.estimated = Some((vblank, flips));
            }
        }
    }

    /// The output's frame is on the display: returns the flips in it.
    #[must_use]
    pub fn presented(&mut self, output: OutputId, time: Time) -> Vec<T> {
        let Some(pace) = self.outputs.get_mut(&output) else { return Vec::new() };
        pace.last_presented = time;
        pace.state = match pace.state {
            RedrawState::Waiting { again: false } => RedrawState::Idle,
            RedrawState::Waiting { again: true } | RedrawState::Queued => RedrawState::Queued,
            RedrawState::Idle => RedrawState::Idle,
        };
        std::mem::take(&mut pace.in_flight)
    }

    /// Returns the flips whose estimated or hidden time has come.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<T> {
        let mut due = Vec::new();
        for pace in self.outputs.values_mut() {
            if let Some((_, flips)) = pace.estimated.take_if(|(time, _)| *time <= now) {
                due.extend(flips);
            }
        }
        due.extend(self.hidden.extract_if(.., |(time, _)| *time <= now).map(|(_, flip)| flip));
        due
    }

    /// When [`Pacing::tick`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let estimated = self.outputs.values().filter_map(|pace| pace.estimated.as_ref()).map(|(time, _)| *time);
        estimated.chain(self.hidden.iter().map(|(time, _)| *time)).min()
    }

    /// Frames submitted to the output so far.
    #[must_use]
    pub fn frames(&self, output: OutputId) -> u64 {
        self.outputs.get(&output).map_or(0, |pace| pace.frames)
    }
}

impl<T> OutputPace<T> {
    const fn new(refresh: Duration) -> Self {
        Self {
            refresh,
            state: RedrawState::Idle,
            queued: Vec::new(),
            in_flight: Vec::new(),
            estimated: None,
            last_presented: Duration::ZERO,
            frames: 0,
        }
    }

    fn queue(&mut self) {
        self.state = match self.state {
            RedrawState::Idle | RedrawState::Queued => RedrawState::Queued,
            RedrawState::Waiting { .. } => RedrawState::Waiting { again: true },
        };
    }
}

/// The first multiple of `refresh` after `last` that is later than `now`.
fn next_vblank(last: Time, refresh: Duration, now: Time) -> Time {
    let refresh = refresh.max(Duration::from_millis(1));
    let into = now.saturating_sub(last).as_nanos().checked_rem(refresh.as_nanos()).unwrap_or(0);
    let into = u64::try_from(into).map_or(Duration::ZERO, Duration::from_nanos);
    now.saturating_add(refresh.saturating_sub(into))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: OutputId = OutputId(1);
    const REFRESH: Duration = Duration::from_millis(16);

    fn pacing() -> Pacing<u32> {
        let mut pacing = Pacing::new(Duration::from_millis(100));
        pacing.output_added(OUTPUT, REFRESH);
        pacing.committed(OUTPUT, Commit::Submitted, ms(0));
        assert!(pacing.presented(OUTPUT, ms(0)).is_empty());
        pacing
    }

    fn ms(ms: u64) -> Time {
        Duration::from_millis(ms)
    }

    fn due(pacing: &Pacing<u32>) -> Vec<OutputId> {
        pacing.due().collect()
    }

    #[test]
    fn a_flip_is_presented_with_its_frame() {
        let mut pacing = pacing();
        pacing.flip(Some(OUTPUT), 7, ms(5));
        assert_eq!(due(&pacing), [OUTPUT]);
        pacing.committed(OUTPUT, Commit::Submitted, ms(5));
        assert!(due(&pacing).is_empty());
        assert_eq!(pacing.deadline(), None);
        assert_eq!(pacing.presented(OUTPUT, ms(16)), [7]);
        assert!(due(&pacing).is_empty());
    }

    #[test]
    fn a_flip_during_a_frame_waits_for_the_next() {
        let mut pacing = pacing();
        pacing.flip(Some(OUTPUT), 1, ms(5));
        pacing.committed(OUTPUT, Commit::Submitted, ms(5));
        pacing.flip(Some(OUTPUT), 2, ms(6));
        assert!(due(&pacing).is_empty());
        assert_eq!(pacing.presented(OUTPUT, ms(16)), [1]);
        assert_eq!(due(&pacing), [OUTPUT]);
        pacing.committed(OUTPUT, Commit::Submitted, ms(16));
        assert_eq!(pacing.presented(OUTPUT, ms(32)), [2]);
    }

    #[test]
    fn without_a_frame_the_vblank_is_estimated_on_the_grid() {
        for commit in [Commit::NoDamage, Commit::Skipped] {
            let mut pacing = pacing();
            pacing.flip(Some(OUTPUT), 1, ms(21));
            pacing.committed(OUTPUT, commit, ms(21));
            assert_eq!(pacing.deadline(), Some(ms(32)));
            pacing.flip(Some(OUTPUT), 2, ms(22));
            assert!(due(&pacing).is_empty(), "nothing is drawn while an estimate runs");
            assert!(pacing.tick(ms(31)).is_empty());
            assert_eq!(pacing.tick(ms(32)), [1]);
            assert_eq!(due(&pacing), [OUTPUT]);
        }
    }

    #[test]
    fn a_hidden_flip_takes_the_hidden_interval() {
        let mut pacing = pacing();
        pacing.flip(None, 1, ms(5));
        pacing.flip(Some(OutputId(99)), 2, ms(6));
        assert_eq!(pacing.deadline(), Some(ms(105)));
        assert_eq!(pacing.tick(ms(105)), [1]);
        assert_eq!(pacing.tick(ms(200)), [2]);
        assert_eq!(pacing.deadline(), None);
    }

    #[test]
    fn an_output_that_goes_takes_no_flip_along() {
        let mut pacing = pacing();
        pacing.flip(Some(OUTPUT), 1, ms(5));
        pacing.committed(OUTPUT, Commit::Submitted, ms(5));
        pacing.flip(Some(OUTPUT), 2, ms(6));
        assert_eq!(pacing.output_removed(OUTPUT), [1, 2]);
        assert!(pacing.presented(OUTPUT, ms(16)).is_empty());
    }
}

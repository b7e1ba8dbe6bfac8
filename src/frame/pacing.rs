// SPDX-License-Identifier: GPL-3.0-or-later
//! The pace of all outputs, and of the windows that are on none. Pure: times and outcomes are handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::redraw::{LONGEST_WAIT, Made, Pacer};
use crate::backend::{Commit, OutputId};
use crate::time::Time;

/// The pace of everything. `T` names a flip, `W` names who flips.
///
/// Each flip that is handed in comes out exactly once, and within [`LONGEST_WAIT`] if [`Pacing::tick`] is
/// called at its deadlines.
#[derive(Debug)]
pub struct Pacing<W, T> {
    outputs: BTreeMap<OutputId, Pacer<W, T>>,
    /// Flips of windows that no output shows, and when each counts as presented.
    hidden: Vec<(Time, T)>,
    hidden_interval: Duration,
}

impl<W: Copy + PartialEq, T> Pacing<W, T> {
    /// No outputs yet. Flips that nobody sees take `hidden_interval`, at most [`LONGEST_WAIT`].
    #[must_use]
    pub fn new(hidden_interval: Duration) -> Self {
        let hidden_interval = hidden_interval.min(LONGEST_WAIT);
        Self { outputs: BTreeMap::new(), hidden: Vec::new(), hidden_interval }
    }

    /// From now on flips that nobody sees take `hidden_interval`, at most [`LONGEST_WAIT`].
    pub fn set_hidden_interval(&mut self, hidden_interval: Duration) {
        self.hidden_interval = hidden_interval.min(LONGEST_WAIT);
    }

    /// An output is there, or has another refresh time now; it has to be drawn. See [`Pacer::set_refresh`].
    pub fn output_added(&mut self, output: OutputId, refresh: Duration, variable: bool) {
        self.outputs.entry(output).or_insert_with(|| Pacer::new(refresh)).set_refresh(refresh, variable);
    }

    /// An output is gone: returns its flips, which count as presented.
    #[must_use]
    pub fn output_removed(&mut self, output: OutputId) -> Vec<T> {
        self.outputs.remove(&output).map(|pacer| pacer.into_flips().collect()).unwrap_or_default()
    }

    /// A guest has flipped; its window is on `output`, or on none.
    pub fn flip(&mut self, output: Option<OutputId>, who: W, flip: T, now: Time) {
        match output.and_then(|output| self.outputs.get_mut(&output)) {
            Some(pacer) => pacer.add_flip(who, flip, now),
            None => self.hidden.push((now.saturating_add(self.hidden_interval), flip)),
        }
    }

    /// Something changed on the output.
    pub fn queue_redraw(&mut self, output: OutputId, now: Time) {
        if let Some(pacer) = self.outputs.get_mut(&output) {
            pacer.queue_redraw(now);
        }
    }

    /// Everything can be seen anew, and has to be drawn without delay.
    pub fn queue_redraw_everywhere(&mut self) {
        self.outputs.values_mut().for_each(Pacer::redraw_at_once);
    }

    /// The outputs that want a frame now; [`Pacing::committed`] has to follow for each.
    pub fn due(&self) -> impl Iterator<Item = OutputId> {
        self.outputs.iter().filter(|(_, pacer)| pacer.wants_redraw()).map(|(output, _)| *output)
    }

    /// What came of the output's frame; see [`Pacer::committed`].
    pub fn committed(&mut self, output: OutputId, commit: Commit, made: Made, now: Time) {
        if let Some(pacer) = self.outputs.get_mut(&output) {
            pacer.committed(commit, made, now);
        }
    }

    /// The output's frame is on the display: returns the flips in it.
    #[must_use]
    pub fn presented(&mut self, output: OutputId, time: Time) -> Vec<T> {
        self.outputs.get_mut(&output).map(|pacer| pacer.presented(time)).unwrap_or_default()
    }

    /// Returns the flips that count as presented by now: their estimated or hidden time has come, or a
    /// display has not answered for too long.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<T> {
        let mut due: Vec<T> = self.outputs.values_mut().flat_map(|pacer| pacer.tick(now)).collect();
        due.extend(self.hidden.extract_if(.., |(time, _)| *time <= now).map(|(_, flip)| flip));
        due
    }

    /// When [`Pacing::tick`] has to be called at the latest; `None` while there is nothing to wait for.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let hidden = self.hidden.iter().map(|(time, _)| *time);
        self.outputs.values().filter_map(Pacer::deadline).chain(hidden).min()
    }

    /// Frames submitted to the output so far.
    #[must_use]
    pub fn frames(&self, output: OutputId) -> u64 {
        self.outputs.get(&output).map_or(0, Pacer::frames)
    }
}

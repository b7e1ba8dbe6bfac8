// SPDX-License-Identifier: GPL-3.0-or-later
//! The pace of all outputs, and of the windows that are on none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::redraw::{HIDDEN_INTERVAL, LONGEST_WAIT, Pacer};
use crate::backend::Commit;
use crate::scene::element::OutputId;
use crate::time::Time;

/// Paces everything. `T` names a flip.
///
/// Every flip comes back exactly once, and within [`LONGEST_WAIT`] and a bit, if [`Pacing::tick`] is called
/// at its deadlines.
#[derive(Debug)]
pub struct Pacing<T> {
    outputs: BTreeMap<OutputId, Pacer<T>>,
    /// Flips of windows that no output shows, with the times at which they were added.
    hidden: Vec<(T, Time)>,
    hidden_due: Option<Time>,
    hidden_interval: Duration,
}

impl<T> Default for Pacing<T> {
    fn default() -> Self {
        Self::new(HIDDEN_INTERVAL)
    }
}

impl<T> Pacing<T> {
    /// Paces hidden windows at `hidden_interval`, at most [`LONGEST_WAIT`].
    #[must_use]
    pub fn new(hidden_interval: Duration) -> Self {
        let hidden_interval = hidden_interval.min(LONGEST_WAIT);
        Self { outputs: BTreeMap::new(), hidden: Vec::new(), hidden_due: None, hidden_interval }
    }

    /// An output is there, or has a new mode: it has to be drawn.
    pub fn set_output(&mut self, output: OutputId, refresh: Duration) {
        self.outputs.entry(output).or_insert_with(|| Pacer::new(refresh)).set_refresh(refresh);
    }

    /// An output is gone; what was to be shown on it is paced as hidden.
    pub fn remove_output(&mut self, output: OutputId, now: Time) {
        if let Some(pacer) = self.outputs.remove(&output) {
            let before = self.hidden.len();
            self.hidden.extend(pacer.into_flips());
            if self.hidden.len() > before {
                self.wait_hidden(now);
            }
        }
    }

    /// An output's picture has changed.
    pub fn queue_redraw(&mut self, output: OutputId) {
        if let Some(pacer) = self.outputs.get_mut(&output) {
            pacer.queue_redraw();
        }
    }

    /// All outputs can be seen again.
    pub fn redraw_all_at_once(&mut self) {
        self.outputs.values_mut().for_each(Pacer::redraw_at_once);
    }

    /// A guest flipped on a window that is on this output, or on none.
    pub fn add_flip(&mut self, output: Option<OutputId>, name: T, now: Time) {
        match output.and_then(|output| self.outputs.get_mut(&output)) {
            Some(pacer) => pacer.add_flip(name, now),
            None => {
                self.hidden.push((name, now));
                self.wait_hidden(now);
            }
        }
    }

    /// The outputs to draw and commit now; [`Pacing::committed`] has to follow for each.
    #[must_use]
    pub fn to_redraw(&self) -> Vec<OutputId> {
        self.outputs.iter().filter(|(_, pacer)| pacer.wants_redraw()).map(|(output, _)| *output).collect()
    }

    /// Takes in what came of a commit; see [`Pacer::committed`].
    pub fn committed(&mut self, output: OutputId, outcome: Commit, now: Time) {
        if let Some(pacer) = self.outputs.get_mut(&output) {
            pacer.committed(outcome, now);
        }
    }

    /// A frame was shown: these flips were in it.
    #[must_use]
    pub fn presented(&mut self, output: OutputId, time: Time) -> Vec<T> {
        self.outputs.get_mut(&output).map(|pacer| pacer.presented(time)).unwrap_or_default()
    }

    /// When [`Pacing::tick`] has to be called; `None` while there is nothing to wait for.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.outputs.values().filter_map(Pacer::deadline).chain(self.hidden_due).min()
    }

    /// Time has passed: these flips count as shown.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<T> {
        let mut done: Vec<T> = Vec::new();
        if self.hidden_due.is_some_and(|due| due <= now) {
            self.hidden_due = None;
            done.extend(self.hidden.drain(..).map(|(name, _)| name));
        }
        done.extend(self.outputs.values_mut().flat_map(|pacer| pacer.tick(now)));
        done
    }

    /// Forgets flips whose guest is gone.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.hidden.retain(|(name, _)| keep(name));
        if self.hidden.is_empty() {
            self.hidden_due = None;
        }
        self.outputs.values_mut().for_each(|pacer| pacer.retain(&mut keep));
    }

    /// The hidden ones tick together: at the next interval, or earlier for one that waited long elsewhere.
    fn wait_hidden(&mut self, now: Time) {
        let interval = self.hidden_due.unwrap_or_else(|| now.saturating_add(self.hidden_interval));
        let oldest = self.hidden.iter().map(|(_, added)| added.saturating_add(LONGEST_WAIT)).min();
        self.hidden_due = Some(oldest.map_or(interval, |oldest| oldest.min(interval)));
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! When one output is drawn, and when the guests' flips on it count as shown.

use std::time::Duration;

use crate::backend::Commit;
use crate::time::Time;

/// How long a flip waits at most, whatever goes wrong with the output: Linux guests give up after 3 s.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How often guests are told to go on while nobody can see them, unless configured otherwise.
pub const HIDDEN_INTERVAL: Duration = Duration::from_secs(1);

/// What an output is doing.
///
/// ```text
///            queue_redraw                    committed: Submitted
///   ┌────┐ ───────────────► ┌──────┐ ───────────────────────────► ┌────────────────┐
///   │Idle│                  │Queued│                              │WaitingForVblank│──┐ queue_redraw:
///   └────┘ ◄──┐             └──────┘ ◄──────────────────────────  └────────────────┘◄─┘ redraw_needed
///     ▲       │              │    ▲     presented, redraw_needed          │
///     │       │    NoDamage, │    │                                      │
///     │       │      Skipped │    │ tick, redraw_needed                  │ presented
///     │       │              ▼    │                                      │
///     │       │          ┌───────────────┐                               │
///     │       └───────── │EstimatedVblank│──┐ queue_redraw:              │
///     │           tick   └───────────────┘◄─┘ redraw_needed              │
///     └──────────────────────────────────────────────────────────────────┘
/// ```
///
/// The estimated vblank keeps guests going at the output's rate when a frame changed nothing. After a
/// skipped frame it leads to another try; with every further one it comes later, since nobody can see the
/// output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedrawState {
    /// Nothing to do.
    Idle,
    /// To be drawn at the end of this turn of the loop.
    Queued,
    /// A frame is on its way.
    WaitingForVblank {
        /// Something changed since.
        redraw_needed: bool,
    },
    /// No frame is on its way, but time has to pass as if one were.
    EstimatedVblank {
        /// When the frame would have been shown.
        due: Time,
        /// Something changed since.
        redraw_needed: bool,
    },
}

/// Paces one output. `T` names a flip.
///
/// Every flip comes back exactly once, in the order in which flips were added, and within
/// [`LONGEST_WAIT`] as long as [`Pacer::tick`] is called at its deadlines.
#[derive(Debug)]
pub struct Pacer<T> {
    state: RedrawState,
    refresh: Duration,
    last_vblank: Option<Time>,
    /// Frames skipped one after the other.
    skipped: u32,
    frames: u64,
    /// In no frame yet.
    waiting: Vec<Flip<T>>,
    /// In the frame that is on its way, or would be.
    contained: Vec<Flip<T>>,
}

#[derive(Debug)]
struct Flip<T> {
    name: T,
    added: Time,
}

impl<T> Pacer<T> {
    /// Paces an output that shows a frame every `refresh` (at least 1 ms), and has to be drawn first.
    #[must_use]
    pub fn new(refresh: Duration) -> Self {
        let refresh = refresh.max(Duration::from_millis(1));
        Self {
            state: RedrawState::Queued,
            refresh,
            last_vblank: None,
            skipped: 0,
            frames: 0,
            waiting: Vec::new(),
            contained: Vec::new(),
        }
    }

    /// The state, for tests and the log.
    #[must_use]
    pub const fn state(&self) -> RedrawState {
        self.state
    }

    /// Frames submitted so far.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// The output's mode changed: from now on this is its refresh, and it has to be drawn.
    pub fn set_refresh(&mut self, refresh: Duration) {
        self.refresh = refresh.max(Duration::from_millis(1));
        self.queue_redraw();
    }

    /// What the output shows has changed.
    pub const fn queue_redraw(&mut self) {
        match &mut self.state {
            RedrawState::Idle => self.state = RedrawState::Queued,
            RedrawState::Queued => {}
            RedrawState::WaitingForVblank { redraw_needed } | RedrawState::EstimatedVblank { redraw_needed, .. } => {
                *redraw_needed = true
            }
        }
    }

    /// As [`Pacer::queue_redraw`], without waiting for an estimated vblank: the output can be seen again.
    pub fn redraw_at_once(&mut self) {
        self.queue_redraw();
        if let RedrawState::EstimatedVblank { .. } = self.state {
            let newer = std::mem::take(&mut self.waiting);
            self.waiting = std::mem::take(&mut self.contained);
            self.waiting.extend(newer);
            self.state = RedrawState::Queued;
        }
    }

    /// A guest flipped: the next frame shows it.
    pub fn add_flip(&mut self, name: T, now: Time) {
        self.waiting.push(Flip { name, added: now });
        self.queue_redraw();
    }

    /// Whether the output is to be drawn and committed now; then [`Pacer::committed`] has to follow.
    #[must_use]
    pub fn wants_redraw(&self) -> bool {
        self.state == RedrawState::Queued
    }

    /// Takes in what came of the commit of a frame that showed all flips added so far.
    pub fn committed(&mut self, outcome: Commit, now: Time) {
        self.contained.append(&mut self.waiting);
        self.state = match outcome {
            Commit::Submitted => {
                self.frames = self.frames.saturating_add(1);
                RedrawState::WaitingForVblank { redraw_needed: false }
            }
            Commit::NoDamage => RedrawState::EstimatedVblank { due: self.next_vblank(now), redraw_needed: false },
            Commit::Skipped => RedrawState::EstimatedVblank { due: self.next_try(now), redraw_needed: true },
        };
        self.skipped = if outcome == Commit::Skipped { self.skipped.saturating_add(1) } else { 0 };
    }

    /// The submitted frame was shown at `time`: these flips were in it.
    #[must_use]
    pub fn presented(&mut self, time: Time) -> Vec<T> {
        self.last_vblank = Some(time);
        if let RedrawState::WaitingForVblank { redraw_needed } = self.state {
            return self.shown(redraw_needed);
        }
        Vec::new()
    }

    /// When [`Pacer::tick`] has to be called; `None` while there is nothing to wait for.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let vblank = match self.state {
            RedrawState::EstimatedVblank { due, .. } => Some(due),
            RedrawState::Idle | RedrawState::Queued | RedrawState::WaitingForVblank { .. } => None,
        };
        let oldest = self.contained.first().or(self.waiting.first());
        vblank.into_iter().chain(oldest.map(|flip| flip.added.saturating_add(LONGEST_WAIT))).min()
    }

    /// Time has passed: these flips would have been shown by now, or have waited too long.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<T> {
        let mut done = match self.state {
            RedrawState::EstimatedVblank { due, redraw_needed } if due <= now => self.shown(redraw_needed),
            RedrawState::Idle
            | RedrawState::Queued
            | RedrawState::WaitingForVblank { .. }
            | RedrawState::EstimatedVblank { .. } => Vec::new(),
        };
        for flips in [&mut self.contained, &mut self.waiting] {
            let late = |flip: &mut Flip<T>| flip.added.saturating_add(LONGEST_WAIT) <= now;
            done.extend(flips.extract_if(.., late).map(|flip| flip.name));
        }
        done
    }

    /// The flips that are still to be shown, when the output is gone.
    pub fn into_flips(self) -> impl Iterator<Item = T> {
        self.contained.into_iter().chain(self.waiting).map(|flip| flip.name)
    }

    fn shown(&mut self, redraw_needed: bool) -> Vec<T> {
        self.state = if redraw_needed { RedrawState::Queued } else { RedrawState::Idle };
        self.contained.drain(..).map(|flip| flip.name).collect()
    }

    /// The next vblank, after the first skipped frame; then later and later.
    fn next_try(&self, now: Time) -> Time {
        let factor = 2_u32.saturating_pow(self.skipped);
        let later = self.refresh.saturating_mul(factor.saturating_sub(1)).min(HIDDEN_INTERVAL);
        self.next_vblank(now.saturating_add(later))
    }

    /// The first vblank after `now`, counted on from the last one that was seen.
    fn next_vblank(&self, now: Time) -> Time {
        let since = self.last_vblank.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let past = Duration::from_nanos(nanos(since) % nanos(self.refresh));
        now.saturating_add(self.refresh - past)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! When one output is drawn, and when the guests' flips on it count as shown.

use std::time::Duration;

use super::lead::Lead;
use crate::backend::Commit;
use crate::time::Time;

/// How long a flip waits at most, whatever goes wrong with the output: Linux guests give up after 3 s.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How often guests are told to go on while nobody can see them, unless configured otherwise.
pub const HIDDEN_INTERVAL: Duration = Duration::from_secs(1);

/// After a vblank longer ago than this nobody knows when the next one comes: clocks drift.
const PHASE_KNOWN: Duration = Duration::from_secs(1);

/// What an output is doing.
///
/// ```text
///         queue_redraw           tick, flip              committed: Submitted
///   ┌────┐ ──────► ┌─────────┐ ─────────► ┌──────┐ ───────────────────────► ┌────────────────┐
///   │Idle│         │Scheduled│            │Queued│                          │WaitingForVblank│──┐ queue_redraw:
///   └────┘ ◄──┐    └─────────┘            └──────┘                          └────────────────┘◄─┘ redraw_needed
///     ▲       │       ▲ ▲                  │                                   │      │
///     │       │       │ │        NoDamage, │         presented, redraw_needed  │      │
///     │       │       │ └──────────────────│───────────────────────────────────┘      │
///     │       │       │ tick,      Skipped │                                          │ presented
///     │       │       │ redraw_needed      ▼                                          │
///     │       │       └────────── ┌───────────────┐                                   │
///     │       └────────────────── │EstimatedVblank│──┐ queue_redraw:                  │
///     │           tick            └───────────────┘◄─┘ redraw_needed                  │
///     └───────────────────────────────────────────────────────────────────────────────┘
/// ```
///
/// A scheduled frame is begun as late as it can be and still make its vblank, so that whatever comes until then is in
/// it: of two guests on one output the second would always be a frame late otherwise, and show every other one. It is
/// begun at once where nobody knows when the next vblank is, and where guests' buffers are on planes and everyone who
/// was in the last frame has flipped again: drawing could still take in a motion of the pointer, a plane's flip gains
/// nothing by waiting.
///
/// The estimated vblank keeps guests going at the output's rate when a frame changed nothing. After a
/// skipped frame it leads to another try; with every further one it comes later, since nobody can see the
/// output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedrawState {
    /// Nothing to do.
    Idle,
    /// To be drawn then.
    Scheduled {
        /// The latest time at which a frame makes the next vblank.
        at: Time,
    },
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

/// Paces one output. `T` names a flip, `W` names who flips.
///
/// Every flip comes back exactly once, in the order in which flips were added, and within
/// [`LONGEST_WAIT`] as long as [`Pacer::tick`] is called at its deadlines.
#[derive(Debug)]
pub struct Pacer<W, T> {
    state: RedrawState,
    refresh: Duration,
    /// Whether the output shows a frame whenever it comes, `refresh` after the last one at the earliest.
    variable: bool,
    last_vblank: Option<Time>,
    lead: Lead,
    /// The vblank for which a frame was scheduled.
    aim: Option<Time>,
    /// Whether the last frame was drawn.
    drawn: bool,
    /// Who was in the frame that was shown last, and has not flipped since.
    expected: Vec<W>,
    /// Frames skipped one after the other.
    skipped: u32,
    frames: u64,
    /// In no frame yet.
    waiting: Vec<Flip<W, T>>,
    /// In the frame that is on its way, or would be.
    contained: Vec<Flip<W, T>>,
}

/// How a frame was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// From its begin to the end of the commit.
    pub took: Duration,
    /// By a renderer; otherwise all of it is on planes.
    pub drawn: bool,
}

#[derive(Debug)]
struct Flip<W, T> {
    who: W,
    name: T,
    added: Time,
}

impl<W: Copy + PartialEq, T> Pacer<W, T> {
    /// Paces an output that shows a frame every `refresh` (at least 1 ms), and has to be drawn first.
    #[must_use]
    pub fn new(refresh: Duration) -> Self {
        let refresh = refresh.max(Duration::from_millis(1));
        Self {
            state: RedrawState::Queued,
            refresh,
            variable: false,
            last_vblank: None,
            lead: Lead::new(),
            aim: None,
            drawn: true,
            expected: Vec::new(),
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

    /// The output's mode changed: from now on this is its refresh, and it has to be drawn. A `variable` one shows a
    /// frame whenever it comes, and `refresh` is the shortest time between two.
    pub fn set_refresh(&mut self, refresh: Duration, variable: bool) {
        self.refresh = refresh.max(Duration::from_millis(1));
        self.variable = variable;
        self.redraw_at_once();
    }

    /// What the output shows has changed.
    pub fn queue_redraw(&mut self, now: Time) {
        match &mut self.state {
            RedrawState::Idle => self.schedule(now),
            RedrawState::Scheduled { .. } | RedrawState::Queued => {}
            RedrawState::WaitingForVblank { redraw_needed } | RedrawState::EstimatedVblank { redraw_needed, .. } => {
                *redraw_needed = true
            }
        }
    }

    /// As [`Pacer::queue_redraw`], without waiting for the right time, or for an estimated vblank: the output can be
    /// seen again.
    pub fn redraw_at_once(&mut self) {
        match &mut self.state {
            RedrawState::WaitingForVblank { redraw_needed } => *redraw_needed = true,
            RedrawState::Idle | RedrawState::Scheduled { .. } | RedrawState::Queued => {
                self.state = RedrawState::Queued;
            }
            RedrawState::EstimatedVblank { .. } => {
                let newer = std::mem::take(&mut self.waiting);
                self.waiting = std::mem::take(&mut self.contained);
                self.waiting.extend(newer);
                self.state = RedrawState::Queued;
            }
        }
    }

    /// A guest flipped: the next frame shows it.
    pub fn add_flip(&mut self, who: W, name: T, now: Time) {
        self.waiting.push(Flip { who, name, added: now });
        self.expected.retain(|expected| *expected != who);
        self.queue_redraw(now);
        self.do_not_wait_for_nobody();
    }

    /// Whether the output is to be drawn and committed now; then [`Pacer::committed`] has to follow.
    #[must_use]
    pub fn wants_redraw(&self) -> bool {
        self.state == RedrawState::Queued
    }

    /// Takes in what came of the commit of a frame that showed all flips added so far, and took so long to be made.
    pub fn committed(&mut self, outcome: Commit, made: Made, now: Time) {
        self.contained.append(&mut self.waiting);
        self.lead.took(made.took);
        self.drawn = made.drawn;
        self.aim = self.aim.filter(|_| outcome == Commit::Submitted);
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
        match self.aim.take() {
            Some(aim) if aim.saturating_add(self.refresh / 2) < time => self.lead.too_late(self.refresh),
            Some(_) | None => self.lead.in_time(),
        }
        if let RedrawState::WaitingForVblank { redraw_needed } = self.state {
            return self.shown(redraw_needed, time);
        }
        Vec::new()
    }

    /// When [`Pacer::tick`] has to be called; `None` while there is nothing to wait for.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let next = match self.state {
            RedrawState::Scheduled { at } => Some(at),
            RedrawState::EstimatedVblank { due, .. } => Some(due),
            RedrawState::Idle | RedrawState::Queued | RedrawState::WaitingForVblank { .. } => None,
        };
        let oldest = self.contained.first().or(self.waiting.first());
        next.into_iter().chain(oldest.map(|flip| flip.added.saturating_add(LONGEST_WAIT))).min()
    }

    /// Time has passed: these flips would have been shown by now, or have waited too long.
    #[must_use]
    pub fn tick(&mut self, now: Time) -> Vec<T> {
        let mut done = Vec::new();
        match self.state {
            RedrawState::Scheduled { at } if at <= now => {
                self.aim = Some(self.next_chance(at));
                self.state = RedrawState::Queued;
            }
            RedrawState::EstimatedVblank { due, redraw_needed } if due <= now => {
                done = self.shown(redraw_needed, due);
            }
            RedrawState::Idle
            | RedrawState::Scheduled { .. }
            | RedrawState::Queued
            | RedrawState::WaitingForVblank { .. }
            | RedrawState::EstimatedVblank { .. } => {}
        }
        for flips in [&mut self.contained, &mut self.waiting] {
            let late = |flip: &mut Flip<W, T>| flip.added.saturating_add(LONGEST_WAIT) <= now;
            done.extend(flips.extract_if(.., late).map(|flip| flip.name));
        }
        done
    }

    /// The flips that are still to be shown, when the output is gone.
    pub fn into_flips(self) -> impl Iterator<Item = T> {
        self.contained.into_iter().chain(self.waiting).map(|flip| flip.name)
    }

    /// A frame was shown at `time`, or would have been.
    fn shown(&mut self, redraw_needed: bool, time: Time) -> Vec<T> {
        let again = |who: &W| self.waiting.iter().any(|flip| flip.who == *who);
        self.expected = self.contained.iter().map(|flip| flip.who).filter(|who| !again(who)).collect();
        self.state = RedrawState::Idle;
        if self.skipped > 0 && redraw_needed {
            self.state = RedrawState::Queued;
        } else if redraw_needed {
            self.schedule(time);
            if !self.waiting.is_empty() {
                self.do_not_wait_for_nobody();
            }
        }
        self.contained.drain(..).map(|flip| flip.name).collect()
    }

    /// A frame is to be begun so late that it just makes the next vblank after `now`.
    fn schedule(&mut self, now: Time) {
        let known = self.last_vblank.is_some_and(|last| now.saturating_sub(last) < PHASE_KNOWN);
        let at = self.next_chance(now).saturating_sub(self.lead.get());
        self.state = if known && now < at { RedrawState::Scheduled { at } } else { RedrawState::Queued };
    }

    /// Where nothing has to be drawn, a frame that nobody else is expected in is handed over.
    fn do_not_wait_for_nobody(&mut self) {
        if let (false, true, RedrawState::Scheduled { .. }) = (self.drawn, self.expected.is_empty(), self.state) {
            self.state = RedrawState::Queued;
        }
    }

    /// The next vblank, after the first skipped frame; then later and later.
    fn next_try(&self, now: Time) -> Time {
        let factor = 2_u32.saturating_pow(self.skipped);
        let later = self.refresh.saturating_mul(factor.saturating_sub(1)).min(HIDDEN_INTERVAL);
        self.next_vblank(now.saturating_add(later))
    }

    /// When the output can show another frame: at its next vblank, or as soon as the last frame's time is over.
    fn next_chance(&self, now: Time) -> Time {
        match self.last_vblank {
            Some(last) if self.variable => last.saturating_add(self.refresh).max(now),
            Some(_) | None => self.next_vblank(now),
        }
    }

    /// The first vblank after `now`, counted on from the last one that was seen.
    fn next_vblank(&self, now: Time) -> Time {
        let since = self.last_vblank.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let past = Duration::from_nanos(nanos(since) % nanos(self.refresh));
        now.saturating_add(self.refresh - past)
    }
}

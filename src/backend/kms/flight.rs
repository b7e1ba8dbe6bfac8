// SPDX-License-Identifier: GPL-3.0-or-later
//! The one frame that may be on its way to a display, until it is reported as shown.

use std::time::Duration;

use smithay::backend::drm::{DrmEventMetadata, DrmEventTime};

use super::counter::FrameCounter;
use crate::time::Time;

/// After this long a frame counts as shown although the kernel doesn't say so: a driver that loses an event
/// must not stop the guests. Emulated displays take more than a second at their worst.
pub(super) const FLIP_TIMEOUT: Duration = Duration::from_secs(3);

/// A frame that is on the display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) sequence: u64,
    pub(super) time: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No frame is on its way.
    #[default]
    Landed,
    /// Handed over to the kernel, which began at `since` and was done at `handed`.
    Flying { since: Time, handed: Time },
    /// On the display; to be reported when the time has come.
    Held { shown: Shown, due: Time },
}

/// The frame on its way, if any.
///
/// Drivers of displays without vertical blanks report a flip at once. If that were passed on, whoever draws
/// at each report would draw without end; so such reports are held until a frame's time has passed.
#[derive(Debug, Default)]
pub(super) struct Flight {
    state: State,
    counter: FrameCounter,
    last_report: Option<Time>,
    /// A frame was given up, of which the kernel may still say that it is on the display.
    owed: bool,
}

impl Flight {
    /// Whether a frame is on its way, or not yet reported.
    pub(super) fn is_busy(&self) -> bool {
        self.state != State::Landed
    }

    /// A frame was drawn and handed over, from `since` until `handed`.
    pub(super) const fn submitted(&mut self, since: Time, handed: Time) {
        self.state = State::Flying { since, handed };
    }

    /// The kernel says that a frame is on the display. Returns whether one was on its way.
    pub(super) fn landed(&mut self, metadata: Option<&DrmEventMetadata>, frame_time: Duration, now: Time) -> bool {
        let State::Flying { since, .. } = self.state else {
            self.owed &= metadata.is_none();
            return false;
        };
        if self.owed && metadata.is_some_and(|metadata| is_before(metadata, since)) {
            self.owed = false;
            return false;
        }
        let sequence = match metadata {
            Some(metadata) => self.counter.advance(metadata.sequence),
            None => self.counter.advance_unseen(),
        };
        // Without vertical blanks there is no counter of them.
        let unpaced = metadata.is_some_and(|metadata| metadata.sequence == 0);
        let held = self.last_report.filter(|_| unpaced).map(|last| last + frame_time).filter(|due| now < *due);
        // For who waits for it, a held frame is shown when it is reported.
        let time = held.unwrap_or_else(|| flip_time(metadata, since, now));
        self.state = State::Held { shown: Shown { sequence, time }, due: held.unwrap_or(now) };
        true
    }

    /// Nobody will say any more that the frame is on the display, or nobody will wait for it: it is reported
    /// now.
    pub(super) fn give_up(&mut self, now: Time) {
        self.owed |= self.landed(None, Duration::ZERO, now);
        if let State::Held { due, shown } = &mut self.state {
            *due = now;
            shown.time = shown.time.min(now);
        }
    }

    /// Whether the kernel has lost the frame.
    pub(super) fn is_lost(&self, now: Time) -> bool {
        matches!(self.state, State::Flying { handed, .. } if now >= handed + FLIP_TIMEOUT)
    }

    /// What is to be reported now.
    pub(super) fn report(&mut self, now: Time) -> Option<Shown> {
        let State::Held { shown, due } = self.state else { return None };
        if now < due {
            return None;
        }
        self.state = State::Landed;
        self.last_report = Some(now);
        Some(shown)
    }

    /// When to look again at the latest.
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Landed => None,
            State::Flying { handed, .. } => Some(handed + FLIP_TIMEOUT),
            State::Held { due, .. } => Some(due),
        }
    }
}

/// Whether an event can't be about a frame that was handed over since then, but one before it.
fn is_before(metadata: &DrmEventMetadata, since: Time) -> bool {
    matches!(metadata.time, DrmEventTime::Monotonic(time) if !time.is_zero() && time < since)
}

/// The kernel's time, on the monotonic clock, and within what is possible: after a mode was set, drivers that
/// make their vertical blanks from a timer report the blank before it, which may be seconds old. A driver that
/// says 0, or has only the wall clock, is not believed at all.
fn flip_time(metadata: Option<&DrmEventMetadata>, since: Time, now: Time) -> Time {
    match metadata.map(|metadata| metadata.time) {
        Some(DrmEventTime::Monotonic(time)) if !time.is_zero() => time.max(since).min(now),
        Some(DrmEventTime::Monotonic(_) | DrmEventTime::Realtime(_)) | None => now,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const FRAME: Duration = Duration::from_millis(16);

    const fn ms(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    fn flip(milliseconds: u64, sequence: u32) -> DrmEventMetadata {
        DrmEventMetadata { time: DrmEventTime::Monotonic(ms(milliseconds)), sequence }
    }

    #[test]
    fn a_flip_is_reported_once_with_the_kernels_time() {
        let mut flight = Flight::default();
        assert!(!flight.is_busy());
        flight.submitted(ms(100), ms(100));
        assert!(flight.is_busy());
        assert_eq!(flight.report(ms(105)), None);
        assert!(flight.landed(Some(&flip(110, 7)), FRAME, ms(111)));
        assert!(flight.is_busy());
        assert_eq!(flight.report(ms(111)), Some(Shown { sequence: 7, time: ms(110) }));
        assert!(!flight.is_busy());
        assert_eq!(flight.report(ms(111)), None);
    }

    #[test]
    fn an_event_without_a_frame_on_its_way_is_none() {
        let mut flight = Flight::default();
        assert!(!flight.landed(Some(&flip(110, 7)), FRAME, ms(111)));
        assert_eq!((flight.report(ms(111)), flight.deadline()), (None, None));
    }

    #[test]
    fn displays_without_vertical_blanks_are_paced() {
        let mut flight = Flight::default();
        flight.submitted(ms(100), ms(100));
        flight.landed(Some(&flip(100, 0)), FRAME, ms(100));
        assert_eq!(flight.report(ms(100)), Some(Shown { sequence: 1, time: ms(100) }));
        flight.submitted(ms(101), ms(101));
        flight.landed(Some(&flip(102, 0)), FRAME, ms(102));
        assert_eq!(flight.deadline(), Some(ms(116)));
        assert_eq!(flight.report(ms(115)), None);
        assert!(flight.is_busy());
        assert_eq!(flight.report(ms(116)), Some(Shown { sequence: 2, time: ms(116) }));
    }

    #[test]
    fn a_slow_display_without_vertical_blanks_is_not_slowed_down() {
        let mut flight = Flight::default();
        for start in [100, 200] {
            flight.submitted(ms(start), ms(start));
            flight.landed(Some(&flip(start + 50, 0)), FRAME, ms(start + 50));
            assert!(flight.report(ms(start + 50)).is_some());
        }
    }

    #[test]
    fn a_lost_flip_is_reported_after_the_timeout() {
        let mut flight = Flight::default();
        flight.submitted(ms(100), ms(100));
        let late = ms(100) + FLIP_TIMEOUT;
        assert_eq!(flight.deadline(), Some(late));
        assert!(!flight.is_lost(late - ms(1)));
        assert!(flight.is_lost(late));
        flight.give_up(late);
        assert_eq!(flight.report(late), Some(Shown { sequence: 1, time: late }));
        assert!(!flight.is_lost(late));
    }

    #[test]
    fn drawing_does_not_count_as_the_kernels_time() {
        let mut flight = Flight::default();
        flight.submitted(ms(100), ms(2900));
        assert!(!flight.is_lost(ms(100) + FLIP_TIMEOUT));
        assert_eq!(flight.deadline(), Some(ms(2900) + FLIP_TIMEOUT));
        assert!(flight.is_lost(ms(2900) + FLIP_TIMEOUT));
    }

    #[test]
    fn the_late_event_of_a_frame_that_was_given_up_is_not_the_next_ones() {
        let mut flight = Flight::default();
        flight.submitted(ms(100), ms(100));
        flight.give_up(ms(3100));
        assert!(flight.report(ms(3100)).is_some());
        flight.submitted(ms(3101), ms(3102));
        assert!(!flight.landed(Some(&flip(3090, 7)), FRAME, ms(3103)));
        assert!(flight.is_busy());
        assert!(flight.landed(Some(&flip(3118, 8)), FRAME, ms(3119)));
        assert_eq!(flight.report(ms(3119)).map(|shown| shown.time), Some(ms(3118)));
    }

    #[test]
    fn an_early_time_is_believed_unless_a_frame_was_given_up() {
        let mut flight = Flight::default();
        flight.submitted(ms(100), ms(100));
        flight.give_up(ms(3100));
        assert!(flight.report(ms(3100)).is_some());
        // It comes while no frame is on its way.
        assert!(!flight.landed(Some(&flip(3105, 7)), FRAME, ms(3106)));
        flight.submitted(ms(3107), ms(3107));
        assert!(flight.landed(Some(&flip(2000, 8)), FRAME, ms(3119)), "after a mode was set, times are old");
    }

    #[test]
    fn giving_up_reports_a_held_flip_and_nothing_twice() {
        let mut flight = Flight::default();
        for now in [100, 101] {
            flight.submitted(ms(now), ms(now));
            flight.landed(Some(&flip(now, 0)), FRAME, ms(now));
            flight.give_up(ms(now));
            assert!(flight.report(ms(now)).is_some());
        }
        flight.give_up(ms(102));
        assert_eq!(flight.report(ms(102)), None);
    }

    fn time(time: DrmEventTime) -> Time {
        flip_time(Some(&DrmEventMetadata { time, sequence: 9 }), ms(98), ms(100))
    }

    #[test]
    fn no_frame_is_shown_before_it_was_handed_over_or_in_the_future() {
        for (kernel, taken) in [(99, 99), (90, 98), (101, 100)] {
            assert_eq!(time(DrmEventTime::Monotonic(ms(kernel))), ms(taken));
        }
    }

    #[test]
    fn without_a_monotonic_time_it_is_now() {
        assert_eq!(time(DrmEventTime::Monotonic(Time::ZERO)), ms(100));
        assert_eq!(time(DrmEventTime::Realtime(SystemTime::now())), ms(100));
        assert_eq!(flip_time(None, ms(98), ms(100)), ms(100));
    }
}

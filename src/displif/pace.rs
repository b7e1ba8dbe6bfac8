// SPDX-License-Identifier: GPL-3.0-or-later
//! Slows down a guest whose requests are refused again and again: a refused request costs us nearly what a
//! granted one does, and other guests' CPU time.
//!
//! A pace is a domain's, not a connection's, which the guest could begin anew: the sessions are told by their host.

use std::time::Duration;

use crate::time::Time;

use super::rate::Bucket;

/// The first delay, which doubles with each further refusal.
const LEAST: Duration = Duration::from_millis(1);

/// The longest delay: a frame at 60 Hz, so that a flip behind a refused request is late by no more than that.
const MOST: Duration = Duration::from_millis(16);

/// A guest is itself again when nothing of it was delayed for so long.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// What a refusal leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The ring's next request is served then, at the earliest.
    pub until: Time,
    /// The guest was not slowed down before: the log may say so.
    pub begins: bool,
}

/// One guest's pace.
#[derive(Debug)]
pub struct Pace {
    /// Refusals that have no consequences.
    borne: Bucket,
    delay: Duration,
    /// The end of the last hold: those of several rings follow each other.
    until: Time,
    forgotten: Time,
}

impl Pace {
    /// So many refusals a second, at once too, have no consequences.
    #[must_use]
    pub fn new(refusals_per_second: u32) -> Self {
        let borne = Bucket::new(refusals_per_second, Duration::from_secs(1), refusals_per_second);
        Self { borne, delay: Duration::ZERO, until: Time::ZERO, forgotten: Time::ZERO }
    }

    /// A request was refused.
    pub fn refused(&mut self, now: Time) -> Option<Hold> {
        if self.borne.take(now) {
            return None;
        }
        let begins = self.forgotten <= now;
        self.delay = if begins { LEAST } else { self.delay.saturating_mul(2).min(MOST) };
        self.until = self.until.max(now).saturating_add(self.delay);
        self.forgotten = self.until.saturating_add(FORGOTTEN);
        Some(Hold { until: self.until, begins })
    }

    /// Whether nothing is left of any refusal: a new pace would do as well.
    #[must_use]
    pub fn is_as_new(&self, now: Time) -> bool {
        self.forgotten <= now && self.borne.is_full(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Duration::from_secs(100);

    #[test]
    fn the_delay_grows_to_a_frame_and_is_forgotten() {
        let mut pace = Pace::new(3);
        assert_eq!([(); 3].map(|()| pace.refused(START)), [None; 3]);
        let mut now = START;
        for (millis, begins) in [(1, true), (2, false), (4, false), (8, false), (16, false), (16, false)] {
            let until = now + Duration::from_millis(millis);
            assert_eq!(pace.refused(now), Some(Hold { until, begins }));
            now = until;
        }
        now += Duration::from_millis(999);
        assert!(!pace.is_as_new(now));
        now += Duration::from_secs(1);
        assert!(pace.is_as_new(now));
        assert_eq!([(); 3].map(|()| pace.refused(now)), [None; 3]);
        assert_eq!(pace.refused(now), Some(Hold { until: now + LEAST, begins: true }));
    }

    #[test]
    fn a_guest_with_several_rings_is_refused_no_more_often() {
        let (mut pace, mut rings, mut refused) = (Pace::new(1), [START; 4], 0);
        for millis in 0..10_000 {
            let now = START + Duration::from_millis(millis);
            for ring in rings.iter_mut().filter(|ring| **ring <= now) {
                *ring = pace.refused(now).map_or(now, |hold| hold.until);
                refused += 1;
            }
        }
        assert!((600..=680).contains(&refused), "{refused} in 10 s");
    }

    #[test]
    fn a_guest_that_never_stops_is_refused_about_eighty_times_a_second() {
        let (mut pace, mut now, mut refused) = (Pace::new(20), START, 0);
        while now < START + Duration::from_secs(10) {
            now = pace.refused(now).map_or(now, |hold| hold.until);
            refused += 1;
        }
        assert!((800..=860).contains(&refused), "{refused} in 10 s");
    }
}

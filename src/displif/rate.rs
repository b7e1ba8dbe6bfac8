// SPDX-License-Identifier: GPL-3.0-or-later
//! A token bucket without a clock.

use std::time::Duration;

use crate::time::Time;

/// A token bucket, kept as the time at which it would be full again.
#[derive(Clone, Debug)]
pub struct Bucket {
    interval: Duration,
    slack: Duration,
    full_at: Time,
}

impl Bucket {
    /// A full bucket that gains `count` tokens in each `period` and holds `burst` (both at least 1).
    #[must_use]
    pub fn new(count: u32, period: Duration, burst: u32) -> Self {
        let interval = period.checked_div(count.max(1)).unwrap_or(period);
        let slack = interval.saturating_mul(burst.max(1).saturating_sub(1));
        Self { interval, slack, full_at: Time::ZERO }
    }

    /// When a token can be had; a time in the past when there is one already.
    #[must_use]
    pub fn ready_at(&self) -> Time {
        self.full_at.saturating_sub(self.slack)
    }

    /// Whether there is a token.
    #[must_use]
    pub fn ready(&self, now: Time) -> bool {
        self.ready_at() <= now
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        let ready = self.ready(now);
        if ready {
            self.charge(1, now);
        }
        ready
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_full(&self, now: Time) -> bool {
        self.full_at <= now
    }

    /// Takes tokens, those too that are not there yet: until they are there is none.
    pub fn charge(&mut self, tokens: u32, now: Time) {
        self.full_at = self.full_at.max(now).saturating_add(self.interval.saturating_mul(tokens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(10, Duration::from_secs(1), 3);
        let start = Duration::from_secs(100);
        assert_eq!((0..9).filter(|_| bucket.take(start)).count(), 3);
        assert_eq!(bucket.ready_at(), start + Duration::from_millis(100));
        assert!(!bucket.take(start + Duration::from_millis(99)));
        let mut taken = 0;
        for ms in 0..10_000 {
            taken += usize::from(bucket.take(start + Duration::from_millis(ms)));
        }
        assert_eq!(taken, 99);
        assert_eq!((0..9).filter(|_| bucket.take(start + Duration::from_secs(60))).count(), 3);
    }

    #[test]
    fn what_was_taken_in_advance_has_to_come_first() {
        let mut bucket = Bucket::new(1000, Duration::from_secs(1), 100);
        let start = Duration::from_secs(100);
        bucket.charge(250, start);
        assert_eq!(bucket.ready_at(), start + Duration::from_millis(151));
        assert!(!bucket.take(start + Duration::from_millis(150)));
        assert!(bucket.take(start + Duration::from_millis(151)));
        bucket.charge(u32::MAX, Duration::MAX);
    }

    #[test]
    fn survives_a_clock_that_stands_or_runs_back() {
        let mut bucket = Bucket::new(1000, Duration::from_secs(1), 1);
        assert!(bucket.take(Duration::MAX));
        assert!(!bucket.take(Duration::ZERO));
    }
}

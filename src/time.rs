// SPDX-License-Identifier: GPL-3.0-or-later
//! The one notion of time: pure modules are handed it, and never ask for it.

use std::time::Duration;

/// A time on the monotonic clock, as the time since the clock's start.
pub type Time = Duration;

/// Limits how often something happens, on average and in one go. Exact, in constant space (the generic
/// cell rate algorithm): what is kept is the time at which the bucket would be full again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    interval: Duration,
    /// How far `full_at` may lie ahead of the present for one more to be allowed.
    slack: Duration,
    full_at: Time,
}

impl TokenBucket {
    /// A full bucket: `per_second` (at least 1) on average, `burst` (at least 1) in one go.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now: Time) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, slack: interval.saturating_mul(burst.saturating_sub(1)), full_at: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        if now < self.ready_at() {
            return false;
        }
        self.full_at = self.full_at.max(now).saturating_add(self.interval);
        true
    }

    /// When there will be one; in the past when there is one already.
    #[must_use]
    pub fn ready_at(&self) -> Time {
        self.full_at.saturating_sub(self.slack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_its_rate() {
        let start = Duration::from_secs(100);
        let mut bucket = TokenBucket::new(10, 3, start);
        assert_eq!((0..5).filter(|_| bucket.take(start)).count(), 3);
        assert_eq!(bucket.ready_at(), start + Duration::from_millis(100));
        let taken = (0..10_000).filter(|ms| bucket.take(start + Duration::from_millis(*ms))).count();
        assert_eq!(taken, 99);
    }

    #[test]
    fn a_bucket_left_alone_fills_up_and_no_further() {
        let mut bucket = TokenBucket::new(10, 3, Duration::ZERO);
        let later = Duration::from_secs(1_000);
        assert_eq!((0..50).filter(|_| bucket.take(later)).count(), 3);
    }
}

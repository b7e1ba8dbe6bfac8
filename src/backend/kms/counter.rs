// SPDX-License-Identifier: GPL-3.0-or-later
//! The display's frame counter, made to count on.

/// Makes 64 bits of the driver's 32, and counts itself where the driver has no counter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameCounter {
    last: Option<u32>,
    value: u64,
}

impl FrameCounter {
    /// Takes in the counter of the next presented frame; the result is greater than every earlier one.
    pub(super) fn advance(&mut self, raw: u32) -> u64 {
        let step = match self.last {
            None => u64::from(raw).max(1),
            Some(last) => step(last, raw),
        };
        self.last = Some(raw);
        self.value = self.value.saturating_add(step);
        self.value
    }

    /// Counts a frame of which the driver said nothing.
    pub(super) fn advance_unseen(&mut self) -> u64 {
        self.value = self.value.saturating_add(1);
        self.value
    }
}

/// Frames since the last one: a counter that stands still (drivers without one report 0) or runs backwards
/// (reset by a modeset) counts as one.
fn step(last: u32, raw: u32) -> u64 {
    match raw.wrapping_sub(last) {
        forward @ 1..=0x7fff_ffff => u64::from(forward),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(raw: &[u32]) -> Vec<u64> {
        let mut counter = FrameCounter::default();
        raw.iter().map(|&raw| counter.advance(raw)).collect()
    }

    #[test]
    fn the_drivers_counter_is_followed() {
        assert_eq!(run(&[7, 8, 11]), [7, 8, 11]);
    }

    #[test]
    fn it_wraps_into_64_bits() {
        assert_eq!(run(&[u32::MAX, 0, 1]), [0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001]);
    }

    #[test]
    fn without_a_counter_it_counts_itself() {
        assert_eq!(run(&[0, 0, 0]), [1, 2, 3]);
    }

    #[test]
    fn a_reset_never_runs_backwards() {
        assert_eq!(run(&[100, 2, 3]), [100, 101, 102]);
    }

    #[test]
    fn unseen_frames_count_too() {
        let mut counter = FrameCounter::default();
        assert_eq!((counter.advance(5), counter.advance_unseen(), counter.advance(6)), (5, 6, 7));
    }
}

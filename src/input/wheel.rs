// SPDX-License-Identifier: GPL-3.0-or-later
//! High-resolution wheels: parts of a click add up, since a guest is told of whole clicks only.

/// Parts in a click, by the kernel's definition of high-resolution scrolling.
pub const CLICK: i32 = 120;

/// What has been turned since the last whole click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wheel {
    rest: i32,
}

impl Wheel {
    /// Takes in a turn, in 1/120 of a click, and gives the whole clicks of it. A turn in the other direction
    /// begins anew: else the first click after it would come too early, or too late.
    pub fn turn(&mut self, v120: i32) -> i32 {
        if self.rest.signum() * v120.signum() < 0 {
            self.rest = 0;
        }
        let sum = self.rest.saturating_add(v120);
        self.rest = sum % CLICK;
        sum / CLICK
    }

    /// Forgets what was turned: somebody else gets what comes.
    pub const fn reset(&mut self) {
        self.rest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_clicks_and_a_change_of_direction_begins_anew() {
        let table: [(&[i32], &[i32]); 6] = [
            (&[120, -120, 240], &[1, -1, 2]),
            (&[40, 40, 40, 40], &[0, 0, 1, 0]),
            (&[119, -1, -119], &[0, 0, -1]),
            (&[-60, -60, -60], &[0, -1, 0]),
            (&[100, -20, 120], &[0, 0, 1]),
            (&[i32::MAX, 0], &[i32::MAX / 120, 0]),
        ];
        for (turns, clicks) in table {
            let mut wheel = Wheel::default();
            let given: Vec<i32> = turns.iter().map(|turn| wheel.turn(*turn)).collect();
            assert_eq!(given, clicks, "{turns:?}");
        }
    }
}

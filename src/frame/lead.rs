// SPDX-License-Identifier: GPL-3.0-or-later
//! How long before a vblank a frame has to be begun.

use std::time::Duration;

/// The least that is left between a frame's end and the vblank: the loop wakes late, the kernel needs its time, and a
/// GPU may still be drawing.
const LEAST_MARGIN: Duration = Duration::from_millis(2);

/// The time that a frame takes, as the frames before it took, and some more.
///
/// A frame that came too late although it was begun in time doubles the margin; each other one takes a 64th of it
/// away. So a display that answers when it likes (an emulated one) soon gets each frame as early as can be.
#[derive(Debug)]
pub(super) struct Lead {
    cost: Duration,
    margin: Duration,
}

impl Lead {
    pub(super) const fn new() -> Self {
        Self { cost: Duration::ZERO, margin: LEAST_MARGIN }
    }

    /// How long before the vblank to begin.
    pub(super) const fn get(&self) -> Duration {
        self.cost.saturating_add(self.margin)
    }

    /// A frame took so long to be made and handed over: a longer one counts at once, shorter ones bit by bit.
    pub(super) fn took(&mut self, time: Duration) {
        self.cost = time.max(self.cost - self.cost / 16);
    }

    /// A frame begun by this lead came too late for its vblank.
    pub(super) fn too_late(&mut self, refresh: Duration) {
        self.margin = self.margin.saturating_mul(2).min(refresh).max(LEAST_MARGIN);
    }

    /// A frame was shown as was to be expected.
    pub(super) fn in_time(&mut self) {
        self.margin = (self.margin - self.margin / 64).max(LEAST_MARGIN);
    }
}

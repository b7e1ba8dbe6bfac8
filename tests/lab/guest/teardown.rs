// SPDX-License-Identifier: GPL-3.0-or-later
//! Buffers destroyed while they are shown: how long the guest waits for the answer.

use std::time::{Duration, Instant};

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Shows a new buffer and destroys it while it is on the screen, `count` times. The framebuffer goes
/// first, by itself, so that the second call is the buffer's end alone: the kernel's front driver waits
/// within it for the display side's answer.
pub(crate) fn run<C: Card>(card: &mut C, count: u32, say: &mut Word<'_>) -> Result<()> {
    let mut times = Vec::new();
    for round in 0..count {
        let mut buffer = card.buffer(0, Format::XR24)?;
        card.fill(&mut buffer, 0x20_40_60 + round)?;
        card.show(0, &buffer)?;
        // Long enough to be on the screen indeed, and not merely asked for.
        card.pause(Some(Duration::from_millis(120)))?;
        card.remove_framebuffer(&buffer)?;
        let start = Instant::now();
        card.destroy(buffer)?;
        times.push(start.elapsed().as_micros());
    }
    times.sort_unstable();
    let at = |share: usize| times.get((times.len().saturating_sub(1)) * share / 100).copied().unwrap_or_default();
    say(&format!("destroyed={}", times.len()))?;
    say(&format!("destroy-median-us={}", at(50)))?;
    say(&format!("destroy-p90-us={}", at(90)))?;
    say(&format!("destroy-longest-us={}", at(100)))
}

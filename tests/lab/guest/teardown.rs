// SPDX-License-Identifier: GPL-3.0-or-later
//! Buffers destroyed while they are shown: how long the guest waits for the answer.

use std::time::Instant;

use crate::Result;
use crate::card::{Card, Format};

/// Shows a new buffer and destroys it while it is on the screen, `count` times. The framebuffer goes
/// first, by itself, so that the second call is the buffer's end alone: the kernel's front driver waits
/// within it for the display side's answer.
pub(crate) fn run(path: &str, count: u32) -> Result<()> {
    let card = Card::open(path)?;
    let head = card.heads[0];
    let mut times = Vec::new();
    for round in 0..count {
        let mut buffer = card.buffer(&head, Format::XR24)?;
        buffer.fill(0x20_40_60 + round);
        card.show(&head, &buffer)?;
        // Long enough to be on the screen indeed, and not merely asked for.
        std::thread::sleep(std::time::Duration::from_millis(120));
        card.remove_framebuffer(&buffer)?;
        let start = Instant::now();
        card.destroy(buffer)?;
        times.push(start.elapsed().as_micros());
    }
    times.sort_unstable();
    let at = |share: usize| times.get((times.len().saturating_sub(1)) * share / 100).copied().unwrap_or_default();
    println!("lab: destroyed={}", times.len());
    println!("lab: destroy-median-us={}", at(50));
    println!("lab: destroy-p90-us={}", at(90));
    println!("lab: destroy-longest-us={}", at(100));
    Ok(())
}

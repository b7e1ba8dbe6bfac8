// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest that asks on and on, however often it is refused: what is it given?

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Asks for `count` buffers of the screen's size and keeps what it gets, until the process is ended.
pub(crate) fn run<C: Card>(card: &mut C, count: u32, say: &mut Word<'_>) -> Result<()> {
    let mut kept = Vec::new();
    for _ in 0..count {
        // Refusals are what this is about.
        if let Ok(buffer) = card.buffer(0, Format::XR24) {
            kept.push(buffer);
        }
    }
    say(&format!("asked={count}"))?;
    say(&format!("given={}", kept.len()))?;
    card.pause(None)
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest that wants everything: buffers without end.

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Makes up to `count` buffers and keeps them, until one is refused; then shows the first one, to see that it
/// was only the request that was refused. Stays until the process is ended.
pub(crate) fn run<C: Card>(card: &mut C, count: u32, say: &mut Word<'_>) -> Result<()> {
    let mut buffers = Vec::new();
    let mut refusal = "none".to_owned();
    for _ in 0..count {
        match card.buffer(0, Format::XR24) {
            Ok(buffer) => buffers.push(buffer),
            Err(why) => {
                refusal = why;
                break;
            }
        }
    }
    say(&format!("refusal={refusal}"))?;
    let first = buffers.first_mut().ok_or("not even one buffer")?;
    card.fill(first, 0x60_a0_20)?;
    card.show(0, first)?;
    say(&format!("hoarded={}", buffers.len()))?;
    card.pause(None)
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest that wants everything: what is it given?

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Asks for `count` buffers of the screen's size and keeps what it gets; then shows the first one, to see that
/// only requests were refused. Stays until the process is ended.
pub(crate) fn run<C: Card>(card: &mut C, count: u32, say: &mut Word<'_>) -> Result<()> {
    let mut kept = Vec::new();
    let mut refusal = None;
    for _ in 0..count {
        match card.buffer(0, Format::XR24) {
            Ok(buffer) => kept.push(buffer),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    say(&format!("asked={count}"))?;
    say(&format!("refusal={}", refusal.as_deref().unwrap_or("none")))?;
    let first = kept.first_mut().ok_or("not even one buffer")?;
    card.fill(first, 0x60_a0_20)?;
    card.show(0, first)?;
    say(&format!("given={}", kept.len()))?;
    card.pause(None)
}

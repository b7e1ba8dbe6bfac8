// SPDX-License-Identifier: GPL-3.0-or-later
//! The screen switched off and on by DPMS, with flips before, in between and after.

use std::time::Duration;

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Shows a colour, then `count` times: off, a flip while off, on, a flip while on. The last colour stays until
/// the process is ended.
///
/// The kernel itself refuses a legacy flip of a connector that is off; what its front driver sends to the
/// display side when it switches is another matter, and the reason for this.
pub(crate) fn run<C: Card>(card: &mut C, count: u32, say: &mut Word<'_>) -> Result<()> {
    let mut buffers = [card.buffer(0, Format::XR24)?, card.buffer(0, Format::XR24)?];
    card.fill(&mut buffers[0], 0x20_60_a0)?;
    card.fill(&mut buffers[1], 0xa0_60_20)?;
    card.show(0, &buffers[0])?;
    let mut refused_while_off = 0;
    for round in 0..count {
        card.power(0, false)?;
        card.pause(Some(Duration::from_millis(100)))?;
        match card.flip(0, &buffers[1], 0) {
            Ok(()) => drop(card.flip_event()?),
            Err(_) => refused_while_off += 1,
        }
        card.power(0, true)?;
        let tag = u64::from(round) + 1;
        card.flip(0, &buffers[usize::from(round.is_multiple_of(2))], tag)?;
        let answered = card.flip_event()?;
        if answered != tag {
            return Err(format!("after the screen was on again the event of flip {answered} came, not of {tag}"));
        }
    }
    say(&format!("flips-refused-while-off={refused_while_off}"))?;
    say(&format!("switched={count}"))?;
    card.pause(None)
}

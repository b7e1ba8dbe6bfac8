// SPDX-License-Identifier: GPL-3.0-or-later
//! What is shown is drawn over, and nobody is told: no flip, no damage. Whoever reads the guest's pages in place
//! sees it the next time they look.

use std::time::Duration;

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Shows a buffer, and then fills it with another colour ten times a second, until the process is ended.
pub(crate) fn run<C: Card>(card: &mut C, say: &mut Word<'_>) -> Result<()> {
    let mut buffer = card.buffer(0, Format::XR24)?;
    card.fill(&mut buffer, 0x01_01_01)?;
    card.show(0, &buffer)?;
    say("scribbling")?;
    for colour in (0x01_01_01_u32..0xff_ff_ff).step_by(0x05_13_27).cycle() {
        card.fill(&mut buffer, colour)?;
        card.pause(Some(Duration::from_millis(100)))?;
    }
    Ok(())
}

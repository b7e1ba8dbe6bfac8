// SPDX-License-Identifier: GPL-3.0-or-later
//! Double-buffered flips, each frame in one colour of its own: a picture with two colours is a tear.

use std::time::Instant;

use crate::Result;
use crate::card::{Buffer, Card, Format};

/// Draws and flips `count` frames (`None`: for ever), waiting for each flip's event. Prints the count of
/// events and how many came out of order.
pub(crate) fn run(path: &str, count: Option<u32>) -> Result<()> {
    let card = Card::open(path)?;
    let head = card.heads[0];
    let mut buffers = [card.buffer(&head, Format::XR24)?, card.buffer(&head, Format::XR24)?];
    buffers[0].fill(colour(0));
    card.show(&head, &buffers[0])?;
    println!("lab: flipping");
    let start = Instant::now();
    let (mut events, mut disorder, mut longest) = (0_u32, 0_u32, 0_u128);
    let mut frame = 0_u32;
    while count.is_none_or(|count| frame < count) {
        frame = frame.wrapping_add(1);
        let next: &mut Buffer = &mut buffers[usize::from(frame % 2 == 1)];
        next.fill(colour(frame));
        let asked = Instant::now();
        card.flip(&head, next, u64::from(frame))?;
        let answered = card.flip_event()?;
        longest = longest.max(asked.elapsed().as_millis());
        events = events.wrapping_add(1);
        if answered != u64::from(frame) {
            disorder = disorder.wrapping_add(1);
        }
        if frame.is_multiple_of(100) {
            println!("lab: frames={frame}");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("lab: flips={frame}");
    println!("lab: events={events}");
    println!("lab: disorder={disorder}");
    println!("lab: longest-ms={longest}");
    println!("lab: fps={:.1}", f64::from(frame) / seconds);
    println!("lab: last-colour={:06x}", colour(frame));
    Ok(())
}

/// A colour that neighbouring frames never share, and never black, which is no frame's.
fn colour(frame: u32) -> u32 {
    (frame.wrapping_mul(0x9e_37_79) & 0xff_ff_ff) | 0x01_01_01
}

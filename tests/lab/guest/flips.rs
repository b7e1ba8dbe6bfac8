// SPDX-License-Identifier: GPL-3.0-or-later
//! Double-buffered flips, each frame in one colour of its own: a picture with two colours is a tear.

use std::time::{Duration, Instant};

use crate::card::{Card, Format};
use crate::{Result, Word};

/// Draws and flips `count` frames (`None`: for ever), waiting for each flip's event. Tells the count of
/// events, how many came out of order, and where the time went.
pub(crate) fn run<C: Card>(card: &mut C, count: Option<u32>, say: &mut Word<'_>) -> Result<()> {
    let mut buffers = [card.buffer(0, Format::XR24)?, card.buffer(0, Format::XR24)?];
    card.fill(&mut buffers[0], colour(0))?;
    card.show(0, &buffers[0])?;
    say("flipping")?;
    let start = Instant::now();
    let (mut events, mut disorder, mut longest) = (0_u32, 0_u32, Duration::ZERO);
    let (mut drawing, mut waiting) = (Duration::ZERO, Duration::ZERO);
    let mut frame = 0_u32;
    while count.is_none_or(|count| frame < count) {
        frame = frame.wrapping_add(1);
        let next = &mut buffers[usize::from(frame % 2 == 1)];
        let begun = Instant::now();
        card.fill(next, colour(frame))?;
        drawing += begun.elapsed();
        let asked = Instant::now();
        card.flip(0, next, u64::from(frame))?;
        let answered = card.flip_event()?;
        waiting += asked.elapsed();
        longest = longest.max(asked.elapsed());
        events = events.wrapping_add(1);
        if answered != u64::from(frame) {
            disorder = disorder.wrapping_add(1);
        }
        if frame.is_multiple_of(100) {
            say(&format!("disorder={disorder}"))?;
            say(&format!("frames={frame}"))?;
        }
    }
    let mean = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(frame.max(1));
    say(&format!("flips={frame}"))?;
    say(&format!("events={events}"))?;
    say(&format!("disorder={disorder}"))?;
    say(&format!("longest-ms={}", longest.as_millis()))?;
    say(&format!("draw-ms={:.1}", mean(drawing)))?;
    say(&format!("flip-ms={:.1}", mean(waiting)))?;
    say(&format!("fps={:.1}", f64::from(frame) / start.elapsed().as_secs_f64()))?;
    say(&format!("last-colour={:06x}", colour(frame)))
}

/// The first `connectors` connectors flip together, for ever, between two buffers each that are drawn once: what it
/// costs is flips alone.
pub(crate) fn run_many<C: Card>(card: &mut C, connectors: u32, say: &mut Word<'_>) -> Result<()> {
    let mut pairs = Vec::new();
    for connector in 0..card.connectors().min(connectors.try_into().unwrap_or(usize::MAX)) {
        let mut pair = [card.buffer(connector, Format::XR24)?, card.buffer(connector, Format::XR24)?];
        card.fill(&mut pair[0], colour(0))?;
        card.fill(&mut pair[1], colour(1))?;
        card.show(connector, &pair[0])?;
        pairs.push(pair);
    }
    say(&format!("flipping={}", pairs.len()))?;
    for frame in 1_u64.. {
        for (connector, pair) in pairs.iter().enumerate() {
            card.flip(connector, &pair[usize::from(frame % 2 == 1)], frame)?;
        }
        for _ in &pairs {
            let answered = card.flip_event()?;
            if answered != frame {
                return Err(format!("an event of flip {answered} came for flip {frame}"));
            }
        }
        if frame.is_multiple_of(100) {
            say(&format!("frames={frame}"))?;
        }
    }
    Ok(())
}

/// A colour that neighbouring frames never share, and never black, which is no frame's.
fn colour(frame: u32) -> u32 {
    (frame.wrapping_mul(0x9e_37_79) & 0xff_ff_ff) | 0x01_01_01
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A still picture on every connector, each in a format and with a seed of its own.

use crate::card::{Card, Format};
use crate::{Result, Word, pattern};

/// Shows `FORMAT:SEED` on the connectors in their order, and stays until the process is ended.
pub(crate) fn run<C: Card>(card: &mut C, pictures: &[&str], say: &mut Word<'_>) -> Result<()> {
    if card.connectors() < pictures.len() {
        return Err(format!("{} pictures for {} connectors", pictures.len(), card.connectors()));
    }
    for (connector, picture) in pictures.iter().enumerate() {
        let (format, seed) = picture.split_once(':').ok_or_else(|| format!("'{picture}' is no FORMAT:SEED"))?;
        let seed = seed.parse().map_err(|_| format!("'{seed}' is no seed"))?;
        let mut buffer = card.buffer(connector, Format::named(format)?)?;
        card.draw(&mut buffer, |x, y| pattern::colour(x, y, seed))?;
        card.show(connector, &buffer)?;
        let (width, height) = card.size(connector);
        say(&format!("showing {format} {width}x{height} seed {seed}"))?;
    }
    say("shown")?;
    card.pause(None)
}

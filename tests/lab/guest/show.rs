// SPDX-License-Identifier: GPL-3.0-or-later
//! A still picture on every connector, each in a format and with a seed of its own.

use crate::card::{Card, Format};
use crate::{Result, pattern};

/// Shows `FORMAT:SEED` on the connectors in their order, and stays until the process is ended.
pub(crate) fn run(path: &str, pictures: &[&str]) -> Result<()> {
    let card = Card::open(path)?;
    if card.heads.len() < pictures.len() {
        return Err(format!("{} pictures for {} connectors", pictures.len(), card.heads.len()));
    }
    for (head, picture) in card.heads.iter().zip(pictures) {
        let (format, seed) = picture.split_once(':').ok_or_else(|| format!("'{picture}' is no FORMAT:SEED"))?;
        let seed = seed.parse().map_err(|_| format!("'{seed}' is no seed"))?;
        let mut buffer = card.buffer(head, Format::named(format)?)?;
        buffer.draw(|x, y| pattern::colour(x, y, seed));
        card.show(head, &buffer)?;
        let (width, height) = head.size();
        println!("lab: showing {format} {width}x{height} seed {seed}");
    }
    println!("lab: shown");
    loop {
        std::thread::park();
    }
}

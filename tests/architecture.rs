// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads the sources and enforces what ARCHITECTURE.md promises: who may import whom, where `unsafe` and the
//! outside world may be met, how long files are, and that each carries its licence.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by a panic")]

mod architecture {
    mod rules;
    mod source;
    mod tree;
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! When things are drawn and shown: the pace of each output.
//!
//! Nothing here reads a clock: the time is always an argument.

mod lead;
pub mod pacing;
pub mod redraw;

pub use self::pacing::Pacing;
pub use self::redraw::{HIDDEN_INTERVAL, LONGEST_WAIT, Made, Pacer, RedrawState};

// SPDX-License-Identifier: GPL-3.0-or-later
//! When things are drawn and shown: the pace of each output, and who still holds which buffer.
//!
//! Nothing here reads a clock: the time is always an argument.

pub mod pacing;
pub mod redraw;
pub mod release;

pub use self::pacing::Pacing;
pub use self::redraw::{HIDDEN_INTERVAL, LONGEST_WAIT, Pacer, RedrawState};
pub use self::release::{Holder, Release};

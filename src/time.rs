// SPDX-License-Identifier: GPL-3.0-or-later
//! The one notion of time: pure modules are handed it, and never ask for it.

use std::time::Duration;

/// A time on the monotonic clock, as the time since the clock's start.
pub type Time = Duration;

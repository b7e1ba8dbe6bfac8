// SPDX-License-Identifier: GPL-3.0-or-later
//! When things are drawn, and when they count as shown.

pub mod pacing;

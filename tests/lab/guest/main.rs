// SPDX-License-Identifier: GPL-3.0-or-later
//! The program of the lab's guests.
fn main() {}

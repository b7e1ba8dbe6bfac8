// SPDX-License-Identifier: GPL-3.0-or-later
//! What is where on the outputs: pure geometry and description, no drawing.

pub mod element;

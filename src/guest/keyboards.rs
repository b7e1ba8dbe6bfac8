// SPDX-License-Identifier: GPL-3.0-or-later
//! The guests' input devices.

use crate::kbdif::{Capabilities, Input};
use crate::scene::WindowId;

use super::Context;

/// All input devices. No xenstore directory of theirs is followed yet, so there are none.
#[derive(Debug, Default)]
pub struct Keyboards {}

impl Keyboards {
    /// See `Registry::capabilities`.
    #[must_use]
    pub fn capabilities(&self, _window: WindowId) -> Option<Capabilities> {
        None
    }

    /// See `Registry::input`.
    pub fn input(&mut self, _window: WindowId, _events: &[Input], _context: &mut Context<'_>) {}

    /// See `Registry::focus_lost`.
    pub fn focus_lost(&mut self, _window: WindowId, _context: &mut Context<'_>) {}
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Who a guest is and what it may: from the configuration and the toolstack, never from the guest.

use crate::displif::limits::Limits;
use crate::scene::element::Color;

/// What holds for one guest.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestPolicy {
    /// The name that is shown.
    pub label: String,
    /// The colour of its border.
    pub color: Color,
    /// Whether its first connector covers the output.
    pub fullscreen: bool,
    /// What it may use.
    pub limits: Limits,
}

/// Finds the policy of a domain by the name that the toolstack gave it.
pub type PolicyFor = Box<dyn Fn(&str) -> GuestPolicy>;

// SPDX-License-Identifier: GPL-3.0-or-later
//! Who a guest is and what it may: from the configuration and the toolstack, never from the guest.

use std::collections::BTreeMap;

use crate::displif::limits::Limits;
use crate::input;
use crate::kbdif;
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
    /// What it gets of the input.
    pub routing: input::Policy,
    /// What it may use.
    pub limits: Limits,
    /// What holds for its input devices.
    pub input: InputPolicy,
}

/// What holds for one guest's input devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPolicy {
    /// The name that is shown.
    pub label: String,
    /// Whether its devices under `backend/vkbd` are ours too, and not QEMU's.
    pub take_vkbd: bool,
    /// Connectors by the `unique-id` of the device that serves each, where the two names differ.
    pub connectors: BTreeMap<String, String>,
    /// What they may use.
    pub limits: kbdif::limits::Limits,
}

/// Finds the policy of a domain by the name that the toolstack gave it.
pub type PolicyFor = Box<dyn Fn(&str) -> GuestPolicy>;

// SPDX-License-Identifier: GPL-3.0-or-later
//! Who a guest is and what it may: from the configuration and the toolstack, never from the guest.

use std::collections::BTreeMap;

use crate::displif::Allocation;
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
    /// Whether its buffers may be made of our memory.
    pub be_alloc: bool,
    /// What it may use.
    pub limits: Limits,
    /// What holds for its input devices.
    pub input: InputPolicy,
}

/// What holds for one guest's input devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputPolicy {
    /// Whether its devices under `backend/vkbd` are ours too, and not QEMU's.
    pub take_vkbd: bool,
    /// Connectors by the `unique-id` of the device that serves each, where the two names differ.
    pub connectors: BTreeMap<String, String>,
    /// What they may use.
    pub limits: kbdif::limits::Limits,
}

impl GuestPolicy {
    /// Whether buffers are made of our memory: when the device is configured for it, we allow it, and the guest is
    /// of a kind that can map them. `kind` is the toolstack's word: `pv`, `pvh` or `hvm`.
    #[must_use]
    pub fn allocation(&self, asked: bool, kind: Option<&str>) -> Allocation {
        match (asked, self.be_alloc, kind) {
            (false, _, _) => Allocation::Off,
            (true, false, _) => Allocation::Refused(
                "be-alloc is not allowed for this guest: set be-alloc = true for it in our configuration, or \
                 be-alloc=0 in its vdispl line"
                    .to_owned(),
            ),
            (true, true, Some("pv")) => Allocation::Refused(
                "the driver of a PV guest dies when it maps our memory (SIGBUS): make it a guest of type=\"pvh\", or \
                 set be-alloc=0 in its vdispl line"
                    .to_owned(),
            ),
            (true, true, _) => Allocation::On,
        }
    }
}

/// Finds the policy of a domain by the name that the toolstack gave it.
pub type PolicyFor = Box<dyn Fn(&str) -> GuestPolicy>;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(be_alloc: bool) -> GuestPolicy {
        let color = Color { red: 1, green: 2, blue: 3 };
        let (label, limits, devices) = ("web".to_owned(), Limits::default(), InputPolicy::default());
        GuestPolicy {
            label,
            color,
            fullscreen: false,
            routing: input::Policy::default(),
            be_alloc,
            limits,
            input: devices,
        }
    }

    #[test]
    fn our_memory_is_given_where_both_sides_want_it_and_the_guest_can_map_it() {
        assert_eq!(policy(true).allocation(false, Some("pvh")), Allocation::Off);
        assert_eq!(policy(false).allocation(false, Some("pv")), Allocation::Off);
        for kind in [Some("pvh"), Some("hvm"), None] {
            assert_eq!(policy(true).allocation(true, kind), Allocation::On);
            assert!(
                matches!(policy(false).allocation(true, kind), Allocation::Refused(why) if why.contains("set be-alloc"))
            );
        }
        assert!(
            matches!(policy(true).allocation(true, Some("pv")), Allocation::Refused(why) if why.contains("PV guest"))
        );
    }
}

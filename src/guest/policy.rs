// SPDX-License-Identifier: GPL-3.0-or-later
//! Who a guest is and what it may: from the configuration and the toolstack, never from the guest.

use std::collections::BTreeMap;

use crate::displif::Allocation;
use crate::displif::limits::Limits;
use crate::input;
use crate::kbdif;
use crate::scene::element::Color;
use crate::scene::fit::Fit;

/// What holds for one guest.
#[derive(Clone, Debug, PartialEq)]
pub struct GuestPolicy {
    /// The name that is shown.
    pub label: String,
    /// The colour of its border.
    pub color: Color,
    /// Whether its first connector covers the output.
    pub fullscreen: bool,
    /// How its pictures are shown in windows of another size, until the user decides.
    pub fit: Fit,
    /// What it gets of the input.
    pub routing: input::Policy,
    /// Whether shells get small pictures of its displays.
    pub thumbnails: bool,
    /// Whether its buffers may be made of our memory.
    pub be_alloc: bool,
    /// What it may use.
    pub limits: Limits,
    /// What holds for its input devices.
    pub input: InputPolicy,
    /// Which of the kiosk's mappings its connectors have; nothing on a desktop.
    pub places: Vec<Place>,
}

/// A mapping of one connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which connector.
    pub connector: ConnectorName,
    /// Which of the kiosk's mappings.
    pub slot: usize,
    /// Whether the guest is handed the EDID of the display that shows it, where that is known.
    pub panel_edid: bool,
}

/// One of a guest's connectors, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorName {
    /// By its place in the domain's first display device.
    Index(usize),
    /// By its `unique-id`. A guest can change that, and so exchange the places of its own connectors; it could as
    /// well exchange what it draws on them.
    UniqueId(String),
}

/// Who a domain is, as the toolstack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its UUID, in lower case with dashes.
    pub uuid: Option<&'a str>,
}

impl Identity<'_> {
    /// Whether a text that is a name or a UUID means this domain. What looks like a UUID is one.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        if is_uuid(text) { self.uuid.is_some_and(|uuid| uuid.eq_ignore_ascii_case(text)) } else { self.name == text }
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What holds for one guest's input devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputPolicy {
    /// Whether its devices under `backend/vkbd` are ours too, and not QEMU's.
    pub take_vkbd: bool,
    /// Whether its pointer is not to be offered absolute positions.
    pub relative_pointer: bool,
    /// Connectors by the `unique-id` of the device that serves each, where the two names differ.
    pub connectors: BTreeMap<String, String>,
    /// What they may use.
    pub limits: kbdif::limits::Limits,
}

impl GuestPolicy {
    /// The mapping of a connector: by its unique-id, or by its place in the domain's first display `device`.
    #[must_use]
    pub fn place(&self, device: u32, index: usize, unique_id: &str) -> Option<&Place> {
        self.places.iter().find(|place| match &place.connector {
            ConnectorName::Index(wanted) => device == 0 && *wanted == index,
            ConnectorName::UniqueId(wanted) => wanted == unique_id,
        })
    }

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

/// Finds the policy of a domain by what the toolstack says of it.
pub type PolicyFor = Box<dyn Fn(Identity<'_>) -> GuestPolicy>;

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
            fit: Fit::Scale,
            thumbnails: false,
            routing: input::Policy::default(),
            be_alloc,
            limits,
            input: devices,
            places: Vec::new(),
        }
    }

    #[test]
    fn a_domain_is_known_by_its_name_or_its_uuid_and_not_by_the_one_for_the_other() {
        let uuid = "0a1b2c3d-0000-4000-8000-0123456789ab";
        let domain = Identity { name: "cluster", uuid: Some(uuid) };
        assert!(domain.is("cluster") && domain.is(uuid) && domain.is(&uuid.to_uppercase()));
        assert!(!domain.is("Cluster") && !domain.is("0a1b2c3d-0000-4000-8000-0123456789ac"));
        assert!(!Identity { name: uuid, uuid: None }.is(uuid), "a name that looks like another domain's UUID");
    }

    #[test]
    fn a_number_means_the_first_device_and_a_unique_id_any() {
        let mut policy = policy(false);
        let place = |connector, slot| Place { connector, slot, panel_edid: true };
        policy.places = vec![place(ConnectorName::Index(1), 7), place(ConnectorName::UniqueId("map".into()), 8)];
        let slot = |device, index, id| policy.place(device, index, id).map(|place| place.slot);
        assert_eq!((slot(0, 1, "x"), slot(1, 1, "x"), slot(0, 0, "x")), (Some(7), None, None));
        assert_eq!((slot(0, 0, "map"), slot(3, 2, "map")), (Some(8), Some(8)));
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

// SPDX-License-Identifier: GPL-3.0-or-later
//! Which finger is which of the guest's contacts, and what the guest knows of each.

use super::wire::TouchEvent;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The finger that is down, as the caller names it.
    finger: Option<u32>,
    /// The guest was told that it is down, and not yet that it is up.
    told: bool,
    /// The guest is still to be told that it is up, apart from what waits in order.
    owed: bool,
}

/// The contacts of one guest.
#[derive(Debug)]
pub(super) struct Contacts {
    slots: Vec<Slot>,
    last: u8,
}

impl Contacts {
    pub(super) fn new(count: u8) -> Self {
        Self { slots: vec![Slot::default(); count.into()], last: 0 }
    }

    fn find(&self, wanted: impl Fn(&Slot) -> bool) -> Option<u8> {
        self.slots.iter().position(wanted).and_then(|index| u8::try_from(index).ok())
    }

    fn slot(&mut self, contact: u8) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(contact))
    }

    /// The contact of a finger that is down.
    pub(super) fn of(&self, finger: u32) -> Option<u8> {
        self.find(|slot| slot.finger == Some(finger))
    }

    /// Gives a finger that came down a contact, if there is a free one.
    pub(super) fn put_down(&mut self, finger: u32) -> Option<u8> {
        let contact = self.find(|slot| slot.finger.is_none() && !slot.owed)?;
        self.slot(contact)?.finger = Some(finger);
        Some(contact)
    }

    /// Takes a finger off its contact.
    pub(super) fn lift(&mut self, finger: u32) -> Option<u8> {
        let contact = self.of(finger)?;
        self.slot(contact)?.finger = None;
        Some(contact)
    }

    /// The guest is to be told later that the contact is up.
    pub(super) fn owe(&mut self, contact: u8) {
        if let Some(slot) = self.slot(contact) {
            slot.owed = true;
        }
    }

    /// Takes all fingers off; the guest is owed what it was told.
    pub(super) fn lift_all(&mut self) {
        for slot in &mut self.slots {
            *slot = Slot { finger: None, told: slot.told, owed: slot.told };
        }
    }

    /// The guest may hold any contact, from a time that we know nothing of.
    pub(super) fn owe_all(&mut self) {
        self.slots.fill(Slot { finger: None, told: true, owed: true });
    }

    pub(super) fn first_owed(&self) -> Option<u8> {
        self.find(|slot| slot.owed)
    }

    pub(super) fn owed(&self) -> usize {
        self.slots.iter().filter(|slot| slot.owed).count()
    }

    pub(super) fn down(&self) -> usize {
        self.slots.iter().filter(|slot| slot.finger.is_some()).count()
    }

    /// The contact that the guest was told of last: Linux changes its slot whenever another one is named.
    pub(super) const fn last(&self) -> u8 {
        self.last
    }

    /// The guest was told; of what it was owed, or of what waited in order.
    pub(super) fn told(&mut self, contact: u8, event: TouchEvent, was_owed: bool) {
        self.last = contact;
        let Some(slot) = self.slot(contact) else { return };
        match event {
            TouchEvent::Down { .. } => slot.told = true,
            TouchEvent::Up => {
                slot.told = false;
                slot.owed &= !was_owed;
            }
            TouchEvent::Motion { .. } | TouchEvent::Sync | TouchEvent::Shape { .. } | TouchEvent::Orientation(_) => {}
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Fingers: each belongs to the window that it came down on, until it is lifted.

use std::collections::{BTreeMap, BTreeSet};

use super::Seat;
use super::pointer::pixel_at;
use crate::backend::input::{Fraction, InputDevice, TouchEvent};
use crate::input::GuestEvent;
use crate::input::world::Owner;
use crate::scene::focus::WindowId;

/// A finger that a guest was told of.
#[derive(Clone, Copy, Debug)]
struct Finger {
    owner: Owner,
    window: WindowId,
    /// The guest's name of it.
    contact: u32,
}

/// All fingers that guests were told of.
#[derive(Debug, Default)]
pub(super) struct Fingers {
    down: BTreeMap<(InputDevice, u32), Finger>,
    /// Windows whose guests are to be told that this moment's fingers are complete.
    moved: BTreeSet<WindowId>,
}

impl Fingers {
    /// The lowest number that none of the guest's fingers has.
    fn free_contact(&self, owner: Owner) -> u32 {
        let taken: BTreeSet<u32> =
            self.down.values().filter(|finger| finger.owner == owner).map(|finger| finger.contact).collect();
        (0..).find(|contact| !taken.contains(contact)).unwrap_or(u32::MAX)
    }
}

impl Seat {
    pub(super) fn touch(&mut self, device: InputDevice, contact: u32, event: TouchEvent) {
        match event {
            TouchEvent::Down(place) => self.finger_down((device, contact), place),
            TouchEvent::Motion(place) => self.finger_moved((device, contact), place),
            // The protocol has no way to take a finger back.
            TouchEvent::Up | TouchEvent::Cancel => self.finger_up((device, contact)),
        }
    }

    fn finger_down(&mut self, name: (InputDevice, u32), place: Fraction) {
        self.finger_up(name);
        if !self.live() {
            return;
        }
        let pixel = pixel_at(&self.world.stage, place);
        let hit = self.world.hit(pixel);
        // A finger beside others does not move the focus: it would end what they do.
        if self.fingers.down.is_empty() {
            self.set_focus(hit.map(|hit| hit.window).filter(|window| self.world.may_focus(*window)));
        }
        let Some(window) = hit.filter(|hit| hit.on_content).map(|hit| hit.window) else { return };
        let Some(owner) = self.world.owner(window) else { return };
        let contact = self.fingers.free_contact(owner);
        let place = self.world.place_in(window, pixel).filter(|_| contact < self.world.contacts(window));
        let Some((x, y)) = place else { return };
        self.fingers.down.insert(name, Finger { owner, window, contact });
        self.fingers.moved.insert(window);
        self.tell(window, GuestEvent::TouchDown { contact, x, y });
    }

    fn finger_moved(&mut self, name: (InputDevice, u32), place: Fraction) {
        let Some(Finger { window, contact, .. }) = self.fingers.down.get(&name).copied() else { return };
        let Some((x, y)) = self.world.place_in(window, pixel_at(&self.world.stage, place)) else { return };
        self.fingers.moved.insert(window);
        self.tell(window, GuestEvent::TouchMotion { contact, x, y });
    }

    fn finger_up(&mut self, name: (InputDevice, u32)) {
        if let Some(Finger { owner, window, contact }) = self.fingers.down.remove(&name) {
            self.fingers.moved.insert(window);
            self.tell_owner(owner, window, GuestEvent::TouchUp { contact });
        }
    }

    pub(super) fn touch_frame(&mut self) {
        for window in std::mem::take(&mut self.fingers.moved) {
            if self.world.owner(window).is_some() {
                self.tell(window, GuestEvent::TouchSync);
            }
        }
    }

    /// The device is gone.
    pub(super) fn lift_all_of(&mut self, device: InputDevice) {
        let names: Vec<_> = self.fingers.down.keys().filter(|(on, _)| *on == device).copied().collect();
        self.lift(names);
    }

    /// The guest is told that no finger is down.
    pub(super) fn lift_all_from(&mut self, owner: Owner) {
        let theirs = self.fingers.down.iter().filter(|(_, finger)| finger.owner == owner);
        let names = theirs.map(|(name, _)| *name).collect();
        self.lift(names);
    }

    fn lift(&mut self, names: Vec<(InputDevice, u32)>) {
        if !names.is_empty() {
            names.into_iter().for_each(|name| self.finger_up(name));
            self.touch_frame();
        }
    }

    /// The guests that have fingers.
    pub(super) fn finger_owners(&self) -> Vec<Owner> {
        self.fingers.down.values().map(|finger| finger.owner).collect()
    }

    /// Fingers on devices that are gone are nobody's.
    pub(super) fn forget_fingers(&mut self) {
        let world = &self.world;
        let there = |finger: &Finger| world.window_of(finger.owner, finger.window).is_some();
        self.fingers.down.retain(|_, finger| there(finger));
        self.fingers.moved.retain(|window| world.owner(*window).is_some());
    }
}

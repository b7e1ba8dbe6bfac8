// SPDX-License-Identifier: GPL-3.0-or-later
//! What each guest was told is held, and how its locks stand as far as we can know.

use std::collections::{BTreeMap, BTreeSet};

use super::world::Owner;
use crate::backend::input::Lamps;
use crate::scene::focus::WindowId;

const KEY_CAPSLOCK: u32 = 58;
const KEY_NUMLOCK: u32 = 69;
const KEY_SCROLLLOCK: u32 = 70;

/// First and last of Linux's button codes (`BTN_MISC` to the last before `KEY_OK`).
const BUTTONS: std::ops::RangeInclusive<u32> = 0x100..=0x15f;

/// Whether a code is a button's, and so belongs to the pointer.
#[must_use]
pub fn is_button(code: u32) -> bool {
    BUTTONS.contains(&code)
}

/// Which locks are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    on: [bool; 3],
}

impl Locks {
    const KEYS: [u32; 3] = [KEY_CAPSLOCK, KEY_NUMLOCK, KEY_SCROLLLOCK];

    /// A key was pressed: if it is a lock's, that lock turns.
    pub fn pressed(&mut self, code: u32) {
        for (on, key) in self.on.iter_mut().zip(Self::KEYS) {
            *on ^= key == code;
        }
    }

    /// How a keyboard shows them.
    #[must_use]
    pub const fn lamps(self) -> Lamps {
        let [caps, num, scroll] = self.on;
        Lamps { caps, num, scroll }
    }

    /// The keys that have to be tapped so that `self` becomes `wanted`.
    pub fn differences(self, wanted: Self) -> impl Iterator<Item = u32> {
        let pairs = self.on.into_iter().zip(wanted.on);
        pairs.zip(Self::KEYS).filter(|((is, wanted), _)| is != wanted).map(|(_, key)| key)
    }
}

/// What one guest was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Through which window it was last told of a key or button.
    pub window: WindowId,
    /// Keys and buttons that were told to be down, and not yet to be up.
    pub held: BTreeSet<u32>,
    /// How its locks stand, if they were off when it connected.
    pub locks: Locks,
}

/// What all guests were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    views: BTreeMap<Owner, View>,
}

impl Views {
    /// A guest's view; that of a new one is empty.
    pub fn of(&mut self, owner: Owner, window: WindowId) -> &mut View {
        self.views.entry(owner).or_insert_with(|| View { window, held: BTreeSet::new(), locks: Locks::default() })
    }

    /// Takes a code out of the view that holds it. At most one does, since a physical key is told to one guest.
    pub fn release(&mut self, code: u32) -> Option<(Owner, WindowId)> {
        self.views.iter_mut().find_map(|(owner, view)| view.held.remove(&code).then_some((*owner, view.window)))
    }

    /// Takes out all that a guest holds.
    pub fn release_all(&mut self, owner: Owner) -> (Vec<u32>, Option<WindowId>) {
        let Some(view) = self.views.get_mut(&owner) else { return (Vec::new(), None) };
        (std::mem::take(&mut view.held).into_iter().collect(), Some(view.window))
    }

    /// Whether a guest holds a button.
    #[must_use]
    pub fn holds_button(&self, owner: Owner) -> bool {
        self.views.get(&owner).is_some_and(|view| view.held.iter().any(|code| is_button(*code)))
    }

    /// Whether a guest was told that a key or button is down.
    #[must_use]
    pub fn holds(&self, owner: Owner, code: u32) -> bool {
        self.views.get(&owner).is_some_and(|view| view.held.contains(&code))
    }

    /// Forgets the guests that `keep` doesn't know any more.
    pub fn retain(&mut self, keep: impl Fn(Owner) -> bool) {
        self.views.retain(|owner, _| keep(*owner));
    }

    /// The guests.
    #[must_use]
    pub fn owners(&self) -> Vec<Owner> {
        self.views.keys().copied().collect()
    }
}

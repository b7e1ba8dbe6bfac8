// SPDX-License-Identifier: GPL-3.0-or-later
//! Who may get what: the windows that are shown, what the policy allows, and what each guest's input device
//! takes.

use crate::scene::focus::{Hit, Stage, WindowId};

/// What a guest may get, by the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Everything.
    #[default]
    All,
    /// Pointer and touch, but no keys.
    Pointer,
    /// Nothing.
    View,
}

/// When the pointer is kept within a window that it was clicked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confine {
    /// While the window is full screen.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Always.
    Always,
}

/// What holds for one guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What it may get.
    pub allowed: Allowed,
    /// When the pointer is kept within its window.
    pub confine: Confine,
    /// Whether it draws a cursor itself, so that ours is hidden over it.
    pub own_cursor: bool,
    /// Whether it is a part of the desktop itself, and no window that the user works in.
    pub dock: bool,
}

/// Names one connection of a guest's input device. Windows with the same owner share one device; a device that
/// connects anew is another owner, which holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);

/// How a guest's device takes the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerKind {
    /// By how far it moved: the pointer is locked to the guest while it has it.
    Relative,
    /// By where it is.
    Absolute,
}

/// What a guest's input device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which connection.
    pub owner: Owner,
    /// Whether it takes keys.
    pub keyboard: bool,
    /// How it takes the pointer, if it does.
    pub pointer: Option<PointerKind>,
    /// Fingers at once; 0 without touch.
    pub contacts: u32,
    /// Whether it is told how far a button or finger that went down in its window has left that: places beside its
    /// picture, less than 0 to the left and above. Else it is told the nearest place within. And whether it is told how
    /// far the pointer moves, beside where it is.
    pub beyond: bool,
}

/// A window's guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The window.
    pub window: WindowId,
    /// What it may get.
    pub policy: Policy,
    /// Its device, while that is connected.
    pub device: Option<Device>,
}

/// What is where, and who may get what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// What is shown.
    pub stage: Stage,
    /// All windows, shown or not.
    pub targets: Vec<Target>,
}

impl World {
    /// A window's guest.
    #[must_use]
    pub fn target(&self, window: WindowId) -> Option<&Target> {
        self.targets.iter().find(|target| target.window == window)
    }

    /// The device of a window's guest.
    #[must_use]
    pub fn device(&self, window: WindowId) -> Option<Device> {
        self.target(window)?.device
    }

    /// Whose device gets what is for a window.
    #[must_use]
    pub fn owner(&self, window: WindowId) -> Option<Owner> {
        Some(self.device(window)?.owner)
    }

    /// Whether two windows have the same device.
    #[must_use]
    pub fn same_owner(&self, one: WindowId, other: WindowId) -> bool {
        one == other || self.owner(one).is_some_and(|owner| self.owner(other) == Some(owner))
    }

    /// Whether a window is on the screen.
    #[must_use]
    pub fn is_shown(&self, window: WindowId) -> bool {
        self.stage.spot(window).is_some()
    }

    /// Whether a window may have the focus: it is shown, and its guest may get anything.
    #[must_use]
    pub fn may_focus(&self, window: WindowId) -> bool {
        self.is_shown(window) && self.allowed(window).is_some_and(|allowed| allowed != Allowed::View)
    }

    /// Whether a window's guest gets keys.
    #[must_use]
    pub fn takes_keys(&self, window: WindowId) -> bool {
        let device = self.device(window).is_some_and(|device| device.keyboard);
        device && self.is_shown(window) && self.allowed(window) == Some(Allowed::All)
    }

    /// How a window's guest gets the pointer, if it does.
    #[must_use]
    pub fn pointer(&self, window: WindowId) -> Option<PointerKind> {
        self.device(window)?.pointer.filter(|_| self.may_focus(window))
    }

    /// How many fingers a window's guest gets.
    #[must_use]
    pub fn contacts(&self, window: WindowId) -> u32 {
        self.device(window).filter(|_| self.may_focus(window)).map_or(0, |device| device.contacts)
    }

    /// Whether the pointer is kept within a window.
    #[must_use]
    pub fn confines(&self, window: WindowId) -> bool {
        let full_screen = self.stage.spot(window).is_some_and(|spot| spot.full_screen);
        match self.target(window).map(|target| target.policy.confine) {
            Some(Confine::Always) => true,
            Some(Confine::Auto) => full_screen,
            Some(Confine::Never) | None => false,
        }
    }

    /// Whether a window's guest draws a cursor itself.
    #[must_use]
    pub fn own_cursor(&self, window: WindowId) -> bool {
        self.target(window).is_some_and(|target| target.policy.own_cursor) && self.pointer(window).is_some()
    }

    /// The window whose content is at a place.
    #[must_use]
    pub fn content_at(&self, (x, y): (i32, i32)) -> Option<WindowId> {
        self.stage.at(x, y).filter(|hit| hit.on_content).map(|hit| hit.window)
    }

    /// What a click at a place hits.
    #[must_use]
    pub fn hit(&self, (x, y): (i32, i32)) -> Option<Hit> {
        self.stage.at(x, y)
    }

    /// The place of a pixel in a window, as its owner is to be told of it.
    #[must_use]
    pub fn place_in(&self, window: WindowId, (x, y): (i32, i32)) -> Option<(i32, i32)> {
        let spot = self.stage.spot(window)?;
        if self.device(window).is_some_and(|device| device.beyond) {
            return Some((x.saturating_sub(spot.content.x), y.saturating_sub(spot.content.y)));
        }
        let point = spot.to_guest(x, y);
        Some((point.x, point.y))
    }

    /// Any window of an owner, `preferred` if it is one.
    #[must_use]
    pub fn window_of(&self, owner: Owner, preferred: WindowId) -> Option<WindowId> {
        let owned = |target: &&Target| target.device.is_some_and(|device| device.owner == owner);
        let mut windows = self.targets.iter().filter(owned).map(|target| target.window);
        let first = windows.clone().next();
        windows.find(|window| *window == preferred).or(first)
    }

    /// Whether any window of an owner is shown.
    #[must_use]
    pub fn shows_any(&self, owner: Owner) -> bool {
        self.targets
            .iter()
            .any(|target| target.device.is_some_and(|device| device.owner == owner) && self.is_shown(target.window))
    }

    fn allowed(&self, window: WindowId) -> Option<Allowed> {
        Some(self.target(window)?.policy.allowed)
    }
}

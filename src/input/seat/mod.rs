// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user does right now, and who is told of it.
//!
//! The rules, in the order in which they hold:
//! 1. While the reserved key is held, keys, buttons and wheel are the compositor's; so is a button that holds a window.
//! 2. While the secure attention picture is shown, or the session is switched away, nobody is told anything.
//! 3. Keys go to the window with the focus; the pointer too, while it is over that window or a button is held
//!    there; each finger to the window that it came down on.
//! 4. What a guest was told to be down is told to be up when the user lets go of it, and before its guest
//!    loses the focus or is hidden. Nobody else is ever told of it.

mod constraint;
mod hold;
mod pointer;
mod touch;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

pub use self::constraint::{Bounds, Constraint};
use self::hold::HeldWindow;
use self::pointer::{Grab, Pointer};
use self::touch::Fingers;
use super::binding::{Bindings, Chord};
use super::view::{Locks, Views, is_button};
use super::wheel::Wheel;
use super::world::{Owner, PointerKind, World};
use super::{Command, GuestEvent, Outcome};
use crate::backend::input::{InputDevice, InputEvent, InputKind, Lamps};
use crate::scene::focus::{Spot, WindowId};

const KEY_ESC: u32 = 1;
const SHIFT: [u32; 2] = [42, 54];

/// Linux's first code that is no key (`KEY_CNT`); 0 is none either.
const KEY_CODES: std::ops::Range<u32> = 1..0x300;

/// Why a guest is not told something that was meant for it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is not on the screen.
    #[error("it is not shown, and a guest that is not shown gets no input")]
    Hidden,
    /// The policy.
    #[error("its policy does not allow it (`input` in the configuration)")]
    NotAllowed,
    /// No input device, or not for this.
    #[error("it has no input device that takes this")]
    NoDevice,
    /// The reserved key.
    #[error("this key is reserved for Grantway's chords, and no guest gets it")]
    Reserved,
    /// Secure attention, or another session.
    #[error("no guest gets input now: the secure attention picture is shown, or the session is switched away")]
    Suspended,
}

/// The user's keyboards, pointers and fingers, as one.
#[derive(Debug)]
pub struct Seat {
    bindings: Bindings,
    sync_locks: bool,
    world: World,
    /// Keys and buttons that are down, with the devices on which they are.
    held: BTreeMap<u32, BTreeSet<InputDevice>>,
    views: Views,
    fingers: Fingers,
    focus: Option<WindowId>,
    pointer: Pointer,
    grab: Option<Grab>,
    /// The window that a button is held in, if any.
    drag: Option<WindowId>,
    /// The window that is moved, or whose edges are, while a button is down.
    held_window: Option<HeldWindow>,
    /// What the client under the pointer has of it.
    constraint: Option<Constraint>,
    /// The window from whose client the user has taken the pointer back.
    taken_back: Option<WindowId>,
    wheel: Wheel,
    locks: Locks,
    attention: bool,
    paused: bool,
    out: Vec<Outcome>,
}

impl Seat {
    /// A seat on which nothing is held. With `sync_locks` a guest that gets the keyboard is sent the lock keys
    /// that bring its locks to where the user has them.
    #[must_use]
    pub fn new(bindings: Bindings, sync_locks: bool) -> Self {
        Self {
            bindings,
            sync_locks,
            world: World::default(),
            held: BTreeMap::new(),
            views: Views::default(),
            fingers: Fingers::default(),
            focus: None,
            pointer: Pointer::default(),
            grab: None,
            drag: None,
            held_window: None,
            constraint: None,
            taken_back: None,
            wheel: Wheel::default(),
            locks: Locks::default(),
            attention: false,
            paused: false,
            out: Vec::new(),
        }
    }

    /// What has come of the calls since the last time, in order.
    pub fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.out)
    }

    /// The window with the focus.
    #[must_use]
    pub const fn focus(&self) -> Option<WindowId> {
        self.focus
    }

    /// The window whose guest gets keys now.
    #[must_use]
    pub fn keyboard(&self) -> Option<WindowId> {
        self.focus.filter(|window| self.live() && self.world.takes_keys(*window))
    }

    /// The window that the user has to know as the one with the keyboard, also while nobody is told anything.
    #[must_use]
    pub fn marked(&self) -> Option<WindowId> {
        self.focus.filter(|window| self.world.takes_keys(*window))
    }

    /// What is where.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Whether the user holds a key or a button down.
    #[must_use]
    pub fn holds_anything(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the secure attention picture is shown.
    #[must_use]
    pub const fn attention(&self) -> bool {
        self.attention
    }

    /// How the keyboards' lamps have to be.
    #[must_use]
    pub const fn lamps(&self) -> Lamps {
        self.locks.lamps()
    }

    /// Whether guests are told anything.
    const fn live(&self) -> bool {
        !self.attention && !self.paused
    }

    /// Takes in what the user did.
    pub fn event(&mut self, event: InputEvent) {
        let device = event.device;
        if self.paused {
            return;
        }
        match event.kind {
            InputKind::Added => {}
            InputKind::Removed => self.device_removed(device),
            InputKind::Key { code, pressed } if KEY_CODES.contains(&code) => self.key(device, code, pressed),
            InputKind::Key { .. } => {}
            InputKind::Motion { dx, dy, raw_dx, raw_dy } => self.motion((dx, dy), (raw_dx, raw_dy)),
            InputKind::Position(place) => self.position(place),
            InputKind::Wheel { axis, v120 } => self.turn(axis, v120),
            InputKind::Touch { contact, event } => self.touch(device, contact, event),
            InputKind::TouchFrame => self.touch_frame(),
        }
    }

    /// Follows what is shown and who is there.
    pub fn look(&mut self, world: World) {
        if self.world == world {
            return;
        }
        let before = std::mem::replace(&mut self.world, world);
        self.views
            .retain(|owner| self.world.targets.iter().any(|target| target.device.is_some_and(|d| d.owner == owner)));
        self.forget_fingers();
        for owner in self.views.owners().into_iter().chain(self.finger_owners()) {
            if !self.world.shows_any(owner) {
                self.let_go(owner);
            }
        }
        self.check_grab();
        if let Some(focus) = self.focus.filter(|focus| !self.world.may_focus(*focus)) {
            // One that is gone has no owner any more; its guest may have other windows.
            if let Some(owner) = before.owner(focus) {
                self.let_go(owner);
            }
            self.set_focus(None);
        }
        if let Some(window) = self.newly_prominent(&before) {
            self.set_focus(Some(window));
            self.engage(window);
        }
        self.pull_pointer_in();
        self.devices_changed(&before);
        self.deliver_position();
    }

    /// The window that gets the focus without being asked for: one that is full screen now, or one that was not
    /// shown before, and is alone. Any other could steal what the user is typing.
    fn newly_prominent(&self, before: &World) -> Option<WindowId> {
        let dock = |window| self.world.target(window).is_some_and(|target| target.policy.dock);
        let spots: Vec<&Spot> = self.world.stage.spots.iter().filter(|spot| !dock(spot.window)).collect();
        let was_full_screen = |window| before.stage.spot(window).is_some_and(|spot| spot.full_screen);
        let full_screen = spots.iter().find(|spot| spot.full_screen && !was_full_screen(spot.window));
        let alone = spots
            .first()
            .filter(|spot| spots.len() == 1 && self.focus.is_none() && before.stage.spot(spot.window).is_none());
        full_screen.or(alone).map(|spot| spot.window).filter(|window| self.world.may_focus(*window))
    }

    /// A device that connected after its window got the focus has to be told how things are.
    fn devices_changed(&mut self, before: &World) {
        if let Some(focus) = self.focus
            && before.owner(focus) != self.world.owner(focus)
        {
            self.pointer.forget_told();
            self.synchronise_locks();
        }
    }

    /// The user asked for this window, by a chord.
    pub fn focus_window(&mut self, window: WindowId) {
        if self.world.may_focus(window) {
            self.set_focus(Some(window));
            if self.live() {
                self.engage(window);
                self.deliver_position();
            }
        }
    }

    /// Other keys are reserved. What is held is let go: a key that was a guest's can be ours now.
    pub fn rebind(&mut self, bindings: Bindings, sync_locks: bool) {
        self.sync_locks = sync_locks;
        if self.bindings != bindings {
            self.let_go_all();
            self.bindings = bindings;
            self.wake();
        }
    }

    /// The session is switched away, or is back.
    pub fn pause(&mut self, paused: bool) {
        if paused {
            self.let_go_all();
            self.held.clear();
        }
        self.paused = paused;
        self.wake();
    }

    fn set_attention(&mut self, attention: bool) {
        if self.attention == attention {
            return;
        }
        if attention {
            self.let_go_all();
        }
        self.attention = attention;
        self.out.push(Outcome::Attention(attention));
        self.wake();
    }

    /// After a time in which guests were told nothing.
    fn wake(&mut self) {
        if self.live() {
            self.pointer.forget_told();
            self.synchronise_locks();
            self.deliver_position();
        }
    }

    fn key(&mut self, device: InputDevice, code: u32, pressed: bool) {
        if pressed {
            let holders = self.held.entry(code).or_default();
            let first = holders.is_empty();
            holders.insert(device);
            if first {
                self.pressed(code);
            }
        } else if let Some(holders) = self.held.get_mut(&code) {
            let last = holders.remove(&device) && holders.is_empty();
            if last {
                self.held.remove(&code);
                self.released(code);
            }
        }
    }

    fn pressed(&mut self, code: u32) {
        if code == self.bindings.modifier {
            return;
        }
        if self.reserved() {
            if let Some(chord) = self.bindings.chord(code) {
                self.chord(chord);
            } else {
                self.take_hold(code);
            }
        } else if self.attention {
            if code == KEY_ESC {
                self.set_attention(false);
            }
        } else if is_button(code) {
            self.button_pressed(code);
        } else {
            self.locks.pressed(code);
            if let Some(window) = self.keyboard() {
                self.tell_pressed(window, code);
            }
        }
    }

    /// Whether the reserved key is held.
    fn reserved(&self) -> bool {
        self.held.contains_key(&self.bindings.modifier)
    }

    fn chord(&mut self, chord: Chord) {
        match chord {
            Chord::Attention => self.set_attention(!self.attention),
            Chord::Terminate => self.out.push(Outcome::Command(Command::Terminate)),
            _ if self.attention => {}
            Chord::NextGuest => self.out.push(Outcome::Command(Command::NextGuest)),
            Chord::PreviousGuest => self.out.push(Outcome::Command(Command::PreviousGuest)),
            Chord::FullScreen => self.out.push(Outcome::Command(Command::FullScreen)),
            Chord::Region(region) => self.out.push(Outcome::Command(Command::Region(region))),
            Chord::Help => self.out.push(Outcome::Command(Command::Help)),
            Chord::Tile => self.out.push(Outcome::Command(Command::Tile)),
            Chord::FirstTile => self.out.push(Outcome::Command(Command::FirstTile)),
            Chord::Minimise => self.out.push(Outcome::Command(Command::Minimise)),
            Chord::Close => self.out.push(Outcome::Command(Command::Close)),
            Chord::Workspace(workspace) => {
                let shift = SHIFT.iter().any(|code| self.held.contains_key(code));
                let command = if shift { Command::Send(workspace) } else { Command::Workspace(workspace) };
                self.out.push(Outcome::Command(command));
            }
            Chord::NextFit => self.out.push(Outcome::Command(Command::NextFit)),
            Chord::NaturalSize => self.out.push(Outcome::Command(Command::NaturalSize)),
            Chord::Program(which) => self.out.push(Outcome::Command(Command::Program(which))),
            Chord::ReleasePointer => {
                self.grab = None;
                self.take_pointer_back();
            }
        }
    }

    fn released(&mut self, code: u32) {
        // A client that has its window moved has lost the pointer, and comes to have it again without the button.
        if let Some((owner, window)) = self.views.release(code) {
            self.tell_owner(owner, window, GuestEvent::Key { code, pressed: false });
        }
        if self.held_window.is_some_and(|held| held.button == code) {
            self.held_window = None;
            self.deliver_position();
        }
    }

    fn device_removed(&mut self, device: InputDevice) {
        let held: Vec<u32> =
            self.held.iter().filter(|(_, holders)| holders.contains(&device)).map(|(code, _)| *code).collect();
        for code in held {
            self.key(device, code, false);
        }
        self.lift_all_of(device);
    }

    fn tell(&mut self, window: WindowId, event: GuestEvent) {
        self.out.push(Outcome::Guest { window, event });
    }

    /// Tells a guest, through the window by which it was told before if that is still there.
    fn tell_owner(&mut self, owner: Owner, window: WindowId, event: GuestEvent) {
        if let Some(window) = self.world.window_of(owner, window) {
            self.tell(window, event);
        }
    }

    fn tell_pressed(&mut self, window: WindowId, code: u32) {
        let Some(owner) = self.world.owner(window) else { return };
        let view = self.views.of(owner, window);
        if view.held.insert(code) {
            view.window = window;
            view.locks.pressed(code);
            self.tell(window, GuestEvent::Key { code, pressed: true });
        }
    }

    /// A guest is told that all that it holds is up.
    fn let_go(&mut self, owner: Owner) {
        let (codes, window) = self.views.release_all(owner);
        for code in codes {
            if let Some(window) = window {
                self.tell_owner(owner, window, GuestEvent::Key { code, pressed: false });
            }
        }
        self.lift_all_from(owner);
    }

    /// Nobody holds anything any longer.
    fn let_go_all(&mut self) {
        for owner in self.views.owners().into_iter().chain(self.finger_owners()) {
            self.let_go(owner);
        }
        self.grab = None;
        self.drag = None;
        self.held_window = None;
        self.wheel.reset();
    }

    /// Moves the focus. The one that loses it is told that all that it holds is up; the other gets nothing of
    /// what is down.
    fn set_focus(&mut self, window: Option<WindowId>) {
        if self.focus == window {
            return;
        }
        let stays = self.focus.zip(window).is_some_and(|(old, new)| self.world.same_owner(old, new));
        if let Some(old) = self.focus.filter(|_| !stays) {
            if let Some(owner) = self.world.owner(old) {
                self.let_go(owner);
            }
            self.out.push(Outcome::FocusLost(old));
        }
        if !stays {
            self.grab = None;
            self.drag = None;
            self.held_window = None;
            self.wheel.reset();
        }
        self.focus = window;
        self.take_pointer_back();
        if let Some(window) = window {
            self.give_pointer(window);
        }
        self.pointer.forget_told();
        self.out.push(Outcome::Focus(window));
        self.synchronise_locks();
    }

    /// Taps the lock keys that differ: the protocol has keys only, and nothing that tells of locks.
    fn synchronise_locks(&mut self) {
        let Some(window) = self.keyboard().filter(|_| self.sync_locks) else { return };
        let Some(owner) = self.world.owner(window) else { return };
        let wanted = self.locks;
        let view = self.views.of(owner, window);
        let taps: Vec<u32> = view.locks.differences(wanted).collect();
        view.locks = wanted;
        for code in taps {
            self.tell(window, GuestEvent::Key { code, pressed: true });
            self.tell(window, GuestEvent::Key { code, pressed: false });
        }
    }

    /// Tells one guest something, whoever has the focus.
    ///
    /// # Errors
    /// [`Refusal`]: what would never reach a guest from a device does not reach it this way.
    pub fn inject(&mut self, window: WindowId, event: GuestEvent) -> Result<(), Refusal> {
        if !self.world.is_shown(window) {
            return Err(Refusal::Hidden);
        }
        if !self.world.may_focus(window) {
            return Err(Refusal::NotAllowed);
        }
        if !self.live() {
            return Err(Refusal::Suspended);
        }
        let device = self.world.device(window).ok_or(Refusal::NoDevice)?;
        let pointer = self.world.pointer(window);
        let takes = match event {
            GuestEvent::Key { code, .. } if code == self.bindings.modifier => return Err(Refusal::Reserved),
            GuestEvent::Key { code, .. } if is_button(code) => pointer.is_some(),
            GuestEvent::Key { .. } if device.keyboard && !self.world.takes_keys(window) => {
                return Err(Refusal::NotAllowed);
            }
            GuestEvent::Key { code, .. } => device.keyboard && KEY_CODES.contains(&code),
            GuestEvent::Wheel { .. } => pointer.is_some(),
            GuestEvent::Motion { .. } => pointer == Some(PointerKind::Relative),
            GuestEvent::Position { .. } => pointer == Some(PointerKind::Absolute),
            GuestEvent::TouchDown { contact, .. }
            | GuestEvent::TouchMotion { contact, .. }
            | GuestEvent::TouchUp { contact } => contact < device.contacts,
            GuestEvent::TouchSync => device.contacts > 0,
        };
        if !takes {
            return Err(Refusal::NoDevice);
        }
        if let GuestEvent::Key { code, pressed } = event {
            if pressed {
                self.tell_pressed(window, code);
            } else if self.views.of(device.owner, window).held.remove(&code) {
                self.tell(window, event);
            }
        } else {
            self.tell(window, event);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::OutputId;
    use crate::input::world::{Device, Policy, Target};
    use crate::scene::element::{Color, Size};
    use crate::scene::{Scene, SceneOutput, WindowLabel};

    #[test]
    fn what_guests_were_told_is_forgotten_with_their_devices() {
        let mut scene = Scene::new();
        let size = Size { width: 100, height: 100 };
        scene.set_outputs(&[SceneOutput { id: OutputId(1), size: Size { width: 300, height: 300 } }]);
        let color = Color { red: 1, green: 2, blue: 3 };
        let window = scene.add_window(WindowLabel { name: "web".to_owned(), domid: 1, connector: 0, color }, size);
        let mut seat = Seat::new(Bindings { modifier: 97, chords: Vec::new() }, true);
        for connection in 0..100 {
            let device = Device { owner: Owner(connection), keyboard: true, pointer: None, contacts: 0, beyond: false };
            let targets = vec![Target { window, policy: Policy::default(), device: Some(device) }];
            seat.look(World { stage: scene.stage(), targets });
            seat.event(InputEvent {
                device: InputDevice(1),
                time_us: 0,
                kind: InputKind::Key { code: 30, pressed: connection % 2 == 0 },
            });
            assert!(seat.views.owners().len() <= 1);
        }
    }
}

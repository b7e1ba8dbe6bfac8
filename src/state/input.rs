// SPDX-License-Identifier: GPL-3.0-or-later
//! Between the seat and everything else: what is where goes in, and what comes out is carried out.

use std::collections::VecDeque;

use crate::backend::input::{Axis, Fraction, InputDevice, InputEvent, InputKind, Lamps, TouchEvent};
use crate::control::{GuestSelector, InputAction, TouchPhase};
use crate::guest::Context;
use crate::guest::link::Link;
use crate::input::{Command, Device, GuestEvent, Keymap, Outcome, Owner, PointerKind, Seat, Target, World};
use crate::kbdif::{Capabilities, Contact, ContactEvent, Input};
use crate::scene::element::OutputId;
use crate::scene::{Wanted, WindowId};
use crate::time::Time;

use super::State;
use super::clients::Clients;

/// Parts of a pixel in which a device's motion is counted.
const PARTS: i32 = 256;

/// What a seat needs beside itself.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) seat: Seat,
    /// Dom0's layout; `None` where it can't be had.
    pub(super) keymap: Option<Keymap>,
    lamps: Lamps,
    /// What guests are to be told, in order.
    pending: Vec<(WindowId, Telling)>,
}

#[derive(Clone, Copy, Debug)]
enum Telling {
    Event(Input),
    FocusLost,
}

impl Desk {
    pub(super) const fn new(seat: Seat, keymap: Option<Keymap>) -> Self {
        let lamps = seat.lamps();
        Self { seat, keymap, lamps, pending: Vec::new() }
    }
}

impl State {
    /// Tells the seat what is where, and carries out what comes of it.
    pub(super) fn refresh_input(&mut self, now: Time) {
        self.look();
        self.focus_lock();
        self.settle_input();
        self.tell_guests(now);
    }

    /// Takes in what the user did; guests are told by the next [`State::refresh_input`].
    pub(super) fn user_did(&mut self, event: InputEvent) {
        if self.wakes(&event) || self.closes_notice(&event) {
            return;
        }
        let pressed = match event.kind {
            InputKind::Key { pressed, .. } => pressed,
            InputKind::Touch { event, .. } => matches!(event, TouchEvent::Down(_)),
            InputKind::Added
            | InputKind::Removed
            | InputKind::TouchFrame
            | InputKind::Motion { .. }
            | InputKind::Position(_)
            | InputKind::Wheel { .. } => false,
        };
        if let Some(clients) = self.clients.as_mut().filter(|_| pressed) {
            clients.wayland.user_pressed();
        }
        self.desk.seat.event(event);
        // At once: what follows a chord or a click is for whoever has the focus by then.
        self.settle_input();
    }

    pub(super) fn look(&mut self) {
        let targets = self.targets();
        self.desk.seat.look(World { stage: self.scene.stage(), targets });
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (_, entry) in self.registry.devices_by_key() {
            for window in entry.link().into_iter().flat_map(Link::windows) {
                // Windows that one device serves have one owner; a device that connects anew is another one.
                let device = self.registry.input_connection(window);
                let device = device.map(|(number, capabilities)| device_of(Owner(number), capabilities));
                targets.push(Target { window, policy: entry.policy().routing, device });
            }
        }
        targets.extend(self.clients.iter().flat_map(Clients::targets));
        targets
    }

    /// Carries out what the seat wants, until it wants nothing more.
    fn settle_input(&mut self) {
        let mut wanted: VecDeque<Outcome> = self.desk.seat.take_outcomes().into();
        while let Some(outcome) = wanted.pop_front() {
            self.carry_out(outcome);
            wanted.extend(self.desk.seat.take_outcomes());
        }
        self.point_at_client();
        self.let_clients_type();
        self.let_clients_keep_pointer();
        let look = self.desk.seat.cursor().and_then(|place| Some((place, self.cursor_look(place)?)));
        let (place, look) = look.map_or_else(Default::default, |(place, look)| (self.on_output(place), look));
        self.scene.set_cursor(place, look);
        self.scene.set_focus(self.desk.seat.marked());
        let lamps = self.desk.seat.lamps();
        if self.desk.lamps != lamps {
            self.desk.lamps = lamps;
            self.presentation.set_lamps(lamps);
        }
    }

    pub(super) fn on_output(&self, (x, y): (i32, i32)) -> Option<(OutputId, i32, i32)> {
        let area = self.desk.seat.world().stage.area_at(x, y)?;
        Some((area.output, x - area.rect.x, y - area.rect.y))
    }

    fn carry_out(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Guest { window, event } => {
                if !self.tell_client(window, event) {
                    self.desk.pending.push((window, Telling::Event(wire_event(event))));
                }
            }
            Outcome::Moved { by, raw, .. } => self.tell_moved(by, raw),
            Outcome::FocusLost(window) => self.desk.pending.push((window, Telling::FocusLost)),
            Outcome::Focus(window) => {
                self.focus_client(window);
                if let Some(window) = window {
                    self.scene.raise(window);
                    self.look();
                }
            }
            Outcome::Move { window, at, grip } => {
                self.scene.move_window(window, at, grip);
                self.look();
            }
            Outcome::Resize { window, from, edges, by } => {
                self.size_window(window, Wanted::Edges { from, edges, by });
            }
            Outcome::Pan { window, from, by } => {
                self.scene.pan_window(window, from, by);
                self.look();
            }
            Outcome::Dismiss(window) => {
                self.scene.dismiss(window);
                self.look();
            }
            Outcome::Attention(shown) => {
                tracing::info!("secure attention {}", if shown { "begins" } else { "ends" });
                self.scene.set_attention(shown);
            }
            // A locked session ends only when it is unlocked.
            Outcome::Command(_) if self.scene.locked() => {}
            Outcome::Command(Command::NextGuest) => self.cycle(false),
            Outcome::Command(Command::PreviousGuest) => self.cycle(true),
            Outcome::Command(Command::FullScreen) => {
                let window = self.desk.seat.focus().filter(|_| self.scene.fullscreen().is_none());
                self.scene.set_fullscreen(window);
                self.look();
            }
            Outcome::Command(Command::Region(region)) => self.size_focused(Wanted::Region(region)),
            Outcome::Command(Command::Minimise) => {
                if let Some(window) = self.desk.seat.focus() {
                    self.scene.set_minimised(window, true);
                    self.look();
                }
            }
            Outcome::Command(Command::Help) => {
                if !self.scene.end_notice() {
                    self.scene.toggle_help();
                }
            }
            Outcome::Command(Command::Tile) => self.scene.toggle_tiling(),
            Outcome::Command(Command::FirstTile) => {
                if let Some(window) = self.desk.seat.focus() {
                    self.scene.tile_first(window);
                }
            }
            Outcome::Command(Command::Close) => self.close_focused(),
            Outcome::Command(Command::NaturalSize) => self.size_focused(Wanted::Natural),
            Outcome::Command(Command::NextFit) => {
                if let Some(window) = self.desk.seat.focus() {
                    self.scene.next_fit(window);
                    self.look();
                }
            }
            Outcome::Command(Command::Workspace(workspace)) => self.show_workspace(workspace),
            Outcome::Command(Command::Send(workspace)) => self.send_focused(workspace),
            Outcome::Command(Command::Program(which)) => self.start_bound(which),
            Outcome::Command(Command::Terminate) => {
                tracing::info!("the session ends, as the user's keys say");
                self.terminate = true;
            }
        }
    }

    fn size_focused(&mut self, wanted: Wanted) {
        if let Some(window) = self.desk.seat.focus() {
            self.size_window(window, wanted);
        }
    }

    /// Gives windows the tiles that they should have.
    pub(super) fn tile_windows(&mut self) {
        for (window, wanted) in self.scene.tiles() {
            self.size_window(window, wanted);
        }
    }

    pub(super) fn size_window(&mut self, window: WindowId, wanted: Wanted) {
        let size = self.scene.size_window(window, wanted);
        self.ask_client(window, size);
        self.look();
    }

    /// Gives the next or previous guest the focus; full screen stays full screen.
    fn cycle(&mut self, back: bool) {
        let full_screen = self.scene.fullscreen().is_some();
        let guests = self.guests_to_focus(full_screen);
        let focus = self.desk.seat.focus();
        let current = guests.iter().position(|windows| focus.is_some_and(|focus| windows.contains(&focus)));
        let count = guests.len();
        let next = match (current, back) {
            (Some(index), false) => (index + 1) % count.max(1),
            (Some(0) | None, true) => count.saturating_sub(1),
            (Some(index), true) => index - 1,
            (None, false) => 0,
        };
        let Some(window) = guests.get(next).and_then(|windows| windows.first().copied()) else { return };
        self.scene.set_minimised(window, false);
        self.look();
        if full_screen {
            self.scene.set_fullscreen(Some(window));
            self.look();
        }
        self.desk.seat.focus_window(window);
    }

    /// The windows of each guest that may have the focus, by the order in which they came.
    fn guests_to_focus(&self, hidden_too: bool) -> Vec<Vec<WindowId>> {
        let world = self.desk.seat.world();
        let workspace = self.scene.workspace();
        let may = |window: &WindowId| {
            let policy = world.target(*window).map(|target| target.policy.allowed);
            let allowed = policy.is_some_and(|allowed| allowed != crate::input::Allowed::View);
            let here = self.scene.workspace_of(*window) == Some(workspace);
            allowed && here && (hidden_too || world.is_shown(*window) || self.scene.is_minimised(*window))
        };
        let links = self.registry.devices_by_key().filter_map(|(_, entry)| entry.link());
        let mut guests: Vec<Vec<WindowId>> =
            links.map(|link| link.windows().filter(|window| may(window)).collect()).collect();
        let clients = self.clients.iter().flat_map(Clients::targets).filter(|target| !target.policy.dock);
        let clients = clients.map(|target| target.window);
        guests.extend(clients.filter(may).map(|window| vec![window]));
        guests.retain(|windows| !windows.is_empty());
        guests.sort();
        guests
    }

    /// Hands over what is pending, with one call for what goes to one window in a row.
    fn tell_guests(&mut self, now: Time) {
        let pending = std::mem::take(&mut self.desk.pending);
        for run in pending.chunk_by(|one, next| one.0 == next.0) {
            let Some((window, _)) = run.first() else { continue };
            for part in run.split_inclusive(|(_, telling)| matches!(telling, Telling::FocusLost)) {
                let events: Vec<Input> = part.iter().filter_map(|(_, telling)| telling.event()).collect();
                let lost = part.iter().any(|(_, telling)| matches!(telling, Telling::FocusLost));
                let context = &mut context!(self, now);
                if !events.is_empty() {
                    self.registry.input(*window, &events, context);
                }
                if lost {
                    self.registry.focus_lost(*window, context);
                }
            }
        }
    }

    /// What `grantway msg input` asks for.
    pub(super) fn control_input(
        &mut self,
        guest: Option<&GuestSelector>,
        connector: usize,
        action: &InputAction,
        now: Time,
    ) -> Result<(), String> {
        self.refresh_input(now);
        let result = match guest {
            None => self.seat_input(action),
            Some(guest) => {
                let window = self.window_of(guest, connector)?;
                self.guest_input(window, action).map_err(|why| format!("{guest}: {why}"))
            }
        };
        self.refresh_input(now);
        result
    }

    /// As if a device had reported it.
    fn seat_input(&mut self, action: &InputAction) -> Result<(), String> {
        let kinds = match action {
            InputAction::Key { code, pressed } => {
                press(*code, *pressed).into_iter().map(|(code, pressed)| InputKind::Key { code, pressed }).collect()
            }
            InputAction::Text(text) => {
                self.text_keys(text)?.into_iter().map(|(code, pressed)| InputKind::Key { code, pressed }).collect()
            }
            InputAction::Pointer { x, y } => vec![InputKind::Position(self.fraction(*x, *y)?)],
            InputAction::Motion { dx, dy } => {
                let (dx, dy) = (dx.saturating_mul(PARTS), dy.saturating_mul(PARTS));
                vec![InputKind::Motion { dx, dy, raw_dx: dx, raw_dy: dy }]
            }
            InputAction::Wheel { v120 } => vec![InputKind::Wheel { axis: Axis::Vertical, v120: *v120 }],
            InputAction::Touch { contact, phase, x, y } => {
                let place = || self.fraction(*x, *y);
                let event = match phase {
                    TouchPhase::Down => TouchEvent::Down(place()?),
                    TouchPhase::Motion => TouchEvent::Motion(place()?),
                    TouchPhase::Up => TouchEvent::Up,
                };
                vec![InputKind::Touch { contact: *contact, event }, InputKind::TouchFrame]
            }
        };
        for kind in kinds {
            self.user_did(InputEvent { device: InputDevice::CONTROL, time_us: 0, kind });
        }
        Ok(())
    }

    /// The middle of a pixel of the plane of all outputs.
    fn fraction(&self, x: i32, y: i32) -> Result<Fraction, String> {
        let size = self.desk.seat.world().stage.size();
        let part = |at: i32, whole: i32| {
            let (at, whole) = (u64::try_from(at).ok()?, u64::try_from(whole).ok()?);
            u32::try_from(((2 * at + 1) << 31).checked_div(whole)?).ok()
        };
        part(x, size.width).zip(part(y, size.height)).map(|(x, y)| Fraction { x, y }).ok_or_else(|| {
            format!("{x},{y} is not on the outputs, which are {}x{} pixels in all", size.width, size.height)
        })
    }

    /// To one guest, past the focus.
    fn guest_input(&mut self, window: WindowId, action: &InputAction) -> Result<(), String> {
        let key = |(code, pressed)| GuestEvent::Key { code, pressed };
        let events = match action {
            InputAction::Key { code, pressed } => press(*code, *pressed).into_iter().map(key).collect(),
            InputAction::Text(text) => self.text_keys(text)?.into_iter().map(key).collect(),
            InputAction::Pointer { x, y } => vec![GuestEvent::Position { x: *x, y: *y }],
            InputAction::Motion { dx, dy } => vec![GuestEvent::Motion { dx: *dx, dy: *dy }],
            InputAction::Wheel { v120 } => vec![GuestEvent::Wheel { clicks: v120.saturating_neg() / 120 }],
            InputAction::Touch { contact, phase, x, y } => {
                let (contact, x, y) = (*contact, *x, *y);
                let event = match phase {
                    TouchPhase::Down => GuestEvent::TouchDown { contact, x, y },
                    TouchPhase::Motion => GuestEvent::TouchMotion { contact, x, y },
                    TouchPhase::Up => GuestEvent::TouchUp { contact },
                };
                vec![event, GuestEvent::TouchSync]
            }
        };
        for event in events {
            self.desk.seat.inject(window, event).map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    /// The keys of a text, each with whether it goes down.
    fn text_keys(&self, text: &str) -> Result<Vec<(u32, bool)>, String> {
        let keymap = self.desk.keymap.as_ref().ok_or("Dom0's keyboard layout could not be read; see the log")?;
        let strokes = keymap.type_text(text).map_err(|letter| {
            format!(
                "Dom0's keyboard layout has no key for \"{}\"; see [input] in the configuration",
                letter.escape_default()
            )
        })?;
        let typed = strokes.into_iter().flat_map(|keys| {
            let down = keys.iter().map(|code| (*code, true));
            down.chain(keys.iter().rev().map(|code| (*code, false)))
        });
        Ok(typed.collect())
    }
}

/// Down, up, or both.
fn press(code: u32, pressed: Option<bool>) -> Vec<(u32, bool)> {
    pressed.map_or_else(|| vec![(code, true), (code, false)], |pressed| vec![(code, pressed)])
}

fn device_of(owner: Owner, capabilities: Capabilities) -> Device {
    let pointer = match capabilities {
        Capabilities { absolute: Some(_), .. } => Some(PointerKind::Absolute),
        Capabilities { relative: true, .. } => Some(PointerKind::Relative),
        _ => None,
    };
    let contacts = capabilities.touch.map_or(0, |touch| u32::from(touch.contacts));
    Device { owner, keyboard: capabilities.keyboard, pointer, contacts, beyond: false }
}

fn wire_event(event: GuestEvent) -> Input {
    let touch = |id, event| Input::Touch(Contact { id, event });
    match event {
        GuestEvent::Key { code, pressed } => Input::Key { code, pressed },
        GuestEvent::Motion { dx, dy } => Input::Motion { dx, dy },
        GuestEvent::Wheel { clicks } => Input::Wheel { clicks },
        GuestEvent::Position { x, y } => Input::Position { x, y },
        GuestEvent::TouchDown { contact, x, y } => touch(contact, ContactEvent::Down { x, y }),
        GuestEvent::TouchMotion { contact, x, y } => touch(contact, ContactEvent::Motion { x, y }),
        GuestEvent::TouchUp { contact } => touch(contact, ContactEvent::Up),
        GuestEvent::TouchSync => Input::TouchSync,
    }
}

impl Telling {
    const fn event(&self) -> Option<Input> {
        match self {
            Self::Event(event) => Some(*event),
            Self::FocusLost => None,
        }
    }
}

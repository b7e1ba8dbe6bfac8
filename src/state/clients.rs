// SPDX-License-Identifier: GPL-3.0-or-later
//! Between Dom0's own clients and everything else: their windows are put into the scene beside the guests', paced as
//! those are, and get input by the same rules.

use std::collections::BTreeMap;

use crate::backend::OutputId;
use crate::control::ClientStatus;
use crate::guest::FlipToken;
use crate::input::{Allowed, Device, GuestEvent, Owner, PointerKind, Policy, Target};
use crate::scene::cursor::Look;
use crate::scene::element::{Rect, Size};
use crate::scene::layout::Region;
use crate::scene::{ClientLabel, Wanted, WindowId};
use crate::time::Time;
use crate::wayland::{Event, ToplevelId, Wayland};

use super::lock::Covering;
use super::{Ready, State};

/// All clients are one owner for the seat: Wayland has one keyboard and one pointer for all of them. Guests' devices
/// are counted from 0.
const OWNER: Owner = Owner(u64::MAX);

/// Fingers at once.
const CONTACTS: u32 = 10;

/// What waits to be presented.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paced {
    /// A guest's flip.
    Flip(FlipToken),
    /// A client's commit.
    Client(ToplevelId),
}

/// The clients, and which of their windows is which of the scene's.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) wayland: Wayland,
    windows: BTreeMap<WindowId, ToplevelId>,
    /// Those that are docks, and whether they take keys.
    docks: BTreeMap<WindowId, bool>,
    pub(super) covering: Covering,
    /// The window that had the focus when the session was locked.
    pub(super) before_lock: Option<WindowId>,
}

impl Clients {
    pub(super) fn new(wayland: Wayland) -> Self {
        let (windows, docks) = (BTreeMap::new(), BTreeMap::new());
        Self { wayland, windows, docks, covering: Covering::default(), before_lock: None }
    }

    pub(super) fn window(&self, toplevel: ToplevelId) -> Option<WindowId> {
        self.windows.iter().find(|(_, other)| **other == toplevel).map(|(window, _)| *window)
    }

    /// The client's window that a window of the scene is.
    pub(super) fn toplevel(&self, window: WindowId) -> Option<ToplevelId> {
        self.windows.get(&window).copied()
    }

    /// Their windows, as the seat has to know them.
    pub(super) fn targets(&self) -> impl Iterator<Item = Target> {
        let pointer = Some(PointerKind::Absolute);
        let device = Device { owner: OWNER, keyboard: true, pointer, contacts: CONTACTS, beyond: true };
        let target = move |window: &WindowId| {
            let dock = self.docks.get(window);
            let allowed = if dock == Some(&false) { Allowed::Pointer } else { Allowed::All };
            let policy = Policy { allowed, dock: dock.is_some(), ..Policy::default() };
            Target { window: *window, policy, device: Some(device) }
        };
        self.windows.keys().map(target)
    }

    /// Whether a window is no window for the user, but a part of the desktop.
    pub(super) fn is_dock(&self, window: WindowId) -> bool {
        self.docks.contains_key(&window)
    }

    fn label(&self, toplevel: ToplevelId) -> ClientLabel {
        let (title, app) = self.wayland.names(toplevel);
        ClientLabel { title, app }
    }
}

impl State {
    /// Takes in what clients did.
    pub(super) fn follow_clients(&mut self, ready: Ready) {
        let Some(clients) = &mut self.clients else { return };
        if ready.contains(Ready::CLIENTS) {
            clients.wayland.dispatch();
        }
        for event in clients.wayland.take_events() {
            self.client_did(event);
        }
    }

    fn client_did(&mut self, event: Event) {
        let Some(clients) = &mut self.clients else { return };
        match event {
            Event::Mapped { window, picture } => {
                let id = self.scene.add_client(clients.label(window), picture);
                clients.windows.insert(id, window);
                if clients.wayland.is_dialog(window) {
                    self.scene.float(id);
                }
            }
            Event::Picture { window, picture } => {
                if let Some(id) = clients.window(window) {
                    self.scene.show_picture(id, picture);
                }
            }
            Event::Docked { window, dock, keyboard, picture } => {
                let id = match clients.window(window) {
                    Some(id) => {
                        self.scene.change_dock(id, dock, picture);
                        id
                    }
                    None => self.scene.add_dock(dock, picture),
                };
                clients.windows.insert(id, window);
                clients.docks.insert(id, keyboard);
            }
            Event::Free { output, part } => {
                for (id, size) in self.scene.set_free(output, part) {
                    self.ask_client(id, Some(size));
                }
            }
            Event::Locked(locked) => self.set_locked(locked),
            Event::Renamed(window) => {
                if let Some(id) = clients.window(window) {
                    self.scene.rename_client(id, clients.label(window));
                }
            }
            Event::Unmapped(window) => {
                if let Some(id) = clients.window(window) {
                    self.scene.remove_window(id);
                    self.scene.remove_dock(id);
                    clients.windows.remove(&id);
                    clients.docks.remove(&id);
                }
            }
            Event::Hold { window, button, edges } => {
                if let Some(id) = clients.window(window) {
                    self.desk.seat.hold_as_asked(id, button, edges);
                }
            }
            Event::Whole { window, whole } => {
                if let Some(id) = clients.window(window) {
                    self.set_whole(id, whole);
                }
            }
            Event::Expected(_) if self.desk.seat.holds_anything() => {}
            Event::Activate(window) | Event::Expected(window) => {
                if let Some(id) = clients.window(window) {
                    self.activate(id);
                }
            }
            Event::Capture(output) => self.capture(output),
            Event::Thumbnail { window, thumbnail } => self.give_thumbnail(window, thumbnail),
            Event::Wish { window, wish } => self.fulfil(window, wish),
            Event::Minimise(window) => {
                if let Some(id) = clients.window(window) {
                    self.scene.set_minimised(id, true);
                }
            }
        }
    }

    /// Gives a window all of its output, or what it had before, if it has not that already.
    pub(super) fn set_whole(&mut self, window: WindowId, whole: bool) {
        if (self.scene.region(window) == Some(Region::Whole)) != whole {
            self.size_window(window, Wanted::Region(Region::Whole));
        }
    }

    /// A client hands the keyboard on. Nothing that is full screen is left for that.
    pub(super) fn activate(&mut self, window: WindowId) {
        if self.desk.seat.attention() {
            return;
        }
        self.scene.set_minimised(window, false);
        self.look();
        if self.desk.seat.world().may_focus(window) {
            self.scene.raise(window);
            self.desk.seat.focus_window(window);
        }
    }

    /// Hands new commits to the outputs that show them.
    pub(super) fn pace_clients(&mut self, now: Time) {
        let Self { clients: Some(clients), power, .. } = self else { return };
        for (window, toplevel) in &clients.windows {
            let output = self.scene.placement(*window).map(|(output, _)| output);
            clients.wayland.set_place(*toplevel, output);
            clients.wayland.set_region(*toplevel, self.scene.region(*window));
        }
        for toplevel in clients.wayland.take_waiting() {
            let Some(window) = clients.window(toplevel) else {
                clients.wayland.shown(toplevel, now);
                continue;
            };
            let output = self.scene.sight(window).filter(|output| !power.is_off(*output));
            self.pacing.flip(output, window, Paced::Client(toplevel), now);
        }
    }

    /// A client's commit is on the display.
    pub(super) fn client_shown(&mut self, toplevel: ToplevelId, now: Time) {
        if let Some(clients) = &mut self.clients {
            clients.wayland.shown(toplevel, now);
        }
    }

    /// A frame is on its way to an output: clients whose windows are in it hear when it is shown.
    pub(super) fn clients_drawn(&mut self, output: OutputId) {
        let Some(clients) = self.clients.as_mut().filter(|_| !self.scene.attention()) else { return };
        for toplevel in clients.wayland.undrawn() {
            let window = clients.window(toplevel);
            if window.is_some_and(|window| self.scene.sight(window) == Some(output)) {
                clients.wayland.drawn(toplevel, output);
            }
        }
    }

    /// An output was switched off, and with it the frame that was on its way.
    pub(super) fn clients_dark(&mut self, output: OutputId) {
        if let Some(clients) = &mut self.clients {
            clients.wayland.went_dark(output);
        }
    }

    /// Whether a client wants the displays to stay on whose window is seen.
    pub(super) fn clients_stay_awake(&self) -> bool {
        let wakeful = self
            .clients
            .iter()
            .flat_map(|clients| clients.wayland.wakeful().filter_map(|toplevel| clients.window(toplevel)));
        wakeful.into_iter().any(|window| self.lit_sight(window).is_some())
    }

    /// That frame is shown.
    pub(super) fn clients_presented(&mut self, output: OutputId, time: Time, sequence: u64) {
        self.lock_presented(output);
        if let Some(clients) = &mut self.clients {
            clients.wayland.presented(output, time, sequence);
        }
    }

    /// Tells a client what the user does; whether the window is a client's.
    pub(super) fn tell_client(&mut self, window: WindowId, event: GuestEvent) -> bool {
        let Some(clients) = &mut self.clients else { return false };
        let Some(toplevel) = clients.toplevel(window) else { return false };
        let corner = self.desk.seat.world().stage.spot(window).map(|spot| (spot.content.x, spot.content.y));
        clients.wayland.tell(toplevel, corner.unwrap_or_default(), event, self.now);
        true
    }

    /// If the window is a client's, that is to draw it in this size, or in its own.
    pub(super) fn ask_client(&mut self, window: WindowId, size: Option<Size>) {
        if let Some(clients) = &mut self.clients
            && let Some(toplevel) = clients.toplevel(window)
        {
            clients.wayland.configure(toplevel, size);
        }
    }

    pub(super) fn close_focused(&mut self) {
        if let Some(window) = self.desk.seat.focus() {
            self.close(window);
        }
    }

    /// A client is asked to close its window. A guest's is its display, and there as long as the guest is.
    pub(super) fn close(&mut self, window: WindowId) {
        match &mut self.clients {
            Some(clients) if clients.toplevel(window).is_some() => {
                clients.toplevel(window).into_iter().for_each(|toplevel| clients.wayland.close(toplevel));
            }
            _ => tracing::info!(
                "a guest's window can't be closed: it is the guest's display; `xl shutdown` ends the guest"
            ),
        }
    }

    /// The focus is at this window, a client's or not.
    pub(super) fn focus_client(&mut self, window: Option<WindowId>) {
        if let Some(clients) = &mut self.clients {
            let toplevel = window.and_then(|window| clients.toplevel(window));
            if window.is_some() && toplevel.is_none() {
                clients.wayland.focus_elsewhere();
            }
            clients.wayland.focus(toplevel);
        }
    }

    /// The pointer is where it is: a client that it has left is told so.
    pub(super) fn point_at_client(&mut self) {
        if let Some(clients) = &mut self.clients {
            let over = self.desk.seat.pointed().is_some_and(|window| clients.toplevel(window).is_some());
            if !over {
                clients.wayland.pointer_left(self.now);
            }
        }
    }

    /// What the pointer looks like where it is, if it is to be seen: as a client wants it, over that client's window. A
    /// client's own picture lies over that alone, so over no label.
    pub(super) fn cursor_look(&self, place: (i32, i32)) -> Option<Look> {
        let world = self.desk.seat.world();
        let over = self.desk.seat.pointed().filter(|window| world.content_at(place) == Some(*window));
        let window = over.filter(|_| !self.desk.seat.attention());
        let clients = self.clients.as_ref();
        let theirs = window.and_then(|window| Some((window, clients?.wayland.cursor(clients?.toplevel(window)?))));
        match theirs {
            Some((window, Some(Look::Client(cursor)))) => {
                let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
                let (x, y) = (place.0.saturating_sub(cursor.hotspot.0), place.1.saturating_sub(cursor.hotspot.1));
                let part = Rect { x, y, width: side(cursor.picture.width), height: side(cursor.picture.height) };
                let alone = world.stage.shows_only(window, &part);
                Some(if alone { Look::Client(cursor) } else { Look::default() })
            }
            Some((_, look)) => look,
            None => Some(Look::default()),
        }
    }

    pub(super) fn flush_clients(&mut self) {
        if let Some(clients) = &mut self.clients {
            clients.wayland.flush();
        }
    }

    pub(super) fn client_statuses(&self) -> Vec<ClientStatus> {
        let Some(clients) = &self.clients else { return Vec::new() };
        let outputs = self.presentation.outputs();
        let status = |(window, toplevel): (&WindowId, &ToplevelId)| {
            let (title, app) = clients.wayland.names(*toplevel);
            let placement = self.scene.placement(*window);
            let output = placement.and_then(|(id, _)| outputs.iter().find(|output| output.id == id));
            let content = placement.map(|(_, content)| super::kiosk::area_status(content));
            let keyboard = self.desk.seat.marked() == Some(*window);
            let surface = clients.wayland.surface_number(*toplevel);
            ClientStatus { surface, title, app, output: output.map(|output| output.name.clone()), content, keyboard }
        };
        clients.windows.iter().filter(|(window, _)| !clients.is_dock(**window)).map(status).collect()
    }
}

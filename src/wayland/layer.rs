// SPDX-License-Identifier: GPL-3.0-or-later
//! Panels, wallpapers and launchers: privileged clients' parts of the desktop (`wlr-layer-shell`).
//!
//! One that wants the keyboard for itself is a window like others, in a frame of ours; the rest are docks, without a
//! frame, and never over a guest (docs/decisions/0018-docks.md).

use std::cmp::Reverse;
use std::rc::Rc;

use smithay::delegate_layer_shell;
use smithay::output::Output;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::wlr_layer::{
    Anchor, ExclusiveZone, KeyboardInteractivity, Layer, LayerSurface, LayerSurfaceCachedState, WlrLayerShellHandler,
    WlrLayerShellState,
};
use smithay::wayland::shell::xdg::PopupSurface;

use super::role::Role;
use super::server::{Server, Toplevel, place_popup};
use super::{Event, ToplevelId};
use crate::backend::OutputId;
use crate::scene::dock::{Along, Dock, Level, Wish, Zone};
use crate::scene::element::{Pixmap, Rect, Size};

/// How many surfaces all clients together may have on outputs.
const MOST: usize = 64;

/// An output, as clients see it.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) id: OutputId,
    pub(super) output: Output,
    pub(super) size: Size,
    /// What docks leave of it.
    free: Rect,
}

/// A part of the desktop.
#[derive(Debug)]
pub(super) struct LayerRole {
    pub(super) surface: LayerSurface,
    output: OutputId,
    pub(super) namespace: String,
    /// Where it goes.
    rect: Rect,
    /// How it was shown last.
    shown: Option<Kind>,
}

/// How a part of the desktop is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// At its place, with or without the keyboard when it is clicked at.
    Dock { dock: Dock, keyboard: bool },
    /// As a window in a frame of ours.
    Window,
}

impl LayerRole {
    fn state(&self) -> LayerSurfaceCachedState {
        with_states(self.surface.wl_surface(), |states| *states.cached_state.get::<LayerSurfaceCachedState>().current())
    }

    fn kind(&self) -> Kind {
        let state = self.state();
        let level = level(state.layer);
        let in_front = matches!(level, Level::Top | Level::Overlay);
        if in_front && state.keyboard_interactivity == KeyboardInteractivity::Exclusive {
            return Kind::Window;
        }
        let keyboard = state.keyboard_interactivity != KeyboardInteractivity::None;
        Kind::Dock { dock: Dock { output: self.output, level, rect: self.rect }, keyboard }
    }

    /// Whether its client wants keys at all.
    pub(super) fn takes_keys(&self) -> bool {
        self.state().keyboard_interactivity != KeyboardInteractivity::None
    }

    /// How it is shown from now on, and how it was before.
    pub(super) fn show(&mut self) -> (Kind, Option<Kind>) {
        let kind = self.kind();
        (kind, self.shown.replace(kind))
    }
}

const fn level(layer: Layer) -> Level {
    match layer {
        Layer::Background => Level::Background,
        Layer::Bottom => Level::Bottom,
        Layer::Top => Level::Top,
        Layer::Overlay => Level::Overlay,
    }
}

/// A client may draw itself in another size than it was asked for.
fn as_drawn(dock: Dock, picture: &Pixmap) -> Dock {
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    Dock { rect: Rect { width: side(picture.width), height: side(picture.height), ..dock.rect }, ..dock }
}

fn wish(state: &LayerSurfaceCachedState) -> Wish {
    let edge = |anchor, margin| state.anchor.contains(anchor).then_some(margin);
    let LayerSurfaceCachedState { size, margin, .. } = *state;
    let across =
        Along { length: size.w, start: edge(Anchor::LEFT, margin.left), end: edge(Anchor::RIGHT, margin.right) };
    let down = Along { length: size.h, start: edge(Anchor::TOP, margin.top), end: edge(Anchor::BOTTOM, margin.bottom) };
    let zone = match state.exclusive_zone {
        ExclusiveZone::Exclusive(pixels) => Zone::Own(i32::try_from(pixels).unwrap_or(i32::MAX)),
        ExclusiveZone::Neutral => Zone::Beside,
        ExclusiveZone::DontCare => Zone::Anywhere,
    };
    Wish { across, down, zone }
}

impl Server {
    /// The outputs are others now. What was on one that is gone is closed.
    pub(super) fn set_screens(&mut self, screens: Vec<(OutputId, Output, Size)>) {
        let screen = |(id, output, size): (OutputId, Output, Size)| {
            let free = Rect { x: 0, y: 0, width: size.width, height: size.height };
            Screen { id, output, size, free }
        };
        self.screens = screens.into_iter().map(screen).collect();
        let there = |output: OutputId| self.screens.iter().any(|screen| screen.id == output);
        let lost = |(_, toplevel): &(&ToplevelId, &Toplevel)| {
            toplevel.surface.layer().is_some_and(|layer| !there(layer.output))
        };
        let lost: Vec<ToplevelId> = self.toplevels.iter().filter(lost).map(|(id, _)| *id).collect();
        for id in lost {
            if let Some(toplevel) = self.toplevels.get(&id) {
                toplevel.surface.send_close();
            }
            self.forget(id);
        }
        for screen in &self.screens {
            self.events.push(Event::Free { output: screen.id, part: screen.free });
        }
        self.resize_locks();
        self.arrange();
    }

    /// Says where each part of the desktop is: those that keep something for themselves first, the foremost before the
    /// others.
    pub(super) fn arrange(&mut self) {
        for screen in &mut self.screens {
            let Size { width, height } = screen.size;
            let mut free = Rect { x: 0, y: 0, width, height };
            let on_it = |(id, toplevel): (&ToplevelId, &mut Toplevel)| {
                let mapped = toplevel.picture.is_some();
                let state = toplevel.surface.layer().filter(|layer| layer.output == screen.id)?.state();
                Some((*id, mapped, state))
            };
            let mut layers: Vec<_> = self.toplevels.iter_mut().filter_map(on_it).collect();
            let own = |state: &LayerSurfaceCachedState| matches!(state.exclusive_zone, ExclusiveZone::Exclusive(_));
            layers.sort_by_key(|(id, _, state)| (!own(state), Reverse(level(state.layer)), *id));
            for (id, mapped, state) in layers {
                let wish = wish(&state);
                let rect = wish.place(screen.size, free);
                if mapped {
                    free = wish.leaves(free);
                }
                let Some(Toplevel { surface: Role::Layer(layer), .. }) = self.toplevels.get_mut(&id) else { continue };
                layer.rect = rect;
                layer.surface.with_pending_state(|state| state.size = Some((rect.width, rect.height).into()));
            }
            if screen.free != free {
                screen.free = free;
                self.events.push(Event::Free { output: screen.id, part: free });
            }
        }
        self.show_moved();
    }

    /// One shows something.
    pub(super) fn layer_committed(&mut self, id: ToplevelId, picture: Pixmap) {
        let Some(toplevel) = self.toplevels.get_mut(&id) else { return };
        let Role::Layer(layer) = &mut toplevel.surface else { return };
        let same = toplevel.picture.as_deref() == Some(&picture);
        let (kind, before) = layer.show();
        let was_shown = before.filter(|_| toplevel.picture.is_some());
        if same && was_shown == Some(kind) {
            return;
        }
        let picture = Rc::new(picture);
        let new = toplevel.picture.replace(Rc::clone(&picture)).is_none();
        let turned = was_shown.is_some_and(|before| (before == Kind::Window) != (kind == Kind::Window));
        self.events.extend(turned.then_some(Event::Unmapped(id)));
        match kind {
            Kind::Dock { dock, keyboard } => {
                let dock = as_drawn(dock, &picture);
                self.events.push(Event::Docked { window: id, dock, keyboard, picture });
            }
            Kind::Window if was_shown.is_some() && !turned => self.events.push(Event::Picture { window: id, picture }),
            Kind::Window => {
                self.events.push(Event::Mapped { window: id, picture });
                self.events.push(Event::Activate(id));
            }
        }
        if new {
            self.arrange();
        }
    }

    /// Docks that are shown, and are somewhere else now.
    fn show_moved(&mut self) {
        for (id, toplevel) in &mut self.toplevels {
            let (Role::Layer(layer), Some(picture)) = (&mut toplevel.surface, &toplevel.picture) else { continue };
            let kind = layer.kind();
            if let (Some(Kind::Dock { .. }), Kind::Dock { dock, keyboard }) = (layer.shown, kind)
                && layer.shown.replace(kind) != Some(kind)
            {
                let dock = as_drawn(dock, picture);
                self.events.push(Event::Docked { window: *id, dock, keyboard, picture: Rc::clone(picture) });
            }
        }
    }
}

impl WlrLayerShellHandler for Server {
    fn shell_state(&mut self) -> &mut WlrLayerShellState {
        &mut self.layers
    }

    fn new_layer_surface(&mut self, surface: LayerSurface, output: Option<WlOutput>, _layer: Layer, namespace: String) {
        let wanted = output.as_ref().and_then(Output::from_resource);
        let of = |screen: &&Screen| wanted.as_ref().is_none_or(|wanted| *wanted == screen.output);
        let count = self.toplevels.values().filter(|toplevel| toplevel.surface.layer().is_some()).count();
        let Some(screen) = self.screens.iter().find(of).filter(|_| count < MOST) else {
            tracing::debug!(count, "no place for a part of the desktop");
            return surface.send_close();
        };
        let layer = LayerRole { surface, output: screen.id, namespace, rect: Rect::default(), shown: None };
        self.add(Role::Layer(layer));
    }

    /// It lies within its parent's content, as a window's does.
    fn new_popup(&mut self, _parent: LayerSurface, popup: PopupSurface) {
        let positioner = popup.with_pending_state(|state| state.positioner);
        place_popup(&popup, positioner);
    }

    fn layer_destroyed(&mut self, surface: LayerSurface) {
        if let Some(id) = self.toplevel_of(surface.wl_surface()) {
            self.forget(id);
            self.arrange();
        }
    }
}

delegate_layer_shell!(Server);

// SPDX-License-Identifier: GPL-3.0-or-later
//! The list of all windows, guests' among them, for privileged clients such as panels
//! (`wlr-foreign-toplevel-management`), and what those want done with them.

use std::collections::BTreeMap;

use smithay::output::Output;
use smithay::reexports::wayland_protocols_wlr::foreign_toplevel::v1::server::zwlr_foreign_toplevel_handle_v1::{
    self as handle, ZwlrForeignToplevelHandleV1,
};
use smithay::reexports::wayland_protocols_wlr::foreign_toplevel::v1::server::zwlr_foreign_toplevel_manager_v1::{
    self as manager, ZwlrForeignToplevelManagerV1,
};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::Event;
use super::privilege::is_privileged;
use super::server::Server;
use crate::backend::OutputId;

/// The protocol's version that we speak.
const VERSION: u32 = 3;

/// Lists at once; a further one is told that it is finished.
const MOST: usize = 32;

/// Names a window in the list; the caller's choice, and never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListedId(pub u64);

/// A window as the list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its label or title.
    pub title: String,
    /// Its application.
    pub app: String,
    /// The output that it is on.
    pub output: Option<OutputId>,
    /// It has all of its output, within its frame.
    pub maximised: bool,
    /// It is off the screen.
    pub minimised: bool,
    /// It has the keyboard.
    pub active: bool,
    /// It has all of its output, without a frame.
    pub full_screen: bool,
}

/// What is wanted of a listed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// In front, with the keyboard.
    Activate,
    /// Its client is to close it.
    Close,
    /// Off the screen, or no longer.
    Minimise(bool),
    /// All of its output within its frame, or no longer.
    Maximise(bool),
    /// All of its output without a frame, or no longer.
    FullScreen(bool),
    /// To another output, where it is on another one.
    Output(OutputId),
}

/// The lists that clients have.
#[derive(Debug, Default)]
pub(super) struct Listings {
    managers: Vec<Manager>,
}

#[derive(Debug)]
struct Manager {
    object: ZwlrForeignToplevelManagerV1,
    windows: BTreeMap<ListedId, Entry>,
}

/// A window in one client's list.
#[derive(Debug)]
struct Entry {
    object: ZwlrForeignToplevelHandleV1,
    /// What the client knows of it.
    told: Listed,
}

/// Offers the protocol, to those who may see it.
pub(super) fn announce(display: &DisplayHandle) {
    display.create_global::<Server, ZwlrForeignToplevelManagerV1, ()>(VERSION, ());
}

impl Listings {
    /// Whether anybody has a list.
    pub(super) const fn is_wanted(&self) -> bool {
        !self.managers.is_empty()
    }

    /// Tells everybody what has changed since the last call.
    pub(super) fn update(
        &mut self,
        display: &DisplayHandle,
        windows: &BTreeMap<ListedId, Listed>,
        output: impl Fn(OutputId) -> Option<Output>,
    ) {
        for manager in &mut self.managers {
            manager.forget(|id| windows.contains_key(id));
            for (id, window) in windows {
                manager.tell(display, *id, window, &output);
            }
        }
    }
}

impl Manager {
    fn forget(&mut self, is_there: impl Fn(&ListedId) -> bool) {
        self.windows.retain(|id, entry| {
            let there = is_there(id);
            if !there {
                entry.object.closed();
            }
            there
        });
    }

    fn tell(
        &mut self,
        display: &DisplayHandle,
        id: ListedId,
        window: &Listed,
        output: impl Fn(OutputId) -> Option<Output>,
    ) {
        if !self.windows.contains_key(&id) {
            let Some(object) = self.new_handle(display, id) else { return };
            // Nothing is known of it yet.
            object.title(window.title.clone());
            object.app_id(window.app.clone());
            let told = Listed { title: window.title.clone(), app: window.app.clone(), ..Listed::default() };
            object.state(states(&told, object.version()));
            if *window == told {
                object.done();
            }
            self.windows.insert(id, Entry { object, told });
        }
        if let Some(entry) = self.windows.get_mut(&id) {
            entry.tell(window, output);
        }
    }

    fn new_handle(&self, display: &DisplayHandle, id: ListedId) -> Option<ZwlrForeignToplevelHandleV1> {
        let client = self.object.client()?;
        let version = self.object.version();
        let created = client.create_resource::<ZwlrForeignToplevelHandleV1, _, Server>(display, version, id);
        let object = created.map_err(|error| tracing::debug!("a window can't be listed: {error}")).ok()?;
        self.object.toplevel(&object);
        Some(object)
    }
}

impl Entry {
    fn tell(&mut self, window: &Listed, output: impl Fn(OutputId) -> Option<Output>) {
        if self.told == *window {
            return;
        }
        let (object, told) = (&self.object, &self.told);
        if told.title != window.title {
            object.title(window.title.clone());
        }
        if told.app != window.app {
            object.app_id(window.app.clone());
        }
        if told.output != window.output {
            self.each_output(told.output.and_then(&output), |object, output| object.output_leave(output));
            self.each_output(window.output.and_then(&output), |object, output| object.output_enter(output));
        }
        let state = states(window, object.version());
        if states(told, object.version()) != state {
            object.state(state);
        }
        object.done();
        self.told = window.clone();
    }

    /// A client may have bound an output more than once.
    fn each_output(&self, output: Option<Output>, tell: impl Fn(&ZwlrForeignToplevelHandleV1, &WlOutput)) {
        if let (Some(output), Some(client)) = (output, self.object.client()) {
            output.client_outputs(&client).for_each(|output| tell(&self.object, &output));
        }
    }
}

/// The states as the protocol has them: native 32-bit numbers in a row.
fn states(window: &Listed, version: u32) -> Vec<u8> {
    let full_screen = window.full_screen && version >= handle::REQ_SET_FULLSCREEN_SINCE;
    let all = [
        (window.maximised, handle::State::Maximized),
        (window.minimised, handle::State::Minimized),
        (window.active, handle::State::Activated),
        (full_screen, handle::State::Fullscreen),
    ];
    all.into_iter().filter(|(is, _)| *is).flat_map(|(_, state)| u32::from(state).to_ne_bytes()).collect()
}

impl GlobalDispatch<ZwlrForeignToplevelManagerV1, ()> for Server {
    fn bind(
        state: &mut Self,
        _display: &DisplayHandle,
        _client: &Client,
        resource: New<ZwlrForeignToplevelManagerV1>,
        _data: &(),
        init: &mut DataInit<'_, Self>,
    ) {
        let object = init.init(resource, ());
        if state.listings.managers.len() >= MOST {
            return object.finished();
        }
        state.listings.managers.push(Manager { object, windows: BTreeMap::new() });
    }

    fn can_view(client: Client, _data: &()) -> bool {
        is_privileged(&client)
    }
}

impl Dispatch<ZwlrForeignToplevelManagerV1, ()> for Server {
    fn request(
        state: &mut Self,
        _client: &Client,
        resource: &ZwlrForeignToplevelManagerV1,
        request: manager::Request,
        _data: &(),
        _display: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
        if matches!(request, manager::Request::Stop) {
            state.listings.managers.retain(|manager| manager.object != *resource);
            resource.finished();
        }
    }

    fn destroyed(state: &mut Self, _client: ClientId, resource: &ZwlrForeignToplevelManagerV1, _data: &()) {
        state.listings.managers.retain(|manager| manager.object != *resource);
    }
}

impl Dispatch<ZwlrForeignToplevelHandleV1, ListedId> for Server {
    fn request(
        state: &mut Self,
        _client: &Client,
        _resource: &ZwlrForeignToplevelHandleV1,
        request: handle::Request,
        id: &ListedId,
        _display: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
        let wish = match request {
            handle::Request::Activate { .. } => Wish::Activate,
            handle::Request::Close => Wish::Close,
            handle::Request::SetMinimized => Wish::Minimise(true),
            handle::Request::UnsetMinimized => Wish::Minimise(false),
            handle::Request::SetMaximized => Wish::Maximise(true),
            handle::Request::UnsetMaximized => Wish::Maximise(false),
            handle::Request::SetFullscreen { .. } => Wish::FullScreen(true),
            handle::Request::UnsetFullscreen => Wish::FullScreen(false),
            // Nothing moves to where a panel shows a window.
            handle::Request::SetRectangle { .. } | handle::Request::Destroy | _ => return,
        };
        state.events.push(Event::Wish { window: *id, wish });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_numbers_in_a_row() {
        let window = Listed { minimised: true, full_screen: true, ..Listed::default() };
        let numbers = |version| {
            let bytes = states(&window, version);
            bytes.as_chunks::<4>().0.iter().map(|number| u32::from_ne_bytes(*number)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(3), [1, 3]);
        assert_eq!(numbers(1), [1], "full screen came with version 2");
    }
}

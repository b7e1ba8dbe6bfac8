// SPDX-License-Identifier: GPL-3.0-or-later
//! The list of windows, as a panel has it.

use std::collections::BTreeMap;

use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, event_created_child};
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_handle_v1::{
    self as handle, ZwlrForeignToplevelHandleV1,
};
use wayland_protocols_wlr::foreign_toplevel::v1::client::zwlr_foreign_toplevel_manager_v1::{
    self as manager, ZwlrForeignToplevelManagerV1,
};

use crate::desk::wait_for;
use crate::window::{Told, Window};
use crate::{BLUE, Dom0, RED};

/// What a panel knows, window by window.
#[derive(Default)]
pub(crate) struct List(BTreeMap<u32, Entry>);

struct Entry {
    object: ZwlrForeignToplevelHandleV1,
    title: String,
    app: String,
    states: Vec<u32>,
    outputs: i32,
}

impl Dispatch<ZwlrForeignToplevelManagerV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &ZwlrForeignToplevelManagerV1,
        event: manager::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let manager::Event::Toplevel { toplevel } = event {
            let entry = Entry {
                object: toplevel.clone(),
                title: String::new(),
                app: String::new(),
                states: Vec::new(),
                outputs: 0,
            };
            told.list.0.insert(toplevel.id().protocol_id(), entry);
        }
    }

    event_created_child!(Told, ZwlrForeignToplevelManagerV1, [
        manager::EVT_TOPLEVEL_OPCODE => (ZwlrForeignToplevelHandleV1, ()),
    ]);
}

impl Dispatch<ZwlrForeignToplevelHandleV1, ()> for Told {
    fn event(
        told: &mut Self,
        object: &ZwlrForeignToplevelHandleV1,
        event: handle::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let id = object.id().protocol_id();
        let Some(entry) = told.list.0.get_mut(&id) else { panic!("an event for a window that is closed") };
        match event {
            handle::Event::Title { title } => entry.title = title,
            handle::Event::AppId { app_id } => entry.app = app_id,
            handle::Event::State { state } => {
                entry.states = state.as_chunks::<4>().0.iter().map(|number| u32::from_ne_bytes(*number)).collect();
            }
            handle::Event::OutputEnter { .. } => entry.outputs += 1,
            handle::Event::OutputLeave { .. } => entry.outputs -= 1,
            handle::Event::Closed => drop(told.list.0.remove(&id)),
            _ => {}
        }
    }
}

const MAXIMISED: u32 = 0;
const MINIMISED: u32 = 1;
const ACTIVE: u32 = 2;
const FULL_SCREEN: u32 = 3;

impl Window {
    fn entry(&mut self, title: &str) -> Option<&Entry> {
        self.hear();
        self.told.list.0.values().find(|entry| entry.title == title)
    }

    fn wait_states(&mut self, title: &str, wanted: &[u32]) -> ZwlrForeignToplevelHandleV1 {
        wait_for(&format!("{title} to be {wanted:?}"), || {
            self.entry(title).filter(|entry| entry.states == wanted).map(|entry| entry.object.clone())
        })
    }
}

#[test]
fn a_panel_lists_guests_and_clients_and_does_with_them_what_the_user_wants() {
    let dom0 = Dom0::privileged();
    let mut panel = Window::open(&dom0.socket, "panel", (100, 50), RED);
    let mut notes = Window::open(&dom0.socket, "notes", (100, 50), BLUE);
    notes.toplevel.set_app_id("grantway.guest.web".to_owned());
    notes.hear();
    let handle = panel.queue.handle();
    let manager: ZwlrForeignToplevelManagerV1 = panel.globals.bind(&handle, 3..=3, ()).unwrap();
    let guest = "web (dom 1, connector 0)";
    let web = panel.wait_states(guest, &[]);
    let theirs = panel.wait_states("notes", &[ACTIVE]);
    assert_eq!(panel.entry(guest).unwrap().app, "grantway.guest.web");
    assert_eq!(panel.entry("notes").unwrap().app, "dom0.grantway.guest.web", "no client has a guest's name");
    assert_eq!(panel.told.list.0.len(), 3);
    assert_eq!(panel.entry(guest).unwrap().outputs, 1);

    // The guest: in front, all of the output, off the screen, and back.
    let seat = panel.seat.clone();
    web.activate(&seat);
    panel.wait_states(guest, &[ACTIVE]);
    web.set_maximized();
    panel.wait_states(guest, &[MAXIMISED, ACTIVE]);
    web.unset_maximized();
    panel.wait_states(guest, &[ACTIVE]);
    web.set_minimized();
    panel.wait_states(guest, &[MINIMISED]);
    assert_eq!(panel.entry(guest).unwrap().outputs, 0);
    web.set_fullscreen(None);
    web.unset_fullscreen();
    web.unset_minimized();
    web.activate(&seat);
    panel.wait_states(guest, &[ACTIVE]);
    web.set_fullscreen(None);
    panel.wait_states(guest, &[ACTIVE, FULL_SCREEN]);
    web.unset_fullscreen();
    // A guest's display is not closed.
    web.close();
    panel.wait_states(guest, &[ACTIVE]);

    theirs.close();
    panel.hear();
    notes.wait("close");
    drop(notes);
    wait_for("the end of a window", || panel.entry("notes").is_none().then_some(()));
    manager.stop();
    panel.hear();
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

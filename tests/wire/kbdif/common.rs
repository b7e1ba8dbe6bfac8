// SPDX-License-Identifier: GPL-3.0-or-later
//! A session with a frontend at its other end, for the kbdif tests.

use std::time::Duration;

use grantway::kbdif::limits::Limits;
use grantway::kbdif::session::Session;
use grantway::kbdif::wire::{EVENT, Event};
use grantway::kbdif::{Capabilities, Contact, ContactEvent, Input, TouchArea};
use grantway::sim::keyboard_front::view::{Devices, View};
use grantway::time::Time;
use grantway::xen::event_page::Layout;
use grantway::xen::front::{FrontEvents, HeapPages};

pub(crate) const SHIFT: u32 = 42;
pub(crate) const KEY_A: u32 = 30;
pub(crate) const BTN_LEFT: u32 = 0x110;

/// A guest that takes everything: absolute 640x480, touch with ten fingers.
pub(crate) const FULL: Capabilities = Capabilities {
    keyboard: true,
    pointer: true,
    relative: false,
    absolute: Some((640, 480)),
    raw_pointer: false,
    touch: Some(TouchArea { width: 640, height: 480, contacts: 10 }),
};

/// A guest with a relative pointer.
pub(crate) const RELATIVE: Capabilities = Capabilities { relative: true, absolute: None, touch: None, ..FULL };

pub(crate) struct Fixture {
    pub(crate) session: Session,
    pub(crate) front: FrontEvents<EVENT>,
    pub(crate) heap: HeapPages,
    pub(crate) view: View,
    pub(crate) now: Time,
    pub(crate) notifies: usize,
    pub(crate) seen: Vec<Event>,
}

fn devices(capabilities: Capabilities) -> Devices {
    Devices {
        keyboard: capabilities.keyboard,
        pointer: capabilities.pointer,
        absolute: capabilities.absolute.map(|(w, h)| (w.cast_signed(), h.cast_signed())),
        contacts: capabilities.touch.map_or(0, |area| area.contacts),
    }
}

impl Fixture {
    pub(crate) fn new(capabilities: Capabilities, limits: Limits) -> Self {
        let heap = HeapPages::new(1);
        let front = FrontEvents::new(heap.share(), Layout::KBDIF, 0).unwrap();
        let session = Session::new("guest \"web\" (dom 3)".into(), limits, capabilities, heap.share()).unwrap();
        let view = View::new(devices(capabilities));
        let now = Duration::from_secs(1000);
        Self { session, front, heap, view, now, notifies: 0, seen: Vec::new() }
    }

    pub(crate) fn full() -> Self {
        Self::new(FULL, Limits::default())
    }

    pub(crate) fn input(&mut self, events: &[Input]) {
        self.notifies += usize::from(self.session.input(events, self.now));
    }

    pub(crate) fn flush(&mut self) {
        self.notifies += usize::from(self.session.flush(self.now));
    }

    pub(crate) fn focus_lost(&mut self) {
        self.session.release_all();
        self.flush();
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.session.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.flush();
        }
    }

    /// The guest reads at most so many events.
    pub(crate) fn read(&mut self, most: usize) -> usize {
        for read in 0..most {
            let Some(packet) = self.front.pop().unwrap() else { return read };
            let event = Event::decode(&packet).expect("no unknown event is sent");
            self.view.take(event).expect("no event crashes a guest");
            self.seen.push(event);
        }
        most
    }

    /// The guest reads, and notifies us after each batch as Linux does, until nothing more comes.
    pub(crate) fn drain(&mut self) {
        for _ in 0..10_000 {
            let read = self.read(usize::MAX);
            if read > 0 {
                self.flush();
            } else if self.session.deadline().is_none() {
                return;
            }
            self.wait(Duration::from_millis(20));
        }
        panic!("it never ends: {:?}", self.session.status());
    }
}

pub(crate) fn key(code: u32, pressed: bool) -> Input {
    Input::Key { code, pressed }
}

pub(crate) fn touch(id: u32, event: ContactEvent) -> Input {
    Input::Touch(Contact { id, event })
}

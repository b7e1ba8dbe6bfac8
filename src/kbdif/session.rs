// SPDX-License-Identifier: GPL-3.0-or-later
//! One connected input device: what the user holds, what the guest was told, and what waits for room in the
//! guest's page.
//!
//! Events wait in order in a bounded queue while the page is full. Motion is merged there; when the queue is
//! full too, motion and presses are dropped, and releases are *owed*: a set that is bounded by what is held,
//! and is delivered after the queue. As long as anything is owed nothing new is queued, so order is kept. When
//! the focus is lost, all that waits is dropped, and what the guest was told to be down is owed its release.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;
use crate::xen::event_page::{EventPage, IN_PROD, Layout, Room};
use crate::xen::pages::{OutOfBounds, SharedPages};

use super::keys::{KeySet, is_button, is_key};
use super::limits::Limits;
use super::status::SessionStatus;
use super::touch::Contacts;
use super::wire::{EVENT, Event, RAW_MAX, TouchEvent};
use super::{Capabilities, Contact, ContactEvent, Input};

/// Longest time until a page that is full is looked at again without being told to.
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// A page that takes nothing at present.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    retry_at: Time,
    wait: Duration,
}

/// One connected input device.
#[derive(Debug)]
pub struct Session {
    label: String,
    limits: Limits,
    capabilities: Capabilities,
    page: EventPage<EVENT>,
    queue: VecDeque<Event>,
    down: KeySet,
    told: KeySet,
    owed: KeySet,
    contacts: Contacts,
    /// Touch events were queued since the last sync.
    frame_queued: bool,
    /// Touch events were written since the last sync.
    frame_open: bool,
    sync_due: bool,
    position: Option<(i32, i32)>,
    /// Something else than motion waits.
    urgent: bool,
    next_motion: Time,
    blocked: Option<Blocked>,
    warned: bool,
    counts: SessionStatus,
}

/// Moves a coordinate into `0..side`.
fn within(value: i32, side: u32) -> i32 {
    value.clamp(0, i32::try_from(side.saturating_sub(1)).unwrap_or(i32::MAX))
}

/// Scales a coordinate of `0..side` to `0..=RAW_MAX`.
fn raw(value: i32, side: u32) -> i32 {
    let last = i64::from(side.saturating_sub(1)).max(1);
    let scaled = i64::from(within(value, side)).saturating_mul(RAW_MAX.into()).div_euclid(last);
    i32::try_from(scaled).unwrap_or(RAW_MAX)
}

impl Session {
    /// Takes over the page of a frontend; `label` names the guest in the log.
    ///
    /// A page that was in use before, by a predecessor of this process, goes on where it stands, and its guest
    /// is told that each key, button and finger is up: nobody knows what it holds.
    ///
    /// # Errors
    /// [`OutOfBounds`], when `page` is smaller than a page.
    pub fn new(
        label: String,
        limits: Limits,
        capabilities: Capabilities,
        page: SharedPages,
    ) -> Result<Self, OutOfBounds> {
        let start = page.load_u32(IN_PROD)?;
        let contacts = capabilities.touch.map_or(0, |area| area.contacts);
        let mut session = Self {
            label,
            limits,
            capabilities,
            page: EventPage::new(page, Layout::KBDIF, start)?,
            queue: VecDeque::new(),
            down: KeySet::default(),
            told: KeySet::default(),
            owed: KeySet::default(),
            contacts: Contacts::new(contacts),
            frame_queued: false,
            frame_open: false,
            sync_due: false,
            position: None,
            urgent: false,
            next_motion: Time::ZERO,
            blocked: None,
            warned: false,
            counts: SessionStatus::default(),
        };
        if start != 0 {
            session.told = KeySet::of(|code| session.takes_key(code));
            session.contacts.owe_all();
            session.release_all();
        }
        Ok(session)
    }

    /// What the guest takes.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Takes in what the user did, and writes what can be written. Returns whether the frontend is to be
    /// notified.
    pub fn input(&mut self, events: &[Input], now: Time) -> bool {
        for event in events {
            self.take(*event);
        }
        self.flush(now)
    }

    /// The guest lost the focus, or goes away: what waits is dropped, and all that it was told to be down is
    /// to be released. Follow with [`Session::flush`].
    pub fn release_all(&mut self) {
        self.queue.clear();
        self.down.clear();
        self.owed = self.told;
        self.contacts.lift_all();
        self.frame_queued = false;
        self.sync_due = true;
        self.urgent = true;
    }

    /// Writes what waits, as far as there is room and it is time. Returns whether the frontend is to be
    /// notified. Call it when the frontend notified us, and at [`Session::deadline`].
    pub fn flush(&mut self, now: Time) -> bool {
        if self.next().is_none() || (!self.urgent && self.blocked.is_none() && now < self.next_motion) {
            return false;
        }
        match self.write_out() {
            Room::Free => {
                self.urgent = false;
                self.blocked = None;
            }
            room @ (Room::Full | Room::Implausible) => self.block(room, now),
        }
        let notify = self.page.publish().unwrap_or(false);
        if notify {
            self.next_motion = now.saturating_add(self.limits.motion_interval);
            self.counts.notifies = self.counts.notifies.saturating_add(1);
        }
        notify
    }

    /// When [`Session::flush`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.next()?;
        Some(self.blocked.map_or(self.next_motion, |blocked| blocked.retry_at))
    }

    /// Figures.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        let owed = self.owed.len().saturating_add(self.contacts.owed());
        let queued = self.queue.iter().filter(|event| is_release(event)).count();
        SessionStatus {
            capabilities: self.capabilities,
            waiting: self.queue.len().saturating_add(owed),
            releases_waiting: queued.saturating_add(owed),
            held: self.down.len().saturating_add(self.contacts.down()),
            ..self.counts
        }
    }

    fn takes_key(&self, code: u32) -> bool {
        (self.capabilities.keyboard && is_key(code)) || (self.capabilities.pointer && is_button(code))
    }

    fn take(&mut self, event: Input) {
        match event {
            Input::Key { code, pressed } if self.takes_key(code) => self.key(code, pressed),
            Input::Motion { dx, dy } if self.capabilities.relative => self.motion(Event::Motion { x: dx, y: dy, z: 0 }),
            Input::Wheel { clicks } if self.capabilities.pointer => self.wheel(clicks),
            Input::Position { x, y } => match self.capabilities.absolute {
                Some(area) => self.move_to(x, y, area),
                None => self.refuse(),
            },
            Input::Touch(contact) => self.touch(contact),
            Input::TouchSync if self.capabilities.touch.is_some() => self.sync(),
            Input::Key { .. } | Input::Motion { .. } | Input::Wheel { .. } | Input::TouchSync => self.refuse(),
        }
    }

    fn refuse(&mut self) {
        self.counts.not_taken = self.counts.not_taken.saturating_add(1);
    }

    fn key(&mut self, code: u32, pressed: bool) {
        if self.down.contains(code) == pressed {
            // A repeat; or the release of what the guest never saw.
            return;
        }
        let queued = self.enqueue(Event::Key { pressed, code });
        match (pressed, queued) {
            (true, true) => self.down.insert(code),
            (true, false) => self.drop_press(),
            (false, _) => {
                self.down.remove(code);
                if !queued {
                    self.owed.insert(code);
                }
            }
        }
        self.urgent = true;
    }

    fn wheel(&mut self, clicks: i32) {
        let z = clicks.saturating_neg();
        let event = match (self.capabilities.absolute, self.position) {
            (Some(_), Some((x, y))) => Event::Position { x, y, z },
            _ => Event::Motion { x: 0, y: 0, z },
        };
        self.motion(event);
    }

    fn move_to(&mut self, x: i32, y: i32, (width, height): (u32, u32)) {
        let place = if self.capabilities.raw_pointer {
            (raw(x, width), raw(y, height))
        } else {
            (within(x, width), within(y, height))
        };
        self.position = Some(place);
        self.motion(Event::Position { x: place.0, y: place.1, z: 0 });
    }

    fn motion(&mut self, event: Event) {
        // A turn of the wheel that waits stands for itself: what comes after it, motion or a turn the other way,
        // would move or undo it. Only more turns of the same direction, at the same place, are added to it.
        let joins = |waits: i32, comes: i32, moves: bool| waits == 0 || (!moves && waits.signum() == comes.signum());
        let merged = match (self.queue.back_mut(), event) {
            (Some(Event::Motion { x, y, z }), Event::Motion { x: dx, y: dy, z: dz })
                if joins(*z, dz, (dx, dy) != (0, 0)) =>
            {
                *x = x.saturating_add(dx);
                *y = y.saturating_add(dy);
                *z = z.saturating_add(dz);
                true
            }
            (Some(Event::Position { x, y, z }), Event::Position { x: newer_x, y: newer_y, z: dz })
                if joins(*z, dz, (newer_x, newer_y) != (*x, *y)) =>
            {
                (*x, *y, *z) = (newer_x, newer_y, z.saturating_add(dz));
                true
            }
            _ => false,
        };
        if merged {
            self.counts.motion_merged = self.counts.motion_merged.saturating_add(1);
        } else if event != (Event::Motion { x: 0, y: 0, z: 0 }) && !self.enqueue(event) {
            self.drop_motion();
        }
    }

    fn touch(&mut self, Contact { id, event }: Contact) {
        let Some(area) = self.capabilities.touch else { return self.refuse() };
        let place = |x, y| (within(x, area.width), within(y, area.height));
        match event {
            ContactEvent::Down { x, y } => self.finger_down(id, place(x, y)),
            ContactEvent::Up => self.finger_up(id),
            ContactEvent::Motion { x, y } => {
                let (x, y) = place(x, y);
                self.finger_moved(id, TouchEvent::Motion { x, y });
            }
            ContactEvent::Shape { major, minor } => self.finger_moved(id, TouchEvent::Shape { major, minor }),
            ContactEvent::Orientation { angle } => {
                self.finger_moved(id, TouchEvent::Orientation(angle.clamp(-180, 180)));
            }
        }
    }

    fn finger_down(&mut self, finger: u32, (x, y): (i32, i32)) {
        if self.contacts.of(finger).is_some() {
            return self.finger_moved(finger, TouchEvent::Motion { x, y });
        }
        let Some(contact) = self.contacts.put_down(finger) else { return self.refuse() };
        if self.enqueue(Event::Touch { contact, event: TouchEvent::Down { x, y } }) {
            self.frame_queued = true;
        } else {
            self.contacts.lift(finger);
            self.drop_press();
        }
        self.urgent = true;
    }

    fn finger_up(&mut self, finger: u32) {
        let Some(contact) = self.contacts.lift(finger) else { return };
        if self.enqueue(Event::Touch { contact, event: TouchEvent::Up }) {
            self.frame_queued = true;
        } else {
            self.contacts.owe(contact);
        }
        self.urgent = true;
    }

    fn finger_moved(&mut self, finger: u32, event: TouchEvent) {
        let Some(contact) = self.contacts.of(finger) else { return };
        if self.merge_touch(contact, event) {
            self.counts.motion_merged = self.counts.motion_merged.saturating_add(1);
        } else if self.enqueue(Event::Touch { contact, event }) {
            self.frame_queued = true;
        } else {
            self.drop_motion();
        }
    }

    /// Replaces what still waits of the same kind about the same contact.
    fn merge_touch(&mut self, contact: u8, newer: TouchEvent) -> bool {
        for queued in self.queue.iter_mut().rev() {
            let Event::Touch { contact: other, event } = queued else { continue };
            if *other != contact || *event == TouchEvent::Sync {
                continue;
            }
            if matches!(event, TouchEvent::Down { .. } | TouchEvent::Up) {
                return false;
            }
            if std::mem::discriminant(event) == std::mem::discriminant(&newer) {
                *event = newer;
                return true;
            }
        }
        false
    }

    fn sync(&mut self) {
        if !self.frame_queued {
            return;
        }
        self.frame_queued = false;
        // The guest's contact is not changed by it: the last one that is named before it.
        let last = self.queue.iter().rev().find_map(|event| match event {
            Event::Touch { contact, .. } => Some(*contact),
            Event::Motion { .. } | Event::Key { .. } | Event::Position { .. } => None,
        });
        let contact = last.unwrap_or(self.contacts.last());
        if !self.enqueue(Event::Touch { contact, event: TouchEvent::Sync }) {
            self.sync_due = true;
        }
    }

    fn is_owing(&self) -> bool {
        !self.owed.is_empty() || self.contacts.first_owed().is_some() || (self.sync_due && self.frame_open)
    }

    fn enqueue(&mut self, event: Event) -> bool {
        let room = self.queue.len() < self.limits.queue && !self.is_owing();
        if room {
            self.queue.push_back(event);
        }
        room
    }

    fn drop_motion(&mut self) {
        self.counts.motion_dropped = self.counts.motion_dropped.saturating_add(1);
        self.complain("it does not read its input");
    }

    fn drop_press(&mut self) {
        self.counts.presses_dropped = self.counts.presses_dropped.saturating_add(1);
        self.complain("it does not read its input");
    }

    /// One line for each connection.
    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("{}: {why}; input is dropped until it does, and releases are kept", self.label);
        }
    }

    /// What is to be written next.
    fn next(&self) -> Option<Event> {
        let key = || self.owed.first().map(|code| Event::Key { pressed: false, code });
        let contact = || self.contacts.first_owed().map(|contact| Event::Touch { contact, event: TouchEvent::Up });
        let sync = || {
            let due = self.sync_due && self.frame_open;
            due.then(|| Event::Touch { contact: self.contacts.last(), event: TouchEvent::Sync })
        };
        self.queue.front().copied().or_else(key).or_else(contact).or_else(sync)
    }

    fn write_out(&mut self) -> Room {
        while let Some(event) = self.next() {
            match self.page.write(&event.encode()) {
                Ok(Room::Free) => self.written(event),
                Ok(room) => return room,
                // Never: the size was checked.
                Err(_) => return Room::Implausible,
            }
        }
        self.sync_due = false;
        Room::Free
    }

    fn written(&mut self, event: Event) {
        let was_owed = self.queue.pop_front().is_none();
        self.counts.events = self.counts.events.saturating_add(1);
        match event {
            Event::Key { pressed: true, code } => self.told.insert(code),
            Event::Key { pressed: false, code } => {
                self.told.remove(code);
                // One that waited in the queue is of an earlier press than the one that is owed its release.
                if was_owed {
                    self.owed.remove(code);
                }
            }
            Event::Touch { contact, event } => {
                self.contacts.told(contact, event, was_owed);
                self.frame_open = event != TouchEvent::Sync;
                // What was in the queue has its sync there too.
                self.sync_due |= was_owed && self.frame_open;
            }
            Event::Motion { .. } | Event::Position { .. } => {}
        }
    }

    fn block(&mut self, room: Room, now: Time) {
        if room == Room::Implausible {
            self.complain("its in_cons makes no sense");
        }
        let wait = self.blocked.map_or(self.limits.retry, |blocked| {
            // Another attempt before its time is no reason to wait longer.
            if blocked.retry_at <= now { blocked.wait.saturating_mul(2).min(LONGEST_RETRY) } else { blocked.wait }
        });
        self.blocked = Some(Blocked { retry_at: now.saturating_add(wait), wait });
    }
}

fn is_release(event: &Event) -> bool {
    matches!(event, Event::Key { pressed: false, .. } | Event::Touch { event: TouchEvent::Up, .. })
}

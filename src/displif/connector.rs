// SPDX-License-Identifier: GPL-3.0-or-later
//! One connector: its request ring, its event page, and the flips that have no event yet.
//!
//! A flip passes through three places, always in order: `flips` while it waits for its token and for the
//! display, `events` while the event page is full, and then the event page.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;
use crate::xen::event_page::{EventPage, Layout, Room};
use crate::xen::pages::{OutOfBounds, SharedPages};
use crate::xen::ring::{BackRing, RingFault};

use super::limits::Limits;
use super::rate::Bucket;
use super::wire::{FlipEvent, PACKET};
use super::{Action, Configuration, FlipSerial, FramebufferSerial};

/// The pages of one connector, mapped, and what the device's directory says of it.
#[derive(Debug)]
pub struct ConnectorPages {
    /// The guest's claim of its name.
    pub unique_id: String,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// The page of the request ring.
    pub requests: SharedPages,
    /// The event page.
    pub events: SharedPages,
}

/// A flip that was answered 0 and has no event yet.
#[derive(Clone, Copy, Debug)]
struct Flip {
    serial: FlipSerial,
    framebuffer: FramebufferSerial,
    cookie: u64,
    /// The caller knows of it. Until there is a token it does not.
    reported: bool,
}

#[derive(Debug)]
pub(super) struct Connector {
    pub(super) unique_id: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) ring: BackRing<PACKET>,
    /// What the guest configured, clipped to its framebuffer; `None` when it is disabled.
    pub(super) configuration: Option<Configuration>,
    /// What the guest shows; `None` also when it was detached.
    pub(super) shown: Option<FramebufferSerial>,
    /// Requests may wait in the ring that were not taken though there was budget.
    pub(super) stalled: bool,
    /// Requests are taken from then on: before them too many were refused.
    pub(super) held_until: Time,
    pub(super) flip_count: u64,
    pub(super) event_count: u64,
    index: usize,
    page: EventPage<PACKET>,
    next_event: u16,
    flips: VecDeque<Flip>,
    events: VecDeque<u64>,
    tokens: Bucket,
    most_outstanding: usize,
}

impl Connector {
    pub(super) fn new(index: usize, pages: ConnectorPages, limits: &Limits) -> Result<Self, RingFault> {
        Ok(Self {
            unique_id: pages.unique_id,
            width: pages.width,
            height: pages.height,
            ring: BackRing::new(pages.requests)?,
            configuration: None,
            shown: None,
            // There may be requests already, sent before our port was bound.
            stalled: true,
            held_until: Time::ZERO,
            flip_count: 0,
            event_count: 0,
            index,
            page: EventPage::new(pages.events, Layout::DISPLIF, 0)?,
            next_event: 0,
            flips: VecDeque::new(),
            events: VecDeque::new(),
            tokens: Bucket::new(limits.flips_per_second, Duration::from_secs(1), limits.flip_burst),
            most_outstanding: limits.outstanding_flips.max(1),
        })
    }

    /// Flips answered 0 whose event is not written yet.
    pub(super) fn outstanding(&self) -> usize {
        self.flips.len().saturating_add(self.events.len())
    }

    /// When its next request can be taken, as far as this connector is concerned; `None` while too many flips have no
    /// event.
    pub(super) fn takes_requests_from(&self) -> Option<Time> {
        self.takes_flips().then_some(self.held_until)
    }

    /// Whether another flip can be taken on.
    fn takes_flips(&self) -> bool {
        self.outstanding() < self.most_outstanding
    }

    /// Accepts a flip; it is reported once there is a token.
    pub(super) fn flip(&mut self, serial: FlipSerial, framebuffer: FramebufferSerial, cookie: u64) {
        self.flip_count = self.flip_count.saturating_add(1);
        if self.configuration.is_some() {
            self.shown = Some(framebuffer);
        }
        self.flips.push_back(Flip { serial, framebuffer, cookie, reported: false });
    }

    /// Reports as many flips as there are tokens for. While the connector is disabled nobody need know of them:
    /// with their token they are over.
    pub(super) fn report_flips(&mut self, now: Time, actions: &mut VecDeque<Action>) {
        while self.configuration.is_none()
            && let Some(flip) = self.flips.front()
        {
            let serial = flip.serial;
            if !self.tokens.take(now) {
                return;
            }
            self.complete_through(serial);
        }
        for flip in self.flips.iter_mut().filter(|flip| !flip.reported) {
            if !self.tokens.take(now) {
                return;
            }
            flip.reported = true;
            let Flip { serial, framebuffer, .. } = *flip;
            actions.push_back(Action::Flip { connector: self.index, framebuffer, flip: serial });
        }
    }

    /// When the next flip can be reported; `None` when none waits for a token.
    pub(super) fn next_report(&self) -> Option<Time> {
        self.flips.iter().any(|flip| !flip.reported).then(|| self.tokens.ready_at())
    }

    /// The flip is on the display, and with it all before it are over. Unknown flips are ignored: they may have
    /// been completed by a detach meanwhile.
    pub(super) fn presented(&mut self, serial: FlipSerial) {
        if self.flips.iter().any(|flip| flip.serial == serial) {
            self.complete_through(serial);
        }
    }

    fn complete_through(&mut self, serial: FlipSerial) {
        let over = self.flips.iter().take_while(|flip| flip.serial <= serial).count();
        self.events.extend(self.flips.drain(..over).map(|flip| flip.cookie));
    }

    /// Nothing more of what was flipped to will be shown: all flips are over.
    pub(super) fn complete_all(&mut self) {
        self.complete_through(FlipSerial(u64::MAX));
    }

    /// The framebuffer is gone. Flips to it are over, and so are those before them, which they replaced.
    pub(super) fn forget(&mut self, framebuffer: FramebufferSerial) {
        if self.shown == Some(framebuffer) {
            self.shown = None;
        }
        if let Some(last) = self.flips.iter().rev().find(|flip| flip.framebuffer == framebuffer) {
            self.complete_through(last.serial);
        }
    }

    /// Writes as many events as the page takes. Ids are taken only here: a lost or doubled one would break the
    /// guest's connector until it reconnects.
    pub(super) fn flush_events(&mut self, actions: &mut VecDeque<Action>) -> Result<Room, OutOfBounds> {
        let mut room = Room::Free;
        while let Some(cookie) = self.events.front() {
            let event = FlipEvent { id: self.next_event, cookie: *cookie };
            room = self.page.write(&event.encode())?;
            if room != Room::Free {
                break;
            }
            self.next_event = self.next_event.wrapping_add(1);
            self.event_count = self.event_count.saturating_add(1);
            self.events.pop_front();
        }
        if self.page.publish()? {
            actions.push_back(Action::NotifyEvents(self.index));
        }
        Ok(room)
    }

    /// Lets the guest see the responses written so far.
    pub(super) fn publish(&mut self, actions: &mut VecDeque<Action>) -> Result<(), RingFault> {
        if self.ring.publish()? {
            actions.push_back(Action::NotifyRequests(self.index));
        }
        Ok(())
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn verify_invariants(&self) {
        assert!(self.outstanding() <= self.most_outstanding);
        assert!(self.flips.iter().zip(self.flips.iter().skip(1)).all(|(left, right)| left.serial < right.serial));
        assert!(self.flips.iter().zip(self.flips.iter().skip(1)).all(|(left, right)| left.reported || !right.reported));
        assert_eq!(self.event_count + u64::try_from(self.outstanding()).unwrap_or(0), self.flip_count);
        assert_eq!(u16::try_from(self.event_count % 65_536), Ok(self.next_event));
        assert!(self.ring.unanswered() <= 32);
        if let Some(Configuration { x, y, width, height, .. }) = self.configuration {
            assert!(width > 0 && height > 0 && width <= self.width && height <= self.height);
            assert!(x.checked_add(width).is_some() && y.checked_add(height).is_some());
        } else {
            assert!(self.shown.is_none() && self.flips.iter().all(|flip| !flip.reported));
        }
    }
}

/// How much of `length` pixels from `start` can be shown; `None` when it goes beyond the connector. What reaches
/// beyond the framebuffer is clipped.
///
/// Linux says the size of the whole framebuffer here, which is larger than the connector where several
/// connectors show parts of one framebuffer; then the part that is meant is as large as the connector.
pub(super) fn visible(start: u32, length: u32, framebuffer: u32, resolution: u32) -> Option<u32> {
    let end = start.checked_add(length)?;
    let rest = framebuffer.checked_sub(start).filter(|rest| *rest > 0)?;
    if end <= resolution {
        return Some(length.min(rest)).filter(|length| *length > 0);
    }
    (length == framebuffer && rest >= resolution).then_some(resolution)
}

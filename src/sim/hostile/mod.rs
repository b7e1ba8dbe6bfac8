// SPDX-License-Identifier: GPL-3.0-or-later
//! Guests that keep to no rule: what they can do, as primitives, and a table of what they try ([`cases`]).

mod allocations;
mod buffers;
mod config;
mod rings;
mod store;

use std::path::Path;
use std::time::Duration;

use super::display_front::{Buffer, DisplayFront, Geometry};
use super::front::{FrontError, Guest, now, wait};
use super::pattern::FORMATS;
use crate::displif::wire::{CreateBuffer, Operation, Packet, Response, SetConfig};
use crate::xen::ring::{REQ_EVENT, REQ_PROD, RSP_EVENT};
use crate::xen::xenbus::XenbusState;

/// What a case does: it reports what it was answered through [`Hostile::statuses`].
pub type Act = fn(&mut Hostile) -> Result<(), FrontError>;

/// What must come of it. In every case, all other guests go on undisturbed, and nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every request is answered, with an error; the device works on.
    Refused,
    /// Every request is answered with 0; the device works on.
    Served,
    /// The device is closed.
    Closed,
    /// The device, published with a lie in it, is never connected.
    StaysOut,
    /// The device works on, whatever was answered.
    WorksOn,
    /// The device works on, or is closed.
    Survived,
}

/// One thing that a bad guest tries.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, as in `ring/producer-backwards`.
    pub name: &'static str,
    /// What must come of it.
    pub expected: Expected,
    /// The protocol's version.
    pub version: u32,
    /// What its device's configuration says of memory of ours.
    pub be_alloc: u8,
    /// What is done.
    pub act: Act,
}

const fn case(name: &'static str, expected: Expected, act: Act) -> Case {
    Case { name, expected, version: 1, be_alloc: 0, act }
}

/// For a guest that may have memory of ours.
const fn case_alloc(name: &'static str, expected: Expected, act: Act) -> Case {
    Case { name, expected, version: 1, be_alloc: 1, act }
}

const fn case_v2(name: &'static str, expected: Expected, act: Act) -> Case {
    Case { name, expected, version: 2, be_alloc: 0, act }
}

/// All cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [rings::CASES, buffers::CASES, allocations::CASES, config::CASES, store::CASES].concat()
}

/// A guest with two connectors of 128x96 that does what it likes.
#[derive(Debug)]
pub struct Hostile {
    /// Its driver.
    pub front: DisplayFront,
    /// What was answered so far.
    pub statuses: Vec<i32>,
}

/// Runs one case in a guest of its own, against the simulator at `socket`.
///
/// # Errors
/// In words, when something else came of it than expected.
pub fn run(socket: &Path, case: &Case) -> Result<(), String> {
    let device = format!("backend=0,be-alloc={},connectors=bad-a:128x96;bad-b:128x96", case.be_alloc);
    let guest = Guest::start(socket, "bad", &[&device], 8192).map_err(|error| error.to_string())?;
    let mut hostile = Hostile { front: DisplayFront::new(guest, 0, case.version), statuses: Vec::new() };
    hostile.judge(case).map_err(|why| format!("{}: {why}", case.name))
}

impl Hostile {
    fn judge(&mut self, case: &Case) -> Result<(), String> {
        let end = now() + Duration::from_secs(10);
        let text = |error: FrontError| error.to_string();
        if case.expected == Expected::StaysOut {
            self.front.prepare(end).map_err(text)?;
            self.front.publish().map_err(text)?;
            (case.act)(self).map_err(text)?;
            return self.stays_out();
        }
        self.front.connect(Duration::from_secs(10)).map_err(|error| format!("not even connected: {error}"))?;
        let acted = (case.act)(self);
        if case.expected == Expected::Closed {
            return self.is_closed();
        }
        if case.expected == Expected::Survived {
            return Ok(());
        }
        acted.map_err(text)?;
        let refused = case.expected == Expected::Refused && self.statuses.iter().any(|status| *status >= 0);
        let served = case.expected == Expected::Served && self.statuses.iter().any(|status| *status != 0);
        let wrong = refused || served;
        if wrong {
            return Err(format!("expected {:?}, and the answers are {:?}", case.expected, self.statuses));
        }
        self.works().map_err(|error| format!("the device does not work any more: {error}"))
    }

    /// Publishes as Initialised; the backend must not go along.
    fn stays_out(&mut self) -> Result<(), String> {
        let end = now() + Duration::from_millis(300);
        match self.front.announce(end) {
            Ok(()) => Err("the backend has connected".to_owned()),
            Err(FrontError::TimedOut { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_closed(&mut self) -> Result<(), String> {
        use XenbusState::{Closed, Closing, InitWait, Unknown};
        let end = now() + Duration::from_secs(5);
        let closed = self.front.wait_backend(&[Closing, Closed, InitWait, Unknown], end);
        closed.map(drop).map_err(|error| format!("not closed: {error}"))
    }

    /// An honest buffer is made and destroyed.
    fn works(&mut self) -> Result<(), FrontError> {
        let buffer = self.front.create_buffer(Geometry::picture(16, 16, 32))?;
        self.front.destroy_buffer(buffer)
    }

    /// Waits until a buffer is served again: what was let go is free a little later.
    ///
    /// # Errors
    /// After 5 s without one.
    pub fn until_served(&mut self) -> Result<(), FrontError> {
        let end = now() + Duration::from_secs(5);
        loop {
            match self.works() {
                Err(FrontError::Status { .. }) if now() < end => wait(&[], Duration::from_millis(10))?,
                other => return other,
            };
        }
    }

    /// Sends a request and notes the answer's status.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn send(&mut self, connector: usize, operation: &Operation) -> Result<Response, FrontError> {
        let response = self.front.request(connector, operation)?;
        self.statuses.push(response.status);
        Ok(response)
    }

    /// Sends bytes as a request and notes the answer's status, whatever the answer's id.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn send_raw(&mut self, connector: usize, packet: &Packet) -> Result<(), FrontError> {
        self.push_raw(connector, packet)?;
        self.collect(connector, 1, Duration::from_secs(3))
    }

    /// Puts bytes into the ring, and raises the event.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn push_raw(&mut self, connector: usize, packet: &Packet) -> Result<(), FrontError> {
        let connector = self.connector(connector)?;
        connector.ring.push(packet)?;
        Ok(connector.requests.notify()?)
    }

    /// Notes the statuses of `count` answers.
    ///
    /// # Errors
    /// [`FrontError::TimedOut`] when fewer come.
    pub fn collect(&mut self, connector: usize, count: usize, limit: Duration) -> Result<(), FrontError> {
        let end = now() + limit;
        let wanted = self.statuses.len() + count;
        while self.statuses.len() < wanted {
            let ring = &mut self.connector(connector)?.ring;
            let mut statuses = Vec::new();
            while let Some(packet) = ring.pop()? {
                statuses.push(Response::decode(&packet).status);
            }
            self.statuses.append(&mut statuses);
            if now() >= end {
                return Err(FrontError::TimedOut { what: "answers".to_owned(), ms: limit.as_millis() });
            }
            // Looked at without being told: a bad guest may have spoilt the ring's `rsp_event`.
            wait(&[], Duration::from_millis(1))?;
        }
        Ok(())
    }

    /// Sets the ring's producer index, and raises the event.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn set_producer(&mut self, connector: usize, change: impl Fn(u32) -> u32) -> Result<(), FrontError> {
        let connector = self.connector(connector)?;
        let pages = connector.ring.pages();
        pages.store_u32(REQ_PROD, change(pages.load_u32(REQ_PROD)?))?;
        Ok(connector.requests.notify()?)
    }

    /// Overwrites the ring's `req_event` and `rsp_event`.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn scribble_ring_events(&mut self, connector: usize, value: u32) -> Result<(), FrontError> {
        let pages = self.connector(connector)?.ring.pages();
        pages.store_u32(REQ_EVENT, value)?;
        pages.store_u32(RSP_EVENT, value)?;
        Ok(())
    }

    /// A driver's connector.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn connector(&mut self, index: usize) -> Result<&mut super::display_front::Connector, FrontError> {
        self.front.connectors.get_mut(index).ok_or(FrontError::NoRoom("connectors"))
    }

    /// Writes any bytes below the device's directory.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn scribble_store(&mut self, key: &str, value: &[u8]) -> Result<(), FrontError> {
        let path = format!("{}/{key}", self.front.directory());
        self.front.guest.store().write_in(0, &path, value)
    }

    /// Makes the pages and the request of an honest buffer of 64x64x32, lets `spoil` change them, sends the
    /// request, and takes the pages back.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn create_spoilt(
        &mut self,
        spoil: impl Fn(&mut Guest, &mut Buffer, &mut CreateBuffer) -> Result<(), FrontError>,
    ) -> Result<(), FrontError> {
        let cookie = self.front.cookie();
        let geometry = Geometry::picture(64, 64, 32);
        let mut buffer = Buffer::make(&mut self.front.guest, cookie, geometry)?;
        let mut create = CreateBuffer {
            cookie,
            width: geometry.width,
            height: geometry.height,
            bpp: geometry.bpp,
            size: buffer.size,
            flags: 0,
            directory: buffer.directory(),
            data_offset: 0,
        };
        spoil(&mut self.front.guest, &mut buffer, &mut create)?;
        self.send(0, &Operation::CreateBuffer(create))?;
        buffer.release(&mut self.front.guest);
        Ok(())
    }

    /// An honest buffer of the connectors' size, with a framebuffer.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn surface(&mut self) -> Result<(Buffer, u64), FrontError> {
        let buffer = self.front.create_buffer(Geometry::picture(128, 96, 32))?;
        let framebuffer = self.front.attach(buffer.cookie, 128, 96, FORMATS[2].fourcc())?;
        Ok((buffer, framebuffer))
    }

    /// An honest configuration.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn show(&mut self, connector: usize, framebuffer: u64) -> Result<(), FrontError> {
        self.front.set_config(connector, whole(framebuffer))
    }
}

/// A configuration that shows a whole framebuffer.
const fn whole(cookie: u64) -> SetConfig {
    SetConfig { cookie, x: 0, y: 0, width: 128, height: 96, bpp: 32 }
}

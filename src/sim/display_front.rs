// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's display driver. It behaves as Linux's `drm_xen_front` does: one request in flight per ring, buffer
//! and framebuffer requests on connector 0's ring, 3 s of patience, event ids that must follow each other, and
//! pages that are freed as soon as DBUF_DESTROY is answered. Beyond Linux it speaks version 2.

mod buffer;

use std::os::fd::AsFd;
use std::time::Duration;

use super::front::{Channel, FrontError, Guest, now, wait};
use crate::displif::wire::{
    AttachFramebuffer, CreateBuffer, EDID_MAX_SIZE, FLAG_REQ_ALLOC, FlipEvent, Operation, PACKET, Response, SetConfig,
};
use crate::xen::event_page::Layout;
use crate::xen::front::{FrontEvents, FrontRing};
use crate::xen::grants::Access;
use crate::xen::xenbus::XenbusState;
use crate::xen::{GrantRef, PAGE_SIZE};
pub use buffer::{Buffer, Geometry};

/// How long Linux waits for a response.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(3);

/// How long Linux waits for a flip's event.
pub const FLIP_LIMIT: Duration = Duration::from_millis(3100);

/// What a connector's two pages and ports are.
#[derive(Debug)]
pub struct Connector {
    /// The name that the toolstack gave it.
    pub id: String,
    /// Width in pixels, as configured.
    pub width: u32,
    /// Height in pixels, as configured.
    pub height: u32,
    /// The request ring.
    pub ring: FrontRing<PACKET>,
    /// The request ring's channel.
    pub requests: Channel,
    /// The event page.
    pub events: FrontEvents<PACKET>,
    /// The event page's channel.
    pub event_channel: Channel,
    frames: [u32; 2],
    /// The grants of the request ring and of the event page.
    pub refs: [GrantRef; 2],
    next_request: u16,
    next_event: u16,
    pending: Option<(u64, Duration)>,
}

/// What was seen so far; for the report.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Flips answered with 0.
    pub flips: u64,
    /// Flips answered with an error.
    pub flip_errors: u64,
    /// Events whose id was the expected one.
    pub events: u64,
    /// Events that Linux would have dropped.
    pub bad_ids: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Flips without an event in time.
    pub flip_timeouts: u64,
    /// Answers to something that was not asked.
    pub stray_responses: u64,
    /// How long each DBUF_DESTROY took, in milliseconds.
    pub destroy_ms: Vec<f64>,
    /// Pages that were still mapped when DBUF_DESTROY was answered with 0.
    pub still_mapped: u64,
    /// From the flip's request to its event, the longest, in milliseconds.
    pub slowest_flip_ms: f64,
}

/// The driver of one display device.
#[derive(Debug)]
pub struct DisplayFront {
    /// The guest that it runs in.
    pub guest: Guest,
    /// What was seen so far.
    pub counts: Counts,
    /// By their numbers.
    pub connectors: Vec<Connector>,
    directory: String,
    backend: String,
    version: u32,
    next_cookie: u64,
    /// What Linux leaves in DBUF_CREATE's flags: the rest of an older request.
    garbage: u32,
    /// What the device's configuration says when it is connected.
    be_alloc: bool,
}

impl DisplayFront {
    /// A driver for the guest's device `number`, which speaks the protocol's version 1 or 2.
    #[must_use]
    pub fn new(guest: Guest, number: u32, version: u32) -> Self {
        let directory = format!("/local/domain/{}/device/vdispl/{number}", guest.domid());
        Self {
            guest,
            counts: Counts::default(),
            connectors: Vec::new(),
            directory,
            backend: String::new(),
            version,
            next_cookie: 0x1000,
            garbage: 0,
            be_alloc: false,
        }
    }

    /// The device's directory in xenstore.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Waits for the backend, publishes rings, and waits until both ends are connected.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn connect(&mut self, limit: Duration) -> Result<(), FrontError> {
        let end = now() + limit;
        self.prepare(end)?;
        self.publish()?;
        self.announce(end)
    }

    /// The first part of connecting: waits for the backend's InitWait, and makes the rings.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn prepare(&mut self, end: Duration) -> Result<(), FrontError> {
        self.find_backend(end)?;
        self.wait_backend(&[XenbusState::InitWait], end)?;
        let path = format!("{}/be-alloc", self.directory);
        self.be_alloc = self.guest.store().read(&path)?.as_deref() == Some("1");
        self.make_connectors()
    }

    /// The second part: writes the rings' keys.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn publish(&mut self) -> Result<(), FrontError> {
        let mut keys = Vec::new();
        for (index, connector) in self.connectors.iter().enumerate() {
            let values = [
                ("req-ring-ref", connector.refs[0].0),
                ("req-event-channel", connector.requests.port.0),
                ("evt-ring-ref", connector.refs[1].0),
                ("evt-event-channel", connector.event_channel.port.0),
            ];
            keys.extend(values.map(|(name, value)| (format!("{index}/{name}"), value.to_string())));
        }
        if self.version > 1 {
            keys.push(("version".to_owned(), self.version.to_string()));
        }
        self.guest.store().write_all(&self.directory, &keys)
    }

    /// The last part: Initialised, the backend's Connected, Connected.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn announce(&mut self, end: Duration) -> Result<(), FrontError> {
        self.set_state(XenbusState::Initialised)?;
        self.wait_backend(&[XenbusState::Connected], end)?;
        self.set_state(XenbusState::Connected)
    }

    /// The toolstack writes the device's directory when the guest already runs.
    fn find_backend(&mut self, end: Duration) -> Result<(), FrontError> {
        if !self.backend.is_empty() {
            // Found, and watched, when it was connected before.
            return Ok(());
        }
        let path = format!("{}/backend", self.directory);
        self.guest.store().watch(&path, "find")?;
        while self.backend.is_empty() {
            match self.guest.store().read(&path) {
                Ok(Some(backend)) => self.backend = backend,
                // Not there yet.
                Ok(None) | Err(FrontError::Store { .. }) => self.await_event(end, "the device's directory")?,
                Err(error) => return Err(error),
            }
        }
        self.guest.store().unwatch(&path, "find")?;
        let state = format!("{}/state", self.backend);
        self.guest.store().watch(&state, "state")
    }

    fn await_event(&mut self, end: Duration, what: &str) -> Result<(), FrontError> {
        match self.guest.store().next_event(end.saturating_sub(now()))? {
            Some(_) => Ok(()),
            None => Err(FrontError::TimedOut { what: what.to_owned(), ms: 0 }),
        }
    }

    /// The backend's state now.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn backend_state(&mut self) -> Result<XenbusState, FrontError> {
        let value = match self.guest.store().read(&format!("{}/state", self.backend)) {
            Ok(value) => value,
            // The directory is gone, and what lies above is not for us to read.
            Err(FrontError::Store { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(value.as_deref().and_then(XenbusState::parse).unwrap_or(XenbusState::Unknown))
    }

    /// Waits for one of the backend's states.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn wait_backend(&mut self, states: &[XenbusState], end: Duration) -> Result<XenbusState, FrontError> {
        loop {
            let state = self.backend_state()?;
            if states.contains(&state) {
                return Ok(state);
            }
            self.await_event(end, &format!("backend is {state}, wanted {states:?}"))?;
        }
    }

    /// Writes our state.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn set_state(&mut self, state: XenbusState) -> Result<(), FrontError> {
        let path = format!("{}/state", self.directory);
        self.guest.store().write(&path, state.as_str())
    }

    fn make_connectors(&mut self) -> Result<(), FrontError> {
        for index in 0.. {
            let base = format!("{}/{index}", self.directory);
            let Some(size) = self.guest.store().read(&format!("{base}/resolution"))? else { break };
            let id = self.guest.store().read(&format!("{base}/unique-id"))?.unwrap_or_default();
            let parsed = size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
            let (width, height) = parsed.unwrap_or((0, 0));
            let connector = self.make_connector(id, width, height)?;
            self.connectors.push(connector);
        }
        Ok(())
    }

    fn make_connector(&mut self, id: String, width: u32, height: u32) -> Result<Connector, FrontError> {
        let frames: [u32; 2] = self.guest.allocate(2)?.try_into().map_err(|_| FrontError::NoRoom("memory"))?;
        let refs = [self.guest.grant(frames[0], Access::ReadWrite)?, self.guest.grant(frames[1], Access::ReadWrite)?];
        Ok(Connector {
            id,
            width,
            height,
            ring: FrontRing::new(self.guest.view(&frames[..1])?)?,
            requests: self.guest.offer_channel()?,
            events: FrontEvents::new(self.guest.view(&frames[1..])?, Layout::DISPLIF, 0)?,
            event_channel: self.guest.offer_channel()?,
            frames,
            refs,
            next_request: 1,
            next_event: 0,
            pending: None,
        })
    }

    /// Frees the rings. Those that the backend still maps are lost, and counted.
    fn drop_connectors(&mut self) -> Result<(), FrontError> {
        for connector in self.connectors.drain(..) {
            for (gref, frame) in connector.refs.into_iter().zip(connector.frames) {
                if self.guest.revoke(gref) {
                    self.guest.free(&[frame]);
                } else {
                    self.counts.still_mapped += 1;
                }
            }
            self.guest.close_channel(connector.requests)?;
            self.guest.close_channel(connector.event_channel)?;
        }
        Ok(())
    }

    /// Lets go as on poweroff: Closing, the backend's Closing or later, Closed. Buffers must be destroyed before.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn close(&mut self) -> Result<(), FrontError> {
        use XenbusState::{Closed, Closing, InitWait, Unknown};
        self.set_state(Closing)?;
        self.wait_backend(&[Closing, Closed, InitWait, Unknown], now() + Duration::from_secs(5))?;
        self.set_state(Closed)?;
        self.wait_backend(&[Closed, InitWait, Unknown], now() + Duration::from_secs(5))?;
        self.drop_connectors()
    }

    /// Lets go as on rmmod: Closing, and up to 1 s for the backend's InitWait.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn remove(&mut self) -> Result<(), FrontError> {
        self.set_state(XenbusState::Closing)?;
        self.wait_backend(&[XenbusState::InitWait], now() + Duration::from_secs(1))?;
        self.drop_connectors()?;
        self.set_state(XenbusState::Initialising)
    }

    /// The backend has closed: unplug, and be ready for it to come again. Buffers must be forgotten before.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn disconnect(&mut self) -> Result<(), FrontError> {
        self.set_state(XenbusState::Reconfiguring)?;
        self.drop_connectors()?;
        self.set_state(XenbusState::Initialising)
    }

    /// Whether the backend is still there: looks only if a watch has fired.
    ///
    /// # Errors
    /// [`FrontError::BackendGone`] when it is not.
    pub fn check_backend(&mut self) -> Result<(), FrontError> {
        if self.guest.store().next_event(Duration::ZERO)?.is_none() {
            return Ok(());
        }
        if self.backend_state()? == XenbusState::Connected { Ok(()) } else { Err(FrontError::BackendGone) }
    }

    /// Sends a request over a connector's ring and waits for its answer. The status is not looked at.
    ///
    /// # Errors
    /// [`FrontError::TimedOut`] after 3 s, as Linux has it.
    pub fn request(&mut self, index: usize, operation: &Operation) -> Result<Response, FrontError> {
        let connector = self.connectors.get_mut(index).ok_or(FrontError::NoRoom("connectors"))?;
        connector.next_request = connector.next_request.wrapping_add(1);
        let id = connector.next_request;
        let packet = operation.encode(id);
        if connector.ring.push(&packet)? {
            connector.requests.notify()?;
        }
        let end = now() + REQUEST_LIMIT;
        loop {
            while let Some(packet) = connector.ring.pop()? {
                let response = Response::decode(&packet);
                if response.id.id == id {
                    return Ok(response);
                }
                self.counts.stray_responses += 1;
            }
            if connector.ring.final_check()? {
                continue;
            }
            if !wait(&[connector.requests.as_fd()], end.saturating_sub(now()))? && now() >= end {
                self.counts.timeouts += 1;
                let what = format!("request {operation:?}");
                return Err(FrontError::TimedOut { what, ms: REQUEST_LIMIT.as_millis() });
            }
            connector.requests.clear();
        }
    }

    fn demand(&mut self, index: usize, name: &'static str, operation: &Operation) -> Result<Response, FrontError> {
        let response = self.request(index, operation)?;
        if response.status == 0 {
            Ok(response)
        } else {
            Err(FrontError::Status { operation: name, status: response.status })
        }
    }

    /// A number that was not used before, to name a buffer or a framebuffer.
    pub const fn cookie(&mut self) -> u64 {
        self.next_cookie += 8;
        self.next_cookie
    }

    /// Makes a buffer, grants its pages, and tells the backend; where the device is configured for it, the backend
    /// makes the buffer, and its pages are mapped here.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn create_buffer(&mut self, geometry: Geometry) -> Result<Buffer, FrontError> {
        let cookie = self.cookie();
        let (make, flags): (fn(&mut Guest, u64, Geometry) -> _, _) = if self.be_alloc {
            (Buffer::make_empty, self.garbage | FLAG_REQ_ALLOC)
        } else {
            (Buffer::make, self.garbage)
        };
        let buffer = make(&mut self.guest, cookie, geometry)?;
        let create = CreateBuffer {
            cookie,
            width: geometry.width,
            height: geometry.height,
            bpp: geometry.bpp,
            size: buffer.size,
            flags,
            directory: buffer.directory(),
            data_offset: geometry.data_offset,
        };
        match self.demand(0, "DBUF_CREATE", &Operation::CreateBuffer(create)) {
            Ok(_) => self.take_over(buffer),
            Err(error) => {
                // As drm_xen_front cleans up, whatever the answer.
                if !matches!(error, FrontError::BackendGone) {
                    let _ignored = self.demand(0, "DBUF_DESTROY", &Operation::DestroyBuffer(cookie));
                }
                self.counts.still_mapped += buffer.release(&mut self.guest);
                Err(error)
            }
        }
    }

    fn take_over(&mut self, mut buffer: Buffer) -> Result<Buffer, FrontError> {
        if self.be_alloc {
            buffer.map(&mut self.guest)?;
        }
        Ok(buffer)
    }

    /// Destroys a buffer, and frees its pages as soon as the answer is there, whatever it says. Pages of the backend
    /// are unmapped before.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn destroy_buffer(&mut self, mut buffer: Buffer) -> Result<(), FrontError> {
        buffer.unmap(&mut self.guest)?;
        self.destroy_mapped(buffer)
    }

    /// Destroys a buffer without unmapping the backend's pages, as a bad guest does that keeps them.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn destroy_mapped(&mut self, buffer: Buffer) -> Result<(), FrontError> {
        let start = now();
        let answer = self.demand(0, "DBUF_DESTROY", &Operation::DestroyBuffer(buffer.cookie));
        self.counts.destroy_ms.push((now() - start).as_secs_f64() * 1000.0);
        let mapped = buffer.release(&mut self.guest);
        if answer.is_ok() {
            self.counts.still_mapped += mapped;
        }
        answer.map(drop)
    }

    /// Makes a framebuffer of a buffer; gives its cookie.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn attach(&mut self, buffer: u64, width: u32, height: u32, fourcc: u32) -> Result<u64, FrontError> {
        let cookie = self.cookie();
        // Lies where DBUF_CREATE has its flags: the next one in this slot carries it along.
        self.garbage = fourcc;
        let attach = AttachFramebuffer { buffer_cookie: buffer, cookie, width, height, fourcc };
        self.demand(0, "FB_ATTACH", &Operation::AttachFramebuffer(attach))?;
        Ok(cookie)
    }

    /// Takes a framebuffer away.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn detach(&mut self, framebuffer: u64) -> Result<(), FrontError> {
        self.demand(0, "FB_DETACH", &Operation::DetachFramebuffer(framebuffer)).map(drop)
    }

    /// Shows a framebuffer, or (all zero) nothing.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn set_config(&mut self, index: usize, config: SetConfig) -> Result<(), FrontError> {
        self.demand(index, "SET_CONFIG", &Operation::SetConfig(config)).map(drop)
    }

    /// Flips to a framebuffer. The event comes later.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn flip(&mut self, index: usize, framebuffer: u64) -> Result<(), FrontError> {
        if let Some(connector) = self.connectors.get_mut(index) {
            // The event may be there before the answer has been looked at.
            connector.pending = Some((framebuffer, now()));
        }
        let answer = self.demand(index, "PG_FLIP", &Operation::Flip(framebuffer));
        match &answer {
            Ok(_) => self.counts.flips += 1,
            Err(_) => {
                self.counts.flip_errors += 1;
                if let Some(connector) = self.connectors.get_mut(index) {
                    connector.pending = None;
                }
            }
        }
        answer.map(drop)
    }

    /// The connectors whose flip has completed since the last call; waits for one up to `limit`.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn wait_flips(&mut self, limit: Duration) -> Result<Vec<usize>, FrontError> {
        let end = now() + limit;
        let mut done = Vec::new();
        loop {
            for (index, connector) in self.connectors.iter_mut().enumerate() {
                connector.event_channel.clear();
                while let Some(packet) = connector.events.pop()? {
                    if connector.event(&packet, &mut self.counts) {
                        done.push(index);
                    }
                }
                if connector.pending.is_some_and(|(_, since)| now() >= since + FLIP_LIMIT) {
                    self.counts.flip_timeouts += 1;
                    connector.pending = None;
                    done.push(index);
                }
            }
            if !done.is_empty() || now() >= end {
                return Ok(done);
            }
            self.check_backend()?;
            let lines = self.connectors.iter().map(|connector| connector.event_channel.as_fd());
            let fds: Vec<_> = lines.chain([self.guest.store_fd()]).collect();
            wait(&fds, end.saturating_sub(now()))?;
        }
    }

    /// Whether a connector's last flip is not completed.
    #[must_use]
    pub fn flip_pending(&self, index: usize) -> bool {
        self.connectors.get(index).is_some_and(|connector| connector.pending.is_some())
    }

    /// Asks for a connector's EDID (version 2).
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn edid(&mut self, index: usize) -> Result<Vec<u8>, FrontError> {
        let geometry = Geometry::bytes(EDID_MAX_SIZE);
        let buffer = Buffer::make(&mut self.guest, 0, geometry)?;
        let request = Operation::GetEdid { size: EDID_MAX_SIZE, directory: buffer.directory() };
        let answer = self.demand(index, "GET_EDID", &request);
        let mut edid = vec![0; PAGE_SIZE * 8];
        buffer.view(&self.guest)?.read(0, &mut edid)?;
        self.counts.still_mapped += buffer.release(&mut self.guest);
        edid.truncate(usize::try_from(answer?.edid_size).unwrap_or(0));
        Ok(edid)
    }

    /// What the driver does when the backend vanishes: pages go, nobody is asked.
    pub fn forget_buffer(&mut self, mut buffer: Buffer) {
        // An error means that the hypervisor is gone, and with it whatever was mapped.
        let _gone = buffer.unmap(&mut self.guest);
        self.counts.still_mapped += buffer.release(&mut self.guest);
    }
}

impl Connector {
    /// Linux's check: an event with another id than the next one is dropped, and the counter moves on.
    fn event(&mut self, packet: &[u8; PACKET], counts: &mut Counts) -> bool {
        let Some(event) = FlipEvent::decode(packet) else { return false };
        let expected = self.next_event;
        self.next_event = expected.wrapping_add(1);
        if event.id != expected {
            counts.bad_ids += 1;
            return false;
        }
        counts.events += 1;
        let Some((_, since)) = self.pending.take() else { return false };
        counts.slowest_flip_ms = counts.slowest_flip_ms.max((now() - since).as_secs_f64() * 1000.0);
        true
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! One connected frontend with all its connectors: requests are taken from the rings, checked and answered;
//! what has to happen outside comes out as [`Action`]s, and comes back as completions.
//!
//! Every request gets exactly one response. Every flip answered 0 gets exactly one event, after its response.
//! DBUF_DESTROY is answered when the pages are free, or when its deadline is over.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;

use crate::time::Time;
use crate::xen::GrantRef;
use crate::xen::event_page::Room;
use crate::xen::ring::RingFault;

use super::buffers::{Buffers, Framebuffers};
use super::conduct::{Conduct, Refusal, cost, describe};
pub use super::connector::ConnectorPages;
use super::connector::{Connector, visible};
use super::limits::Limits;
use super::page_directory::{pages_for, walk};
use super::rate::Bucket;
use super::status::{ConnectorStatus, SessionStatus};
use super::wire::{EDID_MAX_SIZE, Errno, Operation, Request, RequestId, Response, SetConfig, Version};
use super::{Action, Allocation, BufferSerial, Configuration, FlipSerial, Host, edid};

mod memory;

/// Why a session can't begin.
#[derive(Debug, Error)]
pub enum SetupError {
    /// None, or more than the limits allow.
    #[error("{0} connectors: there must be at least 1, and at most as many as the limits allow")]
    Connectors(usize),
    /// A size outside of the limits.
    #[error("connector {0} of {1}x{2} is beyond the limits")]
    Size(usize, u32, u32),
    /// A mapping that is smaller than a page.
    #[error(transparent)]
    Ring(#[from] RingFault),
}

/// The frontend is beyond help: its device is to be closed. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// How [`Session::service`] left a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing more is in the ring. The next request notifies.
    Drained,
    /// There may be more, which is held back for a limit's sake until [`Session::ready`] says so. Nobody need hear
    /// of the ring before.
    Stalled,
    /// There is more to do. Others have their turn first.
    More,
}

/// A request's fate.
enum Outcome {
    /// Answer 0, with this many bytes of EDID.
    Done(u32),
    /// The answer comes later.
    Deferred,
}

/// Work done by one [`Session::service`] is bounded by this many actions that nobody has fetched.
const MOST_ACTIONS: usize = 1024;

/// How often a full event page is looked at: a frontend need not notify when it consumes.
const FULL_PAGE_RETRY: Duration = Duration::from_millis(100);

/// One connected frontend.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    version: Version,
    allocation: Allocation,
    connectors: Vec<Connector>,
    buffers: Buffers,
    /// The cookie of the newest DBUF_CREATE, if that was refused.
    unmade: Option<u64>,
    framebuffers: Framebuffers,
    actions: VecDeque<Action>,
    overdue: Vec<BufferSerial>,
    conduct: Conduct,
    tokens: Bucket,
    requests: u64,
    last_flip: u64,
    now: Time,
    flush_again: Option<Time>,
    fault: Option<Fatal>,
    closed: bool,
}

impl Session {
    /// A session over freshly connected pages. `label` names the guest in messages, such as
    /// `guest "web" (dom 3)`.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(
        label: String,
        limits: Limits,
        version: Version,
        connectors: Vec<ConnectorPages>,
        now: Time,
    ) -> Result<Self, SetupError> {
        if connectors.is_empty() || connectors.len() > limits.connectors {
            return Err(SetupError::Connectors(connectors.len()));
        }
        for (index, connector) in connectors.iter().enumerate() {
            let (width, height) = (connector.width, connector.height);
            if !(1..=limits.width).contains(&width) || !(1..=limits.height).contains(&height) {
                return Err(SetupError::Size(index, width, height));
            }
        }
        let connectors: Vec<_> = connectors
            .into_iter()
            .enumerate()
            .map(|(index, pages)| Connector::new(index, pages, &limits))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            conduct: Conduct::new(label, &limits),
            tokens: Bucket::new(limits.requests_per_second, Duration::from_secs(1), limits.request_burst),
            limits,
            version,
            allocation: Allocation::Off,
            connectors,
            buffers: Buffers::default(),
            unmade: None,
            framebuffers: Framebuffers::default(),
            actions: VecDeque::new(),
            overdue: Vec::new(),
            requests: 0,
            last_flip: 0,
            now,
            flush_again: None,
            fault: None,
            closed: false,
        })
    }

    /// Says whether buffers may be made of our memory; without this call they are not.
    #[must_use]
    pub fn allocating(self, allocation: Allocation) -> Self {
        Self { allocation, ..self }
    }

    /// Serves a connector's request ring, within a budget. To be called when its request channel fires, and
    /// when [`Session::ready`] names it.
    ///
    /// # Errors
    /// [`Fatal`]: the device is to be closed; no other guest is concerned.
    pub fn service(&mut self, connector: usize, host: &mut dyn Host, now: Time) -> Result<Progress, Fatal> {
        self.advance(now);
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.closed || connector >= self.connectors.len() {
            return Ok(Progress::Drained);
        }
        if let Some(it) = self.connectors.get_mut(connector) {
            it.stalled = false;
        }
        let served = self.serve(connector, host);
        // Responses first: a flip's event must not overtake its response.
        if let Some(it) = self.connectors.get_mut(connector)
            && let Err(fault) = it.publish(&mut self.actions)
        {
            return Err(self.ring_fault(connector, &fault));
        }
        self.report_and_flush();
        served
    }

    /// The guest has consumed events of a connector: its event channel fired.
    pub fn events_consumed(&mut self, connector: usize) {
        self.flush_events(connector);
    }

    /// A flip is on the display, or would be if anything were shown. Flips of the connector before it are over
    /// too. A flip that is over already is ignored.
    pub fn presented(&mut self, connector: usize, flip: FlipSerial) {
        if let Some(it) = self.connectors.get_mut(connector) {
            it.presented(flip);
        }
        self.flush_events(connector);
    }

    /// The kernel says that the pages of a retired buffer are free.
    pub fn freed(&mut self, buffer: BufferSerial) {
        let Some((cookie, waiting)) = self.buffers.remove_freed(buffer) else {
            tracing::error!("{}: {buffer:?} is said to be free, but was not retired", self.conduct.label());
            return;
        };
        tracing::debug!("{}: buffer {cookie:#x} is free", self.conduct.label());
        if let Some(waiting) = waiting {
            self.answer_late(waiting.id, 0);
        }
    }

    /// Time has passed: ends waits that are overdue and reports flips whose turn has come.
    pub fn tick(&mut self, now: Time) {
        self.advance(now);
        let now = self.now;
        for (cookie, serial, waiting) in self.buffers.end_waits(|waiting| waiting.deadline <= now) {
            if self.conduct.may_log(now) {
                tracing::warn!(
                    "{}: buffer {cookie:#x} was not free {:?} after DBUF_DESTROY, which is answered with an error",
                    self.conduct.label(),
                    self.limits.destroy_deadline
                );
            }
            self.overdue.push(serial);
            self.answer_late(waiting.id, Errno::TimedOut.status());
        }
        self.report_and_flush();
    }

    /// When [`Session::tick`], and then [`Session::ready`], are to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let flips = self.connectors.iter().filter_map(Connector::next_report);
        let stalled = self.connectors.iter().filter(|connector| connector.stalled && !self.closed);
        let requests = stalled.filter_map(Connector::takes_requests_from).min();
        let requests = requests.map(|from| from.max(self.tokens.ready_at()));
        flips.chain(requests).chain(self.flush_again).chain(self.buffers.earliest_deadline()).min()
    }

    /// A connector whose requests were left in the ring, for a limit's sake, and can be served now. To be asked
    /// after every call that may have changed that, until it says `None`.
    #[must_use]
    pub fn ready(&self, now: Time) -> Option<usize> {
        let may_go_on = |it: &Connector| it.stalled && it.takes_requests_from().is_some_and(|from| from <= now);
        let index = self.connectors.iter().position(may_go_on)?;
        (!self.closed && self.tokens.ready(now) && self.actions.len() < MOST_ACTIONS).then_some(index)
    }

    /// What is to be done, in the order of the causes. Each is handed out once.
    pub fn actions(&mut self) -> impl Iterator<Item = Action> {
        std::mem::take(&mut self.actions).into_iter()
    }

    /// The buffers whose destroy has run over its deadline since the last call, so that the caller can say what
    /// still holds them.
    pub fn overdue(&mut self) -> impl Iterator<Item = BufferSerial> {
        std::mem::take(&mut self.overdue).into_iter()
    }

    /// Lets go of everything: the frontend is about to be disconnected. All flips get their events, and what is
    /// left to do comes as actions. After that the session does nothing more, but may still be told of
    /// [`Session::freed`] buffers.
    pub fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        for index in 0..self.connectors.len() {
            self.configure(index, None);
        }
        let framebuffers = self.framebuffers.remove_of(None);
        self.actions.extend(framebuffers.into_iter().map(Action::FramebufferDetached));
        self.actions.extend(self.buffers.retire_all().into_iter().map(Action::RetireBuffer));
        for (_, _, waiting) in self.buffers.end_waits(|_| true) {
            self.answer_late(waiting.id, Errno::Io.status());
        }
        self.report_and_flush();
    }

    /// Buffers whose pages are not free yet, retired or not.
    #[must_use]
    pub fn buffers_held(&self) -> usize {
        self.buffers.len()
    }

    /// Figures for `grantway msg status`.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        let connectors = self.connectors.iter().map(|connector| ConnectorStatus {
            unique_id: connector.unique_id.clone(),
            width: connector.width,
            height: connector.height,
            enabled: connector.configuration.is_some(),
            shown: connector.shown.and_then(|shown| self.framebuffers.layout(shown)),
            flips: connector.flip_count,
            events: connector.event_count,
            flips_outstanding: connector.outstanding(),
        });
        SessionStatus {
            version: self.version,
            connectors: connectors.collect(),
            buffers: self.buffers.len(),
            framebuffers: self.framebuffers.len(),
            frees_pending: self.buffers.retiring(),
            destroys_waiting: self.buffers.waiting(),
            grants: self.buffers.grants(),
            bytes: self.buffers.bytes(),
            requests: self.requests,
            refused: self.conduct.refused(),
            held_back: self.conduct.held_back(),
            last_refusal: self.conduct.last_refusal().map(str::to_owned),
        }
    }

    /// Panics when the session contradicts itself.
    #[cfg(any(test, feature = "sim"))]
    pub fn verify_invariants(&self) {
        let count = self.connectors.len();
        self.buffers.verify_invariants(count, &self.limits);
        self.framebuffers.verify_invariants(&self.buffers, count, &self.limits);
        for (index, connector) in self.connectors.iter().enumerate() {
            connector.verify_invariants();
            // Only destroys are answered later, and they come on connector 0.
            let held = if index == 0 { self.buffers.waiting() } else { 0 };
            assert_eq!(usize::try_from(connector.ring.unanswered()), Ok(held), "connector {index}");
            let layout = connector.shown.and_then(|shown| self.framebuffers.layout(shown));
            assert_eq!(layout.is_some(), connector.shown.is_some(), "what is shown is attached");
            if let (Some(layout), Some(configuration)) = (layout, connector.configuration) {
                let Configuration { x, y, width, height, .. } = configuration;
                assert!(x + width <= layout.width && y + height <= layout.height);
            }
        }
    }

    /// The clock never runs backwards here, whatever the caller says.
    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    fn serve(&mut self, index: usize, host: &mut dyn Host) -> Result<Progress, Fatal> {
        let mut budget = self.limits.requests_per_service.max(1);
        while budget > 0 {
            let may_take = self.tokens.ready(self.now) && self.actions.len() < MOST_ACTIONS;
            let Some(connector) = self.connectors.get_mut(index) else { return Ok(Progress::Drained) };
            if !may_take || connector.takes_requests_from().is_none_or(|from| from > self.now) {
                connector.stalled = true;
                return Ok(Progress::Stalled);
            }
            let packet = match connector.ring.take() {
                Ok(Some(packet)) => packet,
                Ok(None) => {
                    let more = connector.ring.final_check();
                    let more = more.map_err(|fault| self.ring_fault(index, &fault))?;
                    return Ok(if more { Progress::More } else { Progress::Drained });
                }
                Err(fault) => return Err(self.ring_fault(index, &fault)),
            };
            let request = Request::decode(&packet);
            let cost = cost(&request.operation, &self.limits);
            self.tokens.charge(cost, self.now);
            self.handle(index, &request, host)?;
            budget = budget.saturating_sub(usize::try_from(cost).unwrap_or(usize::MAX).max(1));
        }
        Ok(Progress::More)
    }

    /// Serves one request.
    fn handle(&mut self, index: usize, request: &Request, host: &mut dyn Host) -> Result<(), Fatal> {
        self.requests = self.requests.saturating_add(1);
        let (status, edid_size, last_word) = match self.perform(index, request, host) {
            Ok(Outcome::Deferred) => return Ok(()),
            Ok(Outcome::Done(edid_size)) => (0, edid_size, None),
            Err(refusal) => {
                let last_word = self.conduct.refuse(&describe(index, request), &refusal, self.now);
                let hold = host.refused(self.limits.refusals_per_second, self.now);
                let until = self.conduct.hold_back(hold, self.now);
                if let Some(connector) = self.connectors.get_mut(index) {
                    connector.held_until = until;
                }
                (refusal.errno.status(), 0, last_word)
            }
        };
        self.answer(index, &Response { id: request.id, status, edid_size })?;
        last_word.map_or(Ok(()), |why| Err(Fatal(why)))
    }

    fn perform(&mut self, index: usize, request: &Request, host: &mut dyn Host) -> Result<Outcome, Refusal> {
        match request.operation {
            Operation::SetConfig(config) => self.set_config(index, &config),
            Operation::Flip(cookie) => self.flip(index, cookie),
            Operation::GetEdid { size, directory } => self.get_edid(index, size, directory, host),
            Operation::Unknown => Err(Refusal::bad(Errno::NotSupported, "there is no such operation")),
            Operation::CreateBuffer(_)
            | Operation::DestroyBuffer(_)
            | Operation::AttachFramebuffer(_)
            | Operation::DetachFramebuffer(_)
                if index != 0 =>
            {
                Err(Refusal::invalid(format!("it must come on connector 0, not on connector {index}")))
            }
            Operation::CreateBuffer(create) => self.create_buffer(&create, host),
            Operation::DestroyBuffer(cookie) => self.destroy_buffer(cookie, request.id),
            Operation::AttachFramebuffer(attach) => self.attach_framebuffer(&attach),
            Operation::DetachFramebuffer(cookie) => self.detach_framebuffer(cookie),
        }
    }

    fn set_config(&mut self, index: usize, config: &SetConfig) -> Result<Outcome, Refusal> {
        if *config == SetConfig::default() {
            self.configure(index, None);
            return Ok(Outcome::Done(0));
        }
        let unknown = || Refusal::bad(Errno::NoEntry, format!("there is no framebuffer {:#x}", config.cookie));
        let framebuffer = *self.framebuffers.get(config.cookie).ok_or_else(unknown)?;
        let Some(connector) = self.connectors.get(index) else { return Ok(Outcome::Done(0)) };
        let (width, height) = (framebuffer.layout.width, framebuffer.layout.height);
        let shown_width = visible(config.x, config.width, width, connector.width);
        let shown_height = visible(config.y, config.height, height, connector.height);
        let (Some(shown_width), Some(shown_height)) = (shown_width, shown_height) else {
            return Err(Refusal::invalid(format!(
                "{}x{} at {},{} is beyond the connector's {}x{} or the framebuffer's {width}x{height}",
                config.width, config.height, config.x, config.y, connector.width, connector.height
            )));
        };
        let configuration = Configuration {
            framebuffer: framebuffer.serial,
            x: config.x,
            y: config.y,
            width: shown_width,
            height: shown_height,
        };
        self.configure(index, Some(configuration));
        Ok(Outcome::Done(0))
    }

    /// Shows a configuration or nothing. Flips from before are over: what they flipped to is shown no more.
    fn configure(&mut self, index: usize, configuration: Option<Configuration>) {
        let Some(connector) = self.connectors.get_mut(index) else { return };
        connector.complete_all();
        let changed = connector.configuration.is_some() || configuration.is_some();
        connector.configuration = configuration;
        connector.shown = configuration.map(|configuration| configuration.framebuffer);
        if changed {
            self.actions.push_back(Action::Configure { connector: index, configuration });
        }
    }

    fn flip(&mut self, index: usize, cookie: u64) -> Result<Outcome, Refusal> {
        let unknown = || Refusal::bad(Errno::NoEntry, "there is no such framebuffer");
        let framebuffer = *self.framebuffers.get(cookie).ok_or_else(unknown)?;
        let Some(connector) = self.connectors.get_mut(index) else { return Ok(Outcome::Done(0)) };
        // Without a configuration nothing is shown, and the flip is over at once. An error would be wrong: when
        // DPMS switches a screen, Linux's driver flips after it has disabled, or before it enables, and takes an
        // error for an unplugged connector.
        if let Some(Configuration { x, y, width, height, .. }) = connector.configuration {
            let layout = framebuffer.layout;
            let reaches = |start: u32, length: u32, size: u32| start.checked_add(length).is_some_and(|end| end <= size);
            if !reaches(x, width, layout.width) || !reaches(y, height, layout.height) {
                let why = format!(
                    "its {}x{} do not hold the configured {width}x{height} at {x},{y}",
                    layout.width, layout.height
                );
                return Err(Refusal::invalid(why));
            }
        }
        self.last_flip = self.last_flip.saturating_add(1);
        connector.flip(FlipSerial(self.last_flip), framebuffer.serial, cookie);
        connector.report_flips(self.now, &mut self.actions);
        Ok(Outcome::Done(0))
    }

    fn get_edid(
        &mut self,
        index: usize,
        size: u32,
        directory: GrantRef,
        host: &mut dyn Host,
    ) -> Result<Outcome, Refusal> {
        if self.version < Version::V2 {
            return Err(Refusal::bad(Errno::NotSupported, "it came with version 2, which was not negotiated"));
        }
        if size < EDID_MAX_SIZE || size > self.limits.edid_bytes {
            let why = format!("buffer_sz {size} is not within {EDID_MAX_SIZE} and {}", self.limits.edid_bytes);
            return Err(Refusal::invalid(why));
        }
        let Some(connector) = self.connectors.get(index) else { return Ok(Outcome::Done(0)) };
        let refs = walk(directory, pages_for(size), |gref| host.read_page(gref))
            .map_err(|error| Refusal::directory(&error))?;
        let fits = |edid: &Vec<u8>| u32::try_from(edid.len()).is_ok_and(|bytes| bytes <= size);
        let panels = host.edid(index).filter(fits);
        let edid = panels.unwrap_or_else(|| edid::generate(connector.width, connector.height));
        let bytes = u32::try_from(edid.len()).unwrap_or(0);
        // Only the pages that are written are touched: the others hold what the guest put there.
        let used = refs.get(..pages_for(bytes)).unwrap_or(&refs);
        host.write_pages(used, &edid).map_err(|error| Refusal::grants(&error))?;
        Ok(Outcome::Done(bytes))
    }

    fn answer(&mut self, index: usize, response: &Response) -> Result<(), Fatal> {
        let Some(connector) = self.connectors.get_mut(index) else { return Ok(()) };
        connector.ring.answer(&response.encode()).map_err(|fault| self.ring_fault(index, &fault))
    }

    /// Answers a destroy, outside of a service round.
    fn answer_late(&mut self, id: RequestId, status: i32) {
        let mut answered = self.answer(0, &Response { id, status, edid_size: 0 });
        if let Some(connector) = self.connectors.first_mut()
            && let Err(fault) = connector.publish(&mut self.actions)
        {
            answered = Err(self.ring_fault(0, &fault));
        }
        if let Err(fault) = answered {
            self.fault = Some(fault);
        }
    }

    fn ring_fault(&self, index: usize, fault: &RingFault) -> Fatal {
        Fatal(format!("{}: ring of connector {index} refused: {fault}", self.conduct.label()))
    }

    fn report_and_flush(&mut self) {
        self.flush_again = None;
        for index in 0..self.connectors.len() {
            if let Some(connector) = self.connectors.get_mut(index) {
                connector.report_flips(self.now, &mut self.actions);
            }
            self.flush_events(index);
        }
    }

    fn retry_flush(&mut self) {
        self.flush_again = (!self.closed).then(|| self.now.saturating_add(FULL_PAGE_RETRY));
    }

    fn flush_events(&mut self, index: usize) {
        let Some(connector) = self.connectors.get_mut(index) else { return };
        match connector.flush_events(&mut self.actions) {
            Ok(Room::Free) => {}
            Ok(Room::Full) => self.retry_flush(),
            Ok(Room::Implausible) => {
                self.retry_flush();
                if self.conduct.may_log(self.now) {
                    let label = self.conduct.label();
                    tracing::debug!("{label}: connector {index}: in_cons makes no sense; events are held back");
                }
            }
            Err(error) => {
                self.fault = Some(Fatal(format!("{}: connector {index}: {error}", self.conduct.label())));
            }
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The connection to xenstored.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::job::{Job, Progress, Work};
use super::wire::{self, Decoder, Message, op};
use super::{Change, Query, StoreEvent, Ticket};

/// A non-blocking byte stream to xenstored.
pub trait Stream: Read + Write + AsFd {}

impl<T: Read + Write + AsFd> Stream for T {}

/// Transactions open at once. xenstored's own limit is 10 a connection for unprivileged domains.
const MAX_JOBS: usize = 4;

/// Bytes read in one [`Store::dispatch`], so that a flood of watch events leaves time for the guests.
const READ_BUDGET: usize = 64 * 1024;

/// A connection to xenstored. Nothing here blocks: questions are queued, and answered by events.
///
/// Over xenstored's own socket, any number of requests is under way at once. Over the kernel's device it is one
/// (docs/decisions/0014-one-request-at-a-time-over-the-device.md).
///
/// Updates take effect in the order in which they were asked for, and a snapshot sees every update that was
/// asked for before it.
pub struct Store {
    stream: Box<dyn Stream>,
    /// Whether it is the kernel's device, rather than xenstored's socket.
    device: bool,
    decoder: Decoder,
    /// Messages to be sent, by their requests' numbers. Each goes in a write of its own: the kernel's device takes
    /// one a write, and drops what is behind it.
    out: VecDeque<(u32, Vec<u8>)>,
    /// Bytes of the first of them that are sent.
    sent: usize,
    /// The request whose answer the device owes us; nothing is written meanwhile.
    under_way: Option<u32>,
    next_request: u32,
    asked: BTreeMap<u32, Asked>,
    waiting: VecDeque<Job>,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    events: VecDeque<StoreEvent>,
    /// The watch events that lie in `events`: a guest that writes a thousand times a second costs one.
    fired: HashSet<(String, String)>,
    lost: bool,
}

/// What an answer belongs to.
#[derive(Debug)]
enum Asked {
    Watch { path: String },
    Unwatch,
    Job { job: u64, step: Progress },
}

impl Store {
    /// Takes over a stream that is connected to xenstored's socket, and must be non-blocking.
    #[must_use]
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self::over(stream, false)
    }

    /// Takes over Linux's `/dev/xen/xenbus`, opened without blocking. A write that sets or ends a watch returns when
    /// xenstored has answered it, whatever we ask for; all others return at once. The device never tells that
    /// xenstored is gone.
    #[must_use]
    pub fn over_device(device: Box<dyn Stream>) -> Self {
        Self::over(device, true)
    }

    fn over(stream: Box<dyn Stream>, device: bool) -> Self {
        Self {
            stream,
            device,
            decoder: Decoder::default(),
            out: VecDeque::new(),
            sent: 0,
            under_way: None,
            next_request: 1,
            asked: BTreeMap::new(),
            waiting: VecDeque::new(),
            jobs: BTreeMap::new(),
            next_job: 1,
            events: VecDeque::new(),
            fired: HashSet::new(),
            lost: false,
        }
    }

    /// Watches a node and all below it, or `@introduceDomain`, `@releaseDomain`. One event comes at once.
    pub fn watch(&mut self, path: &str, token: &str) {
        self.ask(op::WATCH, 0, wire::strings(&[path, token]), Asked::Watch { path: path.to_owned() });
        self.flush_quietly();
    }

    /// Ends a watch. Events that are under way may still come.
    pub fn unwatch(&mut self, path: &str, token: &str) {
        self.ask(op::UNWATCH, 0, wire::strings(&[path, token]), Asked::Unwatch);
        self.flush_quietly();
    }

    /// Reads all that is asked for in one transaction, so that the answers belong together. What is
    /// missing, may not be read, or breaks the limits is absent in the answer. Should others write so often
    /// that no consistent view can be had, the last one is given as it is.
    pub fn snapshot(&mut self, ticket: Ticket, queries: Vec<Query>) {
        self.waiting.push_back(Job::new(ticket, Work::snapshot(queries)));
        self.start_jobs();
        self.flush_quietly();
    }

    /// Makes all changes in one transaction: all or none. A conflict is retried a bounded number of times.
    pub fn update(&mut self, ticket: Ticket, changes: Vec<Change>) {
        self.waiting.push_back(Job::new(ticket, Work::update(changes)));
        self.start_jobs();
        self.flush_quietly();
    }

    /// Reads and writes what can be done at once. What was read waits in [`Store::take_events`], and does not
    /// make the descriptor readable again: take it before going to sleep.
    ///
    /// # Errors
    /// The connection's error; [`StoreEvent::Lost`] is queued too, and later calls do nothing.
    pub fn dispatch(&mut self) -> io::Result<()> {
        if self.lost {
            return Ok(());
        }
        let done = self.flush().and_then(|()| self.receive()).and_then(|()| self.flush());
        if let Err(error) = &done {
            self.lose(&error.to_string());
        }
        done
    }

    /// Moves what has come into `out`, in order.
    pub fn take_events(&mut self, out: &mut Vec<StoreEvent>) {
        out.extend(self.events.drain(..));
        self.fired.clear();
    }

    /// Whether [`Store::take_events`] would find something.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether [`Store::dispatch`] should be called when [`Store::poll_fd`] becomes writable.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        !self.lost && self.under_way.is_none() && !self.out.is_empty()
    }

    /// Becomes readable when [`Store::dispatch`] would find something.
    #[must_use]
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn lose(&mut self, reason: &str) {
        self.lost = true;
        self.out.clear();
        self.events.push_back(StoreEvent::Lost(reason.to_owned()));
    }

    /// An error is met again, and reported, by the next dispatch.
    fn flush_quietly(&mut self) {
        if !self.lost
            && let Err(error) = self.flush()
        {
            self.lose(&error.to_string());
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.under_way.is_none()
            && let Some((request, message)) = self.out.front()
        {
            let request = *request;
            let rest = message.get(self.sent..).unwrap_or_default();
            match self.stream.write(rest) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::WriteZero, "xenstored takes no more data")),
                Ok(written) if written < rest.len() => self.sent = self.sent.saturating_add(written),
                Ok(_) => {
                    self.next_message();
                    self.under_way = self.device.then_some(request);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel's word on this one request.
                Err(error) if self.device => {
                    self.next_message();
                    if let Some(asked) = self.asked.remove(&request) {
                        self.answered(asked, Err(error.to_string()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The first message is dealt with.
    fn next_message(&mut self) {
        self.out.pop_front();
        self.sent = 0;
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut budget = READ_BUDGET;
        let mut buffer = [0; 4096];
        while budget > 0 {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "xenstored closed the connection")),
                Ok(read) => {
                    budget = budget.saturating_sub(read);
                    self.decoder.push(buffer.get(..read).unwrap_or_default());
                    while let Some(message) = self.decoder.next_message().map_err(io::Error::other)? {
                        self.message(message)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> io::Result<()> {
        if message.op == op::WATCH_EVENT {
            self.fire(&message);
            return Ok(());
        }
        let Some(asked) = self.asked.remove(&message.request) else {
            return Err(io::Error::other(format!("xenstored answers a question {} never asked", message.request)));
        };
        if self.under_way == Some(message.request) {
            self.under_way = None;
        }
        self.answered(asked, answer(message));
        Ok(())
    }

    fn answered(&mut self, asked: Asked, answer: Result<Message, String>) {
        match (asked, answer) {
            (Asked::Watch { path }, Err(error)) => tracing::warn!(path, error, "xenstored refuses a watch"),
            (Asked::Watch { .. } | Asked::Unwatch, _) => {}
            (Asked::Job { job, step }, answer) => self.progress(job, step, answer),
        }
    }

    fn fire(&mut self, message: &Message) {
        let mut parts = message.strings().map(std::str::from_utf8);
        let (Some(Ok(path)), Some(Ok(token))) = (parts.next(), parts.next()) else {
            tracing::debug!("a watch event that is not text is dropped");
            return;
        };
        if self.fired.insert((path.to_owned(), token.to_owned())) {
            self.events.push_back(StoreEvent::Watch { path: path.to_owned(), token: token.to_owned() });
        }
    }

    fn ask(&mut self, op: u32, transaction: u32, payload: Vec<u8>, asked: Asked) {
        if self.lost {
            return;
        }
        let request = self.next_request;
        // 0 is left to watch events; a wrapped number is long since answered.
        self.next_request = request.checked_add(1).unwrap_or(1);
        let mut bytes = Vec::with_capacity(wire::HEADER + payload.len());
        match (Message { op, request, transaction, payload }).encode(&mut bytes) {
            Ok(()) => {
                self.out.push_back((request, bytes));
                self.asked.insert(request, asked);
            }
            Err(error) => match asked {
                Asked::Job { job, step } => self.progress(job, step, Err(error.to_string())),
                Asked::Watch { .. } | Asked::Unwatch => tracing::warn!(%error, "a watch's path is too long"),
            },
        }
    }

    /// An update waits for all before it and holds back all behind it; snapshots run side by side.
    fn start_jobs(&mut self) {
        while let Some(next) = self.waiting.front() {
            let alone = next.is_update() || self.jobs.values().any(Job::is_update);
            if self.jobs.len() >= MAX_JOBS || (alone && !self.jobs.is_empty()) {
                return;
            }
            let Some(job) = self.waiting.pop_front() else { return };
            let number = self.next_job;
            self.next_job += 1;
            self.jobs.insert(number, job);
            self.begin(number);
        }
    }

    fn begin(&mut self, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.begin_without_transaction() {
            self.work(number, 0);
        } else {
            let asked = Asked::Job { job: number, step: Progress::Started };
            self.ask(op::TRANSACTION_START, 0, wire::strings(&[""]), asked);
        }
    }

    fn work(&mut self, number: u64, transaction: u32) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let requests = job.requests(transaction);
        if requests.is_empty() {
            self.after_work(number);
        }
        for (step, (op, payload)) in requests.into_iter().enumerate() {
            self.ask(op, transaction, payload, Asked::Job { job: number, step: Progress::Step(step) });
        }
    }

    fn progress(&mut self, number: u64, step: Progress, answer: Result<Message, String>) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        match step {
            Progress::Started => match transaction_id(answer) {
                Ok(transaction) => self.work(number, transaction),
                Err(error) => {
                    job.fail(format!("xenstored gives no transaction: {error}"));
                    self.finish(number);
                }
            },
            Progress::Step(step) => {
                if job.step(step, answer) {
                    self.after_work(number);
                }
            }
            Progress::Ended => match answer {
                Err(error) if error == "EAGAIN" && job.retry() => self.begin(number),
                Err(error) => {
                    job.fail(error);
                    self.finish(number);
                }
                Ok(_) => self.finish(number),
            },
        }
    }

    /// All requests of a job are answered: end its transaction, if it has one.
    fn after_work(&mut self, number: u64) {
        let Some(job) = self.jobs.get(&number) else { return };
        match job.transaction() {
            0 => self.finish(number),
            transaction => {
                let verdict = if job.failed() { "F" } else { "T" };
                let asked = Asked::Job { job: number, step: Progress::Ended };
                self.ask(op::TRANSACTION_END, transaction, wire::strings(&[verdict]), asked);
            }
        }
    }

    fn finish(&mut self, number: u64) {
        if let Some(job) = self.jobs.remove(&number) {
            self.events.push_back(job.into_event());
        }
        self.start_jobs();
    }
}

/// The answer, or the error's name ("ENOENT").
fn answer(message: Message) -> Result<Message, String> {
    if message.op != op::ERROR {
        return Ok(message);
    }
    let name = message.strings().next().unwrap_or_default();
    Err(String::from_utf8_lossy(name).into_owned())
}

fn transaction_id(answer: Result<Message, String>) -> Result<u32, String> {
    let answer = answer?;
    let text = answer.strings().next().and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    text.parse().ok().filter(|id| *id != 0).ok_or_else(|| format!("its number {text:?} is none"))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("jobs", &self.jobs).field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's connection to xenstore. Blocks, up to a limit.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{FrontError, now, wait};
use crate::xen::store::wire::{self, Decoder, Message, op};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A blocking connection to xenstore.
#[derive(Debug)]
pub struct GuestStore {
    stream: UnixStream,
    decoder: Decoder,
    events: VecDeque<(String, String)>,
    next_request: u32,
}

impl GuestStore {
    /// Takes over a connected, blocking stream.
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, decoder: Decoder::default(), events: VecDeque::new(), next_request: 1 }
    }

    /// A node's value; `None` when there is no such node.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn read(&mut self, path: &str) -> Result<Option<String>, FrontError> {
        match self.request(op::READ, 0, wire::strings(&[path])) {
            Ok(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            Err(FrontError::Store { name, .. }) if name == "ENOENT" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a node's value.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn write(&mut self, path: &str, value: &str) -> Result<(), FrontError> {
        self.write_in(0, path, value.as_bytes())
    }

    /// Sets several values in one transaction, below a common directory.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn write_all(&mut self, directory: &str, values: &[(String, String)]) -> Result<(), FrontError> {
        loop {
            let id = self.request(op::TRANSACTION_START, 0, wire::strings(&[""]))?;
            let id = String::from_utf8_lossy(&id).trim_end_matches('\0').parse().unwrap_or(0);
            for (name, value) in values {
                self.write_in(id, &format!("{directory}/{name}"), value.as_bytes())?;
            }
            match self.request(op::TRANSACTION_END, id, wire::strings(&["T"])) {
                Err(FrontError::Store { name, .. }) if name == "EAGAIN" => {}
                other => return other.map(drop),
            }
        }
    }

    /// Sets a node's value, which may be any bytes, in a transaction or (0) alone.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn write_in(&mut self, transaction: u32, path: &str, value: &[u8]) -> Result<(), FrontError> {
        let mut payload = wire::strings(&[path]);
        payload.extend_from_slice(value);
        self.request(op::WRITE, transaction, payload).map(drop)
    }

    /// Removes a node and all below it.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn remove(&mut self, path: &str) -> Result<(), FrontError> {
        self.request(op::RM, 0, wire::strings(&[path])).map(drop)
    }

    /// Watches a node and all below it.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn watch(&mut self, path: &str, token: &str) -> Result<(), FrontError> {
        self.request(op::WATCH, 0, wire::strings(&[path, token])).map(drop)
    }

    /// Ends a watch.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn unwatch(&mut self, path: &str, token: &str) -> Result<(), FrontError> {
        self.request(op::UNWATCH, 0, wire::strings(&[path, token])).map(drop)
    }

    /// The next watch event (path and token), or `None` when none comes in time.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn next_event(&mut self, limit: Duration) -> Result<Option<(String, String)>, FrontError> {
        let end = now() + limit;
        loop {
            // Events may have come along with the last answer. Between requests nothing else comes.
            while let Some(message) = self.decoder.next_message().map_err(std::io::Error::other)? {
                self.note(&message);
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if !self.fill(end)? {
                return Ok(None);
            }
        }
    }

    /// Any request.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn request(&mut self, op: u32, transaction: u32, payload: Vec<u8>) -> Result<Vec<u8>, FrontError> {
        let request = self.next_request;
        self.next_request = request.wrapping_add(1);
        let path = payload.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        let mut bytes = Vec::new();
        let message = Message { op, request, transaction, payload };
        message.encode(&mut bytes).map_err(std::io::Error::other)?;
        self.stream.write_all(&bytes)?;
        let end = now() + LIMIT;
        loop {
            while let Some(answer) = self.decoder.next_message().map_err(std::io::Error::other)? {
                match answer.op {
                    op::WATCH_EVENT => self.note(&answer),
                    op::ERROR => {
                        let name = answer.strings().next().map(String::from_utf8_lossy).unwrap_or_default();
                        return Err(FrontError::Store { path, name: name.into_owned() });
                    }
                    _ => return Ok(answer.payload),
                }
            }
            if !self.fill(end)? {
                return Err(FrontError::TimedOut { what: format!("xenstore: {path}"), ms: LIMIT.as_millis() });
            }
        }
    }

    fn note(&mut self, event: &Message) {
        let mut parts = event.strings().map(|part| String::from_utf8_lossy(part).into_owned());
        if let (Some(path), Some(token)) = (parts.next(), parts.next()) {
            self.events.push_back((path, token));
        }
    }

    /// False when the time is over.
    fn fill(&mut self, end: Duration) -> Result<bool, FrontError> {
        if !wait(&[self.stream.as_fd()], end.saturating_sub(now()))? {
            return Ok(now() < end);
        }
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(FrontError::BackendGone),
            read => {
                self.decoder.push(buffer.get(..read).unwrap_or_default());
                Ok(true)
            }
        }
    }
}

impl AsFd for GuestStore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

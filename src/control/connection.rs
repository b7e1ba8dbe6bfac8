// SPDX-License-Identifier: GPL-3.0-or-later
//! One client of the control socket: bytes in, lines out, and a bounded queue of what is still to be sent.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::protocol::MAX_REQUEST;

/// Bytes sent in one go, so that a large picture for a quick reader doesn't hold up the guests.
const MAX_BURST: usize = 1 << 20;

/// What reading brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The next request line, without its end.
    Line(Vec<u8>),
    /// No whole line yet.
    Nothing,
    /// A line longer than [`MAX_REQUEST`].
    TooLong,
    /// The client is gone.
    Closed,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    at_end: bool,
    unsent: VecDeque<Vec<u8>>,
    /// Bytes of the first unsent piece that are sent already.
    sent: usize,
    /// A request was handed out and its answer is not queued yet; until then nothing more is read.
    pub(super) busy: bool,
    /// Close when everything is sent.
    pub(super) closing: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            at_end: false,
            unsent: VecDeque::new(),
            sent: 0,
            busy: false,
            closing: false,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent.iter().map(Vec::len).sum::<usize>().saturating_sub(self.sent)
    }

    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.unsent.push_back(bytes);
        }
    }

    /// Reads what has come and cuts the next line off.
    pub(super) fn next_line(&mut self) -> Input {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let rest = self.received.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.received, rest);
                line.pop();
                return if line.len() > MAX_REQUEST { Input::TooLong } else { Input::Line(line) };
            }
            if self.received.len() > MAX_REQUEST {
                return Input::TooLong;
            }
            if self.at_end {
                return Input::Closed;
            }
            let mut chunk = [0; 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => self.at_end = true,
                Ok(length) => self.received.extend(chunk.iter().take(length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Input::Nothing,
                Err(_) => return Input::Closed,
            }
        }
    }

    /// Sends as much as the socket takes, up to [`MAX_BURST`].
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut room = MAX_BURST;
        while let Some(piece) = self.unsent.front().filter(|_| room > 0) {
            let rest = piece.get(self.sent..).unwrap_or_default();
            let now = rest.get(..room).unwrap_or(rest);
            match self.stream.write(now) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) if length == rest.len() => {
                    self.unsent.pop_front();
                    self.sent = 0;
                    room = room.saturating_sub(length);
                }
                Ok(length) => {
                    self.sent += length;
                    room = room.saturating_sub(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

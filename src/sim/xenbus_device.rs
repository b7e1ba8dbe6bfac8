// SPDX-License-Identifier: GPL-3.0-or-later
//! Linux's `/dev/xen/xenbus` in front of the simulated xenstored, as `drivers/xen/xenbus/xenbus_dev_frontend.c` and
//! its neighbours have it (Linux 6.12 and 7.3). A client has to know of it:
//!
//! - A write is one message, or a part of one. What lies behind a complete message is dropped.
//! - Of a request, the header is kept by the write. The payload is read from the open file's only buffer when the
//!   kernel's thread sends it, which is later: the next write replaces it.
//! - A watch is set or ended within the write, which waits for xenstored. It holds a lock meanwhile that the kernel's
//!   thread needs for delivering an answer: with a request under way both wait for ever, and with them everything that
//!   Dom0's kernel has to do with xenstore.
//! - What is wrong with a request may come as the write's error. Writing is never said to be possible; reading is when
//!   there is something to read. Watch events have no defined request number.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::xen::store::wire::{self, Decoder, Message, op};

/// Bytes in the file's buffer, header and payload (`XENSTORE_PAYLOAD_MAX`).
const BUFFER: usize = 4096;

/// The open device. The kernel's thread does its work when the device is read: as late as can be.
#[derive(Debug)]
pub(super) struct XenbusDevice {
    xenstored: UnixStream,
    /// Readable when there is something to read, or the kernel's thread has something to do.
    epoll: Epoll,
    ready: EventFd,
    buffer: [u8; BUFFER],
    filled: usize,
    /// Headers of requests whose payload still lies in the buffer.
    queued: VecDeque<[u32; 4]>,
    /// The caller's numbers of requests that are sent, by the kernel's.
    sent: BTreeMap<u32, u32>,
    next: u32,
    /// A write waits for this answer, by the kernel's number. The simulator does not wait, and takes no more meanwhile.
    watch: Option<u32>,
    decoder: Decoder,
    replies: VecDeque<u8>,
    stuck: Rc<Cell<bool>>,
}

impl XenbusDevice {
    /// Takes a connection of Dom0's. `stuck` is set when the client has stopped the kernel's thread for ever.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn new(xenstored: UnixStream, stuck: Rc<Cell<bool>>) -> io::Result<Self> {
        xenstored.set_nonblocking(true)?;
        let ready = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&xenstored, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        epoll.add(&ready, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        Ok(Self {
            xenstored,
            epoll,
            ready,
            buffer: [0; BUFFER],
            filled: 0,
            queued: VecDeque::new(),
            sent: BTreeMap::new(),
            next: 1,
            watch: None,
            decoder: Decoder::default(),
            replies: VecDeque::new(),
            stuck,
        })
    }

    /// A complete message lies in the buffer.
    fn request(&mut self, header: [u32; 4]) -> io::Result<()> {
        let [op, ..] = header;
        if op != op::WATCH && op != op::UNWATCH {
            self.queued.push_back(header);
        } else if self.queued.is_empty() && self.sent.is_empty() {
            self.watch = Some(self.send(header)?);
        } else {
            self.stuck.set(true);
            self.epoll.delete(&self.xenstored)?;
        }
        self.announce()
    }

    /// Sends a request with what the buffer holds now; gives the kernel's number.
    fn send(&mut self, [op, request, transaction, len]: [u32; 4]) -> io::Result<u32> {
        let number = self.next;
        self.next += 1;
        let end = wire::HEADER + usize::try_from(len).unwrap_or(BUFFER);
        let payload = self.buffer.get(wire::HEADER..end).unwrap_or_default().to_vec();
        let mut bytes = Vec::new();
        Message { op, request: number, transaction, payload }.encode(&mut bytes).map_err(io::Error::other)?;
        self.xenstored.write_all(&bytes)?;
        self.sent.insert(number, request);
        Ok(number)
    }

    /// The kernel's thread: requests to xenstored, answers and events from it.
    fn run_thread(&mut self) -> io::Result<()> {
        while let Some(header) = self.queued.pop_front() {
            self.send(header)?;
        }
        let mut buffer = [0; 4096];
        loop {
            match self.xenstored.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.decoder.push(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(message) = self.decoder.next_message().map_err(io::Error::other)? {
            self.reply(message)?;
        }
        self.announce()
    }

    fn reply(&mut self, mut message: Message) -> io::Result<()> {
        if self.watch == Some(message.request) {
            self.watch = None;
        }
        message.request = self.sent.remove(&message.request).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        message.encode(&mut bytes).map_err(io::Error::other)?;
        self.replies.extend(bytes);
        Ok(())
    }

    fn announce(&self) -> io::Result<()> {
        if self.replies.is_empty() && (self.queued.is_empty() || self.stuck.get()) {
            // An error means that it was not set.
            let _unset = self.ready.read();
        } else {
            self.ready.write(1)?;
        }
        Ok(())
    }
}

impl Write for XenbusDevice {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stuck.get() || self.watch.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let Some(place) = free.get_mut(..bytes.len()) else {
            self.filled = 0;
            return Err(Errno::EINVAL.into());
        };
        place.copy_from_slice(bytes);
        self.filled += bytes.len();
        let mut header = [0; 4];
        for (word, bytes) in header.iter_mut().zip(self.buffer.as_chunks::<4>().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        let [.., len] = header;
        let whole = wire::HEADER + usize::try_from(len).unwrap_or(BUFFER);
        if self.filled < wire::HEADER {
            return Ok(bytes.len());
        }
        if whole > BUFFER {
            self.filled = 0;
            return Err(Errno::E2BIG.into());
        }
        if self.filled >= whole {
            self.filled = 0;
            self.request(header)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for XenbusDevice {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.stuck.get() {
            self.run_thread()?;
        }
        if self.replies.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = self.replies.read(into)?;
        self.announce()?;
        Ok(read)
    }
}

impl AsFd for XenbusDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

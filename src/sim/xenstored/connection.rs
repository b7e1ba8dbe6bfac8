// SPDX-License-Identifier: GPL-3.0-or-later
//! One domain's connection: its bytes, its watches, its transactions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use super::tree::{Edit, Errno, Tree, valid};
use crate::xen::DomId;
use crate::xen::store::wire::{self, Decoder, Message, op};

/// As the real daemon's default.
const MAX_TRANSACTIONS: usize = 10;
/// As the real daemon's default.
const MAX_WATCHES: usize = 128;
/// Events that a domain does not read, before it is cut off.
const MAX_UNREAD: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) domid: DomId,
    decoder: Decoder,
    broken: bool,
    out: VecDeque<u8>,
    watches: Vec<Watch>,
    transactions: BTreeMap<u32, Transaction>,
    next_transaction: u32,
}

#[derive(Debug)]
struct Watch {
    /// Absolute.
    path: String,
    /// As the domain wrote it, which is how events name it.
    given: String,
    token: String,
}

/// A domain's private view of the tree.
#[derive(Debug)]
pub(super) struct Transaction {
    base: Rc<Tree>,
    view: Rc<Tree>,
    touched: BTreeSet<String>,
    pub(super) edits: Vec<Edit>,
}

impl Transaction {
    /// Whether something that this transaction read or wrote has changed meanwhile.
    pub(super) fn conflicts(&self, now: &Tree) -> bool {
        self.touched.iter().any(|path| self.base.generation(path) != now.generation(path))
    }
}

impl Connection {
    pub(super) fn new(stream: UnixStream, domid: DomId) -> Self {
        Self {
            stream,
            domid,
            decoder: Decoder::default(),
            broken: false,
            out: VecDeque::new(),
            watches: Vec::new(),
            transactions: BTreeMap::new(),
            next_transaction: 1,
        }
    }

    /// False when the peer is gone.
    pub(super) fn receive(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => self.decoder.push(buffer.get(..read).unwrap_or_default()),
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    pub(super) fn next_message(&mut self) -> Option<Message> {
        self.decoder.next_message().unwrap_or_else(|_| {
            self.broken = true;
            None
        })
    }

    pub(super) fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        match message.encode(&mut bytes) {
            Ok(()) => self.out.extend(bytes),
            Err(error) => tracing::error!(%error, "the simulated xenstored has a message it can't send"),
        }
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// False when the connection is to be dropped.
    pub(super) fn flush(&mut self) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(self.out.as_slices().0) {
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        !self.broken && self.out.len() <= MAX_UNREAD
    }

    /// A domain may name what is below its own directory by a relative path.
    pub(super) fn absolute(&self, path: &str) -> Result<String, Errno> {
        let whole = match path.chars().next() {
            Some('/') => path.to_owned(),
            Some('@') => return Ok(path.to_owned()),
            _ => format!("/local/domain/{}/{path}", self.domid),
        };
        if valid(&whole) { Ok(whole) } else { Err("EINVAL") }
    }

    pub(super) fn watch(&mut self, path: String, given: &str, token: &str) -> Result<(), Errno> {
        if self.watches.iter().any(|watch| watch.path == path && watch.token == token) {
            return Err("EEXIST");
        }
        if self.domid != DomId(0) && self.watches.len() >= MAX_WATCHES {
            return Err("E2BIG");
        }
        self.watches.push(Watch { path, given: given.to_owned(), token: token.to_owned() });
        Ok(())
    }

    pub(super) fn unwatch(&mut self, path: &str, token: &str) -> Result<(), Errno> {
        let before = self.watches.len();
        self.watches.retain(|watch| watch.path != path || watch.token != token);
        if self.watches.len() < before { Ok(()) } else { Err("ENOENT") }
    }

    pub(super) fn fire_newest(&mut self) {
        if let Some(watch) = self.watches.last() {
            let message = event(&watch.given, &watch.token);
            self.send(&message);
        }
    }

    /// Fires the watches of `path` and of what lies above it.
    pub(super) fn fire(&mut self, path: &str) {
        let hit = |watch: &Watch| {
            let rest = path.strip_prefix(watch.path.as_str())?;
            let within = rest.is_empty() || rest.starts_with('/') || watch.path == "/";
            within.then(|| event(&format!("{}{rest}", watch.given), &watch.token))
        };
        for message in self.watches.iter().filter_map(hit).collect::<Vec<_>>() {
            self.send(&message);
        }
    }

    /// Fires the watches that are set below a prefix.
    pub(super) fn fire_below(&mut self, prefix: &str) {
        let hit = self.watches.iter().filter(|watch| watch.path.starts_with(prefix));
        for message in hit.map(|watch| event(&watch.given, &watch.token)).collect::<Vec<_>>() {
            self.send(&message);
        }
    }

    pub(super) fn start_transaction(&mut self, tree: Rc<Tree>) -> Result<u32, Errno> {
        if self.transactions.len() >= MAX_TRANSACTIONS {
            return Err("ENOSPC");
        }
        let id = self.next_transaction;
        self.next_transaction = id.checked_add(1).unwrap_or(1);
        let view = Rc::clone(&tree);
        self.transactions.insert(id, Transaction { base: tree, view, touched: BTreeSet::new(), edits: Vec::new() });
        Ok(id)
    }

    pub(super) fn end_transaction(&mut self, id: u32) -> Result<Transaction, Errno> {
        self.transactions.remove(&id).ok_or("ENOENT")
    }

    /// What a read of `path` sees: the transaction's view, or the tree itself.
    pub(super) fn view<'a>(&'a mut self, id: u32, path: &str, tree: &'a Tree) -> Result<&'a Tree, Errno> {
        if id == 0 {
            return Ok(tree);
        }
        let transaction = self.transactions.get_mut(&id).ok_or("ENOENT")?;
        transaction.touched.insert(path.to_owned());
        Ok(&transaction.view)
    }

    pub(super) fn edit(&mut self, id: u32, edit: Edit) -> Result<(), Errno> {
        let transaction = self.transactions.get_mut(&id).ok_or("ENOENT")?;
        Rc::make_mut(&mut transaction.view).edit(self.domid, edit.clone())?;
        transaction.touched.insert(edit.path().to_owned());
        transaction.edits.push(edit);
        Ok(())
    }
}

fn event(path: &str, token: &str) -> Message {
    Message { op: op::WATCH_EVENT, request: 0, transaction: 0, payload: wire::strings(&[path, token]) }
}

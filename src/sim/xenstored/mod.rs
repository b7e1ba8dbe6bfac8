// SPDX-License-Identifier: GPL-3.0-or-later
//! A small xenstored that speaks the true wire protocol.

mod connection;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::xen::DomId;
use crate::xen::store::wire::{self, op};
use connection::Connection;
use tree::{Edit, Errno, Tree, below};
pub(super) use tree::{Permissions, Right};

/// A toolstack's change, made with all rights.
#[derive(Clone, Debug)]
pub(super) enum Admin {
    /// Writes a node.
    Write(String, String),
    /// Makes a node.
    Mkdir(String),
    /// Removes a node and all below.
    Remove(String),
    /// Sets permissions.
    Permit(String, Permissions),
}

/// The daemon: its nodes and its connections.
#[derive(Debug)]
pub(super) struct Xenstored {
    tree: Rc<Tree>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    epoll: Epoll,
}

impl Xenstored {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { tree: Rc::new(Tree::new()), connections: BTreeMap::new(), next: 1, epoll })
    }

    /// A new connection of a domain; gives the domain's end, non-blocking for Dom0 only.
    pub(super) fn connect(&mut self, domid: DomId) -> io::Result<OwnedFd> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        self.epoll.add(&ours, EpollEvent::new(EpollFlags::EPOLLIN, self.next))?;
        self.connections.insert(self.next, Connection::new(ours, domid));
        self.next += 1;
        Ok(theirs.into())
    }

    /// Readable when [`Xenstored::dispatch`] has work.
    pub(super) fn poll_fd(&self) -> &OwnedFd {
        &self.epoll.0
    }

    /// Serves what has come.
    pub(super) fn dispatch(&mut self) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); 32];
        let count = self.epoll.wait(&mut ready, 0_u16)?;
        for event in ready.iter().take(count) {
            self.serve(event.data());
        }
        Ok(())
    }

    /// Drops the connections of a domain that is gone.
    pub(super) fn disconnect(&mut self, domid: DomId) {
        self.connections.retain(|_, connection| connection.domid != domid);
    }

    /// Makes a toolstack's changes, all at once, and fires the watches.
    pub(super) fn admin(&mut self, changes: Vec<Admin>) {
        let edits = changes.into_iter().map(|change| match change {
            Admin::Write(path, value) => Edit::Write(path, value.into_bytes()),
            Admin::Mkdir(path) => Edit::Mkdir(path),
            Admin::Remove(path) => Edit::Remove(path),
            Admin::Permit(path, permissions) => Edit::Permit(path, permissions),
        });
        for edit in edits {
            if let Err(error) = self.edit(DomId(0), edit.clone()) {
                tracing::debug!(error, path = edit.path(), "the simulated toolstack's change had no effect");
            }
        }
        self.flush_all();
    }

    /// A node's value, as the toolstack sees it.
    pub(super) fn value(&self, path: &str) -> Option<String> {
        self.tree.read(DomId(0), path).ok().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Fires `@introduceDomain` or `@releaseDomain`.
    pub(super) fn announce(&mut self, what: &str) {
        self.fire(what, false);
        self.flush_all();
    }

    fn serve(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let alive = connection.receive();
        while let Some(message) = self.connections.get_mut(&number).and_then(Connection::next_message) {
            let (op, payload) = match self.answer(number, &message) {
                Ok(payload) if payload.len() > wire::PAYLOAD_MAX => (op::ERROR, wire::strings(&["E2BIG"])),
                Ok(payload) => (message.op, payload),
                Err(error) => (op::ERROR, wire::strings(&[error])),
            };
            let Some(connection) = self.connections.get_mut(&number) else { return };
            connection.send(&wire::Message { op, payload, ..message });
            // A watch fires once when it is set, after the answer.
            if message.op == op::WATCH && op != op::ERROR {
                connection.fire_newest();
            }
        }
        self.flush_all();
        if !alive {
            self.connections.remove(&number);
        }
    }

    /// Also watches for writability where something is left, and drops those that do not read.
    fn flush_all(&mut self) {
        let epoll = &self.epoll;
        self.connections.retain(|number, connection| {
            let alive = connection.flush();
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, connection.wants_write());
            alive && epoll.modify(connection.stream.as_fd(), &mut EpollEvent::new(flags, *number)).is_ok()
        });
    }

    fn answer(&mut self, number: u64, message: &wire::Message) -> Result<Vec<u8>, Errno> {
        let connection = self.connections.get_mut(&number).ok_or("EBADF")?;
        let domid = connection.domid;
        let first = message.strings().next().unwrap_or_default();
        let first = std::str::from_utf8(first).map_err(|_| "EINVAL")?;
        match message.op {
            op::TRANSACTION_START => {
                let id = connection.start_transaction(Rc::clone(&self.tree))?;
                return Ok(wire::strings(&[&id.to_string()]));
            }
            op::TRANSACTION_END => {
                let transaction = connection.end_transaction(message.transaction)?;
                if first == "T" {
                    if transaction.conflicts(&self.tree) {
                        return Err("EAGAIN");
                    }
                    for edit in transaction.edits {
                        self.edit(domid, edit)?;
                    }
                }
            }
            op::WATCH | op::UNWATCH => {
                let token = message.strings().nth(1).ok_or("EINVAL")?;
                let token = std::str::from_utf8(token).map_err(|_| "EINVAL")?;
                let path = connection.absolute(first)?;
                if message.op == op::WATCH {
                    connection.watch(path, first, token)?;
                } else {
                    connection.unwatch(&path, token)?;
                }
            }
            op::GET_DOMAIN_PATH => return Ok(wire::strings(&[&format!("/local/domain/{first}")])),
            _ => return self.node_request(number, message, first),
        }
        Ok(wire::strings(&["OK"]))
    }

    /// The requests that may lie within a transaction.
    fn node_request(&mut self, number: u64, message: &wire::Message, path: &str) -> Result<Vec<u8>, Errno> {
        let connection = self.connections.get_mut(&number).ok_or("EBADF")?;
        let domid = connection.domid;
        let path = connection.absolute(path)?;
        let edit = match message.op {
            op::READ | op::DIRECTORY | op::GET_PERMS => {
                let tree = connection.view(message.transaction, &path, &self.tree)?;
                return query(tree, domid, message.op, &path);
            }
            op::WRITE => {
                let value = message.payload.splitn(2, |byte| *byte == 0).nth(1).ok_or("EINVAL")?;
                Edit::Write(path, value.to_vec())
            }
            op::MKDIR => Edit::Mkdir(path),
            op::RM => Edit::Remove(path),
            op::SET_PERMS => {
                let entries = message.strings().skip(1).map(permission).collect::<Option<Permissions>>();
                Edit::Permit(path, entries.filter(|entries| !entries.is_empty()).ok_or("EINVAL")?)
            }
            _ => return Err("ENOSYS"),
        };
        if message.transaction == 0 {
            self.edit(domid, edit)?;
        } else {
            connection.edit(message.transaction, edit)?;
        }
        Ok(wire::strings(&["OK"]))
    }

    fn edit(&mut self, domid: DomId, edit: Edit) -> Result<(), Errno> {
        let (path, removed) = (edit.path().to_owned(), matches!(edit, Edit::Remove(_)));
        if Rc::make_mut(&mut self.tree).edit(domid, edit)? {
            self.fire(&path, removed);
        }
        Ok(())
    }

    /// A removal fires the watches of what lay below it, too.
    fn fire(&mut self, path: &str, removed: bool) {
        let lower = below(path);
        for connection in self.connections.values_mut() {
            let readable = path.starts_with('@') || self.tree.read(connection.domid, path) != Err("EACCES");
            if readable {
                connection.fire(path);
            }
            if removed {
                connection.fire_below(&lower);
            }
        }
    }
}

fn query(tree: &Tree, domid: DomId, op: u32, path: &str) -> Result<Vec<u8>, Errno> {
    match op {
        op::READ => tree.read(domid, path).map(<[u8]>::to_vec),
        op::DIRECTORY => tree.children(domid, path).map(|names| wire::strings(&names)),
        _ => {
            let permissions = tree.permissions(domid, path)?;
            let texts: Vec<_> = permissions.iter().map(|(domid, right)| format!("{}{domid}", letter(*right))).collect();
            Ok(wire::strings(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
        }
    }
}

const fn letter(right: Right) -> char {
    match right {
        Right::None => 'n',
        Right::Read => 'r',
        Right::Write => 'w',
        Right::Both => 'b',
    }
}

fn permission(text: &[u8]) -> Option<(DomId, Right)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut letters = text.chars();
    let right = match letters.next()? {
        'n' => Right::None,
        'r' => Right::Read,
        'w' => Right::Write,
        'b' => Right::Both,
        _ => return None,
    };
    Some((DomId(letters.as_str().parse().ok()?), right))
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The compositor's half of the control socket: one epoll descriptor for the loop, and nothing that blocks.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use thiserror::Error;

use super::connection::{Connection, Input};
use super::protocol::{MAX_PAYLOAD, Request, Response, decode_request};

/// Clients at one time; a further one takes the place of the one that has been idle longest.
const MAX_CONNECTIONS: usize = 16;

/// Bytes that may wait for one client; more than one screenshot never waits for an honest one.
const MAX_UNSENT: usize = MAX_PAYLOAD + (1 << 20);

/// Epoll's name for the listener; connections count from 1.
const LISTENER: u64 = 0;

/// Names a client until it is gone; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// Whose requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Those of the user that runs the compositor, and of root.
    Owner,
    /// Those of everyone that the socket's file mode lets in.
    FileMode,
}

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another compositor listens there.
    #[error("{0}: another grantway is running; end it with `grantway msg quit`, or choose another --socket")]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{0}: is there already and is not a socket; remove it, or choose another --socket")]
    NotASocket(PathBuf),
    /// The kernel refused.
    #[error("{0}: no control socket: {1}")]
    Failed(PathBuf, io::Error),
}

/// The listening socket and its clients.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our socket file, so that nobody else's is removed.
    file: (u64, u64),
    access: Access,
    epoll: Epoll,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    requests: Vec<(ConnectionId, Request)>,
}

impl Server {
    /// Listens at `path` with the given file mode. A socket that a dead process left behind is replaced; the
    /// directory is made (for the owner alone) when only it is missing.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(path: &Path, mode: u32, access: Access) -> Result<Self, BindError> {
        let failed = |error: io::Error| BindError::Failed(path.to_owned(), error);
        make_directory(path).map_err(failed)?;
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = guard(path, mode, &listener).map_err(failed)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|error| failed(error.into()))?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)).map_err(|error| failed(error.into()))?;
        let connections = BTreeMap::new();
        let path = path.to_owned();
        Ok(Self { listener, path, file, access, epoll, connections, next: LISTENER + 1, requests: Vec::new() })
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Becomes readable when [`Server::dispatch`] has something to do.
    #[must_use]
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Takes in what clients have sent, and sends on what is waiting for them. Bounded in each call.
    ///
    /// # Errors
    /// epoll's; trouble with a client only costs that client.
    pub fn dispatch(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); MAX_CONNECTIONS + 1];
        let count = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => count,
            Err(nix::Error::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in events.iter().take(count) {
            match event.data() {
                LISTENER => self.accept(),
                id => self.serve(id, event.events()),
            }
        }
        Ok(())
    }

    /// The requests that have come since the last call. Each wants one [`Server::reply`].
    pub fn take_requests(&mut self) -> Vec<(ConnectionId, Request)> {
        std::mem::take(&mut self.requests)
    }

    /// Answers a request. A client that is gone meanwhile is ignored.
    pub fn reply(&mut self, to: ConnectionId, response: Response) {
        let Some(connection) = self.connections.get_mut(&to.0) else { return };
        connection.busy = false;
        let response = bounded(response);
        match response.encode() {
            Ok(line) => connection.queue(line),
            Err(error) => {
                tracing::error!(%error, "a control response could not be encoded");
                connection.closing = true;
            }
        }
        if let Response::Screenshot(picture) = response {
            connection.queue(picture.pixels);
        }
        // The next request may lie in our buffer already, where epoll does not see it.
        self.serve(to.0, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT);
    }

    /// Sends what is waiting, once and without blocking: for the answer to a request to quit.
    pub fn flush(&mut self) {
        for connection in self.connections.values_mut() {
            if let Err(error) = connection.flush() {
                tracing::debug!(%error, "a control client went away before its answer");
            }
        }
    }

    fn accept(&mut self) {
        // One a round; the listener stays readable while there are more.
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(error) => return tracing::warn!(%error, "a control client could not be accepted"),
        };
        if let Err(error) = stream.set_nonblocking(true) {
            return tracing::warn!(%error, "a control client could not be accepted");
        }
        if let Err(why) = may_control(&stream, self.access) {
            tracing::warn!(why, "a control client was turned away");
            turn_away(stream, why);
        } else if let Err(why) = self.admit(stream) {
            tracing::warn!(why, "a control client found no place");
        }
    }

    fn admit(&mut self, stream: UnixStream) -> Result<(), String> {
        if self.connections.len() >= MAX_CONNECTIONS {
            let idle = self.connections.iter().find(|(_, connection)| !connection.busy).map(|(id, _)| *id);
            self.drop_connection(idle.ok_or("all places are taken")?);
        }
        let id = self.next;
        self.next += 1;
        self.epoll
            .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, id))
            .map_err(|error| format!("it can't be polled: {error}"))?;
        self.connections.insert(id, Connection::new(stream));
        Ok(())
    }

    fn serve(&mut self, id: u64, ready: EpollFlags) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut gone = ready.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP) && connection.busy;
        if !connection.busy && !connection.closing {
            gone = read(connection, ConnectionId(id), &mut self.requests);
        }
        gone |= connection.flush().is_err() || connection.unsent_bytes() > MAX_UNSENT;
        gone |= connection.closing && !connection.has_unsent();
        if gone || self.rearm(id).is_err() {
            self.drop_connection(id);
        }
    }

    /// While a request is being answered nothing is read; while something waits, writing is of interest.
    fn rearm(&self, id: u64) -> Result<(), nix::Error> {
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, !connection.busy && !connection.closing);
        interest.set(EpollFlags::EPOLLOUT, connection.has_unsent());
        self.epoll.modify(connection.fd(), &mut EpollEvent::new(interest, id))
    }

    fn drop_connection(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if let Err(error) = self.epoll.delete(connection.fd()) {
            tracing::error!(%error, "a control client could not be removed from epoll");
        }
        self.requests.retain(|(from, _)| from.0 != id);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the control socket's file stays behind");
        }
    }
}

/// Asks the kernel who is at the other end, and whether that one is heard.
fn may_control(stream: &UnixStream, access: Access) -> Result<(), String> {
    let peer = getsockopt(stream, PeerCredentials).map_err(|error| format!("its identity is unknown: {error}"))?;
    let own = nix::unistd::geteuid().as_raw();
    if is_heard(peer.uid(), own, access) {
        return Ok(());
    }
    Err(format!("user {} may not control a compositor of user {own}", peer.uid()))
}

pub(super) const fn is_heard(peer: u32, own: u32, access: Access) -> bool {
    match access {
        Access::Owner => peer == own || peer == 0,
        Access::FileMode => true,
    }
}

/// Tells a client why it is not heard, if that can be done at once.
fn turn_away(stream: UnixStream, why: String) {
    let mut connection = Connection::new(stream);
    refuse(&mut connection, why);
    if let Err(error) = connection.flush() {
        tracing::debug!(%error, "the client that was turned away could not be told why");
    }
}

/// Reads until one request is there. Returns whether the client is gone.
fn read(connection: &mut Connection, id: ConnectionId, requests: &mut Vec<(ConnectionId, Request)>) -> bool {
    match connection.next_line() {
        Input::Line(line) => match decode_request(&line) {
            Ok(request) => {
                connection.busy = true;
                requests.push((id, request));
            }
            Err(message) => refuse(connection, message),
        },
        Input::TooLong => refuse(connection, "the request is too long".to_owned()),
        Input::Nothing => {}
        // The answers that wait are still sent to a client that has only ended its own half.
        Input::Closed if connection.has_unsent() => connection.closing = true,
        Input::Closed => return true,
    }
    false
}

/// A picture that is larger than clients take becomes an error.
fn bounded(response: Response) -> Response {
    if let Response::Screenshot(picture) = &response
        && picture.pixels.len() > MAX_PAYLOAD
    {
        let bytes = picture.pixels.len();
        return Response::Error(format!("the picture has {bytes} bytes, more than the {MAX_PAYLOAD} allowed"));
    }
    response
}

/// A client that does not speak the protocol is told so, and not heard again.
fn refuse(connection: &mut Connection, message: String) {
    connection.closing = true;
    if let Ok(line) = Response::Error(message).encode() {
        connection.queue(line);
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else { return Ok(()) };
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Removes a socket file at which nobody listens.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |error: io::Error| BindError::Failed(path.to_owned(), error);
    let kind = match fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Sets the file's mode; returns which file it is. Until then the directory and the peer check protect it.
fn guard(path: &Path, mode: u32, listener: &UnixListener) -> io::Result<(u64, u64)> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Sockets for sandboxed clients (`security-context`): who makes a sandbox has a socket listened on whose clients are
//! never privileged, whatever program they are.
//!
//! Smithay's own listener is a source for another event loop than ours; the protocol is small.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::AcceptConn;
use nix::sys::socket::{UnixAddr, getsockname, getsockopt};
use smithay::reexports::wayland_protocols::wp::security_context::v1::server::wp_security_context_manager_v1::{
    self, WpSecurityContextManagerV1,
};
use smithay::reexports::wayland_protocols::wp::security_context::v1::server::wp_security_context_v1::{
    self, WpSecurityContextV1,
};
use smithay::reexports::wayland_server::backend::{ClientId, ObjectId};
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::server::{ClientState, Server};

/// How many sockets are listened on.
const MOST: usize = 64;

/// How many clients are accepted from one of them in a row.
const AT_ONCE: usize = 16;

/// A socket for sandboxed clients.
#[derive(Debug)]
struct Sandbox {
    listener: UnixListener,
    /// Hangs up when nobody is to connect any longer.
    close: OwnedFd,
}

impl Sandbox {
    fn poll_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.listener.as_fd(), self.close.as_fd()]
    }

    /// Whether whoever made it wants no more clients.
    fn is_closed(&self) -> bool {
        let mut ends = [PollFd::new(self.close.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, PollTimeout::ZERO) {
            Ok(ready) => ready > 0,
            Err(Errno::EINTR) => false,
            Err(_) => true,
        }
    }
}

/// What is known of a sandbox before its socket is listened on.
#[derive(Debug)]
struct Making {
    sandbox: Option<Sandbox>,
    engine: Option<String>,
    app: Option<String>,
    instance: Option<String>,
}

/// The sandboxes.
#[derive(Debug, Default)]
pub(super) struct Sandboxes {
    listening: Vec<Sandbox>,
    /// Those that are not listened on yet; `None` when they are, or are one too many.
    making: HashMap<ObjectId, Option<Making>>,
}

impl Sandboxes {
    pub(super) fn poll_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listening.iter().flat_map(Sandbox::poll_fds)
    }
}

/// A client that may make sandboxes: any that is in none itself.
fn may_make(client: &Client) -> bool {
    client.get_data::<ClientState>().is_some_and(|state| !state.sandboxed)
}

impl Server {
    pub(super) fn offer_sandboxes(display: &DisplayHandle) {
        display.create_global::<Self, WpSecurityContextManagerV1, ()>(1, ());
    }

    /// A sandbox's socket is listened on from now on.
    fn listen(&mut self, id: &ObjectId) {
        let Some(making) = self.sandboxes.making.get_mut(id).and_then(Option::take) else { return };
        let Making { sandbox, engine, app, instance } = making;
        tracing::debug!(?engine, ?app, ?instance, "a sandbox's clients may come");
        match sandbox.filter(|_| self.sandboxes.listening.len() < MOST) {
            Some(sandbox) => self.sandboxes.listening.push(sandbox),
            None => tracing::debug!("there are too many sandboxes: this one's clients are not let in"),
        }
    }

    /// Takes in sandboxed clients.
    pub(super) fn accept_sandboxed(&mut self) -> Vec<UnixStream> {
        self.sandboxes.listening.retain(|sandbox| !sandbox.is_closed());
        let mut streams = Vec::new();
        self.sandboxes.listening.retain(|sandbox| {
            for _ in 0..AT_ONCE {
                match sandbox.listener.accept() {
                    Ok((stream, _)) => streams.push(stream),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                    Err(error) => {
                        tracing::debug!(%error, "a sandbox's socket fails");
                        return false;
                    }
                }
            }
            true
        });
        streams
    }
}

impl GlobalDispatch<WpSecurityContextManagerV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        manager: New<WpSecurityContextManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(manager, ());
    }

    fn can_view(client: Client, (): &()) -> bool {
        may_make(&client)
    }
}

impl Dispatch<WpSecurityContextManagerV1, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        manager: &WpSecurityContextManagerV1,
        request: wp_security_context_manager_v1::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let wp_security_context_manager_v1::Request::CreateListener { id, listen_fd, close_fd } = request else {
            return;
        };
        let local = getsockname::<UnixAddr>(listen_fd.as_raw_fd()).is_ok();
        let listens = local && getsockopt(&listen_fd, AcceptConn) == Ok(true);
        let listener = UnixListener::from(listen_fd);
        let good = listens && listener.set_nonblocking(true).is_ok();
        let sandbox = good.then_some(Sandbox { listener, close: close_fd });
        let room = state.sandboxes.making.len() < MOST;
        let making = Making { sandbox, engine: None, app: None, instance: None };
        let context = init.init(id, ());
        state.sandboxes.making.insert(context.id(), Some(making).filter(|_| room));
        if !room {
            context.post_error(wp_security_context_v1::Error::AlreadyUsed, "there are too many sandboxes");
        }
        if !good {
            let error = wp_security_context_manager_v1::Error::InvalidListenFd;
            manager.post_error(error, "this is no socket that listens");
        }
    }
}

impl Dispatch<WpSecurityContextV1, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        context: &WpSecurityContextV1,
        request: wp_security_context_v1::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        if matches!(request, wp_security_context_v1::Request::Destroy) {
            return;
        }
        let id = context.id();
        let Some(known) = state.sandboxes.making.get_mut(&id).and_then(Option::as_mut) else {
            return context.post_error(wp_security_context_v1::Error::AlreadyUsed, "this was committed already");
        };
        let (field, text) = match request {
            wp_security_context_v1::Request::SetSandboxEngine { name } => (&mut known.engine, name),
            wp_security_context_v1::Request::SetAppId { app_id } => (&mut known.app, app_id),
            wp_security_context_v1::Request::SetInstanceId { instance_id } => (&mut known.instance, instance_id),
            wp_security_context_v1::Request::Commit | wp_security_context_v1::Request::Destroy | _ => {
                return state.listen(&id);
            }
        };
        if field.replace(text).is_some() {
            context.post_error(wp_security_context_v1::Error::AlreadySet, "this was set already");
        }
    }

    fn destroyed(state: &mut Self, _: ClientId, context: &WpSecurityContextV1, (): &()) {
        state.sandboxes.making.remove(&context.id());
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Privileged clients that lock the session (`ext-session-lock`): from then on nothing is seen but their surfaces, and
//! nobody else gets input, until they unlock it. One that dies leaves it locked.

use std::rc::Rc;

use smithay::output::Output;
use smithay::reexports::wayland_protocols::ext::session_lock::v1::server::ext_session_lock_manager_v1::ExtSessionLockManagerV1;
use smithay::reexports::wayland_protocols::ext::session_lock::v1::server::ext_session_lock_surface_v1::ExtSessionLockSurfaceV1;
use smithay::reexports::wayland_protocols::ext::session_lock::v1::server::ext_session_lock_v1::{
    Error, ExtSessionLockV1, Request,
};
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, Resource, delegate_dispatch, delegate_global_dispatch,
};
use smithay::wayland::session_lock::{
    ExtLockSurfaceUserData, LockSurface, SessionLockHandler, SessionLockManagerGlobalData, SessionLockManagerState,
    SessionLockState, SessionLocker,
};

use super::role::Role;
use super::server::{Server, Toplevel};
use super::{Event, ToplevelId};
use crate::backend::OutputId;
use crate::scene::dock::{Dock, Level};
use crate::scene::element::{Pixmap, Rect, Size};

/// Who locks the session.
#[derive(Debug)]
pub(super) struct Locking {
    manager: SessionLockManagerState,
    /// The session is locked, or about to be.
    locked: bool,
    /// By whom; there is none any longer when that client has died.
    by: Option<ExtSessionLockV1>,
    /// The request at hand comes from that one.
    holds: bool,
    /// To be told when nothing else is seen any longer.
    waits: Option<SessionLocker>,
}

/// What a lock shows on an output.
#[derive(Debug)]
pub(super) struct LockRole {
    pub(super) surface: LockSurface,
    output: OutputId,
}

impl Locking {
    pub(super) const fn new(manager: SessionLockManagerState) -> Self {
        Self { manager, locked: false, by: None, holds: false, waits: None }
    }
}

impl LockRole {
    /// Its client has to draw it in exactly this size.
    pub(super) fn set_size(&self, size: Size) {
        let side = |side: i32| u32::try_from(side).unwrap_or(0);
        self.surface.with_pending_state(|state| state.size = Some((side(size.width), side(size.height)).into()));
    }
}

impl Server {
    /// Nothing is seen of anybody else.
    pub(super) fn covered(&mut self) {
        if let Some(locker) = self.locking.waits.take() {
            locker.lock();
        }
    }

    /// A lock shows something.
    pub(super) fn lock_committed(&mut self, id: ToplevelId, picture: Pixmap) {
        let Some(Toplevel { surface: Role::Lock(lock), picture: shown, .. }) = self.toplevels.get_mut(&id) else {
            return;
        };
        if shown.as_deref() == Some(&picture) {
            return;
        }
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        let rect = Rect { x: 0, y: 0, width: side(picture.width), height: side(picture.height) };
        let dock = Dock { output: lock.output, level: Level::Lock, rect };
        let picture = Rc::new(picture);
        *shown = Some(Rc::clone(&picture));
        self.events.push(Event::Docked { window: id, dock, keyboard: true, picture });
    }

    /// What locks show on outputs that have another size now, or are gone.
    pub(super) fn resize_locks(&mut self) {
        let mut lost = Vec::new();
        for (id, toplevel) in &self.toplevels {
            let Role::Lock(lock) = &toplevel.surface else { continue };
            match self.screens.iter().find(|screen| screen.id == lock.output) {
                Some(screen) => {
                    lock.set_size(screen.size);
                    lock.surface.send_configure();
                }
                None => lost.push(*id),
            }
        }
        lost.into_iter().for_each(|id| self.forget(id));
    }

    /// Locks' surfaces that are gone, or all of them.
    pub(super) fn forget_locks(&mut self, all: bool) {
        let gone = |(_, toplevel): &(&ToplevelId, &Toplevel)| match &toplevel.surface {
            Role::Lock(lock) => all || !lock.surface.alive(),
            Role::Window(_) | Role::Layer(_) => false,
        };
        let gone: Vec<ToplevelId> = self.toplevels.iter().filter(gone).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.forget(id));
    }
}

impl SessionLockHandler for Server {
    fn lock_state(&mut self) -> &mut SessionLockManagerState {
        &mut self.locking.manager
    }

    /// There is one at a time; who drops it tells that client so.
    fn lock(&mut self, confirmation: SessionLocker) {
        if self.locking.by.as_ref().is_some_and(Resource::is_alive) {
            return tracing::debug!("the session is locked already");
        }
        tracing::info!("a client locks the session");
        self.forget_locks(true);
        self.locking.by = Some(confirmation.ext_session_lock().clone());
        self.locking.waits = Some(confirmation);
        self.locking.locked = true;
        self.events.push(Event::Locked(true));
    }

    fn unlock(&mut self) {
        tracing::info!("the session is unlocked");
        self.locking.by = None;
        self.locking.locked = false;
        self.forget_locks(true);
        self.events.push(Event::Locked(false));
    }

    fn new_surface(&mut self, surface: LockSurface, output: WlOutput) {
        if !self.locking.holds {
            return;
        }
        let wanted = Output::from_resource(&output);
        let Some(screen) = self.screens.iter().find(|screen| wanted.as_ref() == Some(&screen.output)) else { return };
        let lock = LockRole { surface, output: screen.id };
        lock.set_size(screen.size);
        self.add(Role::Lock(lock));
    }
}

/// Smithay's state takes each request of any lock for one of the lock that holds; only that one may unlock, or show
/// anything.
impl Dispatch<ExtSessionLockV1, SessionLockState> for Server {
    fn request(
        state: &mut Self,
        client: &Client,
        lock: &ExtSessionLockV1,
        request: Request,
        data: &SessionLockState,
        display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let holds = state.locking.locked && state.locking.by.as_ref() == Some(lock);
        if matches!(request, Request::UnlockAndDestroy) && !(holds && state.locking.waits.is_none()) {
            return lock.post_error(Error::InvalidUnlock, "this lock does not hold the session");
        }
        state.locking.holds = holds;
        <SessionLockManagerState as Dispatch<_, _, Self>>::request(state, client, lock, request, data, display, init);
    }
}

delegate_global_dispatch!(Server: [ExtSessionLockManagerV1: SessionLockManagerGlobalData] => SessionLockManagerState);
delegate_dispatch!(Server: [ExtSessionLockManagerV1: ()] => SessionLockManagerState);
delegate_dispatch!(Server: [ExtSessionLockSurfaceV1: ExtLockSurfaceUserData] => SessionLockManagerState);

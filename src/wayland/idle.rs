// SPDX-License-Identifier: GPL-3.0-or-later
//! Privileged clients that hear when the user has done nothing for a while (`ext-idle-notify`).
//!
//! Smithay's own state has its timers in another event loop than ours; the protocol is small. Nothing here keeps a
//! timer: [`Wayland::idle_deadline`] is when [`Wayland::follow_idleness`] has to be called at the latest.

use std::time::Duration;

use smithay::reexports::wayland_protocols::ext::idle_notify::v1::server::ext_idle_notification_v1::{
    self as notification, ExtIdleNotificationV1,
};
use smithay::reexports::wayland_protocols::ext::idle_notify::v1::server::ext_idle_notifier_v1::{
    self as notifier, ExtIdleNotifierV1,
};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::Wayland;
use super::privilege::is_privileged;
use super::server::Server;
use crate::time::Time;

/// The protocol's version that we speak.
const VERSION: u32 = 2;

/// Notifications for one client; more are never told anything.
const MOST: usize = 32;

/// Somebody who waits for the user to do nothing.
#[derive(Debug)]
struct Notification {
    object: ExtIdleNotificationV1,
    timeout: Duration,
    /// Clients that want the displays to stay on don't count for it.
    input_only: bool,
    /// Since when nothing has happened that counts; `None` for one that is new in this turn.
    since: Option<Time>,
    idle: bool,
}

impl Notification {
    fn restart(&mut self, now: Time) {
        self.since = Some(now);
        if std::mem::take(&mut self.idle) {
            self.object.resumed();
        }
    }

    /// When it is told, if it is not told anything before that.
    fn due(&self, awake: bool) -> Option<Time> {
        let waits = !self.idle && (self.input_only || !awake);
        self.since.filter(|_| waits).map(|since| since.saturating_add(self.timeout))
    }
}

/// All who wait for the user to do nothing.
#[derive(Debug, Default)]
pub(super) struct Idleness {
    notifications: Vec<Notification>,
    /// A window that is seen wants the displays to stay on.
    awake: bool,
}

impl Idleness {
    /// Offers the protocol, to those who may see it.
    pub(super) fn new(display: &DisplayHandle) -> Self {
        display.create_global::<Server, ExtIdleNotifierV1, ()>(VERSION, ());
        Self::default()
    }

    fn user_active(&mut self, now: Time) {
        self.notifications.iter_mut().for_each(|notification| notification.restart(now));
    }

    fn follow(&mut self, awake: bool, now: Time) {
        let changed = std::mem::replace(&mut self.awake, awake) != awake;
        for notification in &mut self.notifications {
            // When it is over the whole time counts anew.
            if changed && !notification.input_only {
                notification.restart(now);
            }
            notification.since.get_or_insert(now);
            if notification.due(awake).is_some_and(|due| due <= now) {
                notification.idle = true;
                notification.object.idled();
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.notifications.iter().filter_map(|notification| notification.due(self.awake)).min()
    }

    fn add(&mut self, object: ExtIdleNotificationV1, timeout: u32, input_only: bool) {
        let theirs = self.notifications.iter().filter(|other| other.object.id().same_client_as(&object.id()));
        if theirs.count() >= MOST {
            return tracing::debug!("a client waits for the user's idleness too often");
        }
        let timeout = Duration::from_millis(timeout.into());
        self.notifications.push(Notification { object, timeout, input_only, since: None, idle: false });
    }
}

impl Wayland {
    /// Whether anybody waits for the user to do nothing.
    #[must_use]
    pub const fn wants_idleness(&self) -> bool {
        !self.server.idleness.notifications.is_empty()
    }

    /// The user has done something, whoever is told of it.
    pub fn user_active(&mut self, now: Time) {
        self.server.idleness.user_active(now);
    }

    /// Tells those who wait for it that the user has done nothing for long enough. While `awake`, a window that is
    /// seen wants the displays to stay on.
    pub fn follow_idleness(&mut self, awake: bool, now: Time) {
        self.server.idleness.follow(awake, now);
    }

    /// When [`Wayland::follow_idleness`] has to be called at the latest.
    #[must_use]
    pub fn idle_deadline(&self) -> Option<Time> {
        self.server.idleness.deadline()
    }
}

impl GlobalDispatch<ExtIdleNotifierV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        notifier: New<ExtIdleNotifierV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(notifier, ());
    }

    fn can_view(client: Client, (): &()) -> bool {
        is_privileged(&client)
    }
}

impl Dispatch<ExtIdleNotifierV1, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &ExtIdleNotifierV1,
        request: notifier::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let (id, timeout, input_only) = match request {
            notifier::Request::GetIdleNotification { id, timeout, .. } => (id, timeout, false),
            notifier::Request::GetInputIdleNotification { id, timeout, .. } => (id, timeout, true),
            notifier::Request::Destroy | _ => return,
        };
        state.idleness.add(init.init(id, ()), timeout, input_only);
    }
}

impl Dispatch<ExtIdleNotificationV1, ()> for Server {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtIdleNotificationV1,
        _: notification::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }

    fn destroyed(state: &mut Self, _: ClientId, object: &ExtIdleNotificationV1, (): &()) {
        state.idleness.notifications.retain(|notification| notification.object != *object);
    }
}

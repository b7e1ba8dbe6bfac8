// SPDX-License-Identifier: GPL-3.0-or-later
//! One connected input device: its session with the guest, and its event channel.

use std::time::Duration;

use crate::displif::rate::Bucket;
use crate::kbdif::device::Setup;
use crate::kbdif::limits::Limits;
use crate::kbdif::session::Session;
use crate::kbdif::status::SessionStatus;
use crate::kbdif::{Capabilities, Input};
use crate::time::Time;
use crate::xen::grants::Access;
use crate::xen::{DomId, Port};

use super::Context;

/// A connected input device.
#[derive(Debug)]
pub(super) struct KeyboardLink {
    label: String,
    number: u64,
    session: Session,
    port: Port,
    wakeups: Bucket,
    /// The guest notifies faster than it may: its port stays masked until the bucket says so.
    masked: bool,
}

impl KeyboardLink {
    /// Maps the guest's page and binds its event channel. `number` names the connection.
    ///
    /// # Errors
    /// A sentence that says what failed; then nothing stays mapped or bound. A guest's kernel can revoke the
    /// page of a device whose state already reads Initialised, so this is to be tried again.
    pub(super) fn connect(
        label: String,
        number: u64,
        domid: DomId,
        setup: Setup,
        limits: Limits,
        context: &mut Context<'_>,
    ) -> Result<Self, String> {
        let page = context.grants.map(domid, &[setup.page], Access::ReadWrite);
        let page = page.map_err(|error| format!("its page (grant {}) can't be mapped: {error}", setup.page))?;
        let rate = limits.wakeups_per_second;
        let session =
            Session::new(label.clone(), limits, setup.capabilities, page).map_err(|error| error.to_string())?;
        let port = context.channels.bind(domid, setup.port);
        let port = port.map_err(|error| format!("event channel {} can't be bound: {error}", setup.port))?;
        let wakeups = Bucket::new(rate, Duration::from_secs(1), rate.div_euclid(10));
        let mut link = Self { label, number, session, port, wakeups, masked: false };
        // What a page of a predecessor is owed.
        link.flush(context);
        Ok(link)
    }

    /// Names the connection: no other one has the same.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn port(&self) -> Port {
        self.port
    }

    pub(super) const fn capabilities(&self) -> Capabilities {
        self.session.capabilities()
    }

    pub(super) fn status(&self) -> SessionStatus {
        self.session.status()
    }

    pub(super) fn input(&mut self, events: &[Input], context: &mut Context<'_>) {
        let notify = self.session.input(events, context.now);
        self.notify(notify, context);
    }

    /// Releases all that the guest holds.
    pub(super) fn release_all(&mut self, context: &mut Context<'_>) {
        self.session.release_all();
        self.flush(context);
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let notify = self.session.flush(context.now);
        self.notify(notify, context);
    }

    fn notify(&self, notify: bool, context: &mut Context<'_>) {
        if !notify {
            return;
        }
        if let Err(error) = context.channels.notify(self.port) {
            tracing::debug!("{}: event channel {} can't be notified: {error}", self.label, self.port);
        }
    }

    /// The guest has read, or says so.
    pub(super) fn fired(&mut self, context: &mut Context<'_>) {
        self.flush(context);
        self.masked = true;
        self.unmask(context);
    }

    fn unmask(&mut self, context: &mut Context<'_>) {
        if !self.masked || !self.wakeups.take(context.now) {
            return;
        }
        self.masked = false;
        if let Err(error) = context.channels.unmask(self.port) {
            tracing::warn!("{}: event channel {} can't be unmasked: {error}", self.label, self.port);
        }
    }

    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.session.deadline().is_some_and(|deadline| deadline <= context.now) {
            self.flush(context);
        }
        self.unmask(context);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let masked = self.masked.then(|| self.wakeups.ready_at());
        self.session.deadline().into_iter().chain(masked).min()
    }

    /// Lets go; the guest, if it is still there, is told that all is up.
    pub(super) fn close(mut self, context: &mut Context<'_>) {
        self.release_all(context);
        context.channels.unbind(self.port);
    }
}

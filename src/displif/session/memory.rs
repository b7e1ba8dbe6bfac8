// SPDX-License-Identifier: GPL-3.0-or-later
//! The requests about buffers and framebuffers: DBUF_CREATE, DBUF_DESTROY, FB_ATTACH, FB_DETACH.

use super::super::buffers::{Buffers, State, Waiting, plan};
use super::super::conduct::Refusal;
use super::super::page_directory::{DirectoryError, pages_of, walk};
use super::super::wire::{AttachFramebuffer, CreateBuffer, Errno, FLAG_REQ_ALLOC, RequestId};
use super::super::{Action, Allocation, FramebufferSerial, Host};
use super::{Outcome, Session};

impl Session {
    pub(super) fn create_buffer(&mut self, create: &CreateBuffer, host: &mut dyn Host) -> Result<Outcome, Refusal> {
        let made = self.make_buffer(create, host);
        let unmade = made.is_err() && self.buffers.get_mut(create.cookie).is_none();
        self.unmade = unmade.then_some(create.cookie);
        made
    }

    fn make_buffer(&mut self, create: &CreateBuffer, host: &mut dyn Host) -> Result<Outcome, Refusal> {
        let plan = plan(create, self.version, &self.limits)?;
        let usage = host.usage();
        self.buffers.check_room(create.cookie, plan.pages, &usage, self.connectors.len(), &self.limits)?;
        // The flag alone means nothing: Linux leaves it uninitialised.
        let asked = create.flags & FLAG_REQ_ALLOC != 0;
        let serial = if asked && self.allocation == Allocation::On {
            Buffers::check_allocation(plan.pages, &usage, &self.limits)?;
            let directory = pages_of(create.directory, plan.pages, |gref| host.read_page(gref))
                .map_err(|error| Refusal::directory(&error))?;
            let serial = self.buffers.next_serial();
            host.allocate(serial, plan.pages, &directory).map_err(|error| Refusal::grants(&error))?;
            serial
        } else {
            let refs = walk(create.directory, plan.pages, |gref| host.read_page(gref))
                .map_err(|error| self.explain(&error, asked))?;
            let serial = self.buffers.next_serial();
            host.import(serial, &refs).map_err(|error| Refusal::grants(&error))?;
            serial
        };
        self.buffers.insert(create.cookie, serial, plan);
        Ok(Outcome::Done(0))
    }

    /// A guest that expects our memory leaves its directory empty.
    fn explain(&self, error: &DirectoryError, asked: bool) -> Refusal {
        match (&self.allocation, error) {
            (Allocation::Refused(why), DirectoryError::ZeroReference { .. }) if asked => {
                Refusal::limit(Errno::NotSupported, format!("it is to be made of our memory: {why}"))
            }
            _ => Refusal::directory(error),
        }
    }

    pub(super) fn destroy_buffer(&mut self, cookie: u64, id: RequestId) -> Result<Outcome, Refusal> {
        // Linux cleans up after a refused DBUF_CREATE by a DBUF_DESTROY: that is no bad request, and all is free.
        if self.unmade == Some(cookie) {
            self.unmade = None;
            return Ok(Outcome::Done(0));
        }
        let deadline = self.now.saturating_add(self.limits.destroy_deadline);
        let unknown = || Refusal::bad(Errno::NoEntry, "there is no such buffer");
        let buffer = self.buffers.get_mut(cookie).ok_or_else(unknown)?;
        let before = buffer.state;
        if let State::Retiring(Some(_)) = before {
            return Err(Refusal::bad(Errno::Busy, "it is being destroyed already"));
        }
        buffer.state = State::Retiring(Some(Waiting { id, deadline }));
        let serial = buffer.serial;
        // A buffer whose destroy has timed out is on its way already, and only the answer is asked for again.
        if before == State::Live {
            for framebuffer in self.framebuffers.remove_of(Some(serial)) {
                self.forget_framebuffer(framebuffer);
            }
            self.actions.push_back(Action::RetireBuffer(serial));
        }
        Ok(Outcome::Deferred)
    }

    pub(super) fn attach_framebuffer(&mut self, attach: &AttachFramebuffer) -> Result<Outcome, Refusal> {
        let connectors = self.connectors.len();
        let framebuffer = self.framebuffers.attach(attach, &self.buffers, connectors, &self.limits)?;
        self.actions.push_back(Action::FramebufferAttached {
            framebuffer: framebuffer.serial,
            buffer: framebuffer.buffer,
            layout: framebuffer.layout,
        });
        Ok(Outcome::Done(0))
    }

    pub(super) fn detach_framebuffer(&mut self, cookie: u64) -> Result<Outcome, Refusal> {
        let unknown = || Refusal::bad(Errno::NoEntry, "there is no such framebuffer");
        let framebuffer = self.framebuffers.remove(cookie).ok_or_else(unknown)?;
        self.forget_framebuffer(framebuffer.serial);
        Ok(Outcome::Done(0))
    }

    pub(super) fn forget_framebuffer(&mut self, framebuffer: FramebufferSerial) {
        for connector in &mut self.connectors {
            connector.forget(framebuffer);
        }
        self.actions.push_back(Action::FramebufferDetached(framebuffer));
    }
}

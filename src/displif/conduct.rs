// SPDX-License-Identifier: GPL-3.0-or-later
//! What requests cost and which are bad: why one is refused, how many are borne, and what of it reaches the
//! log.

use std::time::Duration;

use crate::time::Time;
use crate::xen::grants::GrantError;

use super::limits::Limits;
use super::pace::Hold;
use super::page_directory::{DirectoryError, pages_for};
use super::rate::Bucket;
use super::wire::{Errno, Operation, Request};

/// Whose doing a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The request could never be granted: it counts as bad.
    Guest,
    /// A limit was reached, or our side failed: it does not.
    Circumstances,
}

/// A request that is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) errno: Errno,
    pub(super) why: String,
    pub(super) blame: Blame,
}

impl Refusal {
    pub(super) fn bad(errno: Errno, why: impl Into<String>) -> Self {
        Self { errno, why: why.into(), blame: Blame::Guest }
    }

    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::bad(Errno::Invalid, why)
    }

    pub(super) fn limit(errno: Errno, why: impl Into<String>) -> Self {
        Self { errno, why: why.into(), blame: Blame::Circumstances }
    }

    /// A page directory was refused.
    pub(super) fn directory(error: &DirectoryError) -> Self {
        let why = error.to_string();
        match error {
            DirectoryError::Unreadable { source, .. } => Self { why, ..Self::grants(source) },
            DirectoryError::TooShort { .. }
            | DirectoryError::TooLong { .. }
            | DirectoryError::Loop(_)
            | DirectoryError::ZeroReference { .. } => Self::invalid(why),
        }
    }

    /// The provider of granted pages failed.
    pub(super) fn grants(error: &GrantError) -> Self {
        let why = error.to_string();
        match error {
            GrantError::Refused { .. } => Self::bad(Errno::Fault, why),
            GrantError::NoRoom { .. } => Self::limit(Errno::NoMemory, why),
            GrantError::Driver(_) => Self::limit(Errno::Io, why),
        }
    }
}

/// One guest's record.
#[derive(Debug)]
pub(super) struct Conduct {
    label: String,
    log: Bucket,
    suppressed: u64,
    bad: u32,
    warning: u32,
    fatal: u32,
    refused: u64,
    last: Option<String>,
    held_back: u64,
    /// Lines that say that the guest is slowed down.
    pace_log: Bucket,
}

impl Conduct {
    pub(super) fn new(label: String, limits: &Limits) -> Self {
        let lines = limits.log_lines_per_minute;
        Self {
            label,
            log: Bucket::new(lines, Duration::from_secs(60), lines.clamp(1, 10)),
            suppressed: 0,
            bad: 0,
            warning: limits.bad_requests_warning,
            fatal: limits.bad_requests_fatal,
            refused: 0,
            last: None,
            held_back: 0,
            pace_log: Bucket::new(1, Duration::from_secs(60), 1),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// How often a ring was held back, because too many requests were refused.
    pub(super) const fn held_back(&self) -> u64 {
        self.held_back
    }

    /// Why the last request was refused.
    pub(super) fn last_refusal(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Whether the guest may cause another line in the log. Lines that were suppressed are counted, and the
    /// count goes with the next one.
    pub(super) fn may_log(&mut self, now: Time) -> bool {
        if !self.log.take(now) {
            self.suppressed = self.suppressed.saturating_add(1);
            return false;
        }
        if self.suppressed > 0 {
            tracing::debug!("{}: {} lines suppressed", self.label, self.suppressed);
            self.suppressed = 0;
        }
        true
    }

    /// Records a refusal of `what`. Returns the last word when it was one too many.
    pub(super) fn refuse(&mut self, what: &str, refusal: &Refusal, now: Time) -> Option<String> {
        self.refused = self.refused.saturating_add(1);
        let line = format!("{what} refused: {}", refusal.why);
        if self.may_log(now) {
            tracing::debug!(errno = refusal.errno.status(), "{}: {line}", self.label);
        }
        let (label, last) = (&self.label, self.last.insert(line));
        if refusal.blame == Blame::Circumstances {
            return None;
        }
        self.bad = self.bad.saturating_add(1);
        if self.bad == self.warning {
            let (bad, fatal) = (self.bad, self.fatal);
            tracing::warn!("{label}: {last}; {bad} bad requests so far, the device is closed at {fatal}");
        }
        (self.bad >= self.fatal).then(|| format!("{label}: {last}; closed after {} bad requests", self.bad))
    }

    /// When the ring of a request that was just refused is to be served again, by the guest's pace.
    pub(super) fn hold_back(&mut self, hold: Option<Hold>, now: Time) -> Time {
        let Some(hold) = hold else { return now };
        self.held_back = self.held_back.saturating_add(1);
        if hold.begins && self.pace_log.take(now) {
            let (label, last) = (&self.label, self.last.as_deref().unwrap_or_default());
            tracing::warn!("{label}: slowed down: too many of its requests are refused; the last: {last}");
        }
        hold.until
    }
}

/// What a request is about, for the log.
pub(super) fn describe(index: usize, request: &Request) -> String {
    match request.operation {
        Operation::CreateBuffer(create) => format!("buffer {:#x}", create.cookie),
        Operation::DestroyBuffer(cookie) => format!("destroy of buffer {cookie:#x}"),
        Operation::AttachFramebuffer(attach) => format!("framebuffer {:#x}", attach.cookie),
        Operation::DetachFramebuffer(cookie) => format!("detach of framebuffer {cookie:#x}"),
        Operation::SetConfig(_) => format!("configuration of connector {index}"),
        Operation::Flip(cookie) => format!("flip of connector {index} to framebuffer {cookie:#x}"),
        Operation::GetEdid { .. } => format!("EDID of connector {index}"),
        Operation::Unknown => format!("operation {:#04x}", request.id.operation),
    }
}

/// Pages of a buffer that are as much work as one plain request.
const PAGES_PER_COST: usize = 64;

/// Work for a request, 1 for a plain one and 0 for a flip, which has a limit of its own: pages are mapped, or taken and
/// zeroed, one by one.
pub(super) fn cost(operation: &Operation, limits: &Limits) -> u32 {
    match operation {
        Operation::CreateBuffer(create) => {
            // Of a buffer that is too large no page is looked at.
            let pages = pages_for(create.size.min(limits.buffer_bytes));
            u32::try_from(pages.div_euclid(PAGES_PER_COST)).unwrap_or(u32::MAX).saturating_add(1)
        }
        Operation::GetEdid { .. } => 2,
        Operation::DestroyBuffer(_)
        | Operation::AttachFramebuffer(_)
        | Operation::DetachFramebuffer(_)
        | Operation::SetConfig(_)
        | Operation::Unknown => 1,
        Operation::Flip(_) => 0,
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! One transaction of ours, from its first try to its result.

use super::wire::{self, Message, op};
use super::{Change, MAX_VALUE, Query, Snapshot, StoreEvent, Ticket};

/// How often a conflicting transaction is tried before it is given up.
const MAX_TRIES: u32 = 20;

/// Which part of a job an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress {
    /// The transaction has begun.
    Started,
    /// One of [`Job::requests`], by its place.
    Step(usize),
    /// The transaction is committed or aborted.
    Ended,
}

#[derive(Debug)]
pub(super) enum Work {
    Snapshot { queries: Vec<Query>, seen: Snapshot },
    Update { changes: Vec<Change>, error: Option<String> },
}

impl Work {
    pub(super) fn snapshot(queries: Vec<Query>) -> Self {
        Self::Snapshot { queries, seen: Snapshot::default() }
    }

    pub(super) const fn update(changes: Vec<Change>) -> Self {
        Self::Update { changes, error: None }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Snapshot { queries, .. } => queries.len(),
            Self::Update { changes, .. } => changes.len(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Job {
    ticket: Ticket,
    work: Work,
    transaction: u32,
    outstanding: usize,
    tries: u32,
}

impl Job {
    pub(super) const fn new(ticket: Ticket, work: Work) -> Self {
        Self { ticket, work, transaction: 0, outstanding: 0, tries: 0 }
    }

    pub(super) const fn is_update(&self) -> bool {
        matches!(self.work, Work::Update { .. })
    }

    /// One request alone is atomic anyway.
    pub(super) const fn begin_without_transaction(&self) -> bool {
        self.work.len() <= 1
    }

    pub(super) const fn transaction(&self) -> u32 {
        self.transaction
    }

    pub(super) const fn failed(&self) -> bool {
        matches!(&self.work, Work::Update { error: Some(_), .. })
    }

    /// What to send within `transaction`, which is 0 for none.
    pub(super) fn requests(&mut self, transaction: u32) -> Vec<(u32, Vec<u8>)> {
        self.transaction = transaction;
        self.outstanding = self.work.len();
        match &mut self.work {
            Work::Snapshot { queries, seen } => {
                *seen = Snapshot::default();
                queries.iter().map(query_request).collect()
            }
            Work::Update { changes, .. } => changes.iter().map(change_request).collect(),
        }
    }

    /// Takes over the answer to one request; true when it was the last.
    pub(super) fn step(&mut self, step: usize, answer: Result<Message, String>) -> bool {
        match &mut self.work {
            Work::Snapshot { queries, seen } => {
                if let (Some(query), Ok(answer)) = (queries.get(step), answer) {
                    note(seen, query, answer);
                }
            }
            Work::Update { changes, error } => {
                if let (Some(change), Err(name)) = (changes.get(step), answer)
                    && let Some(why) = objection(change, &name)
                {
                    error.get_or_insert(why);
                }
            }
        }
        self.outstanding = self.outstanding.saturating_sub(1);
        self.outstanding == 0
    }

    /// After a conflict: whether to try again.
    pub(super) const fn retry(&mut self) -> bool {
        self.tries += 1;
        self.tries < MAX_TRIES
    }

    /// A snapshot never fails: what could not be read is absent.
    pub(super) fn fail(&mut self, why: String) {
        if let Work::Update { error, .. } = &mut self.work {
            error.get_or_insert(why);
        }
    }

    pub(super) fn into_event(self) -> StoreEvent {
        match self.work {
            Work::Snapshot { seen, .. } => StoreEvent::Snapshot(self.ticket, seen),
            Work::Update { error, .. } => StoreEvent::Updated(self.ticket, error.map_or(Ok(()), Err)),
        }
    }
}

fn query_request(query: &Query) -> (u32, Vec<u8>) {
    match query {
        Query::Value(path) => (op::READ, wire::strings(&[path])),
        Query::Children(path) => (op::DIRECTORY, wire::strings(&[path])),
    }
}

fn change_request(change: &Change) -> (u32, Vec<u8>) {
    match change {
        Change::Write(path, value) => {
            let mut payload = wire::strings(&[path]);
            payload.extend_from_slice(value.as_bytes());
            (op::WRITE, payload)
        }
        Change::Remove(path) => (op::RM, wire::strings(&[path])),
        Change::Expect(path) => (op::READ, wire::strings(&[path])),
    }
}

fn note(seen: &mut Snapshot, query: &Query, answer: Message) {
    match query {
        Query::Value(path) => {
            if answer.payload.len() <= MAX_VALUE
                && let Ok(value) = String::from_utf8(answer.payload)
            {
                seen.values.insert(path.clone(), value);
            }
        }
        Query::Children(path) => {
            let names = answer.strings().filter(|name| !name.is_empty());
            let names = names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect();
            seen.children.insert(path.clone(), names);
        }
    }
}

/// What a refused change means for the update.
fn objection(change: &Change, error: &str) -> Option<String> {
    match change {
        Change::Write(path, _) => Some(format!("xenstored refuses to write {path}: {error}")),
        Change::Remove(_) if error == "ENOENT" => None,
        Change::Remove(path) => Some(format!("xenstored refuses to remove {path}: {error}")),
        Change::Expect(path) => Some(format!("{path} can't be read any more: {error}")),
    }
}

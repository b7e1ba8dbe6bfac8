// SPDX-License-Identifier: GPL-3.0-or-later
//! Which frames name which guest buffers: when a detached buffer can be evicted, and who still held one
//! that was let go too late.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::Commit;
use crate::scene::element::{BufferId, Content, Frame, OutputId};

/// A frame that names a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The frame that this output shows.
    Shown(OutputId),
    /// The frame that is on its way to this output.
    OnItsWay(OutputId),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shown(OutputId(output)) => write!(f, "the frame on output {output}"),
            Self::OnItsWay(OutputId(output)) => write!(f, "the frame on its way to output {output}"),
        }
    }
}

/// The frames of all outputs, and the buffers that are to be evicted.
#[derive(Debug, Default)]
pub struct Release {
    outputs: BTreeMap<OutputId, Frames>,
    detached: BTreeSet<BufferId>,
}

#[derive(Debug, Default)]
struct Frames {
    shown: BTreeSet<BufferId>,
    on_its_way: Option<BTreeSet<BufferId>>,
}

impl Release {
    /// A frame was committed.
    pub fn committed(&mut self, output: OutputId, frame: &Frame, outcome: Commit) {
        let frames = self.outputs.entry(output).or_default();
        match outcome {
            Commit::Submitted => frames.on_its_way = Some(buffers(frame)),
            Commit::NoDamage => frames.shown = buffers(frame),
            Commit::Skipped => {}
        }
    }

    /// The frame that was on its way is shown.
    pub fn presented(&mut self, output: OutputId) {
        if let Some(frames) = self.outputs.get_mut(&output)
            && let Some(shown) = frames.on_its_way.take()
        {
            frames.shown = shown;
        }
    }

    /// The output is gone, with its frames.
    pub fn remove_output(&mut self, output: OutputId) {
        self.outputs.remove(&output);
    }

    /// The buffer is in no frame from now on. It comes out of [`Release::take_evictable`] once.
    pub fn detach(&mut self, buffer: BufferId) {
        self.detached.insert(buffer);
    }

    /// The detached buffers that no frame on its way names any longer: to be evicted now. One that an
    /// output shows is among them, since the next frame takes it off.
    pub fn take_evictable(&mut self) -> Vec<BufferId> {
        let on_its_way = |buffer: &BufferId| {
            self.outputs.values().any(|frames| frames.on_its_way.as_ref().is_some_and(|on| on.contains(buffer)))
        };
        let evictable: Vec<BufferId> = self.detached.iter().filter(|buffer| !on_its_way(buffer)).copied().collect();
        self.detached.retain(|buffer| !evictable.contains(buffer));
        evictable
    }

    /// The frames that name a buffer, for the log.
    #[must_use]
    pub fn holders(&self, buffer: BufferId) -> Vec<Holder> {
        let mut holders = Vec::new();
        for (output, frames) in &self.outputs {
            if frames.shown.contains(&buffer) {
                holders.push(Holder::Shown(*output));
            }
            if frames.on_its_way.as_ref().is_some_and(|on_its_way| on_its_way.contains(&buffer)) {
                holders.push(Holder::OnItsWay(*output));
            }
        }
        holders
    }
}

fn buffers(frame: &Frame) -> BTreeSet<BufferId> {
    frame
        .elements
        .iter()
        .filter_map(|element| match element.content {
            Content::Buffer { buffer, .. } => Some(buffer),
            Content::Solid(_) | Content::Pixmap(_) => None,
        })
        .collect()
}

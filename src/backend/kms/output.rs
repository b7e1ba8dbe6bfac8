// SPDX-License-Identifier: GPL-3.0-or-later
//! One display: its name, its mode, and what it shows next.

use std::rc::Rc;
use std::time::Duration;

use smithay::reexports::drm::control::{Mode, connector, crtc};

use super::config::OutputSetting;
use super::connectors::Connected;
use super::flight::{Flight, Shown};
use super::mode::{self, ModeInfo};
use crate::backend::{Event, OutputId, OutputInfo};
use crate::time::Time;

/// How an output is driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) connector: connector::Handle,
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) edid: Option<Rc<[u8]>>,
}

impl Plan {
    /// What to do with a connected display, if anything.
    pub(super) fn of(connected: &Connected, setting: OutputSetting) -> Option<Self> {
        let modes: Vec<ModeInfo> = connected.modes.iter().map(ModeInfo::of).collect();
        let choice = mode::choose(&modes, setting)?;
        let mode = *connected.modes.get(choice.index)?;
        if !choice.as_asked {
            let ModeInfo { width, height, .. } = ModeInfo::of(&mode);
            let offered = offered(&modes);
            tracing::warn!(
                output = connected.name,
                "the display has not the mode of the configuration, {width}x{height} is used; it offers {offered}"
            );
        }
        Some(Self { connector: connected.handle, name: connected.name.clone(), mode, edid: connected.edid.clone() })
    }
}

fn offered(modes: &[ModeInfo]) -> String {
    let mut sizes: Vec<String> = modes.iter().map(|mode| format!("{}x{}", mode.width, mode.height)).collect();
    sizes.dedup();
    sizes.join(" ")
}

/// One display that is in use.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) id: OutputId,
    pub(super) plan: Plan,
    pub(super) crtc: crtc::Handle,
    /// Whether it shows frames whenever they come.
    pub(super) variable: bool,
    pub(super) flight: Flight,
}

impl Output {
    pub(super) fn new(id: OutputId, plan: Plan, crtc: crtc::Handle, variable: bool) -> Self {
        Self { id, plan, crtc, variable, flight: Flight::default() }
    }

    pub(super) fn info(&self) -> OutputInfo {
        let mode = ModeInfo::of(&self.plan.mode);
        OutputInfo {
            id: self.id,
            name: self.plan.name.clone(),
            width: u32::from(mode.width),
            height: u32::from(mode.height),
            refresh: mode.frame_time(),
            variable: self.variable,
            edid: self.plan.edid.clone(),
        }
    }

    /// Time between two frames.
    pub(super) fn frame_time(&self) -> Duration {
        ModeInfo::of(&self.plan.mode).frame_time()
    }

    /// The frame that is on the display, if that is to be said now.
    pub(super) fn report(&mut self, now: Time) -> Option<Event> {
        let Shown { sequence, time } = self.flight.report(now)?;
        Some(Event::Presented { output: self.id, sequence, time })
    }
}

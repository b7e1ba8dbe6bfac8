// SPDX-License-Identifier: GPL-3.0-or-later
//! One display: its name and mode, and the frame that is on its way to it.

use std::time::Duration;

use smithay::backend::drm::{DrmEventMetadata, DrmEventTime};
use smithay::reexports::drm::control::{Mode, connector, crtc};

use super::config::OutputSetting;
use super::connectors::Connected;
use super::counter::FrameCounter;
use super::mode::{self, ModeInfo};
use crate::backend::{Event, OutputId, OutputInfo};
use crate::time::Time;

/// After this long a frame counts as shown although the kernel doesn't say so: a driver that loses an event
/// must not stop the guests. Emulated displays take more than a second at their worst.
pub(super) const FLIP_TIMEOUT: Duration = Duration::from_secs(3);

/// How an output is driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) connector: connector::Handle,
    pub(super) name: String,
    pub(super) mode: Mode,
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
        Some(Self { connector: connected.handle, name: connected.name.clone(), mode })
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
    /// When the frame that is on its way was handed over.
    pending: Option<Time>,
    counter: FrameCounter,
}

impl Output {
    pub(super) fn new(id: OutputId, plan: Plan, crtc: crtc::Handle) -> Self {
        Self { id, plan, crtc, pending: None, counter: FrameCounter::default() }
    }

    pub(super) fn info(&self) -> OutputInfo {
        let mode = ModeInfo::of(&self.plan.mode);
        OutputInfo {
            id: self.id,
            name: self.plan.name.clone(),
            width: u32::from(mode.width),
            height: u32::from(mode.height),
            refresh: mode.frame_time(),
        }
    }

    pub(super) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) const fn submitted(&mut self, now: Time) {
        self.pending = Some(now);
    }

    /// When the frame on its way counts as lost.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.pending.map(|since| since + FLIP_TIMEOUT)
    }

    /// The kernel says that a frame is on the display; none if none was on its way.
    pub(super) fn flipped(&mut self, metadata: Option<&DrmEventMetadata>, now: Time) -> Option<Event> {
        let since = self.pending.take()?;
        let sequence = match metadata {
            Some(metadata) => self.counter.advance(metadata.sequence),
            None => self.counter.advance_unseen(),
        };
        Some(Event::Presented { output: self.id, sequence, time: flip_time(metadata, since, now) })
    }

    /// Nobody will say any more that the frame on its way is on the display.
    pub(super) fn given_up(&mut self, now: Time) -> Option<Event> {
        self.flipped(None, now)
    }
}

/// The kernel's time, on the monotonic clock, and within what is possible: after a mode was set, drivers that
/// make their vertical blanks from a timer report the blank before it, which may be seconds old. A driver that
/// says 0, or has only the wall clock, is not believed at all.
fn flip_time(metadata: Option<&DrmEventMetadata>, since: Time, now: Time) -> Time {
    match metadata.map(|metadata| metadata.time) {
        Some(DrmEventTime::Monotonic(time)) if !time.is_zero() => time.max(since).min(now),
        Some(DrmEventTime::Monotonic(_) | DrmEventTime::Realtime(_)) | None => now,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const SINCE: Time = Duration::from_secs(98);
    const NOW: Time = Duration::from_secs(100);

    fn time(time: DrmEventTime) -> Time {
        flip_time(Some(&DrmEventMetadata { time, sequence: 9 }), SINCE, NOW)
    }

    fn monotonic(seconds: u64) -> DrmEventTime {
        DrmEventTime::Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn the_kernels_monotonic_time_is_taken() {
        assert_eq!(time(monotonic(99)), Duration::from_secs(99));
    }

    #[test]
    fn no_frame_is_shown_before_it_was_handed_over_or_in_the_future() {
        assert_eq!(time(monotonic(90)), SINCE);
        assert_eq!(time(monotonic(101)), NOW);
    }

    #[test]
    fn without_a_monotonic_time_it_is_now() {
        assert_eq!(time(monotonic(0)), NOW);
        assert_eq!(time(DrmEventTime::Realtime(SystemTime::now())), NOW);
        assert_eq!(flip_time(None, SINCE, NOW), NOW);
    }
}

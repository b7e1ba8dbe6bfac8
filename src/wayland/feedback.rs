// SPDX-License-Identifier: GPL-3.0-or-later
//! When commits came onto the display, for clients that ask.
//!
//! A commit is answered once: with the time of the flip that showed it first, or that it was never shown: another one
//! took its place before that, nobody could see the window, or no pixel of the display changed by it.

use std::time::Duration;

use smithay::output::Output;
use smithay::reexports::wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{TraversalAction, with_surface_tree_downward};
use smithay::wayland::presentation::{PresentationFeedbackCachedState, PresentationFeedbackCallback, Refresh};

use super::server::Toplevel;
use crate::backend::OutputId;
use crate::time::Time;

/// `CLOCK_MONOTONIC`, the clock of all our times.
pub(super) const CLOCK: u32 = 1;

/// A client waits to hear of one commit of one surface.
#[derive(Debug)]
pub(super) struct Feedback {
    surface: WlSurface,
    callback: PresentationFeedbackCallback,
    /// It is among what [`super::Wayland::shown`] will end.
    paced: bool,
    /// Where the frame is on its way that shows it.
    drawn: Option<OutputId>,
}

/// What is asked about the commits that have just taken effect on a surface and below it.
pub(super) fn take(surface: &WlSurface) -> Vec<Feedback> {
    let mut taken = Vec::new();
    with_surface_tree_downward(
        surface,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |surface, states, ()| {
            let mut asked = states.cached_state.get::<PresentationFeedbackCachedState>();
            let callbacks = std::mem::take(&mut asked.current().callbacks);
            let feedback = |callback| Feedback { surface: surface.clone(), callback, paced: false, drawn: None };
            taken.extend(callbacks.into_iter().map(feedback));
        },
        |_, _, ()| true,
    );
    taken
}

/// These were never shown.
pub(super) fn discard(feedback: impl IntoIterator<Item = Feedback>) {
    feedback.into_iter().for_each(|feedback| feedback.callback.discarded());
}

impl Toplevel {
    /// A surface of the window was committed: what it showed before is no longer to come.
    pub(super) fn replace_feedback(&mut self, surface: &WlSurface, new: Vec<Feedback>) {
        let gone = |old: &Feedback| old.surface == *surface || new.iter().any(|new| new.surface == old.surface);
        discard(self.feedback.extract_if(.., |old| old.drawn.is_none() && gone(old)));
        self.feedback.extend(new);
    }

    /// From now on [`Toplevel::end_feedback`] is about these. Whether there are any.
    pub(super) fn pace_feedback(&mut self) -> bool {
        let mut undrawn = self.feedback.iter_mut().filter(|feedback| feedback.drawn.is_none()).peekable();
        let any = undrawn.peek().is_some();
        undrawn.for_each(|feedback| feedback.paced = true);
        any
    }

    /// What was paced is over, shown or not.
    pub(super) fn end_feedback(&mut self) {
        discard(self.feedback.extract_if(.., |feedback| feedback.paced && feedback.drawn.is_none()));
    }

    /// Whether anything is asked about commits that no frame shows yet.
    pub(super) fn has_undrawn(&self) -> bool {
        self.feedback.iter().any(|feedback| feedback.drawn.is_none())
    }

    /// A frame with the window in it is on its way to an output.
    pub(super) fn drawn(&mut self, output: OutputId) {
        let undrawn = self.feedback.iter_mut().filter(|feedback| feedback.drawn.is_none());
        undrawn.for_each(|feedback| feedback.drawn = Some(output));
    }

    /// An output shows the frame that was on its way.
    pub(super) fn presented(&mut self, (id, output): (OutputId, &Output), time: Time, sequence: u64) {
        let frequency = output.current_mode().and_then(|mode| u64::try_from(mode.refresh).ok());
        let period = frequency.and_then(|millihertz| 1_000_000_000_000_u64.checked_div(millihertz));
        let refresh = period.map_or(Refresh::Unknown, |period| Refresh::fixed(Duration::from_nanos(period)));
        for feedback in self.feedback.extract_if(.., |feedback| feedback.drawn == Some(id)) {
            // How exact the time is differs between backends: no more is promised than the time.
            feedback.callback.presented(output, time, refresh, sequence, Kind::empty());
        }
    }

    /// An output is gone, with the frame that was on its way.
    pub(super) fn not_presented(&mut self, is_there: impl Fn(OutputId) -> bool) {
        discard(self.feedback.extract_if(.., |feedback| feedback.drawn.is_some_and(|output| !is_there(output))));
    }
}

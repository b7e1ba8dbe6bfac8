// SPDX-License-Identifier: GPL-3.0-or-later
//! What says what is where: a desktop, or a kiosk's fixed table.

use std::fmt;

use super::SceneOutput;
use super::desktop::Desktop;
use super::dock::Docked;
use super::element::{Color, Element, OutputId, Rect, Size};
use super::focus::{Area, Spot};
use super::kiosk::Kiosk;
use super::layout::{Edges, Region};
use super::text::Font;
use super::window::{Look, Window, WindowId};

/// What size, and with it what place, the user wants a window to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That of its picture, and the place that it had before.
    Natural,
    /// A part of its output; its own size again if it has that part already.
    Region(Region),
    /// A tile, whatever it has.
    Tile(Region),
    /// Some of its edges were moved.
    Edges {
        /// The window with its frame before that, on its output.
        from: Rect,
        /// Which.
        edges: Edges,
        /// By how far, to the right and down.
        by: (i32, i32),
    },
}

/// What an arrangement looks at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) outputs: &'a [SceneOutput],
    /// Back to front.
    pub(super) windows: &'a [Window],
    pub(super) docks: &'a [Docked],
    pub(super) focus: Option<WindowId>,
    /// Who owns what is shown in the place of all guests' pictures.
    pub(super) attention: bool,
}

impl View<'_> {
    pub(super) fn look(&self, window: &Window) -> Look {
        Look { focused: self.focus == Some(window.id), owner: self.attention }
    }
}

/// Says where windows are, and what an output's picture is made of.
pub(super) trait Arrangement: fmt::Debug {
    /// The outputs are others now.
    fn set_outputs(&mut self, before: &[SceneOutput], now: &[SceneOutput], windows: &mut [Window]);

    /// The window at `index` is new, or its content has another size.
    fn fit(&mut self, index: usize, windows: &mut [Window], outputs: &[SceneOutput], font: Option<&Font>);

    /// A window shows something.
    fn drew(&mut self, _window: &Window) {}

    /// The user moves the window at `index`, so that the pixel `grip` of it, frame included, is at the place `at` of an
    /// output. Returns whether it moved.
    fn move_to(
        &mut self,
        _index: usize,
        _at: (usize, i32, i32),
        _grip: (i32, i32),
        _windows: &mut [Window],
        _outputs: &[SceneOutput],
    ) -> bool {
        false
    }

    /// The user gives the window at `index` another size. Returns the size of the content that its client is to draw,
    /// if it is a client's.
    fn size_to(
        &mut self,
        _index: usize,
        _wanted: Wanted,
        _windows: &mut [Window],
        _outputs: &[SceneOutput],
        _font: Option<&Font>,
    ) -> Option<Size> {
        None
    }

    /// A window is about to go.
    fn leaves(&mut self, _window: &Window, _outputs: &[SceneOutput]) {}

    /// A window is gone. Returns whether more has changed than the output that it was on.
    fn removed(&mut self, window: WindowId) -> bool;

    /// Gives one window its whole output, or ends that. Returns whether that changed anything.
    fn set_fullscreen(&mut self, _window: Option<WindowId>) -> bool {
        false
    }

    /// Docks leave that part of an output to windows. Returns what clients are to draw whose windows have a part of it.
    fn set_free(
        &mut self,
        _free: (OutputId, Rect),
        _windows: &mut [Window],
        _outputs: &[SceneOutput],
        _font: Option<&Font>,
    ) -> Vec<(WindowId, Size)> {
        Vec::new()
    }

    /// Whether a window has this output for itself.
    fn full_screen_on(&self, _view: View<'_>, _output: usize) -> bool {
        false
    }

    /// The window that has an output for itself.
    fn fullscreen(&self) -> Option<WindowId> {
        None
    }

    /// Where a window's content is; `None` while it is hidden.
    fn placement(&self, view: View<'_>, window: &Window) -> Option<(OutputId, Rect)>;

    /// Where anything is seen of a window's picture; `None` while it is hidden, or covered.
    fn sight(&self, view: View<'_>, window: &Window) -> Option<OutputId> {
        Some(self.placement(view, window)?.0)
    }

    /// What gets input, front to back.
    fn spots(&self, view: View<'_>, areas: &[Area]) -> Vec<Spot>;

    /// What shows on an output where nothing else is.
    fn background(&self, view: View<'_>, output: SceneOutput) -> Color;

    /// The windows on an output, and what stands in for them, front to back.
    fn elements(&self, view: View<'_>, output: SceneOutput, out: &mut Vec<Element>);
}

/// The arrangements that there are.
#[derive(Debug)]
pub(super) enum Layout {
    Desktop(Desktop),
    Kiosk(Kiosk),
}

impl Layout {
    pub(super) const fn get(&self) -> &dyn Arrangement {
        match self {
            Self::Desktop(desktop) => desktop,
            Self::Kiosk(kiosk) => kiosk,
        }
    }

    pub(super) const fn get_mut(&mut self) -> &mut dyn Arrangement {
        match self {
            Self::Desktop(desktop) => desktop,
            Self::Kiosk(kiosk) => kiosk,
        }
    }

    pub(super) const fn kiosk(&self) -> Option<&Kiosk> {
        match self {
            Self::Desktop(_) => None,
            Self::Kiosk(kiosk) => Some(kiosk),
        }
    }

    pub(super) const fn kiosk_mut(&mut self) -> Option<&mut Kiosk> {
        match self {
            Self::Desktop(_) => None,
            Self::Kiosk(kiosk) => Some(kiosk),
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The reserved chords: one key that no guest ever gets, held while another is pressed.
//!
//! Since the reserved key itself is never sent, nothing has to be held back until it is clear whether a chord
//! comes, and no guest can see even a part of one (docs/decisions/0006-reserved-key.md).

use crate::scene::layout::{Region, Workspace};

/// What a chord does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chord {
    /// Shows who owns what, and lets go of any grab.
    Attention,
    /// Gives the next guest the focus.
    NextGuest,
    /// Gives the previous guest the focus.
    PreviousGuest,
    /// Shows the window with the focus full screen, or no longer.
    FullScreen,
    /// Gives the window with the focus a part of its output, or what it had before.
    Region(Region),
    /// Gives the window with the focus the size of its picture.
    NaturalSize,
    /// Shows the picture of the window with the focus the next way.
    NextFit,
    /// Tiles the windows of the workspace, or no longer.
    Tile,
    /// Gives the window with the focus the first tile.
    FirstTile,
    /// Shows a workspace; with a Shift key held, moves the window with the focus to it.
    Workspace(Workspace),
    /// Takes the window with the focus off the screen.
    Minimise,
    /// Closes the window with the focus, if it is one of Dom0's own clients'.
    Close,
    /// Frees the pointer.
    ReleasePointer,
    /// Shows the reserved keys, or no longer.
    Help,
    /// Starts a program: the configuration's, by its number.
    Program(u8),
    /// Ends the compositor.
    Terminate,
}

/// Which keys are reserved, by Linux's key codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// The reserved key.
    pub modifier: u32,
    /// The keys that do something while it is held; each at most once, and never the reserved key.
    pub chords: Vec<(u32, Chord)>,
}

impl Bindings {
    /// What this key does while the reserved key is held.
    #[must_use]
    pub fn chord(&self, code: u32) -> Option<Chord> {
        self.chords.iter().find(|(key, _)| *key == code).map(|(_, chord)| *chord)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! From what the user does to what one guest is told, or the compositor does.
//!
//! Everything here is pure: events and what is where go in, [`Outcome`]s come out. [`seat`] holds what the
//! user does right now (keys, pointer, fingers, focus), [`world`] says who may get what, [`view`] is what
//! each guest was told and has not been told to be over, [`binding`] has the reserved chords. Nobody here
//! knows how a guest is reached.

pub mod binding;
pub mod keymap;
pub mod seat;
pub mod view;
pub mod wheel;
pub mod world;

pub use self::binding::{Bindings, Chord};
pub use self::keymap::Keymap;
pub use self::seat::{Bounds, Constraint, Refusal, Seat};
pub use self::world::{Allowed, Confine, Device, Owner, PointerKind, Policy, Target, World};
use crate::scene::element::Rect;
use crate::scene::focus::WindowId;
use crate::scene::layout::{Edges, Region, Workspace};

/// What a guest is told. Positions are pixels of its window's content as the guest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestEvent {
    /// A key or button (Linux's codes) went down or up.
    Key {
        /// Which.
        code: u32,
        /// Down or up.
        pressed: bool,
    },
    /// The pointer moved, in the device's own units.
    Motion {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
    },
    /// The wheel turned by so many clicks; positive scrolls up.
    Wheel {
        /// How many.
        clicks: i32,
    },
    /// The pointer is here.
    Position {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// A finger came down.
    TouchDown {
        /// Which, from 0; unique among the guest's fingers that are down.
        contact: u32,
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// A finger moved.
    TouchMotion {
        /// Which.
        contact: u32,
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// A finger was lifted.
    TouchUp {
        /// Which.
        contact: u32,
    },
    /// All fingers of this moment have been told of.
    TouchSync,
}

/// What comes of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest that owns a window is told.
    Guest {
        /// The window.
        window: WindowId,
        /// What it is told.
        event: GuestEvent,
    },
    /// A client is told how far the pointer that is over its window has moved, or would have if it were not kept: in
    /// 1/256 pixel.
    Moved {
        /// The window.
        window: WindowId,
        /// Accelerated.
        by: (i32, i32),
        /// As the device said.
        raw: (i32, i32),
    },
    /// This window lost the focus; what it held has been released before this.
    FocusLost(WindowId),
    /// This window, or none, has the focus now.
    Focus(Option<WindowId>),
    /// The user moves a window by its frame.
    Move {
        /// The window.
        window: WindowId,
        /// Where the pointer is, on the plane of all outputs.
        at: (i32, i32),
        /// What of the window it holds: pixels from its upper left corner, frame included.
        grip: (i32, i32),
    },
    /// The user moves edges of a window.
    Resize {
        /// The window.
        window: WindowId,
        /// The window with its frame before that, on the plane of all outputs.
        from: Rect,
        /// Which edges.
        edges: Edges,
        /// By how far, to the right and down.
        by: (i32, i32),
    },
    /// The user draws along a window's picture of which not all is seen.
    Pan {
        /// The window.
        window: WindowId,
        /// The upper left corner of what was seen before that, in the picture's pixels.
        from: (i32, i32),
        /// By how far, to the right and down, in pixels of the display.
        by: (i32, i32),
    },
    /// The user has clicked on a window that is nobody's.
    Dismiss(WindowId),
    /// The secure attention picture begins (`true`) or ends.
    Attention(bool),
    /// The compositor has to do something.
    Command(Command),
}

/// What the compositor has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The next guest gets the focus.
    NextGuest,
    /// The previous guest gets the focus.
    PreviousGuest,
    /// The window with the focus is shown full screen, or is so no longer.
    FullScreen,
    /// The window with the focus gets a part of its output, or what it had before if it has that part.
    Region(Region),
    /// The window with the focus gets the size of its picture.
    NaturalSize,
    /// The picture of the window with the focus is shown the next way.
    NextFit,
    /// The windows of the workspace are tiled, or no longer.
    Tile,
    /// The window with the focus gets the first tile.
    FirstTile,
    /// A workspace is shown.
    Workspace(Workspace),
    /// The window with the focus goes to a workspace.
    Send(Workspace),
    /// The window with the focus is taken off the screen.
    Minimise,
    /// The window with the focus is closed, if it is a client's.
    Close,
    /// The reserved keys are shown, or no longer.
    Help,
    /// A program is started: the configuration's, by its number.
    Program(u8),
    /// The compositor ends.
    Terminate,
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Where windows go: pure geometry.
//!
//! A window is put where it fits first, line by line from the top left, and stays there until the user moves it:
//! windows that come and go do not move the others, and a guest that is started again finds its old place. Only when no
//! output has room are windows laid over each other, each a step further to the lower right.

use super::decoration::{RING, TITLE};
use super::element::{Rect, Size};

/// Pixels between windows, and between a window and the output's edge.
pub const GAP: i32 = 12;

/// Pixels from one overlapping window to the next, in both directions.
pub const STEP: i32 = 32;

/// Pixels of a title bar's width that stay on the output.
pub const REACH: i32 = 64;

/// The longest side that a window is given, in pixels.
const LONGEST: i32 = 16_384;

/// One of the workspaces: of all windows only those of one are on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workspace(u8);

impl Workspace {
    /// The one that is shown first.
    pub const FIRST: Self = Self(1);

    /// By its number, 1 to 9.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (1..=9).contains(&number).then_some(Self(number))
    }

    /// 1 to 9.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A place on one of the outputs, by the output's position in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which output.
    pub output: usize,
    /// The window with its decoration; may reach beyond the output when it is larger.
    pub rect: Rect,
}

/// Finds a place for a window of `size`, decoration included. `taken` is where the others are. There is
/// no place without an output.
#[must_use]
pub fn place(outputs: &[Size], taken: &[Place], size: Size) -> Option<Place> {
    let free = outputs.iter().enumerate().find_map(|(output, area)| {
        let others: Vec<Rect> = taken.iter().filter(|place| place.output == output).map(|place| place.rect).collect();
        first_free(*area, &others, size).map(|rect| Place { output, rect })
    });
    free.or_else(|| cascade(*outputs.first()?, taken, size))
}

/// Whether a window may stay where it is: within its output, at a distance from the others.
#[must_use]
pub fn fits(outputs: &[Size], taken: &[Place], place: &Place) -> bool {
    let others: Vec<Rect> = taken.iter().filter(|other| other.output == place.output).map(|other| other.rect).collect();
    outputs.get(place.output).is_some_and(|area| is_free(*area, &others, place.rect))
}

/// Where a window stays that the user puts at `rect`: as near as its title bar can still be taken hold of.
#[must_use]
pub fn within_reach(area: Size, rect: Rect) -> Rect {
    let x = rect.x.min(area.width.saturating_sub(REACH)).max(REACH.saturating_sub(rect.width));
    let y = rect.y.min(area.height.saturating_sub(TITLE)).max(0);
    Rect { x, y, ..rect }
}

/// The first free position, by line, then by column. Whatever room there is, is found: a window that could
/// be anywhere could also be pushed up and left until it touches (at a gap) an edge or other windows.
fn first_free(area: Size, others: &[Rect], size: Size) -> Option<Rect> {
    let columns = candidates(others.iter().map(Rect::right));
    candidates(others.iter().map(Rect::bottom))
        .into_iter()
        .flat_map(|y| columns.iter().map(move |x| Rect { x: *x, y, width: size.width, height: size.height }))
        .find(|rect| is_free(area, others, *rect))
}

fn candidates(ends: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut positions: Vec<i32> = ends.map(|end| end.saturating_add(GAP)).chain([GAP]).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

fn is_free(area: Size, others: &[Rect], rect: Rect) -> bool {
    let inner = Rect { x: GAP, y: GAP, width: area.width - 2 * GAP, height: area.height - 2 * GAP };
    let margin = Rect { x: rect.x - GAP, y: rect.y - GAP, width: rect.width + 2 * GAP, height: rect.height + 2 * GAP };
    inner.contains(&rect) && others.iter().all(|other| !other.overlaps(&margin))
}

/// The first step that no window begins at; all over again when the steps have left the output's upper
/// left half.
fn cascade(area: Size, taken: &[Place], size: Size) -> Option<Place> {
    let steps = (area.width.min(area.height) / 2 / STEP).max(1);
    let at = |step: i32| Rect { x: GAP + step * STEP, y: GAP + step * STEP, width: size.width, height: size.height };
    let used = |rect: &Rect| {
        taken.iter().filter(|place| place.output == 0 && (place.rect.x, place.rect.y) == (rect.x, rect.y)).count()
    };
    let rect = (0..steps).map(at).min_by_key(used)?;
    Some(Place { output: 0, rect })
}

/// A part of an output that a window is given, frame included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// All of it.
    Whole,
    /// Its left half.
    LeftHalf,
    /// Its right half.
    RightHalf,
    /// What it has beside other windows.
    Tile(Tile),
}

/// One of the tiles that windows share an output by: the first has the left half, the others share the right one from
/// top to bottom; one alone has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which, from 0.
    pub index: usize,
    /// Of how many; at least 1.
    pub count: usize,
}

impl Tile {
    /// Its rectangle on an output of `area`. Around each is room for the ring of the window with the keyboard.
    fn of(self, area: Size) -> Rect {
        let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let (half, others) = (area.width / 2, number(self.count).saturating_sub(1).max(1));
        let rect = match self {
            Self { count: 0 | 1, .. } => Rect { x: 0, y: 0, width: area.width, height: area.height },
            Self { index: 0, .. } => Rect { x: 0, y: 0, width: half, height: area.height },
            Self { index, .. } => {
                let row = |row: i32| area.height.saturating_mul(row.min(others)) / others;
                let (top, bottom) = (row(number(index).saturating_sub(1)), row(number(index)));
                Rect { x: half, y: top, width: area.width - half, height: bottom - top }
            }
        };
        let (width, height) = ((rect.width - 2 * RING).max(1), (rect.height - 2 * RING).max(1));
        Rect { x: rect.x + RING, y: rect.y + RING, width, height }
    }
}

impl Region {
    /// Its rectangle on an output of `area`; the halves meet without a gap.
    #[must_use]
    pub fn of(self, area: Size) -> Rect {
        let (half, height) = (area.width / 2, area.height);
        match self {
            Self::Whole => Rect { x: 0, y: 0, width: area.width, height },
            Self::LeftHalf => Rect { x: 0, y: 0, width: half, height },
            Self::RightHalf => Rect { x: half, y: 0, width: area.width - half, height },
            Self::Tile(tile) => tile.of(area),
        }
    }

    /// Whether it is a tile.
    #[must_use]
    pub const fn is_tile(self) -> bool {
        matches!(self, Self::Tile(_))
    }
}

/// Edges of a window that are moved: -1 the left or upper one, 1 the right or lower one, 0 neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Left or right.
    pub across: i32,
    /// Above or below.
    pub down: i32,
}

/// A window at `rect` after some of its edges were moved by so many pixels to the right and down: never smaller than
/// `least`, the other edges where they were.
#[must_use]
pub fn resized(rect: Rect, edges: Edges, (dx, dy): (i32, i32), least: Size) -> Rect {
    let (x, width) = stretched((rect.x, rect.width), edges.across, dx, least.width);
    let (y, height) = stretched((rect.y, rect.height), edges.down, dy, least.height);
    Rect { x, y, width, height }
}

fn stretched((start, length): (i32, i32), edge: i32, by: i32, least: i32) -> (i32, i32) {
    let longer = match edge {
        0 => return (start, length),
        edge if edge < 0 => length.saturating_sub(by),
        _ => length.saturating_add(by),
    };
    let new = longer.clamp(least, least.max(LONGEST));
    let start = if edge < 0 { start.saturating_add(length.saturating_sub(new)) } else { start };
    (start, new)
}

/// Where content of `size` goes on an output of `area` that it has for itself: in the middle where it is
/// smaller, cropped at the right and bottom where it is larger. Never scaled.
#[must_use]
pub fn full_screen(area: Size, size: Size) -> Rect {
    Rect {
        x: (area.width - size.width).max(0) / 2,
        y: (area.height - size.height).max(0) / 2,
        width: size.width.min(area.width),
        height: size.height.min(area.height),
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Docks: panels, wallpapers and the like of Dom0's own clients, at the edges of an output and without a frame.
//!
//! Where one goes is pure geometry. As a dock has no frame that says whose it is, no part of a guest's window is ever
//! behind one: a dock lies over clients' windows, but behind guests' windows that it meets, and what lies over those
//! (docs/decisions/0018-docks.md).

use std::rc::Rc;

use super::arrangement::View;
use super::element::{Element, ElementId, OutputId, Pixmap, Rect, Rotation, Size};
use super::focus::{Area, Spot};
use super::window::{FIRST_ELEMENT, Window, WindowId};
use super::{Scene, SceneOutput, own_picture, sight};

/// Pixels of an output in each direction that no dock keeps for itself.
const LEAST_FREE: i32 = 128;

/// The longest margin, and the longest side, in pixels.
const LONGEST: i32 = 8192;

/// How far in front a dock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Behind everything: a wallpaper. It gets no input.
    Background,
    /// Behind all windows.
    Bottom,
    /// In front of clients' windows.
    Top,
    /// In front of those, too.
    Overlay,
    /// It is what a locked session shows, and nothing else is; else it is not shown.
    Lock,
}

/// What a dock takes from the room for windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// So many pixels from its edge on are its own.
    Own(i32),
    /// It lies where others keep nothing for themselves.
    Beside,
    /// It lies on all of the output.
    Anywhere,
}

/// One direction of where a dock wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Along {
    /// Its length; 0 for all that there is.
    pub length: i32,
    /// Whether it is at the left or upper edge, and the distance from that.
    pub start: Option<i32>,
    /// Whether it is at the right or lower edge, and the distance from that.
    pub end: Option<i32>,
}

/// Where a dock wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// From left to right.
    pub across: Along,
    /// Downwards.
    pub down: Along,
    /// What it takes.
    pub zone: Zone,
}

/// A dock's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dock {
    /// On which output.
    pub output: OutputId,
    /// How far in front.
    pub level: Level,
    /// Where on the output.
    pub rect: Rect,
}

impl Along {
    /// Start and length within a room of `length` pixels from `start` on.
    fn place(self, (start, length): (i32, i32)) -> (i32, i32) {
        let margin = |edge: Option<i32>| edge.unwrap_or(0).clamp(-LONGEST, LONGEST);
        let (before, behind) = (margin(self.start), margin(self.end));
        let room = length.saturating_sub(before).saturating_sub(behind).max(1);
        let own = if self.length == 0 { room } else { self.length };
        let own = own.clamp(1, LONGEST);
        let at = match (self.start, self.end) {
            (Some(_), None) => start + before,
            (None, Some(_)) => start + length - behind - own,
            _ => start + before + (room - own) / 2,
        };
        (at, own)
    }

    /// The edge that a dock is at, if it is one alone, and what it keeps from there on.
    const fn edge(self) -> Option<(bool, i32)> {
        match (self.start, self.end) {
            (Some(margin), None) => Some((true, margin)),
            (None, Some(margin)) => Some((false, margin)),
            _ => None,
        }
    }

    const fn is_symmetric(self) -> bool {
        self.start.is_some() == self.end.is_some()
    }
}

impl Wish {
    /// Where it is on an output of `area` of which `free` is nobody's own.
    #[must_use]
    pub fn place(&self, area: Size, free: Rect) -> Rect {
        let all = Rect { x: 0, y: 0, width: area.width, height: area.height };
        let room = if self.zone == Zone::Anywhere { all } else { free };
        let (x, width) = self.across.place((room.x, room.width));
        let (y, height) = self.down.place((room.y, room.height));
        Rect { x, y, width, height }
    }

    /// What is left of `free` beside it. Only a dock at one edge keeps anything.
    #[must_use]
    pub fn leaves(&self, free: Rect) -> Rect {
        let Zone::Own(pixels) = self.zone else { return free };
        let taken =
            |margin: i32, length: i32| pixels.saturating_add(margin).clamp(0, length.saturating_sub(LEAST_FREE).max(0));
        match (self.across.edge(), self.down.edge()) {
            (None, Some((first, margin))) if self.across.is_symmetric() => {
                let taken = taken(margin, free.height);
                let y = if first { free.y + taken } else { free.y };
                Rect { y, height: free.height - taken, ..free }
            }
            (Some((first, margin)), None) if self.down.is_symmetric() => {
                let taken = taken(margin, free.width);
                let x = if first { free.x + taken } else { free.x };
                Rect { x, width: free.width - taken, ..free }
            }
            _ => free,
        }
    }
}

/// A dock that shows something.
#[derive(Debug)]
pub(super) struct Docked {
    id: WindowId,
    dock: Dock,
    picture: Rc<Pixmap>,
}

impl Docked {
    pub(super) const fn level(&self) -> Level {
        self.dock.level
    }

    pub(super) const fn output(&self) -> OutputId {
        self.dock.output
    }

    pub(super) fn element(&self) -> Element {
        let id = ElementId(self.id.0 * FIRST_ELEMENT);
        own_picture(id, self.dock.rect, &self.picture)
    }

    pub(super) fn spot(&self, areas: &[Area]) -> Option<Spot> {
        let Dock { output, rect, .. } = self.dock;
        let area = areas.iter().find(|area| area.output == output)?;
        let content = Rect { x: rect.x.saturating_add(area.rect.x), ..rect };
        let (source, size) = (Rect { x: 0, y: 0, ..rect }, Size { width: rect.width, height: rect.height });
        let (window, rotation) = (self.id, Rotation::None);
        let (outer, inside, full_screen) = (content, content, false);
        Some(Spot { window, output, outer, inside, content, source, rotation, size, full_screen })
    }

    const fn in_front(&self) -> bool {
        matches!(self.dock.level, Level::Top | Level::Overlay)
    }
}

/// What lies on an output.
#[derive(Clone, Copy)]
pub(super) enum Layer<'a> {
    Window(&'a Window, Rect),
    Dock(&'a Docked),
}

/// What lies on an output that no window has for itself, front to back; wallpapers last.
pub(super) fn stack<'a>(view: View<'a>, index: usize) -> Vec<Layer<'a>> {
    let Some(output) = view.outputs.get(index) else { return Vec::new() };
    let on_it = |window: &'a Window| {
        let place = window.place.filter(|place| place.output == index && !window.is_away())?;
        Some(Layer::Window(window, place.rect))
    };
    let mut stack: Vec<Layer<'a>> = view.windows.iter().rev().filter_map(on_it).collect();
    // Who looks for whose anything is sees no docks.
    let mut docks: Vec<&Docked> = view.docks.iter().filter(|docked| docked.dock.output == output.id).collect();
    docks.retain(|docked| !view.attention && docked.level() != Level::Lock);
    docks.sort_by_key(|docked| docked.dock.level);
    for docked in docks.iter().filter(|docked| docked.in_front()) {
        stack = with(stack, docked);
    }
    stack.extend(docks.iter().rev().filter(|docked| !docked.in_front()).map(|docked| Layer::Dock(docked)));
    stack
}

/// Lays a dock over all but guests' windows that it meets, and what lies over those.
fn with<'a>(stack: Vec<Layer<'a>>, docked: &'a Docked) -> Vec<Layer<'a>> {
    // Front to back: the rectangles of what stays in front of the dock are those behind what is looked at.
    let mut stay: Vec<Rect> = Vec::new();
    let (mut front, mut rest) = (Vec::new(), Vec::new());
    for layer in stack.into_iter().rev() {
        let rect = layer.rect();
        let guests = matches!(layer, Layer::Window(window, _) if window.is_guest());
        if guests && rect.overlaps(&docked.dock.rect) || stay.iter().any(|behind| behind.overlaps(&rect)) {
            stay.push(rect);
            front.push(layer);
        } else {
            rest.push(layer);
        }
    }
    front.reverse();
    front.push(Layer::Dock(docked));
    front.extend(rest.into_iter().rev());
    front
}

impl Layer<'_> {
    const fn rect(&self) -> Rect {
        match self {
            Self::Window(_, rect) => *rect,
            Self::Dock(docked) => docked.dock.rect,
        }
    }

    pub(super) fn elements(&self, view: View<'_>, out: &mut Vec<Element>) {
        match self {
            Self::Window(window, rect) => window.elements(rect, view.look(window), out),
            Self::Dock(docked) => out.push(docked.element()),
        }
    }

    /// Where a dock takes input.
    pub(super) fn dock_spot(&self, areas: &[Area]) -> Option<Spot> {
        match self {
            Self::Dock(docked) if docked.dock.level != Level::Background => docked.spot(areas),
            Self::Window(..) | Self::Dock(_) => None,
        }
    }
}

impl Scene {
    /// A new dock that shows this. A kiosk never shows it.
    pub fn add_dock(&mut self, dock: Dock, picture: Rc<Pixmap>) -> WindowId {
        let id = WindowId(self.next);
        self.next += 1;
        self.docks.push(Docked { id, dock, picture });
        self.damaged.insert(dock.output);
        id
    }

    /// A dock shows something else, or is somewhere else.
    pub fn change_dock(&mut self, id: WindowId, dock: Dock, picture: Rc<Pixmap>) {
        let Some(docked) = self.docks.iter_mut().find(|docked| docked.id == id) else { return };
        self.damaged.extend([docked.dock.output, dock.output]);
        *docked = Docked { id, dock, picture };
    }

    /// A dock is gone; nothing happens if it is none.
    pub fn remove_dock(&mut self, id: WindowId) {
        self.damaged.extend(self.docks.iter().filter(|docked| docked.id == id).map(|docked| docked.dock.output));
        self.docks.retain(|docked| docked.id != id);
    }

    fn dock(&self, id: WindowId) -> Option<&Docked> {
        self.docks.iter().find(|docked| docked.id == id)
    }

    /// Says which part of an output docks leave to windows. Returns what clients are to draw whose windows have a part
    /// of the output, and so another size now.
    pub fn set_free(&mut self, output: OutputId, free: Rect) -> Vec<(WindowId, Size)> {
        self.damaged.insert(output);
        let font = self.font.as_ref();
        self.layout.get_mut().set_free((output, free), &mut self.windows, &self.outputs, font)
    }

    /// Where a dock is to be seen.
    pub(super) fn dock_sight(&self, id: WindowId) -> Option<OutputId> {
        let docked = self.dock(id)?;
        let index = self.outputs.iter().position(|output| output.id == docked.dock.output)?;
        let SceneOutput { id, size: Size { width, height } } = *self.outputs.get(index)?;
        let lock = docked.level() == Level::Lock;
        if self.locked || lock {
            return (self.locked && lock && !self.attention).then_some(id);
        }
        if self.is_kiosk() || self.layout.get().full_screen_on(self.view(), index) {
            return None;
        }
        let seen = docked.dock.rect.intersection(&Rect { x: 0, y: 0, width, height })?;
        let stack = stack(self.view(), index);
        let in_front = stack.iter().take_while(|layer| !matches!(layer, Layer::Dock(other) if other.id == docked.id));
        let covers = in_front.filter_map(|layer| match layer {
            Layer::Window(_, rect) => Some(*rect),
            // It may be transparent.
            Layer::Dock(_) => None,
        });
        sight::is_seen(seen, covers).then_some(id)
    }

    pub(super) fn dock_placement(&self, id: WindowId) -> Option<(OutputId, Rect)> {
        let Dock { output, rect, .. } = self.dock(id)?.dock;
        self.outputs.iter().any(|other| other.id == output).then_some((output, rect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Size = Size { width: 1000, height: 500 };
    const ALL: Rect = Rect { x: 0, y: 0, width: 1000, height: 500 };

    const fn along(length: i32, start: Option<i32>, end: Option<i32>) -> Along {
        Along { length, start, end }
    }

    #[test]
    fn panels_stand_at_their_edges_and_keep_their_zones() {
        let top = Wish { across: along(0, Some(0), Some(0)), down: along(30, Some(5), None), zone: Zone::Own(30) };
        assert_eq!(top.place(AREA, ALL), Rect { x: 0, y: 5, width: 1000, height: 30 });
        let free = top.leaves(ALL);
        assert_eq!(free, Rect { x: 0, y: 35, width: 1000, height: 465 });
        let right = Wish { across: along(50, None, Some(0)), down: along(0, Some(0), Some(0)), zone: Zone::Own(50) };
        assert_eq!(right.place(AREA, free), Rect { x: 950, y: 35, width: 50, height: 465 });
        assert_eq!(right.leaves(free), Rect { x: 0, y: 35, width: 950, height: 465 });
        let middle = Wish { across: along(200, None, None), down: along(100, None, None), zone: Zone::Beside };
        assert_eq!(middle.place(AREA, free), Rect { x: 400, y: 217, width: 200, height: 100 });
        assert_eq!(middle.leaves(free), free);
        let wallpaper =
            Wish { across: along(0, Some(0), Some(0)), down: along(0, Some(0), Some(0)), zone: Zone::Anywhere };
        assert_eq!(wallpaper.place(AREA, free), ALL);
    }

    #[test]
    fn no_wish_leaves_less_than_a_window_needs_or_overflows() {
        for extreme in [i32::MIN, -1, 0, 1, i32::MAX] {
            for zone in [Zone::Own(extreme), Zone::Beside, Zone::Anywhere] {
                for edges in
                    [(None, None), (Some(extreme), None), (None, Some(extreme)), (Some(extreme), Some(extreme))]
                {
                    let wish =
                        Wish { across: along(extreme, edges.0, edges.1), down: along(extreme, edges.1, edges.0), zone };
                    let rect = wish.place(AREA, ALL);
                    assert!(rect.width >= 1 && rect.height >= 1 && rect.width <= LONGEST, "{wish:?}");
                    let free = wish.leaves(ALL);
                    assert!(ALL.contains(&free) && free.width >= LEAST_FREE && free.height >= LEAST_FREE, "{wish:?}");
                }
            }
        }
    }
}

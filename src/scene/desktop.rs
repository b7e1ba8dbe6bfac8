// SPDX-License-Identifier: GPL-3.0-or-later
//! A desktop: every window has its own place, beside the others as long as there is room, or one of them has its
//! output for itself.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::arrangement::{Arrangement, View, Wanted};
use super::decoration;
use super::dock::{self, Layer};
use super::element::{Color, Element, ElementId, OutputId, Pixmap, Rect, Rotation, Size};
use super::fit::Fitted;
use super::focus::{Area, Spot};
use super::layout::{self, Place, Region};
use super::places::Remembered;
use super::sight;
use super::text::Font;
use super::window::{Given, Window, WindowId};
use super::{AROUND_FULL_SCREEN, BACKGROUND, SceneOutput, own_picture};

const WAITING: Color = Color { red: 128, green: 138, blue: 150 };
/// No window has this number, so no element of a window has this name.
const WAITING_ID: ElementId = ElementId(0);

/// How many windows' places are kept for guests that are gone.
const MOST_LEFT: usize = 256;

/// What is seen of a window.
struct Showing {
    inside: Rect,
    content: Fitted,
}

/// Where windows are: where there was room, or where the user has put them.
#[derive(Debug)]
pub(super) struct Desktop {
    full_screen: Option<WindowId>,
    /// Where the user had put windows of guests that are gone, the latest last.
    left: VecDeque<Remembered>,
    /// What docks leave of outputs.
    free: BTreeMap<OutputId, Rect>,
    /// A window was put somewhere since this was asked for.
    rearranged: bool,
    waiting: Option<Rc<Pixmap>>,
}

impl Desktop {
    pub(super) fn new(font: Option<&Font>) -> Self {
        let room = Size { width: i32::MAX, height: i32::MAX };
        let note = "Grantway is waiting for a guest";
        let waiting = font.and_then(|font| decoration::draw_note(font, note, WAITING, BACKGROUND, room));
        Self { full_screen: None, left: VecDeque::new(), free: BTreeMap::new(), rearranged: false, waiting }
    }

    /// What docks leave of an output.
    fn free_on(&self, output: SceneOutput) -> Rect {
        let Size { width, height } = output.size;
        let all = Rect { x: 0, y: 0, width, height };
        self.free.get(&output.id).and_then(|free| free.intersection(&all)).unwrap_or(all)
    }

    fn frees(&self, outputs: &[SceneOutput]) -> Vec<Rect> {
        outputs.iter().map(|output| self.free_on(*output)).collect()
    }

    /// The part of an output that docks leave.
    pub(super) fn part_of(&self, output: SceneOutput, region: Region) -> Rect {
        part_of(region, self.free_on(output))
    }

    pub(super) const fn full_screen_window(&self) -> Option<WindowId> {
        self.full_screen
    }

    fn full_window<'a>(&self, view: View<'a>, output: usize) -> Option<&'a Window> {
        let window = view.windows.iter().find(|window| Some(window.id) == self.full_screen)?;
        window.place.is_some_and(|place| place.output == output).then_some(window)
    }

    fn waiting_note(&self, size: Size) -> Option<Element> {
        let note = self.waiting.as_ref()?;
        let (width, height) = (i32::try_from(note.width).ok()?, i32::try_from(note.height).ok()?);
        let target = Rect { x: (size.width - width) / 2, y: (size.height - height) / 2, width, height };
        Some(own_picture(WAITING_ID, target, note))
    }

    fn spot(&self, view: View<'_>, areas: &[Area], window: &Window) -> Option<Spot> {
        let place = window.place?;
        let area = areas.get(place.output)?;
        let Showing { inside, content: Fitted { source, target: content } } = self.showing(view, window)?;
        let full_screen = self.full_screen == Some(window.id);
        let outer = if full_screen { Rect { x: 0, y: 0, ..area.rect } } else { place.rect };
        let moved = |rect: Rect| Rect { x: rect.x.saturating_add(area.rect.x), y: rect.y, ..rect };
        let (window, size, output) = (window.id, window.size, area.output);
        let (outer, inside, content) = (moved(outer), moved(inside), moved(content));
        let rotation = Rotation::None;
        Some(Spot { window, output, outer, inside, content, source, rotation, size, full_screen })
    }

    /// What is seen of a window, on its output.
    fn showing(&self, view: View<'_>, window: &Window) -> Option<Showing> {
        let place = window.place.filter(|_| !window.is_away())?;
        let output = view.outputs.get(place.output)?;
        match self.full_window(view, place.output) {
            None => {
                Some(Showing { inside: window.inside_rect(&place.rect), content: window.content_rect(&place.rect) })
            }
            Some(full) if full.id == window.id => {
                let target = layout::full_screen(output.size, window.size);
                let source = Rect { x: 0, y: 0, ..target };
                Some(Showing { inside: target, content: Fitted { source, target } })
            }
            Some(_) => None,
        }
    }

    /// How windows are, and how those were of guests that are gone where the user had put them somewhere.
    pub(super) fn remembered(&self, view: View<'_>) -> Vec<Remembered> {
        let here = view.windows.iter().filter_map(|window| remembered(window, view.outputs));
        self.left.iter().cloned().chain(here).collect()
    }

    /// How windows were of guests that may come.
    pub(super) fn remember(&mut self, places: Vec<Remembered>) {
        places.into_iter().for_each(|place| self.keep_in_mind(place));
    }

    /// How a window is shown has changed, beside its place.
    pub(super) const fn mark_rearranged(&mut self) {
        self.rearranged = true;
    }

    pub(super) const fn take_rearranged(&mut self) -> bool {
        std::mem::replace(&mut self.rearranged, false)
    }

    fn keep_in_mind(&mut self, place: Remembered) {
        let name = (place.guest.clone(), place.connector);
        self.left.retain(|left| !left.is_of(&name));
        self.left.push_back(place);
        if self.left.len() > MOST_LEFT {
            self.left.pop_front();
        }
    }

    /// A guest that comes back finds its window where the user had it.
    fn put_back(&mut self, window: &mut Window, outputs: &[SceneOutput], font: Option<&Font>) {
        let Some(name) = window.name().filter(|_| window.place.is_none()) else { return };
        let Some(index) = self.left.iter().position(|left| left.is_of(&name)) else { return };
        let Some(left) = self.left.remove(index) else { return };
        window.set_area(left.area, font);
        window.set_fit(left.fit);
        window.place = outputs.iter().position(|output| output.id == left.output).map(|output| {
            let Size { width, height } = decoration::outer_size(window.inside());
            Place { output, rect: Rect { x: left.corner.0, y: left.corner.1, width, height } }
        });
        window.moved = window.place.is_some();
    }
}

impl Arrangement for Desktop {
    /// Windows keep their places as far as they can; the others are placed anew, oldest first.
    fn set_outputs(&mut self, before: &[SceneOutput], now: &[SceneOutput], windows: &mut [Window]) {
        self.free.retain(|id, _| now.iter().any(|output| output.id == *id));
        let frees = self.frees(now);
        let places: Vec<_> = windows.iter_mut().map(|window| window.place.take()).collect();
        for (index, place) in places.into_iter().enumerate() {
            let moved = place.and_then(|place| {
                let id = before.get(place.output)?.id;
                let output = now.iter().position(|output| output.id == id)?;
                Some(Place { output, ..place })
            });
            if let Some(place) = moved {
                keep(windows, &frees, index, place);
            }
        }
        let mut oldest_first: Vec<usize> = (0..windows.len()).collect();
        oldest_first.sort_by_key(|index| windows.get(*index).map(|window| window.id));
        for index in oldest_first {
            place(windows, &frees, index);
        }
    }

    /// It stays where it is if there is room.
    fn fit(&mut self, index: usize, windows: &mut [Window], outputs: &[SceneOutput], font: Option<&Font>) {
        if let Some(window) = windows.get_mut(index) {
            self.put_back(window, outputs, font);
        }
        let frees = self.frees(outputs);
        if let Some(before) = windows.get_mut(index).and_then(|window| window.place.take()) {
            keep(windows, &frees, index, before);
        }
        place(windows, &frees, index);
        self.rearranged = true;
    }

    fn move_to(
        &mut self,
        index: usize,
        (output, x, y): (usize, i32, i32),
        grip: (i32, i32),
        windows: &mut [Window],
        outputs: &[SceneOutput],
    ) -> bool {
        let Some(window) = windows.get_mut(index).filter(|window| self.full_screen != Some(window.id)) else {
            return false;
        };
        let (Some(place), Some(area)) = (window.place, outputs.get(output)) else { return false };
        let rect = Rect { x: x.saturating_sub(grip.0), y: y.saturating_sub(grip.1), ..place.rect };
        let moved = Place { output, rect: within_reach(self.free_on(*area), rect) };
        (window.moved, window.floats) = (true, true);
        window.given = None;
        self.rearranged = true;
        window.place.replace(moved) != Some(moved)
    }

    fn size_to(
        &mut self,
        index: usize,
        wanted: Wanted,
        windows: &mut [Window],
        outputs: &[SceneOutput],
        font: Option<&Font>,
    ) -> Option<Size> {
        let window = windows.get_mut(index).filter(|window| self.full_screen != Some(window.id))?;
        let place = window.place?;
        let free = self.free_on(*outputs.get(place.output)?);
        let given = window.given.take();
        let back = matches!(wanted, Wanted::Region(region) if given.is_some_and(|given| given.region == region));
        // What tiles do to a window is nothing that the user has done to it.
        window.moved |=
            !(matches!(wanted, Wanted::Tile(_)) || back && given.is_some_and(|given| given.region.is_tile()));
        window.floats = !(matches!(wanted, Wanted::Tile(_)) || back);
        let (rect, inside) = match (wanted, given) {
            (Wanted::Region(region) | Wanted::Tile(region), given) if !back => {
                let (before, area) = given.map_or((place, window.area()), |given| (given.before, given.area));
                window.given = Some(Given { region, before, area });
                let rect = part_of(region, free);
                (rect, Some(decoration::inner_size(size_of(&rect))))
            }
            (Wanted::Edges { from, edges, by }, _) => {
                let rect = layout::resized(from, edges, by, decoration::LEAST);
                (rect, Some(decoration::inner_size(size_of(&rect))))
            }
            (Wanted::Region(_), Some(given)) => (given.before.rect, given.area),
            (Wanted::Natural, given) => (given.map_or(place.rect, |given| given.before.rect), None),
            (Wanted::Region(_) | Wanted::Tile(_), _) => return None,
        };
        if window.is_guest() {
            let size = window.size;
            window.set_area(inside.filter(|inside| *inside != size), font);
        }
        let Size { width, height } = decoration::outer_size(window.inside());
        self.rearranged = true;
        window.place = Some(Place { rect: within_reach(free, Rect { width, height, ..rect }), ..place });
        inside.filter(|_| !window.is_guest())
    }

    fn leaves(&mut self, window: &Window, outputs: &[SceneOutput]) {
        if let Some(place) = remembered(window, outputs).filter(|_| window.moved) {
            self.keep_in_mind(place);
        }
    }

    fn removed(&mut self, window: WindowId) -> bool {
        self.full_screen == Some(window) && self.set_fullscreen(None)
    }

    fn set_fullscreen(&mut self, window: Option<WindowId>) -> bool {
        std::mem::replace(&mut self.full_screen, window) != window
    }

    fn fullscreen(&self) -> Option<WindowId> {
        self.full_screen
    }

    fn full_screen_on(&self, view: View<'_>, output: usize) -> bool {
        self.full_window(view, output).is_some()
    }

    /// Windows with a part of the output get that part again; those that the user has not moved make room.
    fn set_free(
        &mut self,
        (output, free): (OutputId, Rect),
        windows: &mut [Window],
        outputs: &[SceneOutput],
        font: Option<&Font>,
    ) -> Vec<(WindowId, Size)> {
        self.free.insert(output, free);
        let (frees, mut asked) = (self.frees(outputs), Vec::new());
        for index in 0..windows.len() {
            let Some(window) = windows.get_mut(index) else { continue };
            let on_it = window.place.filter(|place| outputs.get(place.output).is_some_and(|other| other.id == output));
            let (Some(was), Some(free)) = (on_it, on_it.and_then(|was| frees.get(was.output))) else { continue };
            if let Some(given) = window.given {
                let rect = part_of(given.region, *free);
                let inside = decoration::inner_size(size_of(&rect));
                if window.is_guest() {
                    window.set_area(Some(inside), font)
                } else {
                    asked.push((window.id, inside))
                }
                let Size { width, height } = decoration::outer_size(window.inside());
                window.place = Some(Place { rect: Rect { width, height, ..rect }, ..was });
            } else {
                window.place = None;
                keep(windows, &frees, index, was);
            }
        }
        (0..windows.len()).for_each(|index| place(windows, &frees, index));
        asked
    }

    fn placement(&self, view: View<'_>, window: &Window) -> Option<(OutputId, Rect)> {
        let output = view.outputs.get(window.place?.output)?;
        Some((output.id, self.showing(view, window)?.content.target))
    }

    /// Windows are opaque, whatever their pictures are: there is a ground behind each.
    fn sight(&self, view: View<'_>, window: &Window) -> Option<OutputId> {
        let (output, content) = self.placement(view, window)?;
        if self.full_screen == Some(window.id) {
            return Some(output);
        }
        let index = window.place?.output;
        let Size { width, height } = view.outputs.get(index)?.size;
        let content = content.intersection(&Rect { x: 0, y: 0, width, height })?;
        let in_front = view.windows.iter().rev().take_while(|other| other.id != window.id);
        let covers = in_front
            .filter(|other| !other.is_away())
            .filter_map(|other| other.place)
            .filter(|place| place.output == index);
        sight::is_seen(content, covers.map(|place| place.rect)).then_some(output)
    }

    fn spots(&self, view: View<'_>, areas: &[Area]) -> Vec<Spot> {
        let mut spots = Vec::new();
        for index in 0..view.outputs.len() {
            if let Some(window) = self.full_window(view, index) {
                spots.extend(self.spot(view, areas, window));
                continue;
            }
            spots.extend(dock::stack(view, index).iter().filter_map(|layer| match layer {
                Layer::Window(window, _) => self.spot(view, areas, window),
                Layer::Dock(_) => layer.dock_spot(areas),
            }));
        }
        spots
    }

    fn background(&self, view: View<'_>, output: SceneOutput) -> Color {
        let index = view.outputs.iter().position(|other| other.id == output.id);
        let full = index.is_some_and(|index| self.full_window(view, index).is_some());
        if full { AROUND_FULL_SCREEN } else { BACKGROUND }
    }

    fn elements(&self, view: View<'_>, output: SceneOutput, out: &mut Vec<Element>) {
        let Some(index) = view.outputs.iter().position(|other| other.id == output.id) else { return };
        if let Some(window) = self.full_window(view, index) {
            let target = layout::full_screen(output.size, window.size);
            window.content(target, view.look(window), out);
            out.extend(view.attention.then(|| window.cover(target)));
            return;
        }
        if view.windows.is_empty() && index == 0 {
            out.extend(self.waiting_note(output.size));
        }
        dock::stack(view, index).iter().for_each(|layer| layer.elements(view, out));
    }
}

/// How a guest's window is.
fn remembered(window: &Window, outputs: &[SceneOutput]) -> Option<Remembered> {
    // Of one that is tiled, what it had before.
    let before = window.given.filter(|given| given.region.is_tile()).map(|given| (given.before, given.area));
    let (place, area) = before.or_else(|| Some((window.place?, window.area())))?;
    let (guest, connector) = window.name()?;
    let output = outputs.get(place.output)?.id;
    let (corner, fit) = ((place.rect.x, place.rect.y), window.decided_fit());
    Some(Remembered { guest, connector, output, corner, area, fit })
}

/// Leaves a window where it was, in its present size, if it can stay there; in any case where the user has put it.
fn keep(windows: &mut [Window], frees: &[Rect], index: usize, before: Place) {
    let Some(free) = frees.get(before.output).copied() else { return };
    let (sizes, taken) = areas(windows, frees, index);
    if let Some(window) = windows.get_mut(index) {
        let size = decoration::outer_size(window.inside());
        let place = Place { rect: Rect { width: size.width, height: size.height, ..before.rect }, ..before };
        let tiled = window.given.is_some_and(|given| given.region.is_tile());
        window.place = if window.moved || tiled {
            Some(Place { rect: within_reach(free, place.rect), ..place })
        } else {
            Some(place).filter(|place| layout::fits(&sizes, &taken, &from_free(*place, frees)))
        };
    }
}

/// Places a window, unless it has a place.
fn place(windows: &mut [Window], frees: &[Rect], index: usize) {
    let (sizes, taken) = areas(windows, frees, index);
    if let Some(window) = windows.get_mut(index).filter(|window| window.place.is_none()) {
        window.moved = false;
        let placed = layout::place(&sizes, &taken, decoration::outer_size(window.inside()));
        window.place = placed.map(|place| {
            let free = frees.get(place.output).copied().unwrap_or_default();
            Place { rect: shifted(place.rect, (free.x, free.y)), ..place }
        });
    }
}

/// The sizes of what docks leave of the outputs, and where the windows of the same workspace are, from its corners.
fn areas(windows: &[Window], frees: &[Rect], index: usize) -> (Vec<Size>, Vec<Place>) {
    let workspace = windows.get(index).map(|window| window.workspace);
    let beside = windows.iter().filter(|window| Some(window.workspace) == workspace);
    let places = beside.filter_map(|window| window.place).map(|place| from_free(place, frees));
    (frees.iter().map(size_of).collect(), places.collect())
}

fn from_free(place: Place, frees: &[Rect]) -> Place {
    let free = frees.get(place.output).copied().unwrap_or_default();
    Place { rect: shifted(place.rect, (-free.x, -free.y)), ..place }
}

/// Where a window stays whose title bar can be taken hold of.
fn within_reach(free: Rect, rect: Rect) -> Rect {
    shifted(layout::within_reach(size_of(&free), shifted(rect, (-free.x, -free.y))), (free.x, free.y))
}

fn part_of(region: Region, free: Rect) -> Rect {
    shifted(region.of(size_of(&free)), (free.x, free.y))
}

const fn shifted(rect: Rect, (x, y): (i32, i32)) -> Rect {
    Rect { x: rect.x.saturating_add(x), y: rect.y.saturating_add(y), ..rect }
}

const fn size_of(rect: &Rect) -> Size {
    Size { width: rect.width, height: rect.height }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A kiosk: what is where is fixed, each guest connector has its area of an output, and nothing else is shown.
//!
//! A [`Mapping`] is one entry of the configuration's table. Which output it has is said by [`Kiosk::assign`], which
//! window by the caller, who knows the domains: nothing here depends on what a guest says. Before its guest draws,
//! and after the guest is gone, a mapping shows what stands in for it.

use std::rc::Rc;
use std::time::Duration;

use super::SceneOutput;
use super::arrangement::{Arrangement, View};
use super::decoration::{self, TITLE};
use super::element::{Color, Content, Element, ElementId, OutputId, Pixmap, Rect, Rotation, Size};
use super::fit::{self, Fit, Fitted};
use super::focus::{Area, Spot};
use super::text::Font;
use super::window::{Shown, Window, WindowId, in_the_middle};
use crate::time::Time;

/// The least time between two copies of a mapping's last frame.
pub const STILL_INTERVAL: Duration = Duration::from_secs(1);

/// What shows on an output where nothing else is, unless configured.
const GROUND: Color = Color { red: 0, green: 0, blue: 0 };
const INK: Color = Color { red: 255, green: 255, blue: 255 };

/// Of 256 parts, how much is left of a last frame's light.
const DIMMED: u16 = 90;

/// Elements of mappings, apart from those of windows.
const FIRST_ELEMENT: u64 = 1 << 62;

/// What shows in the place of a guest's picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StandIn {
    /// Nothing: what lies below.
    Nothing,
    /// A black area.
    #[default]
    Black,
    /// The mapping's picture.
    Splash,
    /// The guest's last frame, dimmed, with a line of text; black where there is none.
    LastFrame,
}

/// One guest connector's part of an output.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Whose it is, for people.
    pub caption: String,
    /// Where on its output; all of it when absent.
    pub area: Option<Rect>,
    /// How the picture fits the area.
    pub fit: Fit,
    /// How the picture is turned.
    pub rotation: Rotation,
    /// What is higher covers what is lower; of equals the later one.
    pub layer: i32,
    /// What fills the area where the picture does not; nothing when absent.
    pub background: Option<Color>,
    /// What shows until the guest has drawn for the first time.
    pub before: StandIn,
    /// What shows when the guest is gone, until it draws again.
    pub after: StandIn,
    /// The picture of [`StandIn::Splash`].
    pub splash: Option<Rc<Pixmap>>,
    /// Whether a strip with the guest's label is at the upper edge of the area; the picture then has the rest.
    pub label: bool,
}

/// What a mapping shows at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// The guest's picture.
    Guest,
    /// The background: the guest has switched its screen off.
    Off,
    /// This, since the guest has not drawn yet.
    Before(StandIn),
    /// This, since the guest is gone, or is back and has not drawn yet.
    After(StandIn),
}

/// How it is with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its output, if that is there.
    pub output: Option<OutputId>,
    /// The window that has it.
    pub window: Option<WindowId>,
    /// Where it is on the output, without its strip.
    pub area: Option<Rect>,
    /// The guest's picture: its size, and which part of it is where.
    pub picture: Option<(Size, Fitted)>,
    /// What it shows.
    pub showing: Showing,
}

/// A picture of ours, fitted.
#[derive(Debug)]
struct Still {
    picture: Rc<Pixmap>,
    target: Rect,
}

#[derive(Debug)]
struct Slot {
    mapping: Mapping,
    output: Option<OutputId>,
    /// Whether any guest has drawn here.
    seen: bool,
    splash: Option<Still>,
    /// The last frame, dimmed, as large as it was.
    last: Option<Rc<Pixmap>>,
    last_fitted: Option<Still>,
    /// When the last frame was copied.
    copied: Option<Time>,
    note: Option<Rc<Pixmap>>,
}

/// All mappings.
#[derive(Debug)]
pub(super) struct Kiosk {
    slots: Vec<Slot>,
    /// Positions in `slots`, front to back.
    order: Vec<usize>,
    grounds: Vec<(OutputId, Color)>,
}

/// The parts of a mapping that are drawn by us.
#[derive(Clone, Copy)]
enum Part {
    Ground,
    Still,
    Note,
}

impl Kiosk {
    pub(super) fn new(mappings: Vec<Mapping>, font: Option<&Font>) -> Self {
        let mut order: Vec<usize> = (0..mappings.len()).collect();
        order.sort_by_key(|index| mappings.get(*index).map(|mapping| mapping.layer));
        order.reverse();
        let slots = mappings.into_iter().map(|mapping| Slot::new(mapping, font)).collect();
        Self { slots, order, grounds: Vec::new() }
    }

    pub(super) fn assign(
        &mut self,
        assigned: &[Option<OutputId>],
        grounds: &[(OutputId, Color)],
        outputs: &[SceneOutput],
    ) {
        self.grounds = grounds.to_vec();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.output = assigned.get(index).copied().flatten();
            slot.fit_stills(outputs);
        }
    }

    /// Draws a window's label and owner as its mapping needs them.
    pub(super) fn fit_window(&self, window: &mut Window, outputs: &[SceneOutput], font: Option<&Font>) {
        let Some((slot, area)) = self.slot(window).and_then(|slot| Some((slot, slot.area(outputs)?))) else { return };
        let inside = slot.mapping.rotation.turn(Size { width: area.width, height: area.height });
        window.fit_into(inside.width, inside, font);
    }

    pub(super) fn wants_still(&mut self, slot: usize, now: Time) -> bool {
        let Some(slot) = self.slots.get_mut(slot).filter(|slot| slot.mapping.after == StandIn::LastFrame) else {
            return false;
        };
        if slot.copied.is_some_and(|copied| now < copied.saturating_add(STILL_INTERVAL)) {
            return false;
        }
        slot.copied = Some(now);
        true
    }

    pub(super) fn keep_still(&mut self, slot: usize, mut picture: Pixmap, outputs: &[SceneOutput]) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        dim(&mut picture);
        slot.last = Some(Rc::new(picture));
        slot.fit_stills(outputs);
    }

    fn slot(&self, window: &Window) -> Option<&Slot> {
        self.slots.get(window.slot?)
    }

    /// The output that a window's mapping has for itself, upright.
    pub(super) fn whole_output(&self, window: &Window) -> Option<OutputId> {
        let slot = self.slot(window)?;
        let Mapping { area, rotation, label, .. } = slot.mapping;
        slot.output.filter(|_| area.is_none() && rotation == Rotation::None && !label)
    }

    pub(super) fn mapped(&self, outputs: &[SceneOutput], windows: &[Window]) -> Vec<Mapped> {
        let mapped = |(index, slot): (usize, &Slot)| {
            let window = occupant(index, windows);
            let picture = window.and_then(|window| Some((window.size, slot.fitted(window, outputs)?)));
            Mapped {
                output: slot.output,
                window: window.map(|window| window.id),
                area: slot.area(outputs),
                picture,
                showing: slot.showing(window),
            }
        };
        self.slots.iter().enumerate().map(mapped).collect()
    }
}

impl Arrangement for Kiosk {
    /// [`Kiosk::assign`] is to follow.
    fn set_outputs(&mut self, _before: &[SceneOutput], _now: &[SceneOutput], _windows: &mut [Window]) {}

    fn fit(&mut self, index: usize, windows: &mut [Window], outputs: &[SceneOutput], font: Option<&Font>) {
        if let Some(window) = windows.get_mut(index) {
            self.fit_window(window, outputs, font);
        }
    }

    fn drew(&mut self, window: &Window) {
        if let Some(slot) = window.slot.and_then(|slot| self.slots.get_mut(slot)) {
            slot.seen = true;
        }
    }

    /// Something stands in for it.
    fn removed(&mut self, _window: WindowId) -> bool {
        true
    }

    /// Where a window's picture is, if it is its mapping's.
    fn placement(&self, view: View<'_>, window: &Window) -> Option<(OutputId, Rect)> {
        let slot = self.slot(window)?;
        occupant(window.slot?, view.windows).filter(|occupant| occupant.id == window.id)?;
        Some((slot.output?, slot.fitted(window, view.outputs)?.target))
    }

    /// The windows that have drawn. One that has switched its screen off is among them, or nobody could wake it.
    fn spots(&self, view: View<'_>, areas: &[Area]) -> Vec<Spot> {
        let View { outputs, windows, .. } = view;
        let spot = |index: &usize| {
            let slot = self.slots.get(*index)?;
            let window = occupant(*index, windows).filter(|window| window.drew)?;
            let left = areas.iter().find(|area| Some(area.output) == slot.output)?.rect.x;
            let moved = |rect: Rect| Rect { x: rect.x.saturating_add(left), ..rect };
            let Fitted { source, target } = slot.fitted(window, outputs)?;
            let whole = slot.mapping.background.is_some() || slot.mapping.label;
            let outer = if whole { slot.whole(outputs)? } else { target };
            Some(Spot {
                window: window.id,
                output: slot.output?,
                outer: moved(outer),
                inside: moved(outer),
                content: moved(target),
                source,
                rotation: slot.mapping.rotation,
                size: window.size,
                full_screen: false,
            })
        };
        self.order.iter().filter_map(spot).filter(|spot| spot.content.width > 0 && spot.content.height > 0).collect()
    }

    fn background(&self, _view: View<'_>, output: SceneOutput) -> Color {
        self.grounds.iter().find(|(id, _)| *id == output.id).map_or(GROUND, |(_, color)| *color)
    }

    fn elements(&self, view: View<'_>, output: SceneOutput, out: &mut Vec<Element>) {
        for index in &self.order {
            let Some(slot) = self.slots.get(*index).filter(|slot| slot.output == Some(output.id)) else { continue };
            let Some(whole) = slot.whole(&[output]) else { continue };
            let window = occupant(*index, view.windows);
            if view.attention {
                // No guest's picture is shown meanwhile, not even an old one.
                let Some(window) = window else { continue };
                window.owner_elements(whole, slot.mapping.rotation, out);
                out.push(window.cover(whole));
                continue;
            }
            slot.elements(*index, window, &[output], out);
        }
    }
}

impl Slot {
    fn new(mapping: Mapping, font: Option<&Font>) -> Self {
        let room = Size { width: i32::MAX, height: i32::MAX };
        let text = format!("{} is not running", mapping.caption);
        let note = font.and_then(|font| decoration::draw_note(font, &text, INK, GROUND, room));
        let (splash, last, last_fitted, copied) = (None, None, None, None);
        Self { mapping, output: None, seen: false, splash, last, last_fitted, copied, note }
    }

    /// The mapping's part of its output, if that is there.
    fn whole(&self, outputs: &[SceneOutput]) -> Option<Rect> {
        let output = outputs.iter().find(|output| Some(output.id) == self.output)?;
        let all = Rect { x: 0, y: 0, width: output.size.width, height: output.size.height };
        Some(self.mapping.area.unwrap_or(all))
    }

    /// The same without the strip of the label.
    fn area(&self, outputs: &[SceneOutput]) -> Option<Rect> {
        self.whole(outputs).map(|whole| self.divide(whole).1)
    }

    /// The strip, and what is left for the picture.
    fn divide(&self, whole: Rect) -> (Rect, Rect) {
        let Rect { x, y, width, height } = whole;
        let (down, across) = (TITLE.min(height), TITLE.min(width));
        match (self.mapping.label, self.mapping.rotation) {
            (false, _) => (Rect { width: 0, ..whole }, whole),
            (true, Rotation::None) => {
                (Rect { height: down, ..whole }, Rect { y: y + down, height: height - down, ..whole })
            }
            (true, Rotation::Half) => {
                (Rect { y: y + height - down, height: down, ..whole }, Rect { height: height - down, ..whole })
            }
            (true, Rotation::Right) => {
                (Rect { x: x + width - across, width: across, ..whole }, Rect { width: width - across, ..whole })
            }
            (true, Rotation::Left) => {
                (Rect { width: across, ..whole }, Rect { x: x + across, width: width - across, ..whole })
            }
        }
    }

    /// Which part of a window's picture is where.
    fn fitted(&self, window: &Window, outputs: &[SceneOutput]) -> Option<Fitted> {
        let area = self.area(outputs)?;
        let size = window.shown.map_or(window.size, |shown| shown_size(&shown));
        Some(fit::fit(area, size, self.mapping.fit, self.mapping.rotation))
    }

    fn showing(&self, window: Option<&Window>) -> Showing {
        match window {
            Some(Window { shown: Some(_), .. }) => Showing::Guest,
            Some(Window { drew: true, .. }) => Showing::Off,
            _ if self.seen => Showing::After(self.mapping.after),
            _ => Showing::Before(self.mapping.before),
        }
    }

    fn elements(&self, index: usize, window: Option<&Window>, outputs: &[SceneOutput], out: &mut Vec<Element>) {
        let Some(whole) = self.whole(outputs) else { return };
        let (strip, area) = self.divide(whole);
        let rotation = self.mapping.rotation;
        let stand_in = match self.showing(window) {
            Showing::Guest | Showing::Off => None,
            Showing::Before(stand_in) | Showing::After(stand_in) => Some(stand_in),
        };
        if stand_in == Some(StandIn::Nothing) {
            return;
        }
        if let Some(window) = window.filter(|_| self.mapping.label) {
            out.push(window.strip(strip, rotation));
        }
        match (stand_in, window) {
            (None, Some(window)) => {
                if let (Some(shown), Some(Fitted { source, target })) = (window.shown, self.fitted(window, outputs)) {
                    let (x, y) = (shown.source.x + source.x, shown.source.y + source.y);
                    out.push(window.picture(&shown, Rect { x, y, ..source }, target, rotation));
                }
            }
            (Some(StandIn::Splash), _) => out.extend(self.splash.as_ref().map(|splash| self.still(index, splash))),
            (Some(StandIn::LastFrame), _) => {
                if let Some(last) = &self.last_fitted {
                    let note = self.note.as_ref();
                    let place = |note: &Rc<Pixmap>| in_the_middle(note, area, (0, rotation));
                    out.extend(note.zip(note.and_then(place)).map(|(note, target)| {
                        self.element(index, Part::Note, target, Content::Pixmap(Rc::clone(note)))
                    }));
                    out.push(self.still(index, last));
                }
            }
            (Some(StandIn::Black | StandIn::Nothing) | None, _) => {}
        }
        let black = stand_in.is_some_and(|stand_in| self.is_black(stand_in)).then_some(GROUND);
        if let Some(color) = black.or(self.mapping.background) {
            out.push(self.element(index, Part::Ground, whole, Content::Solid(color)));
        }
    }

    /// Whether a stand-in is nothing but black.
    fn is_black(&self, stand_in: StandIn) -> bool {
        match stand_in {
            StandIn::Black => true,
            StandIn::LastFrame => self.last_fitted.is_none(),
            StandIn::Nothing | StandIn::Splash => false,
        }
    }

    fn still(&self, index: usize, still: &Still) -> Element {
        self.element(index, Part::Still, still.target, Content::Pixmap(Rc::clone(&still.picture)))
    }

    fn element(&self, index: usize, part: Part, target: Rect, content: Content) -> Element {
        let part = match part {
            Part::Ground => 0,
            Part::Still => 1,
            Part::Note => 2,
        };
        let index = u64::try_from(index).unwrap_or(0);
        Element { id: ElementId(FIRST_ELEMENT | index << 2 | part), target, content, rotation: self.mapping.rotation }
    }

    /// Fits our own pictures into the area.
    fn fit_stills(&mut self, outputs: &[SceneOutput]) {
        let area = self.area(outputs);
        let fitted = |picture: Option<&Rc<Pixmap>>| fit_still(picture?, area?, self.mapping.fit, self.mapping.rotation);
        let (splash, last) = (fitted(self.mapping.splash.as_ref()), fitted(self.last.as_ref()));
        (self.splash, self.last_fitted) = (splash, last);
    }
}

/// The window that has a mapping: the newest of those that are for it.
fn occupant(slot: usize, windows: &[Window]) -> Option<&Window> {
    windows.iter().filter(|window| window.slot == Some(slot)).max_by_key(|window| window.id)
}

const fn shown_size(shown: &Shown) -> Size {
    Size { width: shown.source.width, height: shown.source.height }
}

/// A picture of ours as it is shown in an area; only the part that is shown.
fn fit_still(picture: &Rc<Pixmap>, area: Rect, how: Fit, rotation: Rotation) -> Option<Still> {
    let size = Size { width: i32::try_from(picture.width).ok()?, height: i32::try_from(picture.height).ok()? };
    let Fitted { source, target } = fit::fit(area, size, how, rotation);
    let all = Rect { x: 0, y: 0, width: size.width, height: size.height };
    let picture = if source == all { Rc::clone(picture) } else { Rc::new(picture.crop(source)?) };
    Some(Still { picture, target })
}

/// Takes most of the light away; alpha stays.
pub(super) fn dim(picture: &mut Pixmap) {
    for [blue, green, red, _] in picture.pixels.as_chunks_mut::<4>().0 {
        for part in [blue, green, red] {
            let [_, dimmed] = (u16::from(*part) * DIMMED).to_le_bytes();
            *part = dimmed;
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! One window, a guest connector's or that of one of Dom0's own clients: its label, and what it shows.

use std::rc::Rc;

use super::decoration::{self, ClientLabel, WindowLabel};
use super::element::{BufferId, Color, Content, Element, ElementId, Pixmap, Rect, Rotation, Size};
use super::face::Face;
use super::fit::{self, Fit, Fitted};
use super::kiosk::{self, STILL_INTERVAL};
use super::layout::{Place, Region, Workspace};
use super::text::Font;
use crate::time::Time;

/// What is behind a content that is smaller than its window.
const BEHIND: Color = Color { red: 0, green: 0, blue: 0 };
const BLANK: Color = Color { red: 32, green: 36, blue: 42 };
const BLANK_TEXT: Color = Color { red: 132, green: 140, blue: 150 };

/// On what is left of a guest.
const GONE_TEXT: Color = Color { red: 255, green: 255, blue: 255 };

/// Pixels from the middle to each of an owner's two lines, and the least height beside that.
const OWNER_APART: i32 = 18;
const OWNER_LEAST: i32 = 30;

/// Names a window while it is there; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId(pub(super) u64);

impl WindowId {
    /// A number that no other window has or gets.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The buffer.
    pub buffer: BufferId,
    /// The part of it that is shown, in its pixels; at 1:1 from the content's upper left corner.
    pub source: Rect,
    /// Changes whenever the pixels may have changed: count the flips.
    pub version: u64,
}

/// A window. Its pictures are drawn once and kept.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) id: WindowId,
    face: Face,
    /// Of its picture.
    pub(super) size: Size,
    /// What the user has made of that: the picture is scaled to fit. Only a guest's window has it; a client draws
    /// itself anew.
    area: Option<Size>,
    /// How the picture is shown in that: as the configuration says, or as the user has decided.
    pub(super) preferred: Fit,
    decided: Option<Fit>,
    /// How far what is seen of the picture is from its middle, in the picture's pixels.
    panned: (i32, i32),
    pub(super) shown: Option<Shown>,
    /// What a client shows, as large as the content.
    picture: Option<Rc<Pixmap>>,
    pub(super) place: Option<Place>,
    /// The user has put it there.
    pub(super) moved: bool,
    /// The user has taken it off the screen.
    pub(super) minimised: bool,
    /// The workspace that it is on, and whether another one is shown.
    pub(super) workspace: Workspace,
    pub(super) elsewhere: bool,
    /// The part of its output that it was given, and how it was before.
    pub(super) given: Option<Given>,
    /// It keeps its place where others are tiled.
    pub(super) floats: bool,
    /// Which of the kiosk's mappings it is for.
    pub(super) slot: Option<usize>,
    /// Whether it has ever shown anything.
    pub(super) drew: bool,
    /// What a guest has shown last, dimmed, and when that was copied; as long as it shows nothing.
    last: Option<Rc<Pixmap>>,
    copied: Option<Time>,
    /// The guest is gone, and its last picture is what there is of it.
    pub(super) gone: bool,
    title: Rc<Pixmap>,
    note: Option<Rc<Pixmap>>,
    owner: [Option<Rc<Pixmap>>; 2],
}

/// What a window is called in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caption {
    /// A guest's label with its numbers, or a client's title.
    pub title: String,
    /// The application: `grantway.guest.` and the label for a guest. A client that calls itself so is called
    /// `dom0.grantway.guest.` and so on.
    pub app: String,
}

/// How applications are called that no client is.
const RESERVED: &str = "grantway.";

/// A window that was given a part of its output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) region: Region,
    /// Its place before, and what its area was.
    pub(super) before: Place,
    pub(super) area: Option<Size>,
}

/// What is to be seen of a window beside its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// It has the keyboard.
    pub(super) focused: bool,
    /// Who owns it is shown in the place of its picture.
    pub(super) owner: bool,
}

/// The parts of a window, each an element of its own.
#[derive(Clone, Copy)]
enum Part {
    Content,
    Title,
    Left,
    Right,
    Below,
    Ground,
    Note,
    OwnerName,
    OwnerDetails,
    RingLeft,
    RingRight,
    RingAbove,
    RingBelow,
}

/// Numbers below this are no window's elements.
pub(super) const FIRST_ELEMENT: u64 = 1 << PART_BITS;

const PART_BITS: u32 = 4;

impl Window {
    pub(super) fn new(id: WindowId, face: Face, size: Size, font: Option<&Font>) -> Self {
        let title = face.title(font, decoration::outer_size(size).width);
        let (note, owner) = (None, [None, None]);
        let mut window = Self {
            id,
            face,
            size,
            area: None,
            preferred: Fit::Scale,
            decided: None,
            panned: (0, 0),
            shown: None,
            picture: None,
            place: None,
            moved: false,
            minimised: false,
            workspace: Workspace::FIRST,
            elsewhere: false,
            given: None,
            floats: false,
            slot: None,
            drew: false,
            last: None,
            copied: None,
            gone: false,
            title,
            note,
            owner,
        };
        window.draw_inside(size, font);
        window
    }

    /// Changes the picture's size; the place is the caller's to change.
    pub(super) fn resize(&mut self, size: Size, font: Option<&Font>) {
        self.change(size, self.area, font);
    }

    /// Gives a guest's picture another area than its own size, or its own again; the place is the caller's to change.
    pub(super) fn set_area(&mut self, area: Option<Size>, font: Option<&Font>) {
        self.change(self.size, area, font);
    }

    fn change(&mut self, size: Size, area: Option<Size>, font: Option<&Font>) {
        let before = self.inside();
        (self.size, self.area) = (size, area);
        let inside = self.inside();
        let width = decoration::outer_size(inside).width;
        if width != decoration::outer_size(before).width {
            self.title = self.face.title(font, width);
        }
        self.draw_inside(inside, font);
    }

    /// What the user has made of its size.
    pub(super) const fn area(&self) -> Option<Size> {
        self.area
    }

    /// Whether it is off the screen, as the user wants it.
    pub(super) const fn is_away(&self) -> bool {
        self.minimised || self.elsewhere
    }

    /// The size of what the frame is around.
    pub(super) fn inside(&self) -> Size {
        self.area.unwrap_or(self.size)
    }

    /// Whether it is one of a guest's.
    pub(super) const fn is_guest(&self) -> bool {
        self.face.guest().is_some()
    }

    /// Draws what a mapping needs whose strip is `strip` pixels long and whose area has the size `inside`.
    pub(super) fn fit_into(&mut self, strip: i32, inside: Size, font: Option<&Font>) {
        self.title = self.face.title(font, strip);
        self.draw_inside(inside, font);
    }

    /// Draws what can stand in the content's place.
    fn draw_inside(&mut self, inside: Size, font: Option<&Font>) {
        let Some(font) = font else { return };
        self.note = if self.gone {
            decoration::draw_note(font, "guest stopped; a click closes this", GONE_TEXT, BEHIND, inside)
        } else {
            decoration::draw_note(font, "no picture yet", BLANK_TEXT, BLANK, inside)
        };
        self.owner = self.face.owner(font, inside);
    }

    /// A guest is called something else, or has another colour, as the configuration says.
    pub(super) fn relabel(&mut self, name: &str, color: Color, font: Option<&Font>) {
        let Some(label) = self.face.guest() else { return };
        let label = WindowLabel { name: name.to_owned(), color, ..label.clone() };
        self.face = Face::Guest(label);
        self.title = self.face.title(font, decoration::outer_size(self.inside()).width);
        self.draw_inside(self.inside(), font);
    }

    /// A client calls its window something else, or itself.
    pub(super) fn rename(&mut self, label: ClientLabel, font: Option<&Font>) {
        self.face = Face::Client(label);
        self.title = self.face.title(font, decoration::outer_size(self.inside()).width);
        self.draw_inside(self.inside(), font);
    }

    /// A client shows this, which is as large as the content.
    pub(super) fn set_picture(&mut self, picture: Rc<Pixmap>) {
        self.picture = Some(picture);
    }

    /// Shows a part of a buffer, or nothing.
    pub(super) fn show(&mut self, shown: Option<Shown>) {
        self.shown = shown;
        if shown.is_some() {
            self.drew = true;
            self.last = None;
        }
    }

    /// Whether what it shows is to be copied, since it is about to go; not more often than kiosks do it.
    pub(super) fn wants_still(&mut self, now: Time) -> bool {
        let wants = self.is_guest() && self.copied.is_none_or(|copied| now >= copied.saturating_add(STILL_INTERVAL));
        if wants {
            self.copied = Some(now);
        }
        wants
    }

    /// Keeps what it has shown.
    pub(super) fn keep_still(&mut self, mut picture: Pixmap) {
        kiosk::dim(&mut picture);
        self.last = Some(Rc::new(picture));
    }

    /// Its guest is gone: from now on it shows what that has shown last, and is nobody's. Returns whether there is such
    /// a picture.
    pub(super) fn retire(&mut self, font: Option<&Font>) -> bool {
        self.picture = self.last.take();
        self.gone = self.picture.is_some() && !self.minimised;
        self.shown = None;
        self.draw_inside(self.inside(), font);
        self.gone
    }

    /// Whose it is, if it is a guest's.
    pub(super) const fn label(&self) -> Option<&WindowLabel> {
        self.face.guest()
    }

    /// What its frame says, in words.
    pub(super) fn caption(&self) -> Caption {
        match &self.face {
            Face::Guest(label) => Caption { title: label.text(), app: format!("{RESERVED}guest.{}", label.name) },
            Face::Client(ClientLabel { title, app }) => {
                let ours = app.starts_with(RESERVED);
                Caption { title: title.clone(), app: if ours { format!("dom0.{app}") } else { app.clone() } }
            }
        }
    }

    /// What it is known by when it comes again; a client's window is a new one each time.
    pub(super) fn name(&self) -> Option<(String, u32)> {
        self.face.guest().map(|label| (label.name.clone(), label.connector))
    }

    /// The element of the content.
    pub(super) fn content_id(&self) -> ElementId {
        ElementId(self.id.0 << PART_BITS | Part::Content.number())
    }

    /// What the frame is around, in the window's place.
    pub(super) fn inside_rect(&self, outer: &Rect) -> Rect {
        let (x, y) = decoration::content_origin(outer);
        let Size { width, height } = self.inside();
        Rect { x, y, width, height }
    }

    /// How the picture is shown in an area of another size.
    pub(super) fn fit(&self) -> Fit {
        self.decided.unwrap_or(self.preferred)
    }

    /// What the user has decided about that.
    pub(super) const fn decided_fit(&self) -> Option<Fit> {
        self.decided
    }

    pub(super) const fn set_fit(&mut self, fit: Option<Fit>) {
        (self.decided, self.panned) = (fit, (0, 0));
    }

    /// Draws the picture along by pixels of the display, when `from` was the corner of what was seen. Returns whether
    /// another part is seen now.
    pub(super) fn pan(&mut self, outer: &Rect, from: (i32, i32), by: (i32, i32)) -> bool {
        if self.area.is_none() {
            return false;
        }
        let before = self.content_rect(outer);
        let Rect { width, height, .. } = before.target;
        let parts = |by: i32, source: i32, target: i32| {
            let parts = i64::from(by) * i64::from(source) / i64::from(target).max(1);
            i32::try_from(parts).unwrap_or(0)
        };
        let (across, down) = (parts(by.0, before.source.width, width), parts(by.1, before.source.height, height));
        let corner = (from.0.saturating_sub(across), from.1.saturating_sub(down));
        let now = before.beginning_at(corner, self.picture_size());
        let middle = self.middle(self.inside_rect(outer)).source;
        self.panned = (now.source.x - middle.x, now.source.y - middle.y);
        now != before
    }

    /// Where the picture is within the window's place, and which part of it that is.
    pub(super) fn content_rect(&self, outer: &Rect) -> Fitted {
        let inside = self.inside_rect(outer);
        match self.area {
            Some(_) => {
                let middle = self.middle(inside);
                let (x, y) = self.panned;
                let corner = (middle.source.x.saturating_add(x), middle.source.y.saturating_add(y));
                middle.beginning_at(corner, self.picture_size())
            }
            None => Fitted { source: Rect { x: 0, y: 0, ..inside }, target: inside },
        }
    }

    /// The same for a window that the user has given a size, as if nothing had been drawn along.
    fn middle(&self, inside: Rect) -> Fitted {
        fit::fit(inside, self.picture_size(), self.fit(), Rotation::None)
    }

    /// The size of what is shown.
    pub(super) fn picture_size(&self) -> Size {
        self.shown.map_or(self.size, |shown| Size { width: shown.source.width, height: shown.source.height })
    }

    /// The window with its decoration, front to back.
    pub(super) fn elements(&self, outer: &Rect, look: Look, out: &mut Vec<Element>) {
        let inside = self.inside_rect(outer);
        let [left, right, below] = decoration::borders(outer, &inside);
        for (part, rect) in [(Part::Left, left), (Part::Right, right), (Part::Below, below)] {
            out.push(self.element(part, rect, Content::Solid(self.face.color())));
        }
        out.push(self.element(Part::Title, decoration::title_bar(outer), Content::Pixmap(Rc::clone(&self.title))));
        match (self.area, self.shown) {
            (Some(_), Some(shown)) if !look.owner => {
                let Fitted { source, target } = self.content_rect(outer);
                let (x, y) = (shown.source.x.saturating_add(source.x), shown.source.y.saturating_add(source.y));
                let Shown { buffer, version, .. } = shown;
                let smooth = (source.width, source.height) != (target.width, target.height);
                let source = Rect { x, y, ..source };
                out.push(self.element(Part::Content, target, Content::Buffer { buffer, source, version, smooth }));
            }
            _ => self.content(inside, look, out),
        }
        let ground = if look.owner { self.face.color() } else { self.ground() };
        out.push(self.element(Part::Ground, inside, Content::Solid(ground)));
        if look.focused {
            let parts = [Part::RingLeft, Part::RingRight, Part::RingAbove, Part::RingBelow];
            let ring = parts.into_iter().zip(decoration::ring(outer));
            out.extend(ring.map(|(part, rect)| self.element(part, rect, Content::Solid(decoration::RING_COLOR))));
        }
    }

    /// The window's colour over `target`, for a window that has its output for itself.
    pub(super) fn cover(&self, target: Rect) -> Element {
        self.element(Part::Ground, target, Content::Solid(self.face.color()))
    }

    /// The content alone, in `target`, front to back, cropped to it.
    pub(super) fn content(&self, target: Rect, look: Look, out: &mut Vec<Element>) {
        if look.owner {
            return self.owner_elements(target, Rotation::None, out);
        }
        if let Some(picture) = &self.picture {
            if self.gone {
                out.extend(
                    self.note.as_ref().and_then(|note| self.line(Part::Note, note, target, (0, Rotation::None))),
                );
            }
            let target = if self.gone { self.fitted(target, picture) } else { target };
            out.push(self.element(Part::Content, target, Content::Pixmap(Rc::clone(picture))));
            return;
        }
        match self.shown {
            Some(Shown { buffer, source, version }) => {
                let (width, height) = (source.width.min(target.width), source.height.min(target.height));
                let source = Rect { width, height, ..source };
                let target = Rect { width, height, ..target };
                out.push(self.element(
                    Part::Content,
                    target,
                    Content::Buffer { buffer, source, version, smooth: false },
                ));
            }
            None => {
                out.extend(self.note.as_ref().and_then(|note| self.line(Part::Note, note, target, (0, Rotation::None))))
            }
        }
    }

    /// Where the last picture goes, which is as large as what was seen of the guest's.
    fn fitted(&self, target: Rect, picture: &Pixmap) -> Rect {
        let side = |pixels| i32::try_from(pixels).unwrap_or(i32::MAX);
        let size = Size { width: side(picture.width), height: side(picture.height) };
        match self.area {
            Some(_) => fit::fit(target, size, Fit::Scale, Rotation::None).target,
            None => Rect { width: size.width, height: size.height, ..target },
        }
    }

    /// A part of what it shows, wherever and however turned.
    pub(super) fn picture(&self, shown: &Shown, source: Rect, target: Rect, rotation: Rotation) -> Element {
        let content = Content::Buffer { buffer: shown.buffer, source, version: shown.version, smooth: false };
        Element { rotation, ..self.element(Part::Content, target, content) }
    }

    /// Its label as a strip of its own.
    pub(super) fn strip(&self, target: Rect, rotation: Rotation) -> Element {
        Element { rotation, ..self.element(Part::Title, target, Content::Pixmap(Rc::clone(&self.title))) }
    }

    /// Who owns it, in two lines, the name above the middle where both fit.
    pub(super) fn owner_elements(&self, target: Rect, rotation: Rotation, out: &mut Vec<Element>) {
        let [name, details] = &self.owner;
        let height = rotation.turn(Size { width: target.width, height: target.height }).height;
        let both = height >= 2 * OWNER_APART + OWNER_LEAST;
        let apart = if both { OWNER_APART } else { 0 };
        out.extend(name.as_ref().and_then(|name| self.line(Part::OwnerName, name, target, (-apart, rotation))));
        if both {
            let details = details.as_ref();
            out.extend(details.and_then(|text| self.line(Part::OwnerDetails, text, target, (apart, rotation))));
        }
    }

    /// A line of text in the middle of a rectangle, or so many pixels below it, as it is turned.
    fn line(&self, part: Part, text: &Rc<Pixmap>, within: Rect, below: (i32, Rotation)) -> Option<Element> {
        let target = in_the_middle(text, within, below)?;
        Some(Element { rotation: below.1, ..self.element(part, target, Content::Pixmap(Rc::clone(text))) })
    }

    const fn ground(&self) -> Color {
        if self.shown.is_some() || self.picture.is_some() { BEHIND } else { BLANK }
    }

    fn element(&self, part: Part, target: Rect, content: Content) -> Element {
        let id = ElementId(self.id.0 << PART_BITS | part.number());
        Element { id, target, content, rotation: Rotation::None }
    }
}

/// Where a line of text goes that stands in the middle of a rectangle, or so many pixels below it, as it is turned.
pub(super) fn in_the_middle(text: &Pixmap, within: Rect, (below, rotation): (i32, Rotation)) -> Option<Rect> {
    let size = Size { width: i32::try_from(text.width).ok()?, height: i32::try_from(text.height).ok()? };
    let Size { width, height } = rotation.turn(size);
    let (right, down) = rotation.turn_down(below);
    let (x, y) = (within.x + (within.width - width) / 2 + right, within.y + (within.height - height) / 2 + down);
    Some(Rect { x, y, width, height })
}

impl Part {
    const fn number(self) -> u64 {
        match self {
            Self::Content => 0,
            Self::Title => 1,
            Self::Left => 2,
            Self::Right => 3,
            Self::Below => 4,
            Self::Ground => 5,
            Self::Note => 6,
            Self::OwnerName => 7,
            Self::OwnerDetails => 8,
            Self::RingLeft => 9,
            Self::RingRight => 10,
            Self::RingAbove => 11,
            Self::RingBelow => 12,
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! One guest connector's window: its label, and what it shows.

use std::rc::Rc;

use super::decoration::{self, WindowLabel};
use super::element::{BufferId, Color, Content, Element, ElementId, Pixmap, Rect, Size};
use super::layout::Place;
use super::text::Font;

/// What is behind a content that is smaller than its window.
const BEHIND: Color = Color { red: 0, green: 0, blue: 0 };
const BLANK: Color = Color { red: 32, green: 36, blue: 42 };
const BLANK_TEXT: Color = Color { red: 132, green: 140, blue: 150 };

/// Names a window while it is there; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId(pub(super) u64);

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
pub(super) struct GuestWindow {
    pub(super) id: WindowId,
    pub(super) label: WindowLabel,
    pub(super) size: Size,
    pub(super) shown: Option<Shown>,
    pub(super) place: Option<Place>,
    title: Rc<Pixmap>,
    note: Option<Rc<Pixmap>>,
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
}

impl GuestWindow {
    pub(super) fn new(id: WindowId, label: WindowLabel, size: Size, font: Option<&Font>) -> Self {
        let title = decoration::draw_title(font, &label, decoration::outer_size(size).width);
        let mut window = Self { id, label, size, shown: None, place: None, title, note: None };
        window.note = window.draw_note(font);
        window
    }

    /// Changes the content's size; the place is the caller's to change.
    pub(super) fn resize(&mut self, size: Size, font: Option<&Font>) {
        let width = decoration::outer_size(size).width;
        if width != decoration::outer_size(self.size).width {
            self.title = decoration::draw_title(font, &self.label, width);
        }
        self.size = size;
        self.note = self.draw_note(font);
    }

    fn draw_note(&self, font: Option<&Font>) -> Option<Rc<Pixmap>> {
        decoration::draw_note(font?, "no picture yet", BLANK_TEXT, BLANK, self.size)
    }

    /// Where the content is within the window's place.
    pub(super) fn content_rect(&self, outer: &Rect) -> Rect {
        let (x, y) = decoration::content_origin(outer);
        Rect { x, y, width: self.size.width, height: self.size.height }
    }

    /// The window with its decoration, front to back.
    pub(super) fn elements(&self, outer: &Rect, out: &mut Vec<Element>) {
        let content = self.content_rect(outer);
        let [left, right, below] = decoration::borders(outer, &content);
        for (part, rect) in [(Part::Left, left), (Part::Right, right), (Part::Below, below)] {
            out.push(self.element(part, rect, Content::Solid(self.label.color)));
        }
        out.push(self.element(Part::Title, decoration::title_bar(outer), Content::Pixmap(Rc::clone(&self.title))));
        self.content(content, out);
        out.push(self.element(Part::Ground, content, Content::Solid(self.ground())));
    }

    /// The content alone, in `target`, front to back, cropped to it.
    pub(super) fn content(&self, target: Rect, out: &mut Vec<Element>) {
        match self.shown {
            Some(Shown { buffer, source, version }) => {
                let (width, height) = (source.width.min(target.width), source.height.min(target.height));
                let source = Rect { width, height, ..source };
                let target = Rect { width, height, ..target };
                out.push(self.element(Part::Content, target, Content::Buffer { buffer, source, version }));
            }
            None => out.extend(self.note.as_ref().and_then(|note| self.note_element(note, target))),
        }
    }

    fn note_element(&self, note: &Rc<Pixmap>, within: Rect) -> Option<Element> {
        let (width, height) = (i32::try_from(note.width).ok()?, i32::try_from(note.height).ok()?);
        let (x, y) = (within.x + (within.width - width) / 2, within.y + (within.height - height) / 2);
        Some(self.element(Part::Note, Rect { x, y, width, height }, Content::Pixmap(Rc::clone(note))))
    }

    const fn ground(&self) -> Color {
        if self.shown.is_some() { BEHIND } else { BLANK }
    }

    fn element(&self, part: Part, target: Rect, content: Content) -> Element {
        Element { id: ElementId(self.id.0 << 3 | part.number()), target, content }
    }
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
        }
    }
}

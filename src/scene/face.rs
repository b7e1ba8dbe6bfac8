// SPDX-License-Identifier: GPL-3.0-or-later
//! Whose window it is, as its frame says it: a guest's, in its domain's colour, or that of one of Dom0's own clients,
//! in stripes that no guest's frame has.

use std::rc::Rc;

use super::decoration::{self, ClientLabel, WindowLabel};
use super::element::{Color, Pixmap, Size};
use super::text::Font;

/// Whose window it is.
#[derive(Debug)]
pub(super) enum Face {
    Guest(WindowLabel),
    Client(ClientLabel),
}

impl Face {
    /// A guest's label.
    pub(super) const fn guest(&self) -> Option<&WindowLabel> {
        match self {
            Self::Guest(label) => Some(label),
            Self::Client(_) => None,
        }
    }

    /// The colour of border and cover.
    pub(super) const fn color(&self) -> Color {
        match self {
            Self::Guest(label) => label.color,
            Self::Client(_) => decoration::CLIENT_COLOR,
        }
    }

    /// The title bar, `width` pixels wide.
    pub(super) fn title(&self, font: Option<&Font>, width: i32) -> Rc<Pixmap> {
        match self {
            Self::Guest(label) => decoration::draw_title(font, label, width),
            Self::Client(label) => decoration::draw_client_title(font, label, width),
        }
    }

    /// Who owns the content, in two lines that are shown in its place.
    pub(super) fn owner(&self, font: &Font, size: Size) -> [Option<Rc<Pixmap>>; 2] {
        match self {
            Self::Guest(label) => decoration::draw_owner(font, label, size),
            Self::Client(label) => decoration::draw_client_owner(font, label, size),
        }
    }
}

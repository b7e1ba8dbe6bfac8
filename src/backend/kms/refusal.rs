// SPDX-License-Identifier: GPL-3.0-or-later
//! Why a guest's picture is composed although planes are there. Pure.

use std::fmt;
use std::rc::Rc;

use crate::backend::format;
use crate::scene::element::{CURSOR_ID, Content, Element, Rect, Rotation};

/// Multiples of this many bytes are what display engines want of a pitch.
const PITCH_UNIT: u32 = 64;

/// What lies over a guest's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Label,
    Pointer,
    Border,
    OtherGuest,
}

/// Why a guest's picture is on no plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The configuration forbids it.
    Forbidden,
    /// No atomic mode setting.
    Legacy,
    /// A mode is being set; planes that are tested before it is set count as refused for good.
    JustSet,
    /// The driver took the planes in a test and not in earnest.
    Failed,
    NoDmabuf,
    Format(u32),
    Pitch(u32),
    /// The driver made no framebuffer of it.
    Framebuffer(Rc<str>),
    Covered(Cover),
    NoPlaneLeft,
    /// The display has no plane for the pointer.
    NoCursorPlane,
    /// The pointer's picture is larger than that plane.
    CursorTooLarge,
    /// There is nothing else on the display, which the primary plane would be taken for.
    Alone,
    /// The driver refused a test commit.
    Test(Asked),
}

/// What a plane was asked to do beside showing a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Turn,
    Scale,
    Crop,
}

impl Refusal {
    /// The driver refused a framebuffer; a crooked pitch is the usual reason, and the only one that can be named.
    pub(super) fn framebuffer(pitch: u32, error: &str) -> Self {
        if pitch.is_multiple_of(PITCH_UNIT) { Self::Framebuffer(error.into()) } else { Self::Pitch(pitch) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("the configuration has scanout = \"off\""),
            Self::Legacy => f.write_str("the driver has no atomic mode setting"),
            Self::JustSet => f.write_str("the display was just set; its next frame may be on a plane"),
            Self::Failed => f.write_str("the driver failed to show it; tried again after some frames"),
            Self::NoDmabuf => f.write_str("there is no dma-buf, only mapped pages"),
            Self::Format(fourcc) => write!(f, "format {} not on this output's planes", format::name(*fourcc)),
            Self::Pitch(pitch) => write!(f, "pitch {pitch} not a multiple of {PITCH_UNIT}"),
            Self::Framebuffer(error) => write!(f, "the driver makes no framebuffer of it: {error}"),
            Self::Covered(Cover::Label) => f.write_str("covered by a label"),
            Self::Covered(Cover::Pointer) => f.write_str("covered by the pointer"),
            Self::Covered(Cover::Border) => f.write_str("covered by a border"),
            Self::Covered(Cover::OtherGuest) => f.write_str("covered by another guest's picture"),
            Self::NoPlaneLeft => f.write_str("no plane left"),
            Self::NoCursorPlane => f.write_str("the display has no cursor plane"),
            Self::CursorTooLarge => f.write_str("its picture is larger than the cursor plane"),
            Self::Alone => f.write_str("nothing else is shown"),
            Self::Test(Asked::Nothing) => f.write_str("no plane takes it (test commit refused)"),
            Self::Test(Asked::Turn) => f.write_str("the planes can't turn it (test commit refused)"),
            Self::Test(Asked::Scale) => f.write_str("the planes can't scale it (test commit refused)"),
            Self::Test(Asked::Crop) => f.write_str("the planes can't crop it (test commit refused)"),
        }
    }
}

/// What lies over `elements[index]` and is drawn itself; `drawn` says that of each element.
pub(super) fn cover(elements: &[Element], index: usize, drawn: impl Fn(&Element) -> bool) -> Option<Cover> {
    let element = elements.get(index)?;
    let over = elements.iter().take(index).find(|over| over.target.overlaps(&element.target) && drawn(over))?;
    Some(match over.content {
        Content::Buffer { .. } => Cover::OtherGuest,
        Content::Solid(_) => Cover::Border,
        Content::Pixmap(_) if over.id == CURSOR_ID => Cover::Pointer,
        Content::Pixmap(_) => Cover::Label,
    })
}

/// Why a picture is on no plane that nothing speaks against.
pub(super) fn untold(source: Rect, element: &Element, size: (u32, u32), planes_left: bool) -> Refusal {
    if !planes_left {
        return Refusal::NoPlaneLeft;
    }
    let target = element.target;
    Refusal::Test(if element.rotation != Rotation::None {
        Asked::Turn
    } else if (source.width, source.height) != (target.width, target.height) {
        Asked::Scale
    } else if (i64::from(size.0), i64::from(size.1)) != (i64::from(source.width), i64::from(source.height)) {
        Asked::Crop
    } else {
        Asked::Nothing
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::element::{BufferId, Color, ElementId, Pixmap};

    const fn rect(x: i32, y: i32, width: i32, height: i32) -> Rect {
        Rect { x, y, width, height }
    }

    fn picture(id: u64, target: Rect) -> Element {
        let content = Content::Buffer { buffer: BufferId(id), source: target, version: 1, smooth: false };
        Element { id: ElementId(id), target, content, rotation: Rotation::None }
    }

    fn pixmap(id: ElementId, target: Rect) -> Element {
        let pixmap = Pixmap { width: 1, height: 1, pixels: vec![0; 4] };
        Element { id, target, content: Content::Pixmap(Rc::new(pixmap)), rotation: Rotation::None }
    }

    fn over(front: Element) -> Option<Cover> {
        cover(&[front, picture(77, rect(0, 0, 100, 100))], 1, |_| true)
    }

    #[test]
    fn what_covers_a_picture_is_named() {
        let (inside, beside) = (rect(10, 10, 5, 5), rect(100, 0, 5, 5));
        assert_eq!(over(pixmap(ElementId(99), inside)), Some(Cover::Label));
        assert_eq!(over(pixmap(CURSOR_ID, inside)), Some(Cover::Pointer));
        assert_eq!(over(picture(78, inside)), Some(Cover::OtherGuest));
        let border = Content::Solid(Color { red: 1, green: 2, blue: 3 });
        assert_eq!(
            over(Element { id: ElementId(5), target: inside, content: border, rotation: Rotation::None }),
            Some(Cover::Border)
        );
        assert_eq!(over(pixmap(ElementId(99), beside)), None);
    }

    #[test]
    fn only_what_is_drawn_and_in_front_covers() {
        let elements =
            [picture(1, rect(0, 0, 50, 50)), picture(2, rect(0, 0, 100, 100)), pixmap(CURSOR_ID, rect(0, 0, 9, 9))];
        assert_eq!(cover(&elements, 1, |element| element.id != ElementId(1)), None);
        assert_eq!(cover(&elements, 1, |_| true), Some(Cover::OtherGuest));
        assert_eq!(cover(&elements, 0, |_| true), None);
        assert_eq!(cover(&elements, 9, |_| true), None);
    }

    #[test]
    fn without_a_cover_it_is_the_planes() {
        let whole = rect(0, 0, 640, 480);
        let why = |target, size, left| untold(whole, &picture(1, target), size, left);
        assert_eq!(why(whole, (640, 480), false), Refusal::NoPlaneLeft);
        assert_eq!(why(whole, (640, 480), true), Refusal::Test(Asked::Nothing));
        assert_eq!(why(whole, (800, 480), true), Refusal::Test(Asked::Crop));
        assert_eq!(why(rect(0, 0, 800, 600), (640, 480), true), Refusal::Test(Asked::Scale));
        let turned = Element { rotation: Rotation::Right, ..picture(1, rect(0, 0, 480, 640)) };
        assert_eq!(untold(whole, &turned, (640, 480), true), Refusal::Test(Asked::Turn));
    }

    #[test]
    fn the_reasons_are_words_for_the_user() {
        assert_eq!(Refusal::framebuffer(5464, "Invalid argument").to_string(), "pitch 5464 not a multiple of 64");
        let other = Refusal::framebuffer(5504, "Invalid argument").to_string();
        assert_eq!(other, "the driver makes no framebuffer of it: Invalid argument");
        let rg24 = u32::from_le_bytes(*b"RG24");
        assert_eq!(Refusal::Format(rg24).to_string(), "format RG24 not on this output's planes");
        assert_eq!(Refusal::Covered(Cover::Label).to_string(), "covered by a label");
        assert_eq!(Refusal::NoPlaneLeft.to_string(), "no plane left");
    }
}

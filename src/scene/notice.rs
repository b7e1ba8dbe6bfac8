// SPDX-License-Identifier: GPL-3.0-or-later
//! What Grantway has to say itself until somebody has read it: over all windows, in the look of the keys' picture,
//! which no window's frame has.

use std::rc::Rc;

use super::decoration::RING_COLOR;
use super::element::{Element, ElementId, Pixmap, Rect, Size};
use super::help::{self, GROUND, INK, LINE, PADDING, Stack, TEXT_SIZE};
use super::text::Font;
use super::window::FIRST_ELEMENT;
use super::{OutputId, Scene, SceneOutput, own_picture};

const NOTICE_ID: ElementId = ElementId(5);
const _: () = assert!(NOTICE_ID.0 < FIRST_ELEMENT, "the notice has the name of a window's element");

/// Pixels from the top of the output.
const BELOW_TOP: i32 = 40;
/// Pixels at its sides that stay free, and the widest text.
const BESIDE: i32 = 40;
const WIDEST: i32 = 880;
/// Lines of text; the log has the rest.
const MOST_LINES: usize = 8;
const FAREWELL: &str = "A click here closes this.";

impl Scene {
    /// Says something on the first output until [`Scene::end_notice`]. Not in a kiosk, whose displays are its guests'.
    pub fn set_notice(&mut self, heading: &str, text: &str) {
        let (Some(font), Some(output), false) = (&self.font, self.outputs.first(), self.is_kiosk()) else { return };
        let room = (output.size.width - 2 * (BESIDE + PADDING)).min(WIDEST);
        self.notice = Some(draw(font, heading, &wrapped(font, text, room)));
        self.damage_all();
    }

    /// Takes that away; whether it was there.
    pub fn end_notice(&mut self) -> bool {
        let was_there = self.notice.take().is_some();
        if was_there {
            self.damage_all();
        }
        was_there
    }

    /// Whether a pixel of an output shows the notice, and not what lies below.
    #[must_use]
    pub fn is_notice(&self, output: OutputId, x: i32, y: i32) -> bool {
        let output = self.outputs.iter().find(|other| other.id == output);
        let seen = output.filter(|_| !self.locked && !self.attention).and_then(|output| self.notice_place(*output));
        seen.is_some_and(|(rect, _)| super::focus::holds(&rect, x, y))
    }

    pub(super) fn notice_on(&self, output: SceneOutput) -> Option<Element> {
        let (target, picture) = self.notice_place(output)?;
        Some(own_picture(NOTICE_ID, target, picture))
    }

    fn notice_place(&self, output: SceneOutput) -> Option<(Rect, &Rc<Pixmap>)> {
        let picture = self.notice.as_ref().filter(|_| self.outputs.first() == Some(&output))?;
        let Size { width, height } = super::size_of(picture);
        Some((Rect { x: (output.size.width - width) / 2, y: BELOW_TOP, width, height }, picture))
    }
}

fn draw(font: &Font, heading: &str, lines: &[String]) -> Rc<Pixmap> {
    let texts = lines.iter().map(String::as_str).chain([heading, FAREWELL]);
    let width = texts.map(|text| font.width(text, TEXT_SIZE)).max().unwrap_or(0) + 2 * PADDING;
    let mut picture = Stack::new(width);
    picture.edge();
    picture.add(LINE, GROUND, |row| font.draw(row, PADDING, heading, TEXT_SIZE, RING_COLOR));
    for line in lines {
        picture.add(LINE, GROUND, |row| font.draw(row, PADDING, line, TEXT_SIZE, INK));
    }
    picture.add(LINE, GROUND, |row| font.draw(row, PADDING, FAREWELL, TEXT_SIZE, help::DIM_INK));
    picture.edge();
    picture.done()
}

/// The text in lines of at most `room` pixels, broken between words, or within one that is longer.
fn wrapped(font: &Font, text: &str, room: i32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.len() == MOST_LINES;
        let Some(line) = lines.last_mut() else { break };
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || font.width(&longer, TEXT_SIZE) <= room {
            *line = longer;
        } else if full {
            line.push_str(" …");
            break;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| font.elide(line, TEXT_SIZE, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::element::{Color, Content};
    use super::super::{WindowLabel, kiosk};
    use super::*;

    fn scene() -> (Scene, SceneOutput) {
        let mut scene = Scene::new();
        let output = SceneOutput { id: OutputId(1), size: Size { width: 640, height: 480 } };
        scene.set_outputs(&[output]);
        (scene, output)
    }

    fn on_screen(scene: &Scene) -> Option<Rect> {
        let frame = scene.frame(OutputId(1));
        frame.elements.iter().find(|element| element.id == NOTICE_ID).map(|element| element.target)
    }

    #[test]
    fn a_notice_lies_over_everything_of_a_guest_until_it_is_ended() {
        let (mut scene, output) = scene();
        let color = Color { red: 1, green: 2, blue: 3 };
        let label = WindowLabel { name: "web".to_owned(), domid: 1, connector: 0, color };
        let window = scene.add_window(label, output.size);
        scene.set_fullscreen(Some(window));
        scene.set_notice("Heading", "what is wrong");
        let place = on_screen(&scene).unwrap();
        assert!(scene.is_notice(output.id, place.x, place.y) && !scene.is_notice(output.id, place.x - 1, place.y));
        assert_eq!(scene.frame(output.id).elements.first().map(|element| element.id), Some(NOTICE_ID));
        scene.set_attention(true);
        assert_eq!(on_screen(&scene), None);
        assert!(!scene.is_notice(output.id, place.x, place.y), "what is not seen takes no click");
        scene.set_attention(false);
        assert!(scene.end_notice() && !scene.end_notice());
        assert_eq!(on_screen(&scene), None);
    }

    #[test]
    fn a_long_text_is_broken_into_lines_that_fit() {
        let (mut scene, output) = scene();
        scene.set_notice("Heading", &format!("{} {}", "word ".repeat(40), "x".repeat(400)));
        let place = on_screen(&scene).unwrap();
        assert!(place.x >= 0 && place.width <= output.size.width, "{place:?}");
        let lines = |place: Rect| (place.height - 2 * (help::EDGE + PADDING / 2)) / LINE;
        assert!((4..=12).contains(&lines(place)), "{place:?}");
        scene.set_notice("Heading", &"many words ".repeat(1000));
        let most = i32::try_from(MOST_LINES).unwrap();
        assert_eq!(on_screen(&scene).map(lines), Some(most + 2));
    }

    #[test]
    fn a_kiosk_shows_its_guests_and_no_notice() {
        let (mut scene, _) = scene();
        scene.set_kiosk(Vec::<kiosk::Mapping>::new());
        scene.set_notice("Heading", "what is wrong");
        assert_eq!(on_screen(&scene), None);
    }

    #[test]
    fn a_notice_looks_like_no_guests_frame() {
        let (mut scene, _) = scene();
        scene.set_notice("Heading", "what is wrong");
        let frame = scene.frame(OutputId(1));
        let notice = frame.elements.iter().find(|element| element.id == NOTICE_ID).unwrap();
        let Content::Pixmap(picture) = &notice.content else { panic!("{notice:?}") };
        // A frame has one colour above and below its text, and no edge of another.
        let Color { red, green, blue } = RING_COLOR;
        let row = usize::try_from(picture.width).unwrap() * 4;
        assert_eq!(picture.pixels[..4], [blue, green, red, 255]);
        assert_eq!(picture.pixels[picture.pixels.len() - 4..], [blue, green, red, 255]);
        assert_ne!(picture.pixels[row * 8..row * 8 + 4], [blue, green, red, 255]);
    }
}

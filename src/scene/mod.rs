// SPDX-License-Identifier: GPL-3.0-or-later
//! What is where on the outputs: pure geometry and description, no drawing.
//!
//! A [`Scene`] holds one window per guest connector, and those of Dom0's own clients, and describes each output's picture as a
//! [`Frame`]. Content is shown at 1:1, unless the user, or a [`kiosk`], says otherwise.

mod arrangement;
pub mod cursor;
pub mod decoration;
mod desktop;
pub mod dock;
pub mod element;
mod face;
pub mod fit;
pub mod focus;
pub mod help;
pub mod kiosk;
pub mod layout;
mod lock;
mod notice;
mod places;
mod roster;
pub mod sight;
mod sizing;
pub mod text;
mod tiling;
pub mod window;
mod workspaces;

use std::collections::BTreeSet;
use std::rc::Rc;

pub use self::arrangement::Wanted;
use self::arrangement::{Layout, View};
use self::cursor::{Cursor, Look, Shapes};
pub use self::decoration::{ClientLabel, WindowLabel};
use self::desktop::Desktop;
use self::element::{CURSOR_ID, Color, Content, Element, ElementId, Frame, OutputId, Pixmap, Rect, Rotation, Size};
use self::face::Face;
pub use self::help::HelpLine;
use self::kiosk::Kiosk;
pub use self::places::Remembered;
pub use self::roster::GuestWindow;
use self::text::Font;
use self::tiling::Tiling;
pub use self::window::{Caption, Shown, WindowId};
use self::window::{FIRST_ELEMENT, Window};
use self::workspaces::Workspaces;
use crate::time::Time;

/// What shows where no window is.
pub const BACKGROUND: Color = Color { red: 38, green: 44, blue: 52 };

/// What shows around a full-screen window.
pub const AROUND_FULL_SCREEN: Color = Color { red: 0, green: 0, blue: 0 };

/// The largest side of a content, in pixels.
const LARGEST: i32 = 16_384;

const BANNER_ID: ElementId = ElementId(2);
const HELP_ID: ElementId = ElementId(3);
const _: () = assert!(
    BANNER_ID.0 < FIRST_ELEMENT && HELP_ID.0 < FIRST_ELEMENT,
    "an element of the scene's own has a window's name"
);

const HINT_INK: Color = Color { red: 128, green: 138, blue: 150 };
/// Pixels from the middle of an output to the hint.
const HINT_BELOW: i32 = 36;

/// What the secure attention picture says of itself.
const BANNER: &str = "Secure attention: all of this is drawn by Grantway. Esc goes back.";
const BANNER_INK: Color = Color { red: 16, green: 16, blue: 16 };

/// Guests that are gone of which a picture is kept.
const MOST_GONE: usize = 16;

/// An output as the scene knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SceneOutput {
    /// Its name.
    pub id: OutputId,
    /// Its size in pixels.
    pub size: Size,
}

/// The reserved keys, for the user.
#[derive(Debug, Default)]
struct Help {
    picture: Option<Rc<Pixmap>>,
    /// How to have that shown; seen while there is no window.
    hint: Option<Rc<Pixmap>>,
    shown: bool,
}

/// All windows on all outputs.
#[derive(Debug)]
pub struct Scene {
    outputs: Vec<SceneOutput>,
    /// Back to front: the newest is in front, unless another one was raised.
    windows: Vec<Window>,
    docks: Vec<dock::Docked>,
    layout: Layout,
    next: u64,
    font: Option<Font>,
    focus: Option<WindowId>,
    cursor: Option<(OutputId, i32, i32)>,
    shapes: Shapes,
    /// What the pointer looks like.
    pointer: Option<Cursor>,
    attention: bool,
    locked: bool,
    banner: Option<Rc<Pixmap>>,
    help: Help,
    workspaces: Workspaces,
    /// What Grantway has to say itself.
    notice: Option<Rc<Pixmap>>,
    tiling: Tiling,
    damaged: BTreeSet<OutputId>,
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Scene {
    /// A scene without outputs and windows.
    #[must_use]
    pub fn new() -> Self {
        let font = Font::bundled().map_err(|error| tracing::error!(%error, "labels have no text")).ok();
        let room = Size { width: i32::MAX, height: i32::MAX };
        let shapes = Shapes::new();
        let banner = font
            .as_ref()
            .and_then(|font| decoration::draw_note(font, BANNER, BANNER_INK, decoration::RING_COLOR, room));
        Self {
            outputs: Vec::new(),
            windows: Vec::new(),
            docks: Vec::new(),
            layout: Layout::Desktop(Desktop::new(font.as_ref())),
            next: 1,
            font,
            focus: None,
            cursor: None,
            pointer: shapes.cursor(Look::default()),
            shapes,
            attention: false,
            locked: false,
            banner,
            help: Help::default(),
            workspaces: Workspaces::default(),
            notice: None,
            tiling: Tiling::default(),
            damaged: BTreeSet::new(),
        }
    }

    /// Says which outputs there are, in the order in which they are filled.
    pub fn set_outputs(&mut self, outputs: &[SceneOutput]) {
        let before = std::mem::replace(&mut self.outputs, outputs.to_vec());
        self.layout.get_mut().set_outputs(&before, &self.outputs, &mut self.windows);
        self.damaged = outputs.iter().map(|output| output.id).collect();
    }

    /// Adds a window, in front of the others, that shows nothing yet.
    pub fn add_window(&mut self, label: WindowLabel, content_size: Size) -> WindowId {
        self.add_window_for(label, content_size, None)
    }

    /// Adds a window for one of the kiosk's mappings; in a kiosk one without a mapping is never shown.
    pub fn add_window_for(&mut self, label: WindowLabel, content_size: Size, slot: Option<usize>) -> WindowId {
        self.add(Face::Guest(label), content_size, slot)
    }

    /// Adds a window of one of Dom0's own clients, in front of the others. A kiosk never shows it.
    pub fn add_client(&mut self, label: ClientLabel, picture: Rc<Pixmap>) -> WindowId {
        let id = self.add(Face::Client(label), size_of(&picture), None);
        self.show_picture(id, picture);
        id
    }

    /// A client's window shows this; its content gets the picture's size.
    pub fn show_picture(&mut self, id: WindowId, picture: Rc<Pixmap>) {
        let size = size_of(&picture);
        let Some(window) = self.windows.iter_mut().find(|window| window.id == id) else { return };
        window.set_picture(picture);
        if window.size == size { self.damaged.extend(self.sight(id)) } else { self.resize_content(id, size) }
    }

    /// A client calls its window, or itself, something else.
    pub fn rename_client(&mut self, id: WindowId, label: ClientLabel) {
        let Some(window) = self.windows.iter_mut().find(|window| window.id == id) else { return };
        window.rename(label, self.font.as_ref());
        self.damage(id);
    }

    fn add(&mut self, face: Face, content_size: Size, slot: Option<usize>) -> WindowId {
        let id = WindowId(self.next);
        self.next += 1;
        let mut window = Window::new(id, face, within_limits(content_size), self.font.as_ref());
        (window.slot, window.workspace) = (slot, self.workspace());
        // The guest is back.
        let name = window.name();
        let old = self.windows.iter().find(|old| old.gone && old.name() == name).map(|old| old.id);
        if let Some(old) = old {
            self.take_away(old);
        }
        self.windows.push(window);
        self.fit(self.windows.len() - 1);
        // The first window ends the waiting.
        if self.windows.len() == 1 {
            self.damage_all();
        }
        self.damage(id);
        id
    }

    /// A window's guest or client is gone; nothing happens if it is not there. What a guest has shown last stays on a
    /// desktop, until the guest is back or [`Scene::dismiss`] is called.
    pub fn remove_window(&mut self, id: WindowId) {
        let desktop = self.layout.kiosk().is_none();
        let window = self.windows.iter_mut().find(|window| window.id == id);
        if !window.filter(|_| desktop).is_some_and(|window| window.retire(self.font.as_ref())) {
            return self.take_away(id);
        }
        self.focus = self.focus.filter(|focus| *focus != id);
        if self.layout.get_mut().removed(id) {
            self.damage_all();
        }
        self.damage(id);
        let gone: Vec<WindowId> = self.windows.iter().filter(|window| window.gone).map(|window| window.id).collect();
        if let (true, Some(oldest)) = (gone.len() > MOST_GONE, gone.into_iter().min()) {
            self.take_away(oldest);
        }
    }

    /// Takes away what is left of a guest; nothing happens while that is there.
    pub fn dismiss(&mut self, id: WindowId) {
        if self.window(id).is_some_and(|window| window.gone) {
            self.take_away(id);
        }
    }

    fn take_away(&mut self, id: WindowId) {
        self.damage(id);
        if let Some(window) = self.windows.iter().find(|window| window.id == id) {
            self.layout.get_mut().leaves(window, &self.outputs);
        }
        let more = self.layout.get_mut().removed(id);
        self.focus = self.focus.filter(|focus| *focus != id);
        self.windows.retain(|window| window.id != id);
        if more || self.windows.is_empty() {
            self.damage_all();
        }
    }

    /// Changes the size of a window's content.
    pub fn resize_content(&mut self, id: WindowId, content_size: Size) {
        let Some(index) = self.windows.iter().position(|window| window.id == id) else { return };
        self.damage(id);
        if let Some(window) = self.windows.get_mut(index) {
            window.resize(within_limits(content_size), self.font.as_ref());
        }
        self.fit(index);
        self.damage(id);
    }

    /// Shows a part of a buffer in a window, or nothing.
    pub fn show(&mut self, id: WindowId, shown: Option<Shown>) {
        let Some(window) = self.windows.iter_mut().find(|window| window.id == id) else { return };
        if window.shown != shown {
            window.show(shown);
            if shown.is_some() {
                self.layout.get_mut().drew(window);
            }
            // What uncovers a window damages its output.
            self.damaged.extend(self.sight(id));
        }
    }

    /// Gives one window its whole output, without decoration, or ends that. In a kiosk nothing happens: what is
    /// where is fixed.
    pub fn set_fullscreen(&mut self, id: Option<WindowId>) {
        let id = id.filter(|id| self.windows.iter().any(|window| window.id == *id));
        if let Some(workspace) = id.and_then(|id| self.workspace_of(id)) {
            self.set_workspace(workspace);
        }
        if self.layout.get_mut().set_fullscreen(id) {
            self.damage_all();
        }
    }

    /// The window that has an output for itself.
    #[must_use]
    pub fn fullscreen(&self) -> Option<WindowId> {
        self.layout.get().fullscreen()
    }

    /// The windows, oldest first, shown or not.
    pub fn windows(&self) -> impl Iterator<Item = WindowId> {
        let mut windows: Vec<_> = self.windows.iter().map(|window| window.id).collect();
        windows.sort_unstable();
        windows.into_iter()
    }

    /// Puts a window in front of the others.
    pub fn raise(&mut self, id: WindowId) {
        let Some(index) = self.windows.iter().position(|window| window.id == id) else { return };
        if index + 1 < self.windows.len() {
            let window = self.windows.remove(index);
            self.windows.push(window);
            self.damage(id);
        }
    }

    /// Moves a window as the user does who holds it at `grip` (pixels from its upper left corner, frame included) and
    /// points at `at` on the plane of all outputs. Its title bar stays in reach, and nobody else moves. In a kiosk
    /// nothing happens.
    pub fn move_window(&mut self, id: WindowId, at: (i32, i32), grip: (i32, i32)) {
        let stage = focus::side_by_side(self.outputs.iter().map(|output| (output.id, output.size)));
        let on = stage.iter().enumerate().find(|(_, area)| focus::holds(&area.rect, at.0, at.1));
        let Some((output, area)) = on else { return };
        let Some(index) = self.windows.iter().position(|window| window.id == id) else { return };
        let before = self.placement(id).map(|(output, _)| output);
        let at = (output, at.0 - area.rect.x, at.1 - area.rect.y);
        if self.layout.get_mut().move_to(index, at, grip, &mut self.windows, &self.outputs) {
            self.damaged.extend(before);
            self.damage(id);
        }
    }

    /// Takes a window off the screen until it is wanted again, or brings it back. In a kiosk nothing happens.
    pub fn set_minimised(&mut self, id: WindowId, minimised: bool) {
        if self.is_kiosk() || self.is_minimised(id) == minimised {
            return;
        }
        self.damage(id);
        if let Some(window) = self.windows.iter_mut().find(|window| window.id == id) {
            window.minimised = minimised;
        }
        if minimised && self.layout.get().fullscreen() == Some(id) {
            self.set_fullscreen(None);
        }
        self.damage(id);
    }

    /// Whether a window was taken off the screen.
    #[must_use]
    pub fn is_minimised(&self, id: WindowId) -> bool {
        self.window(id).is_some_and(|window| window.minimised)
    }

    /// Marks the window that has the keyboard.
    pub fn set_focus(&mut self, id: Option<WindowId>) {
        if self.focus != id {
            for window in [self.focus, id].into_iter().flatten() {
                self.damage(window);
            }
            self.focus = id;
        }
    }

    /// The window that is marked as having the keyboard.
    #[must_use]
    pub const fn focus(&self) -> Option<WindowId> {
        self.focus
    }

    /// Shows the cursor at a pixel of an output, or not at all.
    pub fn set_cursor(&mut self, cursor: Option<(OutputId, i32, i32)>, look: Look) {
        let pointer = self.shapes.cursor(look);
        let same = pointer.as_ref().zip(self.pointer.as_ref()).is_some_and(|(new, old)| new.is(old));
        self.pointer = pointer;
        if self.cursor != cursor || !same {
            let outputs = [self.cursor, cursor].into_iter().flatten();
            self.damaged.extend(outputs.map(|(output, ..)| output));
            self.cursor = cursor;
        }
    }

    /// Shows who owns what in the place of all guests' pictures, or ends that.
    pub fn set_attention(&mut self, attention: bool) {
        if self.attention != attention {
            self.attention = attention;
            self.damage_all();
        }
    }

    /// Says what [`Scene::toggle_help`] shows: the reserved key by its name, what others do with it, and the key that
    /// shows this, if there is one.
    pub fn set_help(&mut self, reserved: &str, lines: &[HelpLine], by: Option<&str>) {
        let Some(font) = &self.font else { return };
        let room = Size { width: i32::MAX, height: i32::MAX };
        let hint = by.map(|by| format!("{reserved} and {by} show the keys"));
        let note = |hint: String| decoration::draw_note(font, &hint, HINT_INK, BACKGROUND, room);
        self.help = Help { picture: Some(help::draw(font, reserved, lines)), hint: hint.and_then(note), shown: false };
        self.damage_all();
    }

    /// Shows the reserved keys over everything, or no longer.
    pub fn toggle_help(&mut self) {
        self.help.shown = !self.help.shown;
        self.damage_all();
    }

    /// Whether the secure attention picture is shown.
    #[must_use]
    pub const fn attention(&self) -> bool {
        self.attention
    }

    /// Where a window's content is; `None` while it is hidden.
    #[must_use]
    pub fn placement(&self, id: WindowId) -> Option<(OutputId, Rect)> {
        self.dock_placement(id).or_else(|| self.layout.get().placement(self.view(), self.shown(id)?))
    }

    /// The output on which anything is seen of a window's picture; `None` also while others cover all of it.
    #[must_use]
    pub fn sight(&self, id: WindowId) -> Option<OutputId> {
        self.dock_sight(id).or_else(|| self.layout.get().sight(self.view(), self.shown(id)?))
    }

    /// What a window shows of its guest's buffers, whether that is seen or not.
    #[must_use]
    pub fn shown_by(&self, id: WindowId) -> Option<Shown> {
        self.window(id)?.shown
    }

    /// What a window is called in a list; `None` for what is left of a guest, and for docks.
    #[must_use]
    pub fn caption(&self, id: WindowId) -> Option<Caption> {
        self.window(id).filter(|window| !window.gone).map(Window::caption)
    }

    /// The element that shows a window's picture, where it is in a frame.
    #[must_use]
    pub fn picture_of(&self, id: WindowId) -> Option<ElementId> {
        self.window(id).map(Window::content_id)
    }

    /// The picture of an output; empty for one that is not there.
    #[must_use]
    pub fn frame(&self, output: OutputId) -> Frame {
        let mut frame = Frame { elements: Vec::new(), background: BACKGROUND };
        let Some(output) = self.outputs.iter().copied().find(|other| other.id == output) else { return frame };
        if self.locked {
            return self.locked_frame(output);
        }
        frame.elements.extend(self.cursor_on(output.id));
        if !self.attention {
            frame.elements.extend(self.notice_on(output));
            frame.elements.extend(self.help_on(output));
            frame.elements.extend(self.note_on(output));
        }
        if self.attention {
            frame.elements.extend(self.banner.as_ref().and_then(|banner| banner_element(banner, output.size)));
        }
        frame.background = self.layout.get().background(self.view(), output);
        self.layout.get().elements(self.view(), output, &mut frame.elements);
        frame
    }

    /// From now on only what these mappings say is shown, once [`Scene::assign`] has said where.
    pub fn set_kiosk(&mut self, mappings: Vec<kiosk::Mapping>) {
        self.layout = Layout::Kiosk(Kiosk::new(mappings, self.font.as_ref()));
    }

    /// Whether what is where is fixed.
    #[must_use]
    pub const fn is_kiosk(&self) -> bool {
        self.layout.kiosk().is_some()
    }

    /// Says which output each of the kiosk's mappings has, and what shows on outputs where nothing else is. To be
    /// called after each [`Scene::set_outputs`].
    pub fn assign(&mut self, outputs: &[Option<OutputId>], grounds: &[(OutputId, Color)]) {
        let Some(kiosk) = self.layout.kiosk_mut() else { return };
        kiosk.assign(outputs, grounds, &self.outputs);
        for window in &mut self.windows {
            kiosk.fit_window(window, &self.outputs, self.font.as_ref());
        }
        self.damage_all();
    }

    /// Which of the kiosk's mappings a window is for.
    #[must_use]
    pub fn slot_of(&self, id: WindowId) -> Option<usize> {
        self.window(id)?.slot
    }

    /// The output that a window's mapping has for itself, upright.
    #[must_use]
    pub fn whole_output(&self, id: WindowId) -> Option<OutputId> {
        self.layout.kiosk()?.whole_output(self.window(id)?)
    }

    /// What each of the kiosk's mappings shows, in their order; nothing on a desktop.
    #[must_use]
    pub fn mapped(&self) -> Vec<kiosk::Mapped> {
        self.layout.kiosk().map(|kiosk| kiosk.mapped(&self.outputs, &self.windows)).unwrap_or_default()
    }

    /// What of a window's buffer is to be copied, now that it is about to go, to be shown in its place; not more
    /// often than once in [`kiosk::STILL_INTERVAL`] for each window, and each of a kiosk's mappings.
    pub fn wants_still(&mut self, id: WindowId, now: Time) -> Option<Shown> {
        let window = self.windows.iter_mut().find(|window| window.id == id)?;
        let shown = window.shown?;
        let wants = match self.layout.kiosk_mut() {
            Some(kiosk) => kiosk.wants_still(window.slot?, now),
            None => window.wants_still(now),
        };
        wants.then_some(shown)
    }

    /// Takes the copy that [`Scene::wants_still`] asked for.
    pub fn keep_still(&mut self, id: WindowId, picture: Pixmap) {
        let Some(window) = self.windows.iter_mut().find(|window| window.id == id) else { return };
        match (self.layout.kiosk_mut(), window.slot) {
            (Some(kiosk), Some(slot)) => kiosk.keep_still(slot, picture, &self.outputs),
            (Some(_), None) => {}
            (None, _) => window.keep_still(picture),
        }
    }

    /// The outputs whose picture changed since the last call.
    pub fn take_damaged(&mut self) -> Vec<OutputId> {
        std::mem::take(&mut self.damaged).into_iter().collect()
    }

    fn view(&self) -> View<'_> {
        let (outputs, windows, docks) = (&self.outputs, &self.windows, &self.docks);
        View { outputs, windows, docks, focus: self.focus, attention: self.attention }
    }

    /// The keys, in the middle; or how to have them shown, below it, while there is no window.
    fn help_on(&self, output: SceneOutput) -> Option<Element> {
        let nothing = self.windows.is_empty() && self.outputs.first() == Some(&output);
        let (picture, below) = match &self.help {
            Help { picture: Some(picture), shown: true, .. } => (picture, 0),
            Help { hint: Some(hint), .. } if nothing => (hint, HINT_BELOW),
            _ => return None,
        };
        let Size { width, height } = output.size;
        let target = window::in_the_middle(picture, Rect { x: 0, y: 0, width, height }, (below, Rotation::None))?;
        Some(own_picture(HELP_ID, target, picture))
    }

    fn cursor_on(&self, output: OutputId) -> Option<Element> {
        let (_, x, y) = self.cursor.filter(|(on, ..)| *on == output)?;
        let Cursor { picture, hotspot } = self.pointer.as_ref()?;
        let Size { width, height } = size_of(picture);
        let target = Rect { x: x.saturating_sub(hotspot.0), y: y.saturating_sub(hotspot.1), width, height };
        Some(own_picture(CURSOR_ID, target, picture))
    }

    fn window(&self, id: WindowId) -> Option<&Window> {
        self.windows.iter().find(|window| window.id == id)
    }

    /// The window at `index` is new, or has another size.
    fn fit(&mut self, index: usize) {
        self.layout.get_mut().fit(index, &mut self.windows, &self.outputs, self.font.as_ref());
    }

    fn damage(&mut self, id: WindowId) {
        let output = self.placement(id).map(|(output, _)| output);
        self.damaged.extend(output);
    }

    fn damage_all(&mut self) {
        self.damaged.extend(self.outputs.iter().map(|output| output.id));
    }
}

fn size_of(picture: &Pixmap) -> Size {
    let side = |side: u32| i32::try_from(side).unwrap_or(LARGEST);
    Size { width: side(picture.width), height: side(picture.height) }
}

/// The banner, at the bottom of an output, in the middle.
fn banner_element(banner: &Rc<Pixmap>, output: Size) -> Option<Element> {
    let (width, height) = (i32::try_from(banner.width).ok()?, i32::try_from(banner.height).ok()?);
    let target = Rect { x: (output.width - width) / 2, y: output.height - height, width, height };
    Some(own_picture(BANNER_ID, target, banner))
}

fn own_picture(id: ElementId, target: Rect, picture: &Rc<Pixmap>) -> Element {
    Element { id, target, content: Content::Pixmap(Rc::clone(picture)), rotation: Rotation::None }
}

/// No content is empty, or so large that sums of positions could overflow.
fn within_limits(size: Size) -> Size {
    Size { width: size.width.clamp(1, LARGEST), height: size.height.clamp(1, LARGEST) }
}

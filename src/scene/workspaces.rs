// SPDX-License-Identifier: GPL-3.0-or-later
//! Workspaces: of all windows only those of one of them are on the screen, on all outputs together.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::decoration;
use super::element::{Color, Element, ElementId, Pixmap, Rect, Rotation, Size};
use super::layout::Workspace;
use super::window::{self, FIRST_ELEMENT, WindowId};
use super::{BACKGROUND, Scene, SceneOutput, own_picture};

const NOTE_ID: ElementId = ElementId(4);
const _: () = assert!(NOTE_ID.0 < FIRST_ELEMENT, "the note has the name of a window's element");
const NOTE_INK: Color = Color { red: 236, green: 238, blue: 242 };

/// Which workspace is shown, and what comes back with the others.
#[derive(Debug)]
pub(super) struct Workspaces {
    current: Workspace,
    /// The windows that were full screen when their workspaces were left.
    full_screen: BTreeMap<Workspace, WindowId>,
    /// Says which one is shown.
    note: Option<Rc<Pixmap>>,
}

impl Default for Workspaces {
    fn default() -> Self {
        Self { current: Workspace::FIRST, full_screen: BTreeMap::new(), note: None }
    }
}

impl Scene {
    /// The workspace that is shown.
    #[must_use]
    pub const fn workspace(&self) -> Workspace {
        self.workspaces.current
    }

    /// The workspace that a window is on.
    #[must_use]
    pub fn workspace_of(&self, id: WindowId) -> Option<Workspace> {
        self.window(id).map(|window| window.workspace)
    }

    /// Shows the windows of another workspace in the place of those that are seen, and says so on the screen until
    /// [`Scene::end_note`]. In a kiosk nothing happens.
    pub fn set_workspace(&mut self, workspace: Workspace) {
        let before = self.workspaces.current;
        if self.is_kiosk() || before == workspace {
            return;
        }
        match self.fullscreen() {
            Some(window) => self.workspaces.full_screen.insert(before, window),
            None => self.workspaces.full_screen.remove(&before),
        };
        self.workspaces.current = workspace;
        for window in &mut self.windows {
            window.elsewhere = window.workspace != workspace;
        }
        let full_screen = self.workspaces.full_screen.remove(&workspace);
        let full_screen = full_screen.filter(|id| self.window(*id).is_some_and(|window| !window.is_away()));
        self.layout.get_mut().set_fullscreen(full_screen);
        let text = format!("Workspace {}", workspace.number());
        let room = Size { width: i32::MAX, height: i32::MAX };
        let font = self.font.as_ref();
        self.workspaces.note = font.and_then(|font| decoration::draw_note(font, &text, NOTE_INK, BACKGROUND, room));
        self.damage_all();
    }

    /// Takes what [`Scene::set_workspace`] said off the screen.
    pub fn end_note(&mut self) {
        if self.workspaces.note.take().is_some() {
            self.damage_all();
        }
    }

    /// Moves a window to a workspace; it is seen while that is shown. In a kiosk nothing happens.
    pub fn send_window(&mut self, id: WindowId, workspace: Workspace) {
        if self.is_kiosk() || self.workspace_of(id).is_none_or(|on| on == workspace) {
            return;
        }
        self.workspaces.full_screen.retain(|_, window| *window != id);
        if self.fullscreen() == Some(id) {
            self.set_fullscreen(None);
        }
        self.damage(id);
        let current = self.workspaces.current;
        if let Some(window) = self.windows.iter_mut().find(|window| window.id == id) {
            (window.workspace, window.elsewhere) = (workspace, workspace != current);
        }
        self.damage(id);
    }

    /// What says which workspace is shown, in the middle of an output.
    pub(super) fn note_on(&self, output: SceneOutput) -> Option<Element> {
        let picture = self.workspaces.note.as_ref()?;
        let Size { width, height } = output.size;
        let whole = Rect { x: 0, y: 0, width, height };
        let target = window::in_the_middle(picture, whole, (0, Rotation::None))?;
        Some(own_picture(NOTE_ID, target, picture))
    }
}

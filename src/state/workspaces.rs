// SPDX-License-Identifier: GPL-3.0-or-later
//! Workspaces, as the user's keys and `grantway msg` switch them.

use std::time::Duration;

use crate::control::Response;
use crate::scene::layout::Workspace;
use crate::time::Time;

use super::State;

/// How long the screen says which workspace it shows.
const NOTE_TIME: Duration = Duration::from_secs(1);

/// What the screen says.
#[derive(Debug)]
pub(super) struct Announced {
    workspace: Workspace,
    until: Option<Time>,
}

impl Default for Announced {
    fn default() -> Self {
        Self { workspace: Workspace::FIRST, until: None }
    }
}

impl Announced {
    pub(super) const fn due(&self) -> Option<Time> {
        self.until
    }
}

impl State {
    /// Shows a workspace; the window in front there gets the focus.
    pub(super) fn show_workspace(&mut self, workspace: Workspace) {
        if self.scene.workspace() == workspace {
            return;
        }
        self.scene.set_workspace(workspace);
        self.look();
        let front = self.desk.seat.world().stage.spots.first().map(|spot| spot.window);
        if let Some(window) = front {
            self.desk.seat.focus_window(window);
        }
    }

    /// Moves the window with the focus to a workspace.
    pub(super) fn send_focused(&mut self, workspace: Workspace) {
        if let Some(window) = self.desk.seat.focus() {
            self.scene.send_window(window, workspace);
            self.look();
        }
    }

    /// Takes what the screen says about it away in time.
    pub(super) fn follow_workspace(&mut self, now: Time) {
        let workspace = self.scene.workspace();
        if self.announced.workspace != workspace {
            self.announced = Announced { workspace, until: Some(now.saturating_add(NOTE_TIME)) };
        }
        if self.announced.until.is_some_and(|until| until <= now) {
            self.announced.until = None;
            self.scene.end_note();
        }
    }

    /// What `grantway msg workspace` asks for.
    pub(super) fn control_workspace(&mut self, number: u8) -> Response {
        if self.scene.is_kiosk() {
            return Response::Error("this is a kiosk: it has no workspaces".to_owned());
        }
        let Some(workspace) = Workspace::new(number) else {
            return Response::Error(format!("there is no workspace {number}; they are 1 to 9"));
        };
        self.show_workspace(workspace);
        Response::Done
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The list of windows that panels show, and what the user does there.

use std::collections::BTreeMap;

use crate::scene::WindowId;
use crate::scene::layout::Region;
use crate::wayland::{Listed, ListedId, Wish};

use super::State;

impl State {
    /// Tells panels which windows there are.
    pub(super) fn list_windows(&mut self) {
        if !self.clients.as_ref().is_some_and(|clients| clients.wayland.wants_list()) {
            return;
        }
        let windows: BTreeMap<ListedId, Listed> = self.scene.windows().filter_map(|id| self.listed(id)).collect();
        if let Some(clients) = &mut self.clients {
            clients.wayland.list(&windows);
        }
    }

    fn listed(&self, window: WindowId) -> Option<(ListedId, Listed)> {
        let caption = self.scene.caption(window)?;
        let listed = Listed {
            title: caption.title,
            app: caption.app,
            output: self.scene.placement(window).map(|(output, _)| output),
            maximised: self.scene.region(window) == Some(Region::Whole),
            minimised: self.scene.is_minimised(window),
            active: self.desk.seat.marked() == Some(window),
            full_screen: self.scene.fullscreen() == Some(window),
        };
        Some((ListedId(window.number()), listed))
    }

    /// Does what the user has asked a panel for. Not while the session is locked, or secure attention is shown.
    pub(super) fn fulfil(&mut self, listed: ListedId, wish: Wish) {
        let window = self.scene.windows().find(|window| window.number() == listed.0);
        let Some(window) = window.filter(|_| !self.scene.locked() && !self.scene.attention()) else { return };
        match wish {
            Wish::Activate => {
                if let Some(workspace) = self.scene.workspace_of(window) {
                    self.show_workspace(workspace);
                }
                self.activate(window);
            }
            Wish::Close => self.close(window),
            Wish::Minimise(minimised) => self.scene.set_minimised(window, minimised),
            Wish::Maximise(whole) => self.set_whole(window, whole),
            Wish::FullScreen(full) => {
                if (self.scene.fullscreen() == Some(window)) != full {
                    self.scene.set_fullscreen(Some(window).filter(|_| full));
                }
            }
        }
        self.look();
    }
}

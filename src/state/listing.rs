// SPDX-License-Identifier: GPL-3.0-or-later
//! The lists of windows and of guests' displays that panels show, and what the user does there.

use std::collections::BTreeMap;

use crate::backend::OutputId;
use crate::scene::element::{Pixmap, Size};
use crate::scene::layout::Region;
use crate::scene::{Wanted, WindowId};
use crate::wayland::{GuestDisplay, GuestStanding, Listed, ListedId, NoThumbnail, Thumbnail, Wish};

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

    /// Tells shells which displays of guests there are.
    pub(super) fn list_guests(&mut self) {
        if !self.clients.as_ref().is_some_and(|clients| clients.wayland.wants_guests()) {
            return;
        }
        let guests: BTreeMap<ListedId, GuestDisplay> =
            self.scene.windows().filter_map(|id| self.guest_display(id)).collect();
        if let Some(clients) = &mut self.clients {
            clients.wayland.list_guests(&guests);
        }
    }

    fn guest_display(&self, window: WindowId) -> Option<(ListedId, GuestDisplay)> {
        let guest = self.scene.guest_window(window)?;
        let Size { width, height } = guest.size;
        let standing = GuestStanding {
            focused: self.desk.seat.marked() == Some(window),
            minimised: self.scene.is_minimised(window),
            maximised: self.scene.region(window) == Some(Region::Whole),
            full_screen: self.scene.fullscreen() == Some(window),
            blank: guest.blank && !guest.gone,
            stopped: guest.gone,
        };
        let display = GuestDisplay {
            name: guest.label.name.clone(),
            domid: guest.label.domid,
            connector: guest.label.connector,
            label: guest.label.text(),
            color: guest.label.color,
            size: (width.unsigned_abs(), height.unsigned_abs()),
            standing,
            output: self.scene.placement(window).map(|(output, _)| output),
        };
        Some((ListedId(window.number()), display))
    }

    /// Answers a shell that wants a small picture of a guest's display.
    pub(super) fn give_thumbnail(&self, listed: ListedId, thumbnail: Thumbnail) {
        thumbnail.answer(self.guest_picture(listed).as_ref().map_err(|why| *why));
    }

    fn guest_picture(&self, listed: ListedId) -> Result<Pixmap, NoThumbnail> {
        let window = self.listed_window(listed).ok_or(NoThumbnail::NoPicture)?;
        if !self.may_be_pictured(window) {
            let gone = self.scene.guest_window(window).is_some_and(|guest| guest.gone);
            return Err(if gone { NoThumbnail::NoPicture } else { NoThumbnail::NotPermitted });
        }
        if self.scene.locked() || self.scene.attention() {
            return Err(NoThumbnail::Hidden);
        }
        if self.scene.shown_by(window).is_none() {
            return Err(NoThumbnail::NoPicture);
        }
        self.window_picture(window).map_err(|why| {
            tracing::debug!("a guest's picture can't be had for a thumbnail: {why}");
            NoThumbnail::Failed
        })
    }

    fn may_be_pictured(&self, window: WindowId) -> bool {
        self.registry.devices_by_key().any(|(_, entry)| {
            entry.policy().thumbnails && entry.link().is_some_and(|link| link.windows().any(|other| other == window))
        })
    }

    fn listed_window(&self, listed: ListedId) -> Option<WindowId> {
        self.scene.windows().find(|window| window.number() == listed.0)
    }

    fn send_to(&mut self, window: WindowId, output: OutputId) {
        if self.scene.placement(window).is_some_and(|(now, _)| now == output) {
            return;
        }
        // What tiles do to it, they do there.
        let region = self.scene.region(window).filter(|region| !region.is_tile());
        self.scene.move_to_output(window, output);
        if let Some(region) = region {
            self.size_window(window, Wanted::Region(region));
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
        let Some(window) = self.listed_window(listed).filter(|_| !self.scene.locked() && !self.scene.attention())
        else {
            return;
        };
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
            Wish::Output(output) => self.send_to(window, output),
            Wish::FullScreen(full) => {
                if (self.scene.fullscreen() == Some(window)) != full {
                    self.scene.set_fullscreen(Some(window).filter(|_| full));
                }
            }
        }
        self.look();
    }
}

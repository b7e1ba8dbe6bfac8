// SPDX-License-Identifier: GPL-3.0-or-later
//! Tiling: on a workspace where the user wants that, windows share their output without lying over each other. The
//! first one has the left half, the others share the right one.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use super::arrangement::{Layout, Wanted};
use super::element::{OutputId, Rect};
use super::layout::{Region, Tile, Workspace};
use super::window::WindowId;

/// Which workspaces are tiled, and how their windows are.
#[derive(Debug, Default)]
pub(super) struct Tiling {
    workspaces: BTreeSet<Workspace>,
    /// All windows, in the order in which they get tiles.
    order: Vec<WindowId>,
    /// The tiles that windows were given, and where.
    given: BTreeMap<WindowId, (OutputId, Rect)>,
}

impl Scene {
    /// Whether the windows of the workspace that is shown are tiled.
    #[must_use]
    pub fn is_tiled(&self) -> bool {
        self.tiling.workspaces.contains(&self.workspace())
    }

    /// Tiles the windows of the workspace that is shown, or lets them go back to where they were. [`Scene::tiles`] says
    /// what is to be done then. In a kiosk nothing happens.
    pub fn toggle_tiling(&mut self) {
        let workspace = self.workspace();
        if self.is_kiosk() || self.tiling.workspaces.remove(&workspace) {
            return;
        }
        self.follow_windows();
        self.tiling.workspaces.insert(workspace);
        let windows = self.windows.iter_mut().filter(|window| window.workspace == workspace);
        windows.for_each(|window| window.floats = false);
    }

    /// Gives a window the first tile where it is; one that floats does so no longer.
    pub fn tile_first(&mut self, id: WindowId) {
        if let Some(window) = self.windows.iter_mut().find(|window| window.id == id) {
            window.floats = false;
            self.tiling.order.retain(|other| *other != id);
            self.tiling.order.insert(0, id);
        }
    }

    /// A window keeps its place where others are tiled, until the user wants it otherwise.
    pub fn float(&mut self, id: WindowId) {
        if let Some(window) = self.windows.iter_mut().find(|window| window.id == id) {
            window.floats = true;
        }
    }

    /// What is to be done by [`Scene::size_window`] for all windows to have the tiles that they should have, in any
    /// order; each is told once.
    pub fn tiles(&mut self) -> Vec<(WindowId, Wanted)> {
        if self.tiling.workspaces.is_empty() && self.tiling.given.is_empty() {
            return Vec::new();
        }
        self.follow_windows();
        let mut out = self.let_go();
        let workspaces: Vec<_> = self.tiling.workspaces.iter().copied().collect();
        for workspace in workspaces {
            for output in 0..self.outputs.len() {
                out.extend(self.tiles_on(workspace, output));
            }
        }
        out
    }

    /// Windows come and go; new ones come last, where the user is.
    fn follow_windows(&mut self) {
        let mut there: Vec<_> = self.windows.iter().map(|window| window.id).collect();
        there.sort_unstable();
        let Tiling { order, given, .. } = &mut self.tiling;
        order.retain(|id| there.binary_search(id).is_ok());
        given.retain(|id, _| there.binary_search(id).is_ok());
        there.retain(|id| !order.contains(id));
        order.extend(&there);
        let focused = self.focus.and_then(|focus| self.window(focus)?.place).map_or(0, |place| place.output);
        let Self { windows, tiling, damaged, outputs, .. } = self;
        let new = windows.iter_mut().filter(|window| there.contains(&window.id));
        for window in new.filter(|window| tiling.workspaces.contains(&window.workspace) && !window.moved) {
            if let Some(place) = &mut window.place {
                damaged.extend(outputs.get(place.output).map(|output| output.id));
                place.output = focused;
            }
        }
    }

    /// Windows with a tile that are to have none any longer get back what they had before.
    fn let_go(&mut self) -> Vec<(WindowId, Wanted)> {
        let Self { windows, tiling, .. } = self;
        let stays = |id: &WindowId| {
            let window = windows.iter().find(|window| window.id == *id)?;
            let region = window.given?.region;
            (!tiling.workspaces.contains(&window.workspace) && region.is_tile()).then_some((*id, region))
        };
        let gone: Vec<_> = tiling.given.keys().filter_map(stays).collect();
        tiling.given.retain(|id, _| !gone.iter().any(|(other, _)| other == id));
        gone.into_iter().map(|(id, region)| (id, Wanted::Region(region))).collect()
    }

    fn tiles_on(&mut self, workspace: Workspace, output: usize) -> Vec<(WindowId, Wanted)> {
        let Self { windows, tiling, layout: Layout::Desktop(desktop), outputs, .. } = self else { return Vec::new() };
        let Some(on) = outputs.get(output) else { return Vec::new() };
        let find = |id: &WindowId| windows.iter().find(|window| window.id == *id);
        let has_tile = |id: &&WindowId| {
            find(id).is_some_and(|window| {
                let there = window.place.is_some_and(|place| place.output == output);
                there && window.workspace == workspace && !window.minimised && !window.floats
            })
        };
        let tiled: Vec<WindowId> = tiling.order.iter().filter(has_tile).copied().collect();
        let full_screen = desktop.full_screen_window();
        let mut out = Vec::new();
        for (index, id) in tiled.iter().enumerate() {
            let tile = Region::Tile(Tile { index, count: tiled.len() });
            let target = (on.id, desktop.part_of(*on, tile));
            let region = find(id).and_then(|window| window.given).map(|given| given.region);
            // One that is full screen gets its tile when it is so no longer.
            if (region != Some(tile) || tiling.given.get(id) != Some(&target)) && full_screen != Some(*id) {
                tiling.given.insert(*id, target);
                out.push((*id, Wanted::Tile(tile)));
            }
        }
        out
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! How things are, for `grantway msg status`.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::{OutputInfo, Scanout};
use crate::control::{
    ConnectorStatus, DepartedStatus, FocusStatus, GuestStatus, InputStatus, OutputStatus, PresentedBy, Status,
    WindowStatus,
};
use crate::displif;
use crate::guest::DeviceKey;
use crate::guest::keyboards;
use crate::guest::link::Link;
use crate::guest::registry::Entry;
use crate::kbdif::Capabilities;
use crate::scene::WindowId;
use crate::scene::element::CURSOR_ID;
use crate::xen::DomId;

use super::State;

impl State {
    /// How things are.
    pub(super) fn status(&self) -> Status {
        let outputs = self.presentation.outputs();
        let devices = self.registry.devices_by_key();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: self.platform_name.to_owned(),
            backend: self.presentation.name().to_owned(),
            renderer: self.renderer.to_owned(),
            outputs: outputs.iter().map(|output| self.output_status(output)).collect(),
            guests: devices.map(|(key, entry)| self.guest_status(key, entry, &outputs)).collect(),
            departed: self.departed(),
            focus: self.focus_status(),
            clients: self.client_statuses(),
            secure_attention: self.desk.seat.attention(),
            workspace: (!self.scene.is_kiosk()).then(|| self.scene.workspace().number()),
            kiosk: self.kiosk_status(&outputs),
        }
    }

    /// Domains that keep memory of ours without having a display.
    fn departed(&self) -> Vec<DepartedStatus> {
        let has_display = |domid: &DomId| self.registry.devices_by_key().any(|(key, _)| key.domid == *domid);
        let (waiting, left) = (self.accounts.waiting(), self.platform.grants.left_behind());
        let domains: BTreeSet<_> = waiting.keys().chain(left.keys()).filter(|domid| !has_display(domid)).collect();
        let pages = |of: &BTreeMap<DomId, usize>, domid| count(of.get(domid).copied().unwrap_or(0));
        let departed = domains.into_iter().map(|domid| DepartedStatus {
            domid: domid.0,
            pages_waiting: pages(&waiting, domid),
            pages_left_behind: pages(&left, domid),
        });
        departed.collect()
    }

    fn focus_status(&self) -> Option<FocusStatus> {
        let seat = &self.desk.seat;
        let focus = seat.focus()?;
        let position = |entry: &Entry| entry.link()?.windows().position(|window| window == focus);
        let mut devices = self.registry.devices_by_key();
        devices.find_map(|(key, entry)| {
            Some(FocusStatus {
                domid: key.domid.0,
                name: entry.name().to_owned(),
                connector: position(entry)?,
                keyboard: seat.marked() == Some(focus),
                pointer_grabbed: seat.grabbed() == Some(focus),
            })
        })
    }

    fn output_status(&self, output: &OutputInfo) -> OutputStatus {
        // To the nearest: 60 Hz are no whole number of nanoseconds.
        let period = output.refresh.as_nanos();
        let refresh_mhz = (1_000_000_000_000_u128 + period / 2).checked_div(period).unwrap_or(0);
        let (cursor_plane, cursor_plane_refused) = plane(self.presentation.scanout(output.id, CURSOR_ID));
        OutputStatus {
            name: output.name.clone(),
            width: output.width,
            height: output.height,
            refresh_mhz: u32::try_from(refresh_mhz).unwrap_or(u32::MAX),
            frames: self.pacing.frames(output.id),
            variable_refresh: output.variable,
            off: self.power.is_off(output.id),
            cursor_plane,
            cursor_plane_refused,
        }
    }

    fn guest_status(&self, key: DeviceKey, entry: &Entry, outputs: &[OutputInfo]) -> GuestStatus {
        let color = entry.policy().color;
        let guest = GuestStatus {
            domid: key.domid.0,
            name: entry.name().to_owned(),
            color: format!("#{:02x}{:02x}{:02x}", color.red, color.green, color.blue),
            state: entry.phase().to_owned(),
            inputs: if self.is_first_display(key) { self.input_statuses(key.domid) } else { Vec::new() },
            mib_allocated: mib(self.accounts.allocated(key.domid)),
            pages_waiting: count(self.accounts.waiting().remove(&key.domid).unwrap_or(0)),
            pages_left_behind: count(self.platform.grants.left_behind().remove(&key.domid).unwrap_or(0)),
            ..GuestStatus::default()
        };
        let Some(link) = entry.link() else { return guest };
        let session = link.status();
        let parts = session.connectors.iter().zip(link.windows()).enumerate();
        let connectors =
            parts.map(|(index, (connector, window))| self.connector_status(index, connector, window, link, outputs));
        GuestStatus {
            connectors: connectors.collect(),
            buffers: count(session.buffers),
            framebuffers: count(session.framebuffers),
            grants: count(session.grants),
            mib_held: mib(session.bytes),
            frees_pending: count(session.frees_pending),
            requests_refused: session.refused,
            times_held_back: session.held_back,
            last_refusal: session.last_refusal,
            ..guest
        }
    }

    fn is_first_display(&self, key: DeviceKey) -> bool {
        self.registry
            .devices_by_key()
            .find(|(other, _)| other.domid == key.domid)
            .is_some_and(|(first, _)| first == key)
    }

    fn input_statuses(&self, domid: DomId) -> Vec<InputStatus> {
        let devices = self.registry.keyboards().devices().filter(|(key, _)| key.domid == domid);
        devices.map(|(key, entry)| input_status(key, entry)).collect()
    }

    fn connector_status(
        &self,
        index: usize,
        connector: &displif::status::ConnectorStatus,
        window: WindowId,
        link: &Link,
        outputs: &[OutputInfo],
    ) -> ConnectorStatus {
        let shown = link.shown(index);
        let imported = shown.and_then(|shown| shown.imported.ok());
        let place = self.window_status(window, outputs);
        let (plane, plane_refused) = plane(self.scanout(window));
        let size = connector.shown.map_or((connector.width, connector.height), |shown| (shown.width, shown.height));
        ConnectorStatus {
            index,
            unique_id: connector.unique_id.clone(),
            state: if connector.enabled { "enabled" } else { "disabled" }.to_owned(),
            width: size.0,
            height: size.1,
            format: connector.shown.map(|shown| fourcc_name(shown.fourcc)),
            flips: connector.flips,
            events: connector.events,
            import_path: imported.map(|imported| imported.path.name().to_owned()),
            import_reason: shown.map(|shown| match shown.imported {
                Ok(imported) => join(&imported.reason, shown.origin.reason),
                Err(why) => why.clone(),
            }),
            provider: shown.map(|shown| shown.origin.provider.to_owned()),
            presented_by: match (imported, &place, &plane) {
                (Some(_), Some(_), Some(_)) => PresentedBy::Plane,
                (Some(_), Some(_), None) => PresentedBy::Composite,
                _ => PresentedBy::Hidden,
            },
            plane,
            plane_refused,
            bytes_copied: link.bytes_copied(index, &*self.presentation),
            not_shown: self.not_shown(window),
            window: place,
        }
    }

    /// How the window's picture gets onto its display, as of the last frame.
    fn scanout(&self, window: WindowId) -> Option<Scanout> {
        let (output, _) = self.scene.placement(window)?;
        self.presentation.scanout(output, self.scene.picture_of(window)?)
    }

    /// Why a kiosk does not show a window.
    fn not_shown(&self, window: WindowId) -> Option<String> {
        if !self.scene.is_kiosk() {
            return None;
        }
        match self.scene.slot_of(window) {
            None => Some("it is in no [[kiosk]] block; it gets no input either".to_owned()),
            Some(slot) if self.scene.mapped().get(slot)?.window != Some(window) => {
                Some("another connector has its place".to_owned())
            }
            Some(_) => None,
        }
    }

    fn window_status(&self, window: WindowId, outputs: &[OutputInfo]) -> Option<WindowStatus> {
        let (output, content) = self.scene.placement(window)?;
        let output = outputs.iter().find(|info| info.id == output)?;
        Some(WindowStatus {
            output: output.name.clone(),
            x: content.x,
            y: content.y,
            width: content.width,
            height: content.height,
        })
    }
}

/// The plane, or why there is none.
fn plane(scanout: Option<Scanout>) -> (Option<String>, Option<String>) {
    match scanout {
        Some(Scanout::Plane(plane)) => (Some(plane), None),
        Some(Scanout::Composite(why)) => (None, Some(why)),
        None => (None, None),
    }
}

fn input_status(key: DeviceKey, entry: &keyboards::Entry) -> InputStatus {
    let input = InputStatus {
        device: key.device,
        unique_id: entry.features().unique_id.clone(),
        state: entry.phase().to_owned(),
        ..InputStatus::default()
    };
    let Some(session) = entry.session() else { return input };
    InputStatus {
        takes: takes(&session.capabilities),
        events: session.events,
        notifies: session.notifies,
        motion_merged: session.motion_merged,
        motion_dropped: session.motion_dropped,
        presses_dropped: session.presses_dropped,
        not_taken: session.not_taken,
        waiting: count(session.waiting),
        releases_waiting: count(session.releases_waiting),
        held: count(session.held),
        complaints: entry.features().complaints().into_iter().map(str::to_owned).collect(),
        ..input
    }
}

fn takes(capabilities: &Capabilities) -> Vec<String> {
    let plain = [(capabilities.keyboard, "keyboard"), (capabilities.relative, "relative")];
    let mut takes: Vec<_> = plain.iter().filter(|(takes, _)| *takes).map(|(_, name)| (*name).to_owned()).collect();
    let raw = if capabilities.raw_pointer { " raw" } else { "" };
    takes.extend(capabilities.absolute.map(|(width, height)| format!("absolute {width}x{height}{raw}")));
    takes.extend(capabilities.touch.map(|area| format!("touch {}", area.contacts)));
    takes
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// To hundredths, which is as much as anyone reads.
fn mib(bytes: u64) -> f64 {
    let hundredths = bytes.saturating_mul(100) >> 20;
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

fn join(first: &str, second: &str) -> String {
    if second.is_empty() { first.to_owned() } else { format!("{first}; {second}") }
}

fn fourcc_name(fourcc: u32) -> String {
    fourcc.to_le_bytes().map(char::from).iter().collect()
}

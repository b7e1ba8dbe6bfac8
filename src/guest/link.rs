// SPDX-License-Identifier: GPL-3.0-or-later
//! One connected display: its session with the guest, its buffers, and its windows.

use std::time::Duration;

use crate::backend::{Imported, Presentation};
use crate::displif::device::ConnectorSetup;
use crate::displif::session::{ConnectorPages, Fatal, Progress, Session};
use crate::displif::status::SessionStatus;
use crate::displif::wire::Version;
use crate::displif::{Action, Allocation, BufferSerial, Configuration, FlipSerial, FramebufferSerial};
use crate::scene::element::{BufferId, Rect, Size};
use crate::scene::{Shown, WindowId, WindowLabel};
use crate::time::Time;
use crate::xen::grants::{Access, ExportId};
use crate::xen::pages::SharedPages;
use crate::xen::{GrantRef, Port};

use super::accounts::Memory;
use super::buffers::{Buffers, GuestMemory, Origin};
use super::pairing::Area;
use super::policy::GuestPolicy;
use super::{Context, DeviceKey, FlipToken, LinkId};

/// Which of a connector's two event channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Requests,
    Events,
}

/// One connector: its event channels, its window, and what it shows.
#[derive(Debug)]
struct Connector {
    requests: Port,
    events: Port,
    window: WindowId,
    configuration: Option<Configuration>,
    current: Option<FramebufferSerial>,
    version: u64,
    copied_before: u64,
    /// Whether the guest may have the EDID of the display that shows it.
    panel_edid: bool,
}

/// How a connector's picture reaches us.
#[derive(Clone, Copy, Debug)]
pub struct ShownStatus<'a> {
    /// What the presentation made of it, or why it can't be shown.
    pub imported: Result<&'a Imported, &'a String>,
    /// How its buffer came to us.
    pub origin: Origin<'a>,
}

/// A connected display.
#[derive(Debug)]
pub struct Link {
    id: LinkId,
    key: DeviceKey,
    label: String,
    session: Session,
    /// How long the guest may take to unmap memory of ours.
    patience: Duration,
    buffers: Buffers,
    connectors: Vec<Connector>,
    /// The same, as far as input is concerned.
    areas: Vec<Area>,
    /// Connectors whose ring holds more than the last turn's budget allowed.
    unfinished: Vec<usize>,
}

impl Link {
    /// Maps the guest's rings, binds its event channels, and opens a window for each connector.
    ///
    /// # Errors
    /// A sentence that says which page or port failed; then nothing stays mapped or bound. Linux's frontend
    /// can say Initialised while its pages are revoked, so this is to be tried again.
    pub fn connect(
        id: LinkId,
        key: DeviceKey,
        policy: &GuestPolicy,
        version: Version,
        rings: &[ConnectorSetup],
        allocation: Allocation,
        context: &mut Context<'_>,
    ) -> Result<Self, String> {
        let label = format!("guest \"{}\" (dom {})", policy.label, key.domid);
        let mut pages = Vec::new();
        for ring in rings {
            pages.push(map_connector(key, ring, context)?);
        }
        let session = Session::new(label.clone(), policy.limits.clone(), version, pages, context.now)
            .map_err(|error| error.to_string())?
            .allocating(allocation);
        let ports = bind_all(key, rings, context)?;
        let connectors = rings.iter().zip(ports).map(|(ring, (requests, events))| Connector {
            requests,
            events,
            window: open_window(key, policy, ring, context),
            configuration: None,
            current: None,
            version: 0,
            copied_before: 0,
            panel_edid: policy.place(key.device, ring.index, &ring.unique_id).is_some_and(|place| place.panel_edid),
        });
        let connectors: Vec<_> = connectors.collect();
        if let (true, Some(first)) = (policy.fullscreen, connectors.first()) {
            context.scene.set_fullscreen(Some(first.window));
        }
        let unfinished = (0..connectors.len()).collect();
        let area = |ring: &ConnectorSetup| {
            let ConnectorSetup { unique_id, width, height, .. } = ring.clone();
            Area { unique_id, width, height }
        };
        let areas = rings.iter().map(area).collect();
        let patience = policy.limits.destroy_deadline;
        Ok(Self { id, key, label, session, patience, buffers: Buffers::default(), connectors, areas, unfinished })
    }

    /// The connection's name.
    #[must_use]
    pub const fn id(&self) -> LinkId {
        self.id
    }

    /// The windows, in the order of the connectors.
    pub fn windows(&self) -> impl Iterator<Item = WindowId> {
        self.connectors.iter().map(|connector| connector.window)
    }

    /// The connectors' pictures, in their order.
    #[must_use]
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// Whether the port is one of ours.
    #[must_use]
    pub fn owns(&self, port: Port) -> bool {
        self.channel(port).is_some()
    }

    /// Whether a ring holds requests that the last turn's budget did not allow.
    #[must_use]
    pub const fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    fn channel(&self, port: Port) -> Option<(usize, Channel)> {
        self.connectors.iter().enumerate().find_map(|(index, connector)| match port {
            port if port == connector.requests => Some((index, Channel::Requests)),
            port if port == connector.events => Some((index, Channel::Events)),
            _ => None,
        })
    }

    /// An event channel of ours has fired.
    ///
    /// # Errors
    /// [`Fatal`], when the guest broke the protocol beyond repair.
    pub fn fired(&mut self, port: Port, context: &mut Context<'_>) -> Result<(), Fatal> {
        match self.channel(port) {
            Some((connector, Channel::Requests)) => self.service(connector, context),
            Some((connector, Channel::Events)) => {
                self.session.events_consumed(connector);
                self.carry_out(context);
                self.unmask(port, context);
                self.resume(context.now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes a ring that was held back for a limit's sake and can be served now.
    fn resume(&mut self, now: Time) {
        if let Some(connector) = self.session.ready(now)
            && !self.unfinished.contains(&connector)
        {
            self.unfinished.push(connector);
        }
    }

    /// Gives each connector that has more to do another turn.
    ///
    /// # Errors
    /// [`Fatal`], as for [`Link::fired`].
    pub fn go_on(&mut self, context: &mut Context<'_>) -> Result<(), Fatal> {
        for connector in std::mem::take(&mut self.unfinished) {
            self.service(connector, context)?;
        }
        Ok(())
    }

    fn service(&mut self, connector: usize, context: &mut Context<'_>) -> Result<(), Fatal> {
        let (connectors, scene) = (&self.connectors, &*context.scene);
        let panel = |index: usize| {
            let connector = connectors.get(index).filter(|connector| connector.panel_edid)?;
            scene.whole_output(connector.window)
        };
        let mut memory = GuestMemory {
            panel: &panel,
            domid: self.key.domid,
            grants: &mut *context.grants,
            presentation: &mut *context.presentation,
            accounts: &mut *context.accounts,
            buffers: &mut self.buffers,
            patience: self.patience,
            now: context.now,
        };
        let progress = self.session.service(connector, &mut memory, context.now);
        self.carry_out(context);
        match progress? {
            Progress::More => {
                if !self.unfinished.contains(&connector) {
                    self.unfinished.push(connector);
                }
            }
            // The guest's notifies change nothing until then: the channel stays masked.
            Progress::Stalled => {}
            Progress::Drained => {
                if let Some(port) = self.connectors.get(connector).map(|connector| connector.requests) {
                    self.unmask(port, context);
                }
            }
        }
        self.resume(context.now);
        Ok(())
    }

    fn unmask(&self, port: Port, context: &mut Context<'_>) {
        if let Err(error) = context.channels.unmask(port) {
            tracing::warn!("{}: event channel {port} can't be unmasked: {error}", self.label);
        }
    }

    /// A flip is on the display, or would have been.
    pub fn presented(&mut self, token: FlipToken, context: &mut Context<'_>) {
        self.session.presented(token.connector, token.flip);
        self.carry_out(context);
        self.resume(context.now);
    }

    /// The kernel has freed an export. Returns whether it was one of ours.
    pub fn freed(&mut self, export: ExportId, context: &mut Context<'_>) -> bool {
        let Some(buffer) = self.buffers.freed(export) else { return false };
        self.session.freed(buffer);
        self.carry_out(context);
        self.resume(context.now);
        true
    }

    /// The presentation has let go of a framebuffer.
    pub fn let_go(&mut self, buffer: BufferId) {
        self.buffers.let_go(buffer);
    }

    /// Answers what is due; says in the log what held a buffer that is late.
    pub fn tick(&mut self, context: &mut Context<'_>) {
        self.session.tick(context.now);
        let overdue: Vec<_> = self.session.overdue().collect();
        for buffer in overdue {
            let holders = self.buffers.holders(buffer);
            tracing::warn!("{}: buffer {} is late on its way back: still held by {holders}", self.label, buffer.0);
        }
        self.carry_out(context);
        self.resume(context.now);
    }

    /// When [`Link::tick`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.session.deadline()
    }

    /// Closes all windows and lets go of everything.
    pub fn close(mut self, context: &mut Context<'_>) {
        self.session.close();
        self.carry_out(context);
        for connector in &self.connectors {
            context.scene.remove_window(connector.window);
            context.channels.unbind(connector.requests);
            context.channels.unbind(connector.events);
        }
        self.buffers.clear(context.presentation);
    }

    /// What the session tells of itself.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.session.status()
    }

    /// How a connector's picture reaches us, if it has one.
    #[must_use]
    pub fn shown(&self, connector: usize) -> Option<ShownStatus<'_>> {
        let framebuffer = self.buffers.framebuffer(self.connectors.get(connector)?.current?)?;
        let origin = self.buffers.origin(framebuffer.buffer)?;
        Some(ShownStatus { imported: framebuffer.imported.as_ref(), origin })
    }

    /// Bytes of a connector's pixels that were copied since it connected.
    #[must_use]
    pub fn bytes_copied(&self, connector: usize, presentation: &dyn Presentation) -> u64 {
        let before = self.connectors.get(connector).map_or(0, |connector| connector.copied_before);
        let now = self.buffers.imported_on(connector).map(|imported| presentation.bytes_copied(imported.id));
        now.fold(before, u64::saturating_add)
    }

    fn carry_out(&mut self, context: &mut Context<'_>) {
        let actions: Vec<Action> = self.session.actions().collect();
        for action in actions {
            self.carry_out_one(action, context);
        }
    }

    fn carry_out_one(&mut self, action: Action, context: &mut Context<'_>) {
        match action {
            Action::FramebufferAttached { framebuffer, buffer, layout } => {
                self.buffers.attach(framebuffer, buffer, layout, context.presentation);
                self.report_refusal(framebuffer);
            }
            Action::FramebufferDetached(framebuffer) => self.detach(framebuffer, context),
            Action::Configure { connector, configuration } => self.configure(connector, configuration, context),
            Action::Flip { connector, framebuffer, flip } => self.flip(connector, framebuffer, flip, context),
            Action::RetireBuffer(buffer) => self.retire(buffer, context),
            Action::NotifyRequests(connector) => self.notify(connector, Channel::Requests, context),
            Action::NotifyEvents(connector) => self.notify(connector, Channel::Events, context),
        }
    }

    fn report_refusal(&self, framebuffer: FramebufferSerial) {
        if let Some(Err(why)) = self.buffers.framebuffer(framebuffer).map(|framebuffer| &framebuffer.imported) {
            tracing::debug!("{}: framebuffer {} can't be shown: {why}", self.label, framebuffer.0);
        }
    }

    fn retire(&mut self, buffer: BufferSerial, context: &mut Context<'_>) {
        let Some(export) = self.buffers.retire(buffer) else { return };
        if context.accounts.retire(export, context.now) == Some(Memory::Ours) {
            context.grants.end_access(export);
        }
        tracing::debug!("{}: buffer {} is on its way back to the guest", self.label, buffer.0);
    }

    fn detach(&mut self, framebuffer: FramebufferSerial, context: &mut Context<'_>) {
        for index in 0..self.connectors.len() {
            if self.connectors.get(index).is_some_and(|connector| connector.current == Some(framebuffer)) {
                self.show(index, None, context);
            }
        }
        let Some(Ok(imported)) = self.buffers.framebuffer(framebuffer).map(|framebuffer| &framebuffer.imported) else {
            self.buffers.detach(framebuffer, context.presentation);
            return;
        };
        let copied = context.presentation.bytes_copied(imported.id);
        let detached = self.buffers.detach(framebuffer, context.presentation);
        let connector = detached.and_then(|framebuffer| framebuffer.connector);
        if let Some(connector) = connector.and_then(|index| self.connectors.get_mut(index)) {
            connector.copied_before = connector.copied_before.saturating_add(copied);
        }
    }

    fn configure(&mut self, index: usize, configuration: Option<Configuration>, context: &mut Context<'_>) {
        let Some(connector) = self.connectors.get_mut(index) else { return };
        connector.configuration = configuration;
        if let Some(configuration) = configuration {
            if let Some(area) = self.areas.get_mut(index) {
                (area.width, area.height) = (configuration.width, configuration.height);
            }
            context.scene.resize_content(connector.window, size(configuration.width, configuration.height));
        }
        self.show(index, configuration.map(|configuration| configuration.framebuffer), context);
    }

    fn flip(&mut self, index: usize, framebuffer: FramebufferSerial, flip: FlipSerial, context: &mut Context<'_>) {
        self.show(index, Some(framebuffer), context);
        if let Some(connector) = self.connectors.get(index) {
            let token = FlipToken { link: self.id, connector: index, flip };
            context.flips.push((connector.window, token));
        }
    }

    fn show(&mut self, index: usize, framebuffer: Option<FramebufferSerial>, context: &mut Context<'_>) {
        let Some(connector) = self.connectors.get_mut(index) else { return };
        connector.version = connector.version.wrapping_add(1);
        connector.current = framebuffer;
        let shown = framebuffer.and_then(|framebuffer| {
            let framebuffer = self.buffers.framebuffer_mut(framebuffer)?;
            framebuffer.connector = Some(index);
            let imported = framebuffer.imported.as_ref().ok()?;
            let source = source_rect(connector.configuration?)?;
            Some(Shown { buffer: imported.id, source, version: connector.version })
        });
        if shown.is_none() {
            keep_still(connector.window, context);
        }
        context.scene.show(connector.window, shown);
    }

    fn notify(&self, index: usize, channel: Channel, context: &mut Context<'_>) {
        let Some(connector) = self.connectors.get(index) else { return };
        let port = match channel {
            Channel::Requests => connector.requests,
            Channel::Events => connector.events,
        };
        if let Err(error) = context.channels.notify(port) {
            tracing::debug!("{}: event channel {port} can't be notified: {error}", self.label);
        }
    }
}

/// Copies what a window shows, while that is still there, if it is to stand in for the guest.
fn keep_still(window: WindowId, context: &mut Context<'_>) {
    let Some(Shown { buffer, source, .. }) = context.scene.wants_still(window, context.now) else { return };
    match context.presentation.still(buffer, source) {
        Ok(picture) => context.scene.keep_still(window, picture),
        Err(why) => tracing::warn!("a last frame can't be kept: {why}"),
    }
}

/// A window for a connector. In a kiosk one without a place there is never shown.
fn open_window(key: DeviceKey, policy: &GuestPolicy, ring: &ConnectorSetup, context: &mut Context<'_>) -> WindowId {
    let place = policy.place(key.device, ring.index, &ring.unique_id);
    let slot = place.map(|place| place.slot);
    let label = window_label(key, policy, ring);
    let window = context.scene.add_window_for(label, size(ring.width, ring.height), slot);
    context.scene.prefer_fit(window, policy.fit);
    window
}

fn source_rect(configuration: Configuration) -> Option<Rect> {
    Some(Rect {
        x: i32::try_from(configuration.x).ok()?,
        y: i32::try_from(configuration.y).ok()?,
        width: i32::try_from(configuration.width).ok()?,
        height: i32::try_from(configuration.height).ok()?,
    })
}

fn size(width: u32, height: u32) -> Size {
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    Size { width: side(width), height: side(height) }
}

fn window_label(key: DeviceKey, policy: &GuestPolicy, ring: &ConnectorSetup) -> WindowLabel {
    WindowLabel {
        name: policy.label.clone(),
        domid: key.domid.0,
        connector: u32::try_from(ring.index).unwrap_or(u32::MAX),
        color: policy.color,
    }
}

fn map_connector(key: DeviceKey, ring: &ConnectorSetup, context: &mut Context<'_>) -> Result<ConnectorPages, String> {
    let mut map = |what: &str, gref: GrantRef| -> Result<SharedPages, String> {
        let mapped = context.grants.map(key.domid, &[gref], Access::ReadWrite);
        mapped.map_err(|error| format!("{what} (grant {gref}) can't be mapped: {error}"))
    };
    Ok(ConnectorPages {
        unique_id: ring.unique_id.clone(),
        width: ring.width,
        height: ring.height,
        requests: map("the request ring", ring.requests.page)?,
        events: map("the event page", ring.events.page)?,
    })
}

fn bind_all(key: DeviceKey, rings: &[ConnectorSetup], context: &mut Context<'_>) -> Result<Vec<(Port, Port)>, String> {
    let mut bound = Vec::new();
    for remote in rings.iter().flat_map(|ring| [ring.requests.port, ring.events.port]) {
        match context.channels.bind(key.domid, remote) {
            Ok(port) => bound.push(port),
            Err(error) => {
                for port in bound {
                    context.channels.unbind(port);
                }
                return Err(format!("event channel {remote} can't be bound: {error}"));
            }
        }
    }
    let (pairs, _) = bound.as_chunks::<2>();
    Ok(pairs.iter().map(|[requests, events]| (*requests, *events)).collect())
}

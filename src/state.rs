// SPDX-License-Identifier: GPL-3.0-or-later
//! The subsystems, and the one place where they meet: [`State::turn`]. Wiring only; policy lives in the
//! subsystems.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use bitflags::bitflags;

use crate::backend::{Commit, Event, OutputId, OutputInfo, Presentation, Source};
use crate::control::{Request, Response, Server};
use crate::frame::{Made, Pacing};
use crate::guest::accounts::Accounts;
use crate::guest::policy::PolicyFor;
use crate::guest::registry::Registry;
use crate::guest::{Context, FlipToken};
use crate::input::{Keymap, Seat};
use crate::scene::element::Size;
use crate::scene::{Scene, SceneOutput, WindowId};
#[cfg(feature = "sim")]
use crate::sim::Hypervisor;
use crate::time::Time;
use crate::wayland::Wayland;
use crate::xen::Platform;
use crate::xen::store::StoreEvent;

mod answers;
mod capture;
mod clients;
pub mod kiosk;
mod listing;
mod lock;
mod places;
mod power;
mod programs;
mod reload;
mod status;
mod user;
mod workspaces;

pub use self::programs::Command;
pub use self::reload::{HelpText, Reload, Reloaded, Settings};

bitflags! {
    /// What the event loop found ready.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Ready: u16 {
        /// xenstore.
        const STORE = 1;
        /// Event channels.
        const CHANNELS = 1 << 1;
        /// Released exports.
        const GRANTS = 1 << 2;
        /// What the presentation backend hears from, but for the displays.
        const PRESENTATION = 1 << 3;
        /// The control socket.
        const CONTROL = 1 << 4;
        /// The simulated hypervisor.
        const SIMULATOR = 1 << 5;
        /// A signal to stop.
        const STOP = 1 << 6;
        /// Displays that show a frame.
        const DISPLAYS = 1 << 7;
        /// Dom0's own clients.
        const CLIENTS = 1 << 8;
        /// A signal to read the configuration again.
        const RELOAD = 1 << 9;
        /// A program that was started has ended.
        const CHILDREN = 1 << 11;
        /// Signals; the loop says what they are for.
        const SIGNALS = 1 << 10;
    }
}

/// What a [`State`] is made of.
#[expect(missing_debug_implementations, reason = "holds trait objects")]
pub struct Parts {
    /// The hypervisor's name, for the user: `xen`, `sim`.
    pub platform_name: &'static str,
    /// The hypervisor.
    pub platform: Platform,
    /// The simulated hypervisor, where it is that.
    #[cfg(feature = "sim")]
    pub simulator: Option<Hypervisor>,
    /// The displays.
    pub presentation: Box<dyn Presentation>,
    /// What is where.
    pub scene: Scene,
    /// The renderer's name, for the user.
    pub renderer: &'static str,
    /// The kiosk's table, if it is one; empty on a desktop.
    pub kiosk: KioskPlan,
    /// Who a guest is and what it may.
    pub policy_for: PolicyFor,
    /// Dom0's own clients, where they may connect.
    pub wayland: Option<Wayland>,
    /// Keyboards, pointers and fingers.
    pub seat: Seat,
    /// Dom0's keyboard layout, where it can be had.
    pub keymap: Option<Keymap>,
    /// The control socket.
    pub control: Server,
    /// The file that keeps where windows are, on a desktop.
    pub places: Option<PathBuf>,
    /// Time between the flip events of a window that nobody sees; at most 3 s, or guests give up.
    pub hidden_interval: Duration,
    /// After so long without input all displays go off; `None` is never.
    pub off_after: Option<Duration>,
    /// The programs that chords start, in the bindings' order, and those that are started at the beginning.
    pub programs: Vec<Command>,
    /// See there.
    pub start: Vec<Command>,
    /// Reads the configuration again.
    pub reload: Reload,
    /// The clock of the times that turns are told, to measure what drawing takes.
    pub clock: fn() -> Time,
}

/// All of the compositor.
#[expect(missing_debug_implementations, reason = "holds trait objects")]
pub struct State {
    platform_name: &'static str,
    platform: Platform,
    #[cfg(feature = "sim")]
    simulator: Option<Hypervisor>,
    presentation: Box<dyn Presentation>,
    renderer: &'static str,
    scene: Scene,
    kiosk: KioskPlan,
    pacing: Pacing<WindowId, Paced>,
    power: Power,
    programs: Programs,
    reload: Reload,
    clock: fn() -> Time,
    registry: Registry,
    desk: Desk,
    clients: Option<Clients>,
    /// When this turn began.
    now: Time,
    /// The user wants the session to end.
    terminate: bool,
    accounts: Accounts,
    control: Server,
    places: Option<Places>,
    announced: Announced,
    flips: Vec<(WindowId, FlipToken)>,
    lost: Option<String>,
    /// Set on the way down: when we go at the latest.
    stop_by: Option<Time>,
    unfinished: bool,
}

/// How long xenstore may take to write that our devices are let go.
const STOP_TIME: Duration = Duration::from_secs(1);

/// The registry's view of the rest, borrowed field by field.
macro_rules! context {
    ($state:ident, $now:expr) => {
        Context {
            grants: &mut *$state.platform.grants,
            channels: &mut *$state.platform.event_channels,
            presentation: &mut *$state.presentation,
            accounts: &mut $state.accounts,
            scene: &mut $state.scene,
            flips: &mut $state.flips,
            now: $now,
        }
    };
}

// After the macro, which it needs.
mod input;
use clients::{Clients, Paced};
use input::Desk;
use kiosk::KioskPlan;
use places::Places;
use power::Power;
use programs::Programs;
use workspaces::Announced;

impl State {
    /// Puts the subsystems together, and begins to follow xenstore.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let mut platform = parts.platform;
        let registry = Registry::new(parts.policy_for, &mut platform.store);
        Self {
            platform_name: parts.platform_name,
            platform,
            #[cfg(feature = "sim")]
            simulator: parts.simulator,
            presentation: parts.presentation,
            renderer: parts.renderer,
            scene: parts.scene,
            kiosk: parts.kiosk,
            pacing: Pacing::new(parts.hidden_interval),
            power: Power::new(parts.off_after),
            programs: Programs::new(parts.programs, parts.start),
            reload: parts.reload,
            clock: parts.clock,
            registry,
            desk: Desk::new(parts.seat, parts.keymap),
            clients: parts.wayland.map(Clients::new),
            now: Time::ZERO,
            terminate: false,
            accounts: Accounts::default(),
            control: parts.control,
            places: parts.places.map(Places::open),
            announced: Announced::default(),
            flips: Vec::new(),
            lost: None,
            stop_by: None,
            unfinished: false,
        }
    }

    /// Does all the work that is there. Nothing in it blocks.
    pub fn turn(&mut self, ready: Ready, now: Time) {
        self.now = now;
        #[cfg(feature = "sim")]
        if let (true, Some(simulator)) = (ready.contains(Ready::SIMULATOR), &mut self.simulator) {
            simulator.dispatch().unwrap_or_else(|error| tracing::error!("the simulated hypervisor fails: {error}"));
        }
        self.follow_store(ready, now);
        self.follow_presentation(ready, now);
        self.follow_guests(ready, now);
        self.follow_clients(ready);
        if ready.contains(Ready::CHILDREN) {
            self.programs.reap();
        }
        if ready.contains(Ready::RELOAD) {
            self.reload(now);
        }
        // Before the drawing, so that what a request changes is on the display in the same turn.
        if ready.contains(Ready::CONTROL) {
            self.answer_control(now);
        }
        self.refresh_input(now);
        self.follow_idleness(now);
        self.follow_workspace(now);
        self.tile_windows();
        self.pace(now);
        self.redraw(now);
        self.list_windows();
        self.list_guests();
        self.tell_idleness(now);
        self.flush_clients();
        if ready.contains(Ready::STOP) || self.terminate {
            self.stop(now);
        }
        self.keep_places(now);
    }

    fn follow_store(&mut self, ready: Ready, now: Time) {
        if ready.contains(Ready::STORE) {
            self.send_to_store();
        }
        let mut events = Vec::new();
        self.platform.store.take_events(&mut events);
        for event in events {
            if let StoreEvent::Lost(why) = &event {
                self.lost = Some(format!("xenstored is gone ({why}); start grantway again when it is back"));
            }
            self.registry.store_event(&event, &mut self.platform.store, &mut context!(self, now));
        }
    }

    /// Moves bytes in both directions, as far as the connection takes them.
    fn send_to_store(&mut self) {
        if let Err(error) = self.platform.store.dispatch() {
            self.lost = Some(format!("the connection to xenstored broke: {error}"));
        }
    }

    fn follow_presentation(&mut self, ready: Ready, now: Time) {
        let due = self.presentation.deadline().is_some_and(|deadline| deadline <= now);
        for (flag, source) in [(Ready::DISPLAYS, Source::Displays), (Ready::PRESENTATION, Source::Others)] {
            if ready.contains(flag) {
                self.presentation.gather(source);
            }
        }
        if due || ready.intersects(Ready::DISPLAYS | Ready::PRESENTATION) {
            self.presentation.dispatch(now);
        }
        let mut events = Vec::new();
        self.presentation.take_events(&mut events);
        if events.iter().any(|event| matches!(event, Event::Input(_))) {
            // The user's events are for what is there now.
            self.refresh_input(now);
        }
        for event in events {
            self.presentation_event(event, now);
        }
    }

    fn presentation_event(&mut self, event: Event, now: Time) {
        match event {
            Event::OutputAdded(output) => {
                if !self.power.is_off(output.id) {
                    self.pacing.output_added(output.id, output.refresh, output.variable);
                }
                self.outputs_changed();
            }
            Event::OutputRemoved(output) => {
                let flips = self.pacing.output_removed(output);
                self.presented(flips, now);
                self.power.forget(output);
                self.outputs_changed();
            }
            Event::Presented { output, time, sequence } => {
                self.clients_presented(output, time, sequence);
                let flips = self.pacing.presented(output, time);
                self.presented(flips, now);
            }
            Event::Redraw(output) => self.pacing.queue_redraw(output, now),
            Event::BufferReleased(buffer) => self.registry.let_go(buffer),
            Event::Input(event) => self.user_did(event),
            Event::Paused => {
                tracing::info!("the session is switched away; guests go on, unseen");
                self.desk.seat.pause(true);
            }
            Event::Resumed => {
                tracing::info!("the session is back");
                self.desk.seat.pause(false);
                self.wake(now);
                self.pacing.queue_redraw_everywhere();
            }
        }
    }

    fn outputs_changed(&mut self) {
        let outputs = self.presentation.outputs();
        self.scene.set_outputs(&outputs.iter().map(scene_output).collect::<Vec<_>>());
        if self.scene.is_kiosk() {
            self.assign_outputs(&outputs);
        }
        if let Some(clients) = &mut self.clients {
            clients.wayland.set_outputs(&outputs);
        }
        self.restore_places(&outputs);
        self.pacing.queue_redraw_everywhere();
    }

    fn presented(&mut self, shown: Vec<Paced>, now: Time) {
        for what in shown {
            match what {
                Paced::Flip(flip) => self.registry.presented(flip, &mut context!(self, now)),
                Paced::Client(window) => self.client_shown(window, now),
            }
        }
    }

    fn follow_guests(&mut self, ready: Ready, now: Time) {
        if ready.contains(Ready::GRANTS) {
            let mut released = Vec::new();
            self.platform.grants.take_released(&mut released);
            for export in released {
                self.registry.freed(export, &mut context!(self, now));
            }
        }
        if ready.contains(Ready::CHANNELS) {
            let mut ports = Vec::new();
            if let Err(error) = self.platform.event_channels.take_pending(&mut ports) {
                tracing::error!("event channels can't be read: {error}");
            }
            for port in ports {
                self.registry.fired(port, &mut self.platform.store, &mut context!(self, now));
            }
        }
        if self.registry.deadline().is_some_and(|deadline| deadline <= now) {
            self.registry.tick(&mut self.platform.store, &mut context!(self, now));
        }
        self.unfinished = self.registry.go_on(&mut self.platform.store, &mut context!(self, now));
    }

    /// Hands new flips to the outputs that show them, and completes those that are due without a vblank.
    fn pace(&mut self, now: Time) {
        for (window, flip) in std::mem::take(&mut self.flips) {
            let output = self.lit_sight(window);
            self.pacing.flip(output, window, Paced::Flip(flip), now);
        }
        self.settle_lock();
        self.pace_clients(now);
        for output in self.scene.take_damaged() {
            self.pacing.queue_redraw(output, now);
        }
        let due = self.pacing.tick(now);
        self.presented(due, now);
    }

    /// The one place where frames are drawn.
    fn redraw(&mut self, now: Time) {
        let due: Vec<OutputId> = self.pacing.due().collect();
        for output in due {
            let begun = (self.clock)();
            let frame = self.scene.frame(output);
            let commit = self.presentation.commit(output, frame);
            self.lock_drawn(output, commit);
            if commit == Commit::Submitted {
                self.clients_drawn(output);
            }
            self.answer_captures(output, commit, now);
            let made = Made { took: (self.clock)().saturating_sub(begun), drawn: self.presentation.draws(output) };
            self.pacing.committed(output, commit, made, now);
        }
    }

    fn answer_control(&mut self, now: Time) {
        if let Err(error) = self.control.dispatch() {
            tracing::warn!("the control socket fails: {error}");
        }
        for (connection, request) in self.control.take_requests() {
            let response = self.answer(request, now);
            self.control.reply(connection, response);
        }
    }

    fn answer(&mut self, request: Request, now: Time) -> Response {
        match request {
            Request::Status {} => Response::Status(Box::new(self.status())),
            Request::Screenshot { target } => {
                self.screenshot(&target).map_or_else(Response::Error, Response::Screenshot)
            }
            Request::Workspace { number } => self.control_workspace(number),
            Request::Fullscreen { guest } => self.fullscreen(guest.as_ref()),
            Request::Output { output, on } => {
                self.power_by_name(output.as_deref(), on, now).map_or_else(Response::Error, |()| Response::Done)
            }
            Request::Input { guest, connector, action } => self
                .control_input(guest.as_ref(), connector, &action, now)
                .map_or_else(Response::Error, |()| Response::Done),
            Request::Reload {} => self.reload(now),
            Request::Quit {} => {
                self.stop(now);
                Response::Done
            }
        }
    }

    /// Lets the guests go in order, so that the next backend finds them waiting.
    fn stop(&mut self, now: Time) {
        if self.stop_by.is_none() {
            self.stop_by = Some(now.saturating_add(STOP_TIME));
            self.registry.shut_down(&mut self.platform.store, &mut context!(self, now));
        }
    }

    /// Why the compositor can't go on, if it can't.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Whether the compositor was asked to end, and has let its devices go.
    #[must_use]
    pub fn stopped(&self, now: Time) -> bool {
        self.stop_by.is_some_and(|stop_by| self.registry.is_settled() || stop_by <= now)
    }

    /// When [`State::turn`] has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        // What the last exchange with xenstored brought is dealt with in the next turn: its descriptor won't tell.
        if self.unfinished || self.platform.store.has_events() {
            return Some(Time::ZERO);
        }
        let deadlines = [
            self.presentation.deadline(),
            self.pacing.deadline(),
            self.registry.deadline(),
            self.idle_at(),
            self.clients.as_ref().and_then(|clients| clients.wayland.idle_deadline()),
            self.places.as_ref().and_then(Places::due),
            self.announced.due(),
            self.stop_by,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// xenstore's descriptor.
    #[must_use]
    pub fn store_fd(&self) -> BorrowedFd<'_> {
        self.platform.store.poll_fd()
    }

    /// Whether xenstore's descriptor is to be watched for room to write too.
    #[must_use]
    pub fn store_wants_write(&self) -> bool {
        self.platform.store.wants_write()
    }

    /// The event channels' descriptor.
    #[must_use]
    pub fn channels_fd(&self) -> BorrowedFd<'_> {
        self.platform.event_channels.poll_fd()
    }

    /// The descriptor that tells of released exports.
    #[must_use]
    pub fn grants_fd(&self) -> BorrowedFd<'_> {
        self.platform.grants.poll_fd()
    }

    /// The control socket's descriptor.
    #[must_use]
    pub fn control_fd(&self) -> BorrowedFd<'_> {
        self.control.poll_fd()
    }

    /// The displays' descriptors.
    #[must_use]
    pub fn display_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.presentation.display_fds()
    }

    /// The descriptor of what else the presentation backend hears from, if there is one.
    #[must_use]
    pub fn presentation_fd(&self) -> Option<BorrowedFd<'_>> {
        self.presentation.poll_fd()
    }

    /// The descriptors of Dom0's own clients, and of where they connect.
    pub fn client_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.clients.iter().flat_map(|clients| clients.wayland.poll_fds())
    }

    /// The simulated hypervisor's descriptor, if there is one.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn simulator_fd(&self) -> Option<BorrowedFd<'_>> {
        self.simulator.as_ref().map(Hypervisor::poll_fd)
    }
}

fn scene_output(output: &OutputInfo) -> SceneOutput {
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    SceneOutput { id: output.id, size: Size { width: side(output.width), height: side(output.height) } }
}

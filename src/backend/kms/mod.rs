// SPDX-License-Identifier: GPL-3.0-or-later
//! The displays of this machine: kernel mode setting, drawn by the CPU or by a GPU.
//!
//! Devices, udev and the session service are sources of an inner event loop, whose descriptor is ours to
//! poll; they fill an inbox that [`Kms::dispatch`](Presentation::dispatch) then works off.

mod config;
mod connectors;
mod counter;
mod cursor;
mod device;
mod displays;
mod dumb;
mod flight;
mod flips;
#[allow(unsafe_code, reason = "makes the EGL display and context")]
mod gpu;
#[allow(unsafe_code, reason = "one system call")]
mod grab;
mod guest_buffers;
mod input;
mod mode;
mod output;
mod pipeline;
mod refusal;
mod scanout;
mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use calloop::EventLoop;
use nix::libc::dev_t;
use nix::time::{ClockId, clock_gettime};

pub use self::config::{
    BadOutputSetting, KmsConfig, KmsError, ModeRequest, OutputSetting, RendererChoice, SessionKind,
};
use self::device::{Device, OutputIds};
use self::input::Inputs;
use self::session::{Inbox, Notice, Session};
use super::input::Lamps;
use super::{
    Commit, Event, ImportRefused, Imported, OutputId, OutputInfo, PixelLayout, Pointer, Presentation, Scanout, Source,
};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, ElementId, Frame, Pixmap, Rect};
use crate::time::Time;

/// The displays of this machine.
pub struct Kms {
    config: KmsConfig,
    devices: Vec<Device>,
    session: Session,
    /// Keyboards, pointers and touch screens; `None` where they can't be had.
    inputs: Option<Inputs>,
    inbox: Inbox,
    /// The guests' buffers, for devices that are plugged in later.
    buffers: BTreeMap<BufferId, (Rc<BufferMemory>, PixelLayout)>,
    last_buffer: u64,
    /// Evicted buffers that planes still show, and when they are taken away.
    leaving: Vec<(BufferId, Time)>,
    output_ids: OutputIds,
    events: Vec<Event>,
    paused: bool,
    // Last: its sources hold the devices open.
    event_loop: EventLoop<'static, Inbox>,
}

impl Kms {
    /// What draws on the first device, for the user.
    #[must_use]
    pub fn renderer_name(&self) -> &'static str {
        self.devices.first().map_or("none", |device| device.pipeline.renderer())
    }

    /// Opens the session and the devices, and finds the outputs; each is the first event for its output.
    /// This waits for the session and for the displays to answer, so it belongs before the main loop.
    ///
    /// # Errors
    /// See [`KmsError`]. A device that can't be used is passed over as long as there is another one.
    pub fn new(config: KmsConfig) -> Result<Self, KmsError> {
        let system =
            |what| move |error: calloop::Error| KmsError::System { what, source: std::io::Error::other(error) };
        let mut event_loop = EventLoop::try_new().map_err(system("the event loop of the displays"))?;
        let mut inbox = Inbox::new();
        let session = Session::open(config.session, &mut event_loop, &mut inbox)?;
        if let Err(error) = session::watch(&event_loop.handle()) {
            tracing::warn!(%error, "displays that are plugged in later will not be noticed: udev can't be heard");
        }
        let inputs = Inputs::open(&session, &event_loop.handle());
        let inputs =
            inputs.inspect_err(|error| tracing::warn!(%error, "no guest gets input from this machine's devices"));
        let mut kms = Self {
            config,
            devices: Vec::new(),
            session,
            inputs: inputs.ok(),
            inbox,
            buffers: BTreeMap::new(),
            last_buffer: 0,
            leaving: Vec::new(),
            output_ids: OutputIds::default(),
            events: Vec::new(),
            paused: false,
            event_loop,
        };
        kms.find_inputs(monotonic());
        kms.open_devices()?;
        if kms.outputs().is_empty() {
            tracing::warn!("no display is connected, or all are off; waiting for one");
        }
        Ok(kms)
    }

    fn open_devices(&mut self) -> Result<(), KmsError> {
        if let Some(path) = self.config.device.clone() {
            return self.open_device(&path);
        }
        let paths = self
            .session
            .devices()
            .map_err(|source| KmsError::System { what: "the search for display devices", source })?;
        let mut first_error = None;
        for path in paths {
            if let Err(error) = self.open_device(&path) {
                tracing::warn!(%error, "passed over");
                first_error.get_or_insert(error);
            }
        }
        if self.devices.is_empty() { Err(first_error.unwrap_or(KmsError::NoDevice)) } else { Ok(()) }
    }

    fn open_device(&mut self, path: &Path) -> Result<(), KmsError> {
        let mut device = Device::open(path, &self.config, &mut self.session)?;
        for (id, (memory, layout)) in &self.buffers {
            if let Err(refused) = device.pipeline.import(*id, Rc::clone(memory), *layout) {
                tracing::warn!(device = %path.display(), ?id, %refused, "a guest's buffer is not shown there");
            }
        }
        device.rescan(&self.config, &mut self.output_ids, monotonic(), &mut self.events);
        self.devices.push(device);
        Ok(())
    }

    fn find_inputs(&mut self, now: Time) {
        for notice in self.inputs.as_mut().map(Inputs::found).unwrap_or_default() {
            self.handle(notice, now);
        }
    }

    fn handle(&mut self, notice: Notice, now: Time) {
        match notice {
            Notice::Flip { device, crtc, metadata } => {
                if let Some(device) = self.devices.iter_mut().find(|opened| opened.id == device) {
                    device.flipped(crtc, metadata.as_ref(), now, &mut self.events);
                }
            }
            Notice::DeviceFailed { device, error } => {
                tracing::error!(device, error, "a display device failed and is given up");
                // Else its descriptor would wake us for ever.
                self.removed(device);
            }
            Notice::Added(path) => self.added(&path),
            Notice::Changed(id) => self.rescan(id, now),
            Notice::Removed(id) => self.removed(id),
            Notice::Paused(paused) => self.set_paused(paused, now),
            Notice::Input(event) if !self.paused => self.events.push(Event::Input(event)),
            Notice::Input(_) => {}
            Notice::Keyboard(keyboard) => {
                if let Some(inputs) = &mut self.inputs {
                    inputs.add_keyboard(keyboard);
                }
            }
        }
    }

    fn added(&mut self, path: &PathBuf) {
        let wanted = self.config.device.as_ref().is_none_or(|only| only == path);
        // While paused the device can't be had; resuming looks for new ones.
        if !wanted || self.paused || self.has(path) {
            return;
        }
        if let Err(error) = self.open_device(path) {
            tracing::warn!(%error, "a new display device can't be used");
        }
    }

    fn has(&self, path: &Path) -> bool {
        let id = nix::sys::stat::stat(path).map(|status| status.st_rdev);
        id.is_ok_and(|id| self.devices.iter().any(|device| device.id == id))
    }

    /// While paused the kernel answers nothing; resuming looks at everything again.
    fn rescan(&mut self, id: dev_t, now: Time) {
        if self.paused {
            return;
        }
        if let Some(device) = self.devices.iter_mut().find(|device| device.id == id) {
            device.rescan(&self.config, &mut self.output_ids, now, &mut self.events);
        }
    }

    fn removed(&mut self, id: dev_t) {
        let Some(index) = self.devices.iter().position(|device| device.id == id) else { return };
        let mut device = self.devices.remove(index);
        // It is gone: what would be written to it now would only fail.
        device.pause();
        device.remove_all(&mut self.events);
        device.close(&mut self.session);
    }

    fn set_paused(&mut self, paused: bool, now: Time) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        if let Some(inputs) = &mut self.inputs {
            inputs.set_paused(paused);
        }
        self.find_inputs(now);
        if paused {
            self.devices.iter_mut().for_each(Device::pause);
            self.events.push(Event::Paused);
            // No frame of ours will replace them.
            self.leaving.iter_mut().for_each(|(_, due)| *due = now);
            self.let_go(now);
            return;
        }
        for device in &mut self.devices {
            device.resume(now, &mut self.events);
            device.rescan(&self.config, &mut self.output_ids, now, &mut self.events);
        }
        for path in self.session.devices().unwrap_or_default() {
            self.added(&path);
        }
        self.events.push(Event::Resumed);
    }
}

impl Kms {
    /// Reports the evicted buffers that no plane shows any more. One that no frame has replaced in time is taken
    /// away.
    fn let_go(&mut self, now: Time) {
        if self.leaving.is_empty() {
            return;
        }
        let held = |devices: &[Device], id| devices.iter().any(|device| device.pipeline.holds(id));
        if self.leaving.iter().any(|(id, due)| *due <= now && held(&self.devices, *id)) {
            tracing::debug!("a guest's buffer is taken off the planes");
            self.devices.iter_mut().for_each(|device| device.pipeline.take_away());
        }
        let Self { leaving, devices, events, .. } = self;
        let released = leaving.extract_if(.., |(id, _)| !held(devices, *id));
        events.extend(released.map(|(id, _)| Event::BufferReleased(id)));
    }
}

/// How long planes may show an evicted buffer. A frame without it comes sooner, unless an output is off or its driver
/// has lost a flip; a slow machine gets the time that it needs, since taking a buffer away by force waits for the
/// hardware.
const LEAVE_TIME: Duration = Duration::from_millis(500);

fn monotonic() -> Time {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Time::ZERO, Time::from)
}

impl Presentation for Kms {
    fn name(&self) -> &'static str {
        "kms"
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        self.devices.iter().flat_map(Device::outputs).map(output::Output::info).collect()
    }

    fn import(&mut self, memory: Rc<BufferMemory>, layout: PixelLayout) -> Result<Imported, ImportRefused> {
        let id = BufferId(self.last_buffer + 1);
        // The first device speaks for all: a buffer that another one can't show is left out there.
        let mut first = None;
        for device in &mut self.devices {
            let outcome = device.pipeline.import(id, Rc::clone(&memory), layout);
            if let Err(refused) = &outcome {
                tracing::debug!(?id, %refused, "a device can't show a guest's buffer");
            }
            first.get_or_insert(outcome);
        }
        let outcome = first.unwrap_or_else(|| Err(ImportRefused("no display device is there".to_owned())));
        match outcome {
            Ok((path, reason)) => {
                self.last_buffer = id.0;
                self.buffers.insert(id, (memory, layout));
                Ok(Imported { id, path, reason })
            }
            Err(refused) => {
                self.devices.iter_mut().for_each(|device| device.pipeline.evict(id));
                Err(refused)
            }
        }
    }

    /// At once, unless a plane shows it: then with the flip that replaces it.
    fn evict(&mut self, buffer: BufferId) {
        if self.buffers.remove(&buffer).is_none() {
            return;
        }
        self.devices.iter_mut().for_each(|device| device.pipeline.evict(buffer));
        let now = monotonic();
        let due = if self.paused { now } else { now.saturating_add(LEAVE_TIME) };
        self.leaving.push((buffer, due));
        self.let_go(now);
    }

    fn allocate(&mut self, bytes: usize) -> Result<OwnedFd, ImportRefused> {
        let mut refused = Err(ImportRefused("no display device is open".to_owned()));
        for device in &self.devices {
            match device.allocate(bytes) {
                Ok(dmabuf) => return Ok(dmabuf),
                Err(why) => refused = Err(ImportRefused(why)),
            }
        }
        refused
    }

    fn scans_out(&self, dmabuf: BorrowedFd<'_>) -> Result<(), ImportRefused> {
        let mut refused = Ok(());
        for device in &self.devices {
            match device.scans_out(dmabuf) {
                Ok(()) => return Ok(()),
                Err(why) => refused = Err(ImportRefused(why)),
            }
        }
        refused
    }

    fn commit(&mut self, output: OutputId, frame: Frame) -> Commit {
        let device = self.devices.iter_mut().find(|device| device.has(output));
        device.filter(|_| !self.paused).map_or(Commit::Skipped, |device| device.commit(output, frame))
    }

    fn switch_off(&mut self, output: OutputId) {
        let now = monotonic();
        let device = self.devices.iter_mut().find(|device| device.has(output));
        if let Some(device) = device.filter(|_| !self.paused) {
            device.switch_off(output, now);
            // What its planes showed is free.
            self.let_go(now);
        }
    }

    fn bytes_copied(&self, buffer: BufferId) -> u64 {
        self.devices.iter().map(|device| device.pipeline.bytes_copied(buffer)).sum()
    }

    fn draws(&self, output: OutputId) -> bool {
        self.devices.iter().find_map(|device| device.draws(output)).unwrap_or(true)
    }

    fn scanout(&self, output: OutputId, element: ElementId) -> Option<Scanout> {
        self.devices.iter().find_map(|device| device.scanout(output, element))
    }

    fn still(&self, buffer: BufferId, part: Rect) -> Result<Pixmap, String> {
        let device = self.devices.first().ok_or("no display device is there")?;
        device.pipeline.still(buffer, part)
    }

    fn screenshot(&mut self, output: OutputId, pointer: Pointer) -> Result<Pixmap, String> {
        let found = self.devices.iter_mut().find_map(|device| device.screenshot(output, pointer));
        found.unwrap_or_else(|| Err("there is no such output".to_owned()))
    }

    fn set_lamps(&mut self, lamps: Lamps) {
        if let Some(inputs) = &mut self.inputs {
            inputs.set_lamps(lamps);
        }
    }

    fn gather(&mut self, from: Source) {
        match from {
            Source::Displays => {
                for device in &self.devices {
                    device.gather(&mut self.inbox);
                }
            }
            Source::Others => {
                if let Err(error) = self.event_loop.dispatch(Duration::ZERO, &mut self.inbox) {
                    tracing::error!(%error, "what the session and the user do could not be read");
                }
            }
        }
    }

    fn dispatch(&mut self, now: Time) {
        if self.devices.iter().any(|device| device.is_late(now)) {
            // Not before it was looked for: on a starved machine time passes between the wait and this.
            self.gather(Source::Displays);
        }
        for notice in std::mem::take(&mut self.inbox) {
            self.handle(notice, now);
        }
        // Before the reports: a buffer that a flip has replaced is released with that flip.
        self.let_go(now);
        for device in &mut self.devices {
            device.report(now, &mut self.events);
        }
    }

    fn take_events(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.events);
    }

    fn display_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.devices.iter().map(Device::poll_fd).collect()
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.event_loop.as_fd())
    }

    fn deadline(&self) -> Option<Time> {
        let flips = self.devices.iter().filter_map(Device::deadline);
        flips.chain(self.leaving.iter().map(|(_, due)| *due)).min()
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        for device in self.devices.drain(..) {
            device.close(&mut self.session);
        }
    }
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms").field("devices", &self.devices).field("paused", &self.paused).finish_non_exhaustive()
    }
}

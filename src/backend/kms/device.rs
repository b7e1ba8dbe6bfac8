// SPDX-License-Identifier: GPL-3.0-or-later
//! One display device with its outputs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::libc::dev_t;
use smithay::backend::drm::{DrmDevice, DrmDeviceFd, DrmEventMetadata, DrmEventTime, DrmSurface, VrrSupport};
use smithay::reexports::drm::control::{Device as _, Event as DrmEvent, crtc};
use smithay::reexports::drm::{Device as _, DriverCapability};
use smithay::utils::DeviceFd;
use tracing::subscriber::{NoSubscriber, with_default};

use super::config::{KmsConfig, KmsError};
use super::connectors::{self, Connected};
use super::dumb;
use super::monotonic;
use super::output::{Output, Plan};
use super::pipeline::{self, Drawn, Pipeline};
use super::session::{Inbox, Notice, Session};
use crate::backend::{Commit, Event, OutputId, Pointer, Scanout};
use crate::scene::element::{ElementId, Frame, Pixmap};
use crate::time::Time;

/// One display device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) id: dev_t,
    path: PathBuf,
    /// Whether the times of its events are on our clock.
    monotonic_events: bool,
    pub(super) pipeline: Box<dyn Pipeline>,
    outputs: Vec<Output>,
    commit_errors: u64,
    /// Whether displays that can do it show a frame whenever it comes.
    variable_refresh: bool,
    // After the pipeline, whose buffers and framebuffers belong to it.
    drm: DrmDevice,
}

impl Device {
    /// Opens a device and switches everything on it off; its outputs come with the first [`Device::rescan`].
    pub(super) fn open(path: &Path, config: &KmsConfig, session: &mut Session) -> Result<Self, KmsError> {
        let refused = |why: String| KmsError::Device { path: path.to_owned(), why };
        let descriptor = session.open_device(path).map_err(|errno| refused(open_error(errno)))?;
        let fd = DrmDeviceFd::new(DeviceFd::from(descriptor));
        if session.checks_master() {
            fd.acquire_master_lock().map_err(|error| refused(master_error(&error)))?;
        }
        // Its calloop source would put a second wait, of five system calls, behind ours for each frame.
        let (drm, _) =
            DrmDevice::new(fd, true).map_err(|error| refused(format!("{error}; is it a display device?")))?;
        let pipeline = pipeline::open(drm.device_fd(), config.renderer, config.compose_only).map_err(refused)?;
        let device = Self {
            id: drm.device_id(),
            path: path.to_owned(),
            monotonic_events: matches!(drm.get_driver_capability(DriverCapability::MonotonicTimestamp), Ok(1)),
            pipeline,
            outputs: Vec::new(),
            commit_errors: 0,
            variable_refresh: config.variable_refresh,
            drm,
        };
        tracing::info!(
            device = %path.display(),
            driver = device.driver(),
            renderer = device.pipeline.renderer(),
            atomic = device.drm.is_atomic(),
            "display device opened"
        );
        Ok(device)
    }

    fn driver(&self) -> String {
        self.drm
            .get_driver()
            .map_or_else(|_| "unknown".to_owned(), |driver| driver.name().to_string_lossy().into_owned())
    }

    /// Gives everything back: displays are switched off, or get back what they showed before us.
    ///
    /// Smithay logs an error when the state from before us can't be restored. That is no bug: its framebuffer
    /// is often gone by now, and the kernel shows the console again when the descriptor is closed.
    pub(super) fn close(self, session: &mut Session) {
        let Self { path, pipeline, drm, .. } = self;
        let fd = drm.device_fd().device_fd();
        drop(pipeline);
        with_default(NoSubscriber::new(), || drop(drm));
        tracing::info!(device = %path.display(), "display device closed");
        if let Ok(descriptor) = TryInto::<OwnedFd>::try_into(fd) {
            session.close_device(descriptor);
        }
    }

    /// Readable when [`Device::gather`] has something to read.
    pub(super) fn poll_fd(&self) -> BorrowedFd<'_> {
        self.drm.as_fd()
    }

    /// Reads the kernel's word of frames that are on the display.
    pub(super) fn gather(&self, inbox: &mut Inbox) {
        let device = self.id;
        let events = match self.drm.device_fd().receive_events() {
            Ok(events) => events,
            Err(error) if is_transient(&error) => return,
            Err(error) => {
                inbox.push(Notice::DeviceFailed { device, error: error.to_string() });
                return;
            }
        };
        for event in events {
            let DrmEvent::PageFlip(flip) = event else { continue };
            let time = if self.monotonic_events {
                DrmEventTime::Monotonic(flip.duration)
            } else {
                DrmEventTime::Realtime(SystemTime::UNIX_EPOCH + flip.duration)
            };
            let metadata = Some(DrmEventMetadata { time, sequence: flip.frame });
            inbox.push(Notice::Flip { device, crtc: flip.crtc, metadata });
        }
    }

    pub(super) fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    fn output(&mut self, id: OutputId) -> Option<&mut Output> {
        self.outputs.iter_mut().find(|output| output.id == id)
    }

    /// Follows what is plugged in.
    pub(super) fn rescan(&mut self, config: &KmsConfig, ids: &mut OutputIds, now: Time, events: &mut Vec<Event>) {
        let connected = match connectors::scan(&self.drm) {
            Ok(connected) => connected,
            Err(error) => {
                tracing::warn!(device = %self.path.display(), %error, "its connectors can't be listed");
                return;
            }
        };
        let mut planned: Vec<(Plan, &Connected)> = connected
            .iter()
            .filter_map(|display| {
                Some((Plan::of(display, config.output(&display.name, display.edid.as_deref()))?, display))
            })
            .collect();
        self.remove_outputs(|plan| !planned.iter().any(|(wanted, _)| wanted.connector == plan.connector), events);
        for (plan, _) in &planned {
            self.change_mode(plan, now, events);
        }
        planned.retain(|(plan, _)| !self.outputs.iter().any(|output| output.plan.connector == plan.connector));
        self.add_outputs(planned, ids, events);
    }

    /// Takes the device's outputs away, all of them.
    pub(super) fn remove_all(&mut self, events: &mut Vec<Event>) {
        self.remove_outputs(|_| true, events);
    }

    fn remove_outputs(&mut self, gone: impl Fn(&Plan) -> bool, events: &mut Vec<Event>) {
        let pipeline = &mut self.pipeline;
        self.outputs.retain(|output| {
            let gone = gone(&output.plan);
            if gone {
                pipeline.remove(output.crtc);
                tracing::info!(output = output.plan.name, "output gone");
                events.push(Event::OutputRemoved(output.id));
            }
            !gone
        });
    }

    fn change_mode(&mut self, plan: &Plan, now: Time, events: &mut Vec<Event>) {
        let changed = |output: &&mut Output| output.plan.connector == plan.connector && output.plan.mode != plan.mode;
        let Some(output) = self.outputs.iter_mut().find(changed) else { return };
        self.pipeline.remove(output.crtc);
        output.flight.give_up(now);
        events.extend(output.report(now));
        output.plan = plan.clone();
        match add_display(&mut self.drm, self.pipeline.as_mut(), plan, output.crtc, self.variable_refresh) {
            Ok(variable) => {
                output.variable = variable;
                events.push(Event::OutputAdded(output.info()));
            }
            Err(error) => {
                tracing::warn!(output = plan.name, error, "the output's new mode failed");
                self.remove_outputs(|other| other.connector == plan.connector, events);
            }
        }
    }

    fn add_outputs(&mut self, planned: Vec<(Plan, &Connected)>, ids: &mut OutputIds, events: &mut Vec<Event>) {
        let taken: Vec<crtc::Handle> = self.outputs.iter().map(|output| output.crtc).collect();
        let candidates: Vec<Vec<crtc::Handle>> = planned.iter().map(|(_, display)| display.crtcs.clone()).collect();
        for ((plan, _), crtc) in planned.into_iter().zip(connectors::assign(&candidates, &taken)) {
            let added = match crtc {
                Some(crtc) => {
                    let variable = self.variable_refresh;
                    add_display(&mut self.drm, self.pipeline.as_mut(), &plan, crtc, variable).map(|found| (crtc, found))
                }
                None => Err("the device has no scanout engine left for it".to_owned()),
            };
            match added {
                Ok((crtc, variable)) => {
                    let output = Output::new(ids.next(), plan, crtc, variable);
                    let info = output.info();
                    tracing::info!(output = info.name, width = info.width, height = info.height, "output added");
                    events.push(Event::OutputAdded(info));
                    self.outputs.push(output);
                }
                Err(error) => tracing::warn!(output = plan.name, error, "the output can't be used"),
            }
        }
    }

    /// Takes zeroed memory from the driver.
    pub(super) fn allocate(&self, bytes: usize) -> Result<OwnedFd, String> {
        dumb::allocate(self.drm.device_fd(), bytes)
            .map_err(|why| format!("{} ({}): {why}", self.path.display(), self.driver()))
    }

    /// Whether the driver takes memory as it lies.
    pub(super) fn scans_out(&self, dmabuf: BorrowedFd<'_>) -> Result<(), String> {
        dumb::takes(self.drm.device_fd(), dmabuf)
            .map_err(|why| format!("{} ({}): {why}", self.path.display(), self.driver()))
    }

    pub(super) fn has(&self, id: OutputId) -> bool {
        self.outputs.iter().any(|output| output.id == id)
    }

    /// Shows a frame.
    pub(super) fn commit(&mut self, id: OutputId, frame: Frame) -> Commit {
        let Some(output) = self.outputs.iter_mut().find(|output| output.id == id) else { return Commit::Skipped };
        if output.flight.is_busy() || !self.drm.is_active() {
            return Commit::Skipped;
        }
        let since = monotonic();
        let drawn = self.pipeline.draw(output.crtc, frame);
        let handed = monotonic();
        tell_delay(&output.plan.name, handed.saturating_sub(since));
        match drawn {
            Ok(Drawn::Submitted) => {
                output.flight.submitted(since, handed);
                Commit::Submitted
            }
            Ok(Drawn::NoDamage) => Commit::NoDamage,
            Err(error) => {
                self.commit_errors += 1;
                // Powers of two: an error at each frame must not fill the log.
                if self.commit_errors.is_power_of_two() {
                    tracing::warn!(output = output.plan.name, error, times = self.commit_errors, "a frame failed");
                }
                self.pipeline.reset(output.crtc);
                Commit::Skipped
            }
        }
    }

    /// Switches the display off, until the next frame.
    pub(super) fn switch_off(&mut self, id: OutputId, now: Time) {
        let Some(output) = self.outputs.iter_mut().find(|output| output.id == id) else { return };
        output.flight.give_up(now);
        // Nobody waits for it.
        let _ = output.report(now);
        self.pipeline.switch_off(output.crtc);
        tracing::info!(output = output.plan.name, "the display is switched off");
    }

    /// The kernel says that a frame is on the display.
    pub(super) fn flipped(
        &mut self,
        crtc: crtc::Handle,
        metadata: Option<&DrmEventMetadata>,
        now: Time,
        events: &mut Vec<Event>,
    ) {
        let Some(output) = self.outputs.iter_mut().find(|output| output.crtc == crtc) else { return };
        if output.flight.landed(metadata, output.frame_time(), now) && self.pipeline.shown(crtc) {
            events.push(Event::Redraw(output.id));
        }
    }

    /// Reports the frames that are on the display, and gives up those that the kernel lost.
    pub(super) fn report(&mut self, now: Time, events: &mut Vec<Event>) {
        for output in &mut self.outputs {
            if output.flight.is_lost(now) {
                tracing::warn!(output = output.plan.name, "the kernel did not report a flip; going on without");
                output.flight.give_up(now);
                self.pipeline.shown(output.crtc);
                self.pipeline.reset(output.crtc);
            }
            events.extend(output.report(now));
        }
    }

    /// Whether a frame has been on its way for too long.
    pub(super) fn is_late(&self, now: Time) -> bool {
        self.outputs.iter().any(|output| output.flight.is_lost(now))
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.outputs.iter().filter_map(|output| output.flight.deadline()).min()
    }

    /// Lets the hardware go, until [`Device::resume`].
    pub(super) fn pause(&mut self) {
        self.drm.pause();
    }

    /// Takes the hardware back; every output needs a new frame.
    pub(super) fn resume(&mut self, now: Time, events: &mut Vec<Event>) {
        if let Err(error) = self.drm.activate(true) {
            tracing::error!(device = %self.path.display(), %error, "the device did not come back");
        }
        for output in &mut self.outputs {
            output.flight.give_up(now);
            events.extend(output.report(now));
            self.pipeline.shown(output.crtc);
            self.pipeline.reset(output.crtc);
        }
    }

    /// Whether anything was drawn for the output's last frame; `None` when the output is not this device's.
    pub(super) fn draws(&self, id: OutputId) -> Option<bool> {
        let output = self.outputs.iter().find(|output| output.id == id)?;
        Some(self.pipeline.draws(output.crtc))
    }

    /// How an element is shown; `None` when the output is not this device's, or the element not on it.
    pub(super) fn scanout(&self, id: OutputId, element: ElementId) -> Option<Scanout> {
        let output = self.outputs.iter().find(|output| output.id == id)?;
        self.pipeline.scanout(output.crtc, element)
    }

    /// What an output shows; `None` when the output is not this device's.
    pub(super) fn screenshot(&mut self, id: OutputId, pointer: Pointer) -> Option<Result<Pixmap, String>> {
        let crtc = self.output(id)?.crtc;
        Some(self.pipeline.screenshot(crtc, pointer))
    }
}

/// A frame that takes longer than this is told of: meanwhile no guest is answered. The kernel waits in a commit for the
/// frame before the last one to be cleaned up, and while it sets a mode.
const LONG: Duration = Duration::from_millis(500);

fn tell_delay(output: &str, took: Duration) {
    if took >= LONG {
        let milliseconds = took.as_millis();
        tracing::debug!(output, milliseconds, "a frame took long to draw and hand over");
    }
}

/// Names outputs; no name is used twice.
#[derive(Debug, Default)]
pub(super) struct OutputIds(u32);

impl OutputIds {
    fn next(&mut self) -> OutputId {
        self.0 += 1;
        OutputId(self.0)
    }
}

fn add_display(
    drm: &mut DrmDevice,
    pipeline: &mut dyn Pipeline,
    plan: &Plan,
    crtc: crtc::Handle,
    variable_refresh: bool,
) -> Result<bool, String> {
    let surface = drm.create_surface(crtc, plan.mode, &[plan.connector]).map_err(|error| error.to_string())?;
    let variable = variable_refresh && vary(&surface, plan);
    pipeline.add(surface)?;
    Ok(variable)
}

/// Has the display show frames whenever they come, from the first one on. Returns whether it can.
fn vary(surface: &DrmSurface, plan: &Plan) -> bool {
    let refused = match surface.vrr_supported(plan.connector) {
        Ok(VrrSupport::NotSupported) => "the display, its cable or the driver has no variable refresh".to_owned(),
        Ok(VrrSupport::Supported | VrrSupport::RequiresModeset) => match surface.use_vrr(true) {
            Ok(()) => return true,
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    tracing::info!(output = plan.name, refused, "a fixed refresh is used");
    false
}

fn is_transient(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted)
}

fn open_error(errno: Errno) -> String {
    if [Errno::ENOENT, Errno::ENODEV, Errno::ENXIO].contains(&errno) {
        return "there is no such device; look into /dev/dri".to_owned();
    }
    if [Errno::EACCES, Errno::EPERM].contains(&errno) {
        return "permission denied: start as root, or use a session (seatd, or a login at a local console)".to_owned();
    }
    errno.desc().to_owned()
}

fn master_error(error: &std::io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY | Errno::EACCES) => format!(
            "another program drives it ({error}): stop the other compositor or display server, or switch away from it"
        ),
        Some(Errno::ENOTTY | Errno::EOPNOTSUPP) => "it is no display device; look into /dev/dri".to_owned(),
        _ => error.to_string(),
    }
}

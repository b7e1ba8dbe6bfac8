// SPDX-License-Identifier: GPL-3.0-or-later
//! Outputs that exist in memory only: for tests, for machines without a display, and for the demo.
//!
//! All that a display does is here: frames are composed by the same code as on a real one, and presented
//! at the next tick of the output's refresh. The ticks are multiples of the refresh time since the clock's
//! start, so what happens depends on the clock alone.

mod canvas;

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use self::canvas::Canvas;
use super::input::Lamps;
use super::{Commit, Event, ImportRefused, Imported, OutputId, OutputInfo, PixelLayout, Pointer, Presentation};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, Frame, Pixmap, Rect};
use crate::time::Time;

/// The shortest time between two frames.
pub const SHORTEST_REFRESH: Duration = Duration::from_millis(1);

/// What the backend is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadlessConfig {
    /// The outputs at the start; may be none.
    pub outputs: Vec<OutputConfig>,
    /// What draws.
    pub renderer: RendererKind,
    /// What makes time pass.
    pub clock: Clock,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// Its name.
    pub name: String,
    /// Width in pixels, 1..=16384.
    pub width: u32,
    /// Height in pixels, 1..=16384.
    pub height: u32,
    /// Time between two frames, at least [`SHORTEST_REFRESH`].
    pub refresh: Duration,
}

/// What draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RendererKind {
    /// The CPU; guest pages are sampled in place.
    Pixman,
    /// OpenGL ES on the first device that has it, llvmpipe at the least.
    Gl,
}

/// What makes time pass between a commit and its presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The system's monotonic clock.
    RealTime,
    /// The last `dispatch` alone; it starts at 0. For tests.
    Manual,
}

/// The backend.
#[derive(Debug)]
pub struct Headless {
    canvas: Box<dyn Canvas>,
    clock: Clock,
    now: Time,
    outputs: BTreeMap<OutputId, Output>,
    next_output: u32,
    next_buffer: u64,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Output {
    info: OutputInfo,
    /// When the frame on its way will be shown.
    due: Option<Time>,
}

impl Headless {
    /// Starts the renderer and the outputs.
    ///
    /// # Errors
    /// A sentence for the user: the renderer doesn't start, or an output can't be had.
    pub fn new(config: HeadlessConfig) -> Result<Self, String> {
        let mut headless = Self {
            canvas: canvas::start(config.renderer)?,
            clock: config.clock,
            now: Time::ZERO,
            outputs: BTreeMap::new(),
            next_output: 1,
            next_buffer: 1,
            events: Vec::new(),
        };
        for output in config.outputs {
            headless.add_output(output)?;
        }
        Ok(headless)
    }

    /// Plugs an output in.
    ///
    /// # Errors
    /// A sentence for the user: a size or refresh out of range, or no memory for its picture.
    pub fn add_output(&mut self, config: OutputConfig) -> Result<OutputId, String> {
        let OutputConfig { name, width, height, refresh } = config;
        for side in [width, height] {
            if !(1..=16_384).contains(&side) {
                return Err(format!("output {name} of {width}x{height} pixels: each side has to be 1 to 16384"));
            }
        }
        if refresh < SHORTEST_REFRESH {
            return Err(format!("output {name}: a frame every {refresh:?} is too often, 1 ms is the shortest"));
        }
        let id = OutputId(self.next_output);
        let info = OutputInfo { id, name, width, height, refresh, variable: false, edid: None };
        self.canvas.add_output(&info)?;
        self.next_output += 1;
        self.events.push(Event::OutputAdded(info.clone()));
        self.outputs.insert(id, Output { info, due: None });
        Ok(id)
    }

    /// Pulls an output out; a frame on its way to it is lost. Returns whether it was there.
    pub fn remove_output(&mut self, id: OutputId) -> bool {
        if self.outputs.remove(&id).is_none() {
            return false;
        }
        self.canvas.remove_output(id);
        self.events.push(Event::OutputRemoved(id));
        true
    }

    fn now(&self) -> Time {
        match self.clock {
            Clock::Manual => self.now,
            // The clock is always there on Linux; should it fail, the last dispatch serves.
            Clock::RealTime => clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(self.now, Duration::from),
        }
    }
}

/// The first tick after `now`.
fn next_tick(now: Time, refresh: Duration) -> Time {
    let ticks = tick_count(now, refresh) + 1;
    Duration::from_nanos(nanos(refresh).saturating_mul(ticks))
}

/// How many ticks there were until `now`.
fn tick_count(now: Time, refresh: Duration) -> u64 {
    nanos(now) / nanos(refresh).max(1)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Presentation for Headless {
    fn name(&self) -> &'static str {
        "headless"
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        self.outputs.values().map(|output| output.info.clone()).collect()
    }

    fn import(&mut self, memory: Rc<BufferMemory>, layout: PixelLayout) -> Result<Imported, ImportRefused> {
        let id = BufferId(self.next_buffer);
        let (path, reason) = self.canvas.import(id, memory, layout)?;
        self.next_buffer += 1;
        Ok(Imported { id, path, reason })
    }

    fn allocate(&mut self, _bytes: usize) -> Result<OwnedFd, ImportRefused> {
        Err(ImportRefused("there is no display whose driver has memory".to_owned()))
    }

    /// Nothing is scanned out, so nothing has to lie in any way.
    fn scans_out(&self, _dmabuf: BorrowedFd<'_>) -> Result<(), ImportRefused> {
        Ok(())
    }

    /// Frames are composed at once, so a frame on its way reads no guest memory: nothing is held any longer.
    fn evict(&mut self, buffer: BufferId) {
        if self.canvas.evict(buffer) {
            self.events.push(Event::BufferReleased(buffer));
        }
    }

    fn commit(&mut self, output: OutputId, frame: Frame) -> Commit {
        let now = self.now();
        let Some(target) = self.outputs.get_mut(&output).filter(|target| target.due.is_none()) else {
            return Commit::Skipped;
        };
        match self.canvas.draw(output, &frame) {
            Ok(true) => {
                target.due = Some(next_tick(now, target.info.refresh));
                Commit::Submitted
            }
            Ok(false) => Commit::NoDamage,
            Err(error) => {
                tracing::error!(output = target.info.name, %error, "a frame could not be drawn");
                Commit::Skipped
            }
        }
    }

    fn bytes_copied(&self, buffer: BufferId) -> u64 {
        self.canvas.bytes_copied(buffer)
    }

    fn still(&self, buffer: BufferId, part: Rect) -> Result<Pixmap, String> {
        self.canvas.still(buffer, part)
    }

    fn screenshot(&mut self, output: OutputId, pointer: Pointer) -> Result<Pixmap, String> {
        self.canvas.read(output, pointer)
    }

    /// There are no keyboards.
    fn set_lamps(&mut self, _lamps: Lamps) {}

    fn dispatch(&mut self, now: Time) {
        self.now = self.now.max(now);
        let mut shown: Vec<_> = Vec::new();
        for (id, output) in &mut self.outputs {
            if let Some(time) = output.due.take_if(|due| *due <= now) {
                shown.push((time, *id, tick_count(time, output.info.refresh)));
            }
        }
        shown.sort_unstable();
        let presented = |(time, output, sequence)| Event::Presented { output, sequence, time };
        self.events.extend(shown.into_iter().map(presented));
    }

    fn take_events(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.events);
    }

    fn deadline(&self) -> Option<Time> {
        self.outputs.values().filter_map(|output| output.due).min()
    }
}

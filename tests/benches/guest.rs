// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest in the bench's own process. It draws once, and then only flips: what is measured is the backend.

use std::path::Path;
use std::time::Duration;

use grantway::displif::wire::{CreateBuffer, Operation, SetConfig};
use grantway::sim::display_front::{Buffer, DisplayFront, Geometry};
use grantway::sim::front::{self, now};
use grantway::sim::pattern::{self, Format, Pattern};
use grantway::xen::GrantRef;

use crate::Outcome;

const PATIENCE: Duration = Duration::from_secs(30);
const XR24: Format = pattern::FORMATS[2];

/// A buffer and its framebuffer.
struct Surface {
    buffer: Buffer,
    framebuffer: u64,
}

/// How long flips took.
#[derive(Default)]
pub(crate) struct FlipTimes {
    /// From the request to its response.
    pub(crate) reply: Vec<Duration>,
    /// From the request to the flip's event.
    pub(crate) event: Vec<Duration>,
}

/// How long the requests took that change nothing on the display.
#[derive(Default)]
pub(crate) struct ReplyTimes {
    pub(crate) attach: Vec<Duration>,
    pub(crate) detach: Vec<Duration>,
}

/// A guest with two buffers for each connector.
pub(crate) struct Guest {
    front: DisplayFront,
    surfaces: Vec<[Surface; 2]>,
    width: u32,
    height: u32,
    /// Which surface is shown.
    shown: usize,
}

impl Guest {
    /// Connects one with one connector, and shows the first buffer.
    pub(crate) fn start(socket: &Path, size: (u32, u32)) -> Outcome<Self> {
        Self::start_with(socket, "bench", size, 1)
    }

    /// Connects one with so many connectors, and shows the first buffer of each.
    pub(crate) fn start_with(
        socket: &Path,
        name: &str,
        (width, height): (u32, u32),
        connectors: usize,
    ) -> Outcome<Self> {
        let list: Vec<_> = (0..connectors).map(|number| format!("{name}-{number}:{width}x{height}")).collect();
        let device = format!("backend=0,be-alloc=0,connectors={}", list.join(";"));
        let frames = 64 * 256;
        let mut front = DisplayFront::new(front::Guest::start(socket, name, &[&device], frames)?, 0, 1);
        front.connect(PATIENCE)?;
        let mut surfaces = Vec::new();
        for _ in 0..connectors {
            surfaces.push([surface(&mut front, width, height, 0)?, surface(&mut front, width, height, 1)?]);
        }
        let mut guest = Self { front, surfaces, width, height, shown: 0 };
        guest.show()?;
        Ok(guest)
    }

    fn show(&mut self) -> Outcome<()> {
        let (width, height) = (self.width, self.height);
        for (connector, surfaces) in self.surfaces.iter().enumerate() {
            let cookie = surfaces[self.shown].framebuffer;
            self.front.set_config(connector, SetConfig { cookie, x: 0, y: 0, width, height, bpp: XR24.bpp })?;
        }
        Ok(())
    }

    /// Attaches and detaches a framebuffer that is never shown, and adds how long each answer took.
    pub(crate) fn replies(&mut self, pairs: usize, times: &mut ReplyTimes) -> Outcome<()> {
        let buffer = self.surfaces[0][0].buffer.cookie;
        for _ in 0..pairs {
            let start = now();
            let framebuffer = self.front.attach(buffer, self.width, self.height, XR24.fourcc())?;
            let middle = now();
            self.front.detach(framebuffer)?;
            times.attach.push(middle - start);
            times.detach.push(now() - middle);
        }
        Ok(())
    }

    /// Flips so often, each time as soon as the last flip's event is there, as a guest does that draws all the
    /// time.
    pub(crate) fn flips(&mut self, count: usize, times: &mut FlipTimes) -> Outcome<()> {
        for _ in 0..count {
            let started = self.flip_all(times)?;
            self.wait_all(&started, times)?;
        }
        Ok(())
    }

    /// Flips on all connectors; gives when each flip began.
    pub(crate) fn flip_all(&mut self, times: &mut FlipTimes) -> Outcome<Vec<Duration>> {
        self.shown = 1 - self.shown;
        let mut started = Vec::new();
        for (connector, surfaces) in self.surfaces.iter().enumerate() {
            let start = now();
            self.front.flip(connector, surfaces[self.shown].framebuffer)?;
            times.reply.push(now() - start);
            started.push(start);
        }
        Ok(started)
    }

    /// Waits for the events of all flips, which began at these times.
    pub(crate) fn wait_all(&mut self, started: &[Duration], times: &mut FlipTimes) -> Outcome<()> {
        while (0..started.len()).any(|connector| self.front.flip_pending(connector)) {
            for connector in self.front.wait_flips(PATIENCE)? {
                times.event.push(now() - started[connector]);
            }
        }
        Ok(())
    }

    /// Takes the shown buffer away so often, and puts a new one in its place; gives how long each DBUF_DESTROY
    /// took.
    pub(crate) fn destroys(&mut self, count: usize) -> Outcome<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..count {
            let fresh = surface(&mut self.front, self.width, self.height, 0)?;
            let old = std::mem::replace(&mut self.surfaces[0][self.shown], fresh);
            self.front.detach(old.framebuffer)?;
            let start = now();
            self.front.destroy_buffer(old.buffer)?;
            times.push(now() - start);
            self.show()?;
            // On the display before its turn comes.
            self.flips(2, &mut FlipTimes::default())?;
        }
        Ok(times)
    }

    /// Asks so often for one more buffer than it may have; gives how long each refusal took.
    pub(crate) fn refusals(&mut self, count: usize) -> Outcome<Vec<Duration>> {
        let create = CreateBuffer {
            cookie: 0x7e57,
            width: 32,
            height: 32,
            bpp: 32,
            size: 4096,
            flags: 0,
            directory: GrantRef(8),
            data_offset: 0,
        };
        let mut times = Vec::new();
        for _ in 0..count {
            let start = now();
            if self.front.request(0, &Operation::CreateBuffer(create))?.status == 0 {
                return Err("a buffer too many was granted".into());
            }
            times.push(now() - start);
        }
        Ok(times)
    }

    /// Lets go of everything. An error when anything went wrong since the start: the times would be of
    /// something else.
    pub(crate) fn end(mut self) -> Outcome<()> {
        for connector in 0..self.surfaces.len() {
            self.front.set_config(connector, SetConfig::default())?;
        }
        for surface in self.surfaces.into_iter().flatten() {
            self.front.detach(surface.framebuffer)?;
            self.front.destroy_buffer(surface.buffer)?;
        }
        self.front.close()?;
        let counts = self.front.counts;
        let faults = [
            counts.flip_errors,
            counts.bad_ids,
            counts.timeouts,
            counts.flip_timeouts,
            counts.stray_responses,
            counts.still_mapped,
        ];
        if faults.iter().sum::<u64>() > 0 || counts.flips != counts.events {
            return Err(format!("the guest was not served well: {counts:?}").into());
        }
        Ok(())
    }
}

fn surface(front: &mut DisplayFront, width: u32, height: u32, frame: u64) -> Outcome<Surface> {
    let buffer = front.create_buffer(Geometry::picture(width, height, XR24.bpp))?;
    let line = pattern::line(Pattern::Solid, XR24, frame, width);
    let pages = buffer.view(&front.guest)?;
    for y in 0..usize::try_from(height)? {
        pages.write(y * line.len(), &line)?;
    }
    let framebuffer = front.attach(buffer.cookie, width, height, XR24.fourcc())?;
    Ok(Surface { buffer, framebuffer })
}

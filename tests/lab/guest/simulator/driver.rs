// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated front driver as a card. What goes wrong is also told as Linux's driver tells it in the
//! kernel's log, so that a scenario finds it there.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use grantway::displif::wire::SetConfig;
use grantway::sim::display_front::{Buffer, DisplayFront, FLIP_LIMIT, Geometry};
use grantway::sim::front::{FrontError, wait};

use super::script::Script;
use crate::Result;
use crate::card::{Card, Format};

/// The card, as one client of it sees it.
pub(crate) struct SimCard<'a> {
    front: &'a mut DisplayFront,
    client: &'a UnixStream,
    script: &'a mut Script,
    screens: Vec<Screen>,
    objects: Vec<Object>,
    next: u64,
    /// The backend is gone, or the connection is broken: why.
    gone: Option<FrontError>,
}

/// What a connector shows.
#[derive(Clone, Copy, Default)]
struct Screen {
    framebuffer: Option<SetConfig>,
    on: bool,
    /// The flip that is under way.
    tag: u64,
}

/// A buffer with its framebuffer, while it has one.
struct Object {
    id: u64,
    buffer: Buffer,
    framebuffer: Option<u64>,
}

/// Names an object of the card.
pub(crate) struct Surface {
    id: u64,
    format: Format,
    size: (u32, u32),
}

impl<'a> SimCard<'a> {
    pub(crate) fn new(front: &'a mut DisplayFront, client: &'a UnixStream, script: &'a mut Script) -> Self {
        let screens = vec![Screen::default(); front.connectors.len()];
        Self { front, client, script, screens, objects: Vec::new(), next: 1, gone: None }
    }

    /// The client is done: what it has left goes, as when a file of a card is closed.
    pub(crate) fn close(mut self) -> std::result::Result<(), FrontError> {
        for object in std::mem::take(&mut self.objects) {
            if self.gone.is_none() {
                // An error is kept, and told below.
                let _ = self.take_framebuffer(object.framebuffer);
            }
            if self.gone.is_some() {
                self.front.forget_buffer(object.buffer);
            } else {
                let destroyed = self.front.destroy_buffer(object.buffer);
                let _ = self.check("destroying a buffer", destroyed);
            }
        }
        self.complain();
        self.gone.map_or(Ok(()), Err)
    }

    /// The kernel's log.
    fn complain(&mut self) {
        let counts = std::mem::take(&mut self.front.counts);
        for (count, what) in [
            (counts.flip_errors, "page flips refused"),
            (counts.bad_ids, "events with a wrong id dropped"),
            (counts.timeouts, "requests timed out"),
            (counts.flip_timeouts, "frames done timed out"),
            (counts.stray_responses, "responses to nothing"),
            (counts.still_mapped, "pages still mapped by the other end"),
        ] {
            if count > 0 {
                println!("[drm] *ERROR* {count} {what}");
            }
        }
    }

    /// Words a driver's error, and keeps the one that ends the card.
    fn check<T>(&mut self, what: &str, result: std::result::Result<T, FrontError>) -> Result<T> {
        result.map_err(|error| {
            let text = format!("{what}: {error}");
            match error {
                FrontError::Status { .. } | FrontError::TimedOut { .. } => println!("[drm] *ERROR* {text}"),
                FrontError::NoRoom(_) | FrontError::Store { .. } | FrontError::Refused(_) => {}
                FrontError::Io(_) | FrontError::BackendGone => self.gone = Some(error),
            }
            text
        })
    }

    /// An error when whoever asked has gone, or the guest is about to.
    fn interrupted(&mut self) -> Result<()> {
        // The client says nothing after its command line: readable is its end.
        if wait(&[self.client.as_fd()], Duration::ZERO).map_err(|error| error.to_string())? || self.script.ended() {
            return Err("interrupted".into());
        }
        let there = self.front.check_backend();
        self.check("the card", there)
    }

    fn object(&mut self, surface: &Surface) -> Result<&mut Object> {
        self.objects.iter_mut().find(|object| object.id == surface.id).ok_or_else(|| "no such buffer".into())
    }

    fn framebuffer(&mut self, surface: &Surface) -> Result<u64> {
        self.object(surface)?.framebuffer.ok_or_else(|| "the buffer has no framebuffer".into())
    }

    /// Detaches a framebuffer, and blanks before what shows it.
    fn take_framebuffer(&mut self, framebuffer: Option<u64>) -> Result<()> {
        let Some(cookie) = framebuffer else { return Ok(()) };
        for index in 0..self.screens.len() {
            let screen = self.screens[index];
            if screen.framebuffer.is_some_and(|shown| shown.cookie == cookie) {
                self.screens[index] = Screen::default();
                if screen.on {
                    let blanked = self.front.set_config(index, SetConfig::default());
                    self.check("blanking", blanked)?;
                }
            }
        }
        let detached = self.front.detach(cookie);
        self.check("removing the framebuffer", detached)
    }

    /// A flip that the driver makes by itself. Its event is awaited, as the commit's end is.
    fn own_flip(&mut self, connector: usize, cookie: u64) -> Result<()> {
        let asked = self.front.flip(connector, cookie);
        self.check("page flip", asked)?;
        self.await_flip(connector)
    }

    fn await_flip(&mut self, connector: usize) -> Result<()> {
        let done = self.front.wait_flips(FLIP_LIMIT);
        if self.check("waiting for a flip's event", done)?.contains(&connector) {
            return Ok(());
        }
        Err("the flip's event did not come".into())
    }
}

impl Card for SimCard<'_> {
    type Buffer = Surface;

    fn connectors(&self) -> usize {
        self.front.connectors.len()
    }

    fn size(&self, connector: usize) -> (u32, u32) {
        let it = &self.front.connectors[connector];
        (it.width, it.height)
    }

    fn buffer(&mut self, connector: usize, format: Format) -> Result<Surface> {
        self.interrupted()?;
        let (width, height) = self.size(connector);
        let made = self.front.create_buffer(Geometry::picture(width, height, format.bits));
        let buffer = self.check("a buffer", made)?;
        let (id, cookie) = (self.next, buffer.cookie);
        self.next += 1;
        self.objects.push(Object { id, buffer, framebuffer: None });
        let attached = self.front.attach(cookie, width, height, format.fourcc);
        let framebuffer = self.check("a framebuffer", attached)?;
        let surface = Surface { id, format, size: (width, height) };
        self.object(&surface)?.framebuffer = Some(framebuffer);
        Ok(surface)
    }

    fn draw_rows(&mut self, surface: &mut Surface, row: &mut dyn FnMut(u32, &mut Vec<u8>)) -> Result<()> {
        self.interrupted()?;
        let object = self.objects.iter().find(|object| object.id == surface.id).ok_or("no such buffer")?;
        let (pages, pitch) = (object.buffer.view(&self.front.guest), object.buffer.geometry.pitch());
        let pages = self.check("the buffer's pages", pages)?;
        let pitch = usize::try_from(pitch).unwrap_or(0);
        let mut bytes = Vec::new();
        for (y, start) in (0..surface.size.1).zip((0..).step_by(pitch.max(1))) {
            bytes.clear();
            row(y, &mut bytes);
            pages.write(start, &bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn layout(surface: &Surface) -> (u32, Format) {
        (surface.size.0, surface.format)
    }

    fn show(&mut self, connector: usize, surface: &Surface) -> Result<()> {
        self.interrupted()?;
        let cookie = self.framebuffer(surface)?;
        let ((width, height), bpp) = (surface.size, surface.format.bits);
        let config = SetConfig { cookie, x: 0, y: 0, width, height, bpp };
        let shown = self.front.set_config(connector, config);
        self.check("setting the mode", shown)?;
        self.screens[connector] = Screen { framebuffer: Some(config), on: true, tag: 0 };
        Ok(())
    }

    fn flip(&mut self, connector: usize, surface: &Surface, tag: u64) -> Result<()> {
        self.interrupted()?;
        let cookie = self.framebuffer(surface)?;
        let screen = &mut self.screens[connector];
        let Some(config) = screen.framebuffer.as_mut().filter(|_| screen.on) else {
            return Err("a page flip: the connector is off".into());
        };
        config.cookie = cookie;
        screen.tag = tag;
        let asked = self.front.flip(connector, cookie);
        self.check("page flip", asked)
    }

    fn flip_event(&mut self) -> Result<u64> {
        let busy = (0..self.screens.len()).find(|index| self.front.flip_pending(*index));
        let done = match busy {
            Some(connector) => self.await_flip(connector).map(|()| connector)?,
            None => return Err("no flip is under way".into()),
        };
        Ok(self.screens[done].tag)
    }

    /// As Linux's atomic helpers have it: off is first the mode's end and then the plane's update, on is first
    /// the update; and `drm_xen_front` makes a flip of an update whose picture stays.
    fn power(&mut self, connector: usize, on: bool) -> Result<()> {
        self.interrupted()?;
        let Some(config) = self.screens[connector].framebuffer else {
            return Err("the connector shows nothing".into());
        };
        self.screens[connector].on = on;
        if !on {
            let blanked = self.front.set_config(connector, SetConfig::default());
            self.check("switching off", blanked)?;
        }
        self.own_flip(connector, config.cookie)?;
        if on {
            let shown = self.front.set_config(connector, config);
            self.check("switching on", shown)?;
        }
        Ok(())
    }

    fn remove_framebuffer(&mut self, surface: &Surface) -> Result<()> {
        let framebuffer = self.object(surface)?.framebuffer.take();
        self.take_framebuffer(framebuffer)
    }

    fn destroy(&mut self, surface: Surface) -> Result<()> {
        let found = self.objects.iter().position(|object| object.id == surface.id).ok_or("no such buffer")?;
        let object = self.objects.remove(found);
        let destroyed = self.front.destroy_buffer(object.buffer);
        self.check("destroying the buffer", destroyed)
    }

    fn pause(&mut self, time: Option<Duration>) -> Result<()> {
        let end = time.map(|time| Instant::now() + time);
        while end.is_none_or(|end| Instant::now() < end) {
            self.interrupted()?;
            let left = end.map_or(super::LOOK, |end| end.saturating_duration_since(Instant::now()));
            let fds = [self.client.as_fd(), self.front.guest.store_fd()];
            wait(&fds, left.min(super::LOOK)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

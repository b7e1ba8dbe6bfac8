// SPDX-License-Identifier: GPL-3.0-or-later
//! The display buffers of a session, from DBUF_CREATE until their pages are free, and the framebuffers that
//! are attached to them.

use std::collections::BTreeMap;

use crate::time::Time;
use crate::xen::PAGE_SIZE;

use super::conduct::Refusal;
use super::formats::{bits_per_pixel, tight_pitch};
use super::limits::Limits;
use super::page_directory::pages_for;
use super::wire::{AttachFramebuffer, CreateBuffer, Errno, RequestId, Version};
use super::{BufferSerial, FramebufferLayout, FramebufferSerial, Usage};

/// The geometry that a buffer was created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    width: u32,
    height: u32,
    bpp: u32,
}

/// A checked DBUF_CREATE, before its pages are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) pages: usize,
    geometry: Option<Geometry>,
    data_offset: u32,
}

/// A DBUF_DESTROY that waits for the pages to become free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: RequestId,
    pub(super) deadline: Time,
}

/// Freed buffers are not in the table any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Retiring(Option<Waiting>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) serial: BufferSerial,
    pub(super) state: State,
    plan: Plan,
}

/// Bytes of `pages` pages.
fn bytes_of(pages: usize) -> u64 {
    let bytes = pages.checked_mul(PAGE_SIZE).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.unwrap_or(u64::MAX)
}

/// Pages up to the end of a picture; `None` beyond all measure.
fn picture_pages(offset: u32, pitch: u32, height: u32) -> Option<u64> {
    let bytes = u64::from(pitch).checked_mul(u64::from(height))?.checked_add(u64::from(offset))?;
    Some(bytes.div_ceil(u64::try_from(PAGE_SIZE).ok()?))
}

/// Checks a DBUF_CREATE against itself and the limits of a single buffer.
pub(super) fn plan(create: &CreateBuffer, version: Version, limits: &Limits) -> Result<Plan, Refusal> {
    if create.size == 0 {
        return Err(Refusal::invalid("buffer_sz is 0"));
    }
    if create.size > limits.buffer_bytes {
        let why = format!("{} bytes are more than the {} that one buffer may have", create.size, limits.buffer_bytes);
        return Err(Refusal::limit(Errno::NoMemory, why));
    }
    // The field came with version 2; before, it holds whatever the slot held.
    let data_offset = if version >= Version::V2 { create.data_offset } else { 0 };
    if data_offset >= create.size {
        return Err(Refusal::invalid(format!("data_ofs {data_offset} is beyond its {} bytes", create.size)));
    }
    let pages = pages_for(create.size);
    let (width, height, bpp) = (create.width, create.height, create.bpp);
    if (width, height, bpp) == (0, 0, 0) {
        return Ok(Plan { pages, geometry: None, data_offset });
    }
    let picture = format!("picture {width}x{height}x{bpp}");
    check_size(width, height, limits).map_err(|why| Refusal::invalid(format!("{picture} {why}")))?;
    if !matches!(bpp, 16 | 24 | 32) {
        return Err(Refusal::invalid(format!("{picture} has a depth that no format has")));
    }
    let needed = tight_pitch(width, bpp)
        .and_then(|pitch| picture_pages(data_offset, pitch, height))
        .ok_or_else(|| Refusal::invalid(format!("{picture} is beyond all measure")))?;
    if u64::try_from(pages).is_ok_and(|pages| pages < needed) {
        return Err(Refusal::invalid(format!("{picture} needs {needed} pages, directory holds {pages}")));
    }
    Ok(Plan { pages, geometry: Some(Geometry { width, height, bpp }), data_offset })
}

fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err("has no pixels".into());
    }
    if width > limits.width || height > limits.height {
        return Err(format!("is larger than {}x{}", limits.width, limits.height));
    }
    Ok(())
}

/// Alignments of lines that graphics drivers use, in bytes; for imported buffers, whose pitch the protocol
/// does not tell.
const PITCH_ALIGNMENTS: [u32; 4] = [1, 64, 128, 256];

/// How a framebuffer's lines lie in its buffer.
fn layout(plan: &Plan, attach: &AttachFramebuffer, limits: &Limits) -> Result<FramebufferLayout, Refusal> {
    let (width, height) = (attach.width, attach.height);
    check_size(width, height, limits).map_err(|why| Refusal::invalid(format!("{width}x{height} {why}")))?;
    let bpp = bits_per_pixel(attach.fourcc)
        .ok_or_else(|| Refusal::invalid(format!("pixel format {:#010x} is not supported", attach.fourcc)))?;
    let pitch = match plan.geometry {
        Some(geometry) if geometry.bpp != bpp => {
            let why = format!("its format has {bpp} bits a pixel, its buffer {}", geometry.bpp);
            return Err(Refusal::invalid(why));
        }
        Some(geometry) if width > geometry.width || height > geometry.height => {
            let why = format!("{width}x{height} is larger than its buffer's {}x{}", geometry.width, geometry.height);
            return Err(Refusal::invalid(why));
        }
        // The lines are as long as the buffer is wide, however wide the framebuffer is.
        Some(geometry) => tight_pitch(geometry.width, bpp),
        None => guess_pitch(plan, width, height, bpp),
    };
    let pages = u64::try_from(plan.pages).unwrap_or(0);
    let fitting = pitch.filter(|pitch| picture_pages(plan.data_offset, *pitch, height).is_some_and(|n| n <= pages));
    let pitch = fitting.ok_or_else(|| {
        Refusal::invalid(format!("{width}x{height}x{bpp} does not fit into its buffer of {pages} pages"))
    })?;
    Ok(FramebufferLayout { width, height, fourcc: attach.fourcc, pitch, offset: plan.data_offset })
}

/// The pitch of an imported buffer: the first of the usual ones that needs exactly the buffer's pages; else
/// tight.
fn guess_pitch(plan: &Plan, width: u32, height: u32, bpp: u32) -> Option<u32> {
    let tight = tight_pitch(width, bpp)?;
    let pages = u64::try_from(plan.pages).ok()?;
    let exact = PITCH_ALIGNMENTS
        .into_iter()
        .filter_map(|alignment| tight.checked_next_multiple_of(alignment))
        .find(|pitch| picture_pages(plan.data_offset, *pitch, height) == Some(pages));
    Some(exact.unwrap_or(tight))
}

/// All buffers of a session, by the guest's cookies.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    by_cookie: BTreeMap<u64, Buffer>,
    cookies: BTreeMap<BufferSerial, u64>,
    last: u64,
    grants: usize,
}

impl Buffers {
    /// Checks a new buffer against the cookies, and against the limits of all buffers together: the device's, and
    /// with `usage` the guest's.
    pub(super) fn check_room(
        &self,
        cookie: u64,
        pages: usize,
        usage: &Usage,
        connectors: usize,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        if cookie == 0 {
            return Err(Refusal::invalid("cookie 0 is reserved"));
        }
        match self.by_cookie.get(&cookie).map(|buffer| buffer.state) {
            Some(State::Live) => return Err(Refusal::bad(Errno::Exists, "its cookie is in use")),
            Some(State::Retiring(_)) => {
                return Err(Refusal::bad(Errno::Exists, "its cookie is in use until the old pages are free"));
            }
            None => {}
        }
        let most = limits.buffers_per_connector.saturating_mul(connectors);
        if self.by_cookie.len() >= most {
            return Err(Refusal::limit(Errno::NoSpace, format!("there are {most} buffers already")));
        }
        let of_all = limits.buffers_per_connector.saturating_mul(limits.connectors);
        if usage.buffers >= of_all {
            let why = format!("all devices of the guest together have {of_all} buffers already");
            return Err(Refusal::limit(Errno::NoSpace, why));
        }
        let grants = usage.pages.saturating_add(pages);
        if grants > limits.total_grants {
            let why = format!("it would make {grants} grants, the limit is {}", limits.total_grants);
            return Err(Refusal::limit(Errno::NoMemory, why));
        }
        if bytes_of(grants) > limits.total_bytes {
            let why = format!("it would make {} bytes, the limit is {}", bytes_of(grants), limits.total_bytes);
            return Err(Refusal::limit(Errno::NoMemory, why));
        }
        Ok(())
    }

    /// Checks a new buffer of our memory against what the guest has of it.
    pub(super) fn check_allocation(pages: usize, usage: &Usage, limits: &Limits) -> Result<(), Refusal> {
        if usage.overdue > 0 {
            let why = format!("{} pages of our memory are destroyed, and the guest still maps them", usage.overdue);
            return Err(Refusal::limit(Errno::Busy, why));
        }
        let (bytes, most) = (bytes_of(pages), limits.allocated_buffer_bytes);
        if bytes > most {
            let why = format!("{bytes} bytes of our memory are more than the {most} that one buffer may have");
            return Err(Refusal::limit(Errno::NoMemory, why));
        }
        let bytes = bytes_of(usage.allocated.saturating_add(pages));
        if bytes > limits.allocated_bytes {
            let why = format!("it would make {bytes} bytes of our memory, the limit is {}", limits.allocated_bytes);
            return Err(Refusal::limit(Errno::NoMemory, why));
        }
        Ok(())
    }

    /// A serial that no buffer had yet.
    pub(super) fn next_serial(&mut self) -> BufferSerial {
        self.last = self.last.saturating_add(1);
        BufferSerial(self.last)
    }

    pub(super) fn insert(&mut self, cookie: u64, serial: BufferSerial, plan: Plan) {
        self.grants = self.grants.saturating_add(plan.pages);
        self.cookies.insert(serial, cookie);
        self.by_cookie.insert(cookie, Buffer { serial, state: State::Live, plan });
    }

    pub(super) fn get_mut(&mut self, cookie: u64) -> Option<&mut Buffer> {
        self.by_cookie.get_mut(&cookie)
    }

    /// Forgets a retiring buffer whose pages are free. `None` when there is no such buffer, or it lives.
    pub(super) fn remove_freed(&mut self, serial: BufferSerial) -> Option<(u64, Option<Waiting>)> {
        let cookie = *self.cookies.get(&serial)?;
        let buffer = self.by_cookie.get(&cookie)?;
        let State::Retiring(waiting) = buffer.state else { return None };
        self.grants = self.grants.saturating_sub(buffer.plan.pages);
        self.cookies.remove(&serial);
        self.by_cookie.remove(&cookie);
        Some((cookie, waiting))
    }

    /// Ends the wait of every destroy that `over` says yes to.
    pub(super) fn end_waits(&mut self, mut over: impl FnMut(&Waiting) -> bool) -> Vec<(u64, BufferSerial, Waiting)> {
        let mut ended = Vec::new();
        for (cookie, buffer) in &mut self.by_cookie {
            if let State::Retiring(waiting) = &mut buffer.state
                && let Some(wait) = waiting.take_if(|wait| over(wait))
            {
                ended.push((*cookie, buffer.serial, wait));
            }
        }
        ended
    }

    /// Makes every live buffer a retiring one that nobody waits for.
    pub(super) fn retire_all(&mut self) -> Vec<BufferSerial> {
        let live = self.by_cookie.values_mut().filter(|buffer| buffer.state == State::Live);
        live.map(|buffer| {
            buffer.state = State::Retiring(None);
            buffer.serial
        })
        .collect()
    }

    pub(super) fn earliest_deadline(&self) -> Option<Time> {
        let waits = self.by_cookie.values().filter_map(|buffer| match buffer.state {
            State::Retiring(waiting) => waiting,
            State::Live => None,
        });
        waits.map(|wait| wait.deadline).min()
    }

    pub(super) fn len(&self) -> usize {
        self.by_cookie.len()
    }

    pub(super) fn retiring(&self) -> usize {
        self.by_cookie.values().filter(|buffer| buffer.state != State::Live).count()
    }

    pub(super) fn waiting(&self) -> usize {
        self.by_cookie.values().filter(|buffer| matches!(buffer.state, State::Retiring(Some(_)))).count()
    }

    pub(super) const fn grants(&self) -> usize {
        self.grants
    }

    pub(super) fn bytes(&self) -> u64 {
        bytes_of(self.grants)
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn verify_invariants(&self, connectors: usize, limits: &Limits) {
        assert_eq!(self.by_cookie.len(), self.cookies.len());
        for (serial, cookie) in &self.cookies {
            assert_eq!(self.by_cookie.get(cookie).map(|buffer| buffer.serial), Some(*serial));
            assert_ne!(*cookie, 0);
        }
        assert_eq!(self.grants, self.by_cookie.values().map(|buffer| buffer.plan.pages).sum::<usize>());
        assert!(self.len() <= limits.buffers_per_connector * connectors);
        assert!(self.grants <= limits.total_grants && self.bytes() <= limits.total_bytes);
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn is_live(&self, serial: BufferSerial) -> bool {
        self.by_cookie.values().any(|buffer| buffer.serial == serial && buffer.state == State::Live)
    }
}

/// A framebuffer: a picture in a live buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framebuffer {
    pub(super) serial: FramebufferSerial,
    pub(super) buffer: BufferSerial,
    pub(super) layout: FramebufferLayout,
}

/// All framebuffers of a session, by the guest's cookies.
#[derive(Debug, Default)]
pub(super) struct Framebuffers {
    by_cookie: BTreeMap<u64, Framebuffer>,
    last: u64,
}

impl Framebuffers {
    /// Attaches a framebuffer, if it makes sense.
    pub(super) fn attach(
        &mut self,
        attach: &AttachFramebuffer,
        buffers: &Buffers,
        connectors: usize,
        limits: &Limits,
    ) -> Result<Framebuffer, Refusal> {
        if attach.cookie == 0 {
            return Err(Refusal::invalid("cookie 0 is reserved"));
        }
        if self.by_cookie.contains_key(&attach.cookie) {
            return Err(Refusal::bad(Errno::Exists, "its cookie is in use"));
        }
        let unknown = || Refusal::bad(Errno::NoEntry, format!("there is no buffer {:#x}", attach.buffer_cookie));
        let buffer = buffers.by_cookie.get(&attach.buffer_cookie).ok_or_else(unknown)?;
        if buffer.state != State::Live {
            let why = format!("buffer {:#x} is being destroyed", attach.buffer_cookie);
            return Err(Refusal::bad(Errno::NoEntry, why));
        }
        let layout = layout(&buffer.plan, attach, limits)?;
        let most = limits.framebuffers_per_connector.saturating_mul(connectors);
        if self.by_cookie.len() >= most {
            return Err(Refusal::limit(Errno::NoSpace, format!("there are {most} framebuffers already")));
        }
        self.last = self.last.saturating_add(1);
        let framebuffer = Framebuffer { serial: FramebufferSerial(self.last), buffer: buffer.serial, layout };
        self.by_cookie.insert(attach.cookie, framebuffer);
        Ok(framebuffer)
    }

    pub(super) fn get(&self, cookie: u64) -> Option<&Framebuffer> {
        self.by_cookie.get(&cookie)
    }

    pub(super) fn layout(&self, serial: FramebufferSerial) -> Option<FramebufferLayout> {
        self.by_cookie.values().find(|framebuffer| framebuffer.serial == serial).map(|framebuffer| framebuffer.layout)
    }

    pub(super) fn remove(&mut self, cookie: u64) -> Option<Framebuffer> {
        self.by_cookie.remove(&cookie)
    }

    /// Takes away all framebuffers of a buffer, or of all buffers.
    pub(super) fn remove_of(&mut self, buffer: Option<BufferSerial>) -> Vec<FramebufferSerial> {
        let mut removed = Vec::new();
        self.by_cookie.retain(|_, framebuffer| {
            let goes = buffer.is_none_or(|buffer| framebuffer.buffer == buffer);
            if goes {
                removed.push(framebuffer.serial);
            }
            !goes
        });
        removed
    }

    pub(super) fn len(&self) -> usize {
        self.by_cookie.len()
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn verify_invariants(&self, buffers: &Buffers, connectors: usize, limits: &Limits) {
        assert!(self.len() <= limits.framebuffers_per_connector * connectors);
        for framebuffer in self.by_cookie.values() {
            assert!(buffers.is_live(framebuffer.buffer), "{framebuffer:?} outlives its buffer");
            let FramebufferLayout { width, height, pitch, offset, .. } = framebuffer.layout;
            assert!((1..=limits.width).contains(&width) && (1..=limits.height).contains(&height));
            let buffer = buffers.by_cookie.values().find(|buffer| buffer.serial == framebuffer.buffer);
            let pages = buffer.map_or(0, |buffer| buffer.plan.pages);
            assert!(u64::from(offset) + u64::from(pitch) * u64::from(height) <= bytes_of(pages));
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures of outputs for privileged clients (`wlr-screencopy`), guests' content among it. What is asked for is kept
//! here until a frame was drawn, and then copied into the client's memory.

use std::collections::BTreeMap;

use smithay::output::Output;
use smithay::reexports::wayland_protocols_wlr::screencopy::v1::server::zwlr_screencopy_frame_v1::{
    self as frame, Flags, ZwlrScreencopyFrameV1,
};
use smithay::reexports::wayland_protocols_wlr::screencopy::v1::server::zwlr_screencopy_manager_v1::{
    self as manager, ZwlrScreencopyManagerV1,
};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::protocol::wl_shm::Format;
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::privilege::is_privileged;
use super::server::Server;
use super::{Event, shm};
use crate::backend::{OutputId, Pointer};
use crate::scene::element::{Pixmap, Rect};
use crate::time::Time;

/// Frames that a client may have at once, answered or not; more of them fail at once.
const MOST: usize = 16;

/// The protocol's version that we speak.
const VERSION: u32 = 3;

/// Bytes of a pixel.
const PIXEL: u32 = 4;

/// What clients ask for.
#[derive(Debug, Default)]
pub(super) struct Captures {
    managers: Vec<Manager>,
    frames: Vec<Frame>,
    /// How often each output's picture has changed.
    changes: BTreeMap<OutputId, u64>,
}

#[derive(Debug)]
struct Manager {
    object: ZwlrScreencopyManagerV1,
    /// As of which change it has a picture of each output.
    seen: BTreeMap<OutputId, u64>,
}

/// From its creation until its client destroys it.
#[derive(Debug)]
struct Frame {
    object: ZwlrScreencopyFrameV1,
    manager: ZwlrScreencopyManagerV1,
    output: OutputId,
    part: Rect,
    pointer: Pointer,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    New,
    Wanted { buffer: WlBuffer, changed: bool },
    Done,
}

/// Offers the protocol, to those who may see it.
pub(super) fn announce(display: &DisplayHandle) {
    display.create_global::<Server, ZwlrScreencopyManagerV1, ()>(VERSION, ());
}

impl Captures {
    /// The output's picture is another one.
    pub(super) fn changed(&mut self, output: OutputId) {
        let count = self.changes.entry(output).or_default();
        *count = count.wrapping_add(1);
    }

    fn count(&self, output: OutputId) -> u64 {
        self.changes.get(&output).copied().unwrap_or_default()
    }

    /// Whether a manager's client has not had this picture yet.
    fn is_news(&self, manager: &ZwlrScreencopyManagerV1, output: OutputId) -> bool {
        let known = self.managers.iter().find(|known| known.object == *manager);
        known.and_then(|known| known.seen.get(&output)) != Some(&self.count(output))
    }

    fn is_due(&self, frame: &Frame) -> bool {
        match frame.progress {
            Progress::Wanted { changed, .. } => !changed || self.is_news(&frame.manager, frame.output),
            Progress::New | Progress::Done => false,
        }
    }

    /// Whether a picture of the output is wanted now, with the pointer or without it.
    pub(super) fn wants(&self, output: OutputId, pointer: Pointer) -> bool {
        self.frames.iter().any(|frame| frame.output == output && frame.pointer == pointer && self.is_due(frame))
    }

    /// Copies what the output shows to those who want it; `None` where it can't be had.
    pub(super) fn answer(&mut self, output: OutputId, pointer: Pointer, picture: Option<&Pixmap>, now: Time) {
        let mut frames = std::mem::take(&mut self.frames);
        let theirs = frames.iter_mut().filter(|frame| frame.output == output && frame.pointer == pointer);
        for frame in theirs {
            if self.is_due(frame) {
                let part = picture.and_then(|picture| picture.crop(frame.part));
                if frame.give(part.as_ref(), now) {
                    self.note(&frame.manager, output);
                }
            }
        }
        self.frames = frames;
    }

    fn note(&mut self, manager: &ZwlrScreencopyManagerV1, output: OutputId) {
        let count = self.count(output);
        if let Some(known) = self.managers.iter_mut().find(|known| known.object == *manager) {
            known.seen.insert(output, count);
        }
    }

    /// Nothing is to be had of outputs that are dark or gone.
    pub(super) fn fail(&mut self, is_lit: impl Fn(OutputId) -> bool) {
        for frame in self.frames.iter_mut().filter(|frame| !is_lit(frame.output)) {
            if matches!(frame.progress, Progress::Wanted { .. }) {
                frame.give(None, Time::ZERO);
            }
        }
    }

    /// Outputs that are gone are not counted any longer.
    pub(super) fn forget(&mut self, is_there: impl Fn(OutputId) -> bool) {
        self.fail(&is_there);
        self.changes.retain(|output, _| is_there(*output));
        self.managers.iter_mut().for_each(|manager| manager.seen.retain(|output, _| is_there(*output)));
    }

    fn of_client(&self, client: &ClientId) -> usize {
        self.frames.iter().filter(|frame| frame.object.client().is_some_and(|other| other.id() == *client)).count()
    }
}

impl Frame {
    /// Answers, and says whether with a picture.
    fn give(&mut self, picture: Option<&Pixmap>, now: Time) -> bool {
        let Progress::Wanted { buffer, changed } = std::mem::replace(&mut self.progress, Progress::Done) else {
            return false;
        };
        let written = picture.ok_or_else(|| "there is no picture".to_owned()).and_then(|picture| {
            if buffer.is_alive() { shm::write(&buffer, picture) } else { Err("its buffer is gone".to_owned()) }
        });
        if let Err(why) = &written {
            tracing::debug!("a client gets no picture of an output: {why}");
            self.object.failed();
            return false;
        }
        self.object.flags(Flags::empty());
        if changed {
            // What has changed is not kept in parts.
            self.object.damage(0, 0, self.part.width.unsigned_abs(), self.part.height.unsigned_abs());
        }
        let seconds = now.as_secs();
        let half = |half: u64| u32::try_from(half & u64::from(u32::MAX)).unwrap_or_default();
        self.object.ready(half(seconds >> 32), half(seconds), now.subsec_nanos());
        true
    }
}

/// What is asked of a frame that begins.
struct Asked {
    output: WlOutput,
    /// All of the output, or what lies within it of this.
    part: Option<Rect>,
    overlay_cursor: i32,
}

/// What of a region lies within an output; `None` for nothing.
fn within((width, height): (i32, i32), part: Option<Rect>) -> Option<Rect> {
    let part = part.unwrap_or(Rect { x: 0, y: 0, width, height });
    let (left, top) = (part.x.max(0), part.y.max(0));
    let (right, bottom) = (part.right().min(width), part.bottom().min(height));
    let clipped = Rect { x: left, y: top, width: right.saturating_sub(left), height: bottom.saturating_sub(top) };
    (clipped.width > 0 && clipped.height > 0).then_some(clipped)
}

impl Server {
    fn begin_capture(
        &mut self,
        client: &Client,
        manager: &ZwlrScreencopyManagerV1,
        object: ZwlrScreencopyFrameV1,
        asked: &Asked,
    ) {
        let found = Output::from_resource(&asked.output);
        let found = found.filter(|_| self.captures.of_client(&client.id()) < MOST).and_then(|output| {
            let id = *output.user_data().get::<OutputId>()?;
            let size = output.current_mode()?.size;
            Some((id, within((size.w, size.h), asked.part)?))
        });
        let Some((output, part)) = found else { return object.failed() };
        let (width, height) = (part.width.unsigned_abs(), part.height.unsigned_abs());
        object.buffer(Format::Xrgb8888, width, height, width.saturating_mul(PIXEL));
        if object.version() >= frame::EVT_BUFFER_DONE_SINCE {
            object.buffer_done();
        }
        let pointer = if asked.overlay_cursor == 0 { Pointer::Without } else { Pointer::With };
        let manager = manager.clone();
        self.captures.frames.push(Frame { object, manager, output, part, pointer, progress: Progress::New });
    }

    fn want_capture(&mut self, object: &ZwlrScreencopyFrameV1, buffer: WlBuffer, changed: bool) {
        // A frame that has failed from the beginning is on no list.
        let Some(index) = self.captures.frames.iter().position(|frame| frame.object == *object) else { return };
        let Some(frame) = self.captures.frames.get_mut(index) else { return };
        if !matches!(frame.progress, Progress::New) {
            return object.post_error(frame::Error::AlreadyUsed, "a frame is copied once");
        }
        let size = (frame.part.width.unsigned_abs(), frame.part.height.unsigned_abs());
        if let Err(why) = shm::fits(&buffer, size) {
            return object.post_error(frame::Error::InvalidBuffer, why);
        }
        frame.progress = Progress::Wanted { buffer, changed };
        let output = frame.output;
        let due = self.captures.frames.get(index).is_some_and(|frame| self.captures.is_due(frame));
        self.events.extend(due.then_some(Event::Capture(output)));
    }
}

impl GlobalDispatch<ZwlrScreencopyManagerV1, ()> for Server {
    fn bind(
        state: &mut Self,
        _display: &DisplayHandle,
        _client: &Client,
        resource: New<ZwlrScreencopyManagerV1>,
        _data: &(),
        init: &mut DataInit<'_, Self>,
    ) {
        let object = init.init(resource, ());
        state.captures.managers.push(Manager { object, seen: BTreeMap::new() });
    }

    fn can_view(client: Client, _data: &()) -> bool {
        is_privileged(&client)
    }
}

impl Dispatch<ZwlrScreencopyManagerV1, ()> for Server {
    fn request(
        state: &mut Self,
        client: &Client,
        resource: &ZwlrScreencopyManagerV1,
        request: manager::Request,
        _data: &(),
        _display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let (frame, asked) = match request {
            manager::Request::CaptureOutput { frame, overlay_cursor, output } => {
                (frame, Asked { output, part: None, overlay_cursor })
            }
            manager::Request::CaptureOutputRegion { frame, overlay_cursor, output, x, y, width, height } => {
                (frame, Asked { output, part: Some(Rect { x, y, width, height }), overlay_cursor })
            }
            manager::Request::Destroy | _ => return,
        };
        let frame = init.init(frame, ());
        state.begin_capture(client, resource, frame, &asked);
    }

    fn destroyed(state: &mut Self, _client: ClientId, resource: &ZwlrScreencopyManagerV1, _data: &()) {
        state.captures.managers.retain(|manager| manager.object != *resource);
    }
}

impl Dispatch<ZwlrScreencopyFrameV1, ()> for Server {
    fn request(
        state: &mut Self,
        _client: &Client,
        resource: &ZwlrScreencopyFrameV1,
        request: frame::Request,
        _data: &(),
        _display: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
        match request {
            frame::Request::Copy { buffer } => state.want_capture(resource, buffer, false),
            frame::Request::CopyWithDamage { buffer } => state.want_capture(resource, buffer, true),
            frame::Request::Destroy | _ => {}
        }
    }

    fn destroyed(state: &mut Self, _client: ClientId, resource: &ZwlrScreencopyFrameV1, _data: &()) {
        state.captures.frames.retain(|frame| frame.object != *resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_clipped_to_its_output() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        let clip = |part| within((100, 50), part);
        assert_eq!(clip(None), Some(rect(0, 0, 100, 50)));
        assert_eq!(clip(Some(rect(-10, 40, 30, 30))), Some(rect(0, 40, 20, 10)));
        assert_eq!(clip(Some(rect(90, 0, i32::MAX, 1))), Some(rect(90, 0, 10, 1)));
        for nothing in [rect(100, 0, 5, 5), rect(5, 5, 0, 5), rect(5, 5, -3, 5), rect(i32::MIN, 0, 5, 5)] {
            assert_eq!(clip(Some(nothing)), None);
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The displays of one device: a frame's guests go onto planes where the hardware takes them, and the rest is
//! drawn.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use smithay::backend::allocator::Fourcc;
use smithay::backend::allocator::dmabuf::{AsDmabuf, Dmabuf};
use smithay::backend::allocator::format::FormatSet;
use smithay::backend::drm::compositor::{DrmCompositor, FrameError, FrameFlags, PrimaryPlaneElement};
use smithay::backend::drm::{DrmDeviceFd, DrmSurface};
use smithay::backend::renderer::{Bind, ExportMem};
use smithay::output::OutputModeSource;
use smithay::reexports::drm::control::crtc;
use smithay::reexports::drm::{Device as _, DriverCapability};
use smithay::utils::{Scale, Transform};

use super::cursor::CursorPlane;
use super::flips::{self, Seats};
use super::guest_buffers::{GuestBuffers, Named};
use super::pipeline::{Buffers, Drawn, Pipeline};
use super::refusal::Refusal;
use super::scanout::{Means, Refused, Report};
use crate::backend::render::{Gallery, PaintElement, PaintRenderer, Painter, color32, read_back};
use crate::backend::{ImportPath, ImportRefused, PixelLayout, Pointer, Scanout};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, CURSOR_ID, Content, ElementId, Frame, Pixmap, Rect};

/// What the scanout buffers may look like, best first. No alpha: nothing lies below the primary plane.
const SCANOUT_FORMATS: [Fourcc; 5] =
    [Fourcc::Xrgb8888, Fourcc::Argb8888, Fourcc::Xbgr8888, Fourcc::Abgr8888, Fourcc::Rgb565];

/// Frames that are composed after one that the driver took in a test and then not in earnest.
const PATIENCE: u32 = 60;

/// Any format that the primary plane lists, not only the swapchain's.
const ON_PLANES: FrameFlags = FrameFlags::ALLOW_PRIMARY_PLANE_SCANOUT_ANY
    .union(FrameFlags::ALLOW_PRIMARY_PLANE_SCANOUT)
    .union(FrameFlags::ALLOW_OVERLAY_PLANE_SCANOUT);

/// The displays of one device with their renderer.
pub(super) struct Displays<R: PaintRenderer, B: Buffers> {
    painter: Painter<R>,
    buffers: B,
    formats: FormatSet,
    compose_only: bool,
    displays: HashMap<crtc::Handle, Display<R::TextureId, B>>,
    // After the displays, which show them.
    guests: GuestBuffers,
}

struct Display<T, B: Buffers> {
    compositor: DrmCompositor<B::Allocator, B::Exporter, (), DrmDeviceFd>,
    gallery: Gallery<T>,
    /// The frame that was handed over last.
    report: Option<Report>,
    /// The buffer that was drawn into, if any of it was drawn.
    drawn: Option<Dmabuf>,
    /// Whether that was for this frame: an older one's stays on the primary plane as long as it is right.
    draws: bool,
    /// The plane for the pointer.
    pointer: Option<CursorPlane>,
    /// Formats of its planes.
    formats: FormatSet,
    /// Frames to compose before planes are tried.
    composed_for: u32,
    why_composed: Refusal,
    /// Buffers on planes: of the frame that is shown, and of the one on its way.
    shown: Vec<BufferId>,
    flying: Option<Vec<BufferId>>,
    /// Where the guests on planes are.
    seats: Seats,
}

/// What came of a frame that was handed over.
struct Outcome {
    on_planes: Vec<ElementId>,
    refused: Refused,
    drawn: Option<Dmabuf>,
}

impl<T, B: Buffers> Display<T, B> {
    /// What speaks against planes in its next frame, whatever is to go onto them.
    fn refused(&self) -> Option<Refusal> {
        if self.compositor.surface().is_legacy() {
            Some(Refusal::Legacy)
        } else {
            (self.composed_for > 0).then(|| self.why_composed.clone())
        }
    }

    fn uses(&self, id: BufferId) -> bool {
        self.shown.contains(&id) || self.flying.as_ref().is_some_and(|flying| flying.contains(&id))
    }

    /// The frame is on its way, as the one before but for guests' buffers.
    fn flipped(&mut self, frame: Frame) {
        if let Some(report) = &mut self.report {
            report.frame = frame;
            self.flying = Some(report.buffers());
        }
        self.draws = false;
    }

    /// Composes so many frames before planes are tried again.
    fn compose(&mut self, frames: u32, why: Refusal) {
        if self.composed_for <= frames {
            self.composed_for = frames;
            self.why_composed = why;
        }
    }
}

impl<R: PaintRenderer, B: Buffers> fmt::Debug for Displays<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Displays").field("painter", &self.painter).finish_non_exhaustive()
    }
}

impl<R: PaintRenderer, B: Buffers> Displays<R, B> {
    pub(super) fn new(renderer: R, buffers: B, formats: FormatSet, compose_only: bool) -> Result<Self, String> {
        let (painter, guests) = (Painter::new(renderer)?, GuestBuffers::new()?);
        Ok(Self { painter, buffers, formats, compose_only, displays: HashMap::new(), guests })
    }

    /// Removes what no plane shows any more.
    fn sweep(&mut self) {
        let displays = &self.displays;
        self.guests.sweep(|id| displays.values().any(|display| display.uses(id)));
    }

    /// What speaks against a guest on a plane in the display's next frame, whoever it is.
    fn guests_refused(&self, display: &Display<R::TextureId, B>) -> Option<Refusal> {
        if self.compose_only { Some(Refusal::Forbidden) } else { display.refused() }
    }
}

impl<R, B> Displays<R, B>
where
    R: PaintRenderer + Bind<Dmabuf> + ExportMem,
    B: Buffers,
{
    /// Offers the frame's guest buffers and the pointer to the planes. Returns what speaks against it.
    fn offer(&mut self, crtc: crtc::Handle, frame: &Frame) -> Refused {
        let Some(display) = self.displays.get(&crtc) else { return Refused::default() };
        let guests = self.guests_refused(display);
        let mut some = Vec::new();
        let offered = if guests.is_none() { frame.elements.as_slice() } else { &[] };
        for element in offered {
            let Content::Buffer { buffer, .. } = element.content else { continue };
            let Some((memory, layout)) = self.painter.source(buffer) else { continue };
            let storage = self.guests.storage(&self.buffers, buffer, memory, &layout, &display.formats);
            let storage = storage.map_err(|why| some.push((element.id, why))).ok();
            self.painter.set_storage(buffer, storage);
        }
        Refused { guests, some, pointer: self.offer_pointer(crtc, frame) }
    }

    fn offer_pointer(&mut self, crtc: crtc::Handle, frame: &Frame) -> Option<Refusal> {
        let picture = frame.elements.first().and_then(|element| match &element.content {
            Content::Pixmap(picture) if element.id == CURSOR_ID => Some(picture),
            Content::Pixmap(_) | Content::Solid(_) | Content::Buffer { .. } => None,
        });
        let (Some(picture), Some(display)) = (picture, self.displays.get_mut(&crtc)) else {
            self.painter.set_pointer(None);
            return None;
        };
        let refused = display.refused().or_else(|| (frame.elements.len() == 1).then_some(Refusal::Alone));
        let prepared = match (&mut display.pointer, refused) {
            (None, _) => Err(Refusal::NoCursorPlane),
            (Some(_), Some(why)) => Err(why),
            (Some(plane), None) => plane.prepare(display.compositor.surface().device_fd(), &self.guests, picture),
        };
        let (picture, refused) = prepared.map_or_else(|why| (None, Some(why)), |picture| (Some(picture), None));
        self.painter.set_pointer(picture);
        refused
    }

    /// Hands over a frame that differs from the last one by flips of guests on planes alone; `None` when it is no such
    /// frame, or the driver refused it.
    fn try_flip(&mut self, crtc: crtc::Handle, frame: &Frame) -> Option<()> {
        let Self { displays, guests, painter, buffers, .. } = self;
        let display = displays.get_mut(&crtc)?;
        let surface = display.compositor.surface();
        if display.composed_for > 0 || !display.seats.may_flip() || surface.commit_pending() {
            return None;
        }
        let report = display.report.as_ref()?;
        let changes = flips::flips(&report.frame, frame, &report.on_planes)?;
        let picture = |element| {
            let buffer = report.frame.buffer(element)?;
            Some((guests.handle(buffer)?, painter.source(buffer)?.1))
        };
        let seats = display.seats.find(surface, &report.on_planes, picture);
        let mut flips = Vec::with_capacity(changes.len());
        for flip in changes {
            let (memory, layout) = painter.source(flip.buffer)?;
            let seat = flips::seat(seats, flip.element, layout)?;
            guests.storage(buffers, flip.buffer, memory, &layout, &display.formats).ok()?;
            flips.push((*seat, guests.handle(flip.buffer)?));
        }
        let committed = flips::commit(surface.device_fd(), &flips);
        committed
            .inspect_err(|error| {
                tracing::debug!(%error, "a flip by itself was refused: from now on frames are tested as a whole");
                display.seats = Seats::Refused;
            })
            .ok()
    }

    /// Draws what no plane takes and hands it over, unless nothing changed.
    fn try_draw(&mut self, crtc: crtc::Handle, frame: &Frame) -> Result<Option<Outcome>, String> {
        let refused = self.offer(crtc, frame);
        let display = self.displays.get_mut(&crtc).ok_or("no such display")?;
        let flags = if display.composed_for == 0 { ON_PLANES } else { FrameFlags::empty() };
        let elements = display.gallery.elements(&mut self.painter, frame);
        self.painter.prepare(&elements)?;
        let result = display
            .compositor
            .render_frame(self.painter.renderer(), &elements, color32(frame.background), flags)
            .map_err(|error| error.to_string())?;
        if result.is_empty {
            return Ok(None);
        }
        let names = |element: &PaintElement<R::TextureId>| element.name();
        let mut on_planes: Vec<ElementId> = result.overlay_elements.iter().copied().map(names).collect();
        let drawn = match &result.primary_element {
            PrimaryPlaneElement::Swapchain(primary) => {
                if result.needs_sync() {
                    // Only where neither the driver nor the GPU knows fences: a few milliseconds at most.
                    primary.sync.wait().map_err(|error| error.to_string())?;
                }
                primary.buffer().export().ok()
            }
            PrimaryPlaneElement::Element(element) => {
                on_planes.push(names(element));
                None
            }
        };
        // It keeps the buffer from being counted as submitted.
        drop(result);
        drop(elements);
        display.compositor.queue_frame(()).map_err(|error| error.to_string())?;
        Ok(Some(Outcome { drawn, on_planes, refused }))
    }

    /// Whether a frame that failed is to be composed now.
    fn compose_instead(&mut self, crtc: crtc::Handle) -> bool {
        let display = self.displays.get_mut(&crtc);
        let Some(display) = display.filter(|display| display.refused().is_none()) else { return false };
        if self.compose_only && display.pointer.is_none() {
            return false;
        }
        display.compose(PATIENCE, Refusal::Failed);
        display.compositor.reset_buffer_ages();
        true
    }

    /// Composes a frame that planes show, for a screenshot, and hands it to nobody.
    fn compose(&mut self, crtc: crtc::Handle, frame: &Frame) -> Result<Pixmap, String> {
        let display = self.displays.get_mut(&crtc).ok_or("no such display")?;
        // All of it is to be drawn, whatever the buffer holds.
        display.compositor.reset_buffer_ages();
        let elements = display.gallery.elements(&mut self.painter, frame);
        self.painter.prepare(&elements)?;
        let renderer = self.painter.renderer();
        let result = display
            .compositor
            .render_frame(renderer, &elements, color32(frame.background), FrameFlags::empty())
            .map_err(|error| error.to_string())?;
        let picture = match &result.primary_element {
            PrimaryPlaneElement::Swapchain(primary) => {
                primary.sync.wait().map_err(|error| error.to_string())?;
                let exported = primary.buffer().export().map_err(|error| error.to_string());
                exported.and_then(|mut buffer| read(renderer, &mut buffer))
            }
            PrimaryPlaneElement::Element(_) => Err("the picture was not composed".to_owned()),
        };
        drop(result);
        // What was drawn is in no frame: the next one must not build on it.
        display.compositor.reset_buffer_ages();
        picture
    }
}

impl<R, B> Pipeline for Displays<R, B>
where
    R: PaintRenderer + Bind<Dmabuf> + ExportMem,
    B: Buffers,
{
    fn renderer(&self) -> &'static str {
        R::NAME
    }

    fn add(&mut self, surface: DrmSurface) -> Result<(), String> {
        let crtc = surface.crtc();
        let (width, height) = surface.pending_mode().size();
        let mode = OutputModeSource::Static {
            size: (i32::from(width), i32::from(height)).into(),
            scale: Scale::from(1.0),
            transform: Transform::Normal,
        };
        // Smithay tells of the last format only, so none that is hopeless may be among them.
        let scanout = scanout_formats(&surface);
        if scanout.is_empty() {
            return Err("its driver scans out none of the usual formats (XRGB8888 or alike, RGB565)".to_owned());
        }
        let formats = plane_formats(&surface);
        let (planes, pointer) = CursorPlane::among(surface.planes().clone(), largest_cursor(&surface));
        let compositor = DrmCompositor::new(
            mode,
            surface,
            Some(planes),
            self.buffers.allocator(),
            self.buffers.exporter(),
            scanout,
            self.formats.iter().copied(),
            // It fills no cursor plane itself.
            (0, 0).into(),
            None,
        )
        .map_err(|error| refusal(&error))?;
        let display = Display {
            compositor,
            gallery: Gallery::default(),
            report: None,
            drawn: None,
            draws: true,
            pointer,
            formats,
            composed_for: 1,
            why_composed: Refusal::JustSet,
            shown: Vec::new(),
            flying: None,
            seats: Seats::default(),
        };
        self.displays.insert(crtc, display);
        Ok(())
    }

    fn remove(&mut self, crtc: crtc::Handle) {
        self.displays.remove(&crtc);
        self.sweep();
    }

    fn import(
        &mut self,
        id: BufferId,
        memory: Rc<BufferMemory>,
        layout: PixelLayout,
    ) -> Result<(ImportPath, String), ImportRefused> {
        self.painter.import(id, memory, layout)
    }

    fn evict(&mut self, id: BufferId) {
        self.painter.evict(id);
        self.guests.evict(id);
        self.sweep();
    }

    fn holds(&self, id: BufferId) -> bool {
        self.guests.holds(id)
    }

    fn take_away(&mut self) {
        let guests = &self.guests;
        let crtcs: Vec<_> = self
            .displays
            .iter()
            .filter(|(_, display)| guests.evicted().any(|id| display.uses(id)))
            .map(|(crtc, _)| *crtc)
            .collect();
        self.guests.sweep(|_| false);
        for crtc in crtcs {
            self.reset(crtc);
        }
    }

    fn bytes_copied(&self, id: BufferId) -> u64 {
        self.painter.bytes_copied(id)
    }

    fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String> {
        self.painter.still(id, part)
    }

    fn draw(&mut self, crtc: crtc::Handle, frame: Frame) -> Result<Drawn, String> {
        if self.try_flip(crtc, &frame).is_some()
            && let Some(display) = self.displays.get_mut(&crtc)
        {
            display.flipped(frame);
            return Ok(Drawn::Submitted);
        }
        let drawn = match self.try_draw(crtc, &frame) {
            Err(error) if self.compose_instead(crtc) => {
                // Within the same frame: the guests whose flips are in it must not wait.
                tracing::debug!(error, "a frame on planes failed, it is composed");
                self.try_draw(crtc, &frame)
            }
            drawn => drawn,
        };
        let Some(Outcome { on_planes, refused, drawn }) = drawn? else { return Ok(Drawn::NoDamage) };
        let display = self.displays.get_mut(&crtc).ok_or("no such display")?;
        let report = Report { frame, refused, on_planes };
        display.flying = Some(report.buffers());
        display.composed_for = display.composed_for.saturating_sub(1);
        display.report = Some(report);
        display.seats.forget();
        display.draws = drawn.is_some() && drawn != display.drawn;
        display.drawn = drawn;
        Ok(Drawn::Submitted)
    }

    fn shown(&mut self, crtc: crtc::Handle) -> bool {
        let Some(display) = self.displays.get_mut(&crtc) else { return false };
        if let Err(error) = display.compositor.frame_submitted() {
            tracing::warn!(%error, "a shown frame could not be put away");
        }
        let Some(flying) = display.flying.take() else { return false };
        display.shown = flying;
        let waits = display.report.as_ref().is_some_and(|report| report.refused.waits());
        let more = display.composed_for == 0 && waits;
        self.sweep();
        more
    }

    fn reset(&mut self, crtc: crtc::Handle) {
        let Some(display) = self.displays.get_mut(&crtc) else { return };
        if let Err(error) = display.compositor.reset_state() {
            // The device is going away, or the session; what failed before was logged.
            tracing::debug!(%error, "a display's state could not be read");
        }
        display.seats = Seats::default();
        // Else the frame that failed would count as drawn, and an equal one as no change.
        display.compositor.reset_buffer_ages();
        display.compose(1, Refusal::JustSet);
    }

    fn switch_off(&mut self, crtc: crtc::Handle) {
        let Some(display) = self.displays.get_mut(&crtc) else { return };
        if let Err(error) = display.compositor.clear() {
            tracing::warn!(%error, "a display could not be switched off");
            return;
        }
        (display.shown, display.flying) = (Vec::new(), None);
        self.reset(crtc);
        self.sweep();
    }

    fn draws(&self, crtc: crtc::Handle) -> bool {
        self.displays.get(&crtc).is_none_or(|display| display.draws)
    }

    fn scanout(&self, crtc: crtc::Handle, element: ElementId) -> Option<Scanout> {
        let display = self.displays.get(&crtc)?;
        let pointer = display.pointer.as_ref().and_then(CursorPlane::named).map(Named::handle);
        let means = Means { surface: display.compositor.surface(), guests: &self.guests, pointer };
        let size = |buffer| self.painter.source(buffer).map(|(_, layout)| (layout.width, layout.height));
        display.report.as_ref()?.tell(element, &means, size)
    }

    fn screenshot(&mut self, crtc: crtc::Handle, pointer: Pointer) -> Result<Pixmap, String> {
        let display = self.displays.get_mut(&crtc).ok_or("no such display")?;
        let report = display.report.take().ok_or("nothing was shown yet")?;
        let bare = report.frame.without_pointer().filter(|_| pointer == Pointer::Without);
        if let (Some(drawn), [], None) = (&display.drawn, report.on_planes.as_slice(), &bare) {
            let picture = read(self.painter.renderer(), &mut drawn.clone());
            display.report = Some(report);
            return picture;
        }
        let picture = self.compose(crtc, bare.as_ref().unwrap_or(&report.frame));
        if let Some(display) = self.displays.get_mut(&crtc) {
            display.report = Some(report);
        }
        picture
    }
}

fn read<R: Bind<Dmabuf> + ExportMem>(renderer: &mut R, buffer: &mut Dmabuf) -> Result<Pixmap, String> {
    let target = renderer.bind(buffer).map_err(|error| format!("the picture can't be read back: {error}"))?;
    read_back(renderer, &target)
}

fn scanout_formats(surface: &DrmSurface) -> Vec<Fourcc> {
    let plane = &surface.plane_info().formats;
    SCANOUT_FORMATS.into_iter().filter(|format| plane.iter().any(|listed| listed.code == *format)).collect()
}

/// The largest side of a pointer that the driver allows; 0 where it has none.
fn largest_cursor(surface: &DrmSurface) -> u32 {
    let limit = |side| surface.get_driver_capability(side).ok().and_then(|side| u32::try_from(side).ok());
    let sides = [DriverCapability::CursorWidth, DriverCapability::CursorHeight].map(limit);
    sides.into_iter().flatten().min().unwrap_or(0)
}

/// What the primary plane and the overlays list, from IN_FORMATS where the driver has it.
fn plane_formats(surface: &DrmSurface) -> FormatSet {
    let overlays = surface.planes().overlay.iter().flat_map(|plane| plane.formats.iter());
    surface.plane_info().formats.iter().chain(overlays).copied().collect()
}

fn refusal<A, E, F>(error: &FrameError<A, E, F>) -> String
where
    A: Error + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
    F: Error + Send + Sync + 'static,
{
    if matches!(error, FrameError::AsDmabufError(_)) {
        return format!("{error}: its driver can't share its buffers, which drawing needs; a newer kernel's may");
    }
    error.to_string()
}

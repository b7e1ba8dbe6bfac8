// SPDX-License-Identifier: GPL-3.0-or-later
//! The guests' buffers as framebuffers of one device, which its planes can show.
//!
//! Smithay puts nothing on a plane but Wayland buffers, so each framebuffer gets one, of a client of our own to
//! which nothing is ever sent. It carries the framebuffer's number and holds nothing: what holds a guest's pages is
//! the framebuffer here, and removing it takes it off every plane, whoever still knows its number.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use smithay::backend::allocator::format::FormatSet;
use smithay::backend::allocator::{Buffer, Format as DrmFormat, Modifier};
use smithay::backend::drm::exporter::{ExportBuffer, ExportFramebuffer};
use smithay::backend::drm::gbm::GbmFramebuffer;
use smithay::backend::drm::{DrmDeviceFd, Framebuffer};
use smithay::backend::renderer::utils;
use smithay::reexports::drm::buffer::{DrmFourcc, DrmModifier, Handle, PlanarBuffer};
use smithay::reexports::drm::control::{Device as _, FbCmd2Flags, framebuffer};
use smithay::reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason, ObjectId};
use smithay::reexports::wayland_server::protocol::wl_buffer::{self, WlBuffer};
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, Display, DisplayHandle, Resource};

use super::refusal::Refusal;
use crate::backend::PixelLayout;
use crate::backend::format::{self, Format};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::BufferId;

/// A guest's picture, and as what a device is to take it.
pub(super) struct Source<'a> {
    pub(super) memory: &'a BufferMemory,
    pub(super) layout: &'a PixelLayout,
    pub(super) format: &'a Format,
    pub(super) modifier: Modifier,
}

/// Makes framebuffers of the guests' dma-bufs.
pub(super) trait AddFramebuffer {
    /// A framebuffer that shows the picture without alpha.
    fn add(&self, source: &Source<'_>) -> Result<PlaneFramebuffer, String>;
}

/// A framebuffer for planes; dropping it takes it off them.
pub(super) enum PlaneFramebuffer {
    Gbm(GbmFramebuffer),
    Raw { device: DrmDeviceFd, handle: framebuffer::Handle },
}

impl PlaneFramebuffer {
    fn handle(&self) -> framebuffer::Handle {
        match self {
            Self::Gbm(framebuffer) => *framebuffer.as_ref(),
            Self::Raw { handle, .. } => *handle,
        }
    }
}

impl Drop for PlaneFramebuffer {
    fn drop(&mut self) {
        if let Self::Raw { device, handle } = self
            && let Err(error) = device.destroy_framebuffer(*handle)
        {
            // A device that was unplugged has none left.
            tracing::debug!(%error, "a framebuffer could not be removed");
        }
    }
}

/// A dma-buf as a framebuffer, for a device whose buffers nobody else imports.
pub(super) fn add_raw(device: &DrmDeviceFd, source: &Source<'_>) -> Result<PlaneFramebuffer, String> {
    let Source { memory, layout, format, modifier } = *source;
    let dmabuf = memory.dmabuf().ok_or("there is no dma-buf")?;
    let buffer =
        device.prime_fd_to_buffer(dmabuf).map_err(|error| format!("the driver can't import its dma-buf: {error}"))?;
    let picture = Picture { buffer, layout, code: format.opaque, modifier };
    let flags = if modifier == Modifier::Invalid { FbCmd2Flags::empty() } else { FbCmd2Flags::MODIFIERS };
    let added = device.add_planar_framebuffer(&picture, flags);
    // The framebuffer holds the memory.
    if let Err(error) = device.close_buffer(buffer) {
        tracing::warn!(%error, "the handle of a guest's buffer can't be given back");
    }
    let handle = added.map_err(|error| error.to_string())?;
    Ok(PlaneFramebuffer::Raw { device: device.clone(), handle })
}

struct Picture<'a> {
    buffer: Handle,
    layout: &'a PixelLayout,
    code: DrmFourcc,
    modifier: Modifier,
}

impl PlanarBuffer for Picture<'_> {
    fn size(&self) -> (u32, u32) {
        (self.layout.width, self.layout.height)
    }

    fn format(&self) -> DrmFourcc {
        self.code
    }

    fn modifier(&self) -> Option<DrmModifier> {
        Some(self.modifier).filter(|modifier| *modifier != Modifier::Invalid)
    }

    fn pitches(&self) -> [u32; 4] {
        [self.layout.pitch, 0, 0, 0]
    }

    fn handles(&self) -> [Option<Handle>; 4] {
        [Some(self.buffer), None, None, None]
    }

    fn offsets(&self) -> [u32; 4] {
        [self.layout.offset, 0, 0, 0]
    }
}

/// What a plane may show beside the swapchain: the number of a framebuffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    handle: framebuffer::Handle,
    format: DrmFormat,
}

/// A framebuffer on a plane: of the swapchain, or a guest's.
#[derive(Debug)]
pub(super) enum OnPlane<F> {
    Own(F),
    Guest(Numbered),
}

impl<F: Framebuffer> AsRef<framebuffer::Handle> for OnPlane<F> {
    fn as_ref(&self) -> &framebuffer::Handle {
        match self {
            Self::Own(framebuffer) => framebuffer.as_ref(),
            Self::Guest(numbered) => &numbered.handle,
        }
    }
}

impl<F: Framebuffer> Framebuffer for OnPlane<F> {
    fn format(&self) -> DrmFormat {
        match self {
            Self::Own(framebuffer) => framebuffer.format(),
            Self::Guest(numbered) => numbered.format,
        }
    }
}

/// Exports the swapchain's buffers, and knows the guests' framebuffers.
#[derive(Debug)]
pub(super) struct WithGuests<E>(pub(super) E);

impl<B: Buffer, E: ExportFramebuffer<B>> ExportFramebuffer<B> for WithGuests<E> {
    type Framebuffer = OnPlane<E::Framebuffer>;
    type Error = E::Error;

    fn add_framebuffer(
        &self,
        drm: &DrmDeviceFd,
        buffer: ExportBuffer<'_, B>,
        use_opaque: bool,
    ) -> Result<Option<Self::Framebuffer>, Self::Error> {
        match buffer {
            ExportBuffer::Wayland(buffer) => Ok(buffer.data::<Numbered>().copied().map(OnPlane::Guest)),
            ExportBuffer::Allocator(_) => Ok(self.0.add_framebuffer(drm, buffer, use_opaque)?.map(OnPlane::Own)),
        }
    }

    fn can_add_framebuffer(&self, buffer: &ExportBuffer<'_, B>) -> bool {
        match buffer {
            ExportBuffer::Wayland(buffer) => buffer.data::<Numbered>().is_some(),
            ExportBuffer::Allocator(_) => self.0.can_add_framebuffer(buffer),
        }
    }
}

/// A framebuffer by the name under which Smithay knows it.
pub(super) struct Named {
    storage: utils::Buffer,
    framebuffer: PlaneFramebuffer,
    client: Rc<OwnClient>,
}

impl Named {
    /// What Smithay is handed.
    pub(super) fn storage(&self) -> utils::Buffer {
        self.storage.clone()
    }

    /// The framebuffer's number.
    pub(super) fn handle(&self) -> framebuffer::Handle {
        self.framebuffer.handle()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.client.leave(&self.storage);
    }
}

struct Entry {
    named: Named,
    evicted: bool,
}

/// The guests' buffers on one device: at most one framebuffer for each that is imported.
pub(super) struct GuestBuffers {
    entries: HashMap<BufferId, Result<Entry, Refusal>>,
    client: Rc<OwnClient>,
    /// How many buffers the client has had.
    had: u32,
}

/// Buffers of one client, for which the library remembers some bytes until the client's end; then comes the next.
const BUFFERS_OF_A_CLIENT: u32 = 4096;

impl fmt::Debug for GuestBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestBuffers").field("buffers", &self.entries.len()).finish_non_exhaustive()
    }
}

impl GuestBuffers {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self { entries: HashMap::new(), client: Rc::new(OwnClient::new()?), had: 0 })
    }

    /// The buffer as planes with these formats show it; made at the first call, and kept.
    pub(super) fn storage(
        &mut self,
        device: &impl AddFramebuffer,
        id: BufferId,
        memory: &Rc<BufferMemory>,
        layout: &PixelLayout,
        formats: &FormatSet,
    ) -> Result<utils::Buffer, Refusal> {
        let Self { entries, client, had } = self;
        let entry = entries.entry(id).or_insert_with(|| {
            *had = had.wrapping_add(1);
            if had.is_multiple_of(BUFFERS_OF_A_CLIENT)
                && let Ok(next) = OwnClient::new()
            {
                *client = Rc::new(next);
            }
            client.enter(device, memory, layout, formats)
        });
        entry.as_ref().map(|entry| entry.named.storage()).map_err(Clone::clone)
    }

    /// Names a framebuffer of ours.
    pub(super) fn name(&self, framebuffer: PlaneFramebuffer, format: DrmFormat) -> Result<Named, String> {
        self.client.name(framebuffer, format)
    }

    /// The framebuffer's number.
    pub(super) fn handle(&self, id: BufferId) -> Option<framebuffer::Handle> {
        Some(self.entries.get(&id)?.as_ref().ok()?.named.handle())
    }

    /// The buffer is in no later frame.
    pub(super) fn evict(&mut self, id: BufferId) {
        match self.entries.get_mut(&id) {
            Some(Ok(entry)) => entry.evicted = true,
            Some(Err(_)) => drop(self.entries.remove(&id)),
            None => {}
        }
    }

    /// Evicted buffers that a framebuffer still holds.
    pub(super) fn evicted(&self) -> impl Iterator<Item = BufferId> {
        let evicted = |entry: &Result<Entry, Refusal>| entry.as_ref().is_ok_and(|entry| entry.evicted);
        self.entries.iter().filter(move |(_, entry)| evicted(entry)).map(|(id, _)| *id)
    }

    /// Whether a framebuffer still holds the buffer's pages.
    pub(super) fn holds(&self, id: BufferId) -> bool {
        matches!(self.entries.get(&id), Some(Ok(_)))
    }

    /// Removes the framebuffers of evicted buffers that no display uses.
    pub(super) fn sweep(&mut self, in_use: impl Fn(BufferId) -> bool) {
        self.entries.retain(|id, entry| !entry.as_ref().is_ok_and(|entry| entry.evicted && !in_use(*id)));
    }
}

/// The one client of a Wayland display that nobody can connect to.
struct OwnClient {
    display: Display<Nobody>,
    client: Client,
    _peer: UnixStream,
}

struct Nobody;

impl ClientData for Nobody {
    fn initialized(&self, _client: ClientId) {}
    fn disconnected(&self, _client: ClientId, _reason: DisconnectReason) {}
}

impl Dispatch<WlBuffer, Numbered> for Nobody {
    fn request(
        _state: &mut Self,
        _client: &Client,
        _resource: &WlBuffer,
        _request: wl_buffer::Request,
        _data: &Numbered,
        _handle: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
    }
}

impl OwnClient {
    fn new() -> Result<Self, String> {
        let failed = |what: &str| format!("the planes' own client: {what}");
        let display = Display::new().map_err(|error| failed(&error.to_string()))?;
        let (ours, peer) = UnixStream::pair().map_err(|error| failed(&error.to_string()))?;
        let client =
            display.handle().insert_client(ours, Arc::new(Nobody)).map_err(|error| failed(&error.to_string()))?;
        Ok(Self { display, client, _peer: peer })
    }

    fn enter(
        self: &Rc<Self>,
        device: &impl AddFramebuffer,
        memory: &Rc<BufferMemory>,
        layout: &PixelLayout,
        formats: &FormatSet,
    ) -> Result<Entry, Refusal> {
        if memory.dmabuf().is_none() {
            return Err(Refusal::NoDmabuf);
        }
        let format = format::find(layout.fourcc).ok_or(Refusal::Format(layout.fourcc))?;
        let modifier = [Modifier::Linear, Modifier::Invalid]
            .into_iter()
            .find(|modifier| formats.contains(&DrmFormat { code: format.opaque, modifier: *modifier }))
            .ok_or(Refusal::Format(layout.fourcc))?;
        let framebuffer = device
            .add(&Source { memory, layout, format, modifier })
            .map_err(|error| Refusal::framebuffer(layout.pitch, &error))?;
        let named = self.name(framebuffer, DrmFormat { code: format.opaque, modifier });
        named.map(|named| Entry { named, evicted: false }).map_err(|error| Refusal::framebuffer(0, &error))
    }

    fn name(self: &Rc<Self>, framebuffer: PlaneFramebuffer, format: DrmFormat) -> Result<Named, String> {
        let numbered = Numbered { handle: framebuffer.handle(), format };
        let buffer = self.client.create_resource::<WlBuffer, Numbered, Nobody>(&self.display.handle(), 1, numbered);
        let storage = utils::Buffer::with_implicit(buffer.map_err(|error| error.to_string())?);
        Ok(Named { storage, framebuffer, client: Rc::clone(self) })
    }

    /// The buffer ends before its last user lets go of it, so that nothing is sent about that.
    fn leave(&self, storage: &utils::Buffer) {
        let id: ObjectId = storage.id();
        if self.display.handle().backend_handle().destroy_object::<Nobody>(&id).is_err() {
            tracing::error!("a guest's buffer had no name");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use smithay::backend::allocator::dumb::DumbBuffer;
    use smithay::reexports::drm::control::from_u32;
    use smithay::utils::DeviceFd;

    use super::*;
    use crate::xen::grants::ExportMemory;

    const ID: BufferId = BufferId(7);

    /// A device that makes framebuffers of any pitch that is a multiple of 64, and counts them.
    struct Fake {
        device: DrmDeviceFd,
        made: Cell<u32>,
    }

    impl Fake {
        fn new() -> Self {
            let null: OwnedFd = File::open("/dev/null").unwrap().into();
            Self { device: DrmDeviceFd::new(DeviceFd::from(null)), made: Cell::new(0) }
        }
    }

    impl AddFramebuffer for Fake {
        fn add(&self, source: &Source<'_>) -> Result<PlaneFramebuffer, String> {
            if !source.layout.pitch.is_multiple_of(64) {
                return Err("Invalid argument".to_owned());
            }
            self.made.set(self.made.get() + 1);
            let handle = from_u32(40 + self.made.get()).unwrap();
            Ok(PlaneFramebuffer::Raw { device: self.device.clone(), handle })
        }
    }

    fn memory() -> Rc<BufferMemory> {
        let file = memfd_create(c"buffer", MFdFlags::MFD_CLOEXEC).unwrap();
        Rc::new(BufferMemory::new(ExportMemory::Dmabuf(file), 4096))
    }

    fn layout(fourcc: &[u8; 4], pitch: u32) -> PixelLayout {
        PixelLayout { width: 16, height: 16, fourcc: u32::from_le_bytes(*fourcc), pitch, offset: 0 }
    }

    fn formats() -> FormatSet {
        [DrmFormat { code: DrmFourcc::Xrgb8888, modifier: Modifier::Linear }].into_iter().collect()
    }

    #[test]
    fn a_framebuffer_is_made_once_and_gone_on_eviction() {
        let (device, mut guests) = (Fake::new(), GuestBuffers::new().unwrap());
        // Alpha is ignored: it counts as the format without.
        let layout = layout(b"AR24", 64);
        let storage = guests.storage(&device, ID, &memory(), &layout, &formats()).unwrap();
        let again = guests.storage(&device, ID, &memory(), &layout, &formats()).unwrap();
        assert_eq!((again.id(), device.made.get()), (storage.id(), 1));
        assert!(guests.holds(ID));
        guests.sweep(|_| false);
        assert!(guests.holds(ID), "it was not evicted");
        guests.evict(ID);
        guests.sweep(|id| id == ID);
        assert!(guests.holds(ID), "a display still uses it");
        assert_eq!(guests.evicted().collect::<Vec<_>>(), [ID]);
        assert!(storage.is_alive());
        guests.sweep(|_| false);
        assert!(!guests.holds(ID));
        assert!(!storage.is_alive(), "Smithay's caches go by that");
        assert_eq!(guests.handle(ID), None);
    }

    #[test]
    fn many_buffers_come_and_go() {
        let (device, mut guests) = (Fake::new(), GuestBuffers::new().unwrap());
        for id in (1..=5000).map(BufferId) {
            assert!(guests.storage(&device, id, &memory(), &layout(b"XR24", 64), &formats()).is_ok());
            guests.evict(id);
            guests.sweep(|_| false);
        }
        assert!(guests.entries.is_empty());
        assert_eq!(Rc::strong_count(&guests.client), 1);
    }

    #[test]
    fn what_no_plane_can_show_is_refused_with_the_reason() {
        let (device, mut guests) = (Fake::new(), GuestBuffers::new().unwrap());
        let mut refusal = |id, fourcc, pitch| {
            guests.storage(&device, BufferId(id), &memory(), &layout(fourcc, pitch), &formats()).unwrap_err()
        };
        assert_eq!(refusal(1, b"XR24", 5464), Refusal::Pitch(5464));
        assert_eq!(refusal(2, b"RG24", 64), Refusal::Format(u32::from_le_bytes(*b"RG24")));
        assert!(!guests.holds(BufferId(1)));
        guests.evict(BufferId(1));
        assert_eq!(guests.entries.len(), 1);
    }

    #[test]
    fn smithay_is_told_the_number_and_the_format_without_alpha() {
        let (device, mut guests) = (Fake::new(), GuestBuffers::new().unwrap());
        let storage = guests.storage(&device, ID, &memory(), &layout(b"AR24", 64), &formats()).unwrap();
        let exporter = WithGuests(device.device.clone());
        let buffer = || ExportBuffer::<DumbBuffer>::Wayland(&storage);
        assert!(exporter.can_add_framebuffer(&buffer()));
        let added = exporter.add_framebuffer(&device.device, buffer(), false).unwrap().unwrap();
        assert_eq!(Some(*added.as_ref()), guests.handle(ID));
        assert_eq!(added.format(), DrmFormat { code: DrmFourcc::Xrgb8888, modifier: Modifier::Linear });
    }
}

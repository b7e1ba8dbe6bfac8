// SPDX-License-Identifier: GPL-3.0-or-later
//! From a frame of the scene to what Smithay's renderers and compositors draw; shared by all backends.
//!
//! A [`Painter`] owns a renderer and the textures of the guests' buffers; each output has a [`Gallery`],
//! which remembers its elements from frame to frame.

#[allow(unsafe_code, reason = "makes EGL displays and contexts")]
pub mod gles;
#[allow(unsafe_code, reason = "makes pixman images over guest pages")]
mod pixman;

mod copy;
mod element;
mod gallery;

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use smithay::backend::allocator::Fourcc;
use smithay::backend::allocator::dmabuf::Dmabuf;
use smithay::backend::renderer::utils::Buffer;
use smithay::backend::renderer::{ExportMem, ImportMem, Texture, TextureFilter};
use smithay::utils::Rectangle;

use self::copy::{Copied, Staging};
pub use self::element::PaintElement;
pub use self::gallery::{Gallery, color32};
use super::format::{self, Format};
use super::{ImportPath, ImportRefused, PixelLayout};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, CURSOR_ID, Content, Element, ElementId, Pixmap, Rect};

/// A renderer that may sample guest memory where it lies.
pub trait PaintRenderer: ImportMem<TextureId: Clone + 'static> {
    /// Its name, for the user.
    const NAME: &'static str;

    /// Makes a texture over the memory itself. The layout was checked against the memory.
    ///
    /// # Errors
    /// Why not, as a sentence for the user.
    fn share(
        &mut self,
        memory: &Rc<BufferMemory>,
        layout: &PixelLayout,
        format: &Format,
    ) -> Result<Shared<Self::TextureId>, String>;
}

/// A texture that reads guest memory in place. Keep the memory alive beside it.
#[derive(Debug)]
pub struct Shared<T> {
    /// The texture.
    pub texture: T,
    /// How it reads.
    pub path: ImportPath,
    /// Why so, for the user.
    pub reason: String,
    /// The dma-buf as it was handed to the renderer, which forgets the texture when this is dropped.
    pub dmabuf: Option<Dmabuf>,
}

/// A guest buffer as the renderer knows it. The order of the fields is the order in which they go: the
/// memory last.
#[derive(Debug)]
struct GuestBuffer<T> {
    access: Access<T>,
    storage: Option<Buffer>,
    _dmabuf: Option<Dmabuf>,
    layout: PixelLayout,
    memory: Rc<BufferMemory>,
}

/// How a guest buffer's pixels are reached.
#[derive(Debug)]
enum Access<T> {
    Shared(T),
    Copied(Copied<T>),
}

/// A texture that shows (at least) the wanted part of a buffer.
#[derive(Debug)]
struct Ready<T> {
    texture: T,
    /// Where the texture's first pixel is in the buffer.
    origin: (i32, i32),
}

/// The pointer's picture with the margin that a plane wants around it.
#[derive(Clone, Debug)]
pub struct PlanePicture {
    /// What the plane shows.
    pub storage: Buffer,
    /// What is drawn where the plane is refused.
    pub picture: Rc<Pixmap>,
}

impl PlanePicture {
    /// The element that is shown in the place of one without the margin.
    fn wrap(&self, element: &Element) -> Element {
        let side = |pixels| i32::try_from(pixels).unwrap_or(i32::MAX);
        let (width, height) = (side(self.picture.width), side(self.picture.height));
        let content = Content::Pixmap(Rc::clone(&self.picture));
        Element { target: Rect { width, height, ..element.target }, content, ..*element }
    }
}

/// A renderer with the guests' buffers.
pub struct Painter<R: PaintRenderer> {
    renderer: R,
    pointer: Option<PlanePicture>,
    buffers: HashMap<BufferId, GuestBuffer<R::TextureId>>,
    staging: Staging,
}

impl<R: PaintRenderer> fmt::Debug for Painter<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Painter")
            .field("renderer", &R::NAME)
            .field("buffers", &self.buffers.len())
            .finish_non_exhaustive()
    }
}

impl<R: PaintRenderer> Painter<R> {
    /// Takes a renderer over.
    ///
    /// # Errors
    /// A sentence for the user, when it can't draw pixel by pixel.
    pub fn new(mut renderer: R) -> Result<Self, String> {
        set_filter(&mut renderer, TextureFilter::Nearest)?;
        Ok(Self { renderer, pointer: None, buffers: HashMap::new(), staging: Staging::default() })
    }

    /// Scales as these elements want it, for the next frame. Renderers have one filter for all of a frame, which
    /// changes nothing in what is not scaled.
    ///
    /// # Errors
    /// The renderer's, as a sentence for the user.
    pub fn prepare(&mut self, elements: &[PaintElement<R::TextureId>]) -> Result<(), String> {
        let smooth = elements.iter().any(|element| element.smooth);
        set_filter(&mut self.renderer, if smooth { TextureFilter::Linear } else { TextureFilter::Nearest })
    }

    /// The renderer.
    pub const fn renderer(&mut self) -> &mut R {
        &mut self.renderer
    }

    /// Makes a guest buffer showable under the name `id`, in place where the renderer can, else as a copy.
    ///
    /// # Errors
    /// [`ImportRefused`], when the layout doesn't fit the memory or the memory can't be read at all.
    pub fn import(
        &mut self,
        id: BufferId,
        memory: Rc<BufferMemory>,
        layout: PixelLayout,
    ) -> Result<(ImportPath, String), ImportRefused> {
        let format = format::find(layout.fourcc)
            .ok_or_else(|| ImportRefused(format!("format {} is none of those shown", format::name(layout.fourcc))))?;
        format.check(&layout, memory.len()).map_err(ImportRefused)?;
        let (access, dmabuf, path, reason) = match self.renderer.share(&memory, &layout, format) {
            Ok(Shared { texture, path, reason, dmabuf }) => (Access::Shared(texture), dmabuf, path, reason),
            Err(reason) => {
                memory.pages().map_err(|error| ImportRefused(format!("{reason}; nor can the CPU read it: {error}")))?;
                (Access::Copied(Copied::new(format)), None, ImportPath::Copy, reason)
            }
        };
        let buffer = GuestBuffer { access, storage: None, _dmabuf: dmabuf, layout, memory };
        self.buffers.insert(id, buffer);
        Ok((path, reason))
    }

    /// Whether the buffer is known, and not evicted.
    #[must_use]
    pub fn knows(&self, id: BufferId) -> bool {
        self.buffers.contains_key(&id)
    }

    /// The memory and layout of a buffer.
    #[must_use]
    pub fn source(&self, id: BufferId) -> Option<(&Rc<BufferMemory>, PixelLayout)> {
        self.buffers.get(&id).map(|buffer| (&buffer.memory, buffer.layout))
    }

    /// What a plane may show instead of the buffer's texture, from the next list of elements on.
    pub fn set_storage(&mut self, id: BufferId, storage: Option<Buffer>) {
        if let Some(buffer) = self.buffers.get_mut(&id) {
            buffer.storage = storage;
        }
    }

    /// What a plane may show as the pointer, from the next list of elements on.
    pub fn set_pointer(&mut self, picture: Option<PlanePicture>) {
        self.pointer = picture;
    }

    /// What a plane may show instead of an element that is drawn by us.
    fn own_plane(&self, id: ElementId) -> Option<&PlanePicture> {
        self.pointer.as_ref().filter(|_| id == CURSOR_ID)
    }

    /// Forgets a buffer: afterwards neither the painter nor the renderer holds its memory. Elements made
    /// before still do, until they are dropped. Returns whether the buffer was known.
    pub fn evict(&mut self, id: BufferId) -> bool {
        if self.buffers.remove(&id).is_none() {
            return false;
        }
        if let Err(error) = self.renderer.cleanup_texture_cache() {
            tracing::error!(%error, "the renderer could not clean up after a buffer");
        }
        true
    }

    /// Bytes copied of the buffer's pixels so far.
    #[must_use]
    pub fn bytes_copied(&self, id: BufferId) -> u64 {
        match self.buffers.get(&id).map(|buffer| &buffer.access) {
            Some(Access::Copied(copied)) => copied.bytes(),
            Some(Access::Shared(_)) | None => 0,
        }
    }

    /// A texture that shows a part of the buffer as of `version`, copied first where it has to be; `None`
    /// if it can't be read. The part has to lie within the buffer.
    fn texture(&mut self, id: BufferId, part: Rect, version: u64) -> Option<Ready<R::TextureId>> {
        let GuestBuffer { access, memory, layout, .. } = self.buffers.get_mut(&id)?;
        match access {
            Access::Shared(texture) => Some(Ready { texture: texture.clone(), origin: (0, 0) }),
            Access::Copied(copied) => copied
                .ready(&mut self.renderer, &mut self.staging, memory, layout, part, version)
                .map_err(|error| tracing::error!(%error, ?id, "a guest's buffer could not be copied"))
                .ok(),
        }
    }

    /// A copy of a part of the buffer.
    ///
    /// # Errors
    /// A sentence for the user: the buffer is not known, or can't be read.
    pub fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String> {
        let GuestBuffer { memory, layout, .. } = self.buffers.get(&id).ok_or("the buffer is not known")?;
        copy::still(memory, layout, part)
    }

    fn storage(&self, id: BufferId) -> Option<Buffer> {
        self.buffers.get(&id).and_then(|buffer| buffer.storage.clone())
    }
}

fn set_filter<R: PaintRenderer>(renderer: &mut R, filter: TextureFilter) -> Result<(), String> {
    renderer.upscale_filter(filter).and_then(|()| renderer.downscale_filter(filter)).map_err(|error| error.to_string())
}

/// Reads a rendered picture back, opaque.
///
/// # Errors
/// The renderer's, as a sentence for the user.
pub fn read_back<R: ExportMem>(renderer: &mut R, target: &R::Framebuffer<'_>) -> Result<Pixmap, String> {
    let (width, height) = (target.width(), target.height());
    let region = Rectangle::from_size(target.size());
    // RGBA in this order is what every OpenGL ES reads back.
    let mapping = renderer
        .copy_framebuffer(target, region, Fourcc::Abgr8888)
        .map_err(|error| format!("the picture can't be read back: {error}"))?;
    let rgba = renderer.map_texture(&mapping).map_err(|error| format!("the picture can't be mapped: {error}"))?;
    let mut pixels = Vec::with_capacity(rgba.len());
    for [red, green, blue, _] in rgba.as_chunks::<4>().0 {
        pixels.extend_from_slice(&[*blue, *green, *red, 255]);
    }
    Ok(Pixmap { width, height, pixels })
}

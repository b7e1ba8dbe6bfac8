// SPDX-License-Identifier: GPL-3.0-or-later
//! Drawing into memory, by whichever renderer was asked for.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use pixman::Image;
use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::backend::renderer::gles::GlesRenderbuffer;
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::backend::renderer::{ExportMem, Offscreen};
use smithay::utils::Transform;

use super::RendererKind;
use crate::backend::render::{Gallery, PaintRenderer, Painter, color32, gles, read_back};
use crate::backend::{ImportPath, ImportRefused, OutputId, OutputInfo, PixelLayout, Pointer};
use crate::buffer::memory::BufferMemory;
use crate::scene::element::{BufferId, Frame, Pixmap, Rect};

/// A renderer with one picture in memory for each output.
pub(super) trait Canvas: fmt::Debug {
    fn import(
        &mut self,
        id: BufferId,
        memory: Rc<BufferMemory>,
        layout: PixelLayout,
    ) -> Result<(ImportPath, String), ImportRefused>;

    /// Whether the buffer was known; afterwards nothing here holds its memory.
    fn evict(&mut self, id: BufferId) -> bool;

    fn bytes_copied(&self, id: BufferId) -> u64;

    fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String>;

    fn add_output(&mut self, output: &OutputInfo) -> Result<(), String>;

    fn remove_output(&mut self, output: OutputId);

    /// Whether anything had to be drawn.
    fn draw(&mut self, output: OutputId, frame: &Frame) -> Result<bool, String>;

    fn read(&mut self, output: OutputId, pointer: Pointer) -> Result<Pixmap, String>;
}

/// Starts the renderer.
pub(super) fn start(kind: RendererKind) -> Result<Box<dyn Canvas>, String> {
    Ok(match kind {
        RendererKind::Pixman => {
            let renderer = PixmanRenderer::new().map_err(|error| error.to_string())?;
            Box::new(InMemory::<_, Image<'static, 'static>>::new(renderer)?)
        }
        RendererKind::Gl => Box::new(InMemory::<_, GlesRenderbuffer>::new(gles::without_display()?)?),
    })
}

struct InMemory<R: PaintRenderer, T> {
    painter: Painter<R>,
    pictures: HashMap<OutputId, Picture<R, T>>,
}

struct Picture<R: PaintRenderer, T> {
    target: T,
    tracker: OutputDamageTracker,
    gallery: Gallery<R::TextureId>,
    size: (i32, i32),
    /// What it shows.
    frame: Option<Frame>,
}

impl<R: PaintRenderer, T> fmt::Debug for InMemory<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").field("painter", &self.painter).finish_non_exhaustive()
    }
}

impl<R: PaintRenderer, T> InMemory<R, T> {
    fn new(renderer: R) -> Result<Self, String> {
        Ok(Self { painter: Painter::new(renderer)?, pictures: HashMap::new() })
    }
}

impl<R, T> Canvas for InMemory<R, T>
where
    R: PaintRenderer + ExportMem + Offscreen<T>,
{
    fn import(
        &mut self,
        id: BufferId,
        memory: Rc<BufferMemory>,
        layout: PixelLayout,
    ) -> Result<(ImportPath, String), ImportRefused> {
        self.painter.import(id, memory, layout)
    }

    fn evict(&mut self, id: BufferId) -> bool {
        self.painter.evict(id)
    }

    fn bytes_copied(&self, id: BufferId) -> u64 {
        self.painter.bytes_copied(id)
    }

    fn still(&self, id: BufferId, part: Rect) -> Result<Pixmap, String> {
        self.painter.still(id, part)
    }

    fn add_output(&mut self, output: &OutputInfo) -> Result<(), String> {
        let side = |value: u32| i32::try_from(value).map_err(|_| format!("{value} pixels are too many for an output"));
        let (width, height) = (side(output.width)?, side(output.height)?);
        let target = self
            .painter
            .renderer()
            .create_buffer(Fourcc::Abgr8888, (width, height).into())
            .map_err(|error| format!("no picture of {width}x{height} pixels for {}: {error}", output.name))?;
        let tracker = OutputDamageTracker::new((width, height), 1.0, Transform::Normal);
        self.pictures.insert(
            output.id,
            Picture { target, tracker, gallery: Gallery::default(), size: (width, height), frame: None },
        );
        Ok(())
    }

    fn remove_output(&mut self, output: OutputId) {
        self.pictures.remove(&output);
    }

    fn draw(&mut self, output: OutputId, frame: &Frame) -> Result<bool, String> {
        let picture = self.pictures.get_mut(&output).ok_or("no such output")?;
        let elements = picture.gallery.elements(&mut self.painter, frame);
        self.painter.prepare(&elements)?;
        let renderer = self.painter.renderer();
        let mut target = renderer.bind(&mut picture.target).map_err(|error| error.to_string())?;
        let age = usize::from(picture.frame.is_some());
        let result = picture
            .tracker
            .render_output(renderer, &mut target, age, &elements, color32(frame.background))
            .map_err(|error| error.to_string())?;
        let damaged = result.damage.is_some();
        if damaged {
            picture.frame = Some(frame.clone());
        }
        Ok(damaged)
    }

    fn read(&mut self, output: OutputId, pointer: Pointer) -> Result<Pixmap, String> {
        let picture = self.pictures.get_mut(&output).ok_or("there is no such output")?;
        let frame = picture.frame.as_ref().ok_or("the output has not shown anything yet")?;
        let bare = frame.without_pointer().filter(|_| pointer == Pointer::Without);
        if let Some(bare) = bare {
            return compose::<R, T>(&mut self.painter, picture.size, &bare);
        }
        let renderer = self.painter.renderer();
        let target = renderer.bind(&mut picture.target).map_err(|error| error.to_string())?;
        read_back(renderer, &target)
    }
}

/// A picture of a frame that no output shows.
fn compose<R, T>(painter: &mut Painter<R>, size: (i32, i32), frame: &Frame) -> Result<Pixmap, String>
where
    R: PaintRenderer + ExportMem + Offscreen<T>,
{
    let mut target: T =
        painter.renderer().create_buffer(Fourcc::Abgr8888, size.into()).map_err(|error| error.to_string())?;
    let mut gallery = Gallery::default();
    let elements = gallery.elements(painter, frame);
    painter.prepare(&elements)?;
    let renderer = painter.renderer();
    let mut target = renderer.bind(&mut target).map_err(|error| error.to_string())?;
    OutputDamageTracker::new(size, 1.0, Transform::Normal)
        .render_output(renderer, &mut target, 0, &elements, color32(frame.background))
        .map_err(|error| error.to_string())?;
    read_back(renderer, &target)
}

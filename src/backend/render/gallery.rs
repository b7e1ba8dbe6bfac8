// SPDX-License-Identifier: GPL-3.0-or-later
//! What an output showed last, element by element, so that only what changed is drawn again.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::Color32F;
use smithay::backend::renderer::element::Id;
use smithay::backend::renderer::utils::{Buffer, CommitCounter};
use smithay::utils::{Buffer as BufferCoords, Physical, Rectangle, Size, Transform};

use super::element::{Paint, PaintElement};
use super::{PaintRenderer, Painter, Ready};
use crate::scene::element::{BufferId, Color, Content, Element, ElementId, Frame, Pixmap, Rect, Rotation};

/// The elements of one output. `T` is the renderer's texture type.
pub struct Gallery<T> {
    exhibits: HashMap<ElementId, Exhibit<T>>,
    round: u64,
}

struct Exhibit<T> {
    id: Id,
    commit: CommitCounter,
    content: Content,
    /// The texture of a pixmap, and whether it is opaque.
    pixmap: Option<(T, bool)>,
    round: u64,
}

impl<T> fmt::Debug for Gallery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gallery").field("elements", &self.exhibits.len()).finish_non_exhaustive()
    }
}

impl<T> Default for Gallery<T> {
    fn default() -> Self {
        Self { exhibits: HashMap::new(), round: 0 }
    }
}

impl<T: Clone + 'static> Gallery<T> {
    /// Forgets everything: the next frame's elements are all new to the renderer, under new names.
    pub fn clear(&mut self) {
        self.exhibits.clear();
    }

    /// The frame's elements, front to back, as the painter's renderer draws them. A buffer that the painter
    /// doesn't know is left out, and so is what has no area. Guest buffers that have to be copied are copied
    /// here.
    pub fn elements<R>(&mut self, painter: &mut Painter<R>, frame: &Frame) -> Vec<PaintElement<T>>
    where
        R: PaintRenderer<TextureId = T>,
    {
        self.round += 1;
        let elements = frame.elements.iter().filter_map(|element| self.element(painter, element)).collect();
        let round = self.round;
        self.exhibits.retain(|_, exhibit| exhibit.round == round);
        elements
    }

    fn element<R>(&mut self, painter: &mut Painter<R>, element: &Element) -> Option<PaintElement<T>>
    where
        R: PaintRenderer<TextureId = T>,
    {
        if element.target.width <= 0 || element.target.height <= 0 {
            return None;
        }
        let own = painter.own_plane(element.id).cloned();
        let wrapped = own.as_ref().map(|own| own.wrap(element));
        let element = wrapped.as_ref().unwrap_or(element);
        let exhibit = self.exhibits.entry(element.id).or_insert_with(|| Exhibit {
            id: Id::new(),
            commit: CommitCounter::default(),
            content: element.content.clone(),
            pixmap: None,
            round: 0,
        });
        if !same(&exhibit.content, &element.content) {
            exhibit.content = element.content.clone();
            exhibit.commit.increment();
            exhibit.pixmap = None;
        }
        exhibit.round = self.round;
        let (paint, target) = exhibit.paint(painter, element, own.map(|own| own.storage))?;
        Some(PaintElement {
            name: element.id,
            id: exhibit.id.clone(),
            commit: exhibit.commit,
            target: physical(target),
            transform: transform(element.rotation),
            smooth: matches!(element.content, Content::Buffer { smooth: true, .. }),
            paint,
        })
    }
}

impl<T: Clone> Exhibit<T> {
    /// What to draw, and where; `storage` is what a plane may show instead of a picture of ours.
    fn paint<R>(
        &mut self,
        painter: &mut Painter<R>,
        element: &Element,
        storage: Option<Buffer>,
    ) -> Option<(Paint<T>, Rect)>
    where
        R: PaintRenderer<TextureId = T>,
    {
        let target = element.target;
        match &self.content {
            Content::Solid(color) => Some((Paint::Solid(color32(*color)), target)),
            Content::Buffer { buffer, source, version, .. } => {
                let (paint, there) = guest(painter, *buffer, *source, *version)?;
                Some((paint, covered(element, *source, there)))
            }
            Content::Pixmap(pixmap) => {
                if self.pixmap.is_none() {
                    self.pixmap = own(painter, pixmap);
                }
                let (texture, opaque) = self.pixmap.clone()?;
                let size: Size<i32, BufferCoords> =
                    (i32::try_from(pixmap.width).ok()?, i32::try_from(pixmap.height).ok()?).into();
                let source = Rectangle::from_size(size.to_f64());
                Some((Paint::Texture { texture, source, opaque, storage, _memory: None }, target))
            }
        }
    }
}

fn guest<R: PaintRenderer>(
    painter: &mut Painter<R>,
    buffer: BufferId,
    source: Rect,
    version: u64,
) -> Option<(Paint<R::TextureId>, Rect)> {
    let (memory, layout) = painter.source(buffer)?;
    let (width, height) = (i32::try_from(layout.width).ok()?, i32::try_from(layout.height).ok()?);
    let memory = Rc::clone(memory);
    let source = source.intersection(&Rect { x: 0, y: 0, width, height })?;
    let Ready { texture, origin } = painter.texture(buffer, source, version)?;
    let corner = (source.x - origin.0, source.y - origin.1);
    let part: Rectangle<i32, BufferCoords> = Rectangle::new(corner.into(), (source.width, source.height).into());
    let paint = Paint::Texture {
        texture,
        source: part.to_f64(),
        opaque: true,
        // A plane counts from the buffer's corner, as the texture has to: it may show the one or the other.
        storage: painter.storage(buffer).filter(|_| origin == (0, 0)),
        _memory: Some(memory),
    };
    Some((paint, source))
}

/// Where a part of a buffer goes when only `there` of the `wanted` part exists: at 1:1 less is covered,
/// rather than more drawn larger.
fn covered(element: &Element, wanted: Rect, there: Rect) -> Rect {
    let target = element.target;
    if element.rotation != Rotation::None || (target.width, target.height) != (wanted.width, wanted.height) {
        return target;
    }
    let (x, y) = (target.x + (there.x - wanted.x), target.y + (there.y - wanted.y));
    Rect { x, y, width: there.width, height: there.height }
}

fn own<R: PaintRenderer>(painter: &mut Painter<R>, pixmap: &Pixmap) -> Option<(R::TextureId, bool)> {
    let size = (i32::try_from(pixmap.width).ok()?, i32::try_from(pixmap.height).ok()?);
    let opaque = pixmap.pixels.as_chunks::<4>().0.iter().all(|[_, _, _, alpha]| *alpha == 255);
    let format = if opaque { Fourcc::Xrgb8888 } else { Fourcc::Argb8888 };
    painter
        .renderer()
        .import_memory(&pixmap.pixels, format, size.into(), false)
        .map_err(|error| tracing::error!(%error, "a picture of ours could not be uploaded"))
        .ok()
        .map(|texture| (texture, opaque))
}

fn same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (
            Content::Buffer { buffer, source, version, smooth },
            Content::Buffer { buffer: other, source: other_source, version: other_version, smooth: other_smooth },
        ) => buffer == other && source == other_source && version == other_version && smooth == other_smooth,
        (Content::Solid(color), Content::Solid(other)) => color == other,
        (Content::Pixmap(pixmap), Content::Pixmap(other)) => Rc::ptr_eq(pixmap, other),
        (Content::Buffer { .. } | Content::Solid(_) | Content::Pixmap(_), _) => false,
    }
}

/// A buffer of Wayland's that says it was turned is shown turned back, which is clockwise.
const fn transform(rotation: Rotation) -> Transform {
    match rotation {
        Rotation::None => Transform::Normal,
        Rotation::Right => Transform::_90,
        Rotation::Half => Transform::_180,
        Rotation::Left => Transform::_270,
    }
}

fn physical(rect: Rect) -> Rectangle<i32, Physical> {
    Rectangle::new((rect.x, rect.y).into(), (rect.width, rect.height).into())
}

/// A colour as the renderers take it.
#[must_use]
pub fn color32(color: Color) -> Color32F {
    let part = |value: u8| f32::from(value) / 255.0;
    Color32F::new(part(color.red), part(color.green), part(color.blue), 1.0)
}

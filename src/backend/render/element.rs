// SPDX-License-Identifier: GPL-3.0-or-later
//! What Smithay draws: one element of a frame, with a lasting name and a counter of its changes.

use std::rc::Rc;

use smithay::backend::renderer::element::{Element, Id, RenderElement, UnderlyingStorage};
use smithay::backend::renderer::utils::{Buffer, CommitCounter, OpaqueRegions};
use smithay::backend::renderer::{Color32F, Frame as _, Renderer};
use smithay::utils::{Buffer as BufferCoords, Physical, Rectangle, Scale, Transform};

use crate::buffer::memory::BufferMemory;
use crate::scene::element::ElementId;

/// An element ready to be drawn by a renderer whose textures are `T`.
///
/// It keeps what it shows alive: drop the elements once the frame is drawn.
#[derive(Debug)]
pub struct PaintElement<T> {
    pub(super) name: ElementId,
    pub(super) id: Id,
    pub(super) commit: CommitCounter,
    pub(super) target: Rectangle<i32, Physical>,
    /// What the renderers turn a picture by: as Wayland names it, so that `_90` is a quarter clockwise.
    pub(super) transform: Transform,
    /// Scaled with a filter.
    pub(super) smooth: bool,
    pub(super) paint: Paint<T>,
}

#[derive(Debug)]
pub(super) enum Paint<T> {
    Solid(Color32F),
    Texture {
        texture: T,
        source: Rectangle<f64, BufferCoords>,
        opaque: bool,
        /// What a plane may show instead of the texture.
        storage: Option<Buffer>,
        /// The pages that the texture reads; declared last, since the texture has to go first.
        _memory: Option<Rc<BufferMemory>>,
    },
}

impl<T> PaintElement<T> {
    /// The element's name in the frame.
    pub const fn name(&self) -> ElementId {
        self.name
    }
}

impl<T> Element for PaintElement<T> {
    fn id(&self) -> &Id {
        &self.id
    }

    fn current_commit(&self) -> CommitCounter {
        self.commit
    }

    fn src(&self) -> Rectangle<f64, BufferCoords> {
        match &self.paint {
            Paint::Solid(_) => Rectangle::from_size((1.0, 1.0).into()),
            Paint::Texture { source, .. } => *source,
        }
    }

    fn transform(&self) -> Transform {
        self.transform
    }

    fn geometry(&self, _scale: Scale<f64>) -> Rectangle<i32, Physical> {
        self.target
    }

    fn opaque_regions(&self, _scale: Scale<f64>) -> OpaqueRegions<i32, Physical> {
        match &self.paint {
            Paint::Texture { opaque: false, .. } => OpaqueRegions::default(),
            Paint::Texture { opaque: true, .. } | Paint::Solid(_) => {
                OpaqueRegions::from_slice(&[Rectangle::from_size(self.target.size)])
            }
        }
    }
}

impl<R: Renderer> RenderElement<R> for PaintElement<R::TextureId> {
    fn draw(
        &self,
        frame: &mut R::Frame<'_, '_>,
        src: Rectangle<f64, BufferCoords>,
        dst: Rectangle<i32, Physical>,
        damage: &[Rectangle<i32, Physical>],
        opaque_regions: &[Rectangle<i32, Physical>],
    ) -> Result<(), R::Error> {
        match &self.paint {
            Paint::Solid(color) => frame.draw_solid(dst, damage, *color),
            Paint::Texture { texture, .. } => {
                frame.render_texture_from_to(texture, src, dst, damage, opaque_regions, self.transform, 1.0)
            }
        }
    }

    fn underlying_storage(&self, _renderer: &mut R) -> Option<UnderlyingStorage<'_>> {
        match &self.paint {
            Paint::Texture { storage: Some(buffer), .. } => Some(UnderlyingStorage::Wayland(buffer)),
            Paint::Texture { storage: None, .. } | Paint::Solid(_) => None,
        }
    }
}

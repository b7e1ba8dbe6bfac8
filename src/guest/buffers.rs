// SPDX-License-Identifier: GPL-3.0-or-later
//! The buffers of one connected display, until the kernel says that their pages are free again.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::backend::{Imported, PixelLayout, Presentation};
use crate::buffer::memory::BufferMemory;
use crate::displif::pace::Hold;
use crate::displif::page_directory;
use crate::displif::{BufferSerial, FramebufferLayout, FramebufferSerial, Host, Usage};
use crate::scene::element::{BufferId, OutputId};
use crate::time::Time;
use crate::xen::grants::{Access, Allocation, ExportId, GrantError, Grants};
use crate::xen::pages::SharedPages;
use crate::xen::{DomId, GrantRef, PAGE_SIZE};

use super::accounts::{Accounts, Memory};
use super::allocation;

/// A display buffer: an export of the guest's pages, or memory of ours that the guest may map.
#[derive(Debug)]
struct Buffer {
    export: ExportId,
    memory: Option<Rc<BufferMemory>>,
    pages: usize,
    ours: bool,
    provider: &'static str,
    reason: String,
}

/// A framebuffer: a picture in a buffer, as the presentation took it.
#[derive(Debug)]
pub struct Framebuffer {
    /// The buffer that holds the pixels.
    pub buffer: BufferSerial,
    /// Where the pixels lie.
    pub layout: FramebufferLayout,
    /// What the presentation made of it, or why it can't be shown.
    pub imported: Result<Imported, String>,
    /// The connector that showed it last.
    pub connector: Option<usize>,
}

/// How a buffer came to us, for the user.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The provider's name.
    pub provider: &'static str,
    /// Why no better provider; empty for the best one.
    pub reason: &'a str,
}

/// All buffers and framebuffers of one connection.
#[derive(Debug, Default)]
pub struct Buffers {
    buffers: BTreeMap<BufferSerial, Buffer>,
    framebuffers: BTreeMap<FramebufferSerial, Framebuffer>,
    /// Framebuffers that the presentation has been told to let go of, and has not yet.
    evicting: BTreeMap<BufferId, BufferSerial>,
}

impl Buffers {
    /// Imports a framebuffer into the presentation. A refusal is kept with its reason: the guest's request
    /// was in order, so its window shows a placeholder.
    pub fn attach(
        &mut self,
        framebuffer: FramebufferSerial,
        buffer: BufferSerial,
        layout: FramebufferLayout,
        presentation: &mut dyn Presentation,
    ) {
        let memory = self.buffers.get(&buffer).and_then(|buffer| buffer.memory.clone());
        let imported = match memory {
            Some(memory) => presentation.import(memory, pixel_layout(layout)).map_err(|refused| refused.0),
            None => Err("its buffer is on its way back to the guest".to_owned()),
        };
        self.framebuffers.insert(framebuffer, Framebuffer { buffer, layout, imported, connector: None });
    }

    /// Takes a framebuffer out of the presentation, and returns it.
    pub fn detach(
        &mut self,
        framebuffer: FramebufferSerial,
        presentation: &mut dyn Presentation,
    ) -> Option<Framebuffer> {
        let framebuffer = self.framebuffers.remove(&framebuffer)?;
        if let Ok(imported) = &framebuffer.imported {
            self.evicting.insert(imported.id, framebuffer.buffer);
            presentation.evict(imported.id);
        }
        Some(framebuffer)
    }

    /// Drops our own hold of a buffer; the kernel reports the release once nobody holds it. Gives the buffer's
    /// export.
    pub fn retire(&mut self, buffer: BufferSerial) -> Option<ExportId> {
        let buffer = self.buffers.get_mut(&buffer)?;
        buffer.memory = None;
        Some(buffer.export)
    }

    /// The presentation has let go of an evicted framebuffer.
    pub fn let_go(&mut self, buffer: BufferId) {
        self.evicting.remove(&buffer);
    }

    /// The kernel has freed an export: returns its buffer, and forgets it.
    pub fn freed(&mut self, export: ExportId) -> Option<BufferSerial> {
        let serial = self.buffers.iter().find(|(_, buffer)| buffer.export == export).map(|(serial, _)| *serial)?;
        self.buffers.remove(&serial);
        Some(serial)
    }

    /// Lets go of everything, on the way down.
    pub fn clear(&mut self, presentation: &mut dyn Presentation) {
        let framebuffers: Vec<_> = self.framebuffers.keys().copied().collect();
        for framebuffer in framebuffers {
            self.detach(framebuffer, presentation);
        }
        self.buffers.clear();
    }

    /// A framebuffer by its name.
    #[must_use]
    pub fn framebuffer(&self, framebuffer: FramebufferSerial) -> Option<&Framebuffer> {
        self.framebuffers.get(&framebuffer)
    }

    /// A framebuffer by its name, to be changed.
    pub fn framebuffer_mut(&mut self, framebuffer: FramebufferSerial) -> Option<&mut Framebuffer> {
        self.framebuffers.get_mut(&framebuffer)
    }

    /// The framebuffers that a connector showed, with their names in the presentation.
    pub fn imported_on(&self, connector: usize) -> impl Iterator<Item = &Imported> {
        let on_it = move |framebuffer: &&Framebuffer| framebuffer.connector == Some(connector);
        self.framebuffers.values().filter(on_it).filter_map(|framebuffer| framebuffer.imported.as_ref().ok())
    }

    /// How a buffer came to us.
    #[must_use]
    pub fn origin(&self, buffer: BufferSerial) -> Option<Origin<'_>> {
        let buffer = self.buffers.get(&buffer)?;
        Some(Origin { provider: buffer.provider, reason: &buffer.reason })
    }

    /// Pages of the guest that are ours at present.
    #[must_use]
    pub fn pages_held(&self) -> usize {
        self.buffers.values().map(|buffer| buffer.pages).sum()
    }

    /// What still keeps a retired buffer from being free, in words for the log.
    #[must_use]
    pub fn holders(&self, buffer: BufferSerial) -> String {
        let Some(held) = self.buffers.get(&buffer) else { return "nothing".to_owned() };
        if let Some(memory) = &held.memory {
            return format!("the buffer itself, with {} users", Rc::strong_count(memory));
        }
        let evicting = self.evicting.values().filter(|evicted| **evicted == buffer).count();
        match evicting {
            0 if held.ours => "the guest, which maps it, or the kernel".to_owned(),
            0 => "the kernel has not reported the release of its dma-buf".to_owned(),
            count => format!("the presentation has not let go of {count} framebuffers"),
        }
    }

    fn insert(&mut self, serial: BufferSerial, buffer: Buffer) {
        self.buffers.insert(serial, buffer);
    }
}

fn pixel_layout(layout: FramebufferLayout) -> PixelLayout {
    let FramebufferLayout { width, height, fourcc, pitch, offset } = layout;
    PixelLayout { width, height, fourcc, pitch, offset }
}

/// The session's view of one guest's memory.
pub(super) struct GuestMemory<'a> {
    pub(super) domid: DomId,
    pub(super) grants: &'a mut dyn Grants,
    pub(super) presentation: &'a mut dyn Presentation,
    pub(super) accounts: &'a mut Accounts,
    pub(super) buffers: &'a mut Buffers,
    /// How long a guest may take to unmap our memory.
    pub(super) patience: Duration,
    /// The output whose display's EDID a connector is to be handed.
    pub(super) panel: &'a dyn Fn(usize) -> Option<OutputId>,
    pub(super) now: Time,
}

impl GuestMemory<'_> {
    /// Writes an allocation's references where the guest looks for them; it is gone when that fails.
    fn hand_over(&mut self, granted: &Allocation, directory: &SharedPages) -> Result<(), GrantError> {
        let written = page_directory::fill(directory, &granted.refs);
        written.map_err(|error| {
            self.accounts.retire(granted.id, self.now);
            self.grants.end_access(granted.id);
            GrantError::Driver(error.to_string())
        })
    }
}

impl Host for GuestMemory<'_> {
    fn edid(&self, connector: usize) -> Option<Vec<u8>> {
        let output = (self.panel)(connector)?;
        let info = self.presentation.outputs().into_iter().find(|info| info.id == output)?;
        info.edid.map(|edid| edid.to_vec())
    }

    fn usage(&self) -> Usage {
        self.accounts.usage(self.domid, self.now, self.patience)
    }

    fn refused(&mut self, borne_per_second: u32, now: Time) -> Option<Hold> {
        self.accounts.refused(self.domid, borne_per_second, now)
    }

    fn read_page(&mut self, gref: GrantRef) -> Result<[u8; PAGE_SIZE], GrantError> {
        let pages = self.grants.map(self.domid, &[gref], Access::Read)?;
        let mut page = [0; PAGE_SIZE];
        pages.read(0, &mut page).map_err(|error| GrantError::Driver(error.to_string()))?;
        Ok(page)
    }

    fn write_pages(&mut self, refs: &[GrantRef], bytes: &[u8]) -> Result<(), GrantError> {
        let pages = self.grants.map(self.domid, refs, Access::ReadWrite)?;
        let rest = vec![0; pages.len().saturating_sub(bytes.len())];
        let written = pages.write(0, bytes).and_then(|()| pages.write(bytes.len(), &rest));
        written.map_err(|error| GrantError::Driver(error.to_string()))
    }

    fn import(&mut self, buffer: BufferSerial, refs: &[GrantRef]) -> Result<(), GrantError> {
        let export = self.grants.export(self.domid, refs)?;
        self.accounts.charge(export.id, self.domid, refs.len(), Memory::Guests);
        let memory = BufferMemory::new(export.memory, refs.len().saturating_mul(PAGE_SIZE));
        let held = Buffer {
            export: export.id,
            memory: Some(Rc::new(memory)),
            pages: refs.len(),
            ours: false,
            provider: export.provider.name(),
            reason: export.reason,
        };
        self.buffers.insert(buffer, held);
        Ok(())
    }

    fn allocate(&mut self, buffer: BufferSerial, pages: usize, directory: &[GrantRef]) -> Result<(), GrantError> {
        // Before anything is allocated: a directory that can't be written is refused.
        let directory = self.grants.map(self.domid, directory, Access::ReadWrite)?;
        let granted = allocation::allocate(self.grants, self.presentation, self.domid, pages)?;
        self.accounts.charge(granted.id, self.domid, pages, Memory::Ours);
        self.hand_over(&granted, &directory)?;
        let memory = BufferMemory::new(granted.memory, pages.saturating_mul(PAGE_SIZE));
        let held = Buffer {
            export: granted.id,
            memory: Some(Rc::new(memory)),
            pages,
            ours: true,
            provider: granted.provider.name(),
            reason: granted.reason,
        };
        self.buffers.insert(buffer, held);
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The frontend's half of rings and event pages, as a guest's driver does it: for the simulator's guests and
//! for the tests.

use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{Ordering, fence};

use super::PAGE_SIZE;
use super::event_page::{IN_CONS, IN_PROD, Layout};
use super::pages::{OutOfBounds, SharedPages};
use super::ring::{REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD, slot_offset, slots};

/// The front half of a request ring of `SLOT`-byte slots.
#[derive(Debug)]
pub struct FrontRing<const SLOT: usize> {
    pages: SharedPages,
    produced: u32,
    consumed: u32,
}

impl<const SLOT: usize> FrontRing<SLOT> {
    /// Initialises the page as an empty ring.
    ///
    /// # Errors
    /// [`OutOfBounds`] when `pages` is smaller than a page.
    pub fn new(pages: SharedPages) -> Result<Self, OutOfBounds> {
        pages.write(0, &[0; PAGE_SIZE])?;
        pages.store_u32(REQ_EVENT, 1)?;
        pages.store_u32(RSP_EVENT, 1)?;
        Ok(Self { pages, produced: 0, consumed: 0 })
    }

    /// The page, for a guest that does not keep to the rules.
    #[must_use]
    pub const fn pages(&self) -> &SharedPages {
        &self.pages
    }

    /// Slots that can take a request.
    #[must_use]
    pub fn free(&self) -> u32 {
        slots(SLOT).wrapping_sub(self.produced.wrapping_sub(self.consumed))
    }

    /// Puts a request into the ring and lets the backend see it. Returns whether the backend wants to be
    /// notified. The caller sees to it that there is a free slot.
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn push(&mut self, request: &[u8; SLOT]) -> Result<bool, OutOfBounds> {
        self.pages.write(slot_offset(SLOT, self.produced), request)?;
        let before = self.produced;
        self.produced = before.wrapping_add(1);
        self.pages.store_u32(REQ_PROD, self.produced)?;
        fence(Ordering::SeqCst);
        let event = self.pages.load_u32(REQ_EVENT)?;
        Ok(self.produced.wrapping_sub(event) < self.produced.wrapping_sub(before))
    }

    /// Takes the next response, if there is one.
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn pop(&mut self) -> Result<Option<[u8; SLOT]>, OutOfBounds> {
        if self.pages.load_u32(RSP_PROD)? == self.consumed {
            return Ok(None);
        }
        let mut response = [0; SLOT];
        self.pages.read(slot_offset(SLOT, self.consumed), &mut response)?;
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Some(response))
    }

    /// Asks to be notified at the next response, and returns whether one came in meanwhile.
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn final_check(&mut self) -> Result<bool, OutOfBounds> {
        self.pages.store_u32(RSP_EVENT, self.consumed.wrapping_add(1))?;
        fence(Ordering::SeqCst);
        Ok(self.pages.load_u32(RSP_PROD)? != self.consumed)
    }
}

/// The consuming half of an event page of `SLOT`-byte events.
#[derive(Debug)]
pub struct FrontEvents<const SLOT: usize> {
    pages: SharedPages,
    layout: Layout,
    consumed: u32,
}

impl<const SLOT: usize> FrontEvents<SLOT> {
    /// Initialises the page with both counters at `start` (0, except to try the wrap).
    ///
    /// # Errors
    /// [`OutOfBounds`] when `pages` is smaller than a page.
    pub fn new(pages: SharedPages, layout: Layout, start: u32) -> Result<Self, OutOfBounds> {
        pages.write(0, &[0; PAGE_SIZE])?;
        pages.store_u32(IN_CONS, start)?;
        pages.store_u32(IN_PROD, start)?;
        Ok(Self { pages, layout, consumed: start })
    }

    /// The page, for a guest that does not keep to the rules.
    #[must_use]
    pub const fn pages(&self) -> &SharedPages {
        &self.pages
    }

    /// Takes the next event, if there is one, and tells the backend so.
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn pop(&mut self) -> Result<Option<[u8; SLOT]>, OutOfBounds> {
        if self.pages.load_u32(IN_PROD)? == self.consumed {
            return Ok(None);
        }
        let mut event = [0; SLOT];
        self.pages.read(self.layout.offset(SLOT, self.consumed), &mut event)?;
        self.consumed = self.consumed.wrapping_add(1);
        self.pages.store_u32(IN_CONS, self.consumed)?;
        Ok(Some(event))
    }
}

#[repr(C, align(4096))]
struct Page(UnsafeCell<[u8; PAGE_SIZE]>);

/// Zeroed pages on the heap that several [`SharedPages`] of one thread look at, as two domains look at a
/// granted page.
#[derive(Clone)]
pub struct HeapPages(Rc<[Page]>);

impl HeapPages {
    /// Makes `count` zeroed pages.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| Page(UnsafeCell::new([0; PAGE_SIZE]))).collect())
    }

    /// Another view of the same pages.
    #[must_use]
    pub fn share(&self) -> SharedPages {
        let base = NonNull::from(&*self.0).cast();
        // SAFETY: page-aligned by the type, alive as long as the clone of the Rc in the box, and reached only
        // through raw pointers out of the UnsafeCells.
        unsafe { SharedPages::new(base, self.0.len() * PAGE_SIZE, Box::new(Rc::clone(&self.0))) }
    }
}

impl std::fmt::Debug for HeapPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeapPages").field("pages", &self.0.len()).finish()
    }
}

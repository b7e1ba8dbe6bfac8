// SPDX-License-Identifier: GPL-3.0-or-later
//! The one-way event page of displif and kbdif: the backend produces, the frontend consumes, over one page
//! that the frontend granted. Both protocols have `in_cons` at 0 and `in_prod` at 4, and take the slot as the
//! free-running counter modulo the number of slots, which need not be a power of two.

use super::PAGE_SIZE;
use super::pages::{OutOfBounds, SharedPages};

/// Offset of `in_cons`: written by the frontend.
pub const IN_CONS: usize = 0;
/// Offset of `in_prod`: written by the backend.
pub const IN_PROD: usize = 4;

/// Where the slots lie in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Byte offset of the first slot.
    pub base: usize,
    /// Number of slots.
    pub slots: u32,
}

impl Layout {
    /// displif's page: 63 events of 64 bytes (`XENDISPL_IN_RING_*`).
    pub const DISPLIF: Self = Self { base: 64, slots: 63 };
    /// kbdif's page: 51 events of 40 bytes (`XENKBD_IN_RING_*`).
    pub const KBDIF: Self = Self { base: 1024, slots: 51 };

    /// Byte offset of the slot that `counter` names, for slots of `slot` bytes.
    #[must_use]
    pub fn offset(self, slot: usize, counter: u32) -> usize {
        let within = counter.checked_rem(self.slots).unwrap_or(0);
        usize::try_from(within).unwrap_or(0) * slot + self.base
    }
}

/// Whether the page takes another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Free,
    /// The frontend has not consumed enough yet.
    Full,
    /// `in_cons` is ahead of `in_prod`, or further behind than the page is long: the frontend's fault. No
    /// event is written until it makes sense again.
    Implausible,
}

/// The producing half of an event page of `SLOT`-byte events.
#[derive(Debug)]
pub struct EventPage<const SLOT: usize> {
    pages: SharedPages,
    layout: Layout,
    produced: u32,
    published: u32,
}

impl<const SLOT: usize> EventPage<SLOT> {
    /// Takes over a page whose counters stand at `start`; 0 for one that the frontend has just made.
    ///
    /// # Errors
    /// [`OutOfBounds`] when the slots do not fit into `pages`.
    pub fn new(pages: SharedPages, layout: Layout, start: u32) -> Result<Self, OutOfBounds> {
        let slots = usize::try_from(layout.slots).unwrap_or(usize::MAX);
        let end = slots.checked_mul(SLOT).and_then(|bytes| bytes.checked_add(layout.base));
        if end.is_none_or(|end| end > pages.len()) {
            return Err(OutOfBounds { offset: layout.base, bytes: PAGE_SIZE, len: pages.len() });
        }
        Ok(Self { pages, layout, produced: start, published: start })
    }

    /// Events written so far, as the free-running counter.
    #[must_use]
    pub const fn produced(&self) -> u32 {
        self.produced
    }

    /// Whether there is room for one more event. Reads `in_cons` once.
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn room(&self) -> Result<Room, OutOfBounds> {
        let consumed = self.pages.load_u32(IN_CONS)?;
        let outstanding = self.produced.wrapping_sub(consumed);
        if outstanding > self.layout.slots {
            return Ok(Room::Implausible);
        }
        if outstanding == self.layout.slots || self.jump_collides(consumed) {
            return Ok(Room::Full);
        }
        Ok(Room::Free)
    }

    /// 2^32 is no multiple of the number of slots, so where the counter wraps the slot sequence jumps, and the
    /// next slot may still hold one of the last events from before the wrap.
    fn jump_collides(&self, consumed: u32) -> bool {
        let slot = self.layout.offset(SLOT, self.produced);
        self.produced < consumed && (consumed..=u32::MAX).any(|counter| self.layout.offset(SLOT, counter) == slot)
    }

    /// Writes an event, if there is room; the frontend sees it after [`EventPage::publish`].
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn write(&mut self, event: &[u8; SLOT]) -> Result<Room, OutOfBounds> {
        let room = self.room()?;
        if room == Room::Free {
            self.pages.write(self.layout.offset(SLOT, self.produced), event)?;
            self.produced = self.produced.wrapping_add(1);
        }
        Ok(room)
    }

    /// Lets the frontend see what was written. Returns whether there is something new, and so a reason to
    /// notify it: once a batch.
    ///
    /// # Errors
    /// [`OutOfBounds`]: never, as the size was checked.
    pub fn publish(&mut self) -> Result<bool, OutOfBounds> {
        if self.published == self.produced {
            return Ok(false);
        }
        // Stored with release: the payload is written before the index tells of it.
        self.pages.store_u32(IN_PROD, self.produced)?;
        self.published = self.produced;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::front::{FrontEvents, HeapPages};
    use super::*;

    fn pair(start: u32) -> (FrontEvents<64>, EventPage<64>, HeapPages) {
        let heap = HeapPages::new(1);
        let front = FrontEvents::new(heap.share(), Layout::DISPLIF, start).unwrap();
        let back = EventPage::new(heap.share(), Layout::DISPLIF, start).unwrap();
        (front, back, heap)
    }

    fn event(n: u32) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&n.to_ne_bytes());
        bytes
    }

    #[test]
    fn holds_63_events() {
        let (mut front, mut back, _heap) = pair(0);
        for n in 0..63 {
            assert_eq!(back.write(&event(n)).unwrap(), Room::Free);
        }
        assert_eq!(back.write(&event(63)).unwrap(), Room::Full);
        assert_eq!(front.pop().unwrap(), None, "not published");
        assert!(back.publish().unwrap());
        assert!(!back.publish().unwrap());
        assert_eq!(front.pop().unwrap(), Some(event(0)));
        assert_eq!(back.write(&event(63)).unwrap(), Room::Free);
        assert_eq!(back.write(&event(64)).unwrap(), Room::Full);
    }

    #[test]
    fn the_slot_sequence_jumps_at_the_wrap_and_loses_nothing() {
        for backlog in [1, 3, 4, 5, 60, 62, 63] {
            let start = u32::MAX - 200;
            let (mut front, mut back, _heap) = pair(start);
            let (mut written, mut read) = (0, 0);
            while read < 400 {
                while written - read < backlog && back.write(&event(written)).unwrap() == Room::Free {
                    written += 1;
                }
                back.publish().unwrap();
                assert!(written > read, "stuck at {read}");
                assert_eq!(front.pop().unwrap(), Some(event(read)), "backlog {backlog}");
                read += 1;
            }
        }
    }

    #[test]
    fn implausible_consumers_stop_the_page_until_they_make_sense() {
        let (_, mut back, heap) = pair(0);
        back.write(&event(0)).unwrap();
        for bad in [2, 64, 1 << 31, u32::MAX - 62] {
            heap.share().store_u32(IN_CONS, bad).unwrap();
            assert_eq!(back.write(&event(1)).unwrap(), Room::Implausible, "{bad}");
        }
        heap.share().store_u32(IN_CONS, 1).unwrap();
        assert_eq!(back.write(&event(1)).unwrap(), Room::Free);
    }

    #[test]
    fn too_small_a_mapping_is_refused() {
        assert!(EventPage::<64>::new(HeapPages::new(0).share(), Layout::DISPLIF, 0).is_err());
        assert!(EventPage::<40>::new(HeapPages::new(1).share(), Layout::KBDIF, 0).is_ok());
    }
}

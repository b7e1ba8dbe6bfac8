// SPDX-License-Identifier: GPL-3.0-or-later
//! The back half of a Xen shared ring (Xen's `io/ring.h`): requests come in, responses go out, over one page
//! that the frontend granted.
//!
//! Only the private indices are believed; of the frontend's words, `req_prod` is taken once per look and
//! checked, and `rsp_event` only decides whether the frontend is woken.

use std::sync::atomic::{Ordering, fence};

use thiserror::Error;

use super::PAGE_SIZE;
use super::pages::{OutOfBounds, SharedPages};

/// Bytes before the first slot.
pub const HEADER: usize = 64;
/// Offset of `req_prod`: written by the frontend.
pub const REQ_PROD: usize = 0;
/// Offset of `req_event`: written by the backend.
pub const REQ_EVENT: usize = 4;
/// Offset of `rsp_prod`: written by the backend.
pub const RSP_PROD: usize = 8;
/// Offset of `rsp_event`: written by the frontend.
pub const RSP_EVENT: usize = 12;

/// What makes a ring unusable. There is no way back: the frontend's device is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RingFault {
    /// The frontend claims more requests than the ring can hold, or took some back.
    #[error(
        "the request producer stands at {produced}, but {answered} are answered and {taken} taken of a ring of {slots}"
    )]
    ProducerOverrun {
        /// The frontend's `req_prod`.
        produced: u32,
        /// Responses written by us.
        answered: u32,
        /// Requests taken by us.
        taken: u32,
        /// Slots in the ring.
        slots: u32,
    },
    /// A response was to be written that no request waits for: an error of ours.
    #[error("there is no request left to answer")]
    NothingToAnswer,
    /// The mapping is smaller than the ring.
    #[error(transparent)]
    Memory(#[from] OutOfBounds),
}

/// Slots of `SLOT` bytes in a one-page ring: as many as fit, rounded down to a power of two.
#[must_use]
pub fn slots(slot: usize) -> u32 {
    let fitting = u32::try_from((PAGE_SIZE - HEADER) / slot.max(1)).unwrap_or(0);
    fitting.checked_ilog2().map_or(0, |log| 1 << log)
}

/// Byte offset of the slot that the free-running index `index` names.
#[must_use]
pub fn slot_offset(slot: usize, index: u32) -> usize {
    let within = index & slots(slot).wrapping_sub(1);
    usize::try_from(within).unwrap_or(0) * slot + HEADER
}

/// The back half of a ring of `SLOT`-byte slots.
#[derive(Debug)]
pub struct BackRing<const SLOT: usize> {
    pages: SharedPages,
    slots: u32,
    taken: u32,
    answered: u32,
    published: u32,
}

impl<const SLOT: usize> BackRing<SLOT> {
    /// Takes over a ring that the frontend has just initialised: all indices 0.
    ///
    /// # Errors
    /// [`RingFault::Memory`] when `pages` is smaller than a page.
    pub fn new(pages: SharedPages) -> Result<Self, RingFault> {
        if pages.len() < PAGE_SIZE {
            return Err(OutOfBounds { offset: 0, bytes: PAGE_SIZE, len: pages.len() }.into());
        }
        Ok(Self { pages, slots: slots(SLOT), taken: 0, answered: 0, published: 0 })
    }

    /// Requests taken and not answered yet; never more than the ring has slots.
    #[must_use]
    pub const fn unanswered(&self) -> u32 {
        self.taken.wrapping_sub(self.answered)
    }

    /// Requests that wait in the ring.
    fn waiting(&self) -> Result<u32, RingFault> {
        let produced = self.pages.load_u32(REQ_PROD)?;
        let ahead = produced.wrapping_sub(self.answered);
        let waiting = produced.wrapping_sub(self.taken);
        if ahead > self.slots || waiting > self.slots {
            return Err(RingFault::ProducerOverrun {
                produced,
                answered: self.answered,
                taken: self.taken,
                slots: self.slots,
            });
        }
        Ok(waiting)
    }

    /// Copies the next request out of the ring, if there is one.
    ///
    /// # Errors
    /// [`RingFault::ProducerOverrun`].
    pub fn take(&mut self) -> Result<Option<[u8; SLOT]>, RingFault> {
        if self.waiting()? == 0 {
            return Ok(None);
        }
        // The producer was loaded with acquire: the slot's contents are those from before its increment.
        let mut slot = [0; SLOT];
        self.pages.read(slot_offset(SLOT, self.taken), &mut slot)?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(slot))
    }

    /// Writes a response; the frontend sees it after [`BackRing::publish`]. It lands in the slot of a request
    /// that was taken already, whichever request it answers.
    ///
    /// # Errors
    /// [`RingFault::NothingToAnswer`].
    pub fn answer(&mut self, response: &[u8; SLOT]) -> Result<(), RingFault> {
        if self.unanswered() == 0 {
            return Err(RingFault::NothingToAnswer);
        }
        self.pages.write(slot_offset(SLOT, self.answered), response)?;
        self.answered = self.answered.wrapping_add(1);
        Ok(())
    }

    /// Lets the frontend see the responses written so far. Returns whether it wants to be notified.
    ///
    /// # Errors
    /// [`RingFault::Memory`].
    pub fn publish(&mut self) -> Result<bool, RingFault> {
        if self.published == self.answered {
            return Ok(false);
        }
        let before = self.published;
        // Stored with release: the slots are written before the index tells of them.
        self.pages.store_u32(RSP_PROD, self.answered)?;
        self.published = self.answered;
        // The frontend writes rsp_event and then looks at rsp_prod; we write rsp_prod and then look at
        // rsp_event. Without a full barrier both could miss the other's write, and nobody would be woken.
        fence(Ordering::SeqCst);
        let event = self.pages.load_u32(RSP_EVENT)?;
        Ok(self.answered.wrapping_sub(event) < self.answered.wrapping_sub(before))
    }

    /// Asks to be notified at the next request, and returns whether one came in meanwhile.
    ///
    /// # Errors
    /// [`RingFault::ProducerOverrun`].
    pub fn final_check(&mut self) -> Result<bool, RingFault> {
        if self.waiting()? > 0 {
            return Ok(true);
        }
        self.pages.store_u32(REQ_EVENT, self.taken.wrapping_add(1))?;
        // As in publish, with the roles swapped.
        fence(Ordering::SeqCst);
        Ok(self.waiting()? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::front::{FrontRing, HeapPages};
    use super::*;

    fn pair() -> (FrontRing<64>, BackRing<64>, HeapPages) {
        let heap = HeapPages::new(1);
        let front = FrontRing::new(heap.share()).unwrap();
        let back = BackRing::new(heap.share()).unwrap();
        (front, back, heap)
    }

    #[test]
    fn has_32_slots_of_64_bytes() {
        assert_eq!(slots(64), 32);
        assert_eq!(slot_offset(64, 0), 64);
        assert_eq!(slot_offset(64, 33), 128);
    }

    #[test]
    fn carries_requests_and_responses_over_many_rounds() {
        let (mut front, mut back, _heap) = pair();
        for round in 0..1000_u32 {
            let byte = u8::try_from(round % 251).unwrap();
            assert!(front.push(&[byte; 64]).unwrap(), "an idle backend asks for a notification");
            assert_eq!(back.take().unwrap(), Some([byte; 64]));
            assert_eq!(back.take().unwrap(), None);
            back.answer(&[byte ^ 0xff; 64]).unwrap();
            assert!(back.publish().unwrap());
            assert!(!back.publish().unwrap(), "nothing new");
            assert!(!back.final_check().unwrap());
            assert_eq!(front.pop().unwrap(), Some([byte ^ 0xff; 64]));
            assert!(!front.final_check().unwrap());
        }
    }

    #[test]
    fn no_notification_unless_asked_for() {
        let (mut front, mut back, heap) = pair();
        let words = heap.share();
        words.store_u32(RSP_EVENT, 3).unwrap();
        for expected in [false, false, true, false] {
            front.push(&[0; 64]).unwrap();
            back.take().unwrap();
            back.answer(&[0; 64]).unwrap();
            assert_eq!(back.publish().unwrap(), expected);
        }
    }

    #[test]
    fn final_check_sees_a_request_that_came_in_meanwhile() {
        let (mut front, mut back, _heap) = pair();
        front.push(&[1; 64]).unwrap();
        assert!(back.final_check().unwrap());
        back.take().unwrap();
        assert!(!back.final_check().unwrap());
        assert!(front.push(&[2; 64]).unwrap());
    }

    #[test]
    fn a_full_ring_of_held_responses_is_legal_and_one_more_is_not() {
        let (mut front, mut back, heap) = pair();
        for n in 0..32 {
            front.push(&[n; 64]).unwrap();
            assert_eq!(back.take().unwrap(), Some([n; 64]));
        }
        assert_eq!(back.unanswered(), 32);
        assert_eq!(back.take().unwrap(), None);
        heap.share().store_u32(REQ_PROD, 33).unwrap();
        assert!(matches!(back.take(), Err(RingFault::ProducerOverrun { produced: 33, answered: 0, .. })));
    }

    #[test]
    fn responses_never_outnumber_requests() {
        let (mut front, mut back, _heap) = pair();
        assert_eq!(back.answer(&[0; 64]), Err(RingFault::NothingToAnswer));
        front.push(&[0; 64]).unwrap();
        assert_eq!(back.answer(&[0; 64]), Err(RingFault::NothingToAnswer), "not taken yet");
    }

    #[test]
    fn implausible_producers_are_refused() {
        for bad in [33, 1 << 31, u32::MAX, u32::MAX - 31] {
            let (_, mut back, heap) = pair();
            heap.share().store_u32(REQ_PROD, bad).unwrap();
            assert!(matches!(back.take(), Err(RingFault::ProducerOverrun { .. })), "{bad}");
            assert!(matches!(back.final_check(), Err(RingFault::ProducerOverrun { .. })), "{bad}");
        }
        let (mut front, mut back, heap) = pair();
        for _ in 0..4 {
            front.push(&[0; 64]).unwrap();
            back.take().unwrap();
        }
        // Backwards, but still ahead of what was answered.
        heap.share().store_u32(REQ_PROD, 2).unwrap();
        assert!(matches!(back.take(), Err(RingFault::ProducerOverrun { produced: 2, taken: 4, .. })));
    }

    #[test]
    fn too_small_a_mapping_is_refused() {
        assert!(matches!(BackRing::<64>::new(HeapPages::new(0).share()), Err(RingFault::Memory(_))));
    }
}

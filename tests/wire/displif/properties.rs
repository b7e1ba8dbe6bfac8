// SPDX-License-Identifier: GPL-3.0-or-later
//! Random guests on random hosts: whatever they do, each request gets one response, each flip answered 0 gets
//! one event after its response, ids are consecutive, and no destroy is answered 0 before its pages are free.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use grantway::displif::limits::Limits;
use grantway::displif::wire::{
    AttachFramebuffer, CreateBuffer, OP_DBUF_DESTROY, OP_PG_FLIP, Operation, Packet, Request, SetConfig, Version,
};
use grantway::displif::{Action, BufferSerial, FlipSerial, FramebufferSerial};
use grantway::xen::GrantRef;
use proptest::prelude::*;

use super::common::{Fixture, RG16, XR24};

#[derive(Clone, Debug)]
enum Op {
    /// The guest asks for something that may make sense.
    Ask { connector: usize, operation: Operation },
    /// The guest flips as often as the ring allows.
    Burst { connector: usize },
    /// The guest writes noise.
    Noise { connector: usize, packet: Vec<u8> },
    /// The guest's request channel fires.
    Service { connector: usize },
    /// The guest consumes some events.
    Consume { connector: usize, count: usize },
    /// A flip is on the display: the `nth` that is known.
    Present { nth: usize },
    /// The kernel frees the `nth` retired buffer.
    Free { nth: usize },
    /// The guest revokes a page of its buffers, or grants it again.
    Revoke(bool),
    /// Time passes.
    Wait { ms: u64 },
}

fn cookie() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 1..5_u64, 1 => Just(0), 1 => any::<u64>()]
}

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![8 => prop::sample::select(vec![16_u32, 17, 64]), 1 => Just(0), 1 => any::<u32>()]
}

fn operation() -> impl Strategy<Value = Operation> {
    let bytes = prop_oneof![6 => 1..40_000_u32, 1 => any::<u32>()];
    let directory = prop_oneof![8 => Just(GrantRef(1)), 1 => any::<u32>().prop_map(GrantRef)];
    let bpp = prop_oneof![8 => Just(32_u32), 1 => Just(16), 1 => Just(0), 1 => any::<u32>()];
    let create = (cookie(), size(), size(), bpp, bytes, any::<u32>(), directory.clone(), 0..8192_u32).prop_map(
        |(cookie, width, height, bpp, size, flags, directory, data_offset)| {
            Operation::CreateBuffer(CreateBuffer { cookie, width, height, bpp, size, flags, directory, data_offset })
        },
    );
    let fourcc = prop_oneof![8 => Just(XR24), 1 => Just(RG16), 1 => any::<u32>()];
    let attach =
        (cookie(), cookie(), size(), size(), fourcc).prop_map(|(buffer_cookie, cookie, width, height, fourcc)| {
            Operation::AttachFramebuffer(AttachFramebuffer { buffer_cookie, cookie, width, height, fourcc })
        });
    let start = prop_oneof![6 => Just(0_u32), 1 => any::<u32>()];
    let config = (cookie(), start.clone(), start, size(), size())
        .prop_map(|(cookie, x, y, width, height)| SetConfig { cookie, x, y, width, height, bpp: 32 })
        .prop_map(Operation::SetConfig);
    prop_oneof![
        4 => create,
        2 => cookie().prop_map(Operation::DestroyBuffer),
        4 => attach,
        2 => cookie().prop_map(Operation::DetachFramebuffer),
        4 => config,
        1 => Just(Operation::SetConfig(SetConfig::default())),
        12 => cookie().prop_map(Operation::Flip),
        1 => (any::<u32>(), directory).prop_map(|(size, directory)| Operation::GetEdid { size, directory }),
        1 => Just(Operation::Unknown),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let connector = || prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    prop_oneof![
        16 => (connector(), operation()).prop_map(|(connector, operation)| Op::Ask { connector, operation }),
        1 => (connector(), prop::collection::vec(any::<u8>(), 64)).prop_map(|(connector, packet)| Op::Noise {
            connector,
            packet
        }),
        4 => connector().prop_map(|connector| Op::Burst { connector }),
        12 => connector().prop_map(|connector| Op::Service { connector }),
        1 => (connector(), 0..80_usize).prop_map(|(connector, count)| Op::Consume { connector, count }),
        6 => any::<usize>().prop_map(|nth| Op::Present { nth }),
        3 => any::<usize>().prop_map(|nth| Op::Free { nth }),
        1 => any::<bool>().prop_map(Op::Revoke),
        3 => (0..400_u64).prop_map(|ms| Op::Wait { ms }),
    ]
}

/// What a strict observer of both ends knows.
struct Observer {
    it: Fixture,
    /// Requests not answered yet, by connector.
    asked: [BTreeMap<u16, Packet>; 2],
    next_id: u16,
    /// Flips answered 0 that have no event yet, in order; and the events seen so far.
    owed: [VecDeque<u64>; 2],
    events: [u64; 2],
    /// What the host holds.
    flips: Vec<(usize, FlipSerial, FramebufferSerial)>,
    attached: BTreeMap<FramebufferSerial, BufferSerial>,
    retired: Vec<BufferSerial>,
    /// Frees that no destroy has been answered for yet.
    freed: usize,
    /// The cookie of the newest DBUF_CREATE, if that was refused: destroying it costs nothing.
    unmade: Option<u64>,
    seen_retired: BTreeSet<BufferSerial>,
}

impl Observer {
    fn new() -> Self {
        let mut it = Fixture::new(&[(64, 64), (16, 16)], Version::V2, Limits::default());
        assert_eq!(it.host.directory(10), GrantRef(1));
        it.take_actions();
        let mut observer = Self {
            it,
            asked: [BTreeMap::new(), BTreeMap::new()],
            next_id: 0,
            owed: [VecDeque::new(), VecDeque::new()],
            events: [0; 2],
            flips: Vec::new(),
            attached: BTreeMap::new(),
            retired: Vec::new(),
            freed: 0,
            unmade: None,
            seen_retired: BTreeSet::new(),
        };
        observer.begin();
        observer
    }

    /// Both connectors show framebuffer 1 of buffer 1, so that most of what comes makes sense.
    fn begin(&mut self) {
        let create = CreateBuffer {
            cookie: 1,
            width: 64,
            height: 64,
            bpp: 32,
            size: 40_000,
            flags: 0,
            directory: GrantRef(1),
            data_offset: 0,
        };
        let attach = AttachFramebuffer { buffer_cookie: 1, cookie: 1, width: 64, height: 64, fourcc: XR24 };
        let config = SetConfig { cookie: 1, x: 0, y: 0, width: 16, height: 16, bpp: 32 };
        self.push(0, Operation::CreateBuffer(create).encode(0));
        self.push(0, Operation::AttachFramebuffer(attach).encode(0));
        for connector in 0..2 {
            self.push(connector, Operation::SetConfig(config).encode(0));
            assert!(self.apply(&Op::Service { connector }));
        }
        assert!(self.it.session.status().connectors.iter().all(|connector| connector.enabled));
    }

    /// Puts a packet into a ring, if a slot is free, under an id that is not in use.
    fn push(&mut self, connector: usize, mut packet: Packet) {
        if self.it.rings[connector].free() == 0 {
            return;
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        packet[..2].copy_from_slice(&id.to_ne_bytes());
        self.asked[connector].insert(id, packet);
        self.it.push_raw(connector, &packet);
    }

    fn apply(&mut self, op: &Op) -> bool {
        let mut alive = true;
        match op {
            Op::Ask { connector, operation } => self.push(*connector, operation.encode(0)),
            Op::Burst { connector } => {
                while self.it.rings[*connector].free() > 0 {
                    self.push(*connector, Operation::Flip(1).encode(0));
                }
            }
            Op::Noise { connector, packet } => self.push(*connector, packet.as_slice().try_into().unwrap()),
            Op::Service { connector } => alive = self.it.service(*connector).is_ok(),
            Op::Consume { connector, count } => {
                self.consume(*connector, *count);
                self.it.session.events_consumed(*connector);
                self.it.collect();
            }
            Op::Present { nth } => {
                if let Some((connector, flip, _)) = self.flips.get(nth % self.flips.len().max(1)).copied() {
                    self.it.presented(connector, flip);
                }
            }
            Op::Free { nth } => {
                if !self.retired.is_empty() {
                    let buffer = self.retired.remove(nth % self.retired.len());
                    self.freed += 1;
                    self.it.freed(buffer);
                }
            }
            Op::Revoke(revoke) => {
                self.it.host.revoked.clear();
                if *revoke {
                    self.it.host.revoked.insert(GrantRef(super::common::DATA));
                }
            }
            Op::Wait { ms } => self.it.advance(Duration::from_millis(*ms)),
        }
        self.observe();
        alive
    }

    fn consume(&mut self, connector: usize, count: usize) {
        for _ in 0..count {
            let Some(event) = self.it.event(connector) else { return };
            assert_eq!(u64::from(event.id), self.events[connector] % 65_536, "ids are consecutive");
            self.events[connector] += 1;
            assert_eq!(self.owed[connector].pop_front(), Some(event.cookie), "an event without a flip, or too early");
        }
    }

    fn observe(&mut self) {
        self.it.session.verify_invariants();
        for connector in 0..2 {
            while let Some(response) = self.it.pop(connector) {
                let packet = self.asked[connector].remove(&response.id.id).expect("one response a request");
                let request = Request::decode(&packet);
                assert_eq!(response.id, request.id);
                if response.id.operation == OP_PG_FLIP && response.status == 0 {
                    let Operation::Flip(cookie) = request.operation else { unreachable!() };
                    self.owed[connector].push_back(cookie);
                }
                if let (Operation::CreateBuffer(create), 0) = (&request.operation, connector) {
                    self.unmade = (response.status != 0).then_some(create.cookie);
                }
                if response.id.operation == OP_DBUF_DESTROY && response.status == 0 {
                    if matches!(request.operation, Operation::DestroyBuffer(cookie) if self.unmade == Some(cookie)) {
                        self.unmade = None;
                        continue;
                    }
                    self.freed = self.freed.checked_sub(1).expect("answered 0 before the pages were free");
                }
            }
        }
        for action in self.it.take_actions() {
            self.carry_out(action);
        }
        let status = self.it.session.status();
        assert_eq!(status.frees_pending, self.retired.len());
        assert_eq!(status.framebuffers, self.attached.len());
        for connector in &status.connectors {
            assert!(connector.flips_outstanding <= 64);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::FramebufferAttached { framebuffer, buffer, .. } => {
                assert!(!self.seen_retired.contains(&buffer), "attached to a retired buffer");
                assert!(self.attached.insert(framebuffer, buffer).is_none());
            }
            Action::FramebufferDetached(framebuffer) => {
                assert!(self.attached.remove(&framebuffer).is_some(), "detached twice");
                // What was replaced by a flip to it will not be shown any more either.
                for connector in 0..2 {
                    let last = self.flips.iter().rposition(|flip| flip.0 == connector && flip.2 == framebuffer);
                    let mut place = 0..;
                    self.flips.retain(|flip| last.is_none_or(|last| place.next() > Some(last)) || flip.0 != connector);
                }
            }
            Action::Configure { connector, configuration } => {
                self.flips.retain(|flip| flip.0 != connector);
                assert!(configuration.is_none_or(|it| self.attached.contains_key(&it.framebuffer)));
            }
            Action::Flip { connector, framebuffer, flip } => {
                assert!(self.attached.contains_key(&framebuffer), "a flip to what is gone");
                self.flips.push((connector, flip, framebuffer));
            }
            Action::RetireBuffer(buffer) => {
                assert!(self.it.host.imported.contains_key(&buffer));
                assert!(!self.attached.values().any(|it| *it == buffer), "retired while attached");
                assert!(self.seen_retired.insert(buffer), "retired twice");
                self.retired.push(buffer);
            }
            Action::NotifyRequests(_) | Action::NotifyEvents(_) => {}
        }
    }

    /// Everything is answered in the end, when the host does its part.
    fn finish(mut self) {
        self.it.host.revoked.clear();
        for _ in 0..2000 {
            for connector in 0..2 {
                if self.it.service(connector).is_err() {
                    return;
                }
                self.observe();
                self.consume(connector, 64);
                self.it.session.events_consumed(connector);
                self.it.collect();
            }
            self.observe();
            for (connector, flip, _) in std::mem::take(&mut self.flips) {
                self.it.presented(connector, flip);
            }
            for buffer in std::mem::take(&mut self.retired) {
                self.freed += 1;
                self.it.freed(buffer);
            }
            self.it.advance(Duration::from_millis(20));
            self.observe();
            let open = self.asked.iter().map(BTreeMap::len).sum::<usize>();
            if open == 0 && self.owed.iter().all(VecDeque::is_empty) && self.flips.is_empty() {
                return;
            }
        }
        panic!("{:?} unanswered, {:?} without an event", self.asked, self.owed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_and_every_flip_completed(ops in prop::collection::vec(op(), 0..300)) {
        let mut observer = Observer::new();
        for op in &ops {
            if !observer.apply(op) {
                return Ok(());
            }
        }
        observer.finish();
    }

    /// Close at any moment: all events, all detaches, all retires, and then silence.
    #[test]
    fn a_session_may_be_closed_at_any_moment(ops in prop::collection::vec(op(), 0..150)) {
        let mut observer = Observer::new();
        for op in &ops {
            if !observer.apply(op) {
                break;
            }
        }
        observer.observe();
        observer.it.session.close();
        observer.it.collect();
        observer.observe();
        prop_assert!(observer.attached.is_empty());
        prop_assert_eq!(observer.it.session.buffers_held(), observer.retired.len());
        for connector in 0..2 {
            // A full page and all that may be owed beside it.
            for _ in 0..3 {
                observer.consume(connector, 64);
                observer.it.session.events_consumed(connector);
            }
            prop_assert!(observer.owed[connector].is_empty(), "{:?}", observer.owed);
        }
        for buffer in std::mem::take(&mut observer.retired) {
            observer.it.freed(buffer);
        }
        prop_assert_eq!(observer.it.session.buffers_held(), 0);
    }
}

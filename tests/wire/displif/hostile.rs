// SPDX-License-Identifier: GPL-3.0-or-later
//! Bad guests against a session: each request is answered with an error or ends in the device being closed, and
//! nothing grows.

use std::time::Duration;

use grantway::displif::limits::Limits;
use grantway::displif::session::Progress;
use grantway::displif::wire::{AttachFramebuffer, CreateBuffer, Operation, SetConfig, Version};
use grantway::displif::{Action, Allocation, BufferSerial, Usage};
use grantway::xen::ring::REQ_PROD;
use grantway::xen::{GrantRef, PAGE_SIZE, event_page};

use super::common::{DATA, Fixture, NV12, RG16, XR24};

const ENOENT: i32 = -2;
const ENOMEM: i32 = -12;
const EFAULT: i32 = -14;
const EBUSY: i32 = -16;
const EEXIST: i32 = -17;
const EINVAL: i32 = -22;
const ENOSPC: i32 = -28;
const EOPNOTSUPP: i32 = -95;

/// Connector 0 still shows and flips, as it does for a guest that has done no harm.
fn flips_on(it: &mut Fixture) {
    it.take_actions();
    assert_eq!(it.ask(0, &Operation::Flip(0x11)), Some(0));
    let flips = it.take_flips();
    it.presented(0, flips[0].1);
    assert!(it.event(0).is_some());
}

#[test]
fn unknown_operations() {
    let mut it = Fixture::showing();
    for code in [0x00, 0x0f, 0x17, 0xff] {
        let mut packet = [0xa5; 64];
        packet[2] = code;
        it.push_raw(0, &packet);
        it.service(0).unwrap();
        let response = it.pop(0).unwrap();
        assert_eq!((response.id.id, response.id.operation, response.status), (0xa5a5, code, EOPNOTSUPP));
    }
    flips_on(&mut it);
}

#[test]
fn producers_that_run_away() {
    for jump in [33, 34, 1 << 31, u32::MAX, u32::MAX - 32] {
        let mut it = Fixture::showing();
        let produced = it.rings[0].pages().load_u32(REQ_PROD).unwrap();
        it.rings[0].pages().store_u32(REQ_PROD, produced.wrapping_add(jump)).unwrap();
        let fatal = it.service(0).unwrap_err();
        assert!(fatal.0.starts_with("guest \"web\" (dom 3): ring of connector 0 refused"), "{fatal}");
        it.session.close();
        it.session.verify_invariants();
    }
}

#[test]
fn random_event_thresholds_and_notify_storms() {
    let mut it = Fixture::showing();
    for n in 0..2000_u32 {
        let noise = n.wrapping_mul(2_654_435_761);
        it.rings[0].pages().store_u32(4, noise).unwrap();
        it.rings[0].pages().store_u32(12, noise.rotate_left(7)).unwrap();
        assert_eq!(it.service(0), Ok(Progress::Drained));
        it.session.events_consumed(0);
        it.session.events_consumed(7);
        it.collect();
    }
    flips_on(&mut it);
}

#[test]
fn one_page_for_both_rings_harms_only_itself() {
    use grantway::displif::session::{ConnectorPages, Session};
    use grantway::xen::front::{FrontRing, HeapPages};
    let page = HeapPages::new(1);
    let mut ring = FrontRing::<64>::new(page.share()).unwrap();
    let connector =
        ConnectorPages { unique_id: String::new(), width: 8, height: 8, requests: page.share(), events: page.share() };
    let mut session =
        Session::new("guest".into(), Limits::default(), Version::V2, vec![connector], Duration::ZERO).unwrap();
    let mut host = super::common::FakeHost::default();
    for n in 0..100 {
        ring.push(&Operation::Flip(n).encode(0)).unwrap();
        let _ = session.service(0, &mut host, Duration::from_secs(n));
        session.verify_invariants();
    }
}

#[test]
fn a_consumer_counter_that_lies() {
    for lie in [1, 64, 1 << 31, u32::MAX] {
        let mut it = Fixture::showing();
        it.events[0].pages().store_u32(event_page::IN_CONS, lie).unwrap();
        for _ in 0..200 {
            it.push(0, &Operation::Flip(0x11));
            it.service(0).unwrap();
            while it.pop(0).is_some() {}
            if let Some((_, flip)) = it.take_flips().last() {
                it.presented(0, *flip);
            }
            it.advance(Duration::from_millis(20));
            it.session.verify_invariants();
            if it.rings[0].free() == 0 {
                break;
            }
        }
        assert!(it.session.status().connectors[0].flips_outstanding <= 64);
        // The other connector of the same guest is served.
        assert_eq!(it.ask(1, &Operation::SetConfig(SetConfig::default())), Some(0), "{lie}");
    }
}

#[test]
fn buffer_operations_on_the_wrong_ring() {
    let mut it = Fixture::showing();
    let create = it.creation(9, 16, 16, 32, 1024);
    let attach = AttachFramebuffer { buffer_cookie: 1, cookie: 9, width: 1, height: 1, fourcc: XR24 };
    for operation in [
        Operation::CreateBuffer(create),
        Operation::DestroyBuffer(1),
        Operation::AttachFramebuffer(attach),
        Operation::DetachFramebuffer(0x10),
    ] {
        assert_eq!(it.ask(1, &operation), Some(EINVAL));
    }
    flips_on(&mut it);
}

#[test]
fn sizes_that_make_no_sense() {
    let mut it = Fixture::plain();
    let plenty = 800 * 600 * 4;
    let cases = [
        (u32::MAX, u32::MAX, 32, plenty, EINVAL),
        (65_536, 65_536, 32, plenty, EINVAL),
        (8193, 1, 32, plenty, EINVAL),
        (1, 8193, 32, plenty, EINVAL),
        (8192, 8192, 32, 64 << 20, EINVAL),
        (1366, 768, 32, 900 * 4096, EINVAL),
        (800, 600, 0, plenty, EINVAL),
        (800, 600, 1, plenty, EINVAL),
        (800, 600, 7, plenty, EINVAL),
        (800, 600, 33, plenty, EINVAL),
        (800, 600, u32::MAX, plenty, EINVAL),
        (0, 600, 32, plenty, EINVAL),
        (800, 0, 32, plenty, EINVAL),
        (0, 0, 32, plenty, EINVAL),
        (800, 600, 32, 0, EINVAL),
        (800, 600, 32, 1, EINVAL),
        (800, 600, 32, 4095, EINVAL),
        (800, 600, 32, u32::MAX, ENOMEM),
        (800, 600, 32, (64 << 20) + 1, ENOMEM),
    ];
    for (width, height, bpp, size, status) in cases {
        let create = it.creation(1, width, height, bpp, size);
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(status), "{create:?}");
    }
    assert!(it.host.imported.is_empty() && it.host.page_reads == 0, "refused before a page was touched");
    // Larger than the picture is fine.
    let create = it.creation(1, 16, 16, 32, 1 << 20);
    assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(0));
}

#[test]
fn directories_that_make_no_sense() {
    let mut it = Fixture::plain();
    let good = it.creation(1, 1024, 1024, 32, 4 << 20);
    let ask = |it: &mut Fixture, directory: GrantRef| {
        it.ask(0, &Operation::CreateBuffer(CreateBuffer { directory, ..good })).unwrap()
    };
    assert_eq!(ask(&mut it, GrantRef(0)), EINVAL);
    assert_eq!(ask(&mut it, GrantRef(u32::MAX)), EFAULT);
    assert_eq!(ask(&mut it, GrantRef(DATA)), EFAULT, "not granted");
    let short = it.host.directory(900);
    assert_eq!(ask(&mut it, short), EINVAL);
    let long = it.host.directory(3 * 1023);
    assert_eq!(ask(&mut it, long), EINVAL);
    let itself = it.host.directory(1024);
    it.host.directories.get_mut(&itself).unwrap()[..4].copy_from_slice(&itself.0.to_ne_bytes());
    assert_eq!(ask(&mut it, itself), EINVAL);
    let hole = it.host.directory(1024);
    it.host.directories.get_mut(&hole).unwrap()[2000..2004].copy_from_slice(&[0; 4]);
    assert_eq!(ask(&mut it, hole), EINVAL);
    let revoked = it.host.directory(1024);
    it.host.revoked.insert(GrantRef(DATA + 1000));
    assert_eq!(ask(&mut it, revoked), EFAULT);
    it.host.revoked.clear();
    assert!(it.host.imported.is_empty());
    assert_eq!(it.session.status().buffers, 0);
    assert_eq!(it.session.status().refused, 8);
    assert_eq!(ask(&mut it, good.directory), 0);
}

#[test]
fn cookies() {
    let mut it = Fixture::showing();
    assert_eq!(it.create(0, 16, 16, 32), EINVAL);
    assert_eq!(it.create(1, 16, 16, 32), EEXIST);
    assert_eq!(it.attach(1, 0, 16, 16, XR24), EINVAL);
    assert_eq!(it.attach(1, 0x10, 16, 16, XR24), EEXIST);
    assert_eq!(it.attach(2, 0x20, 16, 16, XR24), ENOENT);
    assert_eq!(it.create(7, 0, 16, 32), EINVAL);
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(7)), Some(0), "as Linux cleans up after a refusal");
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(7)), Some(ENOENT), "once");
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(0)), Some(ENOENT));
    assert_eq!(it.ask(0, &Operation::DetachFramebuffer(7)), Some(ENOENT));
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), None);
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), Some(EBUSY));
    assert_eq!(it.create(1, 16, 16, 32), EEXIST, "reused before its destroy was answered");
    assert_eq!(it.attach(1, 0x30, 16, 16, XR24), ENOENT);
    it.freed(BufferSerial(1));
    assert_eq!(it.pop(0).map(|response| response.status), Some(0), "the answer to the first");
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), Some(ENOENT));
}

#[test]
fn framebuffers_that_make_no_sense() {
    let mut it = Fixture::showing();
    let cases = [
        (801, 600, XR24),
        (800, 601, XR24),
        (u32::MAX, u32::MAX, XR24),
        (0, 600, XR24),
        (800, 0, XR24),
        (800, 600, 0),
        (800, 600, u32::MAX),
        (800, 600, NV12),
        (800, 600, RG16),
    ];
    for (width, height, fourcc) in cases {
        assert_eq!(it.attach(1, 0x99, width, height, fourcc), EINVAL, "{width}x{height} {fourcc:#x}");
    }
    // A buffer without geometry is checked by its pages alone.
    let create = it.creation(2, 0, 0, 0, 64 * 64 * 4);
    assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(0));
    assert_eq!(it.attach(2, 0x99, 65, 64, XR24), EINVAL);
    assert_eq!(it.attach(2, 0x99, 8192, 8192, XR24), EINVAL);
    assert_eq!(it.attach(2, 0x99, 128, 64, RG16), 0);
    flips_on(&mut it);
}

#[test]
fn numbers_of_things_are_limited() {
    let mut it = Fixture::new(&[(800, 600)], Version::V1, Limits { request_burst: 100_000, ..Limits::default() });
    let mut statuses = Vec::new();
    for cookie in 1..=10_000 {
        let create = CreateBuffer {
            cookie,
            width: 32,
            height: 32,
            bpp: 32,
            size: 4096,
            flags: 0,
            directory: it.host.directory(1),
            data_offset: 0,
        };
        statuses.push(it.ask(0, &Operation::CreateBuffer(create)).unwrap());
        it.actions.clear();
    }
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 32);
    assert!(statuses[32..].iter().all(|status| *status == ENOSPC));
    let attached = (1..=5000).filter(|cookie| it.attach(1, *cookie, 32, 32, XR24) == 0).count();
    assert_eq!(attached, 64);
    assert_eq!(it.host.imported.len(), 32);
}

#[test]
fn memory_is_limited() {
    let mut it = Fixture::plain();
    let statuses: Vec<_> = (1..=5)
        .map(|cookie| {
            it.advance(Duration::from_secs(1));
            it.create(cookie, 4096, 4096, 32)
        })
        .collect();
    assert_eq!(statuses, [0, 0, 0, 0, ENOMEM]);
    let status = it.session.status();
    assert_eq!((status.grants, status.bytes), (65_536, 256 << 20));
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(2)), None);
    assert_eq!(it.create(9, 16, 16, 32), ENOMEM, "not free yet");
    it.freed(BufferSerial(2));
    assert_eq!(it.pop(0).map(|response| response.status), Some(0));
    assert_eq!(it.create(9, 16, 16, 32), 0);
}

fn allocating(limits: Limits) -> Fixture {
    Fixture::allocating(&[(800, 600)], Version::V2, limits, Allocation::On)
}

#[test]
fn a_wish_for_our_memory_counts_only_where_it_is_allowed() {
    // The flag with a directory that is full: a guest's own buffer.
    for allocation in [Allocation::Off, Allocation::Refused("be-alloc=0".into())] {
        let mut it = Fixture::allocating(&[(800, 600)], Version::V1, Limits::default(), allocation.clone());
        for (cookie, flags) in [(1, 1), (2, 0x3432_5241), (3, u32::MAX)] {
            let create = CreateBuffer { flags, ..it.creation(cookie, 64, 64, 32, 64 * 64 * 4) };
            assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(0), "{flags:#x}");
        }
        assert_eq!((it.host.imported.len(), it.host.allocated.len()), (3, 0));
        // One that is empty names no page; a guest that was configured for it is told more.
        let status = it.create_ours(4, 64, 64);
        let told = it.session.status().last_refusal.unwrap();
        match allocation {
            Allocation::Refused(_) => {
                assert_eq!((status, told.ends_with("our memory: be-alloc=0")), (EOPNOTSUPP, true))
            }
            _ => assert_eq!((status, told.ends_with("grant reference 0")), (EINVAL, true), "{told}"),
        }
        assert!(it.host.allocated.is_empty());
    }
    // Where it is allowed, a request without the flag still brings the guest's own pages.
    let mut it = allocating(Limits::default());
    assert_eq!(it.create(1, 64, 64, 32), 0);
    assert_eq!(it.create_ours(2, 800, 600), 0);
    assert_eq!(it.host.imported.len(), 1);
    let (pages, directory) = it.host.allocated.values().next().unwrap();
    assert_eq!((*pages, directory.len()), (469, 1));
}

#[test]
fn our_memory_that_makes_no_sense() {
    let mut it = allocating(Limits::default());
    let good = CreateBuffer { flags: 1, ..it.creation(9, 64, 64, 32, 64 * 64 * 4) };
    let long = it.host.directory(1024);
    let cases = [
        (CreateBuffer { size: 0, ..good }, EINVAL),
        (CreateBuffer { size: 4096, ..good }, EINVAL),
        (CreateBuffer { size: u32::MAX, ..good }, ENOMEM),
        (CreateBuffer { size: (64 << 20) + 1, ..good }, ENOMEM),
        (CreateBuffer { cookie: 0, ..good }, EINVAL),
        (CreateBuffer { width: 8193, ..good }, EINVAL),
        (CreateBuffer { directory: GrantRef(0), ..good }, EINVAL),
        (CreateBuffer { directory: GrantRef(u32::MAX), ..good }, EFAULT),
        (CreateBuffer { directory: long, ..good }, EINVAL),
        (CreateBuffer { size: 4096 * 1024, ..good }, EINVAL),
    ];
    for (create, status) in cases {
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(status), "{create:?}");
    }
    it.host.revoked.insert(good.directory);
    assert_eq!(it.ask(0, &Operation::CreateBuffer(good)), Some(EFAULT), "a directory that can't be written");
    assert!(it.host.allocated.is_empty());
    it.host.revoked.clear();
    assert_eq!(it.ask(0, &Operation::CreateBuffer(good)), Some(0));
    assert_eq!(it.ask(0, &Operation::CreateBuffer(good)), Some(EEXIST));
}

#[test]
fn our_memory_is_limited_for_the_guest_and_not_for_a_connection() {
    let limits = || Limits {
        allocated_bytes: 4 << 20,
        request_burst: 1_000_000,
        refusals_per_second: 1_000_000,
        ..Limits::default()
    };
    let mut it = allocating(limits());
    let statuses: Vec<_> = (1..=10_000).map(|cookie| it.create_ours(cookie, 512, 512)).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 4);
    assert!(statuses[4..].iter().all(|status| *status == ENOMEM));
    assert_eq!(it.host.allocated.len(), 4);
    // What the guest has beside this connection counts.
    let mut it = allocating(limits());
    it.host.elsewhere = Usage { buffers: 1, pages: 1024, allocated: 1024, overdue: 0 };
    assert_eq!(it.create_ours(1, 16, 16), ENOMEM);
    it.host.elsewhere = Usage { buffers: 1, pages: 65_535, allocated: 0, overdue: 0 };
    assert_eq!(it.create_ours(1, 64, 64), ENOMEM);
    assert_eq!(it.create(1, 64, 64, 32), ENOMEM);
    it.host.elsewhere = Usage { buffers: 128, ..Usage::default() };
    assert_eq!(it.create_ours(1, 16, 16), ENOSPC);
    assert_eq!(it.create(1, 16, 16, 32), ENOSPC);
    // And what it should have unmapped by now stops everything of this kind, but nothing else.
    it.host.elsewhere = Usage { buffers: 1, pages: 1, allocated: 1, overdue: 1 };
    assert_eq!(it.create_ours(1, 16, 16), EBUSY);
    assert_eq!(it.create(1, 16, 16, 32), 0);
    it.host.elsewhere = Usage::default();
    assert_eq!(it.create_ours(2, 16, 16), 0);
}

#[test]
fn our_memory_that_the_guest_keeps_is_answered_for_at_the_deadline() {
    let mut it = allocating(Limits::default());
    assert_eq!(it.create_ours(1, 64, 64), 0);
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), None);
    assert_eq!(it.take_actions(), [Action::RetireBuffer(BufferSerial(1))]);
    it.advance(Duration::from_secs(3));
    assert_eq!(it.pop(0).map(|response| response.status), Some(-110));
    assert_eq!(it.create_ours(1, 64, 64), EEXIST, "still there");
    it.freed(BufferSerial(1));
    assert_eq!(it.create_ours(1, 64, 64), 0);
    it.session.close();
    it.collect();
    assert_eq!(it.take_actions(), [Action::RetireBuffer(BufferSerial(2))]);
}

#[test]
fn a_hundred_thousand_one_page_buffers_leave_nothing_behind() {
    let mut it = Fixture::plain();
    let directory = it.host.directory(1);
    for n in 1..=100_000_u64 {
        it.now += Duration::from_millis(5);
        let create =
            CreateBuffer { cookie: n, width: 0, height: 0, bpp: 0, size: 4096, flags: 0, directory, data_offset: 0 };
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(0));
        assert_eq!(it.ask(0, &Operation::DestroyBuffer(n)), None);
        assert_eq!(it.take_actions(), [Action::RetireBuffer(BufferSerial(n))]);
        it.freed(BufferSerial(n));
        assert_eq!(it.pop(0).map(|response| response.status), Some(0));
    }
    let status = it.session.status();
    assert_eq!((status.buffers, status.grants, status.frees_pending), (0, 0, 0));
}

#[test]
fn configurations_and_flips_that_make_no_sense() {
    let mut it = Fixture::plain();
    assert_eq!(it.ask(0, &Operation::Flip(0x10)), Some(ENOENT));
    assert_eq!(it.create(1, 800, 600, 32), 0);
    assert_eq!(it.attach(1, 0x10, 800, 600, XR24), 0);
    assert_eq!(it.attach(1, 0x12, 64, 64, XR24), 0);
    assert_eq!(it.ask(0, &Operation::Flip(0x10)), Some(0), "before SET_CONFIG");
    assert_eq!(it.event(0).map(|event| event.cookie), Some(0x10), "over at once");
    let whole = SetConfig { cookie: 0x10, x: 0, y: 0, width: 800, height: 600, bpp: 32 };
    let cases = [
        (SetConfig { cookie: 0x77, ..whole }, ENOENT),
        (SetConfig { cookie: 0, ..whole }, ENOENT),
        (SetConfig { x: u32::MAX, width: 2, ..whole }, EINVAL),
        (SetConfig { x: 1, ..whole }, EINVAL),
        (SetConfig { y: u32::MAX, height: u32::MAX, ..whole }, EINVAL),
        (SetConfig { width: 801, ..whole }, EINVAL),
        (SetConfig { height: 601, ..whole }, EINVAL),
        (SetConfig { width: 0, ..whole }, EINVAL),
        (SetConfig { height: 0, ..whole }, EINVAL),
        (SetConfig { x: 800, width: 0, ..whole }, EINVAL),
    ];
    for (config, status) in cases {
        assert_eq!(it.ask(0, &Operation::SetConfig(config)), Some(status), "{config:?}");
    }
    assert_eq!(it.ask(0, &Operation::SetConfig(whole)), Some(0));
    assert_eq!(it.ask(0, &Operation::Flip(0x12)), Some(EINVAL), "smaller than what is configured");
    assert_eq!(it.ask(0, &Operation::Flip(0x77)), Some(ENOENT));
    assert_eq!(it.ask(0, &Operation::DetachFramebuffer(0x10)), Some(0));
    assert_eq!(it.ask(0, &Operation::Flip(0x10)), Some(ENOENT));
    assert_eq!(it.event(0), None, "nothing refused earns an event");
}

#[test]
fn on_and_off_at_full_speed() {
    let mut it = Fixture::showing();
    let on = Operation::SetConfig(SetConfig { cookie: 0x10, x: 0, y: 0, width: 800, height: 600, bpp: 32 });
    for _ in 0..2000 {
        it.push(0, &on);
        it.push(0, &Operation::Flip(0x11));
        it.push(0, &Operation::SetConfig(SetConfig::default()));
        it.service(0).unwrap();
        it.session.verify_invariants();
        while it.pop(0).is_some() {}
        while it.event(0).is_some() {
            it.session.events_consumed(0);
        }
        it.actions.clear();
        it.advance(Duration::from_millis(3));
    }
    let status = &it.session.status().connectors[0];
    assert_eq!(status.flips, status.events + u64::try_from(status.flips_outstanding).unwrap());
}

#[test]
fn edid_requests_that_make_no_sense() {
    let mut it = Fixture::plain();
    let directory = it.host.directory(16);
    for size in [0, 127, 128, 32_767, u32::MAX] {
        assert_eq!(it.ask(0, &Operation::GetEdid { size, directory }), Some(EINVAL), "{size}");
    }
    let short = it.host.directory(7);
    assert_eq!(it.ask(0, &Operation::GetEdid { size: 32_768, directory: short }), Some(EINVAL));
    it.host.revoked.insert(GrantRef(DATA));
    assert_eq!(it.ask(0, &Operation::GetEdid { size: 32_768, directory }), Some(EFAULT));
    let mut old = Fixture::new(&[(800, 600)], Version::V1, Limits::default());
    let directory = old.host.directory(8);
    assert_eq!(old.ask(0, &Operation::GetEdid { size: 32_768, directory }), Some(EOPNOTSUPP));
    assert_eq!(old.host.page_reads, 0);
}

#[test]
fn a_thousand_bad_requests_close_the_device() {
    let mut it = Fixture::showing();
    let mut bad = 0;
    let fatal = loop {
        it.push(0, &Operation::Flip(0x77));
        bad += 1;
        let served = loop {
            match it.service(0) {
                Ok(Progress::Stalled) => it.advance(Duration::from_millis(1)),
                served => break served,
            }
        };
        match served {
            Ok(_) => assert_eq!(it.pop(0).map(|response| response.status), Some(ENOENT)),
            Err(fatal) => break fatal,
        }
    };
    assert_eq!(bad, 1000);
    assert_eq!(it.pop(0).map(|response| response.status), Some(ENOENT), "the last one is answered too");
    assert_eq!(
        fatal.0,
        "guest \"web\" (dom 3): flip of connector 0 to framebuffer 0x77 refused: there is no such framebuffer; \
         closed after 1000 bad requests"
    );
}

#[test]
fn limits_are_no_bad_requests() {
    let mut it = Fixture::new(&[(800, 600)], Version::V1, Limits { request_burst: 100_000, ..Limits::default() });
    for _ in 0..2000 {
        let create = it.creation(1, 800, 600, 32, 128 << 20);
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(ENOMEM));
    }
    assert_eq!(it.session.status().refused, 2000);
}

#[test]
fn slots_of_pure_noise() {
    let mut it = Fixture::showing();
    let mut noise = 1_u32;
    for n in 0..3000_u32 {
        let mut packet = [0_u8; 64];
        for byte in &mut packet {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = noise.to_be_bytes()[0];
        }
        packet[2] = 0x10 + u8::try_from(n % 8).unwrap();
        it.push_raw(usize::try_from(n % 2).unwrap(), &packet);
        if it.service(usize::try_from(n % 2).unwrap()).is_err() {
            return;
        }
        while it.pop(0).is_some() || it.pop(1).is_some() {}
        it.session.verify_invariants();
        it.advance(Duration::from_millis(2));
    }
    panic!("noise was never too much");
}

#[test]
fn a_session_is_not_begun_over_nonsense() {
    use grantway::displif::session::{ConnectorPages, Session};
    use grantway::xen::front::HeapPages;
    let connector = |width, height, pages| ConnectorPages {
        unique_id: String::new(),
        width,
        height,
        requests: HeapPages::new(pages).share(),
        events: HeapPages::new(pages).share(),
    };
    let begin = |connectors| Session::new("guest".into(), Limits::default(), Version::V1, connectors, Duration::ZERO);
    assert!(begin(Vec::new()).is_err());
    assert!(begin((0..5).map(|_| connector(8, 8, 1)).collect()).is_err());
    assert!(begin(vec![connector(0, 8, 1)]).is_err());
    assert!(begin(vec![connector(8, 8193, 1)]).is_err());
    assert!(begin(vec![connector(8, 8, 0)]).is_err());
    assert!(begin(vec![connector(8, 8, 1)]).is_ok());
    assert_eq!(PAGE_SIZE, 4096);
}

/// A buffer that its guest may not have, since it has too many.
fn one_too_many(it: &mut Fixture) -> Operation {
    it.host.elsewhere.buffers = 1000;
    Operation::CreateBuffer(it.creation(7, 32, 32, 32, 4096))
}

/// Asks, whenever its ring has room, for what is refused.
fn greed(greedy: &mut Fixture) -> usize {
    let refused = one_too_many(greedy);
    while greedy.rings[0].free() > 0 {
        greedy.push(0, &refused);
    }
    while let Some(connector) = greedy.session.ready(greedy.now) {
        greedy.service(connector).unwrap();
    }
    std::iter::from_fn(|| greedy.pop(0)).inspect(|response| assert!(response.status < 0)).count()
}

#[test]
fn requests_that_are_refused_again_and_again_take_few_turns_of_the_others() {
    let (mut good, mut greedy) = (Fixture::showing(), Fixture::plain());
    greed(&mut greedy);
    greedy.service(0).unwrap();
    let mut most = 0;
    for frame in 0..600 {
        good.push(0, &Operation::Flip(0x10 + frame % 2));
        good.service(0).unwrap();
        assert_eq!(good.pop(0).map(|response| response.status), Some(0));
        let (_, flip) = good.take_flips()[0];
        let mut served = 0;
        for _ in 0..17 {
            good.advance(Duration::from_millis(1));
            greedy.advance(Duration::from_millis(1));
            served += greed(&mut greedy);
        }
        good.presented(0, flip);
        assert!(good.event(0).is_some());
        // The first of them are borne, and then the delay has to grow.
        if frame >= 10 {
            most = most.max(served);
        }
    }
    assert!((1..=3).contains(&most), "{most} refused requests served between two flips of another guest");
    assert_eq!(good.session.status().held_back, 0);
    assert!(greedy.session.status().held_back > 500);
}

#[test]
fn a_ring_that_is_held_back_holds_no_other_back() {
    let mut it = Fixture::showing();
    assert_eq!(it.configure(1, 0x10, 640, 480), 0);
    let refused = one_too_many(&mut it);
    // More than are borne, in one go.
    for _ in 0..30 {
        it.push(0, &refused);
    }
    assert_eq!(it.service(0), Ok(Progress::Stalled));
    let answered = std::iter::from_fn(|| it.pop(0)).count();
    assert_eq!(answered, 21, "the 20 that are borne, and one more");
    let until = it.now + Duration::from_millis(1);
    assert_eq!((it.session.deadline(), it.session.ready(it.now)), (Some(until), None));
    // The other ring is served, and what is due on the first one comes.
    assert_eq!(it.ask(1, &Operation::Flip(0x11)), Some(0));
    let flips = it.take_flips();
    it.presented(1, flips[0].1);
    assert!(it.event(1).is_some());
    // Served in its time, even when its guest notifies again and again.
    assert_eq!(it.service(0), Ok(Progress::Stalled));
    assert_eq!(it.pop(0), None);
    it.advance(Duration::from_millis(1));
    assert_eq!(it.session.ready(it.now), Some(0));
    it.service(0).unwrap();
    assert_eq!(std::iter::from_fn(|| it.pop(0)).count(), 1);
    // A second without refusals, and it is as if nothing had been.
    for _ in 0..200 {
        it.advance(Duration::from_millis(20));
        while it.session.ready(it.now).is_some() {
            it.service(0).unwrap();
        }
    }
    while it.pop(0).is_some() {}
    for _ in 0..20 {
        assert_eq!(it.ask(0, &refused), Some(ENOSPC));
    }
    assert_eq!(it.session.ready(it.now), None);
    assert_eq!(it.ask(0, &Operation::Flip(0x11)), Some(0));
}

#[test]
fn a_guest_that_connects_anew_is_slowed_down_as_before() {
    let mut first = Fixture::plain();
    greed(&mut first);
    first.service(0).unwrap();
    for _ in 0..20 {
        first.advance(Duration::from_millis(16));
        greed(&mut first);
    }
    // All that the connection had is gone, but not the domain's pace.
    let mut second = Fixture::plain();
    second.now = first.now;
    second.host.pace = first.host.pace.take();
    assert_eq!(greed(&mut second), 0);
    second.service(0).unwrap();
    let answered = std::iter::from_fn(|| second.pop(0)).count();
    assert!((1..=2).contains(&answered), "{answered} are borne: none, or what has come back in the meantime");
    let until = second.session.deadline().unwrap();
    assert!(
        until >= second.now + Duration::from_millis(16),
        "held back for as long as before: {:?}",
        until - second.now
    );
    assert_eq!(second.session.status().held_back, 1);
    // It behaves, and is itself again.
    let refused = one_too_many(&mut second);
    for _ in 0..200 {
        second.advance(Duration::from_millis(20));
        while second.session.ready(second.now).is_some() {
            second.service(0).unwrap();
        }
    }
    while second.pop(0).is_some() {}
    for _ in 0..20 {
        assert_eq!(second.ask(0, &refused), Some(ENOSPC));
    }
    assert_eq!(second.session.ready(second.now), None);
}

#[test]
fn one_buffer_of_our_memory_is_made_within_a_frame() {
    let mut it = allocating(Limits { allocated_bytes: 256 << 20, ..Limits::default() });
    assert_eq!(it.create_ours(1, 4096, 2160), ENOMEM);
    let why = it.session.status().last_refusal.unwrap();
    assert!(why.ends_with("35389440 bytes of our memory are more than the 33554432 that one buffer may have"), "{why}");
    assert_eq!(it.create_ours(1, 3840, 2160), 0);
    assert_eq!(it.create(2, 4096, 2160, 32), 0, "the guest's own may be larger");
}

#[test]
fn a_guest_that_makes_buffers_without_end_is_charged_for_their_pages() {
    let mut it = allocating(Limits::default());
    let (start, mut made) = (it.now, 0);
    while it.now < start + Duration::from_secs(10) {
        assert_eq!(it.create_ours(1, 3840, 2160), 0);
        made += 1;
        assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), None);
        let serial = *it.host.allocated.keys().next().unwrap();
        it.freed(serial);
        assert_eq!(it.pop(0).map(|response| response.status), Some(0));
        it.take_actions();
    }
    assert!((70..=85).contains(&made), "{made} buffers of 4K in 10 s");
}

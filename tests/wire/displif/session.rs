// SPDX-License-Identifier: GPL-3.0-or-later
//! What a well-behaved guest may rely on: the rules of displif, one by one.

use std::time::Duration;

use grantway::displif::limits::Limits;
use grantway::displif::session::Progress;
use grantway::displif::wire::{Operation, SetConfig, Version};
use grantway::displif::{Action, BufferSerial, Configuration, FramebufferLayout, FramebufferSerial};
use grantway::xen::GrantRef;

use super::common::{DATA, Fixture, RG16, XR24};

const ETIMEDOUT: i32 = -110;

#[test]
fn a_picture_comes_up_as_drm_xen_front_does_it() {
    let mut it = Fixture::plain();
    assert_eq!(it.create(0x2a, 800, 600, 32), 0);
    assert_eq!(it.host.imported[&BufferSerial(1)], 469);
    assert_eq!(it.attach(0x2a, 0x10, 800, 600, XR24), 0);
    assert_eq!(it.configure(0, 0x10, 800, 600), 0);
    assert_eq!(it.ask(0, &Operation::Flip(0x10)), Some(0));
    let framebuffer = FramebufferSerial(1);
    let actions = it.take_actions();
    let Action::Flip { connector: 0, flip, .. } = actions[2] else { panic!("{actions:?}") };
    assert_eq!(
        actions[..2],
        [
            Action::FramebufferAttached {
                framebuffer,
                buffer: BufferSerial(1),
                layout: FramebufferLayout { width: 800, height: 600, fourcc: XR24, pitch: 3200, offset: 0 },
            },
            Action::Configure {
                connector: 0,
                configuration: Some(Configuration { framebuffer, x: 0, y: 0, width: 800, height: 600 }),
            },
        ]
    );
    assert_eq!(it.event(0), None, "SET_CONFIG earns no event, and the flip is not shown yet");
    it.presented(0, flip);
    let event = it.event(0).unwrap();
    assert_eq!((event.id, event.cookie), (0, 0x10));
    assert_eq!(it.event(0), None);
}

#[test]
fn notifications_come_once_a_batch_and_responses_first() {
    let mut it = Fixture::showing();
    it.actions.clear();
    for _ in 0..4 {
        it.push(0, &Operation::Flip(0x11));
    }
    it.push(0, &Operation::SetConfig(SetConfig::default()));
    it.service(0).unwrap();
    let told: Vec<_> = std::mem::take(&mut it.actions)
        .into_iter()
        .filter(|action| matches!(action, Action::NotifyRequests(_) | Action::NotifyEvents(_)))
        .collect();
    assert_eq!(told, [Action::NotifyRequests(0), Action::NotifyEvents(0)]);
}

#[test]
fn a_second_flip_before_the_event_of_the_first_loses_neither() {
    let mut it = Fixture::showing();
    it.ask(0, &Operation::Flip(0x11));
    it.ask(0, &Operation::Flip(0x10));
    let flips = it.take_flips();
    assert_eq!(flips.len(), 2);
    it.presented(0, flips[1].1);
    let cookies: Vec<_> = std::iter::from_fn(|| it.event(0)).map(|event| (event.id, event.cookie)).collect();
    assert_eq!(cookies, [(0, 0x11), (1, 0x10)]);
    it.presented(0, flips[0].1);
    assert_eq!(it.event(0), None, "it had its event");
}

#[test]
fn flips_that_will_never_be_shown_get_their_event() {
    let disable = Operation::SetConfig(SetConfig::default());
    for end in [disable, Operation::DetachFramebuffer(0x11), Operation::DestroyBuffer(1)] {
        let mut it = Fixture::showing();
        assert_eq!(it.ask(0, &Operation::Flip(0x11)), Some(0));
        assert_eq!(it.event(0), None);
        it.ask(0, &end);
        assert_eq!(it.event(0).map(|event| event.cookie), Some(0x11), "{end:?}");
        let flips = it.take_flips();
        it.presented(0, flips[0].1);
        assert_eq!(it.event(0), None, "{end:?}");
    }
    let mut it = Fixture::showing();
    it.ask(0, &Operation::Flip(0x11));
    it.session.close();
    assert_eq!(it.event(0).map(|event| event.cookie), Some(0x11));
}

#[test]
fn destroy_is_answered_when_the_pages_are_free_and_not_before() {
    let mut it = Fixture::showing();
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), None);
    let actions = it.take_actions();
    assert_eq!(
        actions,
        [
            Action::FramebufferDetached(FramebufferSerial(1)),
            Action::FramebufferDetached(FramebufferSerial(2)),
            Action::RetireBuffer(BufferSerial(1)),
        ]
    );
    it.advance(Duration::from_millis(2499));
    assert_eq!(it.pop(0), None);
    // The connector's other requests are served meanwhile, and the cookie is not free yet.
    assert_eq!(it.ask(0, &Operation::Flip(0x10)), Some(-2));
    assert_eq!(it.create(1, 800, 600, 32), -17);
    it.freed(BufferSerial(1));
    assert_eq!(it.pop(0).map(|response| response.status), Some(0));
    assert_eq!(it.create(1, 800, 600, 32), 0);
    assert_eq!(it.session.status().buffers, 1);
}

#[test]
fn a_late_destroy_is_answered_with_an_error_and_once() {
    let mut it = Fixture::showing();
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), None);
    let deadline = it.session.deadline().unwrap();
    assert_eq!(deadline, it.now + Duration::from_millis(2500));
    it.advance(Duration::from_millis(2500));
    assert_eq!(it.pop(0).map(|response| response.status), Some(ETIMEDOUT));
    assert_eq!(it.session.overdue().collect::<Vec<_>>(), [BufferSerial(1)]);
    assert_eq!(it.session.deadline(), None);
    // Asked for again, it is answered at the real end, and at once.
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), None);
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), Some(-16), "a third one at the same time is too much");
    it.freed(BufferSerial(1));
    assert_eq!(it.pop(0).map(|response| response.status), Some(0));
    it.freed(BufferSerial(1));
    assert_eq!(it.pop(0), None);
    assert_eq!(it.ask(0, &Operation::DestroyBuffer(1)), Some(-2));
}

#[test]
fn destroys_are_answered_in_the_order_of_the_frees() {
    let mut it = Fixture::plain();
    for cookie in 1..=3 {
        assert_eq!(it.create(cookie, 16, 16, 32), 0);
    }
    let ids: Vec<_> = (1..=3).map(|cookie| it.push(0, &Operation::DestroyBuffer(cookie))).collect();
    it.service(0).unwrap();
    for (serial, id) in [(2, ids[1]), (3, ids[2]), (1, ids[0])] {
        it.freed(BufferSerial(serial));
        let response = it.pop(0).unwrap();
        assert_eq!((response.id.id, response.status), (id, 0));
        it.session.verify_invariants();
    }
}

#[test]
fn the_shown_framebuffer_may_be_detached_before_the_connector_is_disabled() {
    let mut it = Fixture::showing();
    assert_eq!(it.ask(0, &Operation::DetachFramebuffer(0x10)), Some(0));
    assert_eq!(it.take_actions(), [Action::FramebufferDetached(FramebufferSerial(1))]);
    assert_eq!(it.ask(0, &Operation::Flip(0x11)), Some(0), "still configured");
    let off = Operation::SetConfig(SetConfig::default());
    assert_eq!(it.ask(0, &off), Some(0));
    assert_eq!(it.ask(0, &off), Some(0), "twice is harmless");
}

/// Linux's driver flips when DPMS switches a screen, while it is disabled, and takes an error for an unplugged
/// connector.
#[test]
fn a_flip_while_disabled_is_over_at_once_and_shows_nothing() {
    let mut it = Fixture::showing();
    it.ask(0, &Operation::SetConfig(SetConfig::default()));
    it.take_actions();
    assert_eq!(it.ask(0, &Operation::Flip(0x11)), Some(0));
    assert_eq!(it.event(0).map(|event| (event.id, event.cookie)), Some((0, 0x11)));
    assert_eq!(it.take_flips(), [], "nobody is to show it");
    assert_eq!(it.ask(0, &Operation::Flip(0x99)), Some(-2), "there is no such framebuffer");
    it.session.verify_invariants();
}

#[test]
fn garbage_flags_are_ignored() {
    let mut it = Fixture::plain();
    for (cookie, flags) in [(1, 1), (2, u32::MAX), (3, XR24)] {
        let mut create = it.creation(cookie, 64, 64, 32, 64 * 64 * 4);
        create.flags = flags;
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(0));
    }
    assert_eq!(it.host.imported.len(), 3, "all three are the guest's own pages");
}

#[test]
fn an_imported_buffer_gets_its_geometry_at_attach() {
    // (width, height, bytes of the buffer, expected pitch)
    let cases = [
        (1366, 768, 1366 * 4 * 768, 5464),
        (1366, 768, 5504 * 768, 5504),
        (1366, 768, 5632 * 768, 5632),
        (800, 600, 3200 * 600, 3200),
        (1366, 768, 16 << 20, 5464),
    ];
    for (width, height, size, pitch) in cases {
        let mut it = Fixture::new(&[(1366, 768)], Version::V1, Limits::default());
        let create = it.creation(7, 0, 0, 0, size);
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(0));
        assert_eq!(it.attach(7, 1, width, height, XR24), 0);
        let actions = it.take_actions();
        let Action::FramebufferAttached { layout, .. } = actions[0] else { panic!("{actions:?}") };
        assert_eq!(layout.pitch, pitch, "{size}");
    }
}

#[test]
fn data_ofs_counts_in_version_2_only() {
    for (version, size, offset, status) in [
        (Version::V2, 4096 * 4 + 256, 256, 0),
        (Version::V1, 4096 * 4, 0xdead_beef, 0),
        (Version::V2, 4096 * 4, 4096, -22),
        (Version::V2, 4096 * 4, u32::MAX, -22),
    ] {
        let mut it = Fixture::new(&[(64, 64)], version, Limits::default());
        let mut create = it.creation(1, 64, 64, 32, size);
        create.data_offset = offset;
        assert_eq!(it.ask(0, &Operation::CreateBuffer(create)), Some(status), "{version:?} {offset}");
        if status == 0 {
            assert_eq!(it.attach(1, 1, 64, 64, XR24), 0);
            let actions = it.take_actions();
            let Action::FramebufferAttached { layout, .. } = actions[0] else { panic!("{actions:?}") };
            assert_eq!(layout.offset, if version == Version::V2 { offset } else { 0 });
        }
    }
}

#[test]
fn a_smaller_framebuffer_has_the_lines_of_its_buffer() {
    let mut it = Fixture::plain();
    assert_eq!(it.create(1, 1366, 768, 32), 0);
    assert_eq!(it.attach(1, 1, 640, 480, XR24), 0);
    let actions = it.take_actions();
    let Action::FramebufferAttached { layout, .. } = actions[0] else { panic!("{actions:?}") };
    assert_eq!((layout.width, layout.pitch), (640, 5464));
}

#[test]
fn all_nine_formats_at_odd_widths() {
    let formats = [
        (b"RG16", 16),
        (b"RG24", 24),
        (b"XR24", 32),
        (b"AR24", 32),
        (b"XR12", 16),
        (b"AR12", 16),
        (b"XR15", 16),
        (b"AR15", 16),
        (b"YUYV", 16),
    ];
    let mut cookie = 0;
    let mut it = Fixture::plain();
    for (name, bpp) in formats {
        for width in [1, 17, 640, 1365, 1366] {
            cookie += 1;
            assert_eq!(it.create(cookie, width, 3, bpp), 0);
            assert_eq!(it.attach(cookie, cookie, width, 3, u32::from_le_bytes(*name)), 0);
            assert_eq!(it.ask(0, &Operation::DestroyBuffer(cookie)), None);
            it.freed(BufferSerial(cookie));
            assert_eq!(it.pop(0).map(|response| response.status), Some(0));
            it.advance(Duration::from_millis(10));
        }
    }
}

#[test]
fn one_framebuffer_may_span_two_connectors() {
    // Linux says the size of the whole framebuffer, and each connector's place in it.
    let mut it = Fixture::plain();
    assert_eq!(it.create(1, 1440, 600, 32), 0);
    assert_eq!(it.attach(1, 1, 1440, 600, XR24), 0);
    assert_eq!(it.configure(0, 1, 1440, 600), 0);
    let right = SetConfig { cookie: 1, x: 800, y: 0, width: 1440, height: 600, bpp: 32 };
    assert_eq!(it.ask(1, &Operation::SetConfig(right)), Some(0));
    let shown: Vec<_> = it
        .take_actions()
        .into_iter()
        .filter_map(|action| match action {
            Action::Configure { configuration: Some(it), .. } => Some((it.x, it.y, it.width, it.height)),
            _ => None,
        })
        .collect();
    assert_eq!(shown, [(0, 0, 800, 600), (800, 0, 640, 480)]);
    assert_eq!(it.ask(1, &Operation::Flip(1)), Some(0));
}

#[test]
fn edid_is_written_and_its_size_told() {
    for (size, blocks) in [((800, 600), 1), ((7680, 4320), 2)] {
        let mut it = Fixture::new(&[size], Version::V2, Limits::default());
        let directory = it.host.directory(8);
        it.push(0, &Operation::GetEdid { size: 32_768, directory });
        it.service(0).unwrap();
        let response = it.pop(0).unwrap();
        assert_eq!((response.status, response.edid_size), (0, blocks * 128));
        let written = &it.host.written[&GrantRef(DATA)];
        assert_eq!(*written, grantway::displif::edid::generate(size.0, size.1));
    }
}

#[test]
fn a_connectors_display_gives_its_own_edid_unless_it_is_too_long() {
    for (length, own) in [(256, true), (32_768, true), (32_769, false)] {
        let mut it = Fixture::new(&[(800, 600), (640, 480)], Version::V2, Limits::default());
        it.host.edids.insert(1, vec![0x5a; length]);
        let directory = it.host.directory(8);
        it.push(1, &Operation::GetEdid { size: 32_768, directory });
        it.service(1).unwrap();
        assert_eq!(it.pop(1).unwrap().status, 0);
        let made = grantway::displif::edid::generate(640, 480);
        let wanted = if own { vec![0x5a; length] } else { made };
        assert_eq!(it.host.written[&GrantRef(DATA)], wanted);
    }
}

#[test]
fn seventy_thousand_flips_have_consecutive_ids() {
    let mut it = Fixture::showing();
    for n in 0..70_000_u32 {
        it.now += Duration::from_millis(5);
        assert_eq!(it.ask(0, &Operation::Flip(0x10 + u64::from(n % 2))), Some(0));
        let flips = it.take_flips();
        assert_eq!(flips.len(), 1);
        it.presented(0, flips[0].1);
        let event = it.event(0).unwrap();
        assert_eq!(u32::from(event.id), n % 65_536);
        assert_eq!(event.cookie, 0x10 + u64::from(n % 2));
    }
    let status = &it.session.status().connectors[0];
    assert_eq!((status.flips, status.events, status.flips_outstanding), (70_000, 70_000, 0));
}

#[test]
fn an_unpaced_guest_is_slowed_to_its_rate_and_never_refused() {
    let mut it = Fixture::showing();
    let (mut answered, mut events) = (0, 0_u64);
    let start = it.now;
    while it.now < start + Duration::from_secs(10) {
        while it.rings[0].free() > 0 {
            it.push(0, &Operation::Flip(0x11));
        }
        it.service(0).unwrap();
        while let Some(response) = it.pop(0) {
            assert_eq!(response.status, 0);
            answered += 1;
        }
        if let Some((_, flip)) = it.take_flips().last() {
            it.presented(0, *flip);
        }
        while let Some(event) = it.event(0) {
            assert_eq!(u64::from(event.id), events % 65_536);
            events += 1;
        }
        it.session.verify_invariants();
        it.advance(Duration::from_millis(1));
    }
    assert!((2390..=2480).contains(&events), "{events} events in 10 s");
    assert!(answered >= events && answered <= events + 64);
}

#[test]
fn events_wait_on_our_side_while_the_page_is_full() {
    let mut it = Fixture::showing();
    let mut answered = 0;
    for _ in 0..1000 {
        while it.rings[0].free() > 0 {
            it.push(0, &Operation::Flip(0x11));
        }
        it.service(0).unwrap();
        while let Some(response) = it.pop(0) {
            assert_eq!(response.status, 0);
            answered += 1;
        }
        if let Some((_, flip)) = it.take_flips().last() {
            it.presented(0, *flip);
        }
        it.advance(Duration::from_millis(20));
        it.session.verify_invariants();
    }
    assert_eq!(answered, 63 + 64, "the page and the debt, and no more");
    assert_eq!(it.session.ready(it.now), None);
    for id in 0..63 {
        assert_eq!(it.event(0).map(|event| event.id), Some(id));
    }
    assert_eq!(it.event(0), None);
    // Linux does not notify when it consumes.
    assert!(it.session.deadline().unwrap() <= it.now + Duration::from_millis(100));
    it.advance(Duration::from_millis(100));
    for id in 63..answered {
        assert_eq!(it.event(0).map(|event| event.id), Some(id));
        it.session.events_consumed(0);
    }
    it.collect();
    assert_eq!(it.session.ready(it.now), Some(0), "the ring is served again");
    assert_eq!(it.service(0), Ok(Progress::More));
}

#[test]
fn too_many_requests_wait_in_the_ring() {
    let mut it = Fixture::showing();
    let request = Operation::SetConfig(SetConfig::default());
    let (start, mut answered) = (it.now, 0);
    while it.now < start + Duration::from_secs(5) {
        while it.rings[0].free() > 0 {
            it.push(0, &request);
        }
        for _ in 0..8 {
            if it.session.ready(it.now).is_none() && it.service(0) == Ok(Progress::Stalled) {
                break;
            }
            it.service(0).unwrap();
        }
        while let Some(response) = it.pop(0) {
            assert_eq!(response.status, 0);
            answered += 1;
        }
        if it.rings[0].free() < 32 {
            assert!(it.session.deadline().unwrap() <= it.now + Duration::from_millis(1), "somebody must come back");
        }
        it.advance(Duration::from_millis(1));
    }
    assert!((4900..=5150).contains(&answered), "{answered} requests in 5 s");
}

#[test]
fn one_service_round_is_bounded() {
    let mut it = Fixture::plain();
    for _ in 0..32 {
        it.push(0, &Operation::SetConfig(SetConfig::default()));
    }
    assert_eq!(it.service(0), Ok(Progress::More));
    assert_eq!(it.service(0), Ok(Progress::Drained));
    // A large buffer is worth many plain requests.
    let create = it.creation(1, 3840, 2160, 32, 3840 * 2160 * 4);
    it.push(0, &Operation::CreateBuffer(create));
    it.push(0, &Operation::SetConfig(SetConfig::default()));
    while it.pop(0).is_some() {}
    assert_eq!(it.service(0), Ok(Progress::More));
    assert_eq!(it.host.imported.len(), 1);
    assert_eq!(std::iter::from_fn(|| it.pop(0)).count(), 1);
}

#[test]
fn closing_lets_go_of_everything() {
    let mut it = Fixture::showing();
    assert_eq!(it.create(2, 640, 480, 16), 0);
    assert_eq!(it.attach(2, 0x20, 640, 480, RG16), 0);
    assert_eq!(it.configure(1, 0x20, 640, 480), 0);
    it.take_actions();
    it.session.close();
    it.session.close();
    it.collect();
    assert_eq!(
        it.take_actions(),
        [
            Action::Configure { connector: 0, configuration: None },
            Action::Configure { connector: 1, configuration: None },
            Action::FramebufferDetached(FramebufferSerial(1)),
            Action::FramebufferDetached(FramebufferSerial(2)),
            Action::FramebufferDetached(FramebufferSerial(3)),
            Action::RetireBuffer(BufferSerial(1)),
            Action::RetireBuffer(BufferSerial(2)),
        ]
    );
    it.push(0, &Operation::Flip(0x10));
    assert_eq!(it.service(0), Ok(Progress::Drained));
    assert_eq!(it.pop(0), None);
    assert_eq!((it.session.deadline(), it.session.ready(it.now)), (None, None));
    it.freed(BufferSerial(1));
    it.freed(BufferSerial(2));
    assert_eq!(it.session.buffers_held(), 0);
}

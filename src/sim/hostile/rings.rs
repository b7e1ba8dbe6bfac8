// SPDX-License-Identifier: GPL-3.0-or-later
//! What a bad guest does to its rings, event pages and channels.

use std::time::Duration;

use super::{Act, Case, Expected, Hostile, case};
use crate::displif::wire::{Operation, PACKET, Packet};
use crate::sim::display_front::Geometry;
use crate::sim::front::FrontError;
use crate::xen::event_page::IN_CONS;

pub(super) const CASES: &[Case] = &[
    case("ring/operation-00", Expected::Refused, |bad| operation(bad, 0x00)),
    case("ring/operation-0f", Expected::Refused, |bad| operation(bad, 0x0f)),
    case("ring/operation-17", Expected::Refused, |bad| operation(bad, 0x17)),
    case("ring/operation-ff", Expected::Refused, |bad| operation(bad, 0xff)),
    case("ring/producer-plus-33", Expected::Closed, |bad| bad.set_producer(0, |at| at.wrapping_add(33))),
    case("ring/producer-plus-2^31", Expected::Closed, |bad| bad.set_producer(0, |at| at.wrapping_add(1 << 31))),
    case("ring/producer-backwards", Expected::Closed, |bad| bad.set_producer(0, |at| at.wrapping_sub(1))),
    case("ring/producer-of-connector-1", Expected::Closed, |bad| bad.set_producer(1, |at| at.wrapping_add(33))),
    case("ring/whole-page-of-noise", Expected::Survived, NOISE),
    case("ring/events-at-random", Expected::Survived, |bad| {
        for value in [0, 1 << 31, u32::MAX, 77] {
            bad.scribble_ring_events(0, value)?;
            bad.push_raw(0, &destroy_unknown(1))?;
            bad.collect(0, 1, Duration::from_secs(1))?;
        }
        Ok(())
    }),
    case("ring/responses-never-read", Expected::Survived, |bad| {
        for round in 0..200 {
            bad.push_raw(0, &destroy_unknown(round))?;
        }
        Ok(())
    }),
    case("ring/duplicate-ids", Expected::Refused, |bad| {
        for _ in 0..5 {
            bad.push_raw(0, &destroy_unknown(7))?;
        }
        bad.collect(0, 5, Duration::from_secs(3))
    }),
    case("ring/notify-storm", Expected::WorksOn, |bad| {
        for _ in 0..20_000 {
            bad.connector(0)?.requests.notify()?;
            bad.connector(1)?.event_channel.notify()?;
        }
        Ok(())
    }),
    case("ring/1000-bad-requests", Expected::Survived, |bad| {
        for id in 0..1100 {
            bad.push_raw(0, &destroy_unknown(id))?;
            bad.collect(0, 1, Duration::from_secs(3))?;
        }
        Ok(())
    }),
    case("ring/buffer-request-on-connector-1", Expected::Refused, |bad| {
        bad.send(1, &Operation::DestroyBuffer(1))?;
        bad.send(1, &Operation::DetachFramebuffer(1)).map(drop)
    }),
    case("ring/flip-before-config", Expected::Served, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.send(0, &Operation::Flip(framebuffer))?;
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("events/consumer-never-moves", Expected::Survived, |bad| flips(bad, 200, |_| None)),
    case("events/consumer-ahead", Expected::Survived, |bad| flips(bad, 20, |flip| Some(flip + 1000))),
    case("events/consumer-at-random", Expected::Survived, |bad| {
        flips(bad, 50, |flip| Some(flip.wrapping_mul(0x9e37_79b9)))
    }),
    case("ring/ring-grant-is-0", Expected::StaysOut, |bad| bad.scribble_store("0/req-ring-ref", b"0")),
    case("ring/ring-grant-is-unknown", Expected::StaysOut, |bad| bad.scribble_store("0/req-ring-ref", b"30000")),
    case("ring/ring-grant-is-beyond", Expected::StaysOut, |bad| bad.scribble_store("0/req-ring-ref", b"4294967295")),
    case("ring/ring-grant-is-foreign", Expected::StaysOut, |bad| {
        let gref = bad.connector(0)?.refs[0];
        let entry = bad.front.guest.table().load(gref).unwrap_or_default();
        bad.front.guest.table().store(gref, crate::sim::GrantEntry { domid: 9, ..entry });
        Ok(())
    }),
    case("ring/ring-grant-is-read-only", Expected::StaysOut, |bad| {
        let gref = bad.connector(0)?.refs[0];
        let entry = bad.front.guest.table().load(gref).unwrap_or_default();
        let flags = entry.flags | crate::sim::gtf::READONLY;
        bad.front.guest.table().store(gref, crate::sim::GrantEntry { flags, ..entry });
        Ok(())
    }),
    case("ring/port-0", Expected::StaysOut, |bad| bad.scribble_store("0/req-event-channel", b"0")),
    case("ring/port-2^32-1", Expected::StaysOut, |bad| bad.scribble_store("0/evt-event-channel", b"4294967295")),
    case("ring/port-used-twice", Expected::StaysOut, |bad| {
        let port = bad.connector(0)?.requests.port;
        bad.scribble_store("0/evt-event-channel", port.to_string().as_bytes())
    }),
];

const NOISE: Act = |bad| {
    let pages = bad.connector(0)?.ring.pages();
    let noise: Vec<u8> = (0..4096_u32).map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    pages.write(0, &noise)?;
    Ok(bad.connector(0)?.requests.notify()?)
};

fn operation(bad: &mut Hostile, code: u8) -> Result<(), FrontError> {
    let mut packet = [0xa5; PACKET];
    packet[2] = code;
    bad.send_raw(0, &packet)
}

fn destroy_unknown(id: u16) -> Packet {
    Operation::DestroyBuffer(0xdead_beef).encode(id)
}

/// Flips as fast as answers come, without looking at events, and sets the event page's consumer.
fn flips(bad: &mut Hostile, count: u32, consumer: fn(u32) -> Option<u32>) -> Result<(), FrontError> {
    let buffer = bad.front.create_buffer(Geometry::picture(128, 96, 32))?;
    let format = crate::sim::pattern::FORMATS[2].fourcc();
    let framebuffer = bad.front.attach(buffer.cookie, 128, 96, format)?;
    bad.show(0, framebuffer)?;
    for flip in 0..count {
        if let Some(value) = consumer(flip) {
            bad.connector(0)?.events.pages().store_u32(IN_CONS, value)?;
        }
        bad.send(0, &Operation::Flip(framebuffer))?;
    }
    bad.front.detach(framebuffer)?;
    bad.front.destroy_buffer(buffer)
}

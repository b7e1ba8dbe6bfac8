// SPDX-License-Identifier: GPL-3.0-or-later
//! What a bad guest does with memory of ours (`be-alloc`).

use super::{Case, Expected, Hostile, case_alloc};
use crate::displif::wire::{CreateBuffer, FLAG_REQ_ALLOC, Operation};
use crate::sim::display_front::{Buffer, Geometry};
use crate::sim::front::FrontError;
use crate::sim::gtf;
use crate::xen::GrantRef;

const EBUSY: i32 = -16;
const ETIMEDOUT: i32 = -110;

pub(super) const CASES: &[Case] = &[
    case_alloc("alloc/size-0", Expected::Refused, |bad| changed(bad, |create| create.size = 0)),
    case_alloc("alloc/size-2^32-1", Expected::Refused, |bad| changed(bad, |create| create.size = u32::MAX)),
    case_alloc("alloc/size-far-below-the-picture", Expected::Refused, |bad| changed(bad, |create| create.size = 4096)),
    case_alloc("alloc/directory-0", Expected::Refused, |bad| changed(bad, |create| create.directory = GrantRef(0))),
    case_alloc("alloc/directory-too-short", Expected::Refused, |bad| changed(bad, |create| create.size = 4096 * 1024)),
    case_alloc("alloc/directory-read-only", Expected::Refused, |bad| {
        let buffer = empty(bad, Geometry::picture(64, 64, 32))?;
        let mut entry = bad.front.guest.table().load(buffer.directory()).unwrap_or_default();
        entry.flags |= gtf::READONLY;
        bad.front.guest.table().store(buffer.directory(), entry);
        send(bad, &buffer, |_| ())?;
        buffer.release(&mut bad.front.guest);
        Ok(())
    }),
    case_alloc("alloc/without-the-flag", Expected::Refused, |bad| changed(bad, |create| create.flags = 0x3432_5240)),
    case_alloc("alloc/destroyed-and-never-unmapped", Expected::WorksOn, never_unmaps),
    case_alloc("alloc/dead-while-shown", Expected::Survived, |bad| {
        let (_buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        bad.front.flip(0, framebuffer)
        // Its process lives on, but the domain ends with the case.
    }),
    case_alloc("alloc/reconnects-with-all-mapped", Expected::WorksOn, |bad| {
        let buffer = bad.front.create_buffer(Geometry::picture(64, 64, 32))?;
        bad.front.remove()?;
        bad.front.connect(std::time::Duration::from_secs(10))?;
        bad.front.forget_buffer(buffer);
        Ok(())
    }),
    case_alloc("alloc/writes-without-a-flip", Expected::WorksOn, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        let pages = buffer.view(&bad.front.guest)?;
        for round in 0..200_u32 {
            for offset in (0..pages.len()).step_by(64) {
                pages.store_u32(offset, round.wrapping_mul(0x9e37_79b9))?;
            }
        }
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case_alloc("alloc/10000-requests", Expected::WorksOn, greedy),
];

fn empty(bad: &mut Hostile, geometry: Geometry) -> Result<Buffer, FrontError> {
    let cookie = bad.front.cookie();
    Buffer::make_empty(&mut bad.front.guest, cookie, geometry)
}

/// Asks for memory of ours, with a change to the request; gives the answer's status.
fn send(bad: &mut Hostile, buffer: &Buffer, change: impl Fn(&mut CreateBuffer)) -> Result<i32, FrontError> {
    let Geometry { width, height, bpp, .. } = buffer.geometry;
    let mut create = CreateBuffer {
        cookie: buffer.cookie,
        width,
        height,
        bpp,
        size: buffer.size,
        flags: FLAG_REQ_ALLOC,
        directory: buffer.directory(),
        data_offset: 0,
    };
    change(&mut create);
    Ok(bad.send(0, &Operation::CreateBuffer(create))?.status)
}

fn changed(bad: &mut Hostile, change: fn(&mut CreateBuffer)) -> Result<(), FrontError> {
    let buffer = empty(bad, Geometry::picture(64, 64, 32))?;
    send(bad, &buffer, change)?;
    buffer.release(&mut bad.front.guest);
    Ok(())
}

/// The destroy is answered with an error at its deadline, and until the pages are unmapped there are no others.
fn never_unmaps(bad: &mut Hostile) -> Result<(), FrontError> {
    let mut buffer = bad.front.create_buffer(Geometry::picture(64, 64, 32))?;
    let destroyed = bad.send(0, &Operation::DestroyBuffer(buffer.cookie))?.status;
    let another = empty(bad, Geometry::picture(64, 64, 32))?;
    let refused = send(bad, &another, |_| ())?;
    another.release(&mut bad.front.guest);
    if (destroyed, refused) != (ETIMEDOUT, EBUSY) {
        return Err(FrontError::Refused(format!("the answers are {destroyed} and {refused}")));
    }
    buffer.unmap(&mut bad.front.guest)?;
    bad.until_served()
}

/// Asks for 10,000 MiB, and is given no more than the limit.
fn greedy(bad: &mut Hostile) -> Result<(), FrontError> {
    let buffer = empty(bad, Geometry::picture(512, 512, 32))?;
    let mut served = Vec::new();
    for _ in 0..10_000 {
        let cookie = bad.front.cookie();
        if send(bad, &buffer, |create| create.cookie = cookie)? == 0 {
            served.push(cookie);
        }
    }
    // 64 MiB are allowed.
    if !(1..=64).contains(&served.len()) {
        return Err(FrontError::Refused(format!("{} of 10,000 were served", served.len())));
    }
    for cookie in served {
        bad.send(0, &Operation::DestroyBuffer(cookie))?;
    }
    buffer.release(&mut bad.front.guest);
    Ok(())
}

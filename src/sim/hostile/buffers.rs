// SPDX-License-Identifier: GPL-3.0-or-later
//! What a bad guest says of its buffers and framebuffers.

use super::{Case, Expected, Hostile, case, case_v2};
use crate::displif::wire::{AttachFramebuffer, CreateBuffer, Operation};
use crate::sim::GrantEntry;
use crate::sim::display_front::{Buffer, Geometry};
use crate::sim::front::{FrontError, Guest};
use crate::sim::gtf;
use crate::sim::pattern::{FORMATS, Format};
use crate::xen::GrantRef;

pub(super) const CASES: &[Case] = &[
    case("buffer/size-overflows-32-bits", Expected::Refused, |bad| {
        changed(bad, |create| (create.width, create.height) = (0x1_0000, 0x1_0000))
    }),
    case("buffer/size-overflows-64-bits", Expected::Refused, |bad| {
        changed(bad, |create| (create.width, create.height, create.bpp) = (u32::MAX, u32::MAX, u32::MAX))
    }),
    case("buffer/bpp-0", Expected::Refused, |bad| changed(bad, |create| create.bpp = 0)),
    case("buffer/bpp-1", Expected::Refused, |bad| changed(bad, |create| create.bpp = 1)),
    case("buffer/bpp-7", Expected::Refused, |bad| changed(bad, |create| create.bpp = 7)),
    case("buffer/bpp-33", Expected::Refused, |bad| changed(bad, |create| create.bpp = 33)),
    case("buffer/size-0", Expected::Refused, |bad| changed(bad, |create| create.size = 0)),
    case("buffer/size-1", Expected::Refused, |bad| changed(bad, |create| create.size = 1)),
    case("buffer/size-4095", Expected::Refused, |bad| changed(bad, |create| create.size = 4095)),
    case("buffer/size-2^32-1", Expected::Refused, |bad| changed(bad, |create| create.size = u32::MAX)),
    case_v2("buffer/offset-beyond-the-end", Expected::Refused, |bad| changed(bad, |create| create.data_offset = 4096)),
    case_v2("buffer/offset-2^32-1", Expected::Refused, |bad| changed(bad, |create| create.data_offset = u32::MAX)),
    case("buffer/width-0-alone", Expected::Refused, |bad| changed(bad, |create| create.width = 0)),
    case("buffer/height-0-alone", Expected::Refused, |bad| changed(bad, |create| create.height = 0)),
    case("buffer/cookie-0", Expected::Refused, |bad| changed(bad, |create| create.cookie = 0)),
    case("buffer/directory-0", Expected::Refused, |bad| changed(bad, |create| create.directory = GrantRef(0))),
    case("buffer/directory-2^32-1", Expected::Refused, |bad| {
        changed(bad, |create| create.directory = GrantRef(u32::MAX))
    }),
    case("buffer/directory-foreign", Expected::Refused, |bad| {
        bad.create_spoilt(|guest, buffer, _| entry(guest, buffer.directory(), |entry| entry.domid = 9))
    }),
    case("buffer/directory-read-only", Expected::WorksOn, |bad| {
        bad.create_spoilt(|guest, buffer, _| readonly(guest, buffer.directory()))
    }),
    case("buffer/directory-of-noise", Expected::Refused, |bad| {
        bad.create_spoilt(|guest, buffer, _| {
            let noise: Vec<u8> = (0..4096_u32).map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
            Ok(guest.view(&buffer.directory_frames)?.write(0, &noise)?)
        })
    }),
    case("buffer/directory-ends-early", Expected::Refused, |bad| long_directory(bad, |_, _| 0)),
    case("buffer/directory-points-to-itself", Expected::Refused, |bad| long_directory(bad, |own, _| own)),
    case("buffer/directory-too-long", Expected::WorksOn, |bad| {
        bad.create_spoilt(|_, buffer, create| {
            create.size = buffer.size;
            Ok(())
        })?;
        bad.create_spoilt(|guest, buffer, _| {
            Ok(guest.view(&buffer.directory_frames)?.store_u32(0, buffer.directory().0)?)
        })
    }),
    case("buffer/page-0", Expected::Refused, |bad| page(bad, 0)),
    case("buffer/page-beyond", Expected::Refused, |bad| page(bad, u32::MAX)),
    case("buffer/page-revoked", Expected::Refused, |bad| page_entry(bad, |entry| entry.flags = 0)),
    case("buffer/page-foreign", Expected::Refused, |bad| page_entry(bad, |entry| entry.domid = 9)),
    case("buffer/page-beyond-memory", Expected::Refused, |bad| page_entry(bad, |entry| entry.frame = 1 << 30)),
    case("buffer/page-in-the-grant-table", Expected::Refused, |bad| page_entry(bad, |entry| entry.frame = 0)),
    case("buffer/page-read-only", Expected::WorksOn, |bad| {
        bad.create_spoilt(|guest, buffer, _| readonly(guest, second(&buffer.refs)))
    }),
    case("buffer/garbage-flags", Expected::Served, |bad| {
        for flags in [1, 0x3432_5241, u32::MAX] {
            served(bad, |create| create.flags = flags)?;
        }
        Ok(())
    }),
    case("buffer/cookie-twice", Expected::Refused, |bad| {
        let buffer = bad.front.create_buffer(Geometry::picture(64, 64, 32))?;
        let cookie = buffer.cookie;
        bad.create_spoilt(|_, _, create| {
            create.cookie = cookie;
            Ok(())
        })?;
        bad.front.destroy_buffer(buffer)
    }),
    case("buffer/500-buffers", Expected::WorksOn, |bad| {
        let mut kept = Vec::new();
        for _ in 0..500 {
            match bad.front.create_buffer(Geometry::picture(16, 16, 32)) {
                Ok(buffer) => kept.push(buffer),
                Err(FrontError::Status { status, .. }) => bad.statuses.push(status),
                Err(error) => return Err(error),
            }
        }
        kept.into_iter().try_for_each(|buffer| bad.front.destroy_buffer(buffer))
    }),
    case("buffer/destroy-unknown", Expected::Refused, |bad| bad.send(0, &Operation::DestroyBuffer(99)).map(drop)),
    case("buffer/destroy-twice", Expected::Refused, |bad| {
        let buffer = bad.front.create_buffer(Geometry::picture(64, 64, 32))?;
        let cookie = buffer.cookie;
        bad.front.destroy_buffer(buffer)?;
        bad.send(0, &Operation::DestroyBuffer(cookie)).map(drop)
    }),
    case("buffer/destroy-while-shown", Expected::WorksOn, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        bad.front.flip(0, framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("framebuffer/of-an-unknown-buffer", Expected::Refused, |bad| attach(bad, |it| it.buffer_cookie = 99)),
    case("framebuffer/wider-than-its-buffer", Expected::Refused, |bad| attach(bad, |it| it.width = 4096)),
    case("framebuffer/higher-than-its-buffer", Expected::Refused, |bad| attach(bad, |it| it.height = u32::MAX)),
    case("framebuffer/size-0", Expected::Refused, |bad| attach(bad, |it| (it.width, it.height) = (0, 0))),
    case("framebuffer/fourcc-0", Expected::Refused, |bad| attach(bad, |it| it.fourcc = 0)),
    case("framebuffer/fourcc-unknown", Expected::Refused, |bad| attach(bad, |it| it.fourcc = 0x5a5a_5a5a)),
    case("framebuffer/fourcc-planar", Expected::Refused, |bad| attach(bad, |it| it.fourcc = fourcc("NV12"))),
    case("framebuffer/fourcc-of-another-bpp", Expected::Refused, |bad| attach(bad, |it| it.fourcc = fourcc("RG16"))),
    case("framebuffer/cookie-0", Expected::Refused, |bad| attach(bad, |it| it.cookie = 0)),
    case("framebuffer/cookie-twice", Expected::Refused, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        let again = AttachFramebuffer { cookie: framebuffer, ..honest(buffer.cookie, framebuffer) };
        bad.send(0, &Operation::AttachFramebuffer(again))?;
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("framebuffer/200-on-one-buffer", Expected::WorksOn, |bad| {
        let buffer = bad.front.create_buffer(Geometry::picture(128, 96, 32))?;
        for _ in 0..200 {
            let cookie = bad.front.cookie();
            bad.send(0, &Operation::AttachFramebuffer(honest(buffer.cookie, cookie)))?;
        }
        bad.front.destroy_buffer(buffer)
    }),
    case("framebuffer/detach-unknown", Expected::Refused, |bad| {
        bad.send(0, &Operation::DetachFramebuffer(99)).map(drop)
    }),
    case("framebuffer/detach-while-shown-and-pending", Expected::WorksOn, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        bad.front.flip(0, framebuffer)?;
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
];

fn changed(bad: &mut Hostile, change: fn(&mut CreateBuffer)) -> Result<(), FrontError> {
    bad.create_spoilt(|_, _, create| {
        change(create);
        Ok(())
    })
}

/// A request with a change that must not matter; the buffer is destroyed again.
fn served(bad: &mut Hostile, change: impl Fn(&mut CreateBuffer)) -> Result<(), FrontError> {
    let cookie = bad.front.cookie();
    let buffer = Buffer::make(&mut bad.front.guest, cookie, Geometry::picture(64, 64, 32))?;
    let (size, directory) = (buffer.size, buffer.directory());
    let mut create = CreateBuffer { cookie, width: 64, height: 64, bpp: 32, size, flags: 0, directory, data_offset: 0 };
    change(&mut create);
    bad.send(0, &Operation::CreateBuffer(create))?;
    bad.front.destroy_buffer(buffer)
}

fn entry(guest: &mut Guest, gref: GrantRef, change: impl Fn(&mut GrantEntry)) -> Result<(), FrontError> {
    let mut entry = guest.table().load(gref).unwrap_or_default();
    change(&mut entry);
    guest.table().store(gref, entry);
    Ok(())
}

fn readonly(guest: &mut Guest, gref: GrantRef) -> Result<(), FrontError> {
    entry(guest, gref, |entry| entry.flags |= gtf::READONLY)
}

fn second(refs: &[GrantRef]) -> GrantRef {
    refs.get(1).copied().unwrap_or(GrantRef(0))
}

/// Changes the second reference in the directory.
fn page(bad: &mut Hostile, gref: u32) -> Result<(), FrontError> {
    bad.create_spoilt(|guest, buffer, _| Ok(guest.view(&buffer.directory_frames)?.store_u32(8, gref)?))
}

/// Changes the grant entry of the second page.
fn page_entry(bad: &mut Hostile, change: fn(&mut GrantEntry)) -> Result<(), FrontError> {
    bad.create_spoilt(|guest, buffer, _| entry(guest, second(&buffer.refs), change))
}

/// A directory of two pages, the first of which says something else of the next: given both references.
fn long_directory(bad: &mut Hostile, next: fn(u32, u32) -> u32) -> Result<(), FrontError> {
    let cookie = bad.front.cookie();
    let geometry = Geometry::picture(1200, 1000, 32);
    let buffer = Buffer::make(&mut bad.front.guest, cookie, geometry)?;
    let refs = (buffer.directory().0, second(&buffer.directory_refs).0);
    bad.front.guest.view(&buffer.directory_frames)?.store_u32(0, next(refs.0, refs.1))?;
    let (size, directory) = (buffer.size, buffer.directory());
    let create = CreateBuffer { cookie, width: 1200, height: 1000, bpp: 32, size, flags: 0, directory, data_offset: 0 };
    bad.send(0, &Operation::CreateBuffer(create))?;
    buffer.release(&mut bad.front.guest);
    Ok(())
}

fn fourcc(name: &'static str) -> u32 {
    Format { name, bpp: 0 }.fourcc()
}

fn honest(buffer_cookie: u64, cookie: u64) -> AttachFramebuffer {
    AttachFramebuffer { buffer_cookie, cookie, width: 128, height: 96, fourcc: FORMATS[2].fourcc() }
}

fn attach(bad: &mut Hostile, change: fn(&mut AttachFramebuffer)) -> Result<(), FrontError> {
    let buffer = bad.front.create_buffer(Geometry::picture(128, 96, 32))?;
    let cookie = bad.front.cookie();
    let mut attach = honest(buffer.cookie, cookie);
    change(&mut attach);
    bad.send(0, &Operation::AttachFramebuffer(attach))?;
    bad.front.destroy_buffer(buffer)
}

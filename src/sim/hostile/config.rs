// SPDX-License-Identifier: GPL-3.0-or-later
//! What a bad guest asks of its connectors: configurations, flips, EDIDs.

use super::{Case, Expected, Hostile, case, case_v2, whole};
use crate::displif::wire::{Operation, SetConfig};
use crate::sim::display_front::{Buffer, Geometry};
use crate::sim::front::FrontError;
use crate::xen::GrantRef;

pub(super) const CASES: &[Case] = &[
    case("config/x-plus-width-overflows", Expected::Refused, |bad| {
        config(bad, |it| (it.x, it.width) = (u32::MAX, 128))
    }),
    case("config/y-plus-height-overflows", Expected::Refused, |bad| {
        config(bad, |it| (it.y, it.height) = (96, u32::MAX))
    }),
    case("config/beyond-the-framebuffer", Expected::Refused, |bad| config(bad, |it| it.x = 1)),
    case("config/wider-than-the-connector", Expected::Refused, |bad| config(bad, |it| it.width = 4096)),
    case("config/unknown-framebuffer", Expected::Refused, |bad| config(bad, |it| it.cookie = 99)),
    case("config/all-zero-twice", Expected::Served, |bad| {
        bad.send(0, &Operation::SetConfig(SetConfig::default()))?;
        bad.send(0, &Operation::SetConfig(SetConfig::default())).map(drop)
    }),
    case("config/on-and-off-300-times", Expected::Served, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        for _ in 0..300 {
            bad.send(0, &Operation::SetConfig(whole(framebuffer)))?;
            bad.send(0, &Operation::SetConfig(SetConfig::default()))?;
        }
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("flip/unknown-framebuffer", Expected::Refused, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        bad.send(0, &Operation::Flip(99))?;
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("flip/detached-framebuffer", Expected::Refused, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        bad.front.detach(framebuffer)?;
        bad.send(0, &Operation::Flip(framebuffer))?;
        bad.front.destroy_buffer(buffer)
    }),
    case("flip/while-disabled", Expected::Served, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        bad.front.set_config(0, SetConfig::default())?;
        bad.send(0, &Operation::Flip(framebuffer))?;
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("flip/1000-without-waiting", Expected::Survived, |bad| {
        let (buffer, framebuffer) = bad.surface()?;
        bad.show(0, framebuffer)?;
        for _ in 0..1000 {
            bad.send(0, &Operation::Flip(framebuffer))?;
        }
        bad.front.detach(framebuffer)?;
        bad.front.destroy_buffer(buffer)
    }),
    case("edid/in-version-1", Expected::Refused, |bad| edid(bad, 32_768, 8)),
    case_v2("edid/size-0", Expected::Refused, |bad| edid(bad, 0, 8)),
    case_v2("edid/size-127", Expected::Refused, |bad| edid(bad, 127, 8)),
    case_v2("edid/size-128", Expected::Refused, |bad| edid(bad, 128, 8)),
    case_v2("edid/size-32767", Expected::Refused, |bad| edid(bad, 32_767, 8)),
    case_v2("edid/size-2^32-1", Expected::Refused, |bad| edid(bad, u32::MAX, 8)),
    case_v2("edid/directory-too-short", Expected::Refused, |bad| edid(bad, 32_768, 3)),
    case_v2("edid/directory-0", Expected::Refused, |bad| {
        bad.send(0, &Operation::GetEdid { size: 32_768, directory: GrantRef(0) }).map(drop)
    }),
    case_v2("edid/read-only-pages", Expected::Refused, |bad| {
        let buffer = Buffer::make(&mut bad.front.guest, 0, Geometry::bytes(32_768))?;
        for gref in &buffer.refs {
            let entry = bad.front.guest.table().load(*gref).unwrap_or_default();
            let flags = entry.flags | crate::sim::gtf::READONLY;
            bad.front.guest.table().store(*gref, crate::sim::GrantEntry { flags, ..entry });
        }
        bad.send(0, &Operation::GetEdid { size: 32_768, directory: buffer.directory() })?;
        buffer.release(&mut bad.front.guest);
        Ok(())
    }),
    case_v2("edid/300-times", Expected::Served, |bad| {
        let buffer = Buffer::make(&mut bad.front.guest, 0, Geometry::bytes(32_768))?;
        for _ in 0..300 {
            bad.send(0, &Operation::GetEdid { size: 32_768, directory: buffer.directory() })?;
        }
        buffer.release(&mut bad.front.guest);
        Ok(())
    }),
];

fn config(bad: &mut Hostile, change: fn(&mut SetConfig)) -> Result<(), FrontError> {
    let (buffer, framebuffer) = bad.surface()?;
    let mut config = whole(framebuffer);
    change(&mut config);
    bad.send(0, &Operation::SetConfig(config))?;
    bad.front.detach(framebuffer)?;
    bad.front.destroy_buffer(buffer)
}

/// Says one size, and brings a directory of so many pages.
fn edid(bad: &mut Hostile, size: u32, pages: u32) -> Result<(), FrontError> {
    let buffer = Buffer::make(&mut bad.front.guest, 0, Geometry::bytes(pages * 4096))?;
    bad.send(0, &Operation::GetEdid { size, directory: buffer.directory() })?;
    buffer.release(&mut bad.front.guest);
    Ok(())
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Our layouts against Xen's own headers, which a C program of the compiler that links Rust measures.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use grantway::displif::page_directory::REFS_PER_PAGE;
use grantway::displif::wire::{
    self, AttachFramebuffer, CreateBuffer, Errno, Operation, RequestId, Response, SetConfig,
};
use grantway::kbdif::wire::{self as kbd, Event, TouchEvent};
use grantway::xen::event_page::{IN_CONS, IN_PROD, Layout};
use grantway::xen::xenbus::XenbusState;
use grantway::xen::{GrantRef, ring};

const PROGRAM: &str = r#"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "displif.h"
#include "kbdif.h"
#include "xenbus.h"

#define AT(field) printf(#field " %zu\n", offsetof(struct xendispl_req, op.field))
#define KBD(field) printf("xenkbd_in_event." #field " %zu\n", offsetof(union xenkbd_in_event, field))
#define IS(value) printf(#value " %zu\n", (size_t)(value))

int main(void)
{
    IS(sizeof(struct xendispl_req));
    IS(sizeof(struct xendispl_resp));
    IS(sizeof(struct xendispl_evt));
    IS(offsetof(struct xendispl_req, id));
    IS(offsetof(struct xendispl_req, operation));
    AT(dbuf_create.dbuf_cookie);
    AT(dbuf_create.width);
    AT(dbuf_create.height);
    AT(dbuf_create.bpp);
    AT(dbuf_create.buffer_sz);
    AT(dbuf_create.flags);
    AT(dbuf_create.gref_directory);
    AT(dbuf_create.data_ofs);
    AT(dbuf_destroy.dbuf_cookie);
    AT(fb_attach.dbuf_cookie);
    AT(fb_attach.fb_cookie);
    AT(fb_attach.width);
    AT(fb_attach.height);
    AT(fb_attach.pixel_format);
    AT(fb_detach.fb_cookie);
    AT(set_config.fb_cookie);
    AT(set_config.x);
    AT(set_config.y);
    AT(set_config.width);
    AT(set_config.height);
    AT(set_config.bpp);
    AT(pg_flip.fb_cookie);
    AT(get_edid.buffer_sz);
    AT(get_edid.gref_directory);
    IS(offsetof(struct xendispl_resp, operation));
    IS(offsetof(struct xendispl_resp, status));
    IS(offsetof(struct xendispl_resp, op.get_edid.edid_sz));
    IS(offsetof(struct xendispl_evt, type));
    IS(offsetof(struct xendispl_evt, op.pg_flip.fb_cookie));
    IS(XENDISPL_OP_DBUF_CREATE);
    IS(XENDISPL_OP_DBUF_DESTROY);
    IS(XENDISPL_OP_FB_ATTACH);
    IS(XENDISPL_OP_FB_DETACH);
    IS(XENDISPL_OP_SET_CONFIG);
    IS(XENDISPL_OP_PG_FLIP);
    IS(XENDISPL_OP_GET_EDID);
    IS(XENDISPL_EVT_PG_FLIP);
    IS(XENDISPL_DBUF_FLG_REQ_ALLOC);
    IS(XENDISPL_EDID_MAX_SIZE);
    IS((4096 - offsetof(struct xendispl_page_directory, gref)) / sizeof(grant_ref_t));
    IS(offsetof(struct xendispl_event_page, in_cons));
    IS(offsetof(struct xendispl_event_page, in_prod));
    IS(XENDISPL_IN_RING_OFFS);
    IS(XENDISPL_IN_RING_LEN);
    IS(offsetof(struct xenkbd_page, in_cons));
    IS(offsetof(struct xenkbd_page, in_prod));
    IS(sizeof(union xenkbd_in_event));
    KBD(motion.rel_x);
    KBD(motion.rel_y);
    KBD(motion.rel_z);
    KBD(key.pressed);
    KBD(key.keycode);
    KBD(pos.abs_x);
    KBD(pos.abs_y);
    KBD(pos.rel_z);
    KBD(mtouch.event_type);
    KBD(mtouch.contact_id);
    KBD(mtouch.u.pos.abs_x);
    KBD(mtouch.u.pos.abs_y);
    KBD(mtouch.u.shape.major);
    KBD(mtouch.u.shape.minor);
    KBD(mtouch.u.orientation);
    IS(XENKBD_TYPE_MOTION);
    IS(XENKBD_TYPE_KEY);
    IS(XENKBD_TYPE_POS);
    IS(XENKBD_TYPE_MTOUCH);
    IS(XENKBD_MT_EV_DOWN);
    IS(XENKBD_MT_EV_UP);
    IS(XENKBD_MT_EV_MOTION);
    IS(XENKBD_MT_EV_SYN);
    IS(XENKBD_MT_EV_SHAPE);
    IS(XENKBD_MT_EV_ORIENT);
    IS(XENKBD_IN_RING_OFFS);
    IS(XENKBD_IN_RING_LEN);
    IS(offsetof(struct xen_displif_sring, req_prod));
    IS(offsetof(struct xen_displif_sring, req_event));
    IS(offsetof(struct xen_displif_sring, rsp_prod));
    IS(offsetof(struct xen_displif_sring, rsp_event));
    IS(offsetof(struct xen_displif_sring, ring));
    IS(__CONST_RING_SIZE(xen_displif, 4096));
    IS(XenbusStateUnknown);
    IS(XenbusStateInitialising);
    IS(XenbusStateInitWait);
    IS(XenbusStateInitialised);
    IS(XenbusStateConnected);
    IS(XenbusStateClosing);
    IS(XenbusStateClosed);
    IS(XenbusStateReconfiguring);
    IS(XenbusStateReconfigured);
    return 0;
}
"#;

/// Compiles the program against the headers, and returns what it measured.
fn measured() -> BTreeMap<String, usize> {
    let dir = tempfile::tempdir().unwrap();
    let io = dir.path().join("io");
    fs::create_dir(&io).unwrap();
    for header in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/protocols/xen")).unwrap() {
        let header = header.unwrap().path();
        fs::copy(&header, io.join(header.file_name().unwrap())).unwrap();
    }
    // The two headers that these include from elsewhere give them a type and a version, and nothing more.
    fs::write(dir.path().join("grant_table.h"), "typedef uint32_t grant_ref_t;\n").unwrap();
    fs::write(dir.path().join("xen-compat.h"), "#define __XEN_INTERFACE_VERSION__ 0x00041100\n").unwrap();
    let (source, program) = (io.join("measure.c"), dir.path().join("measure"));
    fs::write(&source, PROGRAM).unwrap();
    let compiled = Command::new("cc").arg("-o").arg(&program).arg(&source).output().expect("a C compiler is needed");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Where the bytes of a field that alone is not zero lie.
fn found(operation: &Operation) -> usize {
    let packet = operation.encode(0);
    // The operation's own code is not the field.
    packet.iter().enumerate().position(|(at, byte)| at != 2 && *byte != 0).expect("a field is set")
}

fn create(field: impl FnOnce(&mut CreateBuffer)) -> Operation {
    let mut it = CreateBuffer {
        cookie: 0,
        width: 0,
        height: 0,
        bpp: 0,
        size: 0,
        flags: 0,
        directory: GrantRef(0),
        data_offset: 0,
    };
    field(&mut it);
    Operation::CreateBuffer(it)
}

fn attach(field: impl FnOnce(&mut AttachFramebuffer)) -> Operation {
    let mut it = AttachFramebuffer { buffer_cookie: 0, cookie: 0, width: 0, height: 0, fourcc: 0 };
    field(&mut it);
    Operation::AttachFramebuffer(it)
}

fn config(field: impl FnOnce(&mut SetConfig)) -> Operation {
    let mut it = SetConfig::default();
    field(&mut it);
    Operation::SetConfig(it)
}

fn request_fields() -> Vec<(&'static str, Operation)> {
    vec![
        ("dbuf_create.dbuf_cookie", create(|it| it.cookie = 1)),
        ("dbuf_create.width", create(|it| it.width = 1)),
        ("dbuf_create.height", create(|it| it.height = 1)),
        ("dbuf_create.bpp", create(|it| it.bpp = 1)),
        ("dbuf_create.buffer_sz", create(|it| it.size = 1)),
        ("dbuf_create.flags", create(|it| it.flags = 1)),
        ("dbuf_create.gref_directory", create(|it| it.directory = GrantRef(1))),
        ("dbuf_create.data_ofs", create(|it| it.data_offset = 1)),
        ("dbuf_destroy.dbuf_cookie", Operation::DestroyBuffer(1)),
        ("fb_attach.dbuf_cookie", attach(|it| it.buffer_cookie = 1)),
        ("fb_attach.fb_cookie", attach(|it| it.cookie = 1)),
        ("fb_attach.width", attach(|it| it.width = 1)),
        ("fb_attach.height", attach(|it| it.height = 1)),
        ("fb_attach.pixel_format", attach(|it| it.fourcc = 1)),
        ("fb_detach.fb_cookie", Operation::DetachFramebuffer(1)),
        ("set_config.fb_cookie", config(|it| it.cookie = 1)),
        ("set_config.x", config(|it| it.x = 1)),
        ("set_config.y", config(|it| it.y = 1)),
        ("set_config.width", config(|it| it.width = 1)),
        ("set_config.height", config(|it| it.height = 1)),
        ("set_config.bpp", config(|it| it.bpp = 1)),
        ("pg_flip.fb_cookie", Operation::Flip(1)),
        ("get_edid.buffer_sz", Operation::GetEdid { size: 1, directory: GrantRef(0) }),
        ("get_edid.gref_directory", Operation::GetEdid { size: 0, directory: GrantRef(1) }),
    ]
}

/// Events of kbdif with one field that is not zero, apart from those that name the event's kind.
fn keyboard_fields() -> Vec<(&'static str, Event)> {
    let touch = |event| Event::Touch { contact: 0, event };
    let motion = |x, y, z| Event::Motion { x, y, z };
    let position = |x, y, z| Event::Position { x, y, z };
    vec![
        ("motion.rel_x", motion(1, 0, 0)),
        ("motion.rel_y", motion(0, 1, 0)),
        ("motion.rel_z", motion(0, 0, 1)),
        ("key.pressed", Event::Key { pressed: true, code: 0 }),
        ("key.keycode", Event::Key { pressed: false, code: 1 }),
        ("pos.abs_x", position(1, 0, 0)),
        ("pos.abs_y", position(0, 1, 0)),
        ("pos.rel_z", position(0, 0, 1)),
        ("mtouch.event_type", touch(TouchEvent::Sync)),
        ("mtouch.contact_id", Event::Touch { contact: 1, event: TouchEvent::Down { x: 0, y: 0 } }),
        ("mtouch.u.pos.abs_x", touch(TouchEvent::Down { x: 1, y: 0 })),
        ("mtouch.u.pos.abs_y", touch(TouchEvent::Down { x: 0, y: 1 })),
        ("mtouch.u.shape.major", touch(TouchEvent::Shape { major: 1, minor: 0 })),
        ("mtouch.u.shape.minor", touch(TouchEvent::Shape { major: 0, minor: 1 })),
        ("mtouch.u.orientation", touch(TouchEvent::Orientation(1))),
    ]
}

/// Where the bytes of an event's field lie.
fn found_in_event(name: &str, event: Event) -> usize {
    let packet = event.encode();
    let kinds = if name.starts_with("mtouch.u.") { 2 } else { 1 };
    packet.iter().enumerate().position(|(at, byte)| at >= kinds && *byte != 0).expect("a field is set")
}

fn keyboard_constants() -> Vec<(&'static str, usize)> {
    vec![
        ("sizeof(union xenkbd_in_event)", kbd::EVENT),
        ("XENKBD_TYPE_MOTION", kbd::TYPE_MOTION.into()),
        ("XENKBD_TYPE_KEY", kbd::TYPE_KEY.into()),
        ("XENKBD_TYPE_POS", kbd::TYPE_POS.into()),
        ("XENKBD_TYPE_MTOUCH", kbd::TYPE_MTOUCH.into()),
        ("XENKBD_MT_EV_DOWN", kbd::MT_DOWN.into()),
        ("XENKBD_MT_EV_UP", kbd::MT_UP.into()),
        ("XENKBD_MT_EV_MOTION", kbd::MT_MOTION.into()),
        ("XENKBD_MT_EV_SYN", kbd::MT_SYN.into()),
        ("XENKBD_MT_EV_SHAPE", kbd::MT_SHAPE.into()),
        ("XENKBD_MT_EV_ORIENT", kbd::MT_ORIENT.into()),
    ]
}

fn constants() -> Vec<(&'static str, usize)> {
    let slots = |layout: Layout| usize::try_from(layout.slots).unwrap();
    let first_byte = |response: Response| response.encode().iter().position(|byte| *byte != 0).unwrap();
    let response = Response { id: RequestId { id: 0, operation: 0 }, status: 0, edid_size: 0 };
    let event = wire::FlipEvent { id: 0, cookie: 1 };
    vec![
        ("sizeof(struct xendispl_req)", wire::PACKET),
        ("sizeof(struct xendispl_resp)", wire::PACKET),
        ("sizeof(struct xendispl_evt)", wire::PACKET),
        ("offsetof(struct xendispl_req, id)", 0),
        ("offsetof(struct xendispl_req, operation)", 2),
        ("offsetof(struct xendispl_resp, operation)", 2),
        ("offsetof(struct xendispl_resp, status)", first_byte(Response { status: 1, ..response })),
        ("offsetof(struct xendispl_resp, op.get_edid.edid_sz)", first_byte(Response { edid_size: 1, ..response })),
        ("offsetof(struct xendispl_evt, type)", 2),
        (
            "offsetof(struct xendispl_evt, op.pg_flip.fb_cookie)",
            event.encode().iter().position(|byte| *byte != 0).unwrap(),
        ),
        ("XENDISPL_OP_DBUF_CREATE", wire::OP_DBUF_CREATE.into()),
        ("XENDISPL_OP_DBUF_DESTROY", wire::OP_DBUF_DESTROY.into()),
        ("XENDISPL_OP_FB_ATTACH", wire::OP_FB_ATTACH.into()),
        ("XENDISPL_OP_FB_DETACH", wire::OP_FB_DETACH.into()),
        ("XENDISPL_OP_SET_CONFIG", wire::OP_SET_CONFIG.into()),
        ("XENDISPL_OP_PG_FLIP", wire::OP_PG_FLIP.into()),
        ("XENDISPL_OP_GET_EDID", wire::OP_GET_EDID.into()),
        ("XENDISPL_EVT_PG_FLIP", wire::EVT_PG_FLIP.into()),
        ("XENDISPL_DBUF_FLG_REQ_ALLOC", usize::try_from(wire::FLAG_REQ_ALLOC).unwrap()),
        ("XENDISPL_EDID_MAX_SIZE", usize::try_from(wire::EDID_MAX_SIZE).unwrap()),
        ("(4096 - offsetof(struct xendispl_page_directory, gref)) / sizeof(grant_ref_t)", REFS_PER_PAGE),
        ("offsetof(struct xendispl_event_page, in_cons)", IN_CONS),
        ("offsetof(struct xendispl_event_page, in_prod)", IN_PROD),
        ("XENDISPL_IN_RING_OFFS", Layout::DISPLIF.base),
        ("XENDISPL_IN_RING_LEN", slots(Layout::DISPLIF)),
        ("offsetof(struct xenkbd_page, in_cons)", IN_CONS),
        ("offsetof(struct xenkbd_page, in_prod)", IN_PROD),
        ("XENKBD_IN_RING_OFFS", Layout::KBDIF.base),
        ("XENKBD_IN_RING_LEN", slots(Layout::KBDIF)),
        ("offsetof(struct xen_displif_sring, req_prod)", ring::REQ_PROD),
        ("offsetof(struct xen_displif_sring, req_event)", ring::REQ_EVENT),
        ("offsetof(struct xen_displif_sring, rsp_prod)", ring::RSP_PROD),
        ("offsetof(struct xen_displif_sring, rsp_event)", ring::RSP_EVENT),
        ("offsetof(struct xen_displif_sring, ring)", ring::HEADER),
        ("__CONST_RING_SIZE(xen_displif, 4096)", usize::try_from(ring::slots(wire::PACKET)).unwrap()),
    ]
}

#[test]
fn layouts_are_those_of_the_public_headers() {
    let mut measured = measured();
    for (name, operation) in request_fields() {
        assert_eq!(measured.remove(name), Some(found(&operation)), "{name}");
    }
    for (name, event) in keyboard_fields() {
        let key = format!("xenkbd_in_event.{name}");
        assert_eq!(measured.remove(&key), Some(found_in_event(name, event)), "{name}");
    }
    for (name, ours) in constants().into_iter().chain(keyboard_constants()) {
        assert_eq!(measured.remove(name), Some(ours), "{name}");
    }
    for (name, value) in &measured {
        let state = XenbusState::parse(&value.to_string()).expect("only states are left");
        assert_eq!(*name, format!("XenbusState{state}"));
    }
    assert_eq!(measured.len(), 9);
}

#[test]
fn error_numbers_are_those_of_this_system() {
    use nix::errno::Errno as Linux;
    let pairs = [
        (Errno::NoEntry, Linux::ENOENT),
        (Errno::Io, Linux::EIO),
        (Errno::NoMemory, Linux::ENOMEM),
        (Errno::Fault, Linux::EFAULT),
        (Errno::Busy, Linux::EBUSY),
        (Errno::Exists, Linux::EEXIST),
        (Errno::Invalid, Linux::EINVAL),
        (Errno::NoSpace, Linux::ENOSPC),
        (Errno::NotSupported, Linux::EOPNOTSUPP),
        (Errno::TimedOut, Linux::ETIMEDOUT),
    ];
    for (ours, linux) in pairs {
        assert_eq!(ours.status(), -(linux as i32));
    }
}

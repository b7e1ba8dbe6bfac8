// SPDX-License-Identifier: GPL-3.0-or-later
//! What a bad guest writes into xenstore.

use super::{Case, Expected, Hostile, case};
use crate::sim::front::FrontError;

pub(super) const CASES: &[Case] = &[
    case("store/resolution-empty", Expected::StaysOut, |bad| resolution(bad, b"")),
    case("store/resolution-x", Expected::StaysOut, |bad| resolution(bad, b"x")),
    case("store/resolution-0x0", Expected::StaysOut, |bad| resolution(bad, b"0x0")),
    case("store/resolution-negative", Expected::StaysOut, |bad| resolution(bad, b"-1x5")),
    case("store/resolution-huge", Expected::StaysOut, |bad| resolution(bad, b"99999999999x1")),
    case("store/resolution-three-numbers", Expected::StaysOut, |bad| resolution(bad, b"1x1x1")),
    case("store/resolution-binary", Expected::StaysOut, |bad| resolution(bad, &[0xff, 0xfe, 0, 1])),
    case("store/resolution-3-kib", Expected::StaysOut, |bad| resolution(bad, &[b'8'; 3072])),
    case("store/ring-missing", Expected::StaysOut, |bad| {
        let path = format!("{}/0/req-ring-ref", bad.front.directory());
        bad.front.guest.store().remove(&path)
    }),
    case("store/ring-not-a-number", Expected::StaysOut, |bad| bad.scribble_store("0/req-ring-ref", b"eight")),
    case("store/port-missing", Expected::StaysOut, |bad| {
        let path = format!("{}/1/evt-event-channel", bad.front.directory());
        bad.front.guest.store().remove(&path)
    }),
    case("store/port-negative", Expected::StaysOut, |bad| bad.scribble_store("1/req-event-channel", b"-1")),
    case("store/1000-connectors", Expected::Survived, |bad| {
        for index in 2..1000 {
            bad.scribble_store(&format!("{index}/resolution"), b"8x8")?;
        }
        bad.front.set_state(crate::xen::xenbus::XenbusState::Initialised)
    }),
    case("store/state-of-nonsense", Expected::Survived, |bad| {
        for state in [&b"9"[..], b"-1", b"foo", b"", &[0xff; 100]] {
            bad.scribble_store("state", state)?;
        }
        Ok(())
    }),
    case("store/state-flapping", Expected::Survived, |bad| {
        for _ in 0..300 {
            for state in [&b"3"[..], b"4", b"1", b"5"] {
                bad.scribble_store("state", state)?;
            }
        }
        Ok(())
    }),
    case("store/version-of-nonsense", Expected::Survived, |bad| {
        for version in [&b"3"[..], b"1,2", b"", b"-1"] {
            bad.scribble_store("version", version)?;
        }
        Ok(())
    }),
    case("store/unique-id-of-another", Expected::Survived, |bad| bad.scribble_store("0/unique-id", b"conn-a")),
    case("store/device-removed-while-connected", Expected::Closed, |bad| {
        let path = bad.front.directory().to_owned();
        bad.front.guest.store().remove(&path)
    }),
];

/// The leaf is read-only, but its directory is ours: remove it and write it anew.
fn resolution(bad: &mut Hostile, value: &[u8]) -> Result<(), FrontError> {
    let path = format!("{}/0", bad.front.directory());
    bad.front.guest.store().remove(&path)?;
    let (refs, ports) = {
        let connector = bad.connector(0)?;
        (connector.refs, [connector.requests.port, connector.event_channel.port])
    };
    bad.scribble_store("0/req-ring-ref", refs[0].to_string().as_bytes())?;
    bad.scribble_store("0/evt-ring-ref", refs[1].to_string().as_bytes())?;
    bad.scribble_store("0/req-event-channel", ports[0].to_string().as_bytes())?;
    bad.scribble_store("0/evt-event-channel", ports[1].to_string().as_bytes())?;
    bad.scribble_store("0/unique-id", b"bad-a")?;
    bad.scribble_store("0/resolution", value)
}

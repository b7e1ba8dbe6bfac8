// SPDX-License-Identifier: GPL-3.0-or-later
//! What is plugged in, and which scanout engine (CRTC) can drive it.

use std::io;
use std::rc::Rc;

use smithay::reexports::drm::control::{Device, Mode, ResourceHandles, connector, crtc};

/// A connected display.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) handle: connector::Handle,
    /// As the kernel names it in sysfs, without the card: `HDMI-A-1`. Unique over all devices.
    pub(super) name: String,
    pub(super) modes: Vec<Mode>,
    /// The CRTCs that can drive it.
    pub(super) crtcs: Vec<crtc::Handle>,
    pub(super) edid: Option<Rc<[u8]>>,
}

/// Lists the connected displays of a device. The kernel probes each connector, which takes some milliseconds
/// where a display's EDID is read over the cable; so only at start, on hot-plug and on resume.
pub(super) fn scan(device: &impl Device) -> io::Result<Vec<Connected>> {
    let resources = device.resource_handles()?;
    let mut connected = Vec::new();
    for &handle in resources.connectors() {
        match scan_one(device, &resources, handle) {
            Ok(found) => connected.extend(found),
            // A connector of a dock can vanish between the two calls.
            Err(error) => tracing::debug!(?handle, %error, "a connector could not be probed"),
        }
    }
    Ok(connected)
}

fn scan_one(
    device: &impl Device,
    resources: &ResourceHandles,
    handle: connector::Handle,
) -> io::Result<Option<Connected>> {
    let info = device.get_connector(handle, true)?;
    let usable = info.state() == connector::State::Connected
        && info.interface() != connector::Interface::Writeback
        && !info.modes().is_empty()
        && !is_headset(device, handle)?;
    if !usable {
        return Ok(None);
    }
    let mut crtcs = Vec::new();
    for &encoder in info.encoders() {
        let possible = device.get_encoder(encoder)?.possible_crtcs();
        crtcs.extend(
            resources.filter_crtcs(possible).into_iter().filter(|crtc| !crtcs.contains(crtc)).collect::<Vec<_>>(),
        );
    }
    let name = connector_name(info.interface().as_str(), info.interface_id());
    let edid = edid(device, handle)?;
    Ok(Some(Connected { handle, name, modes: info.modes().to_vec(), crtcs, edid }))
}

fn connector_name(interface: &str, id: u32) -> String {
    format!("{interface}-{id}")
}

/// What the display says of itself, where it does.
fn edid(device: &impl Device, handle: connector::Handle) -> io::Result<Option<Rc<[u8]>>> {
    for (&property, &value) in device.get_properties(handle)?.iter() {
        if device.get_property(property)?.name() == c"EDID" && value != 0 {
            let bytes = device.get_property_blob(value)?;
            return Ok(Some(bytes.into()).filter(|bytes: &Rc<[u8]>| !bytes.is_empty()));
        }
    }
    Ok(None)
}

/// The kernel marks head-mounted displays, on which a desktop makes no sense.
fn is_headset(device: &impl Device, handle: connector::Handle) -> io::Result<bool> {
    for (&property, &value) in device.get_properties(handle)?.iter() {
        if device.get_property(property)?.name() == c"non-desktop" {
            return Ok(value != 0);
        }
    }
    Ok(false)
}

/// Gives each connector one of its candidates, none of them twice and none that is taken; as many connectors
/// as possible get one, earlier ones first.
pub(super) fn assign<C: Copy + PartialEq>(candidates: &[Vec<C>], taken: &[C]) -> Vec<Option<C>> {
    let mut owners: Vec<(C, usize)> = Vec::new();
    for connector in 0..candidates.len() {
        claim(candidates, taken, connector, &mut owners, &mut Vec::new());
    }
    let of = |connector| owners.iter().find(|(_, owner)| *owner == connector).map(|(crtc, _)| *crtc);
    (0..candidates.len()).map(of).collect()
}

/// Claims a CRTC for a connector: a free one, else one whose holder can move to another (augmenting path).
fn claim<C: Copy + PartialEq>(
    candidates: &[Vec<C>],
    taken: &[C],
    connector: usize,
    owners: &mut Vec<(C, usize)>,
    tried: &mut Vec<C>,
) -> bool {
    let holder = |owners: &[(C, usize)], crtc| owners.iter().find(|(held, _)| *held == crtc).map(|(_, owner)| *owner);
    let mut own: Vec<C> =
        candidates.get(connector).into_iter().flatten().copied().filter(|crtc| !taken.contains(crtc)).collect();
    own.sort_by_key(|crtc| holder(owners, *crtc).is_some());
    for crtc in own {
        if tried.contains(&crtc) {
            continue;
        }
        tried.push(crtc);
        if holder(owners, crtc).is_none_or(|holder| claim(candidates, taken, holder, owners, tried)) {
            owners.retain(|(held, owner)| *held != crtc && *owner != connector);
            owners.push((crtc, connector));
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(connector_name("Virtual", 1), "Virtual-1");
        assert_eq!(connector_name("HDMI-A", 2), "HDMI-A-2");
    }

    #[test]
    fn each_connector_gets_a_crtc_of_its_own() {
        assert_eq!(assign(&[vec![1, 2], vec![1, 2]], &[]), [Some(1), Some(2)]);
        assert_eq!(assign::<u32>(&[], &[]), []);
    }

    #[test]
    fn a_connector_moves_when_another_one_has_no_choice() {
        assert_eq!(assign(&[vec![1, 2], vec![1]], &[]), [Some(2), Some(1)]);
        assert_eq!(assign(&[vec![1, 2], vec![1, 3], vec![1]], &[]), [Some(2), Some(3), Some(1)]);
    }

    #[test]
    fn taken_crtcs_are_left_alone_and_the_earlier_connector_wins() {
        assert_eq!(assign(&[vec![1, 2]], &[1]), [Some(2)]);
        assert_eq!(assign(&[vec![1], vec![1]], &[]), [Some(1), None]);
        assert_eq!(assign(&[vec![1], vec![]], &[1]), [None, None]);
    }
}

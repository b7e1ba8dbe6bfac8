// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether the guests that have displays have input devices that fit.

use std::io;

use xenstore_rs::Xs;

use super::Probe;
use super::guests::{children, read};
use crate::kbdif::features::Features;

const NAME: &str = "guests' input";

/// What xenstore says of the input devices of guests with displays; `store` is any connection to it.
#[must_use]
pub fn guest_inputs(store: &impl Xs) -> Vec<Probe> {
    match find(store) {
        Ok(probes) => probes,
        Err(error) => vec![Probe::warning(NAME, format!("xenstore: {error}"), "look at xenstored's log")],
    }
}

fn find(store: &impl Xs) -> io::Result<Vec<Probe>> {
    let own = read(store, "domid")?.unwrap_or_else(|| "0".to_owned());
    let backends = format!("/local/domain/{own}/backend");
    let mut probes = Vec::new();
    for domid in children(store, &format!("{backends}/vdispl"))? {
        let guest = read(store, &format!("/local/domain/{domid}/name"))?.unwrap_or_else(|| "?".to_owned());
        let who = format!("\"{guest}\" (dom {domid})");
        let devices = children(store, &format!("{backends}/vinput/{domid}"))?;
        if devices.is_empty() {
            let qemus = !children(store, &format!("{backends}/vkbd/{domid}"))?.is_empty();
            probes.push(without(&who, qemus));
        }
        for device in devices {
            probes.push(probe(store, &who, &device, &format!("{backends}/vinput/{domid}/{device}"))?);
        }
    }
    Ok(probes)
}

fn without(who: &str, qemus: bool) -> Probe {
    let name = format!("input of {who}");
    let line = "add vkb=[ 'backend-type=linux,backend=0' ] to its xl configuration (docs/guests.md)";
    if qemus {
        return Probe::warning(&name, "its vkb is QEMU's, since its line lacks backend-type=linux", line);
    }
    Probe::warning(&name, "it has no vkb, so no keyboard and no pointer", line)
}

fn probe(store: &impl Xs, who: &str, device: &str, backend: &str) -> io::Result<Probe> {
    let name = format!("input {device} of {who}");
    // A node that can't be read counts as missing: the rest of the answer is still worth having.
    let features = Features::of(|key| read(store, &format!("{backend}/{key}")).ok().flatten());
    let complaints = features.complaints();
    let state = read(store, &format!("{backend}/state"))?.unwrap_or_default();
    Ok(match complaints.first().and_then(|first| first.split_once(": ")) {
        Some((what, advice)) => Probe::warning(&name, what, advice),
        None => Probe::good(&name, if state == "4" { "connected" } else { "configured" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::ProbeState;
    use crate::doctor::guests::tests::Store;

    #[test]
    fn what_was_created_without_features_is_pointed_out() {
        let store = Store(
            [
                ("domid", "0"),
                ("/local/domain/3/name", "web"),
                ("/local/domain/0/backend/vdispl/3/0/state", "4"),
                ("/local/domain/0/backend/vdispl/4/0/state", "4"),
                ("/local/domain/0/backend/vdispl/5/0/state", "4"),
                ("/local/domain/0/backend/vdispl/6/0/state", "4"),
                ("/local/domain/0/backend/vinput/3/0/state", "4"),
                ("/local/domain/0/backend/vinput/4/0/state", "4"),
                ("/local/domain/0/backend/vinput/4/0/feature-abs-pointer", "1"),
                ("/local/domain/0/backend/vinput/4/0/width", "800"),
                ("/local/domain/0/backend/vinput/4/0/height", "600"),
                ("/local/domain/0/backend/vkbd/5/0/state", "1"),
            ]
            .into(),
        );
        let probes = guest_inputs(&store);
        let lines: Vec<_> = probes.iter().map(|probe| (probe.name.as_str(), probe.state)).collect();
        let expected = [
            ("input 0 of \"web\" (dom 3)", ProbeState::Warning),
            ("input 0 of \"?\" (dom 4)", ProbeState::Good),
            ("input of \"?\" (dom 5)", ProbeState::Warning),
            ("input of \"?\" (dom 6)", ProbeState::Warning),
        ];
        assert_eq!(lines, expected);
    }
}

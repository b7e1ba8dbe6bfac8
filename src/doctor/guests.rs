// SPDX-License-Identifier: GPL-3.0-or-later
//! Which guests have display devices, and whether these are set up as Grantway needs them.
//!
//! One-shot reads that may block: what `xenstore-rs` is for (docs/decisions/0001-own-xenstore-connection.md).

use std::io;

use xenstore_rs::Xs;

use super::Probe;

const NAME: &str = "guests' displays";

/// What xenstore says of the guests' display devices; `store` is any connection to it.
#[must_use]
pub fn guest_displays(store: &impl Xs) -> Vec<Probe> {
    match find(store) {
        Ok(found) if found.is_empty() => {
            vec![Probe::good(
                NAME,
                "no running guest has one: add a vdispl line to its xl configuration (docs/guests.md)",
            )]
        }
        Ok(found) => found.into_iter().map(Display::probe).collect(),
        Err(error) => vec![Probe::warning(NAME, format!("xenstore: {error}"), "look at xenstored's log")],
    }
}

struct Display {
    guest: String,
    domid: String,
    be_alloc: bool,
    kind: Option<String>,
}

impl Display {
    fn probe(self) -> Probe {
        let Self { guest, domid, be_alloc, kind } = self;
        let name = format!("display of \"{guest}\" (dom {domid})");
        if !be_alloc {
            return Probe::good(&name, "configured");
        }
        if kind.as_deref() == Some("pv") {
            let detail = "be-alloc=1 in a PV guest, whose driver dies when it maps our memory: it will be refused";
            return Probe::warning(
                &name,
                detail,
                "make it a guest of type=\"pvh\", or set be-alloc=0 in its vdispl line",
            );
        }
        Probe::good(&name, "be-alloc=1: buffers in our memory, if be-alloc = true stands for it in our configuration")
    }
}

fn find(store: &impl Xs) -> io::Result<Vec<Display>> {
    let own = read(store, "domid")?.unwrap_or_else(|| "0".to_owned());
    let base = format!("/local/domain/{own}/backend/vdispl");
    let mut displays = Vec::new();
    for domid in children(store, &base)? {
        let guest = read(store, &format!("/local/domain/{domid}/name"))?.unwrap_or_else(|| "?".to_owned());
        for device in children(store, &format!("{base}/{domid}"))? {
            let Some(frontend) = read(store, &format!("{base}/{domid}/{device}/frontend"))? else { continue };
            let be_alloc = read(store, &format!("{frontend}/be-alloc"))?.as_deref() == Some("1");
            let kind = read(store, &format!("/libxl/{domid}/type"))?;
            displays.push(Display { guest: guest.clone(), domid: domid.to_string(), be_alloc, kind });
        }
    }
    Ok(displays)
}

pub(super) fn read(store: &impl Xs, path: &str) -> io::Result<Option<String>> {
    absent_is_none(store.read(path).map(|value| value.trim_end_matches('\0').to_owned()))
}

pub(super) fn children(store: &impl Xs, path: &str) -> io::Result<Vec<Box<str>>> {
    let names = absent_is_none(store.directory(path))?.unwrap_or_default();
    Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::doctor::ProbeState;

    pub(in crate::doctor) struct Store(pub(in crate::doctor) BTreeMap<&'static str, &'static str>);

    impl Xs for Store {
        fn directory(&self, path: &str) -> io::Result<Vec<Box<str>>> {
            let prefix = format!("{path}/");
            let below = self.0.keys().filter_map(|key| key.strip_prefix(&prefix));
            let mut names: Vec<Box<str>> = below.filter_map(|rest| rest.split('/').next()).map(Box::from).collect();
            names.dedup();
            if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
        }

        fn read(&self, path: &str) -> io::Result<Box<str>> {
            self.0.get(path).map(|value| Box::from(*value)).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn write(&self, _: &str, _: &str) -> io::Result<()> {
            panic!("the doctor changes nothing")
        }

        fn rm(&self, _: &str) -> io::Result<()> {
            panic!("the doctor changes nothing")
        }
    }

    #[test]
    fn a_pv_guest_that_wants_our_memory_is_pointed_out() {
        let store = Store(BTreeMap::from([
            ("domid", "0"),
            ("/local/domain/0/backend/vdispl/3/0/frontend", "/local/domain/3/device/vdispl/0"),
            ("/local/domain/0/backend/vdispl/4/0/frontend", "/local/domain/4/device/vdispl/0"),
            ("/local/domain/3/name", "web"),
            ("/local/domain/3/device/vdispl/0/be-alloc", "0"),
            ("/local/domain/4/device/vdispl/0/be-alloc", "1"),
            ("/libxl/4/type", "pv"),
            ("/local/domain/0/backend/vdispl/5/0/frontend", "/local/domain/5/device/vdispl/0"),
            ("/local/domain/5/name", "map"),
            ("/local/domain/5/device/vdispl/0/be-alloc", "1"),
            ("/libxl/5/type", "pvh"),
        ]));
        let probes = guest_displays(&store);
        let states: Vec<_> = probes.iter().map(|probe| (probe.name.as_str(), probe.state)).collect();
        assert_eq!(
            states,
            [
                ("display of \"web\" (dom 3)", ProbeState::Good),
                ("display of \"?\" (dom 4)", ProbeState::Warning),
                ("display of \"map\" (dom 5)", ProbeState::Good)
            ]
        );
    }

    #[test]
    fn no_display_is_no_fault() {
        let probes = guest_displays(&Store(BTreeMap::from([("domid", "0")])));
        assert_eq!(probes.iter().map(|probe| probe.state).collect::<Vec<_>>(), [ProbeState::Good]);
    }
}

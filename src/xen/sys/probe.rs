// SPDX-License-Identifier: GPL-3.0-or-later
//! What of Xen is there, for the user.

use std::fs;
use std::io;

use nix::errno::Errno;

use super::ioctl::DomainAccount;
use super::{evtchn, gntdev, ioctl, open_device, store, zcopy};
use crate::xen::DomId;

/// How a part of Xen stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// It is there, and works as far as can be told.
    Ok,
    /// It is not there.
    Missing,
    /// It is there, and we may not use it.
    Denied,
    /// It is there, and does not work.
    Failed,
}

/// One part of Xen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub state: ProbeState,
    /// What was found.
    pub detail: String,
    /// What to do; empty when nothing has to be done.
    pub advice: String,
}

/// Looks at all parts of Xen. Changes nothing.
#[must_use]
pub fn probe() -> Vec<Probe> {
    let mut probes = vec![
        hypervisor(),
        control_domain(),
        xenstored(),
        device("event channels", evtchn::DEVICE, "modprobe xen-evtchn"),
        device("grants", gntdev::DEVICE, "modprobe xen-gntdev"),
        helper(),
        provider(&helper_state(), &gntdev_dmabuf()),
        allocation(&helper_state(), &heaps()),
    ];
    // Without the helper nobody has any.
    probes.extend(given(&zcopy::all_accounts().unwrap_or_default()));
    probes
}

/// The probe that says which provider will make buffers of the guests' grants.
pub const PROVIDER_PROBE: &str = "guests' buffers";
/// The probe that says where memory of ours for guests will come from.
pub const ALLOCATION_PROBE: &str = "buffers in our memory";

/// The probe that says which domains have memory of ours.
pub const GIVEN_PROBE: &str = "our memory in guests";

/// Which domains have memory of ours, whoever gave it to them.
fn given(accounts: &[(DomId, DomainAccount)]) -> Option<Probe> {
    let waiting = accounts.iter().any(|(_, account)| account.pages_waiting > 0);
    let say = |(domid, account): &(DomId, DomainAccount)| match account.pages_waiting {
        0 => format!("dom {domid}: {} pages", account.pages_granted),
        waiting => format!("dom {domid}: {} pages, {waiting} of them waiting for it", account.pages_granted),
    };
    let advice = "they are free when the guest unmaps them or ends; until then its account is charged for them";
    let detail = accounts.iter().map(say).collect::<Vec<_>>().join("; ");
    let (state, advice) = if waiting { (ProbeState::Failed, advice) } else { (ProbeState::Ok, "") };
    (!accounts.is_empty()).then(|| Probe { name: GIVEN_PROBE, state, detail, advice: advice.to_owned() })
}

/// Why there is no helper that we can use, if there is none.
fn helper_state() -> Result<(), String> {
    zcopy::check(&zcopy::info().map_err(|error| error.to_string())?)
}

/// Whether mainline's driver makes dma-bufs. It is asked for one of no pages, which it refuses in any case: it
/// says how far it has come.
fn gntdev_dmabuf() -> Result<(), String> {
    if line("/sys/hypervisor/guest_type").is_ok_and(|kind| kind == "PV") {
        return Err("this is a PV Dom0, whose gntdev makes no dma-bufs".to_owned());
    }
    let device = open_device(gntdev::DEVICE).map_err(|error| error.to_string())?;
    match ioctl::gntdev_dmabuf(device, DomId(0), &[]) {
        Err(error) if error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOTTY) => {
            Err("the kernel has no CONFIG_XEN_GNTDEV_DMABUF".to_owned())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The dma-heaps that we would take memory from.
fn heaps() -> Vec<&'static str> {
    let exists = |name: &&str| fs::exists(format!("/dev/dma_heap/{name}")).unwrap_or(false);
    super::grants::HEAPS.iter().map(|(name, _)| *name).filter(exists).collect()
}

fn provider(helper: &Result<(), String>, gntdev: &Result<(), String>) -> Probe {
    const BETTER: &str = "build and load the module xen-zcopy from kernel-helper/";
    let probe =
        |state, detail: String, advice: &str| Probe { name: PROVIDER_PROBE, state, detail, advice: advice.to_owned() };
    match (helper, gntdev) {
        (Ok(_), _) => {
            probe(ProbeState::Ok, "xen-zcopy: dma-bufs, and the kernel tells of their release".to_owned(), "")
        }
        (Err(why), Ok(())) => {
            let detail = format!("gntdev-dmabuf: dma-bufs, whose release is asked for; not xen-zcopy: {why}");
            probe(ProbeState::Missing, detail, BETTER)
        }
        (Err(why), Err(neither)) => {
            let detail =
                format!("gntdev-map: only the CPU reads them; not xen-zcopy: {why}; not gntdev-dmabuf: {neither}");
            probe(ProbeState::Missing, detail, BETTER)
        }
    }
}

fn allocation(helper: &Result<(), String>, heaps: &[&str]) -> Probe {
    let probe = |state, detail: String, advice: &str| Probe {
        name: ALLOCATION_PROBE,
        state,
        detail,
        advice: advice.to_owned(),
    };
    let why = match helper {
        Ok(()) => {
            let heaps = heaps.iter().map(|name| format!("dma-heap {name}, "));
            let sources: String = ["the display's driver, ".to_owned()].into_iter().chain(heaps).collect();
            return probe(ProbeState::Ok, format!("from {sources}xen-zcopy: the first that can be granted"), "");
        }
        Err(why) => why,
    };
    let advice = "only guests with be-alloc=1 need them: load the module xen-zcopy of this release";
    probe(ProbeState::Missing, format!("can't be had without xen-zcopy: {why}"), advice)
}

fn found(name: &'static str, detail: String) -> Probe {
    Probe { name, state: ProbeState::Ok, detail, advice: String::new() }
}

fn failed(name: &'static str, path: &str, error: &io::Error, advice: &str) -> Probe {
    let kind = error.kind();
    let (state, advice) = if kind == io::ErrorKind::PermissionDenied {
        (ProbeState::Denied, "run as root, or give the user access to it")
    } else if kind == io::ErrorKind::NotFound {
        (ProbeState::Missing, advice)
    } else {
        (ProbeState::Failed, advice)
    };
    Probe { name, state, detail: format!("{path}: {error}"), advice: advice.to_owned() }
}

fn line(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

fn hypervisor() -> Probe {
    const NAME: &str = "hypervisor";
    let advice = "boot this machine under Xen (Debian: apt install xen-system-amd64, and choose Xen in the boot menu)";
    match line("/sys/hypervisor/type") {
        Ok(kind) if kind == "xen" => {
            let part = |name: &str| line(&format!("/sys/hypervisor/{name}")).unwrap_or_default();
            let version = format!("{}.{}{}", part("version/major"), part("version/minor"), part("version/extra"));
            found(NAME, format!("Xen {version}, this domain is {}", part("guest_type")))
        }
        Ok(kind) => Probe {
            name: NAME,
            state: ProbeState::Missing,
            detail: format!("/sys/hypervisor/type says {kind:?}"),
            advice: advice.to_owned(),
        },
        Err(error) => failed(NAME, "/sys/hypervisor/type", &error, advice),
    }
}

fn control_domain() -> Probe {
    const NAME: &str = "control domain";
    const PATH: &str = "/proc/xen/capabilities";
    match line(PATH) {
        Ok(text) if text.split_whitespace().any(|word| word == "control_d") => found(NAME, "this is Dom0".to_owned()),
        Ok(text) => Probe {
            name: NAME,
            state: ProbeState::Missing,
            detail: format!("{PATH} says {text:?}: this is a guest, or xenfs is not mounted"),
            advice: "run in Dom0; if this is Dom0: mount -t xenfs none /proc/xen".to_owned(),
        },
        Err(error) => failed(NAME, PATH, &error, "mount -t xenfs none /proc/xen"),
    }
}

fn xenstored() -> Probe {
    const NAME: &str = "xenstore";
    for path in store::SOCKETS {
        match store::socket(path) {
            Ok(_) => return found(NAME, path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return failed(NAME, path, &error, "start xenstored (Debian: systemctl start xen)"),
        }
    }
    device(NAME, store::DEVICE, "start xenstored (Debian: systemctl start xen)")
}

fn device(name: &'static str, path: &str, advice: &str) -> Probe {
    match open_device(path) {
        Ok(_) => found(name, path.to_owned()),
        Err(error) => failed(name, path, &error, advice),
    }
}

fn helper() -> Probe {
    const NAME: &str = "kernel helper";
    let advice = "build and load the module xen-zcopy from kernel-helper/; without it the CPU reads the guests' pixels";
    let info = match zcopy::info() {
        Ok(info) => info,
        Err(error) => return failed(NAME, zcopy::DEVICE, &error, advice),
    };
    let detail = format!(
        "xen-zcopy, version {}, {} Dom0; {} buffers and {} pages in use, at most {} pages in a buffer and {} in all",
        info.version,
        if info.flags & 1 == 1 { "PV" } else { "auto-translated" },
        info.buffers_in_use,
        info.pages_in_use,
        info.max_pages_per_buffer,
        info.max_pages_per_file,
    );
    match zcopy::check(&info) {
        Ok(()) => found(NAME, detail),
        Err(why) => Probe { name: NAME, state: ProbeState::Failed, detail, advice: why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_that_will_be_used_is_named_with_why_and_what_to_do() {
        let pv = Err("PV".to_owned());
        let absent = Err("not loaded".to_owned());
        let best = provider(&Ok(()), &pv);
        assert_eq!((best.state, best.advice.as_str()), (ProbeState::Ok, ""));
        assert!(best.detail.starts_with("xen-zcopy:"));
        let second = provider(&absent, &Ok(()));
        assert_eq!(second.state, ProbeState::Missing);
        assert!(second.detail.starts_with("gntdev-dmabuf:") && second.detail.ends_with("not xen-zcopy: not loaded"));
        let last = provider(&absent, &pv);
        assert!(last.detail.starts_with("gntdev-map:") && last.detail.ends_with("not gntdev-dmabuf: PV"));
        assert!(last.advice.contains("xen-zcopy"));
    }

    #[test]
    fn who_has_memory_of_ours_is_told_by_domain() {
        let account = |granted, waiting| DomainAccount {
            pages_granted: granted,
            pages_waiting: waiting,
            ..DomainAccount::default()
        };
        assert_eq!(given(&[]), None);
        let fine = given(&[(DomId(3), account(600, 0))]).unwrap();
        assert_eq!((fine.state, fine.detail.as_str()), (ProbeState::Ok, "dom 3: 600 pages"));
        let late = given(&[(DomId(3), account(600, 0)), (DomId(7), account(300, 4))]).unwrap();
        assert_eq!(late.detail, "dom 3: 600 pages; dom 7: 300 pages, 4 of them waiting for it");
        assert!(late.state == ProbeState::Failed && !late.advice.is_empty());
    }

    #[test]
    fn memory_of_ours_needs_the_helper() {
        let ready = allocation(&Ok(()), &["linux,cma", "system"]);
        let order =
            "from the display's driver, dma-heap linux,cma, dma-heap system, xen-zcopy: the first that can be granted";
        assert_eq!((ready.state, ready.detail.as_str()), (ProbeState::Ok, order));
        let missing = allocation(&Err("not loaded".to_owned()), &["system"]);
        assert_eq!(missing.state, ProbeState::Missing);
        assert!(missing.detail.ends_with("without xen-zcopy: not loaded") && !missing.advice.is_empty());
    }
}

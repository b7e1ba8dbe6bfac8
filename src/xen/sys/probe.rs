// SPDX-License-Identifier: GPL-3.0-or-later
//! What of Xen is there, for the user.

use std::fs;
use std::io;

use super::{evtchn, gntdev, open_device, store, zcopy};

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
    vec![
        hypervisor(),
        control_domain(),
        xenstored(),
        device("event channels", evtchn::DEVICE, "modprobe xen-evtchn"),
        device("grants", gntdev::DEVICE, "modprobe xen-gntdev"),
        helper(),
    ]
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
            Err(error) => return failed(NAME, path, &error, "start xenstored (Debian: systemctl start xenstored)"),
        }
    }
    device(NAME, store::DEVICE, "start xenstored (Debian: systemctl start xenstored)")
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

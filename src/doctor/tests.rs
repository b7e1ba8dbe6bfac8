// SPDX-License-Identifier: GPL-3.0-or-later
//! The doctor on made-up machines.

use std::os::unix::net::UnixListener;

use super::*;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn dom0(root: &Path) {
    write(root, "sys/hypervisor/type", "xen\n");
    write(root, "sys/hypervisor/version/major", "4\n");
    write(root, "sys/hypervisor/version/minor", "20\n");
    write(root, "sys/hypervisor/version/extra", ".0\n");
    write(root, "sys/hypervisor/guest_type", "PV\n");
    write(root, "proc/xen/capabilities", "control_d\n");
    write(root, "proc/sys/kernel/osrelease", "6.12.1-amd64\n");
    write(root, "proc/meminfo", "MemTotal: 1 kB\nMemAvailable:     524288 kB\n");
    for device in ["evtchn", "gntdev", "xenbus", "zcopy"] {
        write(root, &format!("dev/xen/{device}"), "");
    }
    write(root, "sys/class/drm/card0/dev", "");
    write(root, "sys/class/drm/card0-Virtual-1/status", "connected\n");
    write(root, "sys/class/drm/card0-HDMI-A-1/status", "disconnected\n");
    write(root, "run/seatd.sock", "");
}

fn find<'a>(report: &'a Report, name: &str) -> &'a Probe {
    report.probes.iter().find(|probe| probe.name == name).unwrap()
}

#[test]
fn a_complete_dom0_can_run() {
    let dir = tempfile::tempdir().unwrap();
    dom0(dir.path());
    let socket = dir.path().join("run/xenstored/socket");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let _listener = UnixListener::bind(socket).unwrap();
    let report = examine(&System::below(dir.path()), vec![Probe::good("helper ABI", "version 1")]);
    assert!(report.can_run() && report.xen, "{report:?}");
    assert!(report.probes.iter().all(|probe| probe.state == ProbeState::Good), "{report:?}");
    assert_eq!(find(&report, "hypervisor").detail, "Xen 4.20.0, this domain is PV");
    assert_eq!(find(&report, "displays").detail, "card0 (driver unknown): Virtual-1");
    assert!(report.to_text().ends_with("\nGrantway can run here.\n"));
    assert!(report.to_text().contains("helper ABI"));
}

#[test]
fn without_xen_the_demo_is_named_and_the_drivers_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let report = examine(&System::below(dir.path()), vec![Probe::bad("gntdev", "x", "y")]);
    assert!(!report.can_run() && !report.xen);
    assert!(report.to_text().contains("`make demo` runs Grantway with simulated guests"));
    assert!(report.probes.iter().all(|probe| probe.name != "gntdev"));
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    dom0(dir.path());
    fs::remove_file(dir.path().join("dev/xen/gntdev")).unwrap();
    fs::remove_file(dir.path().join("dev/xen/zcopy")).unwrap();
    fs::remove_file(dir.path().join("run/seatd.sock")).unwrap();
    write(dir.path(), "proc/sys/kernel/osrelease", "5.10.0-28-amd64\n");
    write(dir.path(), "proc/meminfo", "MemAvailable: 65536 kB\n");
    let report = examine(&System::below(dir.path()), Vec::new());
    let state = |name: &str| find(&report, name).state;
    assert_eq!(find(&report, "/dev/xen/gntdev").advice, "modprobe xen-gntdev");
    assert_eq!(state("/dev/xen/gntdev"), ProbeState::Bad);
    assert_eq!(state("helper xen-zcopy"), ProbeState::Warning);
    assert_eq!(state("seat"), ProbeState::Warning);
    assert_eq!(state("kernel"), ProbeState::Warning);
    assert_eq!(state("memory"), ProbeState::Warning);
    assert!(!report.can_run());
    assert!(report.to_text().contains("lines marked FAIL"));
}

#[test]
fn a_guest_is_not_dom0_and_a_dead_xenstored_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    dom0(dir.path());
    write(dir.path(), "proc/xen/capabilities", "\n");
    let socket = dir.path().join("run/xenstored/socket");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(UnixListener::bind(socket).unwrap());
    let report = examine(&System::below(dir.path()), Vec::new());
    assert_eq!(find(&report, "control domain").state, ProbeState::Bad);
    assert_eq!(find(&report, "xenstored").state, ProbeState::Bad);
}

#[test]
fn the_json_says_the_same_as_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let report = examine(&System::below(dir.path()), Vec::new());
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["can-run"], false);
    assert_eq!(json["checks"].as_array().unwrap().len(), report.probes.len());
    assert_eq!(json["checks"][0]["state"], "bad");
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The doctor on made-up machines.

use super::*;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn dom0(root: &Path) {
    write(root, "sys/hypervisor/type", "xen\n");
    write(root, "proc/sys/kernel/osrelease", "6.12.1-amd64\n");
    write(root, "proc/meminfo", "MemTotal: 1 kB\nMemAvailable:     524288 kB\n");
    write(root, "sys/class/drm/card0/dev", "");
    write(root, "sys/class/drm/card0-Virtual-1/status", "connected\n");
    write(root, "sys/class/drm/card0-HDMI-A-1/status", "disconnected\n");
    write(root, "run/seatd.sock", "");
}

fn drivers() -> Vec<Probe> {
    vec![Probe::good("hypervisor", "Xen 4.20"), Probe::good("grants", "/dev/xen/gntdev")]
}

fn find<'a>(report: &'a Report, name: &str) -> &'a Probe {
    report.probes.iter().find(|probe| probe.name == name).unwrap()
}

#[test]
fn a_complete_dom0_can_run() {
    let dir = tempfile::tempdir().unwrap();
    dom0(dir.path());
    let report = examine(&System::below(dir.path()), drivers());
    assert!(report.can_run() && report.xen, "{report:?}");
    assert!(report.probes.iter().all(|probe| probe.state == ProbeState::Good), "{report:?}");
    assert_eq!(find(&report, "displays").detail, "card0 (driver unknown): Virtual-1");
    let expected = "\
ok    hypervisor  Xen 4.20
ok    grants      /dev/xen/gntdev
ok    kernel      6.12.1-amd64
ok    displays    card0 (driver unknown): Virtual-1
ok    seat        seatd
ok    memory      512 MiB available

Grantway can run here.
";
    assert_eq!(report.to_text(), expected);
}

#[test]
fn without_xen_the_demo_is_named_and_it_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let drivers = vec![Probe::bad("hypervisor", "no Xen", "boot it"), Probe::bad("grants", "x", "y")];
    for drivers in [drivers, Vec::new()] {
        let report = examine(&System::below(dir.path()), drivers);
        assert!(!report.can_run() && !report.xen);
        assert!(report.to_text().contains("`make demo` runs Grantway with simulated guests"));
        assert_eq!(find(&report, "hypervisor").state, ProbeState::Bad);
        assert!(report.probes.iter().all(|probe| probe.name != "grants"));
    }
}

#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    dom0(dir.path());
    fs::remove_file(dir.path().join("run/seatd.sock")).unwrap();
    fs::remove_dir_all(dir.path().join("sys/class/drm")).unwrap();
    write(dir.path(), "proc/sys/kernel/osrelease", "5.10.0-28-amd64\n");
    write(dir.path(), "proc/meminfo", "MemAvailable: 65536 kB\n");
    let mut report = examine(&System::below(dir.path()), drivers());
    for name in ["seat", "kernel", "memory", "displays"] {
        assert_eq!(find(&report, name).state, ProbeState::Warning, "{name}");
        assert!(!find(&report, name).advice.is_empty(), "{name}");
    }
    assert!(report.can_run());
    report.probes.push(Probe::bad("grants", "/dev/xen/gntdev: missing", "modprobe xen-gntdev"));
    assert!(!report.can_run());
    assert!(report.to_text().contains("> modprobe xen-gntdev\n"));
    assert!(report.to_text().contains("lines marked FAIL"));
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

// SPDX-License-Identifier: GPL-3.0-or-later
//! Every EDID that we make, judged by `edid-decode` (Debian's package of that name).

use std::io::Write;
use std::process::{Command, Stdio};

use grantway::displif::edid::generate;

fn decode(edid: &[u8]) -> String {
    let mut child = Command::new("edid-decode")
        .arg("--check")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("edid-decode is needed for this test: apt-get install edid-decode");
    child.stdin.take().unwrap().write_all(edid).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn edid_decode_finds_no_fault() {
    let sizes = [
        (1, 1),
        (1, 8192),
        (8192, 1),
        (17, 17),
        (640, 480),
        (800, 600),
        (1024, 768),
        (1280, 800),
        (1365, 767),
        (1366, 768),
        (1920, 1080),
        (1080, 1920),
        (2560, 1440),
        (3840, 2160),
        (4095, 2160),
        (4095, 4095),
        (4096, 2160),
        (4096, 4096),
        (5120, 2880),
        (7680, 4320),
        (8191, 8191),
        (8192, 8192),
    ];
    let mut faults = Vec::new();
    for (width, height) in sizes {
        let report = decode(&generate(width, height));
        let (decoded, verdict) = report.split_once("edid-decode SHA").unwrap_or((&report, ""));
        if !verdict.contains("EDID conformity: PASS") {
            faults.push(format!("{width}x{height}: {verdict}"));
        }
        if !decoded.contains(&format!(" {width}x{height} ")) {
            faults.push(format!("{width}x{height} is not offered: {decoded}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_checker_finds_a_fault_that_is_there() {
    let mut edid = generate(800, 600);
    edid[20] ^= 1;
    assert!(!decode(&edid).contains("EDID conformity: PASS"));
}

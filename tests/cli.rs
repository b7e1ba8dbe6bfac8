// SPDX-License-Identifier: GPL-3.0-or-later
//! The program as users call it: bad input to every command and to every configuration key gets exactly one
//! line and exit code 2.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by a panic")]
#![cfg(feature = "compositor")]

use std::path::Path;
use std::process::{Command, Output};

fn grantway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grantway"))
        .args(arguments)
        .env_remove("GRANTWAY_LOG")
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// One line on standard error, nothing on standard output, exit code 2. Returns the line.
fn refused(arguments: &[&str]) -> String {
    let output = grantway(arguments);
    let line = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert_eq!(line.matches('\n').count(), 1, "{arguments:?}: {line:?}");
    assert!(line.starts_with("grantway: ") && line.ends_with('\n'), "{arguments:?}: {line:?}");
    line.trim_end().to_owned()
}

#[test]
fn bad_arguments_of_every_command_get_one_line() {
    let bad: &[&[&str]] = &[
        &["--nonsense"],
        &["nonsense"],
        &["--backend"],
        &["--backend", "x11"],
        &["--renderer", "vulkan"],
        &["--session", "elogind"],
        &["--platform", "kvm"],
        &["--platform", "sim:"],
        &["--output", "800"],
        &["--output", "0x0"],
        &["--output", "800x600@0"],
        &["--backend", "kms", "--output", "800x600"],
        &["--headless", "--backend", "kms"],
        &["--kiosk"],
        &["--kiosk", "--headless"],
        &["--log", "loud"],
        &["--log", "grantway=loud"],
        &["--config", "/nonexistent/grantway.toml"],
        &["--config", "/"],
        &["--socket"],
        &["--backend", "kms", "--backend", "kms"],
        &["msg"],
        &["msg", "nonsense"],
        &["msg", "status", "--yaml"],
        &["msg", "status", "extra"],
        &["msg", "--timeout", "0", "status"],
        &["msg", "--timeout", "x", "status"],
        &["msg", "--config", "/nonexistent/grantway.toml", "status"],
        &["msg", "screenshot"],
        &["msg", "screenshot", "a.png", "--guest", ""],
        &["msg", "screenshot", "a.png", "--guest", "99999"],
        &["msg", "screenshot", "a.png", "--guest=-1"],
        &["msg", "screenshot", "a.png", "--guest", "3", "--connector", "x"],
        &["msg", "screenshot", "a.png", "--connector", "1"],
        &["msg", "screenshot", "a.png", "--guest", "3", "--output", "HDMI-A-1"],
        &["msg", "screenshot", "a.png", "--output", ""],
        &["msg", "fullscreen"],
        &["msg", "fullscreen", ""],
        &["msg", "fullscreen", "a\nb"],
        &["msg", "fullscreen", "99999"],
        &["msg", "input"],
        &["msg", "input", "key", "righ-ctrl"],
        &["msg", "input", "key", "a", "--press", "--release"],
        &["msg", "input", "button", "30"],
        &["msg", "input", "text", ""],
        &["msg", "input", "pointer", "5"],
        &["msg", "input", "touch", "hover", "1"],
        &["msg", "input", "wheel", "9999999"],
        &["msg", "input", "--connector", "1", "key", "a"],
        &["msg", "quit", "now"],
        &["doctor", "--yaml"],
        &["doctor", "extra"],
        &["check-config", "/nonexistent/grantway.toml"],
        &["check-config", "a", "b"],
        &["default-config", "extra"],
        &["demo", "--seconds", "0"],
        &["demo", "--seconds", "many"],
        &["demo", "extra"],
    ];
    for arguments in bad {
        refused(arguments);
    }
}

#[test]
fn the_line_says_what_would_be_right() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["--backend", "headles"],
            "grantway: invalid value 'headles' for '--backend <KIND>' [possible values: auto, headless, kms] \
             tip: a similar value exists: 'headless'; try `grantway --help`",
        ),
        (
            &["msg", "status", "--jsn"],
            "grantway: unexpected argument '--jsn' found tip: a similar argument exists: '--json'; \
             try `grantway msg status --help`",
        ),
        (&["msg"], "grantway: a command is missing; try `grantway msg --help`"),
        (
            &["--output", "800"],
            "grantway: invalid value '800' for '--output <WxH[@HZ]>': \"800\" is not a mode: no \"x\" between width and \
             height; write it like \"1920x1080\" or \"1920x1080@60\"; try `grantway --help`",
        ),
    ];
    for (arguments, line) in cases {
        assert_eq!(refused(arguments), *line);
    }
}

/// A bad value for every key of the default configuration, and an unknown key in every table.
#[test]
fn bad_values_of_every_configuration_key_get_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let line = refused(&["check-config", file.to_str().unwrap()]);
        let place = format!("grantway: {}:", file.display());
        assert!(line.starts_with(&place), "{line}");
        let mut numbers = line[place.len()..].split(':');
        assert!(numbers.next().unwrap().parse::<u32>().unwrap() > 0, "{line}");
        assert!(numbers.next().unwrap().parse::<u32>().unwrap() > 0, "{line}");
        assert_eq!(refused(&["--config", file.to_str().unwrap()]), line);
        line
    };
    let keys = keys_of(include_str!("../assets/grantway.toml"));
    assert!(keys.len() > 25, "{keys:?}");
    for (table, key) in &keys {
        // No key takes a list of lists, and none takes this text or this number.
        for value in ["[[]]", "\"\\u0007\"", "-1"] {
            let line = check(&format!("{table}\n{key} = {value}\n"));
            assert!(line.contains(key), "{key} = {value}: {line}");
        }
        let line = check(&format!("{table}\n{key}x = 1\n"));
        assert!(line.contains(&format!("did you mean `{key}`?")), "{line}");
    }
    for text in ["[", "x = 1\n", "[nonsense]\n", "\u{0}", "[[backend]]\n", "guest = 3\n"] {
        check(text);
    }
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(refused(&["check-config", file.to_str().unwrap()]).contains("can't be read"));
}

/// The tables and keys of the commented default file, those in comments too.
fn keys_of(text: &str) -> Vec<(String, String)> {
    let mut table = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            table = line.split(" #").next().unwrap().trim().to_owned();
            if let Some((name, _)) = line.split_once("  #") {
                table = name.trim().to_owned();
            }
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            keys.push((table.clone(), key.to_owned()));
        }
    }
    keys
}

#[test]
fn the_default_configuration_passes_its_own_check() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("grantway.toml");
    let output = grantway(&["default-config"]);
    assert_eq!(output.status.code(), Some(0));
    std::fs::write(&file, output.stdout).unwrap();
    let output = grantway(&["check-config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}: good\n", file.display()));
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["--version"], &["msg", "--help"], &["msg", "screenshot", "--help"]] {
        let output = grantway(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn without_a_compositor_msg_fails_with_one_line_and_code_1() {
    for command in [&["status"][..], &["quit"], &["fullscreen", "off"], &["screenshot", "/nonexistent/a.png"]] {
        let arguments = [&["msg", "--socket", "/nonexistent/s"], command].concat();
        let output = grantway(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(stderr(&output).matches('\n').count(), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains("no grantway answers"), "{}", stderr(&output));
    }
}

#[test]
fn the_doctor_tells_where_it_stands() {
    let output = grantway(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let runs = report["can-run"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if runs { 0 } else { 1 }));
    let text = String::from_utf8(grantway(&["doctor"]).stdout).unwrap();
    if !Path::new("/sys/hypervisor/type").exists() {
        assert!(!runs);
        assert!(text.contains("`make demo`"), "{text}");
    }
}

/// A compositor in memory on the simulated hypervisor, with a socket of its own.
#[cfg(feature = "sim")]
struct Running {
    process: std::process::Child,
    dir: tempfile::TempDir,
}

#[cfg(feature = "sim")]
impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let process = Self::command(dir.path()).spawn().unwrap();
        let mut running = Self { process, dir };
        let end = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        while running.msg(&["status"]).status.code() != Some(0) {
            assert!(running.process.try_wait().unwrap().is_none(), "the compositor ended");
            assert!(std::time::SystemTime::now() < end, "the compositor does not answer");
        }
        running
    }

    fn command(dir: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantway"));
        command.arg("--platform").arg(format!("sim:{}", dir.join("xen").display()));
        command.arg("--socket").arg(dir.join("control")).args(["--backend", "headless", "--renderer", "pixman"]);
        command.args(["--output", "320x200", "--output", "640x480", "--log", "error"]);
        command
    }

    fn msg(&self, arguments: &[&str]) -> Output {
        let socket = self.dir.path().join("control");
        grantway(&[&["msg", "--socket", socket.to_str().unwrap()], arguments].concat())
    }

    /// Refused by the compositor: one line, exit code 1.
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.msg(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).matches('\n').count(), 1, "{arguments:?}: {}", stderr(&output));
        stderr(&output).trim_end().to_owned()
    }
}

#[cfg(feature = "sim")]
impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Width and height of a PNG file.
#[cfg(feature = "sim")]
fn size_of(png: &[u8]) -> (u32, u32) {
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[cfg(feature = "sim")]
#[test]
fn a_running_compositor_does_what_msg_says() {
    let mut running = Running::start();
    let output = running.msg(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["backend"], "headless");
    assert_eq!(status["platform"], "sim");
    let names: Vec<&str> =
        status["outputs"].as_array().unwrap().iter().map(|output| output["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["headless-1", "headless-2"]);
    let text = String::from_utf8(running.msg(&["status"]).stdout).unwrap();
    assert!(text.contains("\nheadless-2  640x480@60"), "{text}");
    assert!(text.ends_with("no guest has a display device\n"), "{text}");

    let picture = running.dir.path().join("a.png");
    let file = picture.to_str().unwrap();
    for (arguments, size) in
        [(&["screenshot", file][..], (320, 200)), (&["screenshot", file, "--output", "headless-2"], (640, 480))]
    {
        let output = running.msg(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(size_of(&std::fs::read(&picture).unwrap()), size);
    }
    assert!(running.refuses(&["screenshot", file, "--output", "DP-1"]).contains("headless-1, headless-2"));
    assert!(running.refuses(&["screenshot", file, "--guest", "web"]).contains("guest \"web\""));
    assert!(
        running
            .refuses(&["screenshot", "/nonexistent/a.png"])
            .contains("/nonexistent/a.png: the picture can't be written")
    );
    assert!(running.refuses(&["fullscreen", "3"]).contains("domain 3"));
    assert_eq!(running.msg(&["fullscreen", "off"]).status.code(), Some(0));

    let second = Running::command(running.dir.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another grantway is running"), "{}", stderr(&second));
    assert_eq!(stderr(&second).matches('\n').count(), 1);

    assert_eq!(running.msg(&["quit"]).status.code(), Some(0));
    assert_eq!(running.process.wait().unwrap().code(), Some(0));
    assert!(!running.dir.path().join("control").exists());
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Bad guests against the whole compositor, while a good guest flips: each must get what it deserves, and nobody
//! else may notice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by a panic"
)]
#![cfg(all(feature = "sim", feature = "compositor"))]

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use grantway::control::{Client, Request, Response, ScreenshotTarget};
use grantway::displif::wire::SetConfig;
use grantway::sim::display_front::{DisplayFront, Geometry};
use grantway::sim::front::{FrontError, Guest, now, wait};
use grantway::sim::hostile::{self, Case};
use grantway::sim::keyboard_front::KeyboardFront;
use grantway::xen::xenbus::XenbusState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A compositor, ended with the test.
struct Compositor {
    process: Child,
    directory: tempfile::TempDir,
}

impl Compositor {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        // Thousands of requests are refused here: at the default pace that would take minutes.
        let config = "[guest.bad]\nbe-alloc = true\n[guest.bad.limits]\nrefusals-per-second = 100000\n";
        fs::write(at("config"), config).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_grantway"))
            .arg("--platform")
            .arg(format!("sim:{}", at("xen").display()))
            .arg("--config")
            .arg(at("config"))
            .args(["--backend", "headless", "--renderer", "pixman", "--output", "1024x768", "--socket"])
            .arg(at("control"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut compositor = Self { process, directory };
        let end = now() + Duration::from_secs(30);
        // It listens to guests before it listens to commands.
        while UnixStream::connect(compositor.directory.path().join("control")).is_err() {
            assert!(now() < end, "the compositor does not start:\n{}", compositor.log());
            compositor.assert_alive("its start");
            wait(&[], Duration::from_millis(20)).unwrap();
        }
        // And to commands before it is ready: only one that is answered tells that all its descriptors are there.
        let mut client =
            Client::connect(&compositor.directory.path().join("control"), Duration::from_secs(30)).unwrap();
        client.request(&Request::Status {}).unwrap();
        compositor
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("xen")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn assert_alive(&mut self, after: &str) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "after {after} the compositor ended with {ended:?}:\n{}", self.log());
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(Path::new("/proc").join(self.process.id().to_string()).join("fd")).unwrap().count()
    }

    /// Asks it to end, and expects that it does so in good order.
    fn stop(mut self) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the compositor ended with {status}:\n{}", self.log());
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn good_guest(socket: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_grantway-sim-guest"))
        .arg("--socket")
        .arg(socket)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn report(guest: Child) -> serde_json::Value {
    let output = guest.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// Runs cases of one kind beside a good guest.
fn against(kind: &str) {
    let cases: Vec<Case> = hostile::cases().into_iter().filter(|case| case.name.starts_with(kind)).collect();
    assert!(!cases.is_empty());
    let mut compositor = Compositor::start();
    let socket = compositor.socket();
    // Flips until it is killed.
    let good = good_guest(&socket, &["--name", "good", "--connectors", "conn-a:160x120", "--fps", "60"]);
    wait(&[], Duration::from_millis(1000)).unwrap();
    let before = compositor.descriptors();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(why) = hostile::run(&socket, case) {
            failures.push(why);
        }
        compositor.assert_alive(case.name);
    }
    let after = settled(&compositor, before);
    drop_child(good);
    // A last guest is served in full, and counts what it sees.
    let counted = report(good_guest(&socket, &["--name", "late", "--connectors", "conn-a:160x120", "--flips", "60"]));
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert!(after <= before, "descriptors: {before} before, {after} after");
    for (field, wanted) in [("flips", 60), ("events", 60), ("bad_ids", 0), ("timeouts", 0), ("still_mapped", 0)] {
        assert_eq!(counted[field], wanted, "{field}: {counted}");
    }
    compositor.stop();
}

/// The descriptors in use, when they have fallen to `wanted`, or after 5 s.
fn settled(compositor: &Compositor, wanted: usize) -> usize {
    let end = now() + Duration::from_secs(5);
    while compositor.descriptors() > wanted && now() < end {
        wait(&[], Duration::from_millis(50)).unwrap();
    }
    compositor.descriptors()
}

fn drop_child(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn rings() {
    against("ring/");
}

#[test]
fn event_pages() {
    against("events/");
}

#[test]
fn buffers() {
    against("buffer/");
}

#[test]
fn framebuffers() {
    against("framebuffer/");
}

#[test]
fn configurations() {
    against("config/");
}

#[test]
fn flips() {
    against("flip/");
}

#[test]
fn edids() {
    against("edid/");
}

#[test]
fn allocations() {
    against("alloc/");
}

#[test]
fn xenstore() {
    against("store/");
}

#[test]
fn a_good_guest_does_not_notice_a_bad_one() {
    let compositor = Compositor::start();
    let socket = compositor.socket();
    let good =
        good_guest(&socket, &["--name", "good", "--connectors", "conn-a:160x120", "--fps", "60", "--flips", "180"]);
    let storm = ["ring/notify-storm", "ring/1000-bad-requests", "buffer/500-buffers", "store/state-flapping"];
    for case in hostile::cases().iter().filter(|case| storm.contains(&case.name)) {
        hostile::run(&socket, case).unwrap();
    }
    let seen = report(good);
    for (field, wanted) in [("flips", 180), ("events", 180), ("bad_ids", 0), ("flip_errors", 0), ("flip_timeouts", 0)] {
        assert_eq!(seen[field], wanted, "{field}: {seen}");
    }
    let slowest = seen["slowest_flip_ms"].as_f64().unwrap();
    assert!(slowest < 1000.0, "a flip of the good guest took {slowest} ms");
    compositor.stop();
}

fn driver(socket: &Path) -> DisplayFront {
    let device = "backend=0,be-alloc=0,connectors=conn-a:64x48";
    DisplayFront::new(Guest::start(socket, "brief", &[device], 1024).unwrap(), 0, 1)
}

#[test]
fn a_hundred_guests_that_die_in_the_middle_leave_nothing() {
    let mut compositor = Compositor::start();
    let socket = compositor.socket();
    let before = compositor.descriptors();
    for round in 0..100 {
        let mut front = driver(&socket);
        if round % 4 == 0 {
            continue;
        }
        front.connect(Duration::from_secs(10)).unwrap();
        if round % 4 == 1 {
            continue;
        }
        let buffer = front.create_buffer(Geometry::picture(64, 48, 32)).unwrap();
        let framebuffer = front.attach(buffer.cookie, 64, 48, 0x3432_5258).unwrap();
        let config = SetConfig { cookie: framebuffer, x: 0, y: 0, width: 64, height: 48, bpp: 32 };
        front.set_config(0, config).unwrap();
        if round % 4 == 2 {
            front.flip(0, framebuffer).unwrap();
        }
    }
    compositor.assert_alive("a hundred guests");
    let after = settled(&compositor, before);
    assert!(after <= before, "descriptors: {before} before, {after} after\n{}", compositor.log());
    compositor.stop();
}

#[test]
fn buffers_destroyed_while_pictures_are_taken() {
    let mut compositor = Compositor::start();
    let arguments = ["--name", "churn", "--connectors", "conn-a:160x120", "--recreate", "1", "--flips", "200"];
    let mut churn = good_guest(&compositor.socket(), &arguments);
    let mut client = Client::connect(&compositor.directory.path().join("control"), Duration::from_secs(30)).unwrap();
    let mut pictures = 0;
    while churn.try_wait().unwrap().is_none() {
        let target = ScreenshotTarget::FirstOutput;
        match client.request(&Request::Screenshot { target }).unwrap() {
            Response::Screenshot(_) => pictures += 1,
            // Before the first frame there is none to take.
            Response::Error(why) => assert!(why.contains("has not shown anything yet"), "{why}"),
            other @ (Response::Done | Response::Status(_) | Response::Reloaded { .. }) => panic!("{other:?}"),
        }
        compositor.assert_alive("a screenshot");
    }
    let seen = report(churn);
    assert!(pictures > 10, "{pictures} pictures are no test");
    // Every second frame is the first one of new buffers, and no flip.
    for (field, wanted) in [("flips", 100), ("events", 100), ("timeouts", 0), ("still_mapped", 0)] {
        assert_eq!(seen[field], wanted, "{field}: {seen}");
    }
    compositor.stop();
}

/// One bad thing that a guest does with its input device.
type Misuse = fn(&mut Guest, &mut KeyboardFront) -> Result<(), FrontError>;

const MISUSES: [(&str, Misuse); 5] = [
    ("indices of nonsense and a storm of notifies", |_, keyboard| {
        for round in 0..2000_u32 {
            if let Some(page) = keyboard.page() {
                for offset in [0, 4, 8, 12] {
                    page.store_u32(offset, round.wrapping_mul(0x9e37_79b9).rotate_left(offset.try_into().unwrap()))?;
                }
            }
            keyboard.notify()?;
        }
        Ok(())
    }),
    ("states that flap", |guest, keyboard| {
        let path = format!("{}/state", keyboard.directory());
        for state in ["3", "4", "1", "5", "9", "-1", "foo", ""].into_iter().cycle().take(800) {
            guest.store().write(&path, state)?;
        }
        Ok(())
    }),
    ("features that there are not", |guest, keyboard| {
        let keys = [("request-raw-pointer", "4294967295"), ("request-multi-touch", "-1"), ("width", "0")];
        for (key, value) in
            keys.into_iter().chain([("page-gref", "4294967295"), ("event-channel", "0"), ("state", "3")])
        {
            guest.store().write(&format!("{}/{key}", keyboard.directory()), value)?;
        }
        Ok(())
    }),
    ("its directory removed", |guest, keyboard| guest.store().remove(keyboard.directory())),
    ("a page revoked while it is mapped", |guest, keyboard| {
        keyboard.revoke_page(guest);
        keyboard.set_state(guest, XenbusState::Initialising)
    }),
];

#[test]
fn input_devices_that_are_misused_trouble_nobody_else() {
    let mut compositor = Compositor::start();
    let socket = compositor.socket();
    let arguments = ["--name", "good", "--connectors", "conn-a:160x120", "--fps", "60", "--flips", "120", "--keyboard"];
    let good = good_guest(&socket, &arguments);
    let before = compositor.descriptors();
    for (what, misuse) in MISUSES {
        let devices = ["vkb:backend-type=linux,backend=0", "backend=0,be-alloc=0,connectors=conn-a:64x48"];
        let mut guest = Guest::start(&socket, "bad", &devices, 1024).unwrap();
        let mut keyboard = KeyboardFront::connect(&mut guest, 0, Duration::from_secs(20)).unwrap();
        misuse(&mut guest, &mut keyboard).unwrap_or_else(|error| panic!("{what}: {error}"));
        wait(&[], Duration::from_millis(200)).unwrap();
        compositor.assert_alive(what);
    }
    let seen = report(good);
    for (field, wanted) in [("flips", 120), ("events", 120), ("flip_errors", 0), ("flip_timeouts", 0)] {
        assert_eq!(seen[field], wanted, "{field}: {seen}");
    }
    assert_eq!(seen["oops"], serde_json::Value::Null);
    let after = settled(&compositor, before);
    assert!(after <= before, "descriptors: {before} before, {after} after\n{}", compositor.log());
    let lines = compositor.log().lines().filter(|line| line.contains("WARN")).count();
    assert!(lines < 60, "{lines} warnings:\n{}", compositor.log());
    compositor.stop();
}

#[test]
fn a_driver_that_is_unloaded_and_loaded_again_starts_anew() {
    let compositor = Compositor::start();
    let mut front = driver(&compositor.socket());
    for _ in 0..5 {
        front.connect(Duration::from_secs(10)).unwrap();
        let buffer = front.create_buffer(Geometry::picture(64, 48, 32)).unwrap();
        let framebuffer = front.attach(buffer.cookie, 64, 48, 0x3432_5258).unwrap();
        let config = SetConfig { cookie: framebuffer, x: 0, y: 0, width: 64, height: 48, bpp: 32 };
        front.set_config(0, config).unwrap();
        for _ in 0..3 {
            front.flip(0, framebuffer).unwrap();
            assert_eq!(front.wait_flips(Duration::from_secs(5)).unwrap(), [0]);
        }
        front.detach(framebuffer).unwrap();
        front.destroy_buffer(buffer).unwrap();
        front.remove().unwrap();
    }
    let counts = &front.counts;
    assert_eq!((counts.events, counts.bad_ids, counts.still_mapped), (15, 0, 0), "{counts:?}");
    drop(front);
    compositor.stop();
}

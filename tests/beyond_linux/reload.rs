// SPDX-License-Identifier: GPL-3.0-or-later
//! The configuration, read again while guests are there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use grantway::control::{InputAction, Response};
use tempfile::TempDir;

use super::desk::{Desk, Guest, Rgb, wait_for};

const BEFORE: &str = "[guest.web]\ncolor = \"#c01020\"\n";
const LEFT: u32 = 0x110;
const NOTICE_EDGE: Rgb = [255, 214, 64];

struct Configured {
    desk: Desk,
    _guest: Guest,
    dir: TempDir,
}

impl Configured {
    fn new(text: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let mut desk = Desk::new(&["--output", "1000x500@240", "--config", file.to_str().unwrap()]);
        let arguments = ["--connectors", "a:300x200", "--pattern", "bars", "--flips", "2", "--linger", "--keyboard"];
        let guest = desk.guest("web", &arguments);
        desk.wait_connector("web", 0, |connector| connector.events == 2);
        Self { desk, _guest: guest, dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    /// What `grantway msg reload` says: standard output and error, and the exit code.
    fn reload(&self) -> (String, String, Option<i32>) {
        let socket = self.desk.socket();
        let arguments = ["msg", "--socket", socket.to_str().unwrap(), "reload"];
        let Output { stdout, stderr, status } = grantway(&arguments);
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
    }

    /// The colour of the guest's frame, left of its picture.
    fn frame(&mut self) -> Rgb {
        let window = self.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
        let (x, y) = (u32::try_from(window.x - 2).unwrap(), u32::try_from(window.y + 50).unwrap());
        self.desk.output_picture().at(x, y)
    }

    fn wait_frame(&mut self, wanted: Rgb) {
        wait_for(&format!("a frame of {wanted:?}"), || (self.frame() == wanted).then_some(()));
    }

    fn shows_notice(&mut self) -> bool {
        self.desk.output_picture().at(500, 41) == NOTICE_EDGE
    }
}

fn grantway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grantway")).args(arguments).output().unwrap()
}

#[test]
fn a_guests_colour_changes_while_it_runs_and_what_can_not_change_is_named() {
    let mut desk = Configured::new(BEFORE);
    desk.wait_frame([0xc0, 0x10, 0x20]);
    desk.write(
        "[guest.web]\ncolor = \"#1020c0\"\nlabel = \"Browser\"\n[log]\nlevel = \"debug\"\n\
         [control]\nmode = \"0660\"\n[keys]\nnext-guest = \"n\"\n",
    );
    let (said, complaint, code) = desk.reload();
    let expected = "changed: keys, guest.\"web\"\ncontrol.mode needs a restart\nlog.level needs a restart\n";
    assert_eq!((said.as_str(), complaint.as_str(), code), (expected, "", Some(0)));
    desk.wait_frame([0x10, 0x20, 0xc0]);
    assert!(!desk.shows_notice());
    let events = desk.desk.find_guest("web").unwrap().connectors[0].events;
    assert_eq!(events, 2, "the guest did not connect anew");
    let log = desk.desk.log();
    assert!(log.iter().any(|line| line.contains("control.mode needs a restart")), "{log:?}");
    // What waits for a restart waits on; what has changed has changed.
    assert_eq!(
        desk.reload().0,
        expected.replacen("changed: keys, guest.\"web\"", "nothing has changed that can change now", 1)
    );
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_shown_until_a_good_one_follows() {
    let mut desk = Configured::new(BEFORE);
    desk.wait_frame([0xc0, 0x10, 0x20]);
    desk.write("[guest.web]\ncolor = \"#1020c0\"\n[pacing]\nhiden-hz = 3\n");
    let (said, complaint, code) = desk.reload();
    assert_eq!((said.as_str(), code), ("", Some(1)));
    assert!(complaint.contains("config.toml:4:1: unknown key `hiden-hz`"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1);
    wait_for("the error on the screen", || desk.shows_notice().then_some(()));
    assert_eq!(desk.frame(), [0xc0, 0x10, 0x20]);
    assert!(desk.desk.log().iter().any(|line| line.contains("unknown key `hiden-hz`")));
    desk.desk.keep_picture("reload-error.png");

    // A click beside it leaves it, and one on it takes it away and reaches nobody.
    for (x, y, stays) in [(20, 400, true), (500, 60, false)] {
        desk.desk.input(InputAction::Pointer { x, y });
        desk.desk.input(InputAction::Key { code: LEFT, pressed: None });
        wait_for("what the click does", || (desk.shows_notice() == stays).then_some(()));
    }
    desk.reload();
    wait_for("the error again", || desk.shows_notice().then_some(()));
    desk.write(BEFORE);
    assert_eq!(desk.reload().2, Some(0));
    wait_for("the end of the error", || (!desk.shows_notice()).then_some(()));
}

#[test]
fn a_signal_has_the_configuration_read_again() {
    let mut desk = Configured::new(BEFORE);
    desk.write("[guest.web]\ncolor = \"#10c020\"\n");
    desk.desk.signal("HUP");
    desk.wait_frame([0x10, 0xc0, 0x20]);
    desk.write("nonsense");
    desk.desk.signal("HUP");
    wait_for("the error on the screen", || desk.shows_notice().then_some(()));
    desk.desk.quit();
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let desk = Configured::new(BEFORE);
    std::fs::remove_file(desk.file()).unwrap();
    let (_, complaint, code) = desk.reload();
    assert_eq!(code, Some(1));
    assert!(complaint.contains("can't be read"), "{complaint}");
    assert!(!Path::new(&desk.file()).exists());
}

#[test]
fn the_answer_has_what_changed_in_it() {
    let mut desk = Configured::new(BEFORE);
    desk.write("[idle]\noff-after-seconds = 600\n");
    let answer = desk.desk.ask(&grantway::control::Request::Reload {});
    let changed = vec!["idle".to_owned(), "guest.\"web\"".to_owned()];
    assert_eq!(answer, Response::Reloaded { changed, needs_restart: vec![] });
}

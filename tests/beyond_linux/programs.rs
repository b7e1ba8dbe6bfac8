// SPDX-License-Identifier: GPL-3.0-or-later
//! Programs that the configuration has started, through the compositor as users start it.

use std::path::Path;

use grantway::control::InputAction;
use tempfile::TempDir;

use super::desk::{Desk, wait_for};

const RIGHT_CTRL: u32 = 97;
const ENTER: u32 = 28;
const SPACE: u32 = 57;
const NOTICE_EDGE: [u8; 3] = [255, 214, 64];

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'))
}

fn chord(desk: &mut Desk, key: u32) {
    for (code, pressed) in [(RIGHT_CTRL, Some(true)), (key, None), (RIGHT_CTRL, Some(false))] {
        desk.input(InputAction::Key { code, pressed });
    }
}

#[test]
fn programs_start_at_the_beginning_and_by_chords_and_find_the_compositor() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (first, pressed, socket) = (path("first"), path("pressed"), path("wayland"));
    // Written whole by the rename alone, so that no half of it is read.
    let told = |file: &Path| {
        let part = file.with_extension("part");
        let script = format!(
            "echo $WAYLAND_DISPLAY $XDG_CURRENT_DESKTOP $XDG_SESSION_TYPE > {} && mv {} {}; exit 7",
            part.display(),
            part.display(),
            file.display()
        );
        format!("[\"/bin/sh\", \"-c\", {script:?}]")
    };
    let text = format!(
        "[desktop]\nstart = [{}]\n[keys]\nprograms = {{ enter = {}, space = [\"no-such-program\"] }}\n",
        told(&first),
        told(&pressed)
    );
    std::fs::write(path("config.toml"), text).unwrap();
    let config = path("config.toml");
    let arguments = ["--output", "1000x500@240", "--wayland", socket.to_str().unwrap(), "--config"];
    let mut desk = Desk::new(&[arguments.as_slice(), &[config.to_str().unwrap()]].concat());
    let expected = format!("{} grantway wayland\n", socket.display());
    assert_eq!(wait_for("what is started first", || read(&first)), expected);
    assert!(!pressed.exists());

    chord(&mut desk, ENTER);
    assert_eq!(wait_for("what the chord starts", || read(&pressed)), expected);
    wait_for("how both ended", || {
        let ended = desk.log().iter().filter(|line| line.contains("has ended with exit code 7")).count();
        (ended == 2).then_some(())
    });

    chord(&mut desk, SPACE);
    wait_for("the reason on the screen", || (desk.output_picture().at(500, 41) == NOTICE_EDGE).then_some(()));
    assert!(desk.log().iter().any(|line| line.contains("no-such-program: No such file or directory")));
    assert_eq!(desk.children(), 0, "all are reaped");
    desk.quit();
}

#[test]
fn a_reload_has_other_programs_at_the_keys() {
    let dir = TempDir::new().unwrap();
    let (config, file) = (dir.path().join("config.toml"), dir.path().join("touched"));
    std::fs::write(&config, "").unwrap();
    let mut desk = Desk::new(&["--output", "640x480", "--config", config.to_str().unwrap()]);
    chord(&mut desk, ENTER);
    std::fs::write(&config, format!("[keys]\nprograms = {{ enter = [\"touch\", {file:?}] }}\n")).unwrap();
    desk.signal("HUP");
    wait_for("the program of the key", || {
        chord(&mut desk, ENTER);
        file.exists().then_some(())
    });
    desk.quit();
}

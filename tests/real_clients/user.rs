// SPDX-License-Identifier: GPL-3.0-or-later
//! Programs that follow what the user does, and one that does something in the user's place.

use grantway::control::InputAction;

use crate::Dom0;
use crate::desk::wait_for;

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn swayidle() {
    let mut dom0 = Dom0::new();
    let program = dom0.start("swayidle", &["-w", "timeout", "1", "echo idle", "resume", "echo back"]);
    let printed = |line: &str| program.printed().lines().filter(|printed| *printed == line).count();
    wait_for("idleness", || (printed("idle") == 1).then_some(()));
    assert_eq!(printed("back"), 0);
    dom0.desk.input(InputAction::Pointer { x: 1500, y: 900 });
    wait_for("its end", || (printed("back") == 1).then_some(()));
    wait_for("idleness once more", || (printed("idle") == 2).then_some(()));
    assert_eq!(printed("back"), 1);
    program.stop();
    dom0.end("swayidle");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn wtype() {
    let mut dom0 = Dom0::new();
    let script = "read line; echo \"$line\" > \"$HOME/typed\"";
    let program = dom0.start("foot", &["-T", "typing", "-W", "40x10", "sh", "-c", script]);
    dom0.click("typing");
    // Letters that Dom0's layout has no keys for.
    assert_eq!(dom0.start("wtype", &["Grüße → ß"]).wait_end(), "");
    // The user's own keys mean what they did before.
    dom0.type_line();
    program.wait_end();
    assert_eq!(dom0.typed(), "Grüße → ßab\n");

    // Nobody hears of it where a guest has the keyboard, or nobody.
    dom0.desk.input(InputAction::Pointer { x: 1590, y: 990 });
    dom0.desk.input(InputAction::Key { code: crate::LEFT, pressed: None });
    assert_eq!(dom0.start("wtype", &["nobody"]).wait_end(), "");
    dom0.end("wtype");
}

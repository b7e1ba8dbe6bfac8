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

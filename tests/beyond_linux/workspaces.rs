// SPDX-License-Identifier: GPL-3.0-or-later
//! Workspaces, by chords and by `grantway msg`, with guests that go on.

use grantway::control::{InputAction, Request, Response};

use crate::desk::{Desk, wait_for};
use crate::input::chord;

const RIGHT_CTRL: u32 = 97;
const SHIFT: u32 = 42;
const THREE: u32 = 4;
const ONE: u32 = 2;

#[test]
fn a_guest_on_a_workspace_that_is_not_shown_goes_on_and_is_found_again() {
    let mut desk = Desk::new(&["--output", "1280x720@60"]);
    let _web = desk.guest("web", &["--connectors", "a:640x480", "--pattern", "bars", "--flips", "5000"]);
    let place = desk.wait_connector("web", 0, |connector| connector.events > 5 && connector.window.is_some()).window;
    chord(&mut desk, THREE);
    let hidden = desk.wait_connector("web", 0, |connector| connector.window.is_none());
    let status = desk.status();
    assert_eq!((status.workspace, status.focus), (Some(3), None), "nobody has the keyboard");
    let ink = [236, 238, 242];
    wait_for("the note", || {
        let picture = desk.output_picture();
        (560..720).any(|x| (340..380).any(|y| picture.at(x, y) == ink)).then_some(())
    });
    desk.keep_picture("workspace.png");
    desk.wait_connector("web", 0, |connector| connector.events > hidden.events + 3);
    // What the screen says about it goes by itself.
    let ground = wait_for("the note to go", || {
        let picture = desk.output_picture();
        let ground = picture.at(5, 5);
        (560..720).all(|x| (340..380).all(|y| picture.at(x, y) == ground)).then_some(ground)
    });
    assert_ne!(ground, [0; 3]);
    assert_eq!(desk.ask(&Request::Workspace { number: 1 }), Response::Done);
    let back = desk.wait_connector("web", 0, |connector| connector.window.is_some());
    assert_eq!((back.window, desk.status().focus.map(|focus| focus.name)), (place, Some("web".to_owned())));
    // It is taken along, and found there.
    desk.input(InputAction::Key { code: SHIFT, pressed: Some(true) });
    chord(&mut desk, THREE);
    desk.input(InputAction::Key { code: SHIFT, pressed: Some(false) });
    desk.wait_connector("web", 0, |connector| connector.window.is_none());
    assert_eq!(desk.status().workspace, Some(1));
    chord(&mut desk, THREE);
    desk.wait_connector("web", 0, |connector| connector.window.is_some());
    chord(&mut desk, ONE);
    assert!(matches!(desk.ask(&Request::Workspace { number: 10 }), Response::Error(_)));
    desk.input(InputAction::Key { code: RIGHT_CTRL, pressed: None });
    desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that hand the keyboard on, and those that would only like to have it.

use super::window::Window;
use super::{BLUE, Dom0, RED, inside};

/// A client that the user has clicked into, by the serial of that click.
fn clicked(dom0: &mut Dom0, window: &mut Window, title: &str) -> u32 {
    let (x, y) = inside(dom0.content(title), 50, 50);
    window.take();
    dom0.click(x, y);
    window.wait("272 Released");
    assert!(dom0.client(title).keyboard);
    window.serial()
}

#[test]
fn a_client_hands_the_keyboard_on_by_what_the_user_did_with_it() {
    let mut dom0 = Dom0::new();
    let mut launcher = Window::open(&dom0.socket, "launcher", (200, 100), RED);
    let mut editor = Window::open(&dom0.socket, "editor", (200, 100), BLUE);
    launcher.wait("shown");
    editor.wait("shown");
    let serial = clicked(&mut dom0, &mut launcher, "launcher");
    let token = launcher.token(Some(serial));
    editor.activate(&token);
    editor.wait("keyboard");
    assert!(dom0.client("editor").keyboard);

    // The token was good once, and so was the click: the user is with the editor now.
    launcher.activate(&token);
    let late = launcher.token(Some(serial));
    launcher.activate(&late);
    assert!(dom0.client("editor").keyboard);

    // It brings back what is off the screen.
    launcher.toplevel.set_minimized();
    launcher.hear();
    let serial = clicked(&mut dom0, &mut editor, "editor");
    let token = editor.token(Some(serial));
    launcher.take();
    launcher.activate(&token);
    launcher.wait("keyboard");
    assert!(dom0.client("launcher").content.is_some());
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn nobody_takes_the_keyboard_without_that() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "mine", (200, 100), RED);
    let mut thief = Window::open(&dom0.socket, "thief", (200, 100), BLUE);
    window.wait("shown");
    thief.wait("shown");
    let serial = clicked(&mut dom0, &mut window, "mine");

    // No serial, one of nothing, and another client's.
    for serial in [None, Some(serial.wrapping_add(100)), Some(serial)] {
        let token = thief.token(serial);
        thief.activate(&token);
        assert!(!dom0.client("thief").keyboard, "by {serial:?}");
    }
    thief.activate("made up");
    assert!(dom0.client("mine").keyboard);

    // A good one that comes when the user is with a guest.
    let token = window.token(Some(serial));
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    dom0.click(guest.x + 10, guest.y + 10);
    thief.activate(&token);
    window.activate(&token);
    assert!(!dom0.client("thief").keyboard && !dom0.client("mine").keyboard);
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A client that types in the user's place.

use std::io::Write;
use std::os::fd::AsFd;

use wayland_client::delegate_noop;
use wayland_client::protocol::wl_keyboard::KeymapFormat;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_manager_v1::ZwpVirtualKeyboardManagerV1;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_v1::ZwpVirtualKeyboardV1;

use super::window::{Told, Window};
use super::{BLUE, Dom0, KEY_A, KEY_B, RED, RIGHT_CTRL, TAB};

const KEY_ESC: u32 = 1;

const KEYMAP: &str = r#"xkb_keymap {
    xkb_keycodes { minimum = 8; maximum = 255; <A> = 38; <B> = 56; };
    xkb_types { include "complete" };
    xkb_compatibility { include "complete" };
    xkb_symbols { key <A> { [ a ] }; key <B> { [ b ] }; };
};"#;

delegate_noop!(Told: ignore ZwpVirtualKeyboardManagerV1);
delegate_noop!(Told: ignore ZwpVirtualKeyboardV1);

impl Window {
    /// A keyboard with a keymap of which the client says that it has so many bytes.
    fn keyboard(&mut self, keymap: &str, said: usize) -> ZwpVirtualKeyboardV1 {
        let handle = self.queue.handle();
        let manager: ZwpVirtualKeyboardManagerV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let keyboard = manager.create_virtual_keyboard(&self.seat, &handle, ());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(keymap.as_bytes()).unwrap();
        keyboard.keymap(KeymapFormat::XkbV1.into(), file.as_fd(), u32::try_from(said).unwrap());
        keyboard
    }

    fn types(&mut self, keyboard: &ZwpVirtualKeyboardV1, keys: &[(u32, u32)]) {
        for (code, state) in keys {
            keyboard.key(0, *code, *state);
        }
        self.hear();
    }
}

const TAPS: [(u32, u32); 2] = [(KEY_A, 1), (KEY_A, 0)];

fn keys(window: &mut Window) -> Vec<String> {
    let about = |told: &String| ["Pressed", "Released", "keymap", "keyboard"].iter().any(|end| told.ends_with(end));
    window.take().into_iter().filter(about).collect()
}

#[test]
fn what_a_client_types_is_for_the_client_with_the_keyboard_alone() {
    let mut dom0 = Dom0::privileged();
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    let mut typist = Window::open(&dom0.socket, "typist", (200, 100), BLUE);
    let mut notes = Window::open(&dom0.socket, "notes", (200, 100), RED);
    let area = dom0.content("notes");
    dom0.click(area.x + 5, area.y + 5);
    notes.wait("272 Released");
    keys(&mut notes);
    let keyboard = typist.keyboard(KEYMAP, KEYMAP.len());
    keys(&mut typist);
    typist.types(&keyboard, &TAPS);
    assert_eq!(keys(&mut notes), ["keymap", "30 Pressed", "30 Released"]);

    // The user's own key has Dom0's layout, and nothing of what was typed is held any longer.
    typist.types(&keyboard, &[(KEY_B, 1), (KEY_B, 1)]);
    assert_eq!(keys(&mut notes), ["48 Pressed"]);
    dom0.key(KEY_A, true);
    dom0.key(KEY_A, false);
    assert_eq!(keys(&mut notes), ["48 Released", "keymap", "30 Pressed", "30 Released"]);
    typist.types(&keyboard, &[(KEY_B, 0)]);
    assert_eq!(keys(&mut notes), ["keymap"]);

    // What is typed is no chord.
    typist.types(&keyboard, &[(RIGHT_CTRL, 1), (TAB, 1), (TAB, 0), (RIGHT_CTRL, 0)]);
    assert!(dom0.client("notes").keyboard);
    assert_eq!(keys(&mut notes).len(), 4);

    // Nobody is told while secure attention is shown.
    typist.types(&keyboard, &[(KEY_A, 1)]);
    dom0.key(RIGHT_CTRL, true);
    dom0.key(KEY_ESC, true);
    dom0.key(KEY_ESC, false);
    dom0.key(RIGHT_CTRL, false);
    assert_eq!(keys(&mut notes), ["30 Pressed", "30 Released", "keymap"]);
    typist.types(&keyboard, &TAPS);
    assert_eq!(keys(&mut notes), Vec::<String>::new());
    dom0.key(KEY_ESC, true);
    dom0.key(KEY_ESC, false);

    // Nor where a guest has the keyboard; what was held is let go.
    typist.types(&keyboard, &[(KEY_A, 1)]);
    dom0.click(guest.x + 5, guest.y + 5);
    assert_eq!(keys(&mut notes), ["keymap", "30 Pressed", "30 Released", "keymap", "no keyboard"]);
    let clicked = dom0.guest_events();
    typist.types(&keyboard, &[(KEY_A, 0), (KEY_A, 1), (KEY_A, 0)]);
    assert_eq!(dom0.guest_events(), clicked, "the guest was told");
    assert_eq!(keys(&mut notes), Vec::<String>::new());
    assert_eq!(keys(&mut typist), Vec::<String>::new());
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn a_keymap_that_is_none_types_nothing() {
    let dom0 = Dom0::privileged();
    let _notes = Window::open(&dom0.socket, "notes", (200, 100), RED);
    for (keymap, said) in
        [("xkb_keymap { no", 15), (KEYMAP, 1 << 20), (KEYMAP, usize::try_from(u32::MAX).unwrap()), ("", 0)]
    {
        let mut typist = Window::connect(&dom0.socket, "typist");
        let keyboard = typist.keyboard(keymap, said);
        keyboard.key(0, KEY_A, 1);
        assert!(typist.queue.roundtrip(&mut Told::default()).is_err(), "no keymap: {keymap} of {said}");
    }
    // More keyboards than a client may have: those type nothing.
    let mut typist = Window::connect(&dom0.socket, "typist");
    for _ in 0..100 {
        let keyboard = typist.keyboard(KEYMAP, KEYMAP.len());
        typist.types(&keyboard, &TAPS);
    }
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's and a client's windows as tiles, by the user's chords.

use crate::desk::wait_for;
use crate::window::Window;
use crate::{BLUE, Dom0};

const KEY_T: u32 = 20;
const KEY_O: u32 = 24;

impl Dom0 {
    /// Left, top, width and height of the guest's picture.
    fn guest_area(&mut self) -> (i32, i32, i32, i32) {
        let window = self.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
        (window.x, window.y, window.width, window.height)
    }
}

#[test]
fn chords_tile_a_guest_and_a_client_and_let_them_go() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "notes", (200, 100), BLUE);
    let (before, guest) = (dom0.content("notes"), dom0.guest_area());
    dom0.chord(KEY_T);
    // A half of 1000x500, less the room for the ring (4 on each side), borders of 3 and a title of 25.
    window.wait("asked for 486x464 [TiledTop, TiledBottom, TiledLeft, TiledRight]");
    window.paint((486, 464), BLUE);
    let tile = wait_for("its tile", || Some(dom0.content("notes")).filter(|area| area.width == 486));
    assert_eq!((tile.x, tile.y, tile.height), (507, 29, 464));
    // 300x200 in a tile of as many pixels, in its own shape.
    assert_eq!(dom0.guest_area(), (7, 29 + 70, 486, 324));
    dom0.desk.keep_picture("tiles.png");

    dom0.chord(KEY_O);
    let tile = wait_for("the first tile", || Some(dom0.content("notes")).filter(|area| area.x == 7));
    assert_eq!((tile.y, tile.width), (29, 486));
    assert_eq!(dom0.guest_area().0, 507);

    dom0.chord(KEY_T);
    window.wait("asked for 0x0 []");
    window.paint((200, 100), BLUE);
    wait_for("its place", || (dom0.content("notes") == before).then_some(()));
    assert_eq!(dom0.guest_area(), guest);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients ask of their own windows, and what comes of it.

use grantway::control::{AreaStatus, InputAction};
use wayland_protocols::xdg::shell::client::xdg_toplevel::ResizeEdge;

use super::desk::wait_for;
use super::window::Window;
use super::{BLUE, Dom0, LEFT, RED, inside};

/// The output's size, without a window's frame: 3 pixels at three sides, the title bar above.
const WHOLE: &str = "asked for 994x472";

impl Dom0 {
    fn point(&mut self, (x, y): (i32, i32)) {
        self.desk.input(InputAction::Pointer { x, y });
    }

    fn corner(&mut self, title: &str) -> (i32, i32) {
        let area = self.content(title);
        (area.x, area.y)
    }
}

/// What a window was asked for since the last time, the latest last.
fn asked(window: &mut Window) -> Vec<String> {
    window.take().into_iter().filter(|told| told.starts_with("asked")).collect()
}

#[test]
fn a_client_has_its_window_moved_by_a_button_that_is_down_in_it_and_by_no_other() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "mine", (200, 100), RED);
    let mut other = Window::open(&dom0.socket, "other", (200, 100), BLUE);
    window.wait("shown");
    other.wait("shown");
    let (area, others) = (dom0.content("mine"), dom0.corner("other"));
    let start = inside(area, 50, 50);
    dom0.point(start);
    dom0.key(LEFT, true);
    window.wait("272 Pressed");
    let serial = window.serial();
    window.take();

    // Another client that has guessed the number gets nothing by it, and no number does that is of no button.
    other.toplevel._move(&other.seat, serial);
    other.hear();
    window.toplevel._move(&window.seat, serial.wrapping_add(1));
    window.hear();
    dom0.point((start.0 + 30, start.1 + 40));
    assert_eq!((dom0.corner("mine"), dom0.corner("other")), ((area.x, area.y), others));
    window.wait("to 80,90");

    // The client has lost the pointer while its window is moved, and has it again afterwards, without the button.
    window.toplevel._move(&window.seat, serial);
    window.wait("no pointer");
    window.take();
    dom0.point((start.0 + 130, start.1 + 100));
    assert_eq!(dom0.corner("mine"), (area.x + 100, area.y + 60));
    dom0.key(LEFT, false);
    window.wait("pointer 80,90");
    assert_eq!(window.take(), ["pointer 80,90"]);

    // That button is up.
    window.toplevel._move(&window.seat, serial);
    window.hear();
    dom0.point(start);
    assert_eq!(dom0.corner("mine"), (area.x + 100, area.y + 60));
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn a_client_has_edges_of_its_window_moved() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "mine", (200, 100), RED);
    window.wait("shown");
    let area = dom0.content("mine");
    let (x, y) = inside(area, 190, 90);
    dom0.point((x, y));
    dom0.key(LEFT, true);
    window.wait("272 Pressed");
    let serial = window.serial();
    window.toplevel.resize(&window.seat, serial, ResizeEdge::None);
    window.toplevel.resize(&window.seat, serial, ResizeEdge::BottomRight);
    window.wait("no pointer");
    dom0.point((x + 40, y + 30));
    window.wait("asked for 240x130 []");
    window.paint((240, 130), RED);
    dom0.key(LEFT, false);
    window.wait("pointer 230,120");
    assert_eq!(dom0.content("mine"), AreaStatus { width: 240, height: 130, ..area });
    dom0.desk.quit();
}

#[test]
fn a_client_gets_all_of_its_output_but_for_the_frame() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "large", (200, 100), RED);
    window.wait("shown");
    let area = dom0.content("large");
    window.take();
    window.toplevel.set_maximized();
    window.wait(&format!("{WHOLE} [Maximized]"));
    window.paint((994, 472), BLUE);
    let large = dom0.content("large");
    assert_eq!((large.width, large.height), (994, 472));

    // Full screen is no more than that: whose the window is stays to be seen.
    window.toplevel.set_fullscreen(None);
    window.wait(&format!("{WHOLE} [Maximized, Fullscreen]"));
    assert_eq!(dom0.content("large"), large);
    let picture = dom0.desk.keep_picture("client-full-screen.png");
    let bar: std::collections::BTreeSet<_> = (0..18).map(|x| picture.at(x, 10)).collect();
    assert_eq!(bar.len(), 2, "no stripes: {bar:?}");
    window.take();
    window.toplevel.unset_fullscreen();
    window.wait(&format!("{WHOLE} [Maximized]"));
    window.take();
    window.toplevel.unset_maximized();
    window.wait("asked for 0x0 []");
    window.paint((200, 100), RED);
    assert_eq!(dom0.content("large"), area);

    // An answer comes to each, also when nothing changes.
    window.take();
    window.toplevel.unset_maximized();
    window.wait("asked for 0x0 []");
    assert_eq!(asked(&mut window), ["asked for 0x0 []"]);

    window.toplevel.set_minimized();
    window.hear();
    wait_for("the window to go", || dom0.desk.status().clients[0].content.is_none().then_some(()));
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What the pointer looks like over a client's window, and that it is ours everywhere else.

use grantway::control::{AreaStatus, InputAction};
use wayland_protocols::wp::cursor_shape::v1::client::wp_cursor_shape_device_v1::Shape;

use super::desk::{Rgb, wait_for};
use super::window::Window;
use super::{BLUE, Dom0, RED, inside};

const BLACK: Rgb = [0, 0, 0];

impl Dom0 {
    /// Brings the pointer to a place, and waits until pixels that are so far to the right of it, and below, have those
    /// colours. A place where it was just before shows nothing: the frame may be that of before.
    fn sees(&mut self, (x, y): (i32, i32), pixels: &[((i32, i32), Rgb)]) {
        self.desk.input(InputAction::Pointer { x, y });
        let side = |at: i32| u32::try_from(at).unwrap();
        wait_for(&format!("{pixels:?} beside {x},{y}"), || {
            let picture = self.desk.output_picture();
            let seen = pixels.iter().all(|((dx, dy), color)| picture.at(side(x + dx), side(y + dy)) == *color);
            seen.then_some(())
        });
    }

    /// Waits until it is our arrow there, by two pixels of its left edge, where the other pictures have none.
    fn sees_arrow(&mut self, at: (i32, i32)) {
        self.sees(at, &[((0, 0), BLACK), ((0, 15), BLACK)]);
    }

    /// Waits until it is our arrow over a guest, over the client's title bar, and beside all windows.
    fn sees_arrow_elsewhere(&mut self, area: AreaStatus) {
        let guest = self.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
        for at in [(guest.x + 100, guest.y + 60), inside(area, 100, -20), (900, 450)] {
            self.sees_arrow(at);
        }
    }
}

#[test]
fn the_pointer_is_a_clients_over_its_window_and_ours_everywhere_else() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "mine", (200, 100), RED);
    window.wait("shown");
    let area = dom0.content("mine");
    let places = [(100, 50), (60, 30), (140, 60)].map(|(x, y)| inside(area, x, y));
    let come = |dom0: &mut Dom0, window: &mut Window| {
        dom0.click(places[0].0, places[0].1);
        window.wait("272 Released");
        window.take();
    };
    come(&mut dom0, &mut window);
    dom0.sees_arrow(places[0]);

    // A shape of ours, by its name.
    window.shape(Shape::Text);
    dom0.sees(places[0], &[((0, 0), BLACK), ((0, 15), RED)]);
    dom0.sees_arrow_elsewhere(area);

    // A picture of its own: only where all of it lies over its window, so over no label.
    come(&mut dom0, &mut window);
    window.cursor((16, 16), (8, 8), BLUE);
    dom0.sees(places[0], &[((-8, -8), BLUE), ((7, 7), BLUE), ((0, 15), RED), ((-9, -9), RED)]);
    dom0.sees_arrow(inside(area, 195, 50));
    dom0.sees(places[1], &[((-8, -8), BLUE), ((7, 7), BLUE)]);
    dom0.sees_arrow_elsewhere(area);

    // One that is as large as a label is none, nor is one that would lie elsewhere.
    come(&mut dom0, &mut window);
    window.cursor((90, 20), (45, 10), BLUE);
    dom0.sees_arrow(places[1]);
    window.cursor((16, 16), (300, 0), BLUE);
    dom0.sees_arrow(places[2]);

    window.no_cursor();
    dom0.sees(places[1], &[((0, 0), RED), ((0, 15), RED)]);
    dom0.sees_arrow_elsewhere(area);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn a_client_that_has_no_pointer_changes_nothing_about_it() {
    let mut dom0 = Dom0::new();
    let mut window = Window::open(&dom0.socket, "mine", (200, 100), RED);
    let mut other = Window::open(&dom0.socket, "other", (200, 100), BLUE);
    window.wait("shown");
    other.wait("shown");
    let area = dom0.content("mine");
    let at = inside(area, 100, 50);
    dom0.click(at.0, at.1);
    window.wait("272 Released");
    other.cursor((16, 16), (8, 8), BLUE);
    other.no_cursor();
    dom0.sees_arrow(inside(area, 60, 30));
    // What it had is over when the client goes.
    window.cursor((16, 16), (8, 8), BLUE);
    dom0.sees(at, &[((0, 0), BLUE)]);
    drop(window);
    dom0.sees_arrow(at);
    dom0.desk.quit();
}

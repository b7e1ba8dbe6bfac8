// SPDX-License-Identifier: GPL-3.0-or-later
//! Panels, wallpapers and launchers.

use grantway::control::WindowStatus;
use wayland_client::protocol::{wl_compositor, wl_surface};
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_shell_v1::{Layer, ZwlrLayerShellV1};
use wayland_protocols_wlr::layer_shell::v1::client::zwlr_layer_surface_v1::{
    self, Anchor, KeyboardInteractivity, ZwlrLayerSurfaceV1,
};

use super::desk::{Picture, Rgb, wait_for};
use super::window::{Told, Window};
use super::{BLUE, Dom0, KEY_A, RED, RIGHT_CTRL, inside};

const GREEN: Rgb = [16, 160, 48];
const KEY_ESC: u32 = 1;

/// A part of the desktop.
struct Part {
    surface: wl_surface::WlSurface,
    role: ZwlrLayerSurfaceV1,
}

struct Wish {
    layer: Layer,
    size: (u32, u32),
    anchor: Anchor,
    zone: i32,
    keyboard: KeyboardInteractivity,
}

impl Wish {
    /// Over all of the output.
    fn all(layer: Layer) -> Self {
        let keyboard = KeyboardInteractivity::None;
        Self { layer, size: (0, 0), anchor: Anchor::all(), zone: -1, keyboard }
    }

    /// A bar at the top.
    fn bar(height: u32) -> Self {
        let anchor = Anchor::Top | Anchor::Left | Anchor::Right;
        let zone = i32::try_from(height).unwrap();
        Self { layer: Layer::Top, size: (0, height), anchor, zone, keyboard: KeyboardInteractivity::None }
    }
}

impl Window {
    /// The client shows a part of the desktop in one colour, in the size that it is told.
    fn part(&mut self, wish: &Wish, color: Rgb) -> Part {
        let handle = self.queue.handle();
        let compositor: wl_compositor::WlCompositor = self.globals.bind(&handle, 4..=5, ()).unwrap();
        let shell: ZwlrLayerShellV1 = self.globals.bind(&handle, 1..=4, ()).unwrap();
        let surface = compositor.create_surface(&handle, ());
        let role = shell.get_layer_surface(&surface, None, wish.layer, "panel".to_owned(), &handle, ());
        role.set_size(wish.size.0, wish.size.1);
        role.set_anchor(wish.anchor);
        role.set_exclusive_zone(wish.zone);
        role.set_keyboard_interactivity(wish.keyboard);
        self.take();
        surface.commit();
        let size = wait_for("the size", || {
            let told = self.take();
            let size = told.iter().find_map(|line| line.strip_prefix("part "))?;
            let (width, height) = size.split_once('x')?;
            Some((width.parse().unwrap(), height.parse().unwrap()))
        });
        self.paint_on(&surface, size, color);
        self.wait("shown");
        Part { surface, role }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.role.destroy();
        self.surface.destroy();
    }
}

impl Dispatch<ZwlrLayerSurfaceV1, ()> for Told {
    fn event(
        told: &mut Self,
        role: &ZwlrLayerSurfaceV1,
        event: zwlr_layer_surface_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwlr_layer_surface_v1::Event::Configure { serial, width, height } => {
                role.ack_configure(serial);
                told.note(format!("part {width}x{height}"));
            }
            zwlr_layer_surface_v1::Event::Closed => told.note("closed"),
            _ => {}
        }
    }
}
delegate_noop!(Told: ignore ZwlrLayerShellV1);

fn guest_area(dom0: &mut Dom0) -> WindowStatus {
    dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap()
}

/// The guest's window with its frame.
fn guest_pixels(picture: &Picture, guest: &WindowStatus) -> Vec<Rgb> {
    let rows = guest.y - 25..guest.y + guest.height + 3;
    let pixel = |x: i32, y: i32| picture.at(u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
    rows.flat_map(|y| (guest.x - 3..guest.x + guest.width + 3).map(move |x| pixel(x, y))).collect()
}

#[test]
fn a_layer_over_all_of_an_output_covers_clients_but_no_pixel_of_a_guests_window() {
    let mut dom0 = Dom0::privileged();
    let mut window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    let area = dom0.content("notes");
    let (x, y) = inside(area, 100, 50);
    dom0.wait_pixel(x, y, RED);
    let guest = guest_area(&mut dom0);
    let before = guest_pixels(&dom0.desk.output_picture(), &guest);
    let part = window.part(&Wish::all(Layer::Overlay), BLUE);
    dom0.wait_pixel(x, y, BLUE);
    dom0.wait_pixel(990, 490, BLUE);
    let picture = dom0.desk.keep_picture("layer-over-labels.png");
    assert!(guest_pixels(&picture, &guest) == before, "a pixel of the guest's window is covered");

    // Nothing of it is seen when somebody wants to know whose anything is.
    dom0.key(RIGHT_CTRL, true);
    dom0.key(KEY_ESC, true);
    dom0.key(KEY_ESC, false);
    dom0.key(RIGHT_CTRL, false);
    dom0.wait_pixel(990, 490, [38, 44, 52]);
    dom0.key(KEY_ESC, true);
    dom0.key(KEY_ESC, false);
    dom0.wait_pixel(990, 490, BLUE);

    // A wallpaper lies behind everything.
    drop(part);
    window.hear();
    dom0.wait_pixel(x, y, RED);
    let _wallpaper = window.part(&Wish::all(Layer::Background), GREEN);
    dom0.wait_pixel(990, 490, GREEN);
    assert_eq!(dom0.desk.output_picture().at(u32::try_from(x).unwrap(), u32::try_from(y).unwrap()), RED);
    assert!(guest_pixels(&dom0.desk.output_picture(), &guest) == before, "a pixel of the guest's window is covered");
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn windows_keep_out_of_what_a_panel_has_for_itself() {
    let mut dom0 = Dom0::privileged();
    let mut window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    dom0.content("notes");
    let guest = guest_area(&mut dom0);
    let bar = window.part(&Wish::bar(40), BLUE);
    dom0.wait_pixel(500, 39, BLUE);
    // Who has not been moved makes room.
    let moved = wait_for("the guest below the bar", || Some(guest_area(&mut dom0)).filter(|now| now.y != guest.y));
    assert!(moved.y >= 40 + 25, "{moved:?}");
    assert!(dom0.content("notes").y >= 40 + 25);
    window.take();
    window.toplevel.set_maximized();
    window.wait("asked for 994x432 [Maximized]");
    window.paint((994, 432), RED);
    let area = wait_for("its place", || Some(dom0.content("notes")).filter(|area| area.width == 994));
    assert_eq!((area.x, area.y), (3, 65));
    assert_eq!(dom0.desk.output_picture().at(500, 39), BLUE);

    // It has all again when the panel goes.
    drop(bar);
    window.wait("asked for 994x472 [Maximized]");
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
fn what_wants_the_keyboard_for_itself_is_a_window_in_a_frame() {
    let mut dom0 = Dom0::privileged();
    let mut window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    let guest = guest_area(&mut dom0);
    dom0.click(guest.x + 10, guest.y + 10);
    let keyboard = KeyboardInteractivity::Exclusive;
    let wish = Wish { layer: Layer::Overlay, size: (150, 80), anchor: Anchor::empty(), zone: 0, keyboard };
    let _launcher = window.part(&wish, BLUE);
    let area = dom0.content("panel");
    assert_eq!((area.width, area.height), (150, 80));
    wait_for("the keyboard", || dom0.client("panel").keyboard.then_some(()));
    let before = dom0.guest_events();
    dom0.key(KEY_A, true);
    dom0.key(KEY_A, false);
    window.wait(&format!("{KEY_A} Pressed"));
    assert_eq!(dom0.guest_events(), before);
    // Both stripes of a client's bar, as above any other client's window.
    wait_for("the launcher's frame", || {
        let picture = dom0.desk.output_picture();
        let bar = (0..18).map(|x| picture.at(u32::try_from(area.x + x).unwrap(), u32::try_from(area.y - 20).unwrap()));
        (bar.collect::<std::collections::BTreeSet<Rgb>>().len() == 2).then_some(())
    });
    // The user decides.
    dom0.click(guest.x + 10, guest.y + 10);
    dom0.key(KEY_A, true);
    dom0.key(KEY_A, false);
    wait_for("the guest's key", || (dom0.guest_events() > before).then_some(()));
    assert!(!dom0.client("panel").keyboard);
    dom0.desk.quit();
}

#[test]
fn a_panel_gets_clicks_and_no_keys_unless_it_wants_them() {
    let mut dom0 = Dom0::privileged();
    let mut window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    let _bar = window.part(&Wish::bar(40), BLUE);
    window.take();
    dom0.click(700, 20);
    window.wait("272 Pressed");
    dom0.key(KEY_A, true);
    dom0.key(KEY_A, false);
    assert!(!window.take().iter().any(|told| told.starts_with(&format!("{KEY_A} ")) || told == "keyboard"));
    let wish = Wish { keyboard: KeyboardInteractivity::OnDemand, ..Wish::bar(30) };
    let _second = window.part(&wish, GREEN);
    dom0.wait_pixel(700, 60, GREEN);
    dom0.click(700, 60);
    dom0.key(KEY_A, true);
    dom0.key(KEY_A, false);
    window.wait(&format!("{KEY_A} Pressed"));
    // The keys that lead from window to window lead past panels.
    assert_eq!(dom0.desk.status().clients.len(), 1);
    dom0.desk.quit();
}

#[test]
fn a_client_that_is_not_listed_sees_no_layer_shell() {
    let dom0 = Dom0::new();
    let names = |window: &Window| -> Vec<String> {
        window.globals.contents().clone_list().into_iter().map(|global| global.interface).collect()
    };
    let window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    assert!(!names(&window).contains(&"zwlr_layer_shell_v1".to_owned()));
    dom0.desk.quit();
    let dom0 = Dom0::privileged();
    let window = Window::open(&dom0.socket, "notes", (200, 100), RED);
    assert!(names(&window).contains(&"zwlr_layer_shell_v1".to_owned()));
    dom0.desk.quit();
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A Wayland client with one window of one colour, which notes what it is told.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::{
    wl_buffer, wl_callback, wl_compositor, wl_keyboard, wl_output, wl_pointer, wl_registry, wl_seat, wl_shm,
    wl_shm_pool, wl_surface,
};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, WEnum, delegate_noop};
use wayland_protocols::wp::cursor_shape::v1::client::wp_cursor_shape_device_v1;
use wayland_protocols::wp::cursor_shape::v1::client::wp_cursor_shape_manager_v1::WpCursorShapeManagerV1;
use wayland_protocols::wp::idle_inhibit::zv1::client::zwp_idle_inhibit_manager_v1::ZwpIdleInhibitManagerV1;
use wayland_protocols::wp::idle_inhibit::zv1::client::zwp_idle_inhibitor_v1::ZwpIdleInhibitorV1;
use wayland_protocols::wp::presentation_time::client::{wp_presentation, wp_presentation_feedback};
use wayland_protocols::xdg::activation::v1::client::xdg_activation_token_v1;
use wayland_protocols::xdg::activation::v1::client::xdg_activation_v1::XdgActivationV1;
use wayland_protocols::xdg::decoration::zv1::client::zxdg_decoration_manager_v1::ZxdgDecorationManagerV1;
use wayland_protocols::xdg::decoration::zv1::client::zxdg_toplevel_decoration_v1::{self, ZxdgToplevelDecorationV1};
use wayland_protocols::xdg::shell::client::{xdg_popup, xdg_positioner, xdg_surface, xdg_toplevel, xdg_wm_base};

use crate::desk::{Rgb, wait_for};
use crate::listing::List;

/// What the client was told, in short sentences.
#[derive(Default)]
pub(crate) struct Told {
    lines: Vec<String>,
    configured: u32,
    /// Of the last button that went down.
    serial: u32,
    /// Of the last time that the pointer came.
    entered: u32,
    /// Commits that were shown.
    presented: Vec<Presented>,
    token: Option<String>,
    /// The windows that a panel knows of.
    pub(crate) list: List,
}

/// When a commit was shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented {
    /// On the clock of the compositor's choice.
    pub(crate) time: Duration,
    /// From a frame of the display to the next.
    pub(crate) refresh: Duration,
    /// The display's frame.
    pub(crate) sequence: u64,
}

/// The client.
pub(crate) struct Window {
    pub(crate) queue: EventQueue<Told>,
    pub(crate) told: Told,
    pub(crate) globals: GlobalList,
    pub(crate) surface: wl_surface::WlSurface,
    xdg: xdg_surface::XdgSurface,
    /// What the client asks of its window goes through this.
    pub(crate) toplevel: xdg_toplevel::XdgToplevel,
    pub(crate) seat: wl_seat::WlSeat,
    pub(crate) pointer: wl_pointer::WlPointer,
}

impl Window {
    /// Connects, and shows a window.
    pub(crate) fn open(socket: &Path, title: &str, size: (i32, i32), color: Rgb) -> Self {
        let mut window = Self::connect(socket, title);
        window.paint(size, color);
        window
    }

    /// Connects, with a window that shows nothing yet.
    pub(crate) fn connect(socket: &Path, title: &str) -> Self {
        // The control socket is there first.
        let stream = wait_for("the clients' socket", || UnixStream::connect(socket).ok());
        let connection = Connection::from_socket(stream).unwrap();
        let (globals, queue) = registry_queue_init::<Told>(&connection).unwrap();
        let handle = queue.handle();
        let compositor: wl_compositor::WlCompositor = globals.bind(&handle, 4..=5, ()).unwrap();
        let shell: xdg_wm_base::XdgWmBase = globals.bind(&handle, 1..=6, ()).unwrap();
        let seat: wl_seat::WlSeat = globals.bind(&handle, 5..=7, ()).unwrap();
        let _output: wl_output::WlOutput = globals.bind(&handle, 4..=4, ()).unwrap();
        seat.get_keyboard(&handle, ());
        let pointer = seat.get_pointer(&handle, ());
        let surface = compositor.create_surface(&handle, ());
        let xdg = shell.get_xdg_surface(&surface, &handle, ());
        let toplevel = xdg.get_toplevel(&handle, ());
        toplevel.set_title(title.to_owned());
        let decorations: ZxdgDecorationManagerV1 = globals.bind(&handle, 1..=1, ()).unwrap();
        let decoration = decorations.get_toplevel_decoration(&toplevel, &handle, ());
        decoration.set_mode(zxdg_toplevel_decoration_v1::Mode::ClientSide);
        surface.commit();
        let mut window = Self { queue, told: Told::default(), globals, surface, xdg, toplevel, seat, pointer };
        window.wait("configure");
        assert!(window.take().contains(&"decoration ServerSide".to_owned()));
        window
    }

    /// Shows one colour, and asks to be told when it is shown.
    pub(crate) fn paint(&mut self, size: (i32, i32), color: Rgb) {
        self.paint_on(&self.surface.clone(), size, color);
    }

    pub(crate) fn paint_on(&mut self, surface: &wl_surface::WlSurface, size: (i32, i32), color: Rgb) {
        self.commit(surface, size, color);
        // The compositor has its copy when it has answered.
        self.hear();
    }

    /// Shows one colour after the other, and asks about each when it was shown. They reach the compositor at once.
    pub(crate) fn paint_timed(&mut self, size: (i32, i32), colors: &[Rgb]) {
        let (handle, surface) = (self.queue.handle(), self.surface.clone());
        let presentation: wp_presentation::WpPresentation = self.globals.bind(&handle, 1..=1, ()).unwrap();
        for color in colors {
            presentation.feedback(&surface, &handle, ());
            self.commit(&surface, size, *color);
        }
        self.hear();
    }

    /// The commits that were shown since the last time, of those that it asked about.
    pub(crate) fn take_presented(&mut self) -> Vec<Presented> {
        self.hear();
        std::mem::take(&mut self.told.presented)
    }

    fn commit(&mut self, surface: &wl_surface::WlSurface, (width, height): (i32, i32), [red, green, blue]: Rgb) {
        let handle = self.queue.handle();
        let pixels = [blue, green, red, 255].repeat(usize::try_from(width * height).unwrap());
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(&pixels).unwrap();
        let shm: wl_shm::WlShm = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let pool = shm.create_pool(file.as_fd(), i32::try_from(pixels.len()).unwrap(), &handle, ());
        let buffer = pool.create_buffer(0, width, height, width * 4, wl_shm::Format::Argb8888, &handle, ());
        surface.attach(Some(&buffer), 0, 0);
        surface.damage_buffer(0, 0, width, height);
        surface.frame(&handle, ());
        surface.commit();
    }

    /// Opens a popup of that size and colour at a place of the window, where the compositor may move it.
    pub(crate) fn popup(&mut self, (x, y): (i32, i32), (width, height): (i32, i32), color: Rgb) {
        let handle = self.queue.handle();
        let compositor: wl_compositor::WlCompositor = self.globals.bind(&handle, 4..=5, ()).unwrap();
        let shell: xdg_wm_base::XdgWmBase = self.globals.bind(&handle, 1..=6, ()).unwrap();
        let positioner = shell.create_positioner(&handle, ());
        positioner.set_size(width, height);
        positioner.set_anchor_rect(x, y, 1, 1);
        positioner.set_anchor(xdg_positioner::Anchor::TopLeft);
        positioner.set_gravity(xdg_positioner::Gravity::BottomRight);
        let surface = compositor.create_surface(&handle, ());
        let xdg = shell.get_xdg_surface(&surface, &handle, ());
        xdg.get_popup(Some(&self.xdg), &positioner, &handle, ());
        self.take();
        surface.commit();
        self.wait("configure");
        self.paint_on(&surface, (width, height), color);
    }

    /// Wants the pointer to have one of the compositor's shapes.
    pub(crate) fn shape(&mut self, shape: wp_cursor_shape_device_v1::Shape) {
        let handle = self.queue.handle();
        let manager: WpCursorShapeManagerV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let device = manager.get_pointer(&self.pointer, &handle, ());
        device.set_shape(self.told.entered, shape);
        self.hear();
    }

    /// Wants the pointer to be a picture of that size and colour, which points with its pixel `hotspot`.
    pub(crate) fn cursor(&mut self, size: (i32, i32), hotspot: (i32, i32), color: Rgb) {
        let handle = self.queue.handle();
        let compositor: wl_compositor::WlCompositor = self.globals.bind(&handle, 4..=5, ()).unwrap();
        let surface = compositor.create_surface(&handle, ());
        self.pointer.set_cursor(self.told.entered, Some(&surface), hotspot.0, hotspot.1);
        self.paint_on(&surface, size, color);
    }

    /// Wants no pointer to be seen.
    pub(crate) fn no_cursor(&mut self) {
        self.pointer.set_cursor(self.told.entered, None, 0, 0);
        self.hear();
    }

    /// A token that hands on the keyboard, if this serial is good for that.
    pub(crate) fn token(&mut self, serial: Option<u32>) -> String {
        let handle = self.queue.handle();
        let activation: XdgActivationV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let token = activation.get_activation_token(&handle, ());
        if let Some(serial) = serial {
            token.set_serial(serial, &self.seat);
        }
        token.commit();
        self.hear();
        self.told.token.take().unwrap()
    }

    /// Wants the displays to stay on.
    pub(crate) fn stay_awake(&mut self) -> ZwpIdleInhibitorV1 {
        let handle = self.queue.handle();
        let manager: ZwpIdleInhibitManagerV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let inhibitor = manager.create_inhibitor(&self.surface, &handle, ());
        self.hear();
        inhibitor
    }

    /// Wants the keyboard by a token.
    pub(crate) fn activate(&mut self, token: &str) {
        let handle = self.queue.handle();
        let activation: XdgActivationV1 = self.globals.bind(&handle, 1..=1, ()).unwrap();
        activation.activate(token.to_owned(), &self.surface);
        self.hear();
    }

    /// The serial of the last button that went down.
    pub(crate) fn serial(&mut self) -> u32 {
        self.hear();
        self.told.serial
    }

    /// Takes in what there is.
    pub(crate) fn hear(&mut self) {
        self.queue.roundtrip(&mut self.told).unwrap();
    }

    /// Waits until it was told this.
    pub(crate) fn wait(&mut self, line: &str) {
        crate::desk::wait_for(&format!("\"{line}\""), || {
            self.hear();
            self.told.lines.iter().any(|told| told == line).then_some(())
        });
    }

    /// What it was told since the last time.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.hear();
        std::mem::take(&mut self.told.lines)
    }
}

impl Told {
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }
}

/// Notes the events of one kind of object.
macro_rules! notes {
    ($interface:ty, |$told:ident, $object:ident, $event:ident| $body:expr) => {
        impl Dispatch<$interface, ()> for Told {
            fn event(
                $told: &mut Self,
                $object: &$interface,
                $event: <$interface as wayland_client::Proxy>::Event,
                (): &(),
                _: &Connection,
                _: &QueueHandle<Self>,
            ) {
                $body
            }
        }
    };
}

notes!(xdg_surface::XdgSurface, |told, surface, event| {
    if let xdg_surface::Event::Configure { serial } = event {
        surface.ack_configure(serial);
        told.configured += 1;
        told.note("configure");
    }
});
notes!(xdg_toplevel::XdgToplevel, |told, _toplevel, event| {
    if matches!(event, xdg_toplevel::Event::Close) {
        told.note("close");
    }
    if let xdg_toplevel::Event::Configure { width, height, states } = event {
        let active = states.as_chunks::<4>().0.contains(&4_u32.to_ne_bytes());
        told.note(if active { "active" } else { "inactive" });
        let others = states.as_chunks::<4>().0.iter().map(|state| u32::from_ne_bytes(*state));
        let others = others.filter_map(|state| xdg_toplevel::State::try_from(state).ok());
        let others: Vec<_> = others.filter(|state| *state != xdg_toplevel::State::Activated).collect();
        told.note(format!("asked for {width}x{height} {others:?}"));
    }
});
notes!(xdg_wm_base::XdgWmBase, |_told, shell, event| {
    if let xdg_wm_base::Event::Ping { serial } = event {
        shell.pong(serial);
    }
});
notes!(ZxdgToplevelDecorationV1, |told, _decoration, event| {
    if let zxdg_toplevel_decoration_v1::Event::Configure { mode: WEnum::Value(mode) } = event {
        told.note(format!("decoration {mode:?}"));
    }
});
notes!(wl_callback::WlCallback, |told, _callback, event| {
    if let wl_callback::Event::Done { .. } = event {
        told.note("shown");
    }
});
notes!(wl_buffer::WlBuffer, |told, _buffer, event| {
    if let wl_buffer::Event::Release = event {
        told.note("released");
    }
});
notes!(wl_keyboard::WlKeyboard, |told, _keyboard, event| match event {
    wl_keyboard::Event::Keymap { .. } => told.note("keymap"),
    wl_keyboard::Event::Enter { .. } => told.note("keyboard"),
    wl_keyboard::Event::Leave { .. } => told.note("no keyboard"),
    wl_keyboard::Event::Key { key, state: WEnum::Value(state), .. } => told.note(format!("{key} {state:?}")),
    wl_keyboard::Event::Modifiers { mods_depressed, .. } => told.note(format!("modifiers {mods_depressed}")),
    _ => {}
});
notes!(wl_pointer::WlPointer, |told, _pointer, event| match event {
    wl_pointer::Event::Enter { serial, surface_x, surface_y, .. } => {
        told.entered = serial;
        told.note(format!("pointer {surface_x},{surface_y}"));
    }
    wl_pointer::Event::Motion { surface_x, surface_y, .. } => told.note(format!("to {surface_x},{surface_y}")),
    wl_pointer::Event::Leave { .. } => told.note("no pointer"),
    wl_pointer::Event::Button { serial, button, state: WEnum::Value(state), .. } => {
        if state == wl_pointer::ButtonState::Pressed {
            told.serial = serial;
        }
        told.note(format!("{button} {state:?}"));
    }
    wl_pointer::Event::AxisValue120 { .. } => {}
    wl_pointer::Event::Axis { value, .. } => told.note(format!("wheel {value}")),
    _ => {}
});
notes!(wl_surface::WlSurface, |told, _surface, event| {
    if let wl_surface::Event::Enter { .. } = event {
        told.note("on an output");
    }
});

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Told {
    fn event(
        _: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

notes!(xdg_activation_token_v1::XdgActivationTokenV1, |told, _token, event| {
    if let xdg_activation_token_v1::Event::Done { token } = event {
        told.token = Some(token);
    }
});
notes!(wp_presentation::WpPresentation, |told, _presentation, event| {
    if let wp_presentation::Event::ClockId { clk_id } = event {
        told.note(format!("clock {clk_id}"));
    }
});
notes!(wp_presentation_feedback::WpPresentationFeedback, |told, _feedback, event| match event {
    wp_presentation_feedback::Event::Presented { tv_sec_lo, tv_nsec, refresh, seq_hi, seq_lo, .. } => {
        let time = Duration::new(tv_sec_lo.into(), tv_nsec);
        let sequence = u64::from(seq_hi) << 32 | u64::from(seq_lo);
        told.presented.push(Presented { time, refresh: Duration::from_nanos(refresh.into()), sequence });
        told.note("presented");
    }
    wp_presentation_feedback::Event::Discarded => told.note("discarded"),
    _ => {}
});
delegate_noop!(Told: ignore ZwpIdleInhibitManagerV1);
delegate_noop!(Told: ignore ZwpIdleInhibitorV1);
delegate_noop!(Told: ignore XdgActivationV1);
delegate_noop!(Told: ignore WpCursorShapeManagerV1);
delegate_noop!(Told: ignore wp_cursor_shape_device_v1::WpCursorShapeDeviceV1);
delegate_noop!(Told: ignore wl_output::WlOutput);
delegate_noop!(Told: ignore wl_seat::WlSeat);
delegate_noop!(Told: ignore wl_shm::WlShm);
delegate_noop!(Told: ignore xdg_popup::XdgPopup);
delegate_noop!(Told: ignore wl_compositor::WlCompositor);
delegate_noop!(Told: ignore wl_shm_pool::WlShmPool);
delegate_noop!(Told: ignore xdg_positioner::XdgPositioner);
delegate_noop!(Told: ignore ZxdgDecorationManagerV1);

// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures of the display for a client that may have them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use grantway::control::InputAction;
use tempfile::TempDir;
use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_buffer, wl_output, wl_registry, wl_shm, wl_shm_pool};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_frame_v1::{self as frame, ZwlrScreencopyFrameV1};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_manager_v1::ZwlrScreencopyManagerV1;

use crate::desk::{Desk, wait_for};

const WIDTH: i32 = 300;
const HEIGHT: i32 = 200;

/// What was told of all frames, in order.
#[derive(Default)]
struct Told(Vec<String>);

struct Recorder {
    queue: EventQueue<Told>,
    told: Told,
    globals: GlobalList,
    manager: ZwlrScreencopyManagerV1,
    output: wl_output::WlOutput,
    buffer: wl_buffer::WlBuffer,
    memory: File,
}

impl Recorder {
    fn new(socket: &Path) -> Self {
        let connection = Connection::from_socket(UnixStream::connect(socket).unwrap()).unwrap();
        let (globals, queue) = registry_queue_init::<Told>(&connection).unwrap();
        let handle = queue.handle();
        let manager = globals.bind(&handle, 3..=3, ()).unwrap();
        let output = globals.bind(&handle, 4..=4, ()).unwrap();
        let memory = tempfile::tempfile().unwrap();
        memory.set_len(u64::try_from(WIDTH * HEIGHT * 4).unwrap()).unwrap();
        let buffer = buffer(&globals, &handle, &memory, (WIDTH, HEIGHT));
        Self { queue, told: Told::default(), globals, manager, output, buffer, memory }
    }

    fn frame(&mut self) -> ZwlrScreencopyFrameV1 {
        self.manager.capture_output(1, &self.output, &self.queue.handle(), ())
    }

    fn hear(&mut self) -> Vec<String> {
        self.queue.roundtrip(&mut self.told).unwrap();
        std::mem::take(&mut self.told.0)
    }

    /// Waits until a frame has ended, one way or the other.
    fn wait_end(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        wait_for("a frame's end", || {
            told.extend(self.hear());
            told.iter().any(|line| line == "ready" || line == "failed").then_some(())
        });
        told
    }

    fn pixels(&mut self) -> Vec<u8> {
        self.memory.seek(SeekFrom::Start(0)).unwrap();
        let mut pixels = Vec::new();
        self.memory.read_to_end(&mut pixels).unwrap();
        pixels
    }
}

fn buffer(
    globals: &GlobalList,
    handle: &QueueHandle<Told>,
    memory: &File,
    (width, height): (i32, i32),
) -> wl_buffer::WlBuffer {
    let shm: wl_shm::WlShm = globals.bind(handle, 1..=1, ()).unwrap();
    let pool = shm.create_pool(memory.as_fd(), WIDTH * HEIGHT * 4, handle, ());
    pool.create_buffer(0, width, height, width * 4, wl_shm::Format::Xrgb8888, handle, ())
}

/// A small display, and a socket at which this program is privileged.
fn desk(dir: &TempDir) -> Desk {
    let config = dir.path().join("grantway.toml");
    std::fs::write(&config, format!("[desktop]\nprivileged = [{:?}]\n", std::env::current_exe().unwrap())).unwrap();
    let socket = dir.path().join("wayland");
    let (config, socket) = (config.to_str().unwrap(), socket.to_str().unwrap());
    Desk::new(&["--config", config, "--output", "300x200@240", "--wayland", socket])
}

#[test]
fn a_recording_goes_on_with_what_changes_alone() {
    let dir = TempDir::new().unwrap();
    let mut desk = desk(&dir);
    let mut recorder = Recorder::new(&dir.path().join("wayland"));
    let shown = desk.output_picture();

    let first = recorder.frame();
    first.copy_with_damage(&recorder.buffer);
    let told = recorder.wait_end();
    assert_eq!(told, ["buffer 300x200, 1200", "buffer done", "flags 0", "damage 0,0 300x200", "ready"]);
    let pixels = recorder.pixels();
    let (blue, green, red) = (pixels[0], pixels[1], pixels[2]);
    assert_eq!([red, green, blue], shown.at(0, 0));

    // Nothing has changed since: it waits, until the pointer comes.
    let second = recorder.frame();
    second.copy_with_damage(&recorder.buffer);
    for _ in 0..5 {
        assert!(!recorder.hear().iter().any(|line| line == "ready" || line == "failed"));
        desk.status();
    }
    desk.input(InputAction::Pointer { x: 150, y: 100 });
    assert_eq!(recorder.wait_end().last().unwrap(), "ready");
    assert!(recorder.pixels() != pixels);

    // Who does not wait for a change has one without it.
    let third = recorder.frame();
    third.copy(&recorder.buffer);
    assert!(!recorder.wait_end().iter().any(|line| line.starts_with("damage")));
    assert_eq!(desk.log(), Vec::<String>::new());
    desk.quit();
}

#[test]
fn frames_are_bounded_and_a_dark_display_has_none() {
    let dir = TempDir::new().unwrap();
    let mut desk = desk(&dir);
    let mut recorder = Recorder::new(&dir.path().join("wayland"));
    let frames: Vec<_> = (0..17).map(|_| recorder.frame()).collect();
    let told = recorder.hear();
    assert_eq!(told.iter().filter(|line| line.starts_with("buffer 300")).count(), 16);
    assert_eq!(told.last().unwrap(), "failed");
    frames.iter().for_each(ZwlrScreencopyFrameV1::destroy);
    assert!(!recorder.hear().contains(&"failed".to_owned()));

    desk.switch_output("headless-1", false);
    recorder.frame().copy(&recorder.buffer);
    assert_eq!(recorder.wait_end().last().unwrap(), "failed");
    desk.quit();
}

#[test]
fn a_buffer_of_another_size_is_an_error_of_the_clients_alone() {
    let dir = TempDir::new().unwrap();
    let mut desk = desk(&dir);
    let mut recorder = Recorder::new(&dir.path().join("wayland"));
    let handle = recorder.queue.handle();
    let small = buffer(&recorder.globals, &handle, &recorder.memory, (WIDTH, HEIGHT - 1));
    recorder.frame().copy(&small);
    assert!(recorder.queue.roundtrip(&mut recorder.told).is_err());
    let mut other = Recorder::new(&dir.path().join("wayland"));
    other.frame().copy(&other.buffer);
    assert_eq!(other.wait_end().last().unwrap(), "ready");
    assert_eq!(desk.status().clients, []);
    desk.quit();
}

impl Dispatch<ZwlrScreencopyFrameV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &ZwlrScreencopyFrameV1,
        event: frame::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        told.0.push(match event {
            frame::Event::Buffer { width, height, stride, .. } => format!("buffer {width}x{height}, {stride}"),
            frame::Event::BufferDone => "buffer done".to_owned(),
            frame::Event::Flags { flags } => format!("flags {}", u32::from(flags)),
            frame::Event::Damage { x, y, width, height } => format!("damage {x},{y} {width}x{height}"),
            frame::Event::Ready { .. } => "ready".to_owned(),
            frame::Event::Failed => "failed".to_owned(),
            other => format!("{other:?}"),
        });
    }
}

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

delegate_noop!(Told: ZwlrScreencopyManagerV1);
delegate_noop!(Told: wl_shm_pool::WlShmPool);
delegate_noop!(Told: ignore wl_shm::WlShm);
delegate_noop!(Told: ignore wl_buffer::WlBuffer);
delegate_noop!(Told: ignore wl_output::WlOutput);

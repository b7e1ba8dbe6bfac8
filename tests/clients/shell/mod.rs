// SPDX-License-Identifier: GPL-3.0-or-later
//! A shell that shows which guests there are, by the compositor's own protocol.

mod protocol;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use tempfile::TempDir;
use wayland_client::backend::ObjectId;
use wayland_client::globals::{GlobalList, GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_buffer, wl_output, wl_registry, wl_shm, wl_shm_pool};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, WEnum, delegate_noop, event_created_child};

use self::protocol::grantway_guest_display_v1::{self as display, GrantwayGuestDisplayV1, State};
use self::protocol::grantway_guest_displays_v1::{self as list, GrantwayGuestDisplaysV1};
use self::protocol::grantway_thumbnail_v1::{self as thumbnail, GrantwayThumbnailV1};
use crate::desk::{Desk, Rgb, wait_for};
use crate::window::Window;
use crate::{Dom0, RED};

/// What is known of one display.
#[derive(Clone, Debug, Default)]
struct Entry {
    object: Option<GrantwayGuestDisplayV1>,
    guest: (String, u32, u32),
    label: (String, u32),
    size: (u32, u32),
    state: u32,
    /// Names of outputs.
    outputs: Vec<String>,
    done: bool,
}

#[derive(Default)]
struct Told {
    displays: BTreeMap<u32, Entry>,
    outputs: HashMap<ObjectId, String>,
    lines: Vec<String>,
}

struct Shell {
    queue: EventQueue<Told>,
    told: Told,
    globals: GlobalList,
    list: GrantwayGuestDisplaysV1,
    outputs: Vec<wl_output::WlOutput>,
}

impl Shell {
    fn new(socket: &Path) -> Self {
        let stream = wait_for("the clients' socket", || UnixStream::connect(socket).ok());
        let connection = Connection::from_socket(stream).unwrap();
        let (globals, queue) = registry_queue_init::<Told>(&connection).unwrap();
        let handle = queue.handle();
        let names = globals.contents().clone_list();
        let outputs = names.iter().filter(|global| global.interface == "wl_output");
        let outputs = outputs.map(|global| globals.registry().bind(global.name, 4, &handle, ())).collect();
        let list = globals.bind(&handle, 1..=1, ()).unwrap();
        Self { queue, told: Told::default(), globals, list, outputs }
    }

    fn hear(&mut self) {
        self.queue.roundtrip(&mut self.told).unwrap();
    }

    fn find(&mut self, name: &str) -> Option<Entry> {
        self.hear();
        self.told.displays.values().find(|entry| entry.guest.0 == name && entry.done).cloned()
    }

    fn wait(&mut self, name: &str, what: &str, is: impl Fn(&Entry) -> bool) -> Entry {
        wait_for(&format!("{name}: {what}"), || self.find(name).filter(&is))
    }

    fn wait_state(&mut self, name: &str, state: State) -> GrantwayGuestDisplayV1 {
        let entry = self.wait(name, &format!("{state:?}"), |entry| entry.state == state.bits());
        entry.object.unwrap()
    }

    fn output(&mut self, name: &str) -> wl_output::WlOutput {
        self.hear();
        let told = &self.told.outputs;
        self.outputs.iter().find(|output| told.get(&output.id()).is_some_and(|known| known == name)).unwrap().clone()
    }

    /// What is answered to the wish for a thumbnail of that size, and the picture.
    fn thumbnail(&mut self, of: &GrantwayGuestDisplayV1, (width, height): (i32, i32)) -> (String, Vec<u8>) {
        let handle = self.queue.handle();
        let mut memory: File = tempfile::tempfile().unwrap();
        let bytes = width * height * 4;
        memory.set_len(u64::try_from(bytes).unwrap()).unwrap();
        let shm: wl_shm::WlShm = self.globals.bind(&handle, 1..=1, ()).unwrap();
        let pool = shm.create_pool(memory.as_fd(), bytes, &handle, ());
        let buffer = pool.create_buffer(0, width, height, width * 4, wl_shm::Format::Xrgb8888, &handle, ());
        self.told.lines.clear();
        let thumbnail = of.thumbnail(&buffer, &handle, ());
        if self.queue.roundtrip(&mut self.told).is_err() {
            return ("an error".to_owned(), Vec::new());
        }
        thumbnail.destroy();
        let mut pixels = Vec::new();
        memory.seek(SeekFrom::Start(0)).unwrap();
        memory.read_to_end(&mut pixels).unwrap();
        (std::mem::take(&mut self.told.lines).join(", "), pixels)
    }
}

fn number<T>(value: WEnum<T>) -> T {
    match value {
        WEnum::Value(value) => value,
        WEnum::Unknown(number) => panic!("{number} stands for nothing"),
    }
}

impl Dispatch<GrantwayGuestDisplaysV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &GrantwayGuestDisplaysV1,
        event: list::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            list::Event::Display { display } => {
                let entry = Entry { object: Some(display.clone()), ..Entry::default() };
                told.displays.insert(display.id().protocol_id(), entry);
            }
            list::Event::Finished => told.lines.push("finished".to_owned()),
        }
    }

    event_created_child!(Told, GrantwayGuestDisplaysV1, [
        list::EVT_DISPLAY_OPCODE => (GrantwayGuestDisplayV1, ()),
    ]);
}

impl Dispatch<GrantwayGuestDisplayV1, ()> for Told {
    fn event(
        told: &mut Self,
        object: &GrantwayGuestDisplayV1,
        event: display::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let id = object.id().protocol_id();
        let name = |output: &wl_output::WlOutput| told.outputs[&output.id()].clone();
        let entered = match &event {
            display::Event::OutputEnter { output } | display::Event::OutputLeave { output } => Some(name(output)),
            _ => None,
        };
        let entry = told.displays.get_mut(&id).expect("an event for a display that is gone");
        match event {
            display::Event::Guest { name, domid, connector } => entry.guest = (name, domid, connector),
            display::Event::Label { text, color } => entry.label = (text, color),
            display::Event::Size { width, height } => entry.size = (width, height),
            display::Event::State { state } => entry.state = number(state).bits(),
            display::Event::OutputEnter { .. } => entry.outputs.extend(entered),
            display::Event::OutputLeave { .. } => entry.outputs.retain(|output| Some(output) != entered.as_ref()),
            display::Event::Done => entry.done = true,
            display::Event::Gone => {
                told.displays.remove(&id);
                object.destroy();
            }
        }
    }
}

impl Dispatch<GrantwayThumbnailV1, ()> for Told {
    fn event(
        told: &mut Self,
        _: &GrantwayThumbnailV1,
        event: thumbnail::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        told.lines.push(match event {
            thumbnail::Event::Ready { x, y, width, height } => format!("{width}x{height} at {x},{y}"),
            thumbnail::Event::Failed { reason } => format!("{:?}", number(reason)),
        });
    }
}

impl Dispatch<wl_output::WlOutput, ()> for Told {
    fn event(
        told: &mut Self,
        output: &wl_output::WlOutput,
        event: wl_output::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_output::Event::Name { name } = event {
            told.outputs.insert(output.id(), name);
        }
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

delegate_noop!(Told: ignore wl_buffer::WlBuffer);
delegate_noop!(Told: ignore wl_shm::WlShm);
delegate_noop!(Told: ignore wl_shm_pool::WlShmPool);

/// A place for clients where this program is privileged, on two outputs.
fn desk(dir: &TempDir, guests: &str) -> Desk {
    let (config, socket) = (dir.path().join("grantway.toml"), dir.path().join("wayland"));
    let program = std::env::current_exe().unwrap();
    std::fs::write(&config, format!("[desktop]\nprivileged = [{program:?}]\n{guests}")).unwrap();
    let (config, socket) = (config.to_str().unwrap(), socket.to_str().unwrap());
    Desk::new(&["--config", config, "--output", "800x500@240", "--output", "700x400@240", "--wayland", socket])
}

const BOTH: &[&str] = &["--connectors", "a:300x200,b:160x120", "--pattern", "bars", "--flips", "2", "--linger"];

#[test]
fn a_shell_lists_guests_displays_and_does_with_them_what_the_user_wants() {
    let dir = TempDir::new().unwrap();
    let mut desk = desk(&dir, "[guest.web]\nlabel = \"Web\"\ncolor = \"#c81020\"\n");
    let mut shell = Shell::new(&dir.path().join("wayland"));
    shell.hear();
    assert!(shell.told.displays.is_empty());
    let guest = desk
        .guest("web", &["--connectors", "a:300x200", "--pattern", "bars", "--flips", "2", "--linger", "--keyboard"]);
    let entry = shell.wait("Web", "its size", |entry| entry.size == (300, 200));
    assert_eq!(entry.guest, ("Web".to_owned(), 1, 0));
    assert_eq!(entry.label, ("Web (dom 1, connector 0)".to_owned(), 0xc8_10_20));
    assert_eq!(entry.outputs, ["headless-1"]);
    // Clients' windows are not in it.
    let client = Window::open(&dir.path().join("wayland"), "notes", (100, 50), RED);
    shell.hear();
    assert_eq!(shell.told.displays.len(), 1);
    drop(client);

    let web = entry.object.unwrap();
    web.focus();
    shell.wait_state("Web", State::Focused);
    web.maximise();
    shell.wait_state("Web", State::Focused | State::Maximised);
    // It has all of the other output, too.
    web.move_to_output(&shell.output("headless-2"));
    let moved = shell.wait("Web", "the other output", |entry| entry.outputs == ["headless-2"]);
    assert_eq!(moved.state, (State::Focused | State::Maximised).bits());
    let content = desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    assert_eq!(content.output, "headless-2");
    web.unmaximise();
    shell.wait_state("Web", State::Focused);
    web.minimise();
    let away = shell.wait("Web", "it is off the screen", |entry| entry.state == State::Minimised.bits());
    assert!(away.outputs.is_empty());
    web.restore();
    shell.wait("Web", "it is back", |entry| entry.state & State::Minimised.bits() == 0);
    web.full_screen(Some(&shell.output("headless-1")));
    let full = shell.wait("Web", "full screen", |entry| entry.state & State::FullScreen.bits() != 0);
    assert_eq!(full.outputs, ["headless-1"]);
    web.leave_full_screen();
    shell.wait("Web", "in its frame", |entry| entry.state & State::FullScreen.bits() == 0);

    // What is left of it is shown, and then is not.
    guest.kill();
    shell.wait_state("Web", State::Stopped);
    shell.list.stop();
    shell.hear();
    assert_eq!(shell.told.lines, ["finished"]);
    desk.quit();
}

#[test]
fn a_thumbnail_is_the_guests_picture_where_the_configuration_allows_it() {
    let dir = TempDir::new().unwrap();
    let mut desk = desk(&dir, "[guest.web]\nthumbnails = true\n");
    let (_web, _secret) = (desk.guest("web", BOTH), desk.guest("secret", BOTH));
    for guest in ["web", "secret"] {
        desk.wait_connector(guest, 0, |connector| connector.events == 2);
    }
    let mut shell = Shell::new(&dir.path().join("wayland"));
    let web = shell.wait("web", "it", |entry| entry.size == (300, 200)).object.unwrap();
    let secret = shell.wait("secret", "it", |entry| entry.size == (300, 200)).object.unwrap();
    assert_eq!(shell.thumbnail(&secret, (60, 60)).0, "NotPermitted");

    let whole = desk.picture_of("web", 0);
    let (told, pixels) = shell.thumbnail(&web, (300, 220));
    assert_eq!(told, "300x200 at 0,10");
    let at = |pixels: &[u8], width: usize, x: usize, y: usize| -> Rgb {
        let pixel = &pixels[(y * width + x) * 4..][..3];
        [pixel[2], pixel[1], pixel[0]]
    };
    assert_eq!(at(&pixels, 300, 0, 9), [0, 0, 0]);
    for (x, y) in [(0, 0), (299, 199), (140, 70), (220, 190)] {
        let wanted = whole.at(u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
        assert_eq!(at(&pixels, 300, x, y + 10), wanted, "{x},{y}");
    }
    // Off the screen it still has its picture, in a sixth of its size.
    web.minimise();
    shell.wait_state("web", State::Minimised);
    let (told, small) = shell.thumbnail(&web, (50, 50));
    assert_eq!(told, "50x33 at 0,8");
    assert!(small != vec![0; small.len()]);

    // Too large is an error, of the client alone.
    assert_eq!(shell.thumbnail(&web, (513, 1)).0, "an error");
    let mut other = Shell::new(&dir.path().join("wayland"));
    other.wait("web", "it", |entry| entry.size == (300, 200));
    assert_eq!(desk.log(), Vec::<String>::new());
    desk.quit();
}

#[test]
fn who_is_not_privileged_does_not_see_it() {
    let dom0 = Dom0::new();
    let window = Window::open(&dom0.socket, "notes", (100, 50), RED);
    let globals = window.globals.contents().clone_list();
    assert!(!globals.iter().any(|global| global.interface.starts_with("grantway_")));
    dom0.desk.quit();
}

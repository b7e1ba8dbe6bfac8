// SPDX-License-Identifier: GPL-3.0-or-later
//! Dom0's own Wayland clients: their socket, their protocols, and their windows' pictures.
//!
//! Like a presentation backend this never calls up: it queues [`Event`]s, and is told what its clients are to know.
//! It knows no guest, no scene and no output's frame. What a window shows is a picture of ours, made when its client
//! commits; [`Wayland::shown`] tells the client when that is on the display.

mod activation;
mod awake;
mod capture;
mod constraint;
mod cursor;
mod data_control;
mod decoration;
mod feedback;
mod guest_displays;
mod idle;
mod layer;
mod listing;
mod lock;
mod privilege;
mod protocol;
mod role;
mod sandbox;
mod seat;
mod server;
#[allow(unsafe_code, reason = "copies from clients' shared memory")]
mod shm;
mod surface;
mod thumbnail;
mod typing;
mod wishes;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use nix::sys::stat::{Mode, umask};
use smithay::output::{Mode as OutputMode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::wayland_server::backend::GlobalId;
use smithay::reexports::wayland_server::{Display, ListeningSocket, Resource as _};
use smithay::utils::Transform;

pub use self::constraint::PointerWish;
pub use self::guest_displays::{GuestDisplay, GuestStanding, NoThumbnail, Thumbnail};
pub use self::listing::{Listed, ListedId, Wish};
use self::privilege::Programs;
pub use self::seat::KeyboardLayout;
use self::seat::Way;
use self::server::{ClientState, Server, Toplevel, done};
use crate::backend::{OutputId, OutputInfo, Pointer};
use crate::input::GuestEvent;
use crate::scene::cursor::Look;
use crate::scene::dock::Dock;
use crate::scene::element::{Pixmap, Rect, Size};
use crate::scene::layout::{Edges, Region};
use crate::time::Time;

/// Names for sockets in `XDG_RUNTIME_DIR`: `wayland-1` and on; `wayland-0` is where clients look that were told
/// nothing.
const NAMES: std::ops::Range<usize> = 1..33;

/// Names a client's window while it is there; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToplevelId(u64);

/// What clients did.
#[derive(Clone, Debug)]
pub enum Event {
    /// A window has its first picture.
    Mapped {
        /// Which.
        window: ToplevelId,
        /// Its content.
        picture: Rc<Pixmap>,
    },
    /// A window shows something else; its size may be another one, too.
    Picture {
        /// Which.
        window: ToplevelId,
        /// Its content.
        picture: Rc<Pixmap>,
    },
    /// A dock shows this there, for the first time or anew.
    Docked {
        /// Which.
        window: ToplevelId,
        /// Where.
        dock: Dock,
        /// Whether it takes keys when it is clicked at.
        keyboard: bool,
        /// Its content.
        picture: Rc<Pixmap>,
    },
    /// Docks leave this part of an output to windows.
    Free {
        /// Which.
        output: OutputId,
        /// On it.
        part: Rect,
    },
    /// A client locks the session, or unlocks it: [`Wayland::covered`] says that nothing else is seen.
    Locked(bool),
    /// A window has another title or application; see [`Wayland::names`]. It need not be mapped.
    Renamed(ToplevelId),
    /// A window that was mapped is so no longer; it may be mapped again.
    Unmapped(ToplevelId),
    /// A client wants that a button which is down in its window moves it, or these edges of it.
    Hold {
        /// Which.
        window: ToplevelId,
        /// Linux's code of the button.
        button: u32,
        /// None of them to move it.
        edges: Edges,
    },
    /// A client wants its window to have all of its output, or no longer.
    Whole {
        /// Which.
        window: ToplevelId,
        /// All of it.
        whole: bool,
    },
    /// A client wants its window off the screen.
    Minimise(ToplevelId),
    /// A window is to have the keyboard, as a client wants that had it.
    Activate(ToplevelId),
    /// A new window is to have the keyboard unless something is held down: the user seems to wait for it.
    Expected(ToplevelId),
    /// A panel wants something done with a listed window; see [`Wayland::list`].
    Wish {
        /// Which.
        window: ListedId,
        /// What.
        wish: Wish,
    },
    /// A client waits for a small picture of a guest's display; to be answered at once.
    Thumbnail {
        /// Of which.
        window: ListedId,
        /// What to answer.
        thumbnail: Thumbnail,
    },
    /// A client waits for a picture of an output: see [`Wayland::give_picture`].
    Capture(OutputId),
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// The first free name in `XDG_RUNTIME_DIR`.
    Auto,
    /// This absolute path.
    Path(PathBuf),
}

/// The clients.
pub struct Wayland {
    display: Display<Server>,
    server: Server,
    socket: ListeningSocket,
    programs: Programs,
    name: String,
    outputs: BTreeMap<OutputId, (Output, GlobalId)>,
    /// On which output each window is.
    places: BTreeMap<ToplevelId, OutputId>,
}

impl fmt::Debug for Wayland {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wayland").field("windows", &self.server.toplevels.len()).finish_non_exhaustive()
    }
}

impl Wayland {
    /// Listens for clients of our own user; `privileged` are the programs that may do more than show windows.
    ///
    /// # Errors
    /// A sentence for the user: the socket or the keyboard's layout can't be had.
    pub fn open(socket: &Socket, keyboard: &KeyboardLayout, privileged: &[PathBuf]) -> Result<Self, String> {
        let display = Display::new().map_err(|error| format!("no Wayland display can be made: {error}"))?;
        let mut server = Server::new(display.handle());
        server.add_devices(keyboard)?;
        let (socket, name) = bind(socket)?;
        let programs = Programs::new(privileged);
        Ok(Self { display, server, socket, programs, name, outputs: BTreeMap::new(), places: BTreeMap::new() })
    }

    /// The socket's name, as clients take it in `WAYLAND_DISPLAY`.
    #[must_use]
    pub fn socket_name(&self) -> &str {
        &self.name
    }

    /// Become readable when [`Wayland::dispatch`] has something to do.
    pub fn poll_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let own = [self.socket.as_fd(), self.display.as_fd()];
        own.into_iter().chain(self.server.sandboxes.poll_fds())
    }

    /// Takes in new clients and their requests.
    pub fn dispatch(&mut self) {
        loop {
            match self.socket.accept() {
                Ok(Some(stream)) => {
                    let state = ClientState::new(self.programs.include(&stream), self.server.pressed);
                    self.add_client(stream, state);
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("no Wayland client can be accepted: {error}");
                    break;
                }
            }
        }
        for stream in self.server.accept_sandboxed() {
            self.add_client(stream, ClientState::sandboxed(self.server.pressed));
        }
        if let Err(error) = self.display.dispatch_clients(&mut self.server) {
            tracing::error!("Wayland clients can't be read: {error}");
        }
        self.server.popups.cleanup();
        self.server.forget_locks(false);
        self.places.retain(|window, _| self.server.toplevels.contains_key(window));
    }

    fn add_client(&self, stream: UnixStream, state: ClientState) {
        match self.display.handle().insert_client(stream, Arc::new(state)) {
            Ok(client) => tracing::debug!(
                client = ?client.id(),
                privileged = privilege::is_privileged(&client),
                "a Wayland client connects"
            ),
            Err(error) => tracing::warn!("a Wayland client is refused: {error}"),
        }
    }

    /// Sends what clients are to know.
    pub fn flush(&mut self) {
        self.server.toplevels.values_mut().for_each(Toplevel::send_configure);
        if let Err(error) = self.display.flush_clients() {
            tracing::debug!("Wayland clients can't be written to: {error}");
        }
    }

    /// What clients did since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.server.events)
    }

    /// Whether anybody wants to know which windows there are.
    #[must_use]
    pub const fn wants_list(&self) -> bool {
        self.server.listings.is_wanted()
    }

    /// Says which windows there are, guests' and clients', for those who may know.
    pub fn list(&mut self, windows: &BTreeMap<ListedId, Listed>) {
        let output = |id| self.outputs.get(&id).map(|(output, _)| output.clone());
        self.server.listings.update(&self.display.handle(), windows, output);
    }

    /// Whether anybody wants to know which displays of guests there are.
    #[must_use]
    pub const fn wants_guests(&self) -> bool {
        self.server.guest_lists.is_wanted()
    }

    /// Says which displays of guests there are, for those who may know.
    pub fn list_guests(&mut self, guests: &BTreeMap<ListedId, GuestDisplay>) {
        let output = |id| self.outputs.get(&id).map(|(output, _)| output.clone());
        self.server.guest_lists.update(&self.display.handle(), guests, output);
    }

    /// A window's title and application, in the client's words; both may be empty.
    #[must_use]
    pub fn names(&self, window: ToplevelId) -> (String, String) {
        self.server.names(window)
    }

    /// Whether a window belongs to another one of its client's, or is a launcher.
    #[must_use]
    pub fn is_dialog(&self, window: ToplevelId) -> bool {
        self.server.toplevels.get(&window).is_some_and(|toplevel| toplevel.surface.is_dialog())
    }

    /// The number of a window's surface in its client's connection; 0 for one that is gone.
    #[must_use]
    pub fn surface_number(&self, window: ToplevelId) -> u32 {
        let surface = self.server.toplevels.get(&window).map(|toplevel| toplevel.surface.wl_surface());
        surface.map_or(0, |surface| surface.id().protocol_id())
    }

    /// Says which outputs there are, from left to right.
    pub fn set_outputs(&mut self, infos: &[OutputInfo]) {
        let handle = self.display.handle();
        self.outputs.retain(|id, (_, global)| {
            let there = infos.iter().any(|info| info.id == *id);
            if !there {
                handle.remove_global::<Server>(global.clone());
            }
            there
        });
        self.places.retain(|_, output| self.outputs.contains_key(output));
        let is_there = |output| self.outputs.contains_key(&output);
        self.server.toplevels.values_mut().for_each(|toplevel| toplevel.not_presented(is_there));
        self.server.captures.forget(is_there);
        let mut x = 0;
        let mut screens = Vec::new();
        for info in infos {
            let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
            let (output, _) = self.outputs.entry(info.id).or_insert_with(|| {
                let output = new_output(info);
                let global = output.create_global::<Server>(&handle);
                (output, global)
            });
            let period = info.refresh.as_nanos().max(1);
            let refresh = i32::try_from((1_000_000_000_000 + period / 2) / period).unwrap_or(i32::MAX);
            let mode = OutputMode { size: (side(info.width), side(info.height)).into(), refresh };
            output.change_current_state(
                Some(mode),
                Some(Transform::Normal),
                Some(Scale::Integer(1)),
                Some((x, 0).into()),
            );
            output.set_preferred(mode);
            screens.push((info.id, output.clone(), Size { width: side(info.width), height: side(info.height) }));
            x = x.saturating_add(side(info.width));
        }
        self.server.set_screens(screens);
    }

    /// Tells a window on which output it is.
    pub fn set_place(&mut self, window: ToplevelId, output: Option<OutputId>) {
        if self.places.get(&window).copied() == output {
            return;
        }
        let before = match output {
            Some(output) => self.places.insert(window, output),
            None => self.places.remove(&window),
        };
        let Some(toplevel) = self.server.toplevels.get(&window) else { return };
        let surface = toplevel.surface.wl_surface();
        if let Some((before, _)) = before.and_then(|before| self.outputs.get(&before)) {
            before.leave(surface);
        }
        if let Some((output, _)) = output.and_then(|output| self.outputs.get(&output)) {
            output.enter(surface);
        }
    }

    /// Asks a window's client to draw it in this size, or in its own. It may take another one. It hears of it with the
    /// next [`Wayland::flush`].
    pub fn configure(&mut self, window: ToplevelId, size: Option<Size>) {
        if let Some(toplevel) = self.server.toplevels.get(&window) {
            toplevel.surface.set_size(size);
        }
    }

    /// Says which part of its output a window has been given, if any: its client may draw itself otherwise there.
    pub fn set_region(&mut self, window: ToplevelId, region: Option<Region>) {
        if let Some(toplevel) = self.server.toplevels.get_mut(&window) {
            toplevel.set_region(region);
        }
    }

    /// Asks a window's client to close it.
    pub fn close(&mut self, window: ToplevelId) {
        if let Some(toplevel) = self.server.toplevels.get(&window) {
            toplevel.surface.send_close();
        }
    }

    /// What a window's client wants the pointer over it to look like; `None` for nothing to be seen. Ours where the
    /// pointer is not over that window.
    #[must_use]
    pub fn cursor(&self, window: ToplevelId) -> Option<Look> {
        self.server.cursor_over(window)
    }

    /// The session is locked, and all that is seen is what the lock shows.
    pub fn covered(&mut self) {
        self.server.covered();
    }

    /// The windows whose clients wait to be told when their last commit is shown. Each has to be told once by
    /// [`Wayland::shown`], and is not among these before that.
    pub fn take_waiting(&mut self) -> Vec<ToplevelId> {
        let mut waiting = Vec::new();
        let cursor = self.server.shown_cursor();
        for (id, toplevel) in &mut self.server.toplevels {
            if std::mem::take(&mut toplevel.waits) {
                if toplevel.paced {
                    toplevel.waits = true;
                    continue;
                }
                let root = toplevel.surface.wl_surface();
                surface::take_callbacks(root, &mut toplevel.in_frame);
                for (popup, _) in smithay::desktop::PopupManager::popups_for_surface(root) {
                    surface::take_callbacks(popup.wl_surface(), &mut toplevel.in_frame);
                }
                if let Some((_, surface)) = cursor.as_ref().filter(|(window, _)| window == id) {
                    surface::take_callbacks(surface, &mut toplevel.in_frame);
                }
                toplevel.paced = toplevel.pace_feedback() || !toplevel.in_frame.is_empty();
                if toplevel.paced {
                    waiting.push(*id);
                }
            }
        }
        waiting
    }

    /// A window's last commit is shown, or would be if anybody could see it.
    pub fn shown(&mut self, window: ToplevelId, now: Time) {
        if let Some(toplevel) = self.server.toplevels.get_mut(&window) {
            toplevel.paced = false;
            done(&mut toplevel.in_frame, millis(now));
            toplevel.end_feedback();
        }
    }

    /// The windows whose clients want to hear when a commit is shown that no frame shows yet.
    #[must_use]
    pub fn undrawn(&self) -> Vec<ToplevelId> {
        let undrawn = self.server.toplevels.iter().filter(|(_, toplevel)| toplevel.has_undrawn());
        undrawn.map(|(id, _)| *id).collect()
    }

    /// A frame that shows a window is on its way to an output.
    pub fn drawn(&mut self, window: ToplevelId, output: OutputId) {
        if let Some(toplevel) = self.server.toplevels.get_mut(&window) {
            toplevel.drawn(output);
        }
    }

    /// An output was switched off: the frame that was on its way to it counts as never shown.
    pub fn went_dark(&mut self, output: OutputId) {
        self.server.toplevels.values_mut().for_each(|toplevel| toplevel.not_presented(|other| other != output));
        self.fail_captures(output);
    }

    /// Nobody gets a picture of an output that is dark.
    pub fn fail_captures(&mut self, output: OutputId) {
        self.server.captures.fail(|other| other != output);
    }

    /// An output's picture is another one.
    pub fn changed(&mut self, output: OutputId) {
        self.server.captures.changed(output);
    }

    /// Whether a client waits for what an output shows.
    #[must_use]
    pub fn wants_picture(&self, output: OutputId, pointer: Pointer) -> bool {
        self.server.captures.wants(output, pointer)
    }

    /// What an output shows, for those who wait for it; `None` where it can't be had.
    pub fn give_picture(&mut self, output: OutputId, pointer: Pointer, picture: Option<&Pixmap>, now: Time) {
        self.server.captures.answer(output, pointer, picture, now);
    }

    /// The windows whose clients want the displays to stay on while they are seen.
    pub fn wakeful(&self) -> impl Iterator<Item = ToplevelId> {
        self.server.wakeful()
    }

    /// The frame that was on its way to an output is on the display since `time`; `sequence` counts its frames.
    pub fn presented(&mut self, id: OutputId, time: Time, sequence: u64) {
        let Some((output, _)) = self.outputs.get(&id) else { return };
        self.server.toplevels.values_mut().for_each(|toplevel| toplevel.presented((id, output), time, sequence));
    }

    /// Gives a window the keyboard, or takes it from all clients.
    pub fn focus(&mut self, window: Option<ToplevelId>) {
        self.server.focus(window);
    }

    /// The user has pressed a key, a button, or with a finger, whoever is told of it.
    pub fn user_pressed(&mut self) {
        self.server.pressed = self.server.pressed.wrapping_add(1);
    }

    /// A window that is no client's has the keyboard: no client hands it on any longer.
    pub fn focus_elsewhere(&mut self) {
        self.server.forget_presses();
    }

    /// The pointer is over no client.
    pub fn pointer_left(&mut self, now: Time) {
        self.server.pointer_left(millis(now));
    }

    /// Tells a window what the user does. `corner` is that of its content, on the plane of all outputs; positions
    /// count from there.
    pub fn tell(&mut self, window: ToplevelId, corner: (i32, i32), event: GuestEvent, now: Time) {
        self.server.tell(Way { window, corner, time: millis(now) }, event);
    }
}

/// Wayland's times wrap around.
fn millis(time: Time) -> u32 {
    u32::try_from(time.as_millis() & u128::from(u32::MAX)).unwrap_or(0)
}

fn new_output(info: &OutputInfo) -> Output {
    let (make, model) = ("Grantway".to_owned(), info.name.clone());
    let size = (0, 0).into();
    let output = Output::new(info.name.clone(), PhysicalProperties { size, subpixel: Subpixel::Unknown, make, model });
    output.user_data().insert_if_missing(|| info.id);
    output
}

/// Only our own user, and root, may connect: who can sees nothing of guests, but gets what is typed into its windows.
fn bind(socket: &Socket) -> Result<(ListeningSocket, String), String> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = match socket {
        Socket::Auto => ListeningSocket::bind_auto("wayland", NAMES)
            .map_err(|error| format!("no Wayland socket in $XDG_RUNTIME_DIR: {error}")),
        Socket::Path(path) => ListeningSocket::bind_absolute(path.clone())
            .map_err(|error| format!("no Wayland socket at {}: {error}", path.display())),
    };
    umask(before);
    let bound = bound?;
    let name = match (socket, bound.socket_name()) {
        (Socket::Path(path), _) => path.display().to_string(),
        (Socket::Auto, name) => name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    Ok((bound, name))
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What the protocols' requests change: Smithay's state, and the windows as we keep them. Handlers note what
//! happened; nothing here calls up.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use smithay::desktop::{PopupKind, PopupManager, find_popup_root_surface};
use smithay::input::pointer::CursorImageStatus;
use smithay::input::{Seat, SeatHandler, SeatState};
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::{ResizeEdge, State as ToplevelFlag};
use smithay::reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_callback::WlCallback;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::protocol::wl_seat::WlSeat;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Client, DisplayHandle, Resource};
use smithay::utils::Serial;
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::compositor::{
    CompositorClientState, CompositorHandler, CompositorState, get_parent, is_sync_subsurface, with_states,
};
use smithay::wayland::cursor_shape::CursorShapeManagerState;
use smithay::wayland::idle_inhibit::IdleInhibitManagerState;
use smithay::wayland::output::{OutputHandler, OutputManagerState};
use smithay::wayland::presentation::PresentationState;
use smithay::wayland::selection::SelectionHandler;
use smithay::wayland::selection::data_device::{
    ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, ServerDndGrabHandler, set_data_device_focus,
};
use smithay::wayland::selection::primary_selection::{
    PrimarySelectionHandler, PrimarySelectionState, set_primary_focus,
};
use smithay::wayland::selection::wlr_data_control::DataControlState;
use smithay::wayland::session_lock::SessionLockManagerState;
use smithay::wayland::shell::wlr_layer::WlrLayerShellState;
use smithay::wayland::shell::xdg::decoration::XdgDecorationState;
use smithay::wayland::shell::xdg::{
    PopupSurface, PositionerState, ToplevelSurface, XdgShellHandler, XdgShellState, XdgToplevelSurfaceData,
};
use smithay::wayland::shm::{ShmHandler, ShmState};
use smithay::wayland::tablet_manager::TabletSeatHandler;
use smithay::wayland::viewporter::ViewporterState;
use smithay::wayland::xdg_activation::XdgActivationState;
use smithay::{
    delegate_compositor, delegate_cursor_shape, delegate_data_device, delegate_output, delegate_presentation,
    delegate_primary_selection, delegate_seat, delegate_shm, delegate_viewporter, delegate_xdg_shell,
};

use super::activation::Press;
use super::capture::{self, Captures};
use super::constraint::Motions;
use super::cursor::Pointer;
use super::feedback::{self, CLOCK, Feedback};
use super::guest_displays::{self, GuestLists};
use super::idle::Idleness;
use super::layer::Screen;
use super::listing::{self, Listings};
use super::lock::Locking;
use super::privilege::is_privileged;
use super::role::Role;
use super::sandbox::Sandboxes;
use super::seat::Over;
use super::typing::Typing;
use super::wishes::{self, Down, Standing};
use super::{Event, ToplevelId, surface};
use crate::scene::element::Pixmap;
use crate::scene::layout::Edges;

/// What Smithay keeps for each client.
#[derive(Debug, Default)]
pub(super) struct ClientState {
    compositor: CompositorClientState,
    /// It may bind privileged globals.
    pub(super) privileged: bool,
    /// How often the user had pressed something when it came.
    pub(super) came: u64,
    /// It came through a sandbox's socket.
    pub(super) sandboxed: bool,
}

impl ClientState {
    pub(super) fn new(privileged: bool, came: u64) -> Self {
        Self { privileged, came, ..Self::default() }
    }

    /// Of a client in a sandbox, which is never privileged.
    pub(super) fn sandboxed(came: u64) -> Self {
        Self { sandboxed: true, came, ..Self::default() }
    }
}

impl ClientData for ClientState {
    fn initialized(&self, _client: ClientId) {}

    fn disconnected(&self, client: ClientId, reason: DisconnectReason) {
        tracing::debug!(?client, ?reason, "a Wayland client is gone");
    }
}

/// A window of a client.
#[derive(Debug)]
pub(super) struct Toplevel {
    pub(super) surface: Role,
    /// What was last told of it; `None` while it is not mapped.
    pub(super) picture: Option<Rc<Pixmap>>,
    /// Its client waits to be told when the last commit is shown.
    pub(super) waits: bool,
    /// A commit is being shown: [`super::Wayland::shown`] will come.
    pub(super) paced: bool,
    /// Callbacks of that.
    pub(super) in_frame: Vec<WlCallback>,
    pub(super) feedback: Vec<Feedback>,
    pub(super) standing: Standing,
    /// It is to have the keyboard when it is mapped.
    pub(super) activate: bool,
}

/// All clients, as the protocols see them.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) display: DisplayHandle,
    compositor: CompositorState,
    shm: ShmState,
    shell: XdgShellState,
    pub(super) layers: WlrLayerShellState,
    pub(super) screens: Vec<Screen>,
    pub(super) locking: Locking,
    pub(super) sandboxes: Sandboxes,
    seats: SeatState<Self>,
    data_device: DataDeviceState,
    primary_selection: PrimarySelectionState,
    pub(super) data_control: DataControlState,
    /// Globals that live as long as this.
    _others: (
        XdgDecorationState,
        ViewporterState,
        OutputManagerState,
        CursorShapeManagerState,
        PresentationState,
        IdleInhibitManagerState,
    ),
    pub(super) seat: Seat<Self>,
    pub(super) popups: PopupManager,
    /// Popups that go when the user clicks elsewhere, the oldest first.
    pub(super) grabs: Vec<PopupSurface>,
    pub(super) toplevels: BTreeMap<ToplevelId, Toplevel>,
    next: u64,
    pub(super) pointer: Pointer,
    /// What the pointer is over, as clients were told last.
    pub(super) over: Option<Over>,
    /// The window with the keyboard.
    pub(super) focused: Option<ToplevelId>,
    /// Surfaces for which the displays are to stay on.
    pub(super) wakeful: Vec<WlSurface>,
    pub(super) idleness: Idleness,
    pub(super) typing: Typing,
    pub(super) motions: Motions,
    pub(super) activation: XdgActivationState,
    /// What the user did with clients, the latest last.
    pub(super) presses: VecDeque<Press>,
    /// How often the user has pressed something, whoever was told.
    pub(super) pressed: u64,
    /// The client that was told of a press last, and which press that was.
    pub(super) told_last: Option<(u64, ClientId)>,
    /// Buttons that clients were told to be down.
    pub(super) down: Vec<Down>,
    pub(super) captures: Captures,
    pub(super) listings: Listings,
    pub(super) guest_lists: GuestLists,
    pub(super) events: Vec<Event>,
}

impl Server {
    pub(super) fn new(display: DisplayHandle) -> Self {
        let mut seats = SeatState::new();
        let primary_selection = PrimarySelectionState::new::<Self>(&display);
        let seat = seats.new_wl_seat(&display, "seat0");
        Self::offer_sandboxes(&display);
        capture::announce(&display);
        listing::announce(&display);
        guest_displays::announce(&display);
        Self {
            compositor: CompositorState::new::<Self>(&display),
            shm: ShmState::new::<Self>(&display, []),
            shell: XdgShellState::new_with_capabilities::<Self>(&display, wishes::CAPABILITIES),
            layers: WlrLayerShellState::new_with_filter::<Self, _>(&display, is_privileged),
            screens: Vec::new(),
            sandboxes: Sandboxes::default(),
            locking: Locking::new(SessionLockManagerState::new::<Self, _>(&display, is_privileged)),
            data_device: DataDeviceState::new::<Self>(&display),
            data_control: DataControlState::new::<Self, _>(&display, Some(&primary_selection), is_privileged),
            primary_selection,
            _others: (
                XdgDecorationState::new::<Self>(&display),
                ViewporterState::new::<Self>(&display),
                OutputManagerState::new_with_xdg_output::<Self>(&display),
                CursorShapeManagerState::new::<Self>(&display),
                PresentationState::new::<Self>(&display, CLOCK),
                IdleInhibitManagerState::new::<Self>(&display),
            ),
            activation: XdgActivationState::new::<Self>(&display),
            idleness: Idleness::new(&display),
            typing: Typing::new(&display),
            motions: Motions::new(&display),
            display,
            seats,
            seat,
            popups: PopupManager::default(),
            grabs: Vec::new(),
            toplevels: BTreeMap::new(),
            next: 1,
            pointer: Pointer::default(),
            over: None,
            focused: None,
            presses: VecDeque::new(),
            pressed: 0,
            told_last: None,
            wakeful: Vec::new(),
            down: Vec::new(),
            captures: Captures::default(),
            listings: Listings::default(),
            guest_lists: GuestLists::default(),
            events: Vec::new(),
        }
    }

    /// The window that a surface is a part of, itself or by its popup.
    pub(super) fn window_of(&self, surface: &WlSurface) -> Option<ToplevelId> {
        let root = root(surface);
        match self.popups.find_popup(&root) {
            Some(popup) => self.toplevel_of(&find_popup_root_surface(&popup).ok()?),
            None => self.toplevel_of(&root),
        }
    }

    pub(super) fn toplevel_of(&self, root: &WlSurface) -> Option<ToplevelId> {
        self.toplevels.iter().find(|(_, toplevel)| toplevel.surface.wl_surface() == root).map(|(id, _)| *id)
    }

    /// Something of a window was committed.
    fn committed(&mut self, id: ToplevelId) {
        let Some(toplevel) = self.toplevels.get_mut(&id) else { return };
        let is_layer = toplevel.surface.layer().is_some();
        if is_layer {
            self.arrange();
        }
        let Some(toplevel) = self.toplevels.get_mut(&id) else { return };
        let root = toplevel.surface.wl_surface();
        if !toplevel.surface.is_initial_configure_sent() {
            toplevel.surface.send_configure();
            toplevel.standing.answer = false;
        }
        if !surface::is_mapped(root) {
            surface::take_callbacks(root, &mut toplevel.in_frame);
            done(&mut toplevel.in_frame, 0);
            feedback::discard(toplevel.feedback.drain(..));
            if toplevel.picture.take().is_some() {
                toplevel.set_region(None);
                toplevel.surface.reset();
                self.events.push(Event::Unmapped(id));
                self.arrange();
            }
            return;
        }
        toplevel.waits = true;
        let picture = surface::compose(root);
        match &toplevel.surface {
            Role::Layer(_) => return self.layer_committed(id, picture),
            Role::Lock(_) => return self.lock_committed(id, picture),
            Role::Window(_) => {}
        }
        let event = match &toplevel.picture {
            Some(before) if **before == picture => return,
            Some(_) => |window, picture| Event::Picture { window, picture },
            None => |window, picture| Event::Mapped { window, picture },
        };
        let picture = Rc::new(picture);
        let new = toplevel.picture.replace(Rc::clone(&picture)).is_none();
        let whole = new && toplevel.standing.wants_whole();
        let (activate, window) = (std::mem::take(&mut toplevel.activate), toplevel.surface.layer().is_none());
        let client = toplevel.surface.wl_surface().client().filter(|_| new && window);
        let expected = client.is_some_and(|client| self.is_expected(&client));
        self.events.push(event(id, picture));
        self.events.extend(whole.then_some(Event::Whole { window: id, whole }));
        if activate {
            self.events.push(Event::Activate(id));
        } else if expected {
            self.events.push(Event::Expected(id));
        }
    }

    /// A surface has got its role.
    pub(super) fn add(&mut self, surface: Role) {
        let id = ToplevelId(self.next);
        self.next += 1;
        let standing = Standing::default();
        let (in_frame, feedback) = (Vec::new(), Vec::new());
        let toplevel = Toplevel {
            surface,
            picture: None,
            waits: false,
            paced: false,
            in_frame,
            feedback,
            standing,
            activate: false,
        };
        self.toplevels.insert(id, toplevel);
    }

    /// A surface has its role no longer.
    pub(super) fn forget(&mut self, id: ToplevelId) {
        let Some(toplevel) = self.toplevels.remove(&id) else { return };
        feedback::discard(toplevel.feedback);
        if toplevel.picture.is_some() {
            self.events.push(Event::Unmapped(id));
        }
    }

    /// What a window is called, and by whom, in its own words.
    pub(super) fn names(&self, id: ToplevelId) -> (String, String) {
        let Some(toplevel) = self.toplevels.get(&id) else { return Default::default() };
        if let Some(layer) = toplevel.surface.layer() {
            return (layer.namespace.clone(), String::new());
        }
        with_states(toplevel.surface.wl_surface(), |states| {
            let data = states.data_map.get::<XdgToplevelSurfaceData>().and_then(|data| data.lock().ok());
            data.map(|data| (data.title.clone().unwrap_or_default(), data.app_id.clone().unwrap_or_default()))
        })
        .unwrap_or_default()
    }

    fn renamed(&mut self, surface: &ToplevelSurface) {
        if let Some(id) = self.toplevel_of(surface.wl_surface()) {
            self.events.push(Event::Renamed(id));
        }
    }
}

/// The surface that a subsurface belongs to in the end.
pub(super) fn root(surface: &WlSurface) -> WlSurface {
    let mut root = surface.clone();
    while let Some(parent) = get_parent(&root) {
        root = parent;
    }
    root
}

/// Tells a client that what it has committed is shown.
pub(super) fn done(callbacks: &mut Vec<WlCallback>, time: u32) {
    callbacks.drain(..).for_each(|callback| callback.done(time));
}

impl CompositorHandler for Server {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.compositor
    }

    #[allow(clippy::expect_used, reason = "each client is inserted with this data, in one place")]
    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        &client.get_data::<ClientState>().expect("a client of ours").compositor
    }

    fn commit(&mut self, surface: &WlSurface) {
        // What a synchronised subsurface commits takes effect with its parent's commit.
        if is_sync_subsurface(surface) {
            return;
        }
        surface::take_buffers(surface);
        let asked = feedback::take(surface);
        self.popups.commit(surface);
        let mut root = root(surface);
        if let Some(popup) = self.popups.find_popup(&root) {
            if let PopupKind::Xdg(popup) = &popup
                && !popup.is_initial_configure_sent()
                && let Err(error) = popup.send_configure()
            {
                tracing::debug!(%error, "a popup could not be configured");
            }
            let Ok(window) = find_popup_root_surface(&popup) else { return feedback::discard(asked) };
            root = window;
        }
        match self.toplevel_of(&root) {
            Some(id) => {
                if let Some(toplevel) = self.toplevels.get_mut(&id) {
                    toplevel.replace_feedback(surface, asked);
                }
                self.committed(id);
                self.point_again(id);
            }
            None if self.cursor_committed(&root) => feedback::discard(asked),
            // An icon that is dragged: not shown yet.
            None => {
                feedback::discard(asked);
                let mut callbacks = Vec::new();
                surface::take_callbacks(surface, &mut callbacks);
                done(&mut callbacks, 0);
            }
        }
    }
}

impl XdgShellHandler for Server {
    fn xdg_shell_state(&mut self) -> &mut XdgShellState {
        &mut self.shell
    }

    fn new_toplevel(&mut self, surface: ToplevelSurface) {
        self.add(Role::Window(surface));
    }

    fn toplevel_destroyed(&mut self, surface: ToplevelSurface) {
        if let Some(id) = self.toplevel_of(surface.wl_surface()) {
            self.forget(id);
        }
    }

    fn title_changed(&mut self, surface: ToplevelSurface) {
        self.renamed(&surface);
    }

    fn app_id_changed(&mut self, surface: ToplevelSurface) {
        self.renamed(&surface);
    }

    fn move_request(&mut self, surface: ToplevelSurface, _seat: WlSeat, serial: Serial) {
        self.wants_hold(&surface, serial, Edges::default());
    }

    fn resize_request(&mut self, surface: ToplevelSurface, _seat: WlSeat, serial: Serial, edges: ResizeEdge) {
        match wishes::edges(edges) {
            edges if edges == Edges::default() => tracing::debug!("a client would resize no edge of its window"),
            edges => self.wants_hold(&surface, serial, edges),
        }
    }

    fn maximize_request(&mut self, surface: ToplevelSurface) {
        self.wants(&surface, |standing| standing.maximised = true);
    }

    fn unmaximize_request(&mut self, surface: ToplevelSurface) {
        self.wants(&surface, |standing| standing.maximised = false);
    }

    fn fullscreen_request(&mut self, surface: ToplevelSurface, _output: Option<WlOutput>) {
        self.wants(&surface, |standing| standing.full_screen = true);
    }

    fn unfullscreen_request(&mut self, surface: ToplevelSurface) {
        self.wants(&surface, |standing| standing.full_screen = false);
    }

    fn minimize_request(&mut self, surface: ToplevelSurface) {
        self.wants_minimised(&surface);
    }

    fn new_popup(&mut self, surface: PopupSurface, positioner: PositionerState) {
        place_popup(&surface, positioner);
        if let Err(error) = self.popups.track_popup(PopupKind::Xdg(surface)) {
            tracing::debug!(%error, "a popup of a surface that is gone");
        }
    }

    fn reposition_request(&mut self, surface: PopupSurface, positioner: PositionerState, token: u32) {
        place_popup(&surface, positioner);
        surface.send_repositioned(token);
    }

    fn popup_destroyed(&mut self, surface: PopupSurface) {
        self.grabs.retain(|popup| *popup != surface);
        let root = find_popup_root_surface(&PopupKind::Xdg(surface)).ok();
        if let Some(id) = root.and_then(|root| self.toplevel_of(&root)) {
            self.popups.cleanup();
            self.committed(id);
            self.point_again(id);
            self.focus_within();
        }
    }

    fn grab(&mut self, surface: PopupSurface, _seat: WlSeat, _serial: Serial) {
        self.grabs.push(surface);
        self.focus_within();
    }
}

/// A popup is put where its window's content is: it can lie over nothing else, and so over no label.
pub(super) fn place_popup(popup: &PopupSurface, positioner: PositionerState) {
    let parent = PopupKind::Xdg(popup.clone());
    let within = find_popup_root_surface(&parent).ok().map(|root| {
        let size = surface::geometry(&root).size;
        let offset = smithay::desktop::get_popup_toplevel_coords(&parent);
        smithay::utils::Rectangle::new((-offset.x, -offset.y).into(), size)
    });
    popup.with_pending_state(|state| {
        state.geometry =
            within.map_or_else(|| positioner.get_geometry(), |within| positioner.get_unconstrained_geometry(within));
        state.positioner = positioner;
    });
}

impl SeatHandler for Server {
    type KeyboardFocus = WlSurface;
    type PointerFocus = WlSurface;
    type TouchFocus = WlSurface;

    fn seat_state(&mut self) -> &mut SeatState<Self> {
        &mut self.seats
    }

    fn focus_changed(&mut self, seat: &Seat<Self>, focused: Option<&WlSurface>) {
        let client = focused.and_then(Resource::client);
        set_data_device_focus(&self.display, seat, client.clone());
        set_primary_focus(&self.display, seat, client);
        // A popup of it may have the keyboard, too.
        let active = focused.and_then(|surface| self.window_of(surface));
        for (id, toplevel) in &self.toplevels {
            toplevel.surface.set_states([(ToplevelFlag::Activated, active == Some(*id))]);
        }
    }

    fn cursor_image(&mut self, _seat: &Seat<Self>, image: CursorImageStatus) {
        self.set_cursor(image);
    }
}

/// Of tablets nothing is told.
impl TabletSeatHandler for Server {}

impl SelectionHandler for Server {
    type SelectionUserData = ();
}

impl DataDeviceHandler for Server {
    fn data_device_state(&self) -> &DataDeviceState {
        &self.data_device
    }
}

impl ClientDndGrabHandler for Server {}
impl ServerDndGrabHandler for Server {}

impl PrimarySelectionHandler for Server {
    fn primary_selection_state(&self) -> &PrimarySelectionState {
        &self.primary_selection
    }
}

impl BufferHandler for Server {
    /// Pixels were copied, so nothing is lost.
    fn buffer_destroyed(&mut self, _buffer: &WlBuffer) {}
}

impl ShmHandler for Server {
    fn shm_state(&self) -> &ShmState {
        &self.shm
    }
}

impl OutputHandler for Server {}

delegate_compositor!(Server);
delegate_cursor_shape!(Server);
delegate_data_device!(Server);
delegate_output!(Server);
delegate_presentation!(Server);
delegate_primary_selection!(Server);
delegate_seat!(Server);
delegate_shm!(Server);
delegate_viewporter!(Server);
delegate_xdg_shell!(Server);

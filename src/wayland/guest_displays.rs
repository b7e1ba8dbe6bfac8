// SPDX-License-Identifier: GPL-3.0-or-later
//! Guests' displays for privileged shells and panels, by our own protocol
//! (`protocols/wayland/grantway-guest-displays-v1.xml`): whose they are, how they are shown, and a small picture of each
//! where the configuration allows that.

use std::collections::BTreeMap;

use smithay::output::Output;
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::privilege::is_privileged;
use super::protocol::grantway_guest_display_v1::{self as display, GrantwayGuestDisplayV1, State};
use super::protocol::grantway_guest_displays_v1::{self as list, GrantwayGuestDisplaysV1};
use super::protocol::grantway_thumbnail_v1::{self as thumbnail, GrantwayThumbnailV1};
use super::server::Server;
use super::{Event, ListedId, Wish, shm, thumbnail::fitted};
use crate::backend::OutputId;
use crate::scene::element::{Color, Pixmap};

/// Lists at once; a further one is told that it is finished.
const MOST: usize = 32;

/// The longest side of a thumbnail, in pixels.
const LONGEST: u32 = 512;

/// A guest's display as the list shows it. What stays the same as long as it is there comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestDisplay {
    /// What the guest is called.
    pub name: String,
    /// Its domain's number.
    pub domid: u16,
    /// The connector's number, from 0.
    pub connector: u32,
    /// What the frame says.
    pub label: String,
    /// The colour of the frame.
    pub color: Color,
    /// The size of its picture, in the guest's pixels.
    pub size: (u32, u32),
    /// How it is now.
    pub standing: GuestStanding,
    /// The output that it is on.
    pub output: Option<OutputId>,
}

/// How a guest's display is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is true or not by itself")]
pub struct GuestStanding {
    /// It has the keyboard.
    pub focused: bool,
    /// It is off the screen.
    pub minimised: bool,
    /// It has all of its output, within its frame.
    pub maximised: bool,
    /// It has all of its output, without a frame.
    pub full_screen: bool,
    /// The guest shows nothing.
    pub blank: bool,
    /// The guest is gone.
    pub stopped: bool,
}

impl GuestStanding {
    fn bits(self) -> State {
        let all = [
            (self.focused, State::Focused),
            (self.minimised, State::Minimised),
            (self.maximised, State::Maximised),
            (self.full_screen, State::FullScreen),
            (self.blank, State::Blank),
            (self.stopped, State::Stopped),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, state)| state).collect()
    }
}

/// Why there is no small picture of a guest's display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoThumbnail {
    /// The configuration does not allow it.
    NotPermitted,
    /// The guest shows nothing, or is gone.
    NoPicture,
    /// The session is locked, or secure attention is shown.
    Hidden,
    /// It can't be read.
    Failed,
}

/// A small picture that a client waits for.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    object: GrantwayThumbnailV1,
    buffer: WlBuffer,
    size: (u32, u32),
}

impl Thumbnail {
    /// Hands the guest's picture over, made smaller, or says why there is none.
    pub fn answer(self, picture: Result<&Pixmap, NoThumbnail>) {
        let reason = match picture {
            Ok(picture) => match self.write(picture) {
                Ok(()) => return,
                Err(why) => {
                    tracing::debug!("a thumbnail can't be had: {why}");
                    NoThumbnail::Failed
                }
            },
            Err(reason) => reason,
        };
        self.object.failed(match reason {
            NoThumbnail::NotPermitted => thumbnail::Reason::NotPermitted,
            NoThumbnail::NoPicture => thumbnail::Reason::NoPicture,
            NoThumbnail::Hidden => thumbnail::Reason::Hidden,
            NoThumbnail::Failed => thumbnail::Reason::Failed,
        });
    }

    fn write(&self, picture: &Pixmap) -> Result<(), String> {
        let (small, (x, y, width, height)) = fitted(picture, self.size).ok_or("the picture is empty")?;
        if !self.buffer.is_alive() {
            return Err("its buffer is gone".to_owned());
        }
        shm::write(&self.buffer, &small)?;
        self.object.ready(x, y, width, height);
        Ok(())
    }
}

/// The lists that clients have.
#[derive(Debug, Default)]
pub(super) struct GuestLists(Vec<List>);

#[derive(Debug)]
struct List {
    object: GrantwayGuestDisplaysV1,
    displays: BTreeMap<ListedId, Entry>,
}

/// A display in one client's list, and what the client knows of it.
#[derive(Debug)]
struct Entry {
    object: GrantwayGuestDisplayV1,
    told: GuestDisplay,
}

/// Offers the protocol, to those who may see it.
pub(super) fn announce(display: &DisplayHandle) {
    display.create_global::<Server, GrantwayGuestDisplaysV1, ()>(1, ());
}

impl GuestLists {
    /// Whether anybody has a list.
    pub(super) const fn is_wanted(&self) -> bool {
        !self.0.is_empty()
    }

    /// Tells everybody what has changed since the last call.
    pub(super) fn update(
        &mut self,
        display: &DisplayHandle,
        guests: &BTreeMap<ListedId, GuestDisplay>,
        output: impl Fn(OutputId) -> Option<Output>,
    ) {
        for list in &mut self.0 {
            list.displays.retain(|id, entry| {
                let there = guests.get(id).is_some_and(|guest| entry.is_of(guest));
                if !there {
                    entry.object.gone();
                }
                there
            });
            for (id, guest) in guests {
                list.tell(display, *id, guest, &output);
            }
        }
    }

    fn remove(&mut self, object: &GrantwayGuestDisplaysV1) {
        self.0.retain(|list| list.object != *object);
    }
}

impl List {
    fn tell(
        &mut self,
        display: &DisplayHandle,
        id: ListedId,
        guest: &GuestDisplay,
        output: impl Fn(OutputId) -> Option<Output>,
    ) {
        match self.displays.get_mut(&id) {
            Some(entry) => entry.tell(guest, output),
            None => self.displays.extend(self.introduce(display, id, guest, output).map(|entry| (id, entry))),
        }
    }

    fn introduce(
        &self,
        display: &DisplayHandle,
        id: ListedId,
        guest: &GuestDisplay,
        output: impl Fn(OutputId) -> Option<Output>,
    ) -> Option<Entry> {
        let client = self.object.client()?;
        let version = self.object.version();
        let created = client.create_resource::<GrantwayGuestDisplayV1, _, Server>(display, version, id);
        let object = created.map_err(|error| tracing::debug!("a guest's display can't be listed: {error}")).ok()?;
        self.object.display(&object);
        object.guest(guest.name.clone(), u32::from(guest.domid), guest.connector);
        let Color { red, green, blue } = guest.color;
        object.label(guest.label.clone(), u32::from_be_bytes([0, red, green, blue]));
        object.size(guest.size.0, guest.size.1);
        object.state(guest.standing.bits());
        let entry = Entry { object, told: guest.clone() };
        entry.each_output(guest.output.and_then(output), GrantwayGuestDisplayV1::output_enter);
        entry.object.done();
        Some(entry)
    }
}

impl Entry {
    /// Whether it is the same guest's, whose name and label are told once.
    fn is_of(&self, guest: &GuestDisplay) -> bool {
        let fixed = |guest: &GuestDisplay| (guest.domid, guest.connector, guest.color);
        let told = &self.told;
        fixed(told) == fixed(guest) && told.name == guest.name && told.label == guest.label
    }

    fn tell(&mut self, guest: &GuestDisplay, output: impl Fn(OutputId) -> Option<Output>) {
        if self.told == *guest {
            return;
        }
        let (object, told) = (&self.object, &self.told);
        if told.size != guest.size {
            object.size(guest.size.0, guest.size.1);
        }
        if told.standing != guest.standing {
            object.state(guest.standing.bits());
        }
        if told.output != guest.output {
            self.each_output(told.output.and_then(&output), GrantwayGuestDisplayV1::output_leave);
            self.each_output(guest.output.and_then(&output), GrantwayGuestDisplayV1::output_enter);
        }
        object.done();
        self.told = guest.clone();
    }

    /// A client may have bound an output more than once.
    fn each_output(&self, output: Option<Output>, tell: impl Fn(&GrantwayGuestDisplayV1, &WlOutput)) {
        if let (Some(output), Some(client)) = (output, self.object.client()) {
            output.client_outputs(&client).for_each(|output| tell(&self.object, &output));
        }
    }
}

impl Server {
    fn want_thumbnail(&mut self, window: ListedId, object: GrantwayThumbnailV1, buffer: WlBuffer) {
        match shm::size(&buffer) {
            Ok((width, height)) if width.max(height) <= LONGEST => {
                let thumbnail = Thumbnail { object, buffer, size: (width, height) };
                self.events.push(Event::Thumbnail { window, thumbnail });
            }
            Ok((width, height)) => object.post_error(
                thumbnail::Error::InvalidBuffer,
                format!("a thumbnail of {width}x{height} pixels: {LONGEST} a side is the most"),
            ),
            Err(why) => object.post_error(thumbnail::Error::InvalidBuffer, why),
        }
    }
}

impl GlobalDispatch<GrantwayGuestDisplaysV1, ()> for Server {
    fn bind(
        state: &mut Self,
        _display: &DisplayHandle,
        _client: &Client,
        resource: New<GrantwayGuestDisplaysV1>,
        _data: &(),
        init: &mut DataInit<'_, Self>,
    ) {
        let object = init.init(resource, ());
        if state.guest_lists.0.len() >= MOST {
            return object.finished();
        }
        state.guest_lists.0.push(List { object, displays: BTreeMap::new() });
    }

    fn can_view(client: Client, _data: &()) -> bool {
        is_privileged(&client)
    }
}

impl Dispatch<GrantwayGuestDisplaysV1, ()> for Server {
    fn request(
        state: &mut Self,
        _client: &Client,
        resource: &GrantwayGuestDisplaysV1,
        request: list::Request,
        _data: &(),
        _display: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
        match request {
            list::Request::Stop => {
                state.guest_lists.remove(resource);
                resource.finished();
            }
        }
    }

    fn destroyed(state: &mut Self, _client: ClientId, resource: &GrantwayGuestDisplaysV1, _data: &()) {
        state.guest_lists.remove(resource);
    }
}

impl Dispatch<GrantwayGuestDisplayV1, ListedId> for Server {
    fn request(
        state: &mut Self,
        _client: &Client,
        _resource: &GrantwayGuestDisplayV1,
        request: display::Request,
        id: &ListedId,
        _display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let output = |output: WlOutput| Output::from_resource(&output)?.user_data().get::<OutputId>().copied();
        let wishes = match request {
            display::Request::Focus => [Some(Wish::Activate), None],
            display::Request::Minimise => [Some(Wish::Minimise(true)), None],
            display::Request::Restore => [Some(Wish::Minimise(false)), None],
            display::Request::Maximise => [Some(Wish::Maximise(true)), None],
            display::Request::Unmaximise => [Some(Wish::Maximise(false)), None],
            display::Request::FullScreen { output: on } => {
                [on.and_then(output).map(Wish::Output), Some(Wish::FullScreen(true))]
            }
            display::Request::LeaveFullScreen => [Some(Wish::FullScreen(false)), None],
            display::Request::MoveToOutput { output: to } => [output(to).map(Wish::Output), None],
            display::Request::Thumbnail { thumbnail, buffer } => {
                let object = init.init(thumbnail, ());
                return state.want_thumbnail(*id, object, buffer);
            }
            display::Request::Destroy => [None, None],
        };
        state.events.extend(wishes.into_iter().flatten().map(|wish| Event::Wish { window: *id, wish }));
    }

    fn destroyed(state: &mut Self, _client: ClientId, resource: &GrantwayGuestDisplayV1, id: &ListedId) {
        for list in &mut state.guest_lists.0 {
            if list.displays.get(id).is_some_and(|entry| entry.object == *resource) {
                list.displays.remove(id);
            }
        }
    }
}

impl Dispatch<GrantwayThumbnailV1, ()> for Server {
    fn request(
        _state: &mut Self,
        _client: &Client,
        _resource: &GrantwayThumbnailV1,
        request: thumbnail::Request,
        _data: &(),
        _display: &DisplayHandle,
        _init: &mut DataInit<'_, Self>,
    ) {
        match request {
            thumbnail::Request::Destroy => {}
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Privileged clients that type (`virtual-keyboard-unstable-v1`): what they type is told to the client with the
//! keyboard, with their own keymap, and to nobody else. No guest hears of it, and no chord comes of it
//! (docs/decisions/0023-what-clients-type.md).
//!
//! Smithay's own state maps the memory that a client hands over, which that can take away again; here it is read.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use smithay::input::keyboard::{KeymapFile, xkb};
use smithay::reexports::wayland_protocols_misc::zwp_virtual_keyboard_v1::server::zwp_virtual_keyboard_manager_v1::{
    self as manager, ZwpVirtualKeyboardManagerV1,
};
use smithay::reexports::wayland_protocols_misc::zwp_virtual_keyboard_v1::server::zwp_virtual_keyboard_v1::{
    Error, Request, ZwpVirtualKeyboardV1,
};
use smithay::reexports::wayland_server::backend::ClientId;
use smithay::reexports::wayland_server::protocol::wl_keyboard::{KeyState, KeymapFormat, WlKeyboard};
use smithay::reexports::wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};
use smithay::utils::SERIAL_COUNTER;

use super::Wayland;
use super::privilege::is_privileged;
use super::seat::KeyboardLayout;
use super::server::Server;

/// Keyboards for one client; more type nothing.
const MOST: usize = 8;

/// The longest keymap that is taken, in bytes; a layout with all of its symbols has some sixty thousand.
const LONGEST_KEYMAP: usize = 1 << 20;

/// Linux's first code that is no key.
const KEY_CODES: std::ops::Range<u32> = 1..0x300;

/// A keyboard that a client types on.
#[derive(Debug)]
struct VirtualKeyboard {
    object: ZwpVirtualKeyboardV1,
    keymap: Option<KeymapFile>,
    /// Keys that were told to be down.
    held: BTreeSet<u32>,
}

/// What is typed.
#[derive(Clone, Copy, Debug)]
enum Typed {
    Key { time: u32, code: u32, pressed: bool },
    Modifiers { depressed: u32, latched: u32, locked: u32, group: u32 },
}

impl VirtualKeyboard {
    /// Whether this is news for whoever is told.
    fn note(&mut self, typed: Typed) -> bool {
        match typed {
            Typed::Key { code, pressed: true, .. } => self.held.insert(code),
            Typed::Key { code, pressed: false, .. } => self.held.remove(&code),
            Typed::Modifiers { .. } => true,
        }
    }
}

impl Typed {
    fn tell(self, keyboard: &WlKeyboard) {
        let serial = SERIAL_COUNTER.next_serial().into();
        match self {
            Self::Key { time, code, pressed } => {
                let state = if pressed { KeyState::Pressed } else { KeyState::Released };
                keyboard.key(serial, time, code, state);
            }
            Self::Modifiers { depressed, latched, locked, group } => {
                keyboard.modifiers(serial, depressed, latched, locked, group);
            }
        }
    }
}

/// Who was told what is typed last: it has that keyboard's keymap.
#[derive(Debug)]
struct Told {
    keyboard: ZwpVirtualKeyboardV1,
    client: Client,
}

/// What clients type.
#[derive(Debug, Default)]
pub(super) struct Typing {
    keyboards: Vec<VirtualKeyboard>,
    /// Dom0's own layout, which a client has again afterwards.
    layout: Option<KeymapFile>,
    told: Option<Told>,
    /// A client's window has the keyboard, and may be told.
    allowed: bool,
}

impl Typing {
    /// Offers the protocol, to those who may see it.
    pub(super) fn new(display: &DisplayHandle) -> Self {
        display.create_global::<Server, ZwpVirtualKeyboardManagerV1, ()>(1, ());
        Self::default()
    }

    pub(super) fn set_layout(&mut self, KeyboardLayout { layout, variant, options }: &KeyboardLayout) {
        let options = Some(options.clone()).filter(|options| !options.is_empty());
        let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
        let keymap = xkb::Keymap::new_from_names(&context(), "", "", layout, variant, options, flags);
        self.layout = keymap.map(|keymap| KeymapFile::new(&keymap));
    }

    fn get_mut(&mut self, object: &ZwpVirtualKeyboardV1) -> Option<&mut VirtualKeyboard> {
        self.keyboards.iter_mut().find(|keyboard| keyboard.object == *object)
    }
}

impl Wayland {
    /// Whether clients may type, for the client's window that has the keyboard.
    pub fn let_type(&mut self, allowed: bool) {
        if !allowed {
            self.server.stop_typing();
        }
        self.server.typing.allowed = allowed;
    }
}

impl Server {
    /// The client with the keyboard, and by what it is told of keys.
    fn typed_into(&self) -> Option<(Client, Vec<WlKeyboard>)> {
        let keyboard = self.seat.get_keyboard()?;
        let client = keyboard.current_focus()?.client()?;
        let theirs = keyboard.client_keyboards(&client).collect();
        Some((client, theirs))
    }

    /// Whoever was told of what a client types has Dom0's own keyboard again, with nothing of the other one's held.
    pub(super) fn stop_typing(&mut self) {
        let Some(Told { keyboard, client }) = self.typing.told.take() else { return };
        let held = self.typing.get_mut(&keyboard).map(|keyboard| std::mem::take(&mut keyboard.held));
        let Some(seat) = self.seat.get_keyboard() else { return };
        let has_focus = seat.current_focus().and_then(|surface| surface.client()) == Some(client.clone());
        let now = seat.modifier_state().serialized;
        let (depressed, latched, locked, group) = (now.depressed, now.latched, now.locked, now.layout_effective);
        let modifiers = Typed::Modifiers { depressed, latched, locked, group };
        let theirs: Vec<WlKeyboard> = seat.client_keyboards(&client).collect();
        let released = held.into_iter().flatten().map(|code| Typed::Key { time: 0, code, pressed: false });
        let released: Vec<Typed> = released.filter(|_| has_focus).collect();
        for one in &theirs {
            released.iter().for_each(|released| released.tell(one));
            send_keymap(self.typing.layout.as_ref(), one);
            if has_focus {
                modifiers.tell(one);
            }
        }
    }

    /// Tells the client with the keyboard something that is typed, once it has the keymap for that.
    fn typed(&mut self, object: &ZwpVirtualKeyboardV1, typed: Typed) {
        match self.typing.get_mut(object) {
            Some(keyboard) if keyboard.keymap.is_some() => {}
            Some(_) => return object.post_error(Error::NoKeymap, "keys before a keymap"),
            None => return,
        }
        let Some((client, theirs)) = self.typed_into().filter(|_| self.typing.allowed) else { return };
        let knows = self.typing.told.as_ref().is_some_and(|told| told.keyboard == *object && told.client == client);
        if !knows {
            self.stop_typing();
        }
        let Some(keyboard) = self.typing.get_mut(object).filter(|_| !theirs.is_empty()) else { return };
        if !knows {
            theirs.iter().for_each(|one| send_keymap(keyboard.keymap.as_ref(), one));
        }
        if keyboard.note(typed) {
            theirs.iter().for_each(|one| typed.tell(one));
        }
        self.typing.told = Some(Told { keyboard: object.clone(), client });
    }
}

fn context() -> xkb::Context {
    let mut context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
    // It would print what a client has sent to standard error.
    context.set_log_level(xkb::LogLevel::Critical);
    context
}

fn send_keymap(keymap: Option<&KeymapFile>, keyboard: &WlKeyboard) {
    if let Some(Err(error)) = keymap.map(|keymap| keymap.send(keyboard)) {
        tracing::warn!("a keymap can't be handed to a client: {error}");
    }
}

/// Reads a keymap. The file may be shorter than its client says, and may change meanwhile.
fn read_keymap(fd: OwnedFd, size: u32) -> Result<KeymapFile, String> {
    let size = usize::try_from(size).ok().filter(|size| *size <= LONGEST_KEYMAP).ok_or("it is too long")?;
    let file = File::from(fd);
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is in no file".to_owned());
    }
    let mut text = vec![0; size];
    file.read_exact_at(&mut text, 0).map_err(|error| error.to_string())?;
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    let (format, flags) = (xkb::KEYMAP_FORMAT_TEXT_V1, xkb::KEYMAP_COMPILE_NO_FLAGS);
    let keymap = xkb::Keymap::new_from_string(&context(), text, format, flags).ok_or("xkb does not understand it")?;
    Ok(KeymapFile::new(&keymap))
}

impl GlobalDispatch<ZwpVirtualKeyboardManagerV1, ()> for Server {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        manager: New<ZwpVirtualKeyboardManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(manager, ());
    }

    fn can_view(client: Client, (): &()) -> bool {
        is_privileged(&client)
    }
}

impl Dispatch<ZwpVirtualKeyboardManagerV1, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &ZwpVirtualKeyboardManagerV1,
        request: manager::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let manager::Request::CreateVirtualKeyboard { id, .. } = request else { return };
        let object = init.init(id, ());
        let keyboards = &mut state.typing.keyboards;
        let theirs = keyboards.iter().filter(|other| other.object.id().same_client_as(&object.id()));
        if theirs.count() >= MOST {
            return tracing::debug!("a client has too many keyboards");
        }
        keyboards.push(VirtualKeyboard { object, keymap: None, held: BTreeSet::new() });
    }
}

impl Dispatch<ZwpVirtualKeyboardV1, ()> for Server {
    fn request(
        state: &mut Self,
        _: &Client,
        object: &ZwpVirtualKeyboardV1,
        request: Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        match request {
            Request::Keymap { format, fd, size } if format == u32::from(KeymapFormat::XkbV1) => {
                if state.typing.told.as_ref().is_some_and(|told| told.keyboard == *object) {
                    state.stop_typing();
                }
                let Some(keyboard) = state.typing.get_mut(object) else { return };
                match read_keymap(fd, size) {
                    Ok(keymap) => keyboard.keymap = Some(keymap),
                    Err(why) => tracing::debug!("a client's keymap is not taken: {why}"),
                }
            }
            Request::Key { time, key, state: down } if KEY_CODES.contains(&key) => {
                let pressed = down == u32::from(KeyState::Pressed);
                state.typed(object, Typed::Key { time, code: key, pressed });
            }
            Request::Modifiers { mods_depressed: depressed, mods_latched: latched, mods_locked: locked, group } => {
                state.typed(object, Typed::Modifiers { depressed, latched, locked, group });
            }
            Request::Keymap { .. } | Request::Key { .. } | Request::Destroy | _ => {}
        }
    }

    fn destroyed(state: &mut Self, _: ClientId, object: &ZwpVirtualKeyboardV1, (): &()) {
        if state.typing.told.as_ref().is_some_and(|told| told.keyboard == *object) {
            state.stop_typing();
        }
        state.typing.keyboards.retain(|keyboard| keyboard.object != *object);
    }
}

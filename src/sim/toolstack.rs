// SPDX-License-Identifier: GPL-3.0-or-later
//! What `xl` and libxl write into xenstore for a guest, and what they do when it is gone.

mod vkb;

use super::xenstored::{Admin, Right, Xenstored};
use crate::xen::DomId;
use vkb::Vkb;

/// A display device, as a guest's configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vdispl {
    number: u32,
    be_alloc: bool,
    connectors: Vec<(String, String)>,
}

impl Vdispl {
    /// Reads the text between the quotes of `vdispl=['…']`, as in
    /// `backend=0,be-alloc=0,connectors=conn-a:800x600;conn-b:640x480`.
    ///
    /// # Errors
    /// In words, as for the user of `xl`.
    pub(super) fn parse(number: u32, text: &str) -> Result<Self, String> {
        let mut device = Self { number, be_alloc: false, connectors: Vec::new() };
        for item in text.split(',').filter(|item| !item.is_empty()) {
            match item.split_once('=') {
                Some(("backend", "0")) => {}
                Some(("be-alloc", value @ ("0" | "1"))) => device.be_alloc = value == "1",
                Some(("connectors", list)) => {
                    for connector in list.split(';').filter(|connector| !connector.is_empty()) {
                        let (id, size) = connector.split_once(':').ok_or("a connector is written id:WxH")?;
                        device.connectors.push((id.to_owned(), size.to_owned()));
                    }
                }
                _ => return Err(format!("vdispl: {item:?} is not understood")),
            }
        }
        Ok(device)
    }
}

/// A device of any kind.
#[derive(Clone, Debug)]
pub(super) enum Configured {
    Display(Vdispl),
    Input(Vkb),
}

impl Configured {
    /// Reads all devices of a guest: `vkb:` stands before the texts that are not those of displays. Each
    /// kind is numbered from 0.
    ///
    /// # Errors
    /// In words, as for the user of `xl`.
    pub(super) fn parse_all(texts: &[String]) -> Result<Vec<Self>, String> {
        let (mut displays, mut inputs) = (0_u32.., 0_u32..);
        let next = |numbers: &mut std::ops::RangeFrom<u32>| numbers.next().unwrap_or(0);
        let parse = |text: &String| match text.strip_prefix("vkb:") {
            Some(text) => Vkb::parse(next(&mut inputs), text).map(Self::Input),
            None => Vdispl::parse(next(&mut displays), text).map(Self::Display),
        };
        texts.iter().map(parse).collect()
    }

    fn frontend(&self, domid: DomId) -> String {
        let (kind, number) = match self {
            Self::Display(device) => ("vdispl", device.number),
            Self::Input(device) => ("vkbd", device.number),
        };
        format!("/local/domain/{domid}/device/{kind}/{number}")
    }

    fn backends(&self, domid: DomId) -> String {
        let kind = match self {
            Self::Display(_) => "vdispl",
            Self::Input(device) => device.kind,
        };
        format!("/local/domain/0/backend/{kind}/{domid}")
    }

    fn backend(&self, domid: DomId) -> String {
        let number = match self {
            Self::Display(device) => device.number,
            Self::Input(device) => device.number,
        };
        format!("{}/{number}", self.backends(domid))
    }

    fn is_input(&self) -> bool {
        matches!(self, Self::Input(_))
    }

    /// What libxl writes for this kind of device: into the frontend's directory, and into the backend's.
    fn own_keys(&self, front: &mut Vec<(String, String)>, back: &mut Vec<(String, String)>) {
        match self {
            Self::Display(device) => {
                front.push(("be-alloc".to_owned(), u8::from(device.be_alloc).to_string()));
                for (index, (id, size)) in device.connectors.iter().enumerate() {
                    front.push((format!("{index}/resolution"), size.clone()));
                    front.push((format!("{index}/unique-id"), id.clone()));
                }
            }
            Self::Input(device) => back.extend(device.keys.iter().cloned()),
        }
    }
}

/// What has to be undone when a guest goes.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) domid: DomId,
    vm: String,
    devices: Vec<Configured>,
}

impl Registered {
    /// Writes the domain's own directory, and announces the domain.
    pub(super) fn introduce(store: &mut Xenstored, domid: DomId, name: &str, devices: Vec<Configured>) -> Self {
        let home = format!("/local/domain/{domid}");
        let vm = format!("/vm/{}", uuid(name));
        let readable = vec![(DomId(0), Right::None), (domid, Right::Read)];
        let own = vec![(domid, Right::None)];
        let write = |path: String, value: &str| Admin::Write(path, value.to_owned());
        store.admin(vec![
            Admin::Mkdir(vm.clone()),
            Admin::Permit(vm.clone(), readable.clone()),
            write(format!("{vm}/name"), name),
            write(format!("{vm}/uuid"), uuid(name).as_str()),
            Admin::Mkdir(home.clone()),
            Admin::Permit(home.clone(), readable),
            write(format!("{home}/name"), name),
            write(format!("{home}/domid"), &domid.to_string()),
            write(format!("{home}/vm"), &vm),
            write(format!("/libxl/{domid}/type"), "pvh"),
            Admin::Mkdir(format!("{home}/data")),
            Admin::Permit(format!("{home}/data"), own.clone()),
            Admin::Mkdir(format!("{home}/device")),
            Admin::Permit(format!("{home}/device"), own),
        ]);
        store.announce("@introduceDomain");
        Self { domid, vm, devices }
    }

    /// The first step of the devices: backend directories without keys, as a backend may see them.
    pub(super) fn make_directories(&self, store: &mut Xenstored) {
        store.admin(self.devices.iter().map(|device| Admin::Mkdir(device.backend(self.domid))).collect());
    }

    /// The second step: all keys of the input devices, or else of the displays, which come later.
    pub(super) fn write_keys(&self, store: &mut Xenstored, inputs: bool) {
        for device in self.devices.iter().filter(|device| device.is_input() == inputs) {
            let (front, back) = (device.frontend(self.domid), device.backend(self.domid));
            let (mut front_keys, mut back_keys) = (Vec::new(), Vec::new());
            front_keys.push(("backend-id".to_owned(), "0".to_owned()));
            front_keys.push(("backend".to_owned(), back.clone()));
            back_keys.push(("frontend".to_owned(), front.clone()));
            back_keys.push(("frontend-id".to_owned(), self.domid.to_string()));
            back_keys.push(("online".to_owned(), "1".to_owned()));
            device.own_keys(&mut front_keys, &mut back_keys);
            for keys in [&mut front_keys, &mut back_keys] {
                keys.push(("state".to_owned(), "1".to_owned()));
            }
            let shared = vec![(self.domid, Right::None), (DomId(0), Right::Read)];
            let ours = vec![(DomId(0), Right::None), (self.domid, Right::Read)];
            let mut changes = vec![Admin::Mkdir(front.clone()), Admin::Permit(front.clone(), shared)];
            changes.extend(front_keys.into_iter().map(|(key, value)| Admin::Write(format!("{front}/{key}"), value)));
            changes.push(Admin::Permit(back.clone(), ours));
            changes.extend(back_keys.into_iter().map(|(key, value)| Admin::Write(format!("{back}/{key}"), value)));
            store.admin(changes);
        }
    }

    /// Whether there are displays, whose keys come after those of the input devices.
    pub(super) fn has_displays(&self) -> bool {
        self.devices.iter().any(|device| !device.is_input())
    }

    /// The domain is dead: its own directory goes, the backends are told to close, and all hear of it.
    pub(super) fn destroy(&self, store: &mut Xenstored) {
        for device in &self.devices {
            let back = device.backend(self.domid);
            let mut changes = vec![Admin::Remove(device.frontend(self.domid))];
            if !self.closed(store, device) {
                changes.push(Admin::Write(format!("{back}/online"), "0".to_owned()));
                changes.push(Admin::Write(format!("{back}/state"), "5".to_owned()));
            }
            store.admin(changes);
        }
        store.disconnect(self.domid);
        store.announce("@releaseDomain");
        let home = format!("/local/domain/{}", self.domid);
        let own = format!("/libxl/{}", self.domid);
        store.admin(vec![Admin::Remove(home), Admin::Remove(self.vm.clone()), Admin::Remove(own)]);
    }

    fn closed(&self, store: &Xenstored, device: &Configured) -> bool {
        // A directory that somebody else has removed is closed, too.
        matches!(store.value(&format!("{}/state", device.backend(self.domid))).as_deref(), Some("6") | None)
    }

    /// Whether all backends have closed; then their directories are removed.
    pub(super) fn clean_up(&self, store: &mut Xenstored) -> bool {
        let done = self.devices.iter().all(|device| self.closed(store, device));
        if done && !self.devices.is_empty() {
            store.admin(self.devices.iter().map(|device| Admin::Remove(device.backends(self.domid))).collect());
        }
        done
    }
}

/// The same for the same name, so that a guest that is started again keeps its identity.
fn uuid(name: &str) -> String {
    // FNV-1a, 64 bits.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let [a, b, rest @ ..] = hash.to_be_bytes();
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("00000000-0000-4000-8{:01x}{b:02x}-{rest}", a & 0xf)
}

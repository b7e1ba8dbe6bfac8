// SPDX-License-Identifier: GPL-3.0-or-later
//! Who opens the devices, and what the kernel and the session service tell us: everything lands in one inbox.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::dev_t;
use smithay::backend::drm::DrmEventMetadata;
use smithay::backend::session::libseat::LibSeatSession;
use smithay::backend::session::{AsErrno, Event as SessionEvent, Session as _};
use smithay::backend::udev::{all_gpus, primary_gpu};
use smithay::reexports::drm::control::crtc;
use smithay::reexports::input::Device as InputHandle;
use smithay::reexports::rustix::fs::OFlags;
use smithay::reexports::udev::{Event as UdevEvent, EventType, MonitorBuilder};

use super::config::{KmsError, SessionKind};
use crate::backend::input::InputEvent;

/// How long a start waits for its virtual terminal to come to the front.
const ACTIVATION: Duration = Duration::from_secs(5);

/// udevd's door; without it nobody would forward the kernel's events.
const UDEVD: &str = "/run/udev/control";

/// What the inner event loop's sources report.
#[derive(Debug)]
pub(super) enum Notice {
    /// A frame reached the display.
    Flip { device: dev_t, crtc: crtc::Handle, metadata: Option<DrmEventMetadata> },
    /// A device's events could not be read.
    DeviceFailed { device: dev_t, error: String },
    /// A device appeared.
    Added(PathBuf),
    /// Something was plugged into a device, or pulled out.
    Changed(dev_t),
    /// A device is gone.
    Removed(dev_t),
    /// The user did something.
    Input(InputEvent),
    /// A keyboard appeared, with lamps that may have to be lit.
    Keyboard(InputHandle),
    /// The session was switched away (`true`) or is back.
    Paused(bool),
}

/// Filled while the inner loop dispatches.
pub(super) type Inbox = Vec<Notice>;

/// The right to use devices.
#[derive(Debug)]
pub(super) enum Session {
    Libseat(LibSeatSession),
    Direct,
}

impl Session {
    /// Opens the session, and waits a little until it may use devices.
    pub(super) fn open(
        kind: SessionKind,
        event_loop: &mut EventLoop<'static, Inbox>,
        inbox: &mut Inbox,
    ) -> Result<Self, KmsError> {
        match kind {
            SessionKind::Direct => Ok(Self::Direct),
            SessionKind::Libseat => open_seat(event_loop, inbox).map(Self::Libseat),
        }
    }

    /// Opens a device for us.
    pub(super) fn open_device(&mut self, path: &Path) -> Result<OwnedFd, Errno> {
        match self {
            Self::Libseat(session) => session
                .open(path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK)
                .map_err(|error| error.as_errno().map_or(Errno::EIO, Errno::from_raw)),
            Self::Direct => OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits())
                .open(path)
                .map(OwnedFd::from)
                .map_err(|error| Errno::try_from(error).unwrap_or(Errno::EIO)),
        }
    }

    /// Gives a device back.
    pub(super) fn close_device(&mut self, device: OwnedFd) {
        match self {
            Self::Libseat(session) => {
                if let Err(error) = session.close(device) {
                    tracing::debug!(%error, "the session did not take a device back");
                }
            }
            Self::Direct => drop(device),
        }
    }

    /// Whether being DRM master is ours to check: a session service cares for it itself.
    pub(super) const fn checks_master(&self) -> bool {
        matches!(self, Self::Direct)
    }

    /// The seat's display devices, the one that the firmware used first.
    pub(super) fn devices(&self) -> io::Result<Vec<PathBuf>> {
        let seat = match self {
            Self::Libseat(session) => session.seat(),
            Self::Direct => "seat0".to_owned(),
        };
        let first = primary_gpu(&seat)?;
        let mut paths = all_gpus(&seat)?;
        paths.sort_by_key(|path| Some(path) != first.as_ref());
        Ok(paths)
    }
}

fn open_seat(event_loop: &mut EventLoop<'static, Inbox>, inbox: &mut Inbox) -> Result<LibSeatSession, KmsError> {
    let (session, notifier) = LibSeatSession::new().map_err(|error| KmsError::NoSession(error.to_string()))?;
    event_loop
        .handle()
        .insert_source(notifier, |event, (), inbox| {
            inbox.push(Notice::Paused(matches!(event, SessionEvent::PauseSession)));
        })
        .map_err(|error| KmsError::NoSession(error.to_string()))?;
    if !session.is_active() {
        event_loop.dispatch(ACTIVATION, inbox).map_err(|error| KmsError::NoSession(error.to_string()))?;
        // What happened before the start is no news.
        inbox.clear();
    }
    if session.is_active() { Ok(session) } else { Err(KmsError::SessionInactive(ACTIVATION.as_secs())) }
}

/// Watches for devices and displays that come and go.
pub(super) fn watch(handle: &LoopHandle<'static, Inbox>) -> io::Result<()> {
    let monitor = if Path::new(UDEVD).exists() { MonitorBuilder::new() } else { MonitorBuilder::new_kernel() };
    let socket = monitor?.match_subsystem("drm")?.listen()?;
    handle
        .insert_source(Generic::new(socket, Interest::READ, Mode::Level), |_, socket, inbox| {
            inbox.extend(socket.iter().filter_map(|event| notice(&event)));
            Ok(PostAction::Continue)
        })
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(())
}

fn notice(event: &UdevEvent) -> Option<Notice> {
    if !event.sysname().as_encoded_bytes().starts_with(b"card") {
        return None;
    }
    match event.event_type() {
        EventType::Add => event.devnode().map(|path| Notice::Added(path.to_path_buf())),
        EventType::Change => event.devnum().map(Notice::Changed),
        EventType::Remove => event.devnum().map(Notice::Removed),
        EventType::Bind | EventType::Unbind | EventType::Unknown => None,
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest's keyboard, pointer and touch driver. It behaves as Linux's `xen-kbdfront` does: reads the features
//! once, publishes its page without waiting for the backend, goes to Connected when the backend says InitWait or
//! Connected, takes all events of a batch and notifies once, and is closed for good when the backend closes,
//! until that says InitWait.

pub mod view;

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Duration;

use super::front::{Channel, FrontError, Guest, now, wait};
use crate::kbdif::wire::{EVENT, Event};
use crate::xen::GrantRef;
use crate::xen::event_page::Layout;
use crate::xen::front::FrontEvents;
use crate::xen::grants::Access;
use crate::xen::xenbus::XenbusState;
use view::{Devices, Report, View};

/// How many of the last reports are kept.
const LOG: usize = 4096;

/// The page and its channel.
#[derive(Debug)]
struct Published {
    events: FrontEvents<EVENT>,
    channel: Channel,
    frame: u32,
    gref: GrantRef,
}

/// The driver of one input device.
#[derive(Debug)]
pub struct KeyboardFront {
    /// What the guest's programs see.
    pub view: View,
    /// The last reports, oldest first, with the time of each.
    pub log: VecDeque<(Duration, Report)>,
    /// Events taken.
    pub events: u64,
    /// Notifies that came from the backend and brought something.
    pub wakeups: u64,
    /// Why the guest's kernel would have crashed, if it would have.
    pub oops: Option<String>,
    /// The touch screen's axes, 0 to these.
    pub touch_area: Option<(i32, i32)>,
    directory: String,
    backend: String,
    state: XenbusState,
    published: Option<Published>,
}

impl KeyboardFront {
    /// Finds the guest's device `number`, reads its features, publishes a page, and says Initialised. As `xl`
    /// starts a guest only when the backends of all its devices wait for it, this waits for the backend first.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn probe(guest: &mut Guest, number: u32, limit: Duration) -> Result<Self, FrontError> {
        let directory = format!("/local/domain/{}/device/vkbd/{number}", guest.domid());
        let end = now() + limit;
        let mut front = Self {
            view: View::new(Devices { keyboard: true, pointer: true, absolute: None, contacts: 0 }),
            log: VecDeque::new(),
            events: 0,
            wakeups: 0,
            oops: None,
            touch_area: None,
            directory,
            backend: String::new(),
            state: XenbusState::Initialising,
            published: None,
        };
        front.await_toolstack(guest, end)?;
        front.read_features(guest)?;
        front.publish(guest)?;
        front.set_state(guest, XenbusState::Initialised)?;
        Ok(front)
    }

    /// Probes, and waits until both ends are connected.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn connect(guest: &mut Guest, number: u32, limit: Duration) -> Result<Self, FrontError> {
        let end = now() + limit;
        let mut front = Self::probe(guest, number, limit)?;
        front.await_connected(guest, end)?;
        Ok(front)
    }

    /// Waits until both ends are connected.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn await_connected(&mut self, guest: &mut Guest, end: Duration) -> Result<(), FrontError> {
        while self.follow(guest)? != XenbusState::Connected || self.state != XenbusState::Connected {
            self.pause(end, "the input device's backend")?;
        }
        Ok(())
    }

    fn pause(&self, end: Duration, what: &str) -> Result<(), FrontError> {
        if now() >= end {
            return Err(FrontError::TimedOut { what: what.to_owned(), ms: 0 });
        }
        wait(&[], Duration::from_millis(5))?;
        Ok(())
    }

    fn read(guest: &mut Guest, path: &str) -> Result<Option<String>, FrontError> {
        match guest.store().read(path) {
            // Not there yet, or gone with what lies above, which is not for a guest to read.
            Err(FrontError::Store { .. }) => Ok(None),
            other => other,
        }
    }

    fn await_toolstack(&mut self, guest: &mut Guest, end: Duration) -> Result<(), FrontError> {
        let display = format!("/local/domain/{}/device/vdispl/0", guest.domid());
        let mut waiting = vec![display, self.directory.clone()];
        while let Some(directory) = waiting.last() {
            if let Some(backend) = Self::read(guest, &format!("{directory}/backend"))? {
                let state = Self::read(guest, &format!("{backend}/state"))?;
                if !matches!(state.as_deref(), None | Some("1")) {
                    self.backend = if *directory == self.directory { backend } else { self.backend.clone() };
                    waiting.pop();
                    continue;
                }
            } else if *directory != self.directory && !self.backend.is_empty() {
                // The keyboard's keys come before the display's, and there may be no display.
                wait(&[], Duration::from_millis(20))?;
                if Self::read(guest, &format!("{directory}/backend"))?.is_none() {
                    waiting.pop();
                    continue;
                }
            }
            self.pause(end, "the toolstack and the backends")?;
        }
        Ok(())
    }

    fn read_features(&mut self, guest: &mut Guest) -> Result<(), FrontError> {
        let backend = self.backend.clone();
        let mut number = |key: &str, default: i32| -> Result<i32, FrontError> {
            let value = Self::read(guest, &format!("{backend}/{key}"))?;
            Ok(value.and_then(|value| value.parse().ok()).unwrap_or(default))
        };
        let absolute = number("feature-abs-pointer", 0)? != 0;
        let touch = number("feature-multi-touch", 0)? != 0;
        let size = (number("width", 800)?, number("height", 600)?);
        let contacts = if touch { number("multi-touch-num-contacts", 1)? } else { 0 };
        let touch_size = (number("multi-touch-width", 800)?, number("multi-touch-height", 600)?);
        self.touch_area = touch.then_some(touch_size);
        self.view = View::new(Devices {
            keyboard: number("feature-disable-keyboard", 0)? == 0,
            pointer: number("feature-disable-pointer", 0)? == 0,
            absolute: absolute.then_some(size),
            contacts: u8::try_from(contacts).unwrap_or(u8::MAX),
        });
        for (asked, key) in [(absolute, "request-abs-pointer"), (touch, "request-multi-touch")] {
            if asked {
                guest.store().write(&format!("{}/{key}", self.directory), "1")?;
            }
        }
        Ok(())
    }

    /// Makes a page and publishes it.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn publish(&mut self, guest: &mut Guest) -> Result<(), FrontError> {
        let frame = *guest.allocate(1)?.first().ok_or(FrontError::NoRoom("memory"))?;
        let gref = guest.grant(frame, Access::ReadWrite)?;
        let events = FrontEvents::new(guest.view(&[frame])?, Layout::KBDIF, 0)?;
        let channel = guest.offer_channel()?;
        let keys = [
            // The obsolete key: a frame number that means nothing to anybody.
            ("page-ref".to_owned(), "3735928559".to_owned()),
            ("page-gref".to_owned(), gref.to_string()),
            ("event-channel".to_owned(), channel.port.to_string()),
        ];
        guest.store().write_all(&self.directory, &keys)?;
        self.published = Some(Published { events, channel, frame, gref });
        Ok(())
    }

    /// The page that was published last, for a guest that does not keep to the rules.
    #[must_use]
    pub fn page(&self) -> Option<&crate::xen::pages::SharedPages> {
        self.published.as_ref().map(|published| published.events.pages())
    }

    /// Raises the event at the backend, for a guest that does not keep to the rules.
    ///
    /// # Errors
    /// The kernel's.
    pub fn notify(&self) -> Result<(), FrontError> {
        self.published.as_ref().map_or(Ok(()), |published| Ok(published.channel.notify()?))
    }

    /// Revokes the page, as a guest's kernel does that finds its xenbus reset. Returns whether nobody had it
    /// mapped.
    pub fn revoke_page(&mut self, guest: &mut Guest) -> bool {
        let Some(published) = self.published.take() else { return true };
        let revoked = guest.revoke(published.gref);
        if revoked {
            guest.free(&[published.frame]);
        }
        revoked
    }

    /// The device's directory in xenstore.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Writes our state.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn set_state(&mut self, guest: &mut Guest, state: XenbusState) -> Result<(), FrontError> {
        self.state = state;
        let path = format!("{}/state", self.directory);
        guest.store().write(&path, state.as_str())
    }

    /// The backend's state now.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn backend_state(&self, guest: &mut Guest) -> Result<XenbusState, FrontError> {
        let value = Self::read(guest, &format!("{}/state", self.backend))?;
        Ok(value.as_deref().and_then(XenbusState::parse).unwrap_or(XenbusState::Unknown))
    }

    /// Follows the backend's state as Linux does, and returns it.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn follow(&mut self, guest: &mut Guest) -> Result<XenbusState, FrontError> {
        use XenbusState::{Closed, Closing, Connected, InitWait};
        let state = self.backend_state(guest)?;
        // Only InitWait wakes one that has closed.
        let wakes = state == InitWait || (state == Connected && self.state != Closed);
        if wakes && self.state != Connected {
            self.set_state(guest, Connected)?;
        } else if matches!(state, Closing | Closed) && self.state != Closed {
            self.set_state(guest, Closed)?;
        }
        Ok(state)
    }

    /// Takes all events that are there, and notifies the backend once. Returns how many there were.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn take_events(&mut self) -> Result<usize, FrontError> {
        let Some(published) = &mut self.published else { return Ok(0) };
        published.channel.clear();
        let mut count = 0;
        while let Some(packet) = published.events.pop()? {
            count += 1;
            let Some(event) = Event::decode(&packet) else { continue };
            match self.view.take(event) {
                Ok(reports) => {
                    let time = now();
                    self.log.extend(reports.into_iter().map(|report| (time, report)));
                }
                Err(why) => self.oops = Some(why),
            }
        }
        let excess = self.log.len().saturating_sub(LOG);
        self.log.drain(..excess);
        if count > 0 {
            self.events = self.events.saturating_add(u64::try_from(count).unwrap_or(0));
            self.wakeups += 1;
            published.channel.notify()?;
        }
        Ok(count)
    }

    /// Waits for the backend's notify; false when none comes in time.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait_events(&self, limit: Duration) -> Result<bool, FrontError> {
        let Some(published) = &self.published else { return Ok(false) };
        Ok(wait(&[published.channel.as_fd()], limit)?)
    }

    /// Takes events until `done` holds of what the guest sees.
    ///
    /// # Errors
    /// See [`FrontError`].
    pub fn take_until(&mut self, limit: Duration, done: impl Fn(&View) -> bool) -> Result<(), FrontError> {
        let end = now() + limit;
        loop {
            self.take_events()?;
            if done(&self.view) {
                return Ok(());
            }
            if now() >= end {
                let what = format!("input; the guest sees {:?}", self.view);
                return Err(FrontError::TimedOut { what, ms: limit.as_millis() });
            }
            self.wait_events(Duration::from_millis(20))?;
        }
    }

    /// The reports since the last call, as `evtest` would print them.
    pub fn take_log(&mut self) -> Vec<String> {
        self.log.drain(..).map(|(_, report)| report.to_string()).collect()
    }

    /// The channel that tells of events, to wait for it beside others.
    #[must_use]
    pub fn channel_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.published.as_ref().map(|published| published.channel.as_fd())
    }
}

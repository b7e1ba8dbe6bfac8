// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that wait for the user to do nothing.

use std::time::{Duration, Instant};

use grantway::control::InputAction;
use tempfile::TempDir;
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notification_v1::{self, ExtIdleNotificationV1};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notifier_v1::ExtIdleNotifierV1;

use super::desk::Desk;
use super::window::{Told, Window};
use super::{BLUE, Dom0, RED};

delegate_noop!(Told: ignore ExtIdleNotifierV1);

impl Dispatch<ExtIdleNotificationV1, &'static str> for Told {
    fn event(
        told: &mut Self,
        _: &ExtIdleNotificationV1,
        event: ext_idle_notification_v1::Event,
        name: &&'static str,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            ext_idle_notification_v1::Event::Idled => told.note(format!("{name}: idle")),
            ext_idle_notification_v1::Event::Resumed => told.note(format!("{name}: back")),
            _ => {}
        }
    }
}

impl Window {
    fn notifier(&self) -> ExtIdleNotifierV1 {
        self.globals.bind(&self.queue.handle(), 2..=2, ()).unwrap()
    }

    fn when_idle(&mut self, name: &'static str, timeout: u32) -> ExtIdleNotificationV1 {
        let object = self.notifier().get_idle_notification(timeout, &self.seat, &self.queue.handle(), name);
        self.hear();
        object
    }
}

/// Only what notifications have told.
fn told(window: &mut Window) -> Vec<String> {
    window.take().into_iter().filter(|told| told.contains(": ")).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
fn idleness_is_told_in_time_and_wakes_nobody_before() {
    let dir = TempDir::new().unwrap();
    let (socket, config) = (dir.path().join("wayland"), dir.path().join("config.toml"));
    let program = std::env::current_exe().unwrap();
    std::fs::write(&config, format!("[desktop]\nprivileged = [{program:?}]\n")).unwrap();
    let mut desk = Desk::new(&["--wayland", socket.to_str().unwrap(), "--config", config.to_str().unwrap()]);
    let mut window = Window::open(&socket, "watcher", (200, 100), RED);
    window.wait("shown");
    // What has come about is written down a second later.
    std::thread::sleep(Duration::from_secs(2));
    desk.input(InputAction::Pointer { x: 5, y: 5 });
    let begun = Instant::now();
    window.when_idle("far", 6_000);
    window.when_idle("far too", 6_000);
    window.take();
    std::thread::sleep(Duration::from_secs(1));
    let before = desk.sleeps();
    std::thread::sleep(Duration::from_secs(4));
    let after = desk.sleeps();
    assert!(begun.elapsed() < Duration::from_secs(6), "this machine is too slow for this test");
    assert_eq!(after, before, "the compositor was woken");
    std::thread::sleep(Duration::from_secs(6).saturating_sub(begun.elapsed()) + Duration::from_secs(1));
    assert_eq!(desk.sleeps(), before + 1, "it was woken for something else, too");
    assert_eq!(told(&mut window), ["far: idle", "far too: idle"]);
    assert_eq!(desk.log(), Vec::<String>::new());
    desk.quit();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
fn what_the_user_does_with_a_guest_counts_and_is_told_once() {
    let mut dom0 = Dom0::privileged();
    let mut window = Window::open(&dom0.socket, "watcher", (200, 100), RED);
    let guest = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    dom0.click(guest.x + 5, guest.y + 5);
    let begun = Instant::now();
    let far = window.when_idle("far", 2_000);
    window.when_idle("near", 1_000);
    window.when_idle("at once", 0);
    window.wait("near: idle");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    window.wait("far: idle");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(told(&mut window), ["at once: idle", "near: idle", "far: idle"]);

    let before = dom0.guest_events();
    dom0.desk.input(InputAction::Text("a".to_owned()));
    assert!(dom0.guest_events() > before);
    assert_eq!(told(&mut window), ["far: back", "near: back", "at once: back", "at once: idle"]);
    far.destroy();
    window.wait("near: idle");
    assert_eq!(told(&mut window), ["near: idle"]);

    // One that asks too often is told of some.
    let many: Vec<_> = (0..100).map(|_| window.when_idle("many", 0)).collect();
    let many_told = told(&mut window).len();
    assert!((1..=32).contains(&many_told), "{many_told} of {}", many.len());
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
fn nobody_is_idle_while_a_window_that_is_seen_wants_the_displays_on() {
    let dom0 = Dom0::privileged();
    let mut film = Window::open(&dom0.socket, "film", (200, 100), BLUE);
    let inhibitor = film.stay_awake();
    let mut window = Window::open(&dom0.socket, "watcher", (200, 100), RED);
    window.when_idle("all", 1_000);
    window.notifier().get_input_idle_notification(1_000, &window.seat, &window.queue.handle(), "input");
    window.wait("input: idle");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told(&mut window), ["input: idle"]);
    // Off the screen it keeps nothing on; the time counts from then.
    let begun = Instant::now();
    film.toplevel.set_minimized();
    film.hear();
    window.wait("all: idle");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(told(&mut window), ["all: idle"]);
    inhibitor.destroy();
    // A new one that is seen ends what was idle.
    let _inhibitor = window.stay_awake();
    window.wait("all: back");
    assert_eq!(told(&mut window), ["all: back"]);
    assert_eq!(dom0.desk.log(), Vec::<String>::new());
    dom0.desk.quit();
}

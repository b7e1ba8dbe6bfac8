// SPDX-License-Identifier: GPL-3.0-or-later
//! How long it takes from what the user does to the guest's notify, and what it costs: the registry and the
//! simulator in this thread, the guest in another one. Prints a table; docs/performance.md says what it means.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a bench ends at the first thing that goes wrong")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "the same")]

mod calls;
#[path = "../kbdif_guests/desk.rs"]
mod desk;

use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use desk::{Desk, Moved, Peer};
use grantway::kbdif::Input;
use grantway::scene::WindowId;
use grantway::sim::front::now;
use grantway::xen::DomId;

/// A bench ends at the first thing that goes wrong.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

const SAMPLES: u32 = 2000;
const TRACED: u32 = 1000;
const GUEST: &str = "backend-type=linux,backend=0";
const KEY_A: u32 = 30;

/// A guest that takes its input in a thread of its own, and says when the last notify came.
struct Taker {
    stop: Arc<AtomicBool>,
    woken_ns: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<Moved<Peer>>>,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Taker {
    fn start(peer: Peer) -> Self {
        let (stop, woken_ns, taken) = (Arc::default(), Arc::default(), Arc::default());
        let (stopped, woken, count): (Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>) =
            (Arc::clone(&stop), Arc::clone(&woken_ns), Arc::clone(&taken));
        let moved = Moved(peer);
        let thread = std::thread::spawn(move || {
            let moved = moved;
            let mut peer = moved.0;
            while !stopped.load(Ordering::SeqCst) {
                if peer.keyboard.wait_events(Duration::from_millis(50)).unwrap() {
                    woken.store(nanos(now()), Ordering::SeqCst);
                    peer.keyboard.take_events().unwrap();
                    count.store(peer.keyboard.events, Ordering::SeqCst);
                }
            }
            Moved(peer)
        });
        Self { stop, woken_ns, taken, thread: Some(thread) }
    }

    fn end(mut self) -> Peer {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().expect("it runs").join().expect("it ends well").0
    }
}

/// One key after the other, each when the guest has taken the one before: the time to the guest's wake-up.
fn keys(desk: &mut Desk, window: WindowId, guest: &Taker, count: u32) -> Vec<u64> {
    let mut times = Vec::new();
    for number in 0..count {
        let expected = guest.taken.load(Ordering::SeqCst) + 1;
        let start = nanos(now());
        desk.input(window, &[Input::Key { code: KEY_A, pressed: number % 2 == 0 }]);
        while guest.taken.load(Ordering::SeqCst) < expected {
            desk.turn(Duration::from_micros(200));
        }
        times.push(guest.woken_ns.load(Ordering::SeqCst).saturating_sub(start));
        // The guest's own notify, that it has read.
        desk.turn(Duration::from_millis(1));
    }
    times.sort_unstable();
    times
}

/// A mouse that reports a thousand times a second, for a second: the notifies that it took.
fn flood(desk: &mut Desk, window: WindowId, domid: DomId) -> (u64, u64) {
    let before = desk.session_of(domid).expect("connected");
    let start = now();
    for tick in 0..1000_i32 {
        while now() < start + Duration::from_millis(u64::try_from(tick).unwrap_or(0)) {
            desk.turn(Duration::from_micros(200));
        }
        desk.input(window, &[Input::Position { x: tick % 640, y: 1 }]);
    }
    desk.rest(Duration::from_millis(50));
    let after = desk.session_of(domid).expect("connected");
    (after.notifies - before.notifies, after.events - before.events)
}

fn work(count: u32) {
    let mut desk = Desk::start();
    let peer = desk.peer("bench", "conn-a:640x480", GUEST);
    let window = desk.windows(&peer)[0];
    let guest = Taker::start(peer);
    keys(&mut desk, window, &guest, count);
    drop(guest.end());
}

fn calls_of(count: u32) -> Outcome<calls::Calls> {
    let directory = tempfile::tempdir()?;
    let table = directory.path().join("calls");
    let status = Command::new("strace")
        .args(["-c", "-o"])
        .arg(&table)
        .arg(std::env::current_exe()?)
        .args(["--work", &count.to_string()])
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("strace can't be run, so system calls can't be counted: {error}"))?;
    if !status.success() {
        return Err(format!("the traced run ended with {status}").into());
    }
    calls::parse(&std::fs::read_to_string(&table)?)
}

fn print(text: &str) -> Outcome<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().collect();
    if let Some(count) = args.iter().position(|arg| arg == "--work").and_then(|at| args.get(at + 1)) {
        work(count.parse()?);
        return Ok(());
    }
    let mut desk = Desk::start();
    let peer = desk.peer("bench", "conn-a:640x480", GUEST);
    let (window, domid) = (desk.windows(&peer)[0], peer.display.guest.domid());
    let guest = Taker::start(peer);
    let times = keys(&mut desk, window, &guest, SAMPLES);
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    let us = |time: u64| std::time::Duration::from_nanos(time).as_secs_f64() * 1e6;
    print(&format!(
        "key to the guest's wake-up, {SAMPLES} keys: median {:.1} us, p99 {:.1} us",
        us(at(50)),
        us(at(99))
    ))?;
    let (notifies, events) = flood(&mut desk, window, domid);
    print(&format!("a mouse of 1 kHz, 1 s: {notifies} notifies, {events} events"))?;
    drop(guest.end());
    let (busy, idle) = (calls_of(TRACED)?, calls_of(0)?);
    let mut each: Vec<(f64, &String)> = busy
        .iter()
        .map(|(name, count)| {
            let more = count.saturating_sub(idle.get(name).copied().unwrap_or(0));
            (f64::from(u32::try_from(more).unwrap_or(u32::MAX)) / f64::from(TRACED), name)
        })
        .filter(|(share, _)| *share >= 0.01)
        .collect();
    each.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let total: f64 = each.iter().map(|(share, _)| share).sum();
    print(&format!("system calls a key, the simulated hypervisor's and the waiting included: {total:.2}"))?;
    for (share, name) in each {
        print(&format!("  {name:<20} {share:.2}"))?;
    }
    Ok(())
}

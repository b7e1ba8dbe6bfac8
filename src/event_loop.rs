// SPDX-License-Identifier: GPL-3.0-or-later
//! The one loop. Sources only note that they are ready; [`State::turn`] then does all the work, in one
//! place and in one order.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::state::{Ready, State};
use crate::time::Time;

/// Why the loop could not start, or ended.
#[derive(Debug, Error)]
pub enum LoopError {
    /// The signals could not be taken over.
    #[error("signals can't be received: {0}")]
    Signals(nix::Error),
    /// Waiting failed.
    #[error("the event loop can't wait: {0}")]
    Wait(nix::Error),
    /// xenstored went away.
    #[error("{0}")]
    Store(String),
}

/// The present time on the monotonic clock, which is the clock of KMS's page-flip events too.
#[must_use]
pub fn monotonic_now() -> Time {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

/// Runs until a signal, a `quit` request, or the loss of xenstored.
///
/// # Errors
/// See [`LoopError`].
pub fn run(state: &mut State) -> Result<(), LoopError> {
    let signals = signals().map_err(LoopError::Signals)?;
    state.turn(Ready::all() - Ready::STOP - Ready::RELOAD, monotonic_now());
    // A service that systemd has started is up by now; nobody else hears of it.
    sd_notify::notify(&[sd_notify::NotifyState::Ready])
        .unwrap_or_else(|error| tracing::warn!("systemd can't be told that the service is up: {error}"));
    state.start_programs();
    let mut ready = Ready::empty();
    loop {
        state.turn(ready, monotonic_now());
        if let Some(reason) = state.lost() {
            return Err(LoopError::Store(reason.to_owned()));
        }
        let now = monotonic_now();
        if state.stopped(now) {
            return Ok(());
        }
        let timeout = state.deadline().map(|deadline| deadline.saturating_sub(now));
        ready = wait(state, &signals, timeout).map_err(LoopError::Wait)?;
        if ready.contains(Ready::SIGNALS) {
            ready |= taken(&signals).map_err(LoopError::Signals)?;
        }
    }
}

/// Sleeps until a source is ready or the time is over. One system call, whatever has changed since the last one
/// (docs/decisions/0004-one-wait.md).
fn wait(state: &State, signals: &SignalFd, timeout: Option<Duration>) -> nix::Result<Ready> {
    let (names, mut fds): (Vec<_>, Vec<_>) = sources(state, signals).unzip();
    match ppoll(&mut fds, timeout.map(TimeSpec::from), None) {
        // Errors and hang-ups are for whoever then reads.
        Ok(_) => {
            let ready = fds.iter().zip(names).filter(|(fd, _)| fd.any() != Some(false));
            Ok(ready.map(|(_, name)| name).collect())
        }
        Err(Errno::EINTR) => Ok(Ready::empty()),
        Err(error) => Err(error),
    }
}

/// What is waited for.
fn sources<'a>(state: &'a State, signals: &'a SignalFd) -> impl Iterator<Item = (Ready, PollFd<'a>)> {
    let mut store = PollFlags::POLLIN;
    store.set(PollFlags::POLLOUT, state.store_wants_write());
    let readable = |name, fd: BorrowedFd<'a>| (name, PollFd::new(fd, PollFlags::POLLIN));
    let always = [
        (Ready::STORE, PollFd::new(state.store_fd(), store)),
        readable(Ready::CHANNELS, state.channels_fd()),
        readable(Ready::GRANTS, state.grants_fd()),
        readable(Ready::CONTROL, state.control_fd()),
        readable(Ready::SIGNALS, signals.as_fd()),
    ];
    let presentation = state.presentation_fd().map(|fd| readable(Ready::PRESENTATION, fd));
    #[cfg(feature = "sim")]
    let simulator = state.simulator_fd().map(|fd| readable(Ready::SIMULATOR, fd));
    #[cfg(not(feature = "sim"))]
    let simulator = None;
    let displays = state.display_fds().into_iter().map(move |fd| readable(Ready::DISPLAYS, fd));
    let clients = state.client_fds().map(move |fd| readable(Ready::CLIENTS, fd));
    always.into_iter().chain(displays).chain(presentation).chain(clients).chain(simulator)
}

/// What the signals that have come are for. They are taken, or they would end every later wait at once.
fn taken(signals: &SignalFd) -> nix::Result<Ready> {
    let mut ready = Ready::empty();
    while let Some(signal) = signals.read_signal()? {
        let number = i32::try_from(signal.ssi_signo).ok();
        ready |= match number.and_then(|number| Signal::try_from(number).ok()) {
            Some(Signal::SIGHUP) => Ready::RELOAD,
            Some(Signal::SIGCHLD) => Ready::CHILDREN,
            _ => Ready::STOP,
        };
    }
    Ok(ready)
}

fn signals() -> nix::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    mask.add(Signal::SIGHUP);
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

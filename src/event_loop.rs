// SPDX-License-Identifier: GPL-3.0-or-later
//! The one loop. Sources only note that they are ready; [`State::turn`] then does all the work, in one
//! place and in one order.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use calloop::generic::Generic;
use calloop::{Dispatcher, EventLoop, Interest, LoopHandle, Mode, PostAction};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::state::{Ready, State};
use crate::time::Time;

/// Why the loop could not start, or ended.
#[derive(Debug, Error)]
pub enum LoopError {
    /// A descriptor could not be watched.
    #[error("the event loop can't watch its sources: {0}")]
    Watch(#[from] calloop::Error),
    /// The signals could not be taken over.
    #[error("signals can't be received: {0}")]
    Signals(#[from] nix::Error),
    /// A descriptor could not be duplicated, or waiting failed.
    #[error("the event loop failed: {0}")]
    Io(#[from] io::Error),
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
    let mut event_loop: EventLoop<'_, Ready> = EventLoop::try_new()?;
    let handle = event_loop.handle();
    let store = Dispatcher::new(source(state.store_fd(), Mode::Level)?, note(Ready::STORE));
    let store_token = handle.register_dispatcher(store.clone())?;
    watch(&handle, state.channels_fd(), Ready::CHANNELS)?;
    watch(&handle, state.grants_fd(), Ready::GRANTS)?;
    watch(&handle, state.control_fd(), Ready::CONTROL)?;
    if let Some(fd) = state.presentation_fd() {
        watch(&handle, fd, Ready::PRESENTATION)?;
    }
    #[cfg(feature = "sim")]
    if let Some(fd) = state.simulator_fd() {
        watch(&handle, fd, Ready::SIMULATOR)?;
    }
    watch_signals(&handle)?;
    let mut ready = Ready::all() - Ready::STOP;
    loop {
        state.turn(ready, monotonic_now());
        if let Some(reason) = state.lost() {
            return Err(LoopError::Store(reason.to_owned()));
        }
        let now = monotonic_now();
        if state.stopped(now) {
            return Ok(());
        }
        let writable = state.store_wants_write();
        if store.as_source_ref().interest.writable != writable {
            store.as_source_mut().interest = if writable { Interest::BOTH } else { Interest::READ };
            handle.update(&store_token)?;
        }
        ready = Ready::empty();
        let timeout = state.deadline().map(|deadline| deadline.saturating_sub(now));
        event_loop.dispatch(timeout, &mut ready)?;
    }
}

fn source(fd: BorrowedFd<'_>, mode: Mode) -> io::Result<Generic<OwnedFd>> {
    Ok(Generic::new(fd.try_clone_to_owned()?, Interest::READ, mode))
}

fn note(
    flag: Ready,
) -> impl FnMut(calloop::Readiness, &mut calloop::generic::NoIoDrop<OwnedFd>, &mut Ready) -> io::Result<PostAction> {
    move |_, _, ready| {
        ready.insert(flag);
        Ok(PostAction::Continue)
    }
}

fn watch(handle: &LoopHandle<'_, Ready>, fd: BorrowedFd<'_>, flag: Ready) -> Result<(), LoopError> {
    handle.insert_source(source(fd, Mode::Level)?, note(flag)).map_err(|error| error.error)?;
    Ok(())
}

fn watch_signals(handle: &LoopHandle<'_, Ready>) -> Result<(), LoopError> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    // One signal is enough, and it is never read: the loop goes on for a while to let the guests go.
    let once = source(signals.as_fd(), Mode::OneShot)?;
    handle.insert_source(once, note(Ready::STOP)).map_err(|error| error.error)?;
    Ok(())
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! `grantway demo`: the real compositor on the simulated hypervisor, with two guests in processes of their
//! own, seen through the control socket as any user sees it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thiserror::Error;

use crate::cli::DemoOptions;
use crate::control::{self, Client, ClientError, Picture, Request, Response, ScreenshotTarget, Status};

/// How long the compositor may take to open its control socket.
const START_TRIES: u32 = 200;
const START_STEP: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(10);

/// The two guests: name, connectors, pixel format.
const GUESTS: [(&str, &str, &str); 2] = [("web", "web-a:640x480", "XR24"), ("cluster", "dial:480x360", "RG16")];

/// Why the demo failed.
#[derive(Debug, Error)]
pub enum DemoError {
    /// A file or process could not be made.
    #[error("the demo can't {what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's reason.
        error: io::Error,
    },
    /// The compositor does not answer.
    #[error("the demo's compositor failed: {0}")]
    Client(#[from] ClientError),
    /// The compositor refused something.
    #[error("the demo's compositor says: {0}")]
    Refused(String),
    /// The guests do not show.
    #[error("the demo's guests did not draw: {0}; run with --log debug for more")]
    NothingDrawn(String),
}

/// A process that ends with the demo, whatever happens.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process has ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Runs the demo; `say` takes each line for the user.
///
/// # Errors
/// See [`DemoError`].
pub fn run(options: &DemoOptions, say: &mut dyn FnMut(&str)) -> Result<(), DemoError> {
    let program = std::env::current_exe().map_err(|error| io_error("find its own program", error))?;
    fs::create_dir_all(&options.directory).map_err(|error| io_error("make the picture's folder", error))?;
    let run_dir = RunDir::new()?;
    let socket = run_dir.0.join("control.sock");
    say("starting the compositor: headless, on the simulated hypervisor");
    let _compositor = start_compositor(&program, &run_dir.0, &socket)?;
    let mut client = wait_for(&socket)?;
    let mut guests = Vec::new();
    for (name, connectors, format) in GUESTS {
        say(&format!("starting guest \"{name}\" in its own process: {connectors}, {format}"));
        guests.push(start_guest(&program, &run_dir.0, name, connectors, format)?);
    }
    for left in (1..=options.duration.as_secs()).rev() {
        say(&format!("the guests draw, {left} s left"));
        pause(Duration::from_secs(1));
    }
    let status = status(&mut client)?;
    let picture = options.directory.join("desktop.png");
    screenshot(&mut client)?.write_png(&picture).map_err(|error| io_error("write the picture", error))?;
    say(&control::render(&status));
    check(&status)?;
    drop(guests);
    client.request(&Request::Quit {})?;
    say(&format!("picture: {}", picture.display()));
    Ok(())
}

fn start_compositor(program: &Path, run_dir: &Path, socket: &Path) -> Result<Process, DemoError> {
    let platform = format!("sim:{}", run_dir.join("hypervisor.sock").display());
    let mut command = Command::new(program);
    command.args(["--platform", &platform, "--backend", "headless", "--output", "1280x720", "--log", "warn"]);
    command.arg("--socket").arg(socket).stdin(Stdio::null());
    command.spawn().map(Process).map_err(|error| io_error("start the compositor", error))
}

fn start_guest(
    program: &Path,
    run_dir: &Path,
    name: &str,
    connectors: &str,
    format: &str,
) -> Result<Process, DemoError> {
    let mut command = Command::new(program.with_file_name("grantway-sim-guest"));
    command.arg("--socket").arg(run_dir.join("hypervisor.sock")).args(["--name", name, "--connectors", connectors]);
    command.args(["--format", format, "--pattern", "tear"]).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().map(Process).map_err(|error| io_error("start a guest (grantway-sim-guest)", error))
}

fn wait_for(socket: &Path) -> Result<Client, DemoError> {
    let mut tries = 0;
    loop {
        match Client::connect(socket, ANSWER) {
            Ok(client) => return Ok(client),
            Err(error) if tries == START_TRIES => return Err(error.into()),
            Err(_) => pause(START_STEP),
        }
        tries += 1;
    }
}

fn status(client: &mut Client) -> Result<Status, DemoError> {
    match client.request(&Request::Status {})? {
        Response::Status(status) => Ok(*status),
        other @ (Response::Done | Response::Screenshot(_) | Response::Reloaded { .. } | Response::Error(_)) => {
            Err(refused(&other))
        }
    }
}

fn screenshot(client: &mut Client) -> Result<Picture, DemoError> {
    match client.request(&Request::Screenshot { target: ScreenshotTarget::FirstOutput })? {
        Response::Screenshot(picture) => Ok(picture),
        other @ (Response::Done | Response::Status(_) | Response::Reloaded { .. } | Response::Error(_)) => {
            Err(refused(&other))
        }
    }
}

fn refused(response: &Response) -> DemoError {
    DemoError::Refused(match response {
        Response::Error(why) => why.clone(),
        other @ (Response::Done | Response::Status(_) | Response::Screenshot(_) | Response::Reloaded { .. }) => {
            format!("{other:?}")
        }
    })
}

fn check(status: &Status) -> Result<(), DemoError> {
    for (name, ..) in GUESTS {
        let guest = status.guests.iter().find(|guest| guest.name == name);
        let drew = guest.is_some_and(|guest| guest.connectors.iter().any(|connector| connector.events > 1));
        if !drew {
            return Err(DemoError::NothingDrawn(format!("\"{name}\" had no flip presented")));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the demo is a client with no loop of its own")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn io_error(what: &str, error: io::Error) -> DemoError {
    DemoError::Io { what: what.to_owned(), error }
}

/// A private folder for the sockets, whose paths must be short.
struct RunDir(PathBuf);

impl RunDir {
    fn new() -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("grantway-demo-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| io_error("make its socket folder", error))?;
        Ok(Self(path))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{} can't be removed: {error}", self.0.display());
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! `grantway msg`: asks the running compositor, and shows the answer.

use std::path::Path;
use std::time::Duration;

use super::args::{Action, Fullscreen, InputArguments, Message, MsgArguments, Power};
use super::{Refusal, load, print, socket_path};
use crate::control::{self, Client, InputAction, Picture, Request, Response, ScreenshotTarget, Status};

pub(super) fn run(arguments: MsgArguments) -> Result<(), Refusal> {
    let socket = match arguments.socket {
        Some(socket) => socket,
        None => socket_path(&load(arguments.config.as_deref())?.control.socket),
    };
    let timeout = Duration::from_secs(arguments.timeout.into());
    let ask = |request: Request| ask(&socket, timeout, &request);
    match arguments.message {
        Message::Status { json } => {
            let response = ask(Request::Status {})?;
            let Response::Status(status) = response else { return Err(unexpected(&response)) };
            show(&status, json)
        }
        Message::Screenshot { file, guest, connector, output } => {
            let target = match (guest, output) {
                (Some(guest), _) => ScreenshotTarget::Guest { guest, connector: connector.unwrap_or(0).into() },
                (None, Some(output)) => ScreenshotTarget::Output(output),
                (None, None) => ScreenshotTarget::FirstOutput,
            };
            let response = ask(Request::Screenshot { target })?;
            let Response::Screenshot(picture) = response else { return Err(unexpected(&response)) };
            save(&file, &picture)
        }
        Message::Fullscreen { guest: Fullscreen(guest) } => done(&ask(Request::Fullscreen { guest })?),
        Message::Workspace { number } => done(&ask(Request::Workspace { number })?),
        Message::Output { power, output } => done(&ask(Request::Output { output, on: power == Power::On })?),
        Message::Input(InputArguments { guest, connector, action }) => {
            let connector = connector.unwrap_or(0).into();
            done(&ask(Request::Input { guest, connector, action: input(action) })?)
        }
        Message::Reload => reloaded(ask(Request::Reload {})?),
        Message::Quit => done(&ask(Request::Quit {})?),
    }
}

fn input(action: Action) -> InputAction {
    match action {
        Action::Key { key, half } => InputAction::Key { code: key.code(), pressed: half.pressed() },
        Action::Button { button, half } => InputAction::Key { code: button, pressed: half.pressed() },
        Action::Text { text } => InputAction::Text(text),
        Action::Pointer { x, y } => InputAction::Pointer { x, y },
        Action::Motion { dx, dy } => InputAction::Motion { dx, dy },
        Action::Wheel { v120 } => InputAction::Wheel { v120 },
        Action::Touch { phase, contact, x, y } => InputAction::Touch { contact, phase, x, y },
    }
}

/// Asks once. What the compositor refuses is a failure.
fn ask(socket: &Path, timeout: Duration, request: &Request) -> Result<Response, Refusal> {
    let mut client = Client::connect(socket, timeout).map_err(Refusal::failure)?;
    let response = client.request(request).map_err(Refusal::failure)?;
    if let Response::Error(message) = response { Err(Refusal::Failure(message)) } else { Ok(response) }
}

fn show(status: &Status, json: bool) -> Result<(), Refusal> {
    let text = if json {
        let mut text = serde_json::to_string_pretty(status).map_err(Refusal::failure)?;
        text.push('\n');
        text
    } else {
        control::render(status)
    };
    print(&text).map_err(Refusal::failure)
}

fn save(file: &Path, picture: &Picture) -> Result<(), Refusal> {
    picture
        .write_png(file)
        .map_err(|error| Refusal::Failure(format!("{}: the picture can't be written: {error}", file.display())))
}

fn done(response: &Response) -> Result<(), Refusal> {
    if *response == Response::Done { Ok(()) } else { Err(unexpected(response)) }
}

/// Says what holds from now on, and what does not yet.
fn reloaded(response: Response) -> Result<(), Refusal> {
    let Response::Reloaded { changed, needs_restart } = response else { return Err(unexpected(&response)) };
    let mut text = match changed.as_slice() {
        [] => "nothing has changed that can change now\n".to_owned(),
        changed => format!("changed: {}\n", changed.join(", ")),
    };
    text.extend(needs_restart.iter().map(|key| format!("{key} needs a restart\n")));
    print(&text).map_err(Refusal::failure)
}

fn unexpected(response: &Response) -> Refusal {
    let kind = match response {
        Response::Done => "done",
        Response::Status(_) => "a status",
        Response::Screenshot(_) => "a picture",
        Response::Reloaded { .. } => "that it has read its configuration",
        Response::Error(_) => "an error",
    };
    Refusal::Failure(format!("grantway answered with {kind}, which was not asked for; are both of the same version?"))
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest of the simulator: what in the lab is a domain, its kernel and its init is one process here, with
//! the scenario's script as its child. It holds the domain and drives the display; the other calls of this
//! program, which the script makes, ask it over a socket, as they ask the kernel in a real guest.

mod driver;
mod input;
mod script;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use grantway::sim::display_front::DisplayFront;
use grantway::sim::front::{FrontError, Guest, wait};

use crate::Result;
use driver::SimCard;
use input::Inputs;
use script::{End, Script};

/// 256 MiB, as the lab's guests have.
const FRAMES: u32 = 65_536;

/// How long nothing is looked at but what wakes it; a script's end does not.
const LOOK: Duration = Duration::from_millis(20);

/// A driver waits for its backend as long as it takes.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// One guest, however often it reboots.
struct Machine<'a> {
    name: &'a str,
    /// As in `connectors=` of the guest's configuration; empty: no display.
    connectors: &'a str,
    /// Its own: "domid", and "card" while there is a card.
    folder: &'a Path,
    /// The simulated hypervisor's.
    socket: &'a Path,
}

/// Is the guest until its script ends; begins again when the script reboots it.
pub(crate) fn simulate(name: &str, connectors: &str, folder: &Path, socket: &Path, init: &[&str]) -> Result<()> {
    let machine = Machine { name, connectors, folder, socket };
    loop {
        let guest = machine.start(None)?;
        let mut script = Script::start(init, folder)?;
        machine.live(guest, &mut script)?;
        match script.end() {
            End::Reboot => machine.forget_words()?,
            End::Off => return Ok(()),
        }
    }
}

impl Machine<'_> {
    /// Has the domain created. With a script that runs already it waits for a hypervisor as long as that does.
    fn start(&self, mut script: Option<&mut Script>) -> Result<Guest> {
        // As lab.sh names it.
        let be_alloc = std::env::var("BE_ALLOC").unwrap_or_else(|_| "0".into());
        let display = format!("backend=0,be-alloc={be_alloc},connectors={}", self.connectors);
        let devices: Vec<String> = match (self.connectors, vkb()) {
            ("", _) => Vec::new(),
            (_, Some(vkb)) => vec![format!("vkb:{vkb}"), display],
            (_, None) => vec![display],
        };
        let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
        loop {
            match Guest::start(self.socket, self.name, &devices, FRAMES) {
                Ok(guest) => {
                    let part = self.folder.join("domid.part");
                    std::fs::write(&part, guest.domid().to_string())
                        .and_then(|()| std::fs::rename(&part, self.folder.join("domid")))
                        .map_err(|error| format!("{}: {error}", part.display()))?;
                    return Ok(guest);
                }
                Err(error) if script.as_mut().is_none_or(|script| script.ended()) => return Err(error.to_string()),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// The domain's life. The simulated hypervisor ends with the compositor: then the guest becomes a domain of
    /// the next one, and its script finds that the card went and came back.
    fn live(&self, guest: Guest, script: &mut Script) -> Result<()> {
        let mut guest = guest;
        while let Err(why) = self.domain(guest, script) {
            println!("lab-guest: the domain's end: {why}");
            self.unplug();
            if script.ended() {
                break;
            }
            guest = self.start(Some(script))?;
        }
        Ok(())
    }

    fn domain(&self, guest: Guest, script: &mut Script) -> std::result::Result<(), FrontError> {
        if self.connectors.is_empty() {
            while !script.ended() {
                std::thread::sleep(LOOK);
            }
            return Ok(());
        }
        let mut front = DisplayFront::new(guest, 0, 1);
        let mut inputs = vkb().map(|_| Inputs::connect(&mut front.guest, PATIENCE)).transpose()?;
        loop {
            front.connect(PATIENCE)?;
            let card = UnixListener::bind(self.card())?;
            match serve(&mut front, inputs.as_mut(), &card, script) {
                Ok(()) => {
                    self.unplug();
                    return front.close();
                }
                Err(FrontError::BackendGone) => {
                    self.unplug();
                    front.disconnect()?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What Dom0 told the guest belongs to the domain that it was.
    fn forget_words(&self) -> Result<()> {
        println!("lab-guest: the guest reboots");
        let words = self.folder.join("data");
        std::fs::remove_dir_all(&words)
            .and_then(|()| std::fs::create_dir(&words))
            .map_err(|error| format!("{}: {error}", words.display()))
    }

    fn card(&self) -> PathBuf {
        self.folder.join("card")
    }

    fn unplug(&self) {
        // It may never have been there.
        let _ = std::fs::remove_file(self.card());
    }
}

/// The guest's input device, as lab.sh names it: the text between the quotes of `vkb = ['…']`.
fn vkb() -> Option<String> {
    std::env::var("VKB").ok().filter(|vkb| !vkb.is_empty())
}

/// Runs what the script's programs ask for, one after the other, until the script ends. Input is taken in between.
fn serve(
    front: &mut DisplayFront,
    mut inputs: Option<&mut Inputs>,
    card: &UnixListener,
    script: &mut Script,
) -> std::result::Result<(), FrontError> {
    while !script.ended() {
        let channel = inputs.as_ref().and_then(|inputs| inputs.channel());
        let fds = [card.as_fd(), front.guest.store_fd()].into_iter().chain(channel);
        wait(&fds.collect::<Vec<_>>(), LOOK)?;
        front.check_backend()?;
        if let Some(inputs) = &mut inputs {
            inputs.take(&mut front.guest)?;
        }
        if wait(&[card.as_fd()], Duration::ZERO)? {
            let (client, _) = card.accept()?;
            answer(front, inputs.as_deref_mut(), client, script)?;
        }
    }
    Ok(())
}

/// Runs one command line. Only what ends the card is an error here.
fn answer(
    front: &mut DisplayFront,
    inputs: Option<&mut Inputs>,
    client: UnixStream,
    script: &mut Script,
) -> std::result::Result<(), FrontError> {
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    if words == ["input"] {
        // Who has gone need not hear it.
        let _ = match inputs {
            Some(inputs) => inputs.watched_by(client),
            None => tell(&client, "failed the guest has no input device"),
        };
        return Ok(());
    }
    let mut card = SimCard::new(front, &client, script);
    let done = crate::run(&mut card, &words, &mut |text| tell(&client, &format!("> {text}")));
    let closed = card.close();
    // As above.
    let _ = match done {
        Ok(()) => tell(&client, "done"),
        Err(why) => tell(&client, &format!("failed {why}")),
    };
    closed
}

fn tell(mut client: &UnixStream, line: &str) -> Result<()> {
    client.write_all(format!("{line}\n").as_bytes()).map_err(|error| format!("nobody listens: {error}"))
}

/// The other end: has the guest run the command line, and prints what it says.
pub(crate) fn ask(card: &Path, words: &[&str]) -> Result<()> {
    let stream = UnixStream::connect(card).map_err(|error| format!("{}: {error}", card.display()))?;
    tell(&stream, &words.join(" "))?;
    for line in BufReader::new(&stream).lines() {
        let line = line.map_err(|error| error.to_string())?;
        match line.split_once(' ') {
            Some((">", text)) => println!("lab: {text}"),
            Some(("failed", why)) => return Err(why.to_owned()),
            _ => return Ok(()),
        }
    }
    Err("the card is gone".into())
}

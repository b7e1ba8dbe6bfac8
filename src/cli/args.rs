// SPDX-License-Identifier: GPL-3.0-or-later
//! The definition of the command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::config::{BackendKind, Key, Mode, RendererKind, SessionKind, WaylandSocket};
use crate::control::{GuestSelector, TouchPhase};
use crate::logging;

/// Shows Xen guests' screens: a Wayland compositor that is itself the PV display backend.
///
/// Without a command it runs the compositor.
#[derive(Debug, Parser)]
#[command(name = "grantway", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

/// How the compositor runs.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(super) struct RunArguments {
    /// Configuration file [default: /etc/grantway/grantway.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What presents [default: as configured]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) backend: Option<BackendKind>,
    /// Present in memory only: the same as --backend headless
    #[arg(long, conflicts_with = "backend")]
    pub(super) headless: bool,
    /// Refuse to start as a desktop: the configuration has to say what is shown where
    #[arg(long)]
    pub(super) kiosk: bool,
    /// What composes the picture [default: as configured]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) renderer: Option<RendererKind>,
    /// Who hands out the devices [default: as configured]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) session: Option<SessionKind>,
    /// DRM device to present on, such as /dev/dri/card0
    #[arg(long, value_name = "PATH")]
    pub(super) drm_device: Option<PathBuf>,
    /// Control socket [default: as configured]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Socket for Dom0's own Wayland clients: none, auto, or an absolute path [default: as configured]
    #[arg(long, value_name = "SOCKET")]
    pub(super) wayland: Option<WaylandSocket>,
    /// Where the guests are: xen, or sim:SOCKET for the simulator
    #[arg(long, value_name = "PLATFORM", default_value = "xen")]
    pub(super) platform: Platform,
    /// A headless output; may be given several times
    #[arg(long, value_name = "WxH[@HZ]")]
    pub(super) output: Vec<Mode>,
    /// Log filter, such as "debug" or "info,grantway::displif=debug"
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub(super) log: Option<String>,
}

fn filter(text: &str) -> Result<String, String> {
    logging::check_filter(text).map(|()| text.to_owned())
}

/// Where the guests are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// On this machine's Xen.
    Xen,
    /// On the simulator that listens at this socket.
    Simulator(PathBuf),
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "xen" => Ok(Self::Xen),
            Some(("sim", socket)) if !socket.is_empty() && cfg!(feature = "sim") => {
                Ok(Self::Simulator(PathBuf::from(socket)))
            }
            Some(("sim", socket)) if !socket.is_empty() => {
                Err("this grantway was built without the simulator (feature \"sim\")".to_owned())
            }
            _ => Err("it is neither \"xen\" nor \"sim:SOCKET\"".to_owned()),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask the running compositor
    Msg(MsgArguments),
    /// Tell whether grantway can run here, and what to do where it can't
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a configuration file
    CheckConfig {
        /// The file [default: /etc/grantway/grantway.toml]
        file: Option<PathBuf>,
    },
    /// Print the commented default configuration
    DefaultConfig,
    /// Show two simulated guests, print the status, and leave a picture
    #[cfg_attr(not(feature = "sim"), command(hide = true))]
    Demo {
        /// How long it runs
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
        seconds: u32,
        /// Where its pictures go
        #[arg(long, default_value = "target/demo")]
        dir: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(super) struct MsgArguments {
    /// Control socket [default: as configured]
    #[arg(long, value_name = "PATH", global = true)]
    pub(super) socket: Option<PathBuf>,
    /// Configuration file that names the socket [default: /etc/grantway/grantway.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(super) timeout: u32,
    #[command(subcommand)]
    pub(super) message: Message,
}

#[derive(Debug, Subcommand)]
pub(super) enum Message {
    /// Outputs, guests and connectors
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a picture of an output, or of a guest alone, as PNG
    Screenshot {
        /// The file to write
        file: PathBuf,
        /// Of this guest (domain number or name)
        #[arg(long, conflicts_with = "output", value_parser = guest)]
        guest: Option<GuestSelector>,
        /// Of this connector of the guest [default: 0]
        #[arg(long, value_name = "N", requires = "guest", value_parser = clap::value_parser!(u16).range(0..64))]
        connector: Option<u16>,
        /// Of this output [default: the first one]
        #[arg(long, value_name = "NAME", value_parser = name)]
        output: Option<String>,
    },
    /// Show one guest full screen, or none
    Fullscreen {
        /// Domain number or name, or "off"
        #[arg(value_parser = guest_or_off)]
        guest: Fullscreen,
    },
    /// Show a workspace
    Workspace {
        /// 1 to 9
        #[arg(value_parser = clap::value_parser!(u8).range(1..=9))]
        number: u8,
    },
    /// Switch displays on or off, until the same is asked again or somebody touches a key, the mouse or the screen
    Output {
        /// On or off
        power: Power,
        /// The output's name, such as HDMI-A-1 [default: all]
        #[arg(value_name = "NAME", value_parser = name)]
        output: Option<String>,
    },
    /// Do as if the user had pressed, typed, moved or touched something
    Input(InputArguments),
    /// Read the configuration again; with an error in it all stays as it was
    Reload,
    /// Let all guests go in order, and end
    Quit,
}

#[derive(Args, Debug)]
pub(super) struct InputArguments {
    /// Only for this guest (domain number or name), whoever has the focus [default: as from a device]
    #[arg(long, value_parser = guest)]
    pub(super) guest: Option<GuestSelector>,
    /// On this connector of the guest [default: 0]
    #[arg(long, value_name = "N", requires = "guest", value_parser = clap::value_parser!(u16).range(0..64))]
    pub(super) connector: Option<u16>,
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Press and release a key, such as a, f1, left-shift or code:88
    Key {
        /// The key
        key: Key,
        #[command(flatten)]
        half: Half,
    },
    /// Type a text by Dom0's keyboard layout
    Text {
        /// The text
        #[arg(value_parser = typed)]
        text: String,
    },
    /// Press and release a button: left, right, middle, side, extra, or its code
    Button {
        /// The button
        #[arg(value_parser = button)]
        button: u32,
        #[command(flatten)]
        half: Half,
    },
    /// Put the pointer on a pixel: of the guest's picture, or of all outputs side by side
    Pointer {
        /// From the left
        x: i32,
        /// From the top
        y: i32,
    },
    /// Move the pointer by so many pixels
    Motion {
        /// To the right
        #[arg(allow_negative_numbers = true)]
        dx: i32,
        /// Down
        #[arg(allow_negative_numbers = true)]
        dy: i32,
    },
    /// Turn the wheel; positive scrolls down
    Wheel {
        /// By so many 1/120 of a click
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-120_000..=120_000))]
        v120: i32,
    },
    /// Put a finger down, move it, or lift it
    Touch {
        /// down, motion or up
        #[arg(value_parser = phase)]
        phase: TouchPhase,
        /// Which finger
        contact: u32,
        /// From the left, as for the pointer
        #[arg(default_value_t = 0)]
        x: i32,
        /// From the top
        #[arg(default_value_t = 0)]
        y: i32,
    },
}

#[derive(Args, Debug)]
pub(super) struct Half {
    /// Only press it
    #[arg(long, conflicts_with = "release")]
    press: bool,
    /// Only release it
    #[arg(long)]
    release: bool,
}

impl Half {
    /// Down or up; `None` is both.
    pub(super) fn pressed(&self) -> Option<bool> {
        (self.press || self.release).then_some(self.press)
    }
}

fn typed(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 1024 {
        return Err("a text has 1 to 1024 bytes".to_owned());
    }
    Ok(text.to_owned())
}

fn button(text: &str) -> Result<u32, String> {
    let named = ["left", "right", "middle", "side", "extra"].iter().position(|name| *name == text);
    let code = named.and_then(|index| u32::try_from(index).ok()).map(|index| 0x110 + index);
    let numbered = || text.parse().ok().filter(|code| (0x100..0x160).contains(code));
    code.or_else(numbered).ok_or_else(|| "it is none of left, right, middle, side, extra, 256 to 351".to_owned())
}

fn phase(text: &str) -> Result<TouchPhase, String> {
    match text {
        "down" => Ok(TouchPhase::Down),
        "motion" => Ok(TouchPhase::Motion),
        "up" => Ok(TouchPhase::Up),
        _ => Err("it is none of down, motion, up".to_owned()),
    }
}

/// Whether a display is to be lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Power {
    On,
    Off,
}

/// Who is to be full screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fullscreen(pub(super) Option<GuestSelector>);

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 128 printable characters".to_owned());
    }
    Ok(text.to_owned())
}

fn guest(text: &str) -> Result<GuestSelector, String> {
    let selector = GuestSelector::from(name(text)?.as_str());
    let number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if number && !matches!(selector, GuestSelector::DomId(0..=0x7fef)) {
        return Err("a domain's number lies between 0 and 32751".to_owned());
    }
    Ok(selector)
}

fn guest_or_off(text: &str) -> Result<Fullscreen, String> {
    if text == "off" { Ok(Fullscreen(None)) } else { guest(text).map(|guest| Fullscreen(Some(guest))) }
}

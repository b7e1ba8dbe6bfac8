// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line: what was asked for, checked, and handed to the one who does it.
//!
//! Bad input gets one line on standard error and exit code 2; what fails while running gets one line and
//! exit code 1.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::config::{self, BackendKind, Config, Mode, OutputConfig, SocketPath, WaylandSocket};
use crate::control;
use crate::doctor::{self, Probe};
use crate::logging;

mod args;
mod msg;
mod output;

pub use args::Platform;
use args::{Arguments, Command, RunArguments};
pub use output::print;

/// What went wrong while running; shown as one line.
pub type Failure = Box<dyn Error>;

/// Everything that a run needs to know: the configuration with the command line's changes, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// The configuration.
    pub config: Config,
    /// Where the guests are.
    pub platform: Platform,
    /// The control socket.
    pub socket: PathBuf,
    /// Where the configuration came from.
    pub source: Source,
}

/// Where a configuration comes from, with the command line's changes: it can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(RunArguments);

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// A line for the user.
    pub fn read(&self) -> Result<Config, String> {
        configuration(&self.0).map_err(|(Refusal::Input(why) | Refusal::Failure(why))| why)
    }
}

/// What `grantway demo` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoOptions {
    /// How long it runs.
    pub duration: Duration,
    /// Where its pictures go.
    pub directory: PathBuf,
    /// The configuration.
    pub config: Config,
}

/// What only the program itself can do, since it alone knows both halves.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Runs the compositor until it is told to quit.
    pub run: fn(RunOptions) -> Result<(), Failure>,
    /// Runs the demo; returns what is shown to the user.
    pub demo: fn(DemoOptions) -> Result<(), Failure>,
    /// What Xen's devices say of themselves.
    pub probe: fn() -> Vec<Probe>,
}

/// Why a command ends without having done what was asked.
#[derive(Debug)]
enum Refusal {
    /// The input was bad: exit code 2.
    Input(String),
    /// It failed: exit code 1.
    Failure(String),
}

impl Refusal {
    fn input(error: impl ToString) -> Self {
        Self::Input(error.to_string())
    }

    fn failure(error: impl ToString) -> Self {
        Self::Failure(error.to_string())
    }
}

/// Parses the command line and does what it says.
#[must_use]
pub fn main(hooks: Hooks) -> ExitCode {
    let arguments = match parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(Parsed::Text(text)) => return finish(print(&text).map_err(Refusal::failure)),
        Err(Parsed::Error(line)) => return finish(Err(Refusal::Input(line))),
    };
    match dispatch(arguments, hooks) {
        Ok(code) => code,
        Err(refusal) => finish(Err(refusal)),
    }
}

fn finish(result: Result<(), Refusal>) -> ExitCode {
    let (line, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Refusal::Input(line)) => (line, 2),
        Err(Refusal::Failure(line)) => (line, 1),
    };
    output::complain(&line);
    ExitCode::from(code)
}

/// What a command line is, when it is not a command.
#[derive(Debug)]
enum Parsed {
    Text(String),
    Error(String),
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, Parsed> {
    let error = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => return Ok(arguments),
        Err(error) => error,
    };
    let report = error.render().to_string();
    if !error.use_stderr() {
        return Err(Parsed::Text(report));
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Parsed::Error(format!("a command is missing; try `{} --help`", help_command(&report))));
    }
    Err(Parsed::Error(one_line(&report)))
}

/// clap's report as one line: what is wrong, the tips, and where to read more.
fn one_line(report: &str) -> String {
    let told = report.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let parts: Vec<&str> = told.map(str::trim).filter(|line| !line.is_empty()).collect();
    let what = parts.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    format!("{what}; try `{} --help`", help_command(report))
}

/// The command whose usage the report shows, as far as it consists of command names.
fn help_command(report: &str) -> String {
    let usage = report.lines().find_map(|line| line.trim().strip_prefix("Usage: ")).unwrap_or("grantway");
    let mut known = Arguments::command();
    let mut words = vec!["grantway"];
    for word in usage.split_whitespace().skip(1) {
        let Some(next) = known.find_subcommand(word).cloned() else { break };
        words.push(word);
        known = next;
    }
    words.join(" ")
}

fn dispatch(arguments: Arguments, hooks: Hooks) -> Result<ExitCode, Refusal> {
    match arguments.command {
        None => run(arguments.run, hooks)?,
        Some(Command::Msg(request)) => msg::run(request)?,
        Some(Command::Doctor { json }) => return diagnose(json, hooks),
        Some(Command::CheckConfig { file }) => check_config(file.as_deref())?,
        Some(Command::DefaultConfig) => print(config::DEFAULT_TEXT).map_err(Refusal::failure)?,
        Some(Command::Demo { seconds, dir }) => {
            let config = Config::default();
            logging::start("warn").map_err(Refusal::failure)?;
            let options = DemoOptions { duration: Duration::from_secs(seconds.into()), directory: dir, config };
            (hooks.demo)(options).map_err(Refusal::failure)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run(arguments: RunArguments, hooks: Hooks) -> Result<(), Refusal> {
    let environment = std::env::var(logging::VARIABLE).ok();
    let options = options(&arguments)?;
    let level = options.config.log.level.name();
    let filter = arguments.log.as_deref().or(environment.as_deref()).unwrap_or(level);
    logging::start(filter).map_err(|why| Refusal::Input(format!("{}: {why}", logging::VARIABLE)))?;
    (hooks.run)(options).map_err(Refusal::failure)
}

fn options(arguments: &RunArguments) -> Result<RunOptions, Refusal> {
    let config = configuration(arguments)?;
    let socket = arguments.socket.clone().unwrap_or_else(|| socket_path(&config.control.socket));
    let source = Source(arguments.clone());
    Ok(RunOptions { config, platform: arguments.platform.clone(), socket, source })
}

/// The configuration with the command line's changes.
fn configuration(arguments: &RunArguments) -> Result<Config, Refusal> {
    let mut config = load(arguments.config.as_deref())?;
    if let Some(kind) = arguments.backend {
        config.backend.kind = kind;
    }
    if arguments.headless {
        config.backend.kind = BackendKind::Headless;
    }
    if arguments.kiosk && config.kiosk.is_empty() {
        let why = "--kiosk wants a configuration that says what is shown where: it has no [[kiosk]] block \
                   (docs/kiosk.md)";
        return Err(Refusal::Input(why.to_owned()));
    }
    if let Some(renderer) = arguments.renderer {
        config.backend.renderer = renderer;
    }
    if let Some(session) = arguments.session {
        config.backend.session = session;
    }
    if let Some(device) = &arguments.drm_device {
        config.backend.drm_device = Some(device.clone());
    }
    if let Some(wayland) = &arguments.wayland {
        config.desktop.wayland = wayland.clone();
    }
    if config.desktop.wayland != WaylandSocket::None && !config.kiosk.is_empty() {
        let why = "a kiosk has no place for Dom0's own Wayland clients: leave [[kiosk]] away, or set `wayland` in \
                   [desktop] to \"none\"";
        return Err(Refusal::Input(why.to_owned()));
    }
    if !arguments.output.is_empty() {
        headless_outputs(&mut config, &arguments.output)?;
    }
    Ok(config)
}

fn headless_outputs(config: &mut Config, modes: &[Mode]) -> Result<(), Refusal> {
    if config.backend.kind == BackendKind::Kms {
        let why = "--output makes outputs of the headless backend, but the backend is kms; \
                   a display's mode is set by [[output]] in the configuration";
        return Err(Refusal::Input(why.to_owned()));
    }
    config.backend.kind = BackendKind::Headless;
    let name = |index: usize| format!("headless-{}", index + 1);
    let output = |name, mode| OutputConfig { name, mode, panel: None, background: None };
    config.output = modes.iter().enumerate().map(|(index, mode)| output(name(index), *mode)).collect();
    Ok(())
}

/// The named file, or the usual one if it is there, or the defaults.
fn load(file: Option<&Path>) -> Result<Config, Refusal> {
    let usual = Path::new(config::DEFAULT_PATH);
    match file {
        Some(file) => Config::load(file).map_err(Refusal::input),
        None if usual.exists() => Config::load(usual).map_err(Refusal::input),
        None => Ok(Config::default()),
    }
}

fn socket_path(configured: &SocketPath) -> PathBuf {
    match configured {
        SocketPath::Path(path) => path.clone(),
        SocketPath::Auto => {
            let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
            control::default_socket(nix::unistd::geteuid().as_raw(), runtime.as_deref())
        }
    }
}

fn check_config(file: Option<&Path>) -> Result<(), Refusal> {
    let usual = Path::new(config::DEFAULT_PATH);
    if file.is_none() && !usual.exists() {
        let text = format!("{}: not there; the defaults apply (see `grantway default-config`)\n", usual.display());
        return print(&text).map_err(Refusal::failure);
    }
    let file = file.unwrap_or(usual);
    Config::load(file).map_err(Refusal::input)?;
    print(&format!("{}: good\n", file.display())).map_err(Refusal::failure)
}

fn diagnose(json: bool, hooks: Hooks) -> Result<ExitCode, Refusal> {
    let report = doctor::examine(&doctor::System::real(), (hooks.probe)());
    let text = if json { report.to_json().map_err(Refusal::failure)? } else { report.to_text() };
    print(&text).map_err(Refusal::failure)?;
    Ok(if report.can_run() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RendererKind;

    fn options_of(line: &[&str]) -> Result<RunOptions, Refusal> {
        let arguments = parse(line.iter().map(OsString::from)).unwrap();
        options(&arguments.run)
    }

    #[test]
    fn the_command_line_comes_before_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "backend.renderer = \"gl\"\nbackend.kind = \"kms\"").unwrap();
        let file = file.to_str().unwrap();
        let options = options_of(&["grantway", "--config", file, "--renderer", "pixman"]).unwrap();
        assert_eq!(options.config.backend.renderer, RendererKind::Pixman);
        assert_eq!(options.config.backend.kind, BackendKind::Kms);
        let refusal = options_of(&["grantway", "--config", file, "--output", "800x600"]).unwrap_err();
        assert!(matches!(refusal, Refusal::Input(line) if line.contains("the backend is kms")));
    }

    #[test]
    fn outputs_of_the_command_line_are_headless_and_numbered() {
        let options = options_of(&["grantway", "--output", "800x600", "--output", "640x480@30"]).unwrap();
        assert_eq!(options.config.backend.kind, BackendKind::Headless);
        let names: Vec<&str> = options.config.output.iter().map(|output| output.name.as_str()).collect();
        assert_eq!(names, ["headless-1", "headless-2"]);
        assert_eq!(options.config.output[1].mode.refresh_mhz, Some(30_000));
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}

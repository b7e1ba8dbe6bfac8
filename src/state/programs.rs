// SPDX-License-Identifier: GPL-3.0-or-later
//! Programs that the configuration names: started at the beginning or by a chord, in sessions of their own, and
//! reaped. Nobody but the configuration can name one.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::libc::POSIX_SPAWN_SETSID;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::State;

/// A program, and what it is told.
pub type Command = Vec<String>;

/// Programs that run at one time: a key that is stuck starts no more.
const MOST_RUNNING: usize = 256;

/// What a program of ours would take for its own: the service manager talks to us alone.
const OURS: [&str; 6] =
    ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Signals that a program finds as if nobody had touched them.
const SIGNALS: [Signal; 4] = [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// What stands on the screen above the reason.
const FAILED: &str = "Grantway: a program can't be started";

/// The programs that can be started, and those that run.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// By chord, in the bindings' order.
    pub(super) bound: Vec<Command>,
    /// To be started at the beginning.
    waiting: Vec<Command>,
    running: Vec<(Pid, String)>,
}

impl Programs {
    pub(super) const fn new(bound: Vec<Command>, waiting: Vec<Command>) -> Self {
        Self { bound, waiting, running: Vec::new() }
    }

    /// Starts a program. Returns why it can't be, in a line for the user.
    fn start(&mut self, command: &[String], display: Option<&str>) -> Result<(), String> {
        let name = command.first().map(String::as_str).unwrap_or_default();
        if self.running.len() >= MOST_RUNNING {
            return Err(format!("{name}: {MOST_RUNNING} programs run already that were started so"));
        }
        let environment = environment(std::env::vars_os(), display);
        let program = spawn(command, &environment).map_err(|error| format!("{name}: {}", error.desc()))?;
        tracing::info!("{name} is started as process {program}");
        self.running.push((program, name.to_owned()));
        Ok(())
    }

    /// Takes leave of those that have ended.
    pub(super) fn reap(&mut self) {
        self.running.retain(|(program, name)| match waitpid(*program, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, 0)) => {
                tracing::debug!("{name} (process {program}) has ended");
                false
            }
            Ok(WaitStatus::Exited(_, code)) => {
                tracing::warn!("{name} (process {program}) has ended with exit code {code}");
                false
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                tracing::warn!("{name} (process {program}) was ended by {signal}");
                false
            }
            Err(Errno::ECHILD) => false,
            Ok(_) | Err(_) => true,
        });
    }
}

impl State {
    /// Starts what the configuration wants from the beginning.
    pub fn start_programs(&mut self) {
        for command in std::mem::take(&mut self.programs.waiting) {
            self.start_program(&command);
        }
    }

    /// Starts the program of a chord.
    pub(super) fn start_bound(&mut self, which: u8) {
        if let Some(command) = self.programs.bound.get(usize::from(which)).cloned() {
            self.start_program(&command);
        }
    }

    fn start_program(&mut self, command: &[String]) {
        let display = self.clients.as_ref().map(|clients| clients.wayland.socket_name());
        if let Err(why) = self.programs.start(command, display) {
            tracing::warn!("a program can't be started: {why}");
            self.scene.set_notice(FAILED, &why);
        }
    }
}

/// Ours, with what tells a program where it is.
fn environment(ours: impl Iterator<Item = (OsString, OsString)>, display: Option<&str>) -> Vec<CString> {
    let desktop = [("XDG_CURRENT_DESKTOP", Some("grantway")), ("XDG_SESSION_TYPE", Some("wayland"))];
    let set: Vec<_> = desktop.into_iter().chain([("WAYLAND_DISPLAY", display)]).collect();
    let other = |name: &OsString| set.iter().all(|(own, _)| *name != **own) && OURS.iter().all(|own| *name != **own);
    let kept = ours.filter(|(name, _)| other(name)).map(|(name, value)| {
        let mut pair = name.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        pair
    });
    let added = set.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?).into_bytes()));
    // None holds a zero: neither an environment nor the configuration can.
    kept.chain(added).filter_map(|pair| CString::new(pair).ok()).collect()
}

/// Starts a program without waiting for it: leader of a session of its own, with no descriptor of ours but where the
/// log goes, and with all signals as a new program expects them.
fn spawn(command: &[String], environment: &[CString]) -> nix::Result<Pid> {
    let words = command.iter().map(|word| CString::new(word.as_str()).map_err(|_| Errno::EINVAL));
    let words = words.collect::<nix::Result<Vec<_>>>()?;
    let program = words.first().ok_or(Errno::EINVAL)?;
    let mut attributes = PosixSpawnAttr::init()?;
    let session = PosixSpawnFlags::from_bits_retain(POSIX_SPAWN_SETSID.into());
    let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK;
    attributes.set_flags(session | signals)?;
    attributes.set_sigdefault(&SIGNALS.into_iter().collect::<SigSet>())?;
    attributes.set_sigmask(&SigSet::empty())?;
    let mut files = PosixSpawnFileActions::init()?;
    let nothing = File::open("/dev/null").map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    files.add_dup2(nothing.as_raw_fd(), 0)?;
    files.add_dup2(2, 1)?;
    // Ours are closed anyhow; these are what we were started with.
    for number in open_descriptors().filter(|number| *number > 2) {
        files.add_close(number)?;
    }
    posix_spawnp(program, &files, &attributes, &words, environment)
}

fn open_descriptors() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    fn shell(script: &str) -> Command {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    fn wait(programs: &mut Programs) {
        while !programs.running.is_empty() {
            programs.reap();
            std::thread::yield_now();
        }
    }

    fn written(file: &Path, script: &str, display: Option<&str>) -> String {
        let mut programs = Programs::default();
        programs.start(&shell(&format!("{{ {script}; }} > {}", file.display())), display).unwrap();
        wait(&mut programs);
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn a_program_has_a_session_of_its_own_and_no_descriptor_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let leaky = File::create(dir.path().join("leaky")).unwrap();
        fcntl(&leaky, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let out = dir.path().join("out");
        let session = written(&out, "cut -d' ' -f1,5,6 /proc/$$/stat", None);
        let numbers: Vec<&str> = session.split_whitespace().collect();
        assert!(numbers.len() == 3 && numbers.iter().all(|number| *number == numbers[0]), "{session}");
        let open = written(&out, "ls -l /proc/$$/fd", None);
        assert!(open.contains("/dev/null") && !open.contains("leaky"), "{open}");
        let masks = written(&out, "grep -E '^Sig(Blk|Ign)' /proc/$$/status", None);
        assert!(masks.contains("SigBlk:\t0000000000000000"), "{masks}");
        let ignored = masks.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1 << 12, 0, "SIGPIPE is not ignored");
    }

    #[test]
    fn a_program_is_told_where_it_is_and_nothing_that_is_meant_for_us() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let ours =
            || [pair("HOME", "/root"), pair("NOTIFY_SOCKET", "/run/n"), pair("WAYLAND_DISPLAY", "old")].into_iter();
        let text = |display| {
            let mut pairs: Vec<_> =
                environment(ours(), display).into_iter().map(|pair| pair.into_string().unwrap()).collect();
            pairs.sort();
            pairs.join(" ")
        };
        let where_it_is = "XDG_CURRENT_DESKTOP=grantway XDG_SESSION_TYPE=wayland";
        assert_eq!(text(Some("wayland-1")), format!("HOME=/root WAYLAND_DISPLAY=wayland-1 {where_it_is}"));
        assert_eq!(text(None), format!("HOME=/root {where_it_is}"));
    }

    #[test]
    fn what_can_not_be_started_is_said_and_what_ends_is_forgotten() {
        let mut programs = Programs::default();
        let why = programs.start(&["/no/such/program".to_owned()], None).unwrap_err();
        assert_eq!(why, "/no/such/program: No such file or directory");
        assert!(programs.start(&[], None).is_err() && programs.start(&["a\0b".to_owned()], None).is_err());
        for script in ["exit 3", "kill -SEGV $$", "true"] {
            programs.start(&shell(script), None).unwrap();
        }
        assert_eq!(programs.running.len(), 3);
        wait(&mut programs);
    }

    #[test]
    fn a_stuck_key_does_not_start_programs_without_end() {
        let running = vec![(Pid::from_raw(i32::MAX), "x".to_owned()); MOST_RUNNING];
        let mut programs = Programs { running, ..Programs::default() };
        assert!(programs.start(&shell("true"), None).unwrap_err().contains("256 programs"));
        programs.reap();
        assert!(programs.running.is_empty(), "those that are not there are forgotten");
    }
}

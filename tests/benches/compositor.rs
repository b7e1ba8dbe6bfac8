// SPDX-License-Identifier: GPL-3.0-or-later
//! The compositor's own process, started as a user would start it, and what the kernel counts of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use grantway::control::{Client, Request, Response, Status};
use grantway::sim::front::now;
use tempfile::TempDir;

use crate::Outcome;

/// Far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Larger than every guest's picture: all of it is shown.
const SIZE: &str = "1920x1080";

/// A running compositor, headless, with the pixman renderer, on the simulator.
pub(crate) struct Compositor {
    dir: TempDir,
    child: Child,
    client: Client,
}

impl Compositor {
    /// Starts it with one output.
    pub(crate) fn start(hertz: u32) -> Outcome<Self> {
        Self::launch(Command::new(env!("CARGO_BIN_EXE_grantway")), hertz, "")
    }

    /// Starts one whose guests may have two buffers, and are refused more of them as fast as they ask.
    pub(crate) fn start_refusing(hertz: u32) -> Outcome<Self> {
        let limits =
            "[limits]\nbuffers-per-connector = 2\nrequests-per-second = 100000\nrefusals-per-second = 100000\n";
        Self::launch(Command::new(env!("CARGO_BIN_EXE_grantway")), hertz, limits)
    }

    /// Starts it under `strace`, which writes its counts to `counts` when the compositor ends.
    pub(crate) fn start_traced(hertz: u32, counts: &Path) -> Outcome<Self> {
        Self::launch(strace(counts), hertz, "")
    }

    /// Starts one whose guests may have so many connectors, under `strace` where there is a file for its counts.
    pub(crate) fn start_for(hertz: u32, connectors: usize, counts: Option<&Path>) -> Outcome<Self> {
        let command = counts.map_or_else(|| Command::new(env!("CARGO_BIN_EXE_grantway")), strace);
        Self::launch(command, hertz, &format!("[limits]\nconnectors = {connectors}\n"))
    }

    fn launch(mut command: Command, hertz: u32, config: &str) -> Outcome<Self> {
        let dir = TempDir::new()?;
        fs::write(dir.path().join("config.toml"), config)?;
        command.arg("--config").arg(dir.path().join("config.toml"));
        let platform = format!("sim:{}", dir.path().join("xen.sock").display());
        let socket = dir.path().join("control.sock");
        command.args(["--platform", &platform, "--backend", "headless", "--renderer", "pixman", "--log", "warn"]);
        command.args(["--output", &format!("{SIZE}@{hertz}")]).arg("--socket").arg(&socket).stdin(Stdio::null());
        let child =
            command.spawn().map_err(|error| format!("{:?} can't be started: {error}", command.get_program()))?;
        let client = connect(&socket)?;
        Ok(Self { dir, child, client })
    }

    /// Where guests connect to.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("xen.sock")
    }

    /// What it used so far; only of one that is not traced.
    pub(crate) fn usage(&self) -> Outcome<Usage> {
        Usage::of(self.child.id())
    }

    /// What it tells of its guests.
    pub(crate) fn status(&mut self) -> Outcome<Status> {
        match self.client.request(&Request::Status {})? {
            Response::Status(status) => Ok(*status),
            other @ (Response::Done | Response::Screenshot(_) | Response::Reloaded { .. } | Response::Error(_)) => {
                Err(format!("the compositor answers {other:?} instead of its status").into())
            }
        }
    }

    /// Ends it, and waits for its end.
    pub(crate) fn quit(mut self) -> Outcome<()> {
        self.client.request(&Request::Quit {})?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the compositor ended with {status}").into()) }
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        // All three fail only when it has ended already. The request reaches it also behind strace.
        let _ended_already = self.client.request(&Request::Quit {});
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

fn strace(counts: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-c", "-f", "-o"]).arg(counts).arg(env!("CARGO_BIN_EXE_grantway"));
    command
}

fn connect(socket: &Path) -> Outcome<Client> {
    let end = now() + PATIENCE;
    loop {
        match Client::connect(socket, PATIENCE) {
            Ok(client) => return Ok(client),
            Err(error) if now() >= end => return Err(error.into()),
            Err(_) => pause(Duration::from_millis(10)),
        }
    }
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "a bench outside of the loop")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// What the kernel counts of a process, over all of its threads.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Time on a CPU, in ticks of the kernel's clock (10 ms).
    pub(crate) ticks: u64,
    /// The same in nanoseconds, as the scheduler counts it.
    pub(crate) cpu_ns: u64,
    /// Times that it went to sleep by itself.
    pub(crate) voluntary: u64,
    /// Times that another process took its CPU.
    pub(crate) involuntary: u64,
}

impl Usage {
    fn of(pid: u32) -> Outcome<Self> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(process.join("stat"))?;
        // The name stands in parentheses and may hold spaces; utime and stime are fields 14 and 15 of proc(5).
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut usage = Self {
            ticks: after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum(),
            ..Self::default()
        };
        for thread in fs::read_dir(process.join("task"))? {
            let thread = thread?.path();
            let schedule = fs::read_to_string(thread.join("schedstat"))?;
            usage.cpu_ns += schedule.split_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
            let status = fs::read_to_string(thread.join("status"))?;
            usage.voluntary += field(&status, "voluntary_ctxt_switches:")?;
            usage.involuntary += field(&status, "nonvoluntary_ctxt_switches:")?;
        }
        Ok(usage)
    }

    /// What was used since `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(before.ticks),
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            involuntary: self.involuntary.saturating_sub(before.involuntary),
        }
    }

    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            ticks: self.ticks.saturating_add(other.ticks),
            cpu_ns: self.cpu_ns.saturating_add(other.cpu_ns),
            voluntary: self.voluntary.saturating_add(other.voluntary),
            involuntary: self.involuntary.saturating_add(other.involuntary),
        }
    }
}

fn field(status: &str, name: &str) -> Outcome<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.ok_or_else(|| format!("the kernel does not count {name}"))?.trim().parse()?)
}

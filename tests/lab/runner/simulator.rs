// SPDX-License-Identifier: GPL-3.0-or-later
//! Scenarios on the simulator: dom0.sh as a process of this machine, with the compositor and the guests as its
//! children. Nothing outlives it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::Result;
use crate::report::Outcome;
use crate::requests::{Share, answer_all};
use crate::results::Results;
use crate::scenario::Scenario;

/// How long a scenario may take here, even where it is given more on an emulated machine.
const LIMIT: Duration = Duration::from_secs(300);

/// What all runs have in common.
#[derive(Debug)]
pub(crate) struct Simulator {
    /// The compositor.
    pub(crate) grantway: PathBuf,
    /// The guests' program.
    pub(crate) guest: PathBuf,
    /// Where results go, in a folder for each scenario.
    pub(crate) out: PathBuf,
}

impl Simulator {
    /// Runs a scenario to its end.
    pub(crate) fn run(&self, scenario: &Scenario) -> Result<Outcome> {
        println!("{}: {}", scenario.name, scenario.about);
        let folder = self.out.join(&scenario.name);
        let cleared = match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(folder.join("requests")),
        };
        cleared.map_err(|error| format!("{}: {error}", folder.display()))?;
        // Sockets lie there, whose paths must be short (108 bytes).
        let passing = tempfile::tempdir().map_err(|error| format!("a folder for passing things: {error}"))?;
        let mut dom0 = self.start(scenario, &folder, passing.path())?;
        let mut results = Results::new(scenario, folder.clone());
        let outcome = self.watch(scenario, &mut dom0, &folder, &mut results);
        results.progress().iter().for_each(|line| println!("  {line}"));
        // Only when it runs too long is there anything left to kill; else the number is free again.
        if let Ok(None) = dom0.try_wait() {
            let group = i32::try_from(dom0.id()).map_err(|error| error.to_string())?;
            killpg(Pid::from_raw(group), Signal::SIGKILL)
                .map_err(|error| format!("dom0.sh cannot be killed: {error}"))?;
            dom0.wait().map_err(|error| format!("dom0.sh: {error}"))?;
        }
        let outcome = outcome?;
        match &outcome.failure {
            Some(why) => println!("  FAILED: {why}"),
            None => println!("  passed"),
        }
        Ok(outcome)
    }

    fn start(&self, scenario: &Scenario, folder: &Path, passing: &Path) -> Result<Child> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
        let log = folder.join("dom0.log");
        let output = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "bash"]).arg(scripts.join("dom0/run-scenario"));
        command.env("LAB_PLATFORM", "simulator").env("SCENARIO", &scenario.name);
        command.env("LAB", folder).env("RESULTS", folder).env("RUN", passing);
        command.env("GRANTWAY", &self.grantway).env("LAB_GUEST", &self.guest);
        command.env("GUEST_INIT", scripts.join("guest/simulator-init"));
        // As Dom0 has it.
        command.env("LC_ALL", "C.UTF-8");
        command.current_dir(&scenario.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        command.spawn().map_err(|error| format!("bash cannot be started by setpriv: {error}"))
    }

    fn watch(&self, scenario: &Scenario, dom0: &mut Child, folder: &Path, results: &mut Results) -> Result<Outcome> {
        let (start, limit) = (Instant::now(), scenario.timeout.min(LIMIT));
        loop {
            let ended = dom0.try_wait().map_err(|error| format!("dom0.sh: {error}"))?;
            if let Some(status) = ended {
                // A signal is a failure too.
                let code = status.code().unwrap_or(128);
                return Ok(results.outcome(&code.to_string()));
            }
            if start.elapsed() > limit {
                return Ok(results.broken(format!("no end after {} seconds", limit.as_secs())));
            }
            answer_all(Share { folder, inside: folder }, None)?;
            results.progress().iter().for_each(|line| println!("  {line}"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

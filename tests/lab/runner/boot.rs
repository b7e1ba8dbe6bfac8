// SPDX-License-Identifier: GPL-3.0-or-later
//! One boot of the lab: the shared folder is laid out, the machine started, its scenarios watched, its
//! requests answered, and the results taken home.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Result;
use crate::qemu::{Machine, Running, Serial};
use crate::qmp::Qmp;
use crate::report::Outcome;
use crate::requests::{self, Share};
use crate::results::Results;
use crate::scenario::Scenario;

/// The boot until scenarios can run takes 10 s on a quiet machine, a minute on a busy one.
const BOOT_LIMIT: Duration = Duration::from_secs(400);
/// The same with systemd, which starts some thirty services before.
const SYSTEMD_BOOT_LIMIT: Duration = Duration::from_secs(900);
/// What Dom0 may take beyond a scenario's own limit, for cleaning up.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(180);
const POWER_OFF_LIMIT: Duration = Duration::from_secs(60);

/// What all boots have in common.
#[derive(Debug)]
pub(crate) struct Lab {
    /// tests/lab of the repository.
    pub(crate) scripts: PathBuf,
    /// prepare.sh's output.
    pub(crate) kit: PathBuf,
    /// Where results go.
    pub(crate) out: PathBuf,
    /// Whether the scenarios do all that they can (`rounds` in dom0/lab.sh).
    pub(crate) soak: bool,
}

impl Lab {
    /// Boots and runs the scenarios until one fails or all are done. At least one outcome comes back;
    /// scenarios without one have not been tried.
    pub(crate) fn boot(&self, number: usize, scenarios: &[Scenario]) -> Result<Vec<Outcome>> {
        let folder = self.folder(&format!("boot-{number}"))?;
        let share = self.lay_out(&folder, scenarios)?;
        let serial = folder.join("serial.log");
        let (mut machine, mut qmp) = self.start(&folder, &share, Serial::File(serial.clone()))?;
        let mut watch = Watch { share: &share, start: Instant::now(), state: String::new() };
        let outcomes = watch.scenarios(scenarios, &mut machine, &mut qmp);
        if !machine.wait(POWER_OFF_LIMIT) {
            println!("  Dom0 does not power off: killed");
        }
        drop(machine);
        let outcomes = outcomes?;
        for outcome in &outcomes {
            self.take_home(&share, &serial, &outcome.name)?;
        }
        Ok(outcomes)
    }

    /// A prompt in Dom0 on this terminal, until its user leaves it.
    pub(crate) fn shell(&self) -> Result<()> {
        let folder = self.folder("shell")?;
        let share = self.lay_out(&folder, &[])?;
        fs::write(share.join("shell"), "").map_err(|error| error.to_string())?;
        println!("Dom0 starts; 'exit' in its shell ends it, or Ctrl-C here while it boots.");
        let (mut machine, mut qmp) = self.start(&folder, &share, Serial::Terminal)?;
        while !machine.ended() {
            // Screendumps and input work from the shell too. The socket closes when the machine ends.
            if let Err(why) = requests::answer_all(seen(&share), Some(&mut qmp))
                && !machine.wait(Duration::from_secs(2))
            {
                return Err(why);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("Results of this session: {}", share.join("results").display());
        Ok(())
    }

    /// A folder of results by that name, made empty.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.out.join(name);
        let made = match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&folder),
        };
        made.map(|()| folder.clone()).map_err(|error| format!("{}: {error}", folder.display()))
    }

    /// Fills the folder that Dom0 sees as /lab.
    fn lay_out(&self, folder: &Path, scenarios: &[Scenario]) -> Result<PathBuf> {
        let share = folder.join("share");
        copy(&self.scripts.join("dom0"), &share)?;
        for name in ["requests", "results", "scenarios"] {
            fs::create_dir_all(share.join(name)).map_err(|error| format!("{name}: {error}"))?;
        }
        let mut queue = String::new();
        for scenario in scenarios {
            copy(&scenario.folder, &share.join("scenarios").join(&scenario.name))?;
            queue.push_str(&format!("{} {}\n", scenario.name, scenario.timeout.as_secs()));
        }
        if let Some(scenario) = scenarios.iter().find(|scenario| scenario.systemd) {
            fs::write(share.join("systemd"), &scenario.name).map_err(|error| format!("systemd's mark: {error}"))?;
        }
        if self.soak {
            fs::write(share.join("soak"), "").map_err(|error| format!("the soak's mark: {error}"))?;
        }
        fs::write(share.join("queue"), queue).map_err(|error| format!("the queue: {error}"))?;
        Ok(share)
    }

    fn start(&self, folder: &Path, share: &Path, serial: Serial) -> Result<(Running, Qmp)> {
        // Socket paths are limited to 108 bytes, and a clone may lie deep.
        let control = std::env::temp_dir().join(format!("xen-lab-{}.qmp", std::process::id()));
        let log = folder.join("qemu.log");
        let machine = Machine { kit: &self.kit, share, serial, control: &control, log: &log };
        let mut running = machine.start()?;
        let qmp = Qmp::connect(&control).map_err(|why| {
            let ended = if running.ended() { " (QEMU has ended)" } else { "" };
            let said = fs::read_to_string(&log).unwrap_or_default();
            format!("{why}{ended}; {}", said.trim())
        });
        // Connected or not, nobody else will use the socket's name.
        let _ = fs::remove_file(&control);
        Ok((running, qmp?))
    }

    /// Moves a scenario's results to their place, and the machine's serial log with them.
    fn take_home(&self, share: &Path, serial: &Path, name: &str) -> Result<()> {
        let folder = self.folder(name)?;
        let from = share.join("results").join(name);
        if from.is_dir() {
            copy(&from, &folder)?;
        }
        fs::copy(serial, folder.join("serial.log")).map_err(|error| format!("{}: {error}", serial.display()))?;
        Ok(())
    }
}

/// Dom0 sees the shared folder as /lab.
fn seen(share: &Path) -> Share<'_> {
    Share { folder: share, inside: Path::new("/lab") }
}

/// Copies a folder with all that is in it, and the files' rights.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else if source.is_file() {
            fs::copy(&source, &target).map_err(|error| format!("{}: {error}", source.display()))?;
        }
    }
    Ok(())
}

/// The eyes on a running Dom0.
struct Watch<'a> {
    share: &'a Path,
    start: Instant,
    /// What Dom0 last said that it does.
    state: String,
}

impl Watch<'_> {
    fn scenarios(&mut self, scenarios: &[Scenario], machine: &mut Running, qmp: &mut Qmp) -> Result<Vec<Outcome>> {
        let systemd = scenarios.iter().any(|scenario| scenario.systemd);
        let limit = if systemd { SYSTEMD_BOOT_LIMIT } else { BOOT_LIMIT };
        let booted = self.until(machine, qmp, limit, |watch| {
            if let Some(what) = watch.state.strip_prefix("failed: ") {
                return Some(Err(format!("Dom0's boot failed at: {what}")));
            }
            (!watch.state.is_empty() && watch.state != "booting").then_some(Ok(()))
        });
        if let Err(why) = booted.and_then(|done| done) {
            let [first, ..] = scenarios else { return Err(why) };
            self.say(&format!("  FAILED: {why}"));
            return Ok(vec![Results::new(first, PathBuf::new()).broken(format!("Dom0 did not boot: {why}"))]);
        }
        let mut outcomes = Vec::new();
        for scenario in scenarios {
            let outcome = self.scenario(scenario, machine, qmp);
            let failed = outcome.failure.is_some();
            outcomes.push(outcome);
            if failed {
                break;
            }
        }
        Ok(outcomes)
    }

    /// Watches one scenario to its end, or to Dom0's.
    fn scenario(&mut self, scenario: &Scenario, machine: &mut Running, qmp: &mut Qmp) -> Outcome {
        self.say(&format!("{}: {}", scenario.name, scenario.about));
        let mut results = Results::new(scenario, self.share.join("results").join(&scenario.name));
        let status = self.until(machine, qmp, scenario.timeout + CLEAN_UP_LIMIT, |watch| {
            results.progress().iter().for_each(|line| watch.say(&format!("  {line}")));
            results.text("status")
        });
        let outcome = match status {
            Ok(status) => results.outcome(status.trim()),
            // Dom0 did not survive it.
            Err(why) => results.broken(why),
        };
        self.say(&match &outcome.failure {
            Some(why) => format!("  FAILED: {why}"),
            None => "  passed".into(),
        });
        outcome
    }

    /// Answers requests and calls `done` until it returns something, the machine ends or time runs out.
    fn until<T>(
        &mut self,
        machine: &mut Running,
        qmp: &mut Qmp,
        limit: Duration,
        mut done: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            // Looked at first: what a machine wrote before its end counts.
            let ended = machine.ended();
            self.update_state();
            if let Some(value) = done(self) {
                return Ok(value);
            }
            if ended {
                return Err("the machine ended too early; see serial.log".into());
            }
            if start.elapsed() > limit {
                return Err(format!("no end after {} s: the machine hangs; see serial.log", limit.as_secs()));
            }
            if let Err(why) = requests::answer_all(seen(self.share), Some(qmp)) {
                self.say(&format!("  {why}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn update_state(&mut self) {
        let state = fs::read_to_string(self.share.join("state")).unwrap_or_default();
        if !state.trim().is_empty() && state.trim() != self.state {
            self.state = state.trim().to_owned();
            self.say(&format!("Dom0: {}", self.state));
        }
    }

    fn say(&self, text: &str) {
        println!("[{:6.1}] {text}", self.start.elapsed().as_secs_f64());
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The runner of the scenarios: boots Xen, Dom0 and guests in QEMU's software emulation, runs
//! scenarios there, or runs them on the simulator, and reports. See docs/lab.md.
//!
//! It stands on the standard library alone where it can, and never on the product that it tests.
#![allow(clippy::disallowed_methods, reason = "it waits and keeps time limits, and has no loop to block")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal, with no other output")]
#![allow(clippy::indexing_slicing, reason = "what it indexes is its own, and a bug may stop a test run")]

mod boot;
#[path = "../guest/pattern.rs"]
mod pattern;
mod picture;
mod qemu;
mod qmp;
mod report;
mod requests;
mod results;
mod scenario;
mod simulator;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::fcntl::{Flock, FlockArg};

use boot::Lab;
use report::Outcome;
use scenario::{Platform, Scenario};
use simulator::Simulator;

/// Whatever goes wrong here is told in one line and ends the run.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str =
    "usage: xen-lab [--out DIR] [SCENARIO-FOLDER...]   run scenarios (all of tests/lab/scenarios by default)
       xen-lab [--out DIR] --soak [SCENARIO-FOLDER...]   those that do more in a soak, in full length: hours
       xen-lab [--out DIR] --simulator [SCENARIO-FOLDER...]   the same on the simulator, without Xen
       xen-lab [--out DIR] --shell              a prompt in Dom0, the compositor running";

struct Arguments {
    out: PathBuf,
    shell: bool,
    soak: bool,
    platform: Platform,
    scenarios: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("xen-lab: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xen-lab: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>> {
    let mut arguments = Arguments {
        out: PathBuf::from("target/xen-lab"),
        shell: false,
        soak: false,
        platform: Platform::Xen,
        scenarios: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--shell" => arguments.shell = true,
            "--soak" => arguments.soak = true,
            "--simulator" => arguments.platform = Platform::Simulator,
            "--out" => arguments.out = words.next().ok_or("--out needs a folder")?.into(),
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            folder => arguments.scenarios.push(folder.into()),
        }
    }
    if arguments.shell && (arguments.platform == Platform::Simulator || !arguments.scenarios.is_empty()) {
        return Err("--shell is for real Xen, and takes no scenarios".into());
    }
    if arguments.soak && (arguments.platform == Platform::Simulator || arguments.shell) {
        return Err("--soak is for real Xen, where scenarios are else shorter, and for scenarios".into());
    }
    Ok(Some(arguments))
}

/// Runs what was asked for. False when a scenario failed.
fn run(arguments: &Arguments) -> Result<bool> {
    // Read before anything is built: a wrong name must not cost the user minutes.
    let scenarios = match arguments {
        Arguments { shell: true, .. } => Vec::new(),
        Arguments { soak: true, .. } => scenario::soaked(scenario::load(&arguments.scenarios, arguments.platform)?)?,
        _ => scenario::load(&arguments.scenarios, arguments.platform)?,
    };
    std::fs::create_dir_all(&arguments.out).map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    let out = arguments.out.canonicalize().map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    let outcomes = match arguments.platform {
        Platform::Simulator => {
            let simulator = Simulator { grantway: built("grantway")?, guest: built("lab-guest")?, out: out.clone() };
            scenarios.iter().map(|scenario| simulator.run(scenario)).collect::<Result<Vec<_>>>()?
        }
        Platform::Xen => {
            let _turn = turn()?;
            let lab = prepare(&out, arguments.soak)?;
            if arguments.shell {
                return lab.shell().map(|()| true);
            }
            run_all(&lab, &scenarios)?
        }
    };
    report::write(&out, &outcomes)?;
    Ok(report::print(&outcomes))
}

/// A program's path: cargo puts this runner into a folder below that of the programs.
fn built(name: &str) -> Result<PathBuf> {
    let runner = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    Ok(runner.ancestors().nth(2).map(|folder| folder.join(name)).unwrap_or_default())
}

/// One lab at a time on a machine: two would only take each other's time until limits run out.
fn turn() -> Result<Flock<File>> {
    let path = std::env::temp_dir().join("grantway-xen-lab.lock");
    let open = || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        file.map_err(|error| format!("{}: {error}", path.display()))
    };
    match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err(_) => {
            println!("another lab runs on this machine: waiting for its end");
            Flock::lock(open()?, FlockArg::LockExclusive).map_err(|(_, error)| format!("{}: {error}", path.display()))
        }
    }
}

/// Builds what a boot needs: the tree, the boot files, the helper.
fn prepare(out: &Path, soak: bool) -> Result<Lab> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
    let kit = out.join("kit");
    let status = Command::new("bash")
        .arg(scripts.join("prepare.sh"))
        .env("GRANTWAY", built("grantway")?)
        .env("LAB_GUEST", built("lab-guest")?)
        .arg(&kit)
        // What is typed is meant for the shell that comes later.
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("bash cannot be started: {error}"))?;
    if !status.success() {
        return Err("the lab could not be prepared; the lines above tell why".into());
    }
    Ok(Lab { scripts, kit, out: out.to_path_buf(), soak })
}

/// How often a scenario is run at most, when the emulated machine ends its guests.
const MOST_RUNS: usize = 3;

/// Runs the scenarios, as many of them in one boot as go well: after a failure, or a Dom0 that broke,
/// the others go on in a fresh one, so that no scenario fails for another's sake. One that failed after the emulated
/// machine had ended a guest is run again; its figures tell.
fn run_all(lab: &Lab, scenarios: &[Scenario]) -> Result<Vec<Outcome>> {
    let start = Instant::now();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let (mut boots, mut runs) = (0, 1);
    while outcomes.len() < scenarios.len() {
        boots += 1;
        let left = &scenarios[outcomes.len()..];
        let batch = 1 + left.iter().skip(1).take_while(|next| !next.fresh_boot).count();
        let batch = if left[0].fresh_boot { 1 } else { batch };
        println!("boot {boots}: {} of {} scenarios to go", left.len(), scenarios.len());
        let done = lab.boot(boots, &left[..batch])?;
        if done.is_empty() {
            return Err("internal error: a boot ended without an outcome".into());
        }
        for mut outcome in done {
            if let (Some(_), Some(fault)) = (&outcome.failure, &outcome.emulator)
                && runs < MOST_RUNS
            {
                println!("  the emulated machine has ended a guest of {}: once more; Xen said: {fault}", outcome.name);
                runs += 1;
                break;
            }
            if runs > 1 {
                outcome.figures.push(("runs-for-the-emulator".to_owned(), runs.to_string()));
            }
            runs = 1;
            outcomes.push(outcome);
        }
    }
    println!("all scenarios: {:.0} s, {boots} boots", start.elapsed().as_secs_f64());
    Ok(outcomes)
}

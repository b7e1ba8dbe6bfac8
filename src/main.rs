// SPDX-License-Identifier: GPL-3.0-or-later
//! The program: joins the command line with the platform and the loop.

use std::process::ExitCode;

use grantway::cli::{self, DemoOptions, Failure, Hooks, RunOptions};
use grantway::doctor::Probe;

fn main() -> ExitCode {
    cli::main(Hooks { run, demo, probe })
}

fn run(options: RunOptions) -> Result<(), Failure> {
    Err(format!("the compositor is not part of this build yet (asked for {:?})", options.platform).into())
}

fn demo(options: DemoOptions) -> Result<(), Failure> {
    Err(format!("the demo is not part of this build yet (asked for {})", options.directory.display()).into())
}

fn probe() -> Vec<Probe> {
    Vec::new()
}

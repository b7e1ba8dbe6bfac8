// SPDX-License-Identifier: GPL-3.0-or-later
//! The program: joins the command line with the platform and the loop.

use std::process::ExitCode;

use grantway::cli::{self, DemoOptions, Failure, Hooks, RunOptions};
use grantway::doctor::Probe;
use grantway::startup;

fn main() -> ExitCode {
    cli::main(Hooks { run, demo, probe })
}

fn run(options: RunOptions) -> Result<(), Failure> {
    startup::run(options, || Err("real Xen is not part of this build yet".into()))
}

#[cfg(feature = "sim")]
fn demo(options: DemoOptions) -> Result<(), Failure> {
    let mut printed = Ok(());
    grantway::demo::run(&options, &mut |line| printed = cli::print(&format!("{line}\n")))?;
    Ok(printed?)
}

#[cfg(not(feature = "sim"))]
fn demo(_options: DemoOptions) -> Result<(), Failure> {
    Err("this grantway was built without the simulator (feature \"sim\")".into())
}

fn probe() -> Vec<Probe> {
    Vec::new()
}

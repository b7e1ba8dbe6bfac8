// SPDX-License-Identifier: GPL-3.0-or-later
//! The program: joins the command line with the platform and the loop.

use std::process::ExitCode;

use grantway::cli::{self, DemoOptions, Failure, Hooks, RunOptions};
use grantway::doctor::{self, Probe};
use grantway::startup;
use grantway::xen::sys;
use xenstore_rs::unix::XsUnix;

fn main() -> ExitCode {
    cli::main(Hooks { run, demo, probe })
}

fn run(options: RunOptions) -> Result<(), Failure> {
    startup::run(options, || Ok(sys::open()?))
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
    let mut probes: Vec<_> = sys::probe().into_iter().map(weigh).collect();
    // Without a connection the probes have said so already.
    if let Ok(store) = XsUnix::new() {
        probes.extend(doctor::guest_displays(&store));
        probes.extend(doctor::guest_inputs(&store));
    }
    probes
}

/// Only the helper, and what needs it, can be done without: then pixels may be copied.
fn weigh(probe: sys::Probe) -> Probe {
    match (probe.state, probe.name) {
        (sys::ProbeState::Ok, name) => Probe::good(name, probe.detail),
        (_, name @ ("kernel helper" | sys::PROVIDER_PROBE | sys::ALLOCATION_PROBE | sys::GIVEN_PROBE)) => {
            Probe::warning(name, probe.detail, probe.advice)
        }
        (_, name) => Probe::bad(name, probe.detail, probe.advice),
    }
}

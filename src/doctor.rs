// SPDX-License-Identifier: GPL-3.0-or-later
//! `grantway doctor`: can it run here, and what is to be done where it can't?
//!
//! What files tell is examined here, below a root directory that tests choose; what Xen's drivers tell
//! comes as ready [`Probe`]s from the one who may call them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

mod guests;
mod inputs;

pub use guests::guest_displays;
pub use inputs::guest_inputs;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    /// As it should be.
    Good,
    /// Grantway runs, but with less.
    Warning,
    /// Grantway can't run.
    Bad,
}

impl ProbeState {
    const fn mark(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warn",
            Self::Bad => "FAIL",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What, in a few words.
    pub name: String,
    /// How it stands.
    pub state: ProbeState,
    /// What was found.
    pub detail: String,
    /// What to do; empty when nothing needs doing.
    pub advice: String,
}

impl Probe {
    /// A thing that is as it should be.
    #[must_use]
    pub fn good(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: ProbeState::Good, detail: detail.into(), advice: String::new() }
    }

    /// A thing without which Grantway runs, but with less.
    #[must_use]
    pub fn warning(name: &str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        let state = ProbeState::Warning;
        Self { name: name.to_owned(), state, detail: detail.into(), advice: advice.into() }
    }

    /// A thing without which Grantway can't run.
    #[must_use]
    pub fn bad(name: &str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: ProbeState::Bad, detail: detail.into(), advice: advice.into() }
    }
}

/// All that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether this machine runs on Xen at all.
    pub xen: bool,
    /// What was looked at, in the order in which things depend on each other.
    pub probes: Vec<Probe>,
}

impl Report {
    /// Whether Grantway can run here with real guests.
    #[must_use]
    pub fn can_run(&self) -> bool {
        self.probes.iter().all(|probe| probe.state != ProbeState::Bad)
    }

    /// The report as JSON, with a line end.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let value = serde_json::json!({ "can-run": self.can_run(), "xen": self.xen, "checks": self.probes });
        serde_json::to_string_pretty(&value).map(|text| text + "\n")
    }

    /// The report for people, one line for each thing and one for each advice.
    #[must_use]
    pub fn to_text(&self) -> String {
        let width = self.probes.iter().map(|probe| probe.name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for probe in &self.probes {
            text.push_str(&format!("{:4}  {:width$}  {}\n", probe.state.mark(), probe.name, probe.detail));
            if !probe.advice.is_empty() {
                text.push_str(&format!("{:4}  {:width$}  > {}\n", "", "", probe.advice));
            }
        }
        text.push_str(self.verdict());
        text
    }

    const fn verdict_of(xen: bool, can_run: bool) -> &'static str {
        match (xen, can_run) {
            (false, _) => {
                "\nThis machine does not run on Xen, so there are no guests to show. `make demo` runs Grantway with simulated guests.\n"
            }
            (true, true) => "\nGrantway can run here.\n",
            (true, false) => "\nGrantway can't run here yet: see the lines marked FAIL.\n",
        }
    }

    fn verdict(&self) -> &'static str {
        Self::verdict_of(self.xen, self.can_run())
    }
}

/// The files that are looked at.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// This machine.
    #[must_use]
    pub fn real() -> Self {
        Self::below(Path::new("/"))
    }

    /// A copy of a machine's `/proc`, `/sys`, `/dev` and `/run` below a directory.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    fn read(&self, absolute: &str) -> Option<String> {
        fs::read_to_string(self.path(absolute)).ok().map(|text| text.trim().to_owned())
    }

    fn exists(&self, absolute: &str) -> bool {
        self.path(absolute).exists()
    }

    /// Names in a directory, sorted; none when it is not there.
    fn list(&self, absolute: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(absolute)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// Looks at everything. `drivers` is what Xen's parts say of themselves; where the machine does not run on
/// Xen only the first of them counts, since all others would only say so again.
#[must_use]
pub fn examine(system: &System, drivers: Vec<Probe>) -> Report {
    let xen = system.read("/sys/hypervisor/type").is_some_and(|kind| kind == "xen");
    let counted = if xen { drivers.len() } else { 1 };
    let mut probes: Vec<Probe> = drivers.into_iter().take(counted).collect();
    if !xen && probes.is_empty() {
        probes.push(Probe::bad("hypervisor", "this machine does not run on Xen", "boot it under Xen"));
    }
    probes.push(kernel(system));
    probes.push(displays(system));
    probes.push(seat(system));
    probes.push(memory(system));
    Report { xen, probes }
}

fn kernel(system: &System) -> Probe {
    let release = system.read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < (6, 1) => {
            Probe::warning("kernel", release, "6.1 is the oldest kernel that the helper is built for")
        }
        (Some(_), Some(_)) => Probe::good("kernel", release),
        _ => Probe::warning("kernel", format!("version not understood: {release}"), "6.1 or newer is expected"),
    }
}

fn displays(system: &System) -> Probe {
    let names = system.list("/sys/class/drm");
    let cards: Vec<&String> = names.iter().filter(|name| is_card(name)).collect();
    if cards.is_empty() {
        return Probe::warning("displays", "no DRM device", "grantway runs headless; for a display load its driver");
    }
    let described: Vec<String> = cards.iter().map(|card| describe_card(system, card, &names)).collect();
    Probe::good("displays", described.join("; "))
}

fn is_card(name: &str) -> bool {
    name.strip_prefix("card").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn describe_card(system: &System, card: &str, names: &[String]) -> String {
    let driver = fs::read_link(system.path(&format!("/sys/class/drm/{card}/device/driver"))).ok();
    let driver = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let connected: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix(card)?.strip_prefix('-').map(|connector| (name, connector)))
        .filter(|(name, _)| {
            system.read(&format!("/sys/class/drm/{name}/status")).is_some_and(|status| status == "connected")
        })
        .map(|(_, connector)| connector)
        .collect();
    let displays = if connected.is_empty() { "no display".to_owned() } else { connected.join(", ") };
    format!("{card} ({}): {displays}", driver.unwrap_or_else(|| "driver unknown".to_owned()))
}

fn seat(system: &System) -> Probe {
    if system.exists("/run/seatd.sock") {
        return Probe::good("seat", "seatd");
    }
    if system.exists("/run/systemd/seats") {
        return Probe::good("seat", "logind");
    }
    Probe::warning("seat", "neither seatd nor logind", "apt install seatd, or run as root with --session none")
}

fn memory(system: &System) -> Probe {
    let info = system.read("/proc/meminfo").unwrap_or_default();
    let available = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    match available.map(|kib| kib / 1024) {
        None => Probe::warning("memory", "not known", "is /proc mounted?"),
        Some(mib) if mib < 128 => Probe::warning(
            "memory",
            format!("{mib} MiB available"),
            "give Dom0 more (dom0_mem=), at least 128 MiB beside what it uses itself",
        ),
        Some(mib) => Probe::good("memory", format!("{mib} MiB available")),
    }
}

#[cfg(test)]
mod tests;

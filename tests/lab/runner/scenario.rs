// SPDX-License-Identifier: GPL-3.0-or-later
//! Scenario folders: what they are called, how long they may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;

/// A folder with `scenario.conf` and `dom0.sh`, and what else these use.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The folder's name, and that of its results.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// One line for the reader of the output.
    pub(crate) about: String,
    /// How long dom0.sh may take. At least five times what it takes on a quiet machine.
    pub(crate) timeout: Duration,
    /// Whether it wants a Dom0 of its own.
    pub(crate) fresh_boot: bool,
    /// Whether Dom0's first program is systemd, and not the lab's own.
    pub(crate) systemd: bool,
    /// How long it may take in a soak, where it has more to do in one (`rounds` in dom0/lab.sh).
    pub(crate) soak_timeout: Option<Duration>,
    /// Where it runs.
    pub(crate) platforms: Vec<Platform>,
    /// Why not everywhere; empty where it does.
    pub(crate) reason: String,
}

/// What a scenario runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Xen,
    Simulator,
}

impl Platform {
    const ALL: [Self; 2] = [Self::Xen, Self::Simulator];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Xen => "xen",
            Self::Simulator => "simulator",
        }
    }

    fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|platform| platform.name() == name);
        found.ok_or_else(|| format!("platforms: '{name}' is neither xen nor simulator"))
    }
}

/// The repository's scenarios, in the order of their names.
pub(crate) fn all() -> Result<Vec<Scenario>> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios");
    let entries = std::fs::read_dir(&all).map_err(|error| format!("{}: {error}", all.display()))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found.iter().filter(|folder| folder.is_dir()).map(|folder| read(folder)).collect()
}

/// For a soak: the scenarios that have more to do in one, with their longer limits.
pub(crate) fn soaked(scenarios: Vec<Scenario>) -> Result<Vec<Scenario>> {
    let longer = |scenario: Scenario| Some(Scenario { timeout: scenario.soak_timeout?, ..scenario });
    let soaked: Vec<_> = scenarios.into_iter().filter_map(longer).collect();
    if soaked.is_empty() { Err("none of these scenarios has a soak-timeout".into()) } else { Ok(soaked) }
}

/// The scenarios in the given folders, which must be for the platform; without any, all of the repository that are.
pub(crate) fn load(folders: &[PathBuf], platform: Platform) -> Result<Vec<Scenario>> {
    let scenarios = if folders.is_empty() {
        let mut scenarios = all()?;
        scenarios.retain(|scenario| scenario.platforms.contains(&platform));
        scenarios
    } else {
        folders.iter().map(|folder| read(folder)).collect::<Result<Vec<_>>>()?
    };
    if let Some(other) = scenarios.iter().find(|scenario| !scenario.platforms.contains(&platform)) {
        return Err(format!("scenario {} is not for platform {}: {}", other.name, platform.name(), other.reason));
    }
    for (index, scenario) in scenarios.iter().enumerate() {
        if scenarios[..index].iter().any(|other| other.name == scenario.name) {
            return Err(format!("two scenarios are called {}", scenario.name));
        }
    }
    if scenarios.is_empty() {
        return Err("there is no scenario to run".into());
    }
    Ok(scenarios)
}

fn read(folder: &Path) -> Result<Scenario> {
    let folder = folder.canonicalize().map_err(|error| format!("scenario {}: {error}", folder.display()))?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(usable) {
        return Err(format!("scenario {}: its name may have letters, digits, '-', '_' and '.' only", folder.display()));
    }
    if !folder.join("dom0.sh").is_file() {
        return Err(format!("scenario {}: it has no dom0.sh", folder.display()));
    }
    let conf = folder.join("scenario.conf");
    let text = std::fs::read_to_string(&conf).map_err(|error| format!("{}: {error}", conf.display()))?;
    let mut scenario = Scenario {
        name,
        folder,
        about: String::new(),
        timeout: Duration::from_secs(300),
        fresh_boot: false,
        systemd: false,
        soak_timeout: None,
        platforms: Platform::ALL.to_vec(),
        reason: String::new(),
    };
    for (number, line) in text.lines().enumerate() {
        set(&mut scenario, line.trim()).map_err(|why| format!("{}:{}: {why}", conf.display(), number + 1))?;
    }
    if scenario.systemd && scenario.platforms != [Platform::Xen] {
        return Err(format!("{}: 'init = systemd' is for 'platforms = xen' alone", conf.display()));
    }
    if (scenario.platforms.len() < Platform::ALL.len()) == scenario.reason.is_empty() {
        return Err(format!("{}: a 'reason' belongs to 'platforms' that are not all, and only there", conf.display()));
    }
    Ok(scenario)
}

/// Takes over one line, `key = value`.
fn set(scenario: &mut Scenario, line: &str) -> Result<()> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let (key, value) = line.split_once('=').ok_or("a line is 'key = value'")?;
    let value = value.trim();
    match key.trim() {
        "about" => scenario.about = value.to_owned(),
        "timeout" => scenario.timeout = seconds(value)?,
        "soak-timeout" => scenario.soak_timeout = Some(seconds(value)?),
        "fresh-boot" => scenario.fresh_boot = value == "yes",
        // Another Dom0 is another boot.
        "init" if value == "systemd" => (scenario.systemd, scenario.fresh_boot) = (true, true),
        "init" => return Err(format!("init: '{value}' is not systemd")),
        "platforms" => {
            scenario.platforms = value.split_whitespace().map(Platform::named).collect::<Result<_>>()?;
            if scenario.platforms.is_empty() {
                return Err("platforms: there must be one".into());
            }
        }
        "reason" => value.clone_into(&mut scenario.reason),
        other => {
            let known = "about, timeout, soak-timeout, fresh-boot, init, platforms, reason";
            return Err(format!("unknown key '{other}' ({known})"));
        }
    }
    Ok(())
}

fn seconds(value: &str) -> Result<Duration> {
    value.parse().map(Duration::from_secs).map_err(|_| format!("'{value}' is no number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_conf(text: &str) -> Result<Scenario> {
        let folder = tempfile::tempdir().unwrap();
        // A name of its own: that of a temporary folder may begin with a dot.
        let folder = folder.path().join("mine");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("dom0.sh"), "").unwrap();
        std::fs::write(folder.join("scenario.conf"), text).unwrap();
        read(&folder)
    }

    #[test]
    fn a_scenario_is_for_both_platforms_unless_it_says_why_not() {
        assert_eq!(read_conf("about = x").unwrap().platforms, Platform::ALL);
        let one = read_conf("platforms = xen\nreason = it unloads a module").unwrap();
        assert_eq!((one.platforms.as_slice(), one.reason.as_str()), (&[Platform::Xen][..], "it unloads a module"));
        assert!(read_conf("platforms = xen").unwrap_err().contains("reason"));
        assert!(read_conf("reason = why").unwrap_err().contains("reason"));
        assert!(read_conf("init = systemd").unwrap_err().contains("init"));
        let own = read_conf("init = systemd\nplatforms = xen\nreason = it is about Dom0").unwrap();
        assert!(own.systemd && own.fresh_boot);
    }

    #[test]
    fn what_a_scenario_cannot_mean_is_told_with_its_line() {
        for (text, line, what) in [
            ("about = x\nplatforms = arm\nreason = y", ":2:", "arm"),
            ("platforms =", ":1:", "platforms"),
            ("timeout = soon", ":1:", "soon"),
            ("init = upstart", ":1:", "upstart"),
            ("colour = red", ":1:", "colour"),
            ("about", ":1:", "key = value"),
        ] {
            let why = read_conf(text).unwrap_err();
            assert!(why.contains(line) && why.contains(what), "{why}");
        }
    }
}

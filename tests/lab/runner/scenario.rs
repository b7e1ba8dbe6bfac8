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
    /// More words for the command line of Dom0's kernel. No comma may be in there.
    pub(crate) kernel_arguments: String,
}

/// The scenarios in the given folders; without any, those of the repository, in the order of their names.
pub(crate) fn load(folders: &[PathBuf]) -> Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    if folders.is_empty() {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios");
        let entries = std::fs::read_dir(&all).map_err(|error| format!("{}: {error}", all.display()))?;
        let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        found.sort();
        for folder in found.iter().filter(|folder| folder.is_dir()) {
            scenarios.push(read(folder)?);
        }
    } else {
        for folder in folders {
            scenarios.push(read(folder)?);
        }
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
        kernel_arguments: String::new(),
    };
    for (number, line) in text.lines().enumerate() {
        set(&mut scenario, line.trim()).map_err(|why| format!("{}:{}: {why}", conf.display(), number + 1))?;
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
        "timeout" => {
            let seconds = value.parse().map_err(|_| format!("timeout: '{value}' is no number of seconds"))?;
            scenario.timeout = Duration::from_secs(seconds);
        }
        "fresh-boot" => scenario.fresh_boot = value == "yes",
        "kernel-arguments" if value.contains(',') => return Err("kernel-arguments: no comma may be in there".into()),
        "kernel-arguments" => {
            scenario.kernel_arguments = value.to_owned();
            scenario.fresh_boot = true;
        }
        other => return Err(format!("unknown key '{other}' (about, timeout, fresh-boot, kernel-arguments)")),
    }
    Ok(())
}

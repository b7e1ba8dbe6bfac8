// SPDX-License-Identifier: GPL-3.0-or-later
//! What a run comes to: one outcome per scenario, told to people and to programs.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Result;

/// How one scenario ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// Why it failed; `None` when it passed.
    pub(crate) failure: Option<String>,
    /// From its start in Dom0 to its end there.
    pub(crate) seconds: f64,
    /// What Xen said, if the emulated machine has ended a guest: then a failure tells nothing of ours.
    pub(crate) emulator: Option<String>,
    /// What it measured, in its own order.
    pub(crate) figures: Vec<(String, String)>,
}

impl Outcome {
    fn to_json(&self) -> Value {
        let figures: Map<String, Value> =
            self.figures.iter().map(|(name, value)| (name.clone(), figure(value))).collect();
        let mut entry = json!({
            "name": self.name,
            "result": if self.failure.is_some() { "failed" } else { "passed" },
            "seconds": (self.seconds * 10.0).round() / 10.0,
            "figures": figures,
        });
        if let (Some(why), Some(fields)) = (&self.failure, entry.as_object_mut()) {
            fields.insert("reason".into(), why.clone().into());
        }
        entry
    }
}

/// A figure that is a number is written as one.
fn figure(text: &str) -> Value {
    serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| text.into(), Value::Number)
}

/// Writes `report.json` into the folder of results.
pub(crate) fn write(out: &Path, outcomes: &[Outcome]) -> Result<()> {
    let path = out.join("report.json");
    let report = json!({ "scenarios": outcomes.iter().map(Outcome::to_json).collect::<Vec<_>>() });
    std::fs::write(&path, format!("{report:#}\n")).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints the table and the closing line. True when nothing failed.
pub(crate) fn print(outcomes: &[Outcome]) -> bool {
    println!();
    for outcome in outcomes {
        let word = if outcome.failure.is_some() { "FAILED" } else { "passed" };
        println!("{word}  {:32} {:6.1} s", outcome.name, outcome.seconds);
        if let Some(why) = &outcome.failure {
            println!("        {why}");
        }
        for (name, value) in &outcome.figures {
            println!("        {name} = {value}");
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    println!("\n{} passed, {failed} failed", outcomes.len() - failed);
    failed == 0
}

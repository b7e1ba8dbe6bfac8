// SPDX-License-Identifier: GPL-3.0-or-later
//! What a scenario leaves in its folder of results while it runs (lab.sh), and what that comes to.

use std::path::PathBuf;
use std::time::Instant;

use crate::report::Outcome;
use crate::scenario::Scenario;

/// The results of a scenario that runs.
#[derive(Debug)]
pub(crate) struct Results {
    name: String,
    folder: PathBuf,
    start: Instant,
    /// Bytes of the progress that were handed out.
    shown: usize,
}

impl Results {
    /// The results of a scenario that starts now.
    pub(crate) fn new(scenario: &Scenario, folder: PathBuf) -> Self {
        Self { name: scenario.name.clone(), folder, start: Instant::now(), shown: 0 }
    }

    /// A file of the folder; `None` where there is none.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }

    /// The lines of progress since the last call.
    pub(crate) fn progress(&mut self) -> Vec<String> {
        let progress = self.text("progress").unwrap_or_default();
        // A last line that is still being written is left for the next look.
        let whole = progress.rfind('\n').map_or(0, |end| end + 1);
        let lines = progress.get(self.shown..whole).unwrap_or_default().lines().map(str::to_owned).collect();
        self.shown = self.shown.max(whole);
        lines
    }

    /// How it ended, with dom0.sh's exit status.
    pub(crate) fn outcome(&self, status: &str) -> Outcome {
        let reason = self.text("reason").unwrap_or_default();
        let failure = match (status, reason.trim()) {
            ("0", _) => None,
            (code, "") => Some(format!("dom0.sh ended with {code}; its log: {}/dom0.log", self.name)),
            (_, reason) => Some(reason.to_owned()),
        };
        self.ended(failure)
    }

    /// How it ended, where dom0.sh itself did not.
    pub(crate) fn broken(&self, why: String) -> Outcome {
        self.ended(Some(why))
    }

    fn ended(&self, failure: Option<String>) -> Outcome {
        let text = self.text("figures").unwrap_or_default();
        let figures = text.lines().filter_map(|line| line.split_once('\t'));
        let mut figures: Vec<_> = figures.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // Times mean little without it.
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        figures.extend(load.split(' ').next().map(|minute| ("host-load".to_owned(), minute.to_owned())));
        let emulator = self.text("emulator").map(|line| line.trim().to_owned());
        Outcome { name: self.name.clone(), failure, seconds: self.start.elapsed().as_secs_f64(), emulator, figures }
    }
}

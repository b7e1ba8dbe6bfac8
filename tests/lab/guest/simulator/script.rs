// SPDX-License-Identifier: GPL-3.0-or-later
//! The scenario's script in the guest, as a child process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;

/// How a script left its guest.
pub(crate) enum End {
    /// To be started again.
    Reboot,
    /// To be switched off.
    Off,
}

/// A running script.
pub(crate) struct Script {
    child: Child,
    reboot: PathBuf,
}

impl Script {
    /// Starts `init`, which runs the script. It dies with this process.
    pub(crate) fn start(init: &[&str], folder: &Path) -> Result<Self> {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(init)
            .env("LAB_CARD", folder.join("card"))
            .env("GUEST", folder)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("the guest's init cannot be started: {error}"))?;
        Ok(Self { child, reboot: folder.join("reboot") })
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What it left behind: it asks for a reboot by a file.
    pub(crate) fn end(self) -> End {
        if std::fs::remove_file(&self.reboot).is_ok() { End::Reboot } else { End::Off }
    }
}

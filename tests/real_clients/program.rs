// SPDX-License-Identifier: GPL-3.0-or-later
//! A program that is a client of the compositor's, in a home of its own.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::desk::wait_for;

/// A program that runs; it ends with this.
pub(crate) struct Program {
    child: Child,
    /// What it prints, on both ways.
    output: PathBuf,
}

impl Program {
    /// Starts it with `home` as its home; the socket "wayland" is there.
    pub(crate) fn start(home: &Path, program: &str, arguments: &[&str]) -> Self {
        let output = home.join(format!("{}.output", program.replace('/', "-")));
        let printed = File::create(&output).unwrap();
        std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("WAYLAND_DISPLAY", home.join("wayland")).env("XDG_RUNTIME_DIR", home).env("HOME", home);
        // No GPU, no session's bus, and Wayland or nothing.
        command.env("GSK_RENDERER", "cairo").env("GDK_BACKEND", "wayland").env("QT_QPA_PLATFORM", "wayland");
        command.stdin(Stdio::null()).stdout(printed.try_clone().unwrap()).stderr(printed);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{program}: {error}; make clients-test installs it"));
        Self { child, output }
    }

    /// What it has printed by now.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }

    /// Waits until it ends by itself, well or not, and gives what it printed.
    pub(crate) fn wait_result(mut self) -> Result<String, String> {
        let mut ended = || self.child.try_wait().unwrap();
        let status = wait_for("the program's end", &mut ended);
        if status.success() { Ok(self.printed()) } else { Err(self.printed()) }
    }

    /// Waits until it ends by itself, well, and gives what it printed.
    pub(crate) fn wait_end(self) -> String {
        self.wait_result().unwrap()
    }

    /// Waits until it ends by itself, with an error, and gives what it printed.
    pub(crate) fn wait_failure(self) -> String {
        self.wait_result().unwrap_err()
    }

    /// Ends it where it still runs, and gives what it printed.
    pub(crate) fn stop(mut self) -> String {
        let printed = self.printed();
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended by itself:\n{printed}");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        printed
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

/// Lets a script be run.
pub(crate) fn make_executable(script: &Path) {
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
}

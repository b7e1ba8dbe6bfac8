// SPDX-License-Identifier: GPL-3.0-or-later
//! The emulated machine: its command line and its life.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// Where a machine finds its files, and where its serial line goes.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    /// prepare.sh's output.
    pub(crate) kit: &'a Path,
    /// The folder that Dom0 may write to.
    pub(crate) share: &'a Path,
    /// The serial line, which carries Xen's and Dom0's console: a log file, or this terminal.
    pub(crate) serial: Serial,
    /// QEMU's control socket. Its path must be short (108 bytes).
    pub(crate) control: &'a Path,
    pub(crate) log: &'a Path,
}

/// What the machine's serial line is connected to.
#[derive(Debug)]
pub(crate) enum Serial {
    File(PathBuf),
    Terminal,
}

// Emulation needs no mitigations, and they cost it most. But the FPU is switched eagerly: with the lazy
// switching that "no" brings back, programs in Dom0 hung or aborted now and then, their memory corrupted.
const XEN: &str = "dom0_mem=1024M,max:1024M com1=115200,8n1 console=com1 spec-ctrl=no,eager-fpu xpti=no";
// No comma may be in here: QEMU separates modules by commas.
const DOM0: &str = "console=hvc0 mitigations=off nokaslr audit=0 apparmor=0 tsc=reliable i8042.noaux=1 \
                    drm_client_lib.active=none loglevel=4";

impl Machine<'_> {
    /// Starts QEMU. It dies with this process, so that nothing is left when a user interrupts the run.
    pub(crate) fn start(&self) -> Result<Running> {
        let kit = |name: &str| self.kit.join(name).display().to_string();
        let tree = self.kit.join("tree").canonicalize().map_err(|error| format!("the Dom0 tree: {error}"))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-machine", "q35"]);
        command.args(["-smp", "2", "-m", "3072", "-display", "none", "-vga", "none", "-no-reboot", "-nodefaults"]);
        command.args(["-device", "bochs-display", "-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci"]);
        command.args(["-kernel", &kit("xen"), "-append", XEN]);
        command.args(["-initrd", &format!("{} {DOM0},{}", kit("vmlinuz"), kit("dom0.initrd"))]);
        for (tag, folder, access) in [
            ("tree", tree.as_path(), "readonly=on"),
            ("payload", &self.kit.join("payload"), "readonly=on"),
            ("lab", self.share, "readonly=off"),
        ] {
            let folder = folder.display();
            command.arg("-virtfs");
            command.arg(format!(
                "local,path={folder},mount_tag={tag},security_model=passthrough,multidevs=remap,{access}"
            ));
        }
        match &self.serial {
            Serial::File(path) => command.arg("-serial").arg(format!("file:{}", path.display())).stdin(Stdio::null()),
            Serial::Terminal => command.args(["-chardev", "stdio,id=com,signal=off", "-serial", "chardev:com"]),
        };
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", self.control.display()));
        let log = std::fs::File::create(self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        if matches!(self.serial, Serial::File(_)) {
            command.stdout(Stdio::from(log)).stderr(Stdio::from(errors));
        }
        let child = command.spawn().map_err(|error| format!("QEMU cannot be started: {error}"))?;
        Ok(Running { child })
    }
}

/// A QEMU process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Whether the machine has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the machine's end; false when it is still there after `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        while !self.ended() {
            if start.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

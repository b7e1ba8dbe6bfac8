// SPDX-License-Identifier: GPL-3.0-or-later
//! A compositor and guests in processes of their own, as a user would start them.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grantway::control::{
    Client, ConnectorStatus, GuestSelector, GuestStatus, InputAction, Request, Response, ScreenshotTarget, Status,
};
use serde_json::Value;
use tempfile::TempDir;

/// Far more than anything takes on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Rgb = [u8; 3];

pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    rgba: Vec<u8>,
}

impl Picture {
    fn new(picture: &grantway::control::Picture) -> Self {
        let pixels = picture.pixels.chunks(4);
        let rgba = pixels.flat_map(|pixel| [pixel[2], pixel[1], pixel[0], 255]).collect();
        Self { width: picture.width, height: picture.height, rgba }
    }

    pub(crate) fn at(&self, x: u32, y: u32) -> Rgb {
        let from = usize::try_from((y * self.width + x) * 4).unwrap();
        self.rgba[from..from + 3].try_into().unwrap()
    }
}

/// A running compositor.
pub(crate) struct Desk {
    dir: TempDir,
    compositor: Child,
    client: Client,
}

impl Desk {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let compositor = start_compositor(dir.path(), arguments);
        let client = connect(&dir.path().join("control.sock"));
        let mut desk = Self { dir, compositor, client };
        // The control socket is there before clients' is: an answer comes when all is.
        desk.status();
        desk
    }

    pub(crate) fn guest(&self, name: &str, arguments: &[&str]) -> Guest {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantway-sim-guest"));
        command.arg("--socket").arg(self.dir.path().join("xen.sock")).args(["--name", name]).args(arguments);
        Guest(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Where the hypervisor listens.
    pub(crate) fn xen(&self) -> PathBuf {
        self.dir.path().join("xen.sock")
    }

    /// Where `grantway msg` finds it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// Sends the compositor a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let number = self.compositor.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &number]).status().unwrap().success());
    }

    /// How many processes the compositor has started that it has not taken leave of.
    pub(crate) fn children(&self) -> usize {
        let number = self.compositor.id();
        let children = std::fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap();
        children.split_whitespace().count()
    }

    /// What the compositor has printed: warnings and errors.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    /// The compositor's memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.compositor.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// How often the compositor has gone to sleep so far.
    pub(crate) fn sleeps(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.compositor.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse().unwrap()
    }

    pub(crate) fn status(&mut self) -> Status {
        match self.client.request(&Request::Status {}).unwrap() {
            Response::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn find_guest(&mut self, name: &str) -> Option<GuestStatus> {
        self.status().guests.into_iter().find(|guest| guest.name == name)
    }

    /// What `grantway msg input` does, to the seat.
    pub(crate) fn input(&mut self, action: InputAction) {
        let request = Request::Input { guest: None, connector: 0, action };
        assert_eq!(self.client.request(&request).unwrap(), Response::Done);
    }

    /// The same, to one guest.
    pub(crate) fn input_to(&mut self, name: &str, action: InputAction) -> Response {
        let guest = Some(GuestSelector::Name(name.to_owned()));
        self.client.request(&Request::Input { guest, connector: 0, action }).unwrap()
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        self.client.request(request).unwrap()
    }

    pub(crate) fn switch_output(&mut self, name: &str, on: bool) {
        let request = Request::Output { output: Some(name.to_owned()), on };
        assert_eq!(self.client.request(&request).unwrap(), Response::Done);
    }

    pub(crate) fn fullscreen(&mut self, name: Option<&str>) {
        let guest = name.map(|name| GuestSelector::Name(name.to_owned()));
        assert_eq!(self.client.request(&Request::Fullscreen { guest }).unwrap(), Response::Done);
    }

    /// Waits until a connector of the guest satisfies `until`.
    pub(crate) fn wait_connector(
        &mut self,
        name: &str,
        connector: usize,
        until: impl Fn(&ConnectorStatus) -> bool,
    ) -> ConnectorStatus {
        let what = format!("connector {connector} of {name}");
        wait_for(&what, || {
            let guest = self.find_guest(name)?;
            guest.connectors.into_iter().nth(connector).filter(&until)
        })
    }

    pub(crate) fn wait_gone(&mut self, name: &str) {
        wait_for(&format!("the end of {name}"), || self.find_guest(name).is_none().then_some(()));
    }

    pub(crate) fn picture_of(&mut self, name: &str, connector: usize) -> Picture {
        let guest = GuestSelector::Name(name.to_owned());
        self.screenshot(ScreenshotTarget::Guest { guest, connector })
    }

    pub(crate) fn screenshot(&mut self, target: ScreenshotTarget) -> Picture {
        Picture::new(&self.take(target))
    }

    pub(crate) fn output_picture(&mut self) -> Picture {
        self.screenshot(ScreenshotTarget::FirstOutput)
    }

    fn take(&mut self, target: ScreenshotTarget) -> grantway::control::Picture {
        match self.client.request(&Request::Screenshot { target }).unwrap() {
            Response::Screenshot(picture) => picture,
            other => panic!("{other:?}"),
        }
    }

    /// Leaves the first output's picture where tests leave their files, for people to look at.
    pub(crate) fn keep_picture(&mut self, name: &str) -> Picture {
        let picture = self.take(ScreenshotTarget::FirstOutput);
        picture.write_png(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)).unwrap();
        Picture::new(&picture)
    }

    /// Waits for the compositor to end by itself, and checks that it ends well.
    pub(crate) fn wait_end(mut self) {
        assert!(self.compositor.wait().unwrap().success());
    }

    /// Ends the compositor as a user does, and checks that it ends well.
    pub(crate) fn quit(mut self) {
        assert_eq!(self.client.request(&Request::Quit {}).unwrap(), Response::Done);
        assert!(self.compositor.wait().unwrap().success());
    }
}

impl Drop for Desk {
    #[expect(clippy::print_stderr, reason = "for whoever reads why a test failed")]
    fn drop(&mut self) {
        let _ended_already = self.compositor.kill();
        let _reaped_already = self.compositor.wait();
        if std::thread::panicking() {
            eprintln!("the compositor printed:\n{}", self.log().join("\n"));
        }
    }
}

fn start_compositor(dir: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantway"));
    let platform = format!("sim:{}", dir.join("xen.sock").display());
    command.args(["--platform", &platform, "--backend", "headless", "--log", "warn"]);
    command.arg("--socket").arg(dir.join("control.sock")).args(arguments).stdin(Stdio::null());
    command.stderr(std::fs::File::create(dir.join("log")).unwrap());
    command.spawn().unwrap()
}

fn connect(socket: &Path) -> Client {
    wait_for("the compositor", || Client::connect(socket, PATIENCE).ok())
}

#[expect(clippy::disallowed_methods, reason = "a test outside of the loop")]
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = ready() {
            return result;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A guest's process.
pub(crate) struct Guest(Child);

impl Guest {
    /// Kills the domain, in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for its end, and gives its report.
    pub(crate) fn report(self) -> Value {
        let (report, success) = self.end();
        assert!(success, "{report}");
        report
    }

    /// Waits for an end with an error, and gives its report.
    pub(crate) fn failure(self) -> Value {
        let (report, success) = self.end();
        assert!(!success, "{report}");
        report
    }

    fn end(mut self) -> (Value, bool) {
        let mut line = String::new();
        let mut output = BufReader::new(self.0.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).unwrap();
        let status = self.0.wait().unwrap();
        (serde_json::from_str(&line).unwrap(), status.success())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Which clients get the protocols that can do more than show a window of their own: those whose program the
//! configuration lists.
//!
//! It is looked up once, when a client connects, by the kernel's word on who is at the other end. That tells programs
//! apart, not users: a process of the same user that means harm can have a listed program do its work
//! (docs/desktop.md).

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::{PeerCredentials, PeerPidfd};
use smithay::reexports::wayland_server::Client;

use super::Wayland;
use super::server::ClientState;

impl Wayland {
    /// From now on these programs' clients are privileged. Those that are connected stay what they are.
    pub fn set_privileged(&mut self, paths: &[PathBuf]) {
        self.programs = Programs::new(paths);
    }
}

/// Whether a client may bind privileged globals; for their filters.
pub(super) fn is_privileged(client: &Client) -> bool {
    client.get_data::<ClientState>().is_some_and(|state| state.privileged)
}

/// The programs whose clients are privileged, by their absolute paths.
#[derive(Debug)]
pub(super) struct Programs(Vec<PathBuf>);

/// A file, whatever it is called: a client may live in another mount namespace, where paths mean other files.
#[derive(Clone, Copy, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
}

impl File {
    fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|data| Self { device: data.dev(), inode: data.ino() })
    }
}

impl Programs {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        for path in paths.iter().filter(|path| File::at(path).is_none()) {
            tracing::info!("`privileged` in [desktop] names {}, which is not there (yet)", path.display());
        }
        Self(paths.to_vec())
    }

    /// Whether the program at the other end of a new connection is listed.
    pub(super) fn include(&self, stream: &UnixStream) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(program) = peer(stream) else {
            tracing::debug!("it can't be told which program a Wayland client is");
            return false;
        };
        self.0.iter().any(|path| File::at(path) == Some(program))
    }
}

/// The program at the other end. A process that ends while it is looked up has none: its number may be another
/// process's by then. Kernels before 6.5 can't tell that.
fn peer(stream: &UnixStream) -> Option<File> {
    let process = match getsockopt(stream, PeerPidfd) {
        Ok(process) => Some(process),
        Err(Errno::ENOPROTOOPT) => None,
        Err(_) => return None,
    };
    let number = getsockopt(stream, PeerCredentials).ok()?.pid();
    let program = File::at(&PathBuf::from(format!("/proc/{number}/exe")))?;
    let ended = process.is_some_and(|process| {
        // Readable when the process has ended.
        let mut ends = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        poll(&mut ends, PollTimeout::ZERO) != Ok(0)
    });
    (!ended).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_the_file_that_it_runs() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let own = std::env::current_exe().unwrap();
        let includes = |paths: &[PathBuf]| Programs::new(paths).include(&ours);
        assert!(includes(std::slice::from_ref(&own)));
        assert!(!includes(&[]));
        assert!(!includes(&[PathBuf::from("/bin/sh"), PathBuf::from("/no/such/program")]));

        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("another-name");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(includes(&[link]));
        let copy = dir.path().join(own.file_name().unwrap());
        fs::copy(&own, &copy).unwrap();
        assert!(!includes(&[copy]), "another file of the same name and content");
    }

    #[test]
    fn a_process_that_has_ended_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let script = format!("import socket; socket.socket(socket.AF_UNIX).connect({:?})", path.to_str().unwrap());
        let status = std::process::Command::new("/usr/bin/python3").args(["-c", &script]).status().unwrap();
        assert!(status.success());
        let (stream, _) = listener.accept().unwrap();
        assert!(!Programs::new(&[PathBuf::from("/usr/bin/python3")]).include(&stream));
    }
}

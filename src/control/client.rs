// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line's half of the control socket. It may block, with a time-out.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::picture::Picture;
use super::protocol::{MAX_PAYLOAD, PROTOCOL_VERSION, Request, Response, ResponseLine};

/// Longest response line, in bytes.
const MAX_RESPONSE: u64 = 16 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("{path}: no grantway answers ({error}); is it running, and is this its --socket?")]
    NotRunning {
        /// Where the socket was expected.
        path: PathBuf,
        /// The kernel's reason.
        error: io::Error,
    },
    /// It listens, but does not answer in time.
    #[error("grantway did not answer within {0} s")]
    TimedOut(u64),
    /// The connection broke.
    #[error("the connection to grantway broke: {0}")]
    Broken(#[from] io::Error),
    /// The answer makes no sense.
    #[error("grantway's answer is not understood ({0}); are both of the same version?")]
    Answer(String),
}

/// A connection to a running compositor.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    timeout: Duration,
}

impl Client {
    /// Connects. No later read or write waits longer than `timeout`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`], or the kernel's error.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, ClientError> {
        let stream =
            UnixStream::connect(path).map_err(|error| ClientError::NotRunning { path: path.to_owned(), error })?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self { stream: BufReader::new(stream), timeout })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn request(&mut self, request: &Request) -> Result<Response, ClientError> {
        let line = request.encode().map_err(|error| ClientError::Answer(error.to_string()))?;
        // A refused connection may be closed before all is written; the reason is still there to be read.
        let written = self.stream.get_mut().write_all(&line);
        let answer = self.read_line().and_then(|line| decode_line(&line));
        if answer.is_err() {
            written.map_err(|error| self.late(error))?;
        }
        Ok(match answer? {
            ResponseLine::Done => Response::Done,
            ResponseLine::Status { status } => Response::Status(status),
            ResponseLine::Reloaded { changed, needs_restart } => Response::Reloaded { changed, needs_restart },
            ResponseLine::Error { message } => Response::Error(message),
            ResponseLine::Screenshot { width, height, bytes } => {
                let pixels = self.read_payload(bytes)?;
                Response::Screenshot(Picture { width, height, pixels })
            }
        })
    }

    fn read_line(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(MAX_RESPONSE).read_until(b'\n', &mut line);
        read.map_err(|error| self.late(error))?;
        if line.pop() == Some(b'\n') {
            return Ok(line);
        }
        Err(ClientError::Broken(ErrorKind::UnexpectedEof.into()))
    }

    fn read_payload(&mut self, bytes: usize) -> Result<Vec<u8>, ClientError> {
        if bytes > MAX_PAYLOAD {
            return Err(ClientError::Answer(format!("it announces {bytes} bytes")));
        }
        let mut payload = vec![0; bytes];
        let read = self.stream.read_exact(&mut payload);
        read.map_err(|error| self.late(error))?;
        Ok(payload)
    }

    fn late(&self, error: io::Error) -> ClientError {
        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            return ClientError::TimedOut(self.timeout.as_secs());
        }
        ClientError::Broken(error)
    }
}

fn decode_line(line: &[u8]) -> Result<ResponseLine, ClientError> {
    let value: Value = serde_json::from_slice(line).map_err(|error| ClientError::Answer(error.to_string()))?;
    if value.get("version").and_then(Value::as_u64) != Some(PROTOCOL_VERSION) {
        return Err(ClientError::Answer(format!("it is not of version {PROTOCOL_VERSION}")));
    }
    serde_json::from_value(value).map_err(|error| ClientError::Answer(error.to_string()))
}

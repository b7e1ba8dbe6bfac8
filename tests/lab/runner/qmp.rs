// SPDX-License-Identifier: GPL-3.0-or-later
//! QEMU's control socket: one command at a time, each waited for.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;

/// A connection that has left negotiation behind.
#[derive(Debug)]
pub(crate) struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Connects as soon as QEMU has made the socket, at most 30 s later.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > Duration::from_secs(30) => {
                    return Err(format!("QEMU's control socket {}: {error}", path.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
        let writer = stream.try_clone().map_err(|error| error.to_string())?;
        let mut qmp = Self { reader: BufReader::new(stream), writer };
        qmp.receive()?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns what it answered.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments }).to_string();
        self.writer
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| format!("QEMU does not take commands: {error}"))?;
        loop {
            let mut answer = self.receive()?;
            if let Some(error) = answer.get("error") {
                return Err(format!("QEMU refused {command}: {error}"));
            }
            // Events come in between.
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        let count = self.reader.read_line(&mut line).map_err(|error| format!("QEMU does not answer: {error}"))?;
        if count == 0 {
            return Err("QEMU has closed its control socket".into());
        }
        serde_json::from_str(&line).map_err(|error| format!("QEMU's answer is no JSON: {error}"))
    }
}

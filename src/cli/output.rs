// SPDX-License-Identifier: GPL-3.0-or-later
//! The only place that writes to standard output and standard error.

use std::io::{self, ErrorKind, Write};

/// Writes to standard output. A reader that has gone away (`grantway … | head`) is no error.
///
/// # Errors
/// The kernel's.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes one line to standard error, whatever the text holds.
pub(super) fn complain(line: &str) {
    let line: String = line.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    // When standard error is closed there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "grantway: {line}");
}

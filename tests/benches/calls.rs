// SPDX-License-Identifier: GPL-3.0-or-later
//! The table that `strace -c` writes.

use std::collections::BTreeMap;

use crate::Outcome;

/// How often each system call was made.
pub(crate) type Calls = BTreeMap<String, u64>;

/// Reads the table of `strace -c`: share, seconds, microseconds a call, calls, perhaps errors, and the name.
pub(crate) fn parse(table: &str) -> Outcome<Calls> {
    let mut calls = Calls::new();
    for line in table.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [share, _, _, count, .., name] = words.as_slice()
            && share.parse::<f64>().is_ok()
            && *name != "total"
        {
            calls.insert((*name).to_owned(), count.parse()?);
        }
    }
    if calls.is_empty() { Err(format!("strace's table is not understood:\n{table}").into()) } else { Ok(calls) }
}

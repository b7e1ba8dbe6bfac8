// SPDX-License-Identifier: GPL-3.0-or-later
//! Logging. The levels are a contract: error is a bug of ours, warn is possible but bad, info is what an
//! administrator wants to know, debug is trouble that guests cause in detail, trace is each request.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The environment variable that holds a filter such as `info,grantway::displif=debug`.
pub const VARIABLE: &str = "GRANTWAY_LOG";

/// Checks a filter's text.
///
/// # Errors
/// A line for the user that says what is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    for directive in filter.split(',') {
        let level = directive.rsplit('=').next().unwrap_or(directive).trim();
        let known = ["off", "error", "warn", "info", "debug", "trace"];
        if !known.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "\"{}\" is not a log level; write \"info\" or \"info,grantway::displif=debug\", with levels {}",
                level.escape_default(),
                known.join(", ")
            ));
        }
    }
    EnvFilter::try_new(filter).map(|_| ()).map_err(|error| error.to_string())
}

/// Smithay warns of what simple display drivers lack and nobody can change; a filter can ask for it.
const QUIET: &str = "smithay=error";

/// Starts logging to standard error, in colour on a terminal. The first call wins.
///
/// # Errors
/// See [`check_filter`].
pub fn start(filter: &str) -> Result<(), String> {
    check_filter(filter)?;
    // Of two directives for the same target the later one holds.
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|error| error.to_string())?;
    let colour = io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(io::stderr).finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging had been started before");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_filter;

    #[test]
    fn filters_are_checked_by_level_name() {
        assert_eq!(check_filter("info"), Ok(()));
        assert_eq!(check_filter("warn,grantway::displif=debug"), Ok(()));
        assert!(check_filter("inof").unwrap_err().contains("\"inof\" is not a log level"));
        assert!(check_filter("grantway=loud").unwrap_err().contains("\"loud\""));
        assert!(check_filter("").is_err());
    }
}

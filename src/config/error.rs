// SPDX-License-Identifier: GPL-3.0-or-later
//! Configuration errors as one line: where, what, and what was probably meant.

use std::io;
use std::ops::Range;

use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// What is wrong with a configuration, as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// The file could not be read.
    pub(super) fn unreadable(file: &str, error: &io::Error) -> Self {
        Self(one_line(&format!("{file}: the configuration can't be read: {error}")))
    }

    /// The parser's error, with its place and a suggestion.
    pub(super) fn from_toml(error: &toml::de::Error, text: &str, file: &str) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let path = DeTable::parse(text).ok().map(|table| path_at(table.get_ref(), at)).unwrap_or_default();
        Self::at(at, &explain(error.message(), &path), text, file)
    }

    /// A contradiction that concerns the key at `path`.
    pub(super) fn at_key(path: &[String], what: &str, text: &str, file: &str) -> Self {
        let at = DeTable::parse(text).ok().and_then(|table| offset_of(table.get_ref(), path)).unwrap_or(0);
        Self::at(at, what, text, file)
    }

    fn at(offset: usize, what: &str, text: &str, file: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self(one_line(&format!("{file}:{line}:{column}: {what}")))
    }
}

/// Control characters, line breaks first of all, must not break the one line.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(['\n', '\r', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect();
    words.join(", ").chars().filter(|character| !character.is_control()).collect()
}

/// The names of the keys that lead to `offset`.
fn path_at(table: &DeTable<'_>, offset: usize) -> Vec<String> {
    for (key, value) in table {
        // A table's span is that of its header alone, so all tables are looked into.
        let inner = path_in(value.get_ref(), offset);
        let here = contains(&key.span(), offset) || contains(&value.span(), offset);
        if here || !inner.is_empty() {
            let mut path = vec![key.get_ref().to_string()];
            path.extend(inner);
            return path;
        }
    }
    Vec::new()
}

fn path_in(value: &DeValue<'_>, offset: usize) -> Vec<String> {
    if let DeValue::Table(table) = value {
        return path_at(table, offset);
    }
    let DeValue::Array(items) = value else { return Vec::new() };
    items.iter().map(|item| path_in(item.get_ref(), offset)).find(|path| !path.is_empty()).unwrap_or_default()
}

fn contains(span: &Range<usize>, offset: usize) -> bool {
    span.contains(&offset)
}

/// Where the key at `path` stands; items of arrays are named by their index. The deepest one that is there.
fn offset_of(table: &DeTable<'_>, path: &[String]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first.as_str())?;
    Some(offset_in(value.get_ref(), rest).unwrap_or(key.span().start))
}

fn offset_in(value: &DeValue<'_>, path: &[String]) -> Option<usize> {
    if let DeValue::Table(table) = value {
        return offset_of(table, path);
    }
    let DeValue::Array(items) = value else { return None };
    let (index, rest) = path.split_first()?;
    offset_in(items.get(index.parse::<usize>().ok()?)?.get_ref(), rest)
}

/// serde's words in ours, with a suggestion where a name is not known.
fn explain(message: &str, path: &[String]) -> String {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let (name, known) = quoted_names(rest);
        return format!("unknown key `{name}`{}", suggestion(&name, &known));
    }
    let key = path.join(".");
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (name, known) = quoted_names(rest);
        return format!("`{key}` has no value `{name}`{}", suggestion(&name, &known));
    }
    if key.is_empty() { message.to_owned() } else { format!("`{key}`: {message}") }
}

/// The back-quoted names of a message: what was found, and what would have been known.
fn quoted_names(text: &str) -> (String, Vec<String>) {
    // The name that was found may hold anything, back-quotes too; the known names are plain.
    let (found, known) = text.split_once("`, ").map_or((text, ""), |(found, known)| (found, known));
    let known = known.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    (found.trim_matches('`').chars().take(64).collect(), known)
}

fn suggestion(name: &str, known: &[String]) -> String {
    let best = known.iter().map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate)).min();
    match best {
        Some((distance, candidate)) if distance <= candidate.chars().count() / 3 + 1 => {
            format!("; did you mean `{candidate}`?")
        }
        _ if known.is_empty() => String::new(),
        _ => format!("; known are {}", known.join(", ")),
    }
}

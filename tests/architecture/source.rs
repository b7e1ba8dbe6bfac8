// SPDX-License-Identifier: GPL-3.0-or-later
//! Just enough of Rust's grammar: comments, literals, test modules, and paths.

/// The source with comments, literals and `#[cfg(test)]` items blanked; line breaks stay. Also the number of
/// lines that are not part of such an item.
pub(super) fn code_of(source: &str) -> (String, usize) {
    let (code, test_lines) = without_tests(&without_text(source));
    let lines = code.lines().count().saturating_sub(test_lines);
    (code, lines)
}

fn blank(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' })
}

/// Blanks comments, strings and character literals.
fn without_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let length = text_length(rest, after_word);
        if length == 0 {
            code.push(first);
            after_word = first.is_alphanumeric() || first == '_';
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(blank(&rest[..length]));
            after_word = false;
            rest = &rest[length..];
        }
    }
    code
}

/// Length of the comment or literal that starts here; 0 when none does.
fn text_length(rest: &str, after_word: bool) -> usize {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return string(rest, 1);
    }
    if !after_word {
        if rest.starts_with("b\"") || rest.starts_with("c\"") {
            return string(rest, 2);
        }
        let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).unwrap_or("");
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let start = rest.len() - raw.len() + hashes + 1;
            return until(&format!("\"{}", "#".repeat(hashes)), start);
        }
    }
    if rest.starts_with("'\\") {
        return until("'", 3);
    }
    let mut characters = rest.chars();
    match (characters.next(), characters.next(), characters.next()) {
        (Some('\''), Some(inner), Some('\'')) => 2 + inner.len_utf8(),
        _ => 0,
    }
}

fn string(rest: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, character) in rest[start..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return start + at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Blanks each item behind `#[cfg(test)]`, to its closing brace or semicolon; counts their lines.
fn without_tests(code: &str) -> (String, usize) {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    let mut lines = 0;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let length = item_length(item);
        out.extend(blank(&item[..length]));
        lines += item[..length].lines().count();
        rest = &item[length..];
    }
    out.push_str(rest);
    (out, lines)
}

fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in item.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// A path of our own crate, from its root: `["xen", "pages", "SharedPages"]`, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
}

/// All paths of code that begin at the crate's root (`crate::`, `grantway::`) or climb (`super::`), resolved
/// for code in the given module.
pub(super) fn uses(code: &str, module: &[String]) -> Vec<Use> {
    let mut found = Vec::new();
    for (at, word) in words(code) {
        let before = code[..at].trim_end();
        if before.ends_with("::") {
            continue;
        }
        let root = match word {
            "crate" | "grantway" => Vec::new(),
            "super" => module[..module.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        let mut paths = Vec::new();
        follow(&code[at + word.len()..], &root, &mut paths);
        let line = code[..at].matches('\n').count() + 1;
        found.extend(paths.into_iter().map(|path| Use { line, path }));
    }
    found
}

/// Follows `::a::b::{c, d::e}` and adds each full path; returns what is left behind it.
fn follow<'a>(code: &'a str, path: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let Some(rest) = code.trim_start().strip_prefix("::").map(str::trim_start) else {
        paths.push(path.to_vec());
        return code;
    };
    if let Some(group) = rest.strip_prefix('{') {
        return follow_group(group, path, paths);
    }
    let word = leading_word(rest);
    if word.is_empty() {
        // A glob, or a type argument: the path so far is what is named.
        paths.push(path.to_vec());
        return rest;
    }
    let mut longer = path.to_vec();
    match word {
        "super" => drop(longer.pop()),
        "self" => {}
        _ => longer.push(word.to_owned()),
    }
    follow(&rest[word.len()..], &longer, paths)
}

fn follow_group<'a>(group: &'a str, path: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = group;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let word = leading_word(rest);
        if word.is_empty() {
            let Some(next) = rest.chars().next() else { return rest };
            rest = &rest[next.len_utf8()..];
        } else if word == "as" {
            rest = rest[word.len()..].trim_start();
            rest = &rest[leading_word(rest).len()..];
        } else {
            let mut longer = path.to_vec();
            if word != "self" {
                longer.push(word.to_owned());
            }
            rest = follow(&rest[word.len()..], &longer, paths);
        }
    }
}

fn leading_word(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(text.len());
    &text[..end]
}

/// Each word of the code, and where it starts.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(|character: char| character.is_alphanumeric() || character == '_')?;
        let word = leading_word(&code[start..]);
        at = start + word.len();
        Some((start, word))
    })
}

/// Whether the code names the path `a::b` or the word `a`.
pub(super) fn names(code: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    words(code).any(|(at, word)| {
        if word != parts[0] {
            return false;
        }
        let mut paths = Vec::new();
        follow(&code[at + word.len()..], &[word.to_owned()], &mut paths);
        paths.iter().any(|found| found.len() >= parts.len() && found.iter().zip(&parts).all(|(a, b)| a == b))
    })
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let source = "a /* crate::b /* x */ */ \"crate::c \\\" \" r#\"crate::d\"# '\"' 'l: // crate::e\n\
                  #[cfg(test)]\nmod tests { use crate::f; fn x() { { } } }\nb'\\'' z \"\n\" g";
    let (code, lines) = code_of(source);
    let left: Vec<&str> = words(&code).map(|(_, word)| word).collect();
    assert_eq!(left, ["a", "l", "b", "z", "g"]);
    assert_eq!(lines, source.lines().count() - 2);
    assert_eq!(code.matches('\n').count(), source.matches('\n').count());
}

#[test]
fn paths_are_resolved() {
    let module = ["xen".to_owned(), "pages".to_owned()];
    let found = |code: &str| -> Vec<String> {
        uses(code, &module).into_iter().map(|found| format!("{}:{}", found.line, found.path.join("::"))).collect()
    };
    assert_eq!(found("use crate::a::B;\ncrate::c::d(x)"), ["1:a::B", "2:c::d"]);
    assert_eq!(found("use crate::{a::{self, B}, c as d, e::*};"), ["1:a", "1:a::B", "1:c", "1:e"]);
    assert_eq!(found("use super::DomId;"), ["1:xen::DomId"]);
    assert_eq!(found("use super::super::scene::{X, y::Z};"), ["1:scene::X", "1:scene::y::Z"]);
    assert_eq!(found("use grantway::xen::sys;"), ["1:xen::sys"]);
    assert_eq!(found("$crate::xen::sys!()"), ["1:xen::sys"]);
    assert!(names("use std::time::{Duration, Instant};", "std::time::Instant"));
    assert!(!names("use std::time::Duration;", "std::time::Instant"));
    assert!(names("Instant::now()", "Instant"));
}

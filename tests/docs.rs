// SPDX-License-Identifier: GPL-3.0-or-later
//! What the documentation says is true: its configurations parse, its protocol examples are understood, every
//! key is described, and its links lead somewhere.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by a panic")]
#![cfg(feature = "compositor")]

use std::fs;
use std::path::{Path, PathBuf};

use grantway::config::{Config, DEFAULT_TEXT};
use grantway::control::{Status, decode_request};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages, with what they say.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["", "docs", "docs/decisions", "kernel-helper"]
        .iter()
        .filter_map(|directory| fs::read_dir(root().join(directory)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of that kind, with the line that each begins at.
fn blocks(text: &str, kind: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == format!("```{kind}") {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
            found.push((number + 2, block.join("\n")));
        } else if line.trim().starts_with("```") {
            lines.by_ref().find(|(_, line)| line.trim() == "```");
        }
    }
    found
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

#[test]
fn every_configuration_in_the_documentation_parses() {
    let mut count = 0;
    for (path, text) in pages() {
        for (line, block) in blocks(&text, "toml") {
            let place = format!("{}, block at line {line}", path.display());
            Config::parse(&block, &place).unwrap();
            count += 1;
        }
    }
    assert!(count >= 2, "only {count} configurations were found");
}

#[test]
fn every_key_is_described() {
    let description = page("docs/configuration.md");
    let mut section = String::new();
    let mut keys = 0;
    for line in DEFAULT_TEXT.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            let name = line.split("  #").next().unwrap().trim();
            // The limits of one guest are those of all.
            let name = if name.ends_with(".limits]") { "[limits]".to_owned() } else { name.replace("web", "name") };
            let heading = format!("## `{name}`\n");
            let start = description.find(&heading).unwrap_or_else(|| panic!("{heading} is missing"));
            let rest = &description[start + heading.len()..];
            section = rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            assert!(section.contains(&format!("`{key}`")), "`{key}` is not described in its section");
            keys += 1;
        }
    }
    assert!(keys > 25, "only {keys} keys were found");
}

#[test]
fn the_protocols_examples_are_understood() {
    let text = page("docs/control.md");
    let requests: Vec<String> = blocks(&text, "json request").into_iter().map(|(_, block)| block).collect();
    let requests: Vec<&str> = requests.iter().flat_map(|block| block.lines()).collect();
    assert!(requests.len() >= 7);
    for request in requests {
        decode_request(request.as_bytes()).unwrap_or_else(|why| panic!("{request}: {why}"));
    }
    let (_, status) = blocks(&text, "json status").remove(0);
    let status: Status = serde_json::from_str(&status).unwrap();
    // No field may be missing in the example.
    let example: serde_json::Value = serde_json::from_str(&blocks(&text, "json status")[0].1).unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap(), example);
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let mut count = 0;
    let mut dead = Vec::new();
    for (path, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            // Pictures are made by the product when it runs.
            if file.is_empty() || file.contains("://") || file.ends_with(".png") {
                continue;
            }
            count += 1;
            if !path.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(count > 8, "only {count} links were found");
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The files of the repository, and what holds for each of them.

use std::fs;
use std::path::Path;

/// A text file: its path from the repository's root, and what it holds.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// What is built or fetched, and not ours.
const SKIPPED: &[&str] = &["target", ".git", ".cache", "shared"];

/// All text files of the repository.
pub(super) fn sources() -> Vec<File> {
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            if !SKIPPED.contains(&path.as_str()) {
                collect(&entry.path(), &format!("{path}/"), files);
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}

/// Whether a file must say under which licence it stands. Xen's own headers are kept as they come.
fn wants_licence(path: &str) -> bool {
    const ENDINGS: [&str; 8] = [".rs", ".c", ".h", ".sh", ".py", ".toml", ".yml", "Makefile"];
    let generated = path.starts_with("protocols/xen/") || path.ends_with(".mod.c") || path.starts_with("assets/");
    !generated && ENDINGS.iter().any(|ending| path.ends_with(ending))
}

fn licence_fault(path: &str, text: &str) -> Option<String> {
    let expected =
        if path.starts_with("kernel-helper/") && !path.ends_with(".rs") { "GPL-2.0" } else { "GPL-3.0-or-later" };
    let stated = text.lines().take(3).find_map(|line| line.split("SPDX-License-Identifier:").nth(1));
    match stated.map(str::trim) {
        Some(licence) if licence.starts_with(expected) => None,
        Some(licence) => Some(format!("{path}: stands under {licence}, not {expected}")),
        None => Some(format!("{path}: has no SPDX line")),
    }
}

#[test]
fn every_source_file_names_its_licence() {
    let files = sources();
    let faults: Vec<String> = files
        .iter()
        .filter(|file| wants_licence(&file.path))
        .filter_map(|file| licence_fault(&file.path, &file.text))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_missing_or_wrong_licence_is_found() {
    assert!(licence_fault("src/a.rs", "//! x\n").is_some());
    assert!(licence_fault("src/a.rs", "// SPDX-License-Identifier: MIT\n").is_some());
    assert!(licence_fault("kernel-helper/map.c", "// SPDX-License-Identifier: GPL-3.0-or-later\n").is_some());
    assert!(licence_fault("kernel-helper/map.c", "// SPDX-License-Identifier: GPL-2.0-only\n").is_none());
    assert!(licence_fault("a.sh", "#!/bin/sh\n# SPDX-License-Identifier: GPL-3.0-or-later\n").is_none());
}

/// Marks of unfinished work, in pieces so that this file does not hold them.
fn marks() -> [String; 3] {
    [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX"].concat()]
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let word = |line: &str, mark: &str| {
        line.split(|character: char| !character.is_alphanumeric() && character != '_').any(|word| word == mark)
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| marks().iter().any(|mark| word(line, mark)))
        .map(|(number, line)| format!("{path}:{}: {}", number + 1, line.trim()))
        .collect()
}

#[test]
fn nothing_is_left_for_later_in_the_sources() {
    let ours = |path: &str| !path.starts_with("protocols/xen/") && !path.ends_with(".lock") && path != "LICENSE";
    let found: Vec<String> = sources()
        .iter()
        .filter(|file| ours(&file.path) && !file.path.starts_with("LICENSES/"))
        .flat_map(|file| unfinished(&file.path, &file.text))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    assert_eq!(unfinished("a.rs", &format!("x\n// {}: y", marks()[0])).len(), 1);
}

#[test]
fn every_dependency_comes_from_the_public_index() {
    let index = "registry+https://github.com/rust-lang/crates.io-index";
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let sources: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert!(sources.len() > 50);
    assert!(sources.iter().all(|source| source.trim_matches('"') == index));
}

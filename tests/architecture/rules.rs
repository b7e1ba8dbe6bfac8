// SPDX-License-Identifier: GPL-3.0-or-later
//! The import table, as data, and the check of one file against it.

use super::source::{Use, code_of, names, uses};
use super::tree::{File, sources};

/// Longest file, in lines, test modules not counted.
const MAX_LINES: usize = 600;

/// What code of a module may name.
struct Rule {
    /// The module; the longest that fits a file counts.
    module: &'static str,
    /// Modules of ours, with all below them, that it may import beside itself.
    may: &'static [&'static str],
    /// Crates and items that it never names.
    never: &'static [&'static str],
}

const SCREEN: &[&str] = &["smithay", "calloop", "pixman"];
const PURE: &[&str] = &[
    "smithay",
    "calloop",
    "pixman",
    "nix",
    "Instant",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::os",
];

/// ARCHITECTURE.md, "Who may import whom".
const RULES: &[Rule] = &[
    Rule { module: "time", may: &[], never: PURE },
    Rule { module: "xen", may: &["time"], never: SCREEN },
    Rule { module: "displif", may: &["xen", "time"], never: PURE },
    Rule { module: "kbdif", may: &["xen", "time"], never: PURE },
    Rule { module: "buffer", may: &["xen", "time"], never: &["calloop", "Instant"] },
    Rule { module: "scene", may: &["buffer", "time"], never: PURE },
    Rule { module: "frame", may: &["scene", "buffer", "backend", "time"], never: PURE },
    Rule { module: "backend", may: &["buffer", "scene::element", "time"], never: &[] },
    Rule {
        module: "input",
        may: &["scene::focus", "scene::element", "scene::layout", "backend", "time"],
        never: &["calloop", "nix", "Instant", "std::fs", "std::net", "std::os"],
    },
    Rule {
        module: "guest",
        may: &["displif", "kbdif", "buffer", "scene", "frame", "input", "backend", "xen", "config", "time"],
        never: &["smithay", "calloop", "pixman", "Instant", "std::fs", "std::net"],
    },
    Rule {
        module: "wayland",
        may: &["scene::element", "scene::layout", "scene::cursor", "scene::dock", "backend", "input", "time"],
        never: &["calloop", "Instant", "std::net", "std::thread"],
    },
    Rule { module: "config", may: &[], never: SCREEN },
    Rule { module: "control", may: &[], never: SCREEN },
    Rule { module: "doctor", may: &["kbdif::features"], never: SCREEN },
    Rule { module: "logging", may: &[], never: SCREEN },
    Rule { module: "cli", may: &["config", "control", "doctor", "logging"], never: SCREEN },
    Rule { module: "sim", may: &["xen", "displif::wire", "displif::formats", "kbdif::wire", "time"], never: SCREEN },
];

/// Modules that join the others: they may import everything but the exceptions of [`EXCLUSIVE`].
const WIRING: &[&str] = &["main", "startup", "event_loop", "state", "demo", "sandbox"];

/// What only the named modules may import: (what, who).
const EXCLUSIVE: &[(&str, &[&str])] = &[
    ("xen::sys", &["xen::sys", "main", "sim"]),
    ("sim", &["sim", "startup", "state", "demo"]),
    ("backend::kms", &["backend", "startup"]),
    ("backend::headless", &["backend", "startup"]),
    ("state", &["state", "event_loop", "startup"]),
    ("startup", &["startup", "main", "demo"]),
];

/// Where `unsafe` may stand. `xen::front` is built for tests and the simulator alone.
const UNSAFE: &[&str] = &[
    "xen::sys",
    "xen::pages",
    "xen::front",
    "buffer::memory",
    "sandbox",
    "sim::os",
    "sim::memory",
    "backend::render::pixman",
    "backend::render::gles",
    "backend::kms::gpu",
    "backend::kms::grab",
    "wayland::shm",
];

fn lies_in(module: &str, parent: &str) -> bool {
    module.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn lies_in_any(module: &str, parents: &[&str]) -> bool {
    parents.iter().any(|parent| lies_in(module, parent))
}

fn rule_for(module: &str) -> Option<&'static Rule> {
    RULES.iter().filter(|rule| lies_in(module, rule.module)).max_by_key(|rule| rule.module.len())
}

/// All that is wrong with a source file of the library or the program, one line each.
fn faults(module: &[String], source: &str) -> Vec<String> {
    let (code, lines) = code_of(source);
    let name = if module.is_empty() { "lib".to_owned() } else { module.join("::") };
    let mut faults = Vec::new();
    for found in uses(&code, module) {
        faults.extend(import_fault(&name, &found));
    }
    if let Some(rule) = rule_for(&name) {
        let named = rule.never.iter().filter(|never| names(&code, never));
        faults.extend(named.map(|never| format!("{name} must never name {never}")));
    } else if !lies_in_any(&name, WIRING) && name != "lib" {
        faults.push(format!("{name} is not in the import table"));
    }
    if names(&code, "unsafe") && !lies_in_any(&name, UNSAFE) {
        faults.push(format!("{name} must not hold unsafe code"));
    }
    if lines > MAX_LINES {
        faults.push(format!("{name} has {lines} lines, more than {MAX_LINES}"));
    }
    faults
}

fn import_fault(name: &str, found: &Use) -> Option<String> {
    let path = found.path.join("::");
    let fault = |why: &str| Some(format!("{name}, line {}: {path}: {why}", found.line));
    let exclusive = EXCLUSIVE.iter().find(|(what, _)| lies_in(&path, what));
    if let Some((what, who)) = exclusive
        && !lies_in_any(name, who)
    {
        return fault(&format!("only {} may import {what}", who.join(", ")));
    }
    let rule = rule_for(name)?;
    // Macros and items of the crate's root have no module.
    let known = RULES.iter().map(|rule| rule.module).chain(WIRING.iter().copied());
    let top = found.path.first().map_or("", String::as_str);
    if !known.into_iter().any(|module| module == top) || lies_in(&path, rule.module) || lies_in_any(&path, rule.may) {
        return None;
    }
    // A path that stops above what may be imported (`scene` for `scene::element`) is as wrong.
    fault(&format!("{} may import {}", rule.module, rule.may.join(", ")))
}

fn is_test(file: &File) -> bool {
    file.path.ends_with("tests.rs") || file.path.contains("/tests/")
}

#[test]
fn every_module_keeps_to_the_import_table() {
    let files: Vec<File> =
        sources().into_iter().filter(|file| file.path.starts_with("src/") && !is_test(file)).collect();
    assert!(files.len() > 20, "the sources were not found");
    let found: Vec<String> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .flat_map(|file| {
            let faults = faults(&module_of(&file.path), &file.text);
            faults.into_iter().map(|fault| format!("{}: {fault}", file.path))
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The module that a file holds: `src/xen/sys/mod.rs` is `xen::sys`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(ToOwned::to_owned).collect() }
}

#[test]
fn planted_violations_are_found() {
    let faults_in = |path: &str, source: &str| faults(&module_of(path), source);
    let planted = [
        ("src/displif/wire.rs", "use crate::scene::element::Rect;", "displif may import xen"),
        ("src/displif/wire.rs", "use crate::{time::Time, backend::Event};", "line 1: backend::Event"),
        ("src/displif/wire.rs", "fn f() { std::time::Instant::now(); }", "must never name Instant"),
        ("src/displif/wire.rs", "use nix::libc;", "must never name nix"),
        ("src/displif/wire.rs", "use super::super::backend::Event;", "backend::Event"),
        ("src/displif/mod.rs", "use crate::xen::sys::mapping::Map;", "only xen::sys, main, sim may import xen::sys"),
        ("src/backend/kms/mod.rs", "use crate::scene::layout;", "backend may import buffer, scene::element"),
        ("src/backend/kms/mod.rs", "use crate::state::State;", "may import state"),
        ("src/scene/mod.rs", "fn f() -> crate::guest::Guest { x }", "scene may import"),
        ("src/xen/store.rs", "use smithay::reexports;", "must never name smithay"),
        ("src/guest/mod.rs", "use crate::backend::kms::Kms;", "may import backend::kms"),
        ("src/event_loop.rs", "use crate::xen::sys::Xen;", "may import xen::sys"),
        ("src/guest/mod.rs", "use crate::sim::Front;", "may import sim"),
        ("src/scene/mod.rs", "fn f() { unsafe { g() } }", "must not hold unsafe code"),
        ("src/novelty/mod.rs", "", "not in the import table"),
    ];
    for (path, source, fault) in planted {
        let found = faults_in(path, source);
        assert!(found.iter().any(|line| line.contains(fault)), "{path}: {source}: {found:?}");
    }
    let long = "fn f() {}\n".repeat(MAX_LINES + 1);
    assert!(faults_in("src/scene/mod.rs", &long)[0].contains("601 lines"));
    let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    let innocent = [
        ("src/scene/mod.rs", tested.as_str()),
        ("src/displif/wire.rs", "// crate::scene\nuse super::Action; const X: &str = \"unsafe crate::scene\";"),
        ("src/sim/grants.rs", "use crate::xen::sys::mapping::Map; use crate::displif::wire::Request;"),
        ("src/main.rs", "use grantway::xen::sys::Xen; use grantway::startup;"),
        ("src/startup.rs", "use crate::backend::kms::Kms; use crate::sim::Hypervisor;"),
        ("src/event_loop.rs", "use crate::state::State; use smithay::x;"),
        ("src/backend/kms/output.rs", "use super::super::{Commit, Event}; use crate::scene::element::{Frame, Rect};"),
    ];
    for (path, source) in innocent {
        assert_eq!(faults_in(path, source), Vec::<String>::new(), "{path}");
    }
}

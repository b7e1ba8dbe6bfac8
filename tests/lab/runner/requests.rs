// SPDX-License-Identifier: GPL-3.0-or-later
//! What a scenario asks of the runner: files `ID.request` in the shared folder, each answered by `ID.answer`
//! ("ok …" or "error …").

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Result;
use crate::picture::{Area, Picture};
use crate::qmp::Qmp;

/// The folder that a scenario shares with the runner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share<'a> {
    /// As the runner sees it.
    pub(crate) folder: &'a Path,
    /// As the scenario sees it.
    pub(crate) inside: &'a Path,
}

/// Answers every request that lies there. Without QEMU there is no emulated display or keyboard.
pub(crate) fn answer_all(share: Share<'_>, mut qmp: Option<&mut Qmp>) -> Result<()> {
    let folder = share.folder.join("requests");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|extension| extension == "request") {
            answer(share, qmp.as_deref_mut(), &path)?;
        }
    }
    Ok(())
}

fn answer(share: Share<'_>, qmp: Option<&mut Qmp>, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let answer = match perform(share, qmp, text.trim()) {
        Ok(value) => format!("ok {value}\n"),
        Err(why) => format!("error {why}\n"),
    };
    let part = path.with_extension("answer.part");
    // Renamed, so that Dom0 never reads half of it.
    let written = std::fs::remove_file(path)
        .and_then(|()| std::fs::write(&part, answer))
        .and_then(|()| std::fs::rename(&part, path.with_extension("answer")));
    written.map_err(|error| format!("{}: {error}", part.display()))
}

fn perform(share: Share<'_>, qmp: Option<&mut Qmp>, request: &str) -> Result<String> {
    let emulated = || qmp.ok_or("there is no emulated machine");
    let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    match (verb, words.as_slice()) {
        ("screendump", [path]) => screendump(&inside(share, path)?, emulated()?),
        ("compare", [picture, x, y, width, height, reference, how @ ..]) => {
            let found = Picture::read(&inside(share, picture)?)?.crop(area([x, y, width, height])?)?;
            let mut wanted = Picture::read(&inside(share, reference)?)?;
            match how {
                [] => {}
                ["as-RG16"] => wanted = wanted.through_rg16(),
                ["doubled"] => wanted = wanted.doubled(),
                ["doubled-smoothly"] => wanted = wanted.doubled_smoothly(),
                _ => return Err(format!("cannot compare '{}'", how.join(" "))),
            }
            Ok(found.difference(&wanted).unwrap_or_else(|| "equal".into()))
        }
        ("colour", [picture, x, y, width, height]) => {
            Picture::read(&inside(share, picture)?)?.crop(area([x, y, width, height])?)?.only_colour()
        }
        ("vkms-crc", [picture]) => Ok(format!("{:08x}", Picture::read(&inside(share, picture)?)?.vkms_crc())),
        ("cut", [picture, x, y, width, height, to]) => {
            let part = Picture::read(&inside(share, picture)?)?.crop(area([x, y, width, height])?)?;
            part.write_png(&inside(share, to)?).map(|()| String::new())
        }
        ("bounds", [picture, x, y, width, height, background]) => {
            let part = Picture::read(&inside(share, picture)?)?.crop(area([x, y, width, height])?)?;
            let Area { x, y, width, height } = part.bounds(colour(background)?)?;
            Ok(format!("{x} {y} {width} {height}"))
        }
        ("pattern", [path, width, height, seed]) => {
            let number = |text: &str| text.parse::<u32>().map_err(|_| format!("'{text}' is no number"));
            let picture = Picture::pattern(number(width)?, number(height)?, number(seed)?);
            picture.write_png(&inside(share, path)?).map(|()| String::new())
        }
        ("input", _) => {
            let events: Value = serde_json::from_str(rest).map_err(|error| format!("the events: {error}"))?;
            emulated()?.execute("input-send-event", json!({ "events": events }))?;
            Ok(String::new())
        }
        _ => Err(format!("unknown request '{request}'")),
    }
}

fn area(words: [&str; 4]) -> Result<Area> {
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("'{text}' is no number of pixels"));
    let [x, y, width, height] = words;
    Ok(Area { x: number(x)?, y: number(y)?, width: number(width)?, height: number(height)? })
}

/// A colour as rrggbb.
fn colour(text: &str) -> Result<[u8; 3]> {
    let number = u32::from_str_radix(text, 16).ok().filter(|number| *number < 1 << 24);
    let [_, rgb @ ..] = number.ok_or_else(|| format!("'{text}' is no colour rrggbb"))?.to_be_bytes();
    Ok(rgb)
}

/// A path as the scenario names it, as it is called out here.
fn inside(share: Share<'_>, path: &str) -> Result<PathBuf> {
    match Path::new(path).strip_prefix(share.inside) {
        Ok(rest) if !rest.iter().any(|part| part == "..") => Ok(share.folder.join(rest)),
        _ => Err(format!("{path} is not in {}", share.inside.display())),
    }
}

/// Has QEMU write its display as a PPM, and makes a PNG beside it for people.
fn screendump(path: &Path, qmp: &mut Qmp) -> Result<String> {
    qmp.execute("screendump", json!({ "filename": path.display().to_string() }))?;
    let picture = Picture::read(path)?;
    picture.write_png(&path.with_extension("png"))?;
    Ok(format!("{} {}", picture.width, picture.height))
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Where guests' windows are, in a file beside the control socket: the next compositor puts them there
//! again. It lasts as long as the machine runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::{OutputId, OutputInfo};
use crate::scene::Remembered;
use crate::scene::element::Size;
use crate::scene::fit::Fit;
use crate::time::Time;

use super::State;

/// From the first change to the writing: a window that is dragged is written once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// The longest side of a window, in pixels.
const LARGEST: i32 = 16_384;

/// The file.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Written {
    windows: Vec<Entry>,
}

/// A window in the file; outputs are there by their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Entry {
    guest: String,
    connector: u32,
    output: String,
    x: i32,
    y: i32,
    /// Width and height inside of the frame, where the user has changed them.
    inside: Option<(i32, i32)>,
    /// How the picture is shown in that, where the user has decided about it.
    fit: Option<String>,
}

/// What is kept of the windows' places.
#[derive(Debug)]
pub(super) struct Places {
    path: PathBuf,
    /// Those on outputs that have not been there yet.
    unplaced: Vec<Entry>,
    /// The names of outputs that have been there.
    outputs: BTreeMap<OutputId, String>,
    due: Option<Time>,
}

impl Places {
    /// Reads the file, if there is one.
    pub(super) fn open(path: PathBuf) -> Self {
        let unplaced = read(&path).unwrap_or_else(|why| {
            tracing::warn!("{}: where windows were is not known: {why}", path.display());
            Vec::new()
        });
        Self { path, unplaced, outputs: BTreeMap::new(), due: None }
    }

    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }

    /// The windows that were on outputs that are there now for the first time.
    fn arrive(&mut self, outputs: &[OutputInfo]) -> Vec<Remembered> {
        let mut arrived = Vec::new();
        for output in outputs {
            if self.outputs.insert(output.id, output.name.clone()).is_none() {
                let here = self.unplaced.extract_if(.., |entry| entry.output == output.name);
                arrived.extend(here.map(|entry| entry.on(output.id)));
            }
        }
        arrived
    }

    fn write(&mut self, windows: Vec<Remembered>) -> io::Result<()> {
        self.due = None;
        let placed = windows.into_iter().filter_map(|window| Entry::new(window, &self.outputs));
        let windows = self.unplaced.iter().cloned().chain(placed).collect();
        let text = serde_json::to_vec(&Written { windows })?;
        let part = self.path.with_extension("part");
        // Renamed, so that a compositor that ends meanwhile leaves a whole file.
        fs::write(&part, text).and_then(|()| fs::rename(&part, &self.path))
    }
}

impl Entry {
    fn new(window: Remembered, outputs: &BTreeMap<OutputId, String>) -> Option<Self> {
        let Remembered { guest, connector, output, corner: (x, y), area, fit } = window;
        let output = outputs.get(&output)?.clone();
        let inside = area.map(|area| (area.width, area.height));
        Some(Self { guest, connector, output, x, y, inside, fit: fit.map(|fit| fit.name().to_owned()) })
    }

    fn on(self, output: OutputId) -> Remembered {
        let Self { guest, connector, x, y, inside, fit, .. } = self;
        let side = |pixels: i32| pixels.clamp(1, LARGEST);
        let area = inside.map(|(width, height)| Size { width: side(width), height: side(height) });
        let fit = fit.as_deref().and_then(Fit::named);
        Remembered { guest, connector, output, corner: (x, y), area, fit }
    }
}

fn read(path: &PathBuf) -> Result<Vec<Entry>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_str::<Written>(&text).map(|written| written.windows).map_err(|error| error.to_string())
}

impl State {
    /// Windows that were on outputs that are there now can be where they were.
    pub(super) fn restore_places(&mut self, outputs: &[OutputInfo]) {
        if let Some(places) = &mut self.places {
            self.scene.remember(places.arrive(outputs));
        }
    }

    /// Writes down where windows are, some time after one was put somewhere; at once on the way down.
    pub(super) fn keep_places(&mut self, now: Time) {
        let Some(places) = &mut self.places else { return };
        if self.scene.take_rearranged() {
            places.due.get_or_insert(now.saturating_add(PATIENCE));
        }
        let ends = self.stop_by.is_some();
        if places.due.is_some_and(|due| due <= now || ends)
            && let Err(error) = places.write(self.scene.remembered())
        {
            tracing::warn!("{}: where windows are can't be written down: {error}", places.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(id: u32, name: &str) -> OutputInfo {
        OutputInfo {
            id: OutputId(id),
            name: name.to_owned(),
            width: 100,
            height: 50,
            refresh: Duration::from_millis(16),
            variable: false,
            edid: None,
        }
    }

    fn window(guest: &str, output: u32) -> Remembered {
        let area = Some(Size { width: 30, height: 20 });
        let (guest, fit) = (guest.to_owned(), Some(Fit::Crop));
        Remembered { guest, connector: 1, output: OutputId(output), corner: (-4, 5), area, fit }
    }

    #[test]
    fn windows_are_where_they_were_on_the_output_of_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.json");
        let mut places = Places::open(path.clone());
        assert_eq!(places.arrive(&[output(1, "left"), output(2, "right")]), []);
        places.write(vec![window("web", 2), window("work", 1), window("map", 77)]).unwrap();

        // The other way round, and one of them comes later.
        let mut places = Places::open(path.clone());
        assert_eq!(places.arrive(&[output(1, "right")]), [window("web", 1)]);
        places.write(vec![window("web", 1)]).unwrap();
        let mut places = Places::open(path.clone());
        let mut both = places.arrive(&[output(4, "left"), output(5, "right")]);
        both.sort_by_key(|window| window.guest.clone());
        assert_eq!(both, [window("web", 5), window("work", 4)]);

        std::fs::write(&path, "{\"windows\": [{\"guest\"").unwrap();
        assert_eq!(Places::open(path).arrive(&[output(1, "left")]), []);
    }

    #[test]
    fn a_size_that_makes_no_sense_is_made_one_that_does() {
        let entry = Entry {
            guest: "web".to_owned(),
            connector: 0,
            output: "left".to_owned(),
            x: i32::MIN,
            y: i32::MAX,
            inside: Some((-1, i32::MAX)),
            fit: Some("sideways".to_owned()),
        };
        let window = entry.on(OutputId(1));
        assert_eq!((window.area, window.fit), (Some(Size { width: 1, height: LARGEST }), None));
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The kiosk's part of the status as text for people.

use super::table::Align::{Left, Right};
use super::table::{Table, line, printable};
use super::{AreaStatus, PlaceStatus};

/// A table of the places, and a line for each that is not as one might expect.
pub(super) fn places(places: &[PlaceStatus]) -> String {
    if places.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("PLACE OF", Left),
        ("OUTPUT", Left),
        ("AREA", Left),
        ("LAYER", Right),
        ("FIT", Left),
        ("SCALE", Left),
        ("SHOWS", Left),
    ]);
    let mut notes = String::new();
    for place in places {
        let name = format!("{} {}", printable(&place.guest), printable(&place.connector));
        if let Some(why) = &place.why {
            line(&mut notes, &format!("{name}: {}", printable(why)));
        }
        table.row(row(name, place));
    }
    format!("{}{notes}\n", table.render())
}

fn row(name: String, place: &PlaceStatus) -> [String; 7] {
    let turned = if place.rotate == 0 { String::new() } else { format!(", {}°", place.rotate) };
    let none = || "-".to_owned();
    [
        name,
        printable(&place.output),
        place.area.map_or_else(none, geometry),
        place.layer.to_string(),
        format!("{}{turned}", printable(&place.fit)),
        place.scale.map_or_else(none, |(across, down)| scale(across, down)),
        printable(&place.shows),
    ]
}

fn geometry(AreaStatus { x, y, width, height }: AreaStatus) -> String {
    format!("{width}x{height}+{x}+{y}")
}

fn scale(across: u32, down: u32) -> String {
    let one = |thousandths: u32| format!("{}.{:02}", thousandths / 1000, thousandths % 1000 / 10);
    if across == down { one(across) } else { format!("{} x {}", one(across), one(down)) }
}

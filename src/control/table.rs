// SPDX-License-Identifier: GPL-3.0-or-later
//! The status as text for people: aligned tables that fit 100 columns, and one line for each thing that
//! wants explaining.

use std::fmt::Write;

use super::places::places;
use super::{ConnectorStatus, DepartedStatus, GuestStatus, InputStatus, OutputStatus, Status};

/// The status as lines of text, each with its line end.
#[must_use]
pub fn render(status: &Status) -> String {
    let mut text = format!(
        "grantway {} on {}, presented by {} with {}\n",
        status.version, status.platform, status.backend, status.renderer
    );
    text.push('\n');
    text.push_str(&outputs(&status.outputs));
    text.push('\n');
    text.push_str(&places(&status.kiosk));
    if status.guests.is_empty() {
        text.push_str("no guest has a display device\n");
        text.push_str(&departed(&status.departed));
        return text;
    }
    text.push_str(&connectors(&status.guests));
    text.push('\n');
    text.push_str(&holdings(&status.guests));
    if status.guests.iter().any(|guest| !guest.inputs.is_empty()) {
        text.push('\n');
        text.push_str(&inputs(&status.guests));
    }
    text.push_str(&notes(&status.guests));
    text.push_str(&focus(status));
    text.push_str(&departed(&status.departed));
    text
}

/// Domains that keep memory of ours without having a display.
fn departed(departed: &[DepartedStatus]) -> String {
    let mut text = String::new();
    for domain in departed {
        let DepartedStatus { domid, pages_waiting, pages_left_behind } = domain;
        let pages = pages_waiting.saturating_add(*pages_left_behind);
        let theirs = before_us(*pages_left_behind);
        line(&mut text, &format!("dom {domid}, gone: {pages} pages of our memory wait for it{theirs}"));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// How many of a domain's pages an earlier compositor gave it.
fn before_us(pages: u32) -> String {
    if pages == 0 { String::new() } else { format!(", {pages} of them from a compositor before this one") }
}

/// Who has the focus, in a line of its own.
fn focus(status: &Status) -> String {
    let mut line = match &status.focus {
        None => match status.clients.iter().find(|client| client.keyboard) {
            Some(client) => format!("\nkeyboard: Dom0's own \"{}\"", printable(&client.title)),
            None => "\nno guest has the focus".to_owned(),
        },
        Some(focus) => {
            let what = if focus.keyboard { "keyboard" } else { "focus (no keys)" };
            let grab = if focus.pointer_grabbed { ", with the pointer" } else { "" };
            format!("\n{what}: {} (dom {}), connector {}{grab}", printable(&focus.name), focus.domid, focus.connector)
        }
    };
    if status.secure_attention {
        line.push_str("; secure attention: no guest gets input");
    }
    if let Some(workspace) = status.workspace.filter(|workspace| *workspace > 1) {
        line.push_str(&format!("; workspace {workspace}"));
    }
    line.push('\n');
    line
}

fn outputs(outputs: &[OutputStatus]) -> String {
    let mut table = Table::new(&[("OUTPUT", Left), ("MODE", Left), ("FRAMES", Right)]);
    for output in outputs {
        table.row([
            printable(&output.name),
            format!("{}x{}@{}", output.width, output.height, hertz(output.refresh_mhz)),
            if output.off { "off".to_owned() } else { output.frames.to_string() },
        ]);
    }
    let mut text = table.render();
    for output in outputs {
        let name = printable(&output.name);
        match (&output.cursor_plane, &output.cursor_plane_refused) {
            (Some(plane), _) => line(&mut text, &format!("{name}: cursor on {}", printable(plane))),
            (None, Some(why)) => line(&mut text, &format!("{name}: cursor on no plane: {}", printable(why))),
            (None, None) => {}
        }
    }
    text
}

fn connectors(guests: &[GuestStatus]) -> String {
    let mut table = Table::new(&[
        ("GUEST", Left),
        ("DOM", Right),
        ("CONNECTOR", Left),
        ("STATE", Left),
        ("SIZE", Left),
        ("FORMAT", Left),
        ("FLIPS", Right),
        ("EVENTS", Right),
        ("SHOWN BY", Left),
        ("COPIED", Right),
    ]);
    for guest in guests {
        if guest.connectors.is_empty() {
            let mut cells = vec![printable(&guest.name), guest.domid.to_string(), "-".to_owned()];
            cells.push(printable(&guest.state));
            table.row(cells);
        }
        for connector in &guest.connectors {
            table.row(connector_row(guest, connector));
        }
    }
    table.render()
}

fn connector_row(guest: &GuestStatus, connector: &ConnectorStatus) -> Vec<String> {
    vec![
        printable(&guest.name),
        guest.domid.to_string(),
        format!("{} {}", connector.index, printable(&connector.unique_id)),
        printable(&connector.state),
        format!("{}x{}", connector.width, connector.height),
        connector.format.as_deref().map_or_else(|| "-".to_owned(), printable),
        connector.flips.to_string(),
        connector.events.to_string(),
        connector.presented_by.name().to_owned(),
        bytes(connector.bytes_copied),
    ]
}

fn holdings(guests: &[GuestStatus]) -> String {
    let mut table = Table::new(&[
        ("GUEST", Left),
        ("STATE", Left),
        ("BUFFERS", Right),
        ("FRAMEBUFFERS", Right),
        ("GRANTS", Right),
        ("MIB HELD", Right),
        ("FREES PENDING", Right),
        ("REFUSED", Right),
    ]);
    for guest in guests {
        table.row([
            printable(&guest.name),
            printable(&guest.state),
            guest.buffers.to_string(),
            guest.framebuffers.to_string(),
            guest.grants.to_string(),
            format!("{:.2}", guest.mib_held),
            guest.frees_pending.to_string(),
            guest.requests_refused.to_string(),
        ]);
    }
    table.render()
}

fn inputs(guests: &[GuestStatus]) -> String {
    let mut table = Table::new(&[
        ("GUEST", Left),
        ("INPUT", Right),
        ("STATE", Left),
        ("TAKES", Left),
        ("EVENTS", Right),
        ("HELD", Right),
        ("WAITING", Right),
        ("DROPPED", Right),
    ]);
    for guest in guests {
        for input in &guest.inputs {
            table.row(input_row(guest, input));
        }
    }
    table.render()
}

fn input_row(guest: &GuestStatus, input: &InputStatus) -> Vec<String> {
    let takes = if input.takes.is_empty() { "-".to_owned() } else { printable(&input.takes.join(", ")) };
    vec![
        printable(&guest.name),
        input.device.to_string(),
        printable(&input.state),
        takes,
        input.events.to_string(),
        input.held.to_string(),
        input.waiting.to_string(),
        input.motion_dropped.saturating_add(input.presses_dropped).to_string(),
    ]
}

/// How each picture is read and why, and what was refused last.
fn notes(guests: &[GuestStatus]) -> String {
    let mut text = String::new();
    for guest in guests {
        for connector in &guest.connectors {
            if let Some(why) = &connector.not_shown {
                let place = format!("{} {}", printable(&guest.name), connector.index);
                line(&mut text, &format!("{place}: not shown: {}", printable(why)));
            }
            let Some(path) = &connector.import_path else { continue };
            let provider = connector.provider.as_deref().map(printable).unwrap_or_default();
            let reason = connector.import_reason.as_deref().map(printable).unwrap_or_default();
            let place = format!("{} {}", printable(&guest.name), connector.index);
            let how = [provider, printable(path)].join(" > ");
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            line(&mut text, &format!("{place}: {}{why}", how.trim_start_matches(" > ")));
            match (&connector.plane, &connector.plane_refused) {
                (Some(plane), _) => line(&mut text, &format!("{place}: on {}", printable(plane))),
                (None, Some(why)) => line(&mut text, &format!("{place}: on no plane: {}", printable(why))),
                (None, None) => {}
            }
        }
        for input in &guest.inputs {
            for complaint in &input.complaints {
                let (name, device) = (printable(&guest.name), input.device);
                line(&mut text, &format!("{name}: input {device}: {}", printable(complaint)));
            }
        }
        if guest.mib_allocated > 0.0 || guest.pages_left_behind > 0 {
            let waiting = match guest.pages_waiting.saturating_add(guest.pages_left_behind) {
                0 => String::new(),
                pages => format!("; {pages} pages wait for it to let go{}", before_us(guest.pages_left_behind)),
            };
            let name = printable(&guest.name);
            line(&mut text, &format!("{name}: {:.2} MiB in our memory{waiting}", guest.mib_allocated));
        }
        if let Some(refusal) = &guest.last_refusal {
            line(&mut text, &format!("{}: last refused: {}", printable(&guest.name), printable(refusal)));
        }
        if guest.times_held_back > 0 {
            let (name, times) = (printable(&guest.name), guest.times_held_back);
            line(&mut text, &format!("{name}: slowed down {times} times, since too many requests were refused"));
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

pub(super) fn line(text: &mut String, content: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{content}");
}

/// A guest's name must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

fn hertz(mhz: u32) -> String {
    let (whole, fraction) = (mhz / 1000, mhz % 1000);
    if fraction == 0 { whole.to_string() } else { format!("{whole}.{fraction:03}").trim_end_matches('0').to_owned() }
}

fn bytes(count: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = UNITS.iter().find(|(shift, _)| count >> shift > 0);
    unit.map_or_else(|| count.to_string(), |(shift, name)| format!("{} {name}", count >> shift))
}

use Align::{Left, Right};

#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of cells under headings; each column is as wide as its widest cell.
pub(super) struct Table {
    headings: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[(&str, Align)]) -> Self {
        let headings = headings.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { headings, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    fn width(&self, column: usize, heading: &str) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading.chars().count()]).max().unwrap_or(0)
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let headings: Vec<String> = self.headings.iter().map(|(name, _)| name.clone()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut cells = String::new();
            for (column, (heading, align)) in self.headings.iter().enumerate() {
                let width = self.width(column, heading);
                let cell = row.get(column).map_or("", String::as_str);
                let padded = match align {
                    Left => format!("{cell:<width$}  "),
                    Right => format!("{cell:>width$}  "),
                };
                cells.push_str(&padded);
            }
            line(&mut text, cells.trim_end());
        }
        text
    }
}

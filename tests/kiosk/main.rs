// SPDX-License-Identifier: GPL-3.0-or-later
//! A kiosk on the simulator, as a user would start it: `grantway --headless --kiosk --config kiosk.toml`, with the
//! compositor and the guests in processes of their own (docs/kiosk.md). What is drawn where, pixel by pixel, is in
//! tests/render/kiosk.rs.
#![cfg(all(feature = "sim", feature = "compositor"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../beyond_linux/desk.rs"]
mod desk;

use std::path::{Path, PathBuf};

use desk::{Desk, Picture, Rgb, wait_for};
use grantway::control::{InputAction, PlaceStatus, ScreenshotTarget};
use grantway::sim::pattern::{self, Pattern};

/// A panel with a map under two gauges, and a second output on its side.
const CONFIG: &str = r##"
[[output]]
name = "panel"
mode = "800x480@240"
background = "#102030"

[[output]]
name = "side"
mode = "240x320@240"

[[kiosk]]
guest = "map"
output = "panel"
fit = "scale"
before = "splash"
after = "last-frame"
splash = "SPLASH"

[[kiosk]]
guest = "gauges"
connector = "left"
output = "panel"
area = "200x200+20+260"
layer = 10
before = "nothing"
after = "nothing"

[[kiosk]]
guest = "gauges"
connector = 1
output = "panel"
area = "200x200+580+260"
layer = 10
background = "#c06432"
before = "nothing"

[[kiosk]]
guest = "UUID"
output = "side"
rotate = 90
fit = "stretch"
"##;

const LEFT: u32 = 0x110;

struct Files {
    _dir: tempfile::TempDir,
    config: PathBuf,
}

fn write_png(path: &Path, width: u32, height: u32, rgb: Rgb) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Rgb);
    let pixels = rgb.repeat(usize::try_from(width * height).unwrap());
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

fn files(change: impl Fn(String) -> String) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let (splash, config) = (dir.path().join("splash.png"), dir.path().join("kiosk.toml"));
    write_png(&splash, 400, 240, [250, 20, 90]);
    let text = CONFIG.replace("SPLASH", splash.to_str().unwrap()).replace("UUID", &uuid_of("side-guest"));
    std::fs::write(&config, change(text)).unwrap();
    Files { _dir: dir, config }
}

fn start(files: &Files) -> Desk {
    Desk::new(&["--kiosk", "--config", files.config.to_str().unwrap()])
}

fn bars(x: u32, width: u32) -> Rgb {
    pattern::pixel(Pattern::Bars, 0, x, width)
}

fn place(desk: &mut Desk, guest: &str, connector: &str) -> PlaceStatus {
    let places = desk.status().kiosk;
    places.into_iter().find(|place| (place.guest.as_str(), place.connector.as_str()) == (guest, connector)).unwrap()
}

fn wait_shows(desk: &mut Desk, guest: &str, connector: &str, shows: &str) -> PlaceStatus {
    wait_for(&format!("{guest} {connector} showing {shows}"), || {
        Some(place(desk, guest, connector)).filter(|place| place.shows == shows)
    })
}

fn picture_on(desk: &mut Desk, output: &str) -> Picture {
    desk.screenshot(ScreenshotTarget::Output(output.to_owned()))
}

/// The picture of an output once a pixel of it has that colour.
fn wait_pixel(desk: &mut Desk, output: &str, x: u32, y: u32, wanted: Rgb) -> Picture {
    wait_for(&format!("{wanted:?} at {x},{y} of {output}"), || {
        Some(picture_on(desk, output)).filter(|picture| picture.at(x, y) == wanted)
    })
}

/// As the simulator's toolstack makes it of the domain's name: FNV-1a.
fn uuid_of(name: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let [a, b, rest @ ..] = name.bytes().fold(0xcbf2_9ce4_8422_2325, step).to_be_bytes();
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("00000000-0000-4000-8{:01x}{b:02x}-{rest}", a & 0xf)
}

fn still<'a>(connectors: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--connectors", connectors, "--pattern", "bars", "--flips", "2", "--linger"], more].concat()
}

#[test]
fn each_guest_is_where_the_table_says_and_nothing_else_is_shown() {
    let files = files(|text| text);
    let mut desk = start(&files);
    // Before anybody is there: the splash, twice as large.
    let splash = wait_pixel(&mut desk, "panel", 0, 0, [250, 20, 90]);
    assert_eq!((splash.width, splash.height, splash.at(799, 479)), (800, 480, [250, 20, 90]));
    assert_eq!(place(&mut desk, "map", "0").why.as_deref(), Some("the guest has no connected display"));

    let _map = desk.guest("map", &still("m:400x240", &[]));
    let _gauges = desk.guest("gauges", &still("left:200x200,right:160x160,third:100x100", &[]));
    let _side = desk.guest("side-guest", &still("s:160x120", &[]));
    let _stranger = desk.guest("stranger", &still("m:400x240", &[]));
    for (guest, connector) in [("map", "0"), ("gauges", "left"), ("gauges", "1"), (&*uuid_of("side-guest"), "0")] {
        wait_shows(&mut desk, guest, connector, "guest");
    }
    desk.wait_connector("stranger", 0, |connector| connector.events == 2);
    desk.wait_connector("gauges", 2, |connector| connector.events == 2);
    desk.wait_connector("gauges", 1, |connector| connector.events == 2);

    let panel = wait_pixel(&mut desk, "panel", 700, 300, bars(100, 160));
    for y in 0..480 {
        for x in 0..800 {
            let inside =
                |left: u32, top: u32, side: u32| (left..left + side).contains(&x) && (top..top + side).contains(&y);
            let wanted = if inside(20, 260, 200) {
                bars(x - 20, 200)
            } else if inside(600, 280, 160) {
                bars(x - 600, 160)
            } else if inside(580, 260, 200) {
                [0xc0, 0x64, 0x32]
            } else {
                bars(x / 2, 400)
            };
            assert_eq!(panel.at(x, y), wanted, "panel at {x},{y}");
        }
    }
    // A quarter clockwise: the guest's left bar is on top.
    let side = picture_on(&mut desk, "side");
    assert_eq!((side.width, side.height), (240, 320));
    for y in 0..320 {
        assert_eq!(side.at(120, y), bars(y / 2, 160), "side at line {y}");
    }
    desk.keep_picture("kiosk-panel.png");

    let status = desk.status();
    let map = &status.kiosk[0];
    assert_eq!((map.scale, map.why.as_deref()), (Some((2000, 2000)), Some("400x240 is scaled to 800x480")));
    assert_eq!(status.kiosk[1].why, None);
    assert_eq!(status.kiosk[2].why.as_deref(), Some("160x160 is centred in 200x200"));
    let stranger = status.guests.iter().find(|guest| guest.name == "stranger").unwrap();
    let why = stranger.connectors[0].not_shown.as_deref().unwrap();
    assert!(why.contains("in no [[kiosk]] block") && stranger.connectors[0].window.is_none(), "{why}");
    let text = grantway::control::render(&status);
    assert!(text.contains("\nstranger 0: not shown: it is in no [[kiosk]] block"), "{text}");
    assert!(text.contains("\ngauges 1: 160x160 is centred in 200x200\n"), "{text}");
    desk.quit();
}

#[test]
fn a_last_frame_stays_until_the_guest_is_back() {
    let files = files(|text| text);
    let mut desk = start(&files);
    let map = desk.guest("map", &still("m:400x240", &[]));
    wait_shows(&mut desk, "map", "0", "guest");
    let bright = wait_pixel(&mut desk, "panel", 5, 5, bars(2, 400));
    assert_eq!(desk.status().focus.map(|focus| focus.name).as_deref(), Some("map"), "it is alone");
    map.kill();
    wait_shows(&mut desk, "map", "0", "last-frame");
    let dimmed = bright.at(5, 5).map(|part| u8::try_from(u32::from(part) * 90 / 256).unwrap());
    wait_pixel(&mut desk, "panel", 5, 5, dimmed);
    desk.keep_picture("kiosk-last-frame.png");
    let _again = desk.guest("map", &still("m:400x240", &[]));
    wait_shows(&mut desk, "map", "0", "guest");
    wait_pixel(&mut desk, "panel", 5, 5, bright.at(5, 5));
    desk.quit();
}

#[test]
fn a_finger_on_the_picture_is_a_finger_on_the_guests_pixel() {
    let files = files(|text| text);
    let mut desk = start(&files);
    let keyboard = ["--keyboard"];
    let map = desk.guest("map", &["--connectors", "m:400x240", "--keyboard", "--seconds", "15"]);
    let _gauges = desk.guest("gauges", &still("left:200x200", &keyboard));
    wait_shows(&mut desk, "map", "0", "guest");
    wait_shows(&mut desk, "gauges", "left", "guest");
    wait_for("the input devices", || {
        let ready = |name: &str, desk: &mut Desk| desk.find_guest(name)?.inputs.first().map(|i| i.takes.len() > 1);
        (ready("map", &mut desk)? && ready("gauges", &mut desk)?).then_some(())
    });
    let sent = |desk: &mut Desk, name: &str| desk.find_guest(name).unwrap().inputs[0].events;
    let click = |desk: &mut Desk, x: i32, y: i32| {
        desk.input(InputAction::Pointer { x, y });
        desk.input(InputAction::Key { code: LEFT, pressed: None });
    };
    let (map_before, gauges_before) = (sent(&mut desk, "map"), sent(&mut desk, "gauges"));
    for (x, y) in [(0, 0), (799, 479), (400, 100)] {
        click(&mut desk, x, y);
    }
    assert!(sent(&mut desk, "map") > map_before);
    assert_eq!(sent(&mut desk, "gauges"), gauges_before, "the pointer was never on it");
    let map_before = sent(&mut desk, "map");
    click(&mut desk, 30, 270);
    assert!(sent(&mut desk, "gauges") > gauges_before);
    assert_eq!(sent(&mut desk, "map"), map_before, "the gauge covers it there");
    let report = map.report();
    let seen: Vec<&str> = report["input"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let axis = |code: &str| -> Vec<&str> {
        let of = |line: &&str| line.strip_prefix("pointer ").is_some_and(|rest| rest.starts_with(code));
        let values = seen.iter().copied().filter(of).map(|line| line.rsplit(' ').next().unwrap());
        values.filter(|value| *value != "0").collect()
    };
    // A picture of 400x240, twice as large: its corners (the first is 0,0), and the pixel under 400,100.
    assert_eq!((axis("ABS_X "), axis("ABS_Y ")), (vec!["399", "200"], vec!["239", "50"]), "{seen:?}");
    desk.quit();
}

#[test]
fn what_cannot_be_is_refused_or_told() {
    let files = files(|text| {
        text.replace("output = \"side\"", "output = \"gone\"").replace("200x200+580+260", "300x200+580+260")
    });
    let mut desk = start(&files);
    let side = uuid_of("side-guest");
    // Headless makes the output that is named and not described.
    assert!(desk.status().outputs.iter().any(|output| output.name == "gone" && output.width == 1280));
    assert_eq!(place(&mut desk, &side, "0").shows, "black");
    let why = place(&mut desk, "gauges", "1").why.unwrap();
    assert!(why.starts_with("its area ends at 880,460, beyond the output"), "{why}");
    desk.quit();
}

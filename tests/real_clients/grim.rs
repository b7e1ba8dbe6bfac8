// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures of the display that other programs take.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use grantway::control::{AreaStatus, InputAction};

use crate::desk::Rgb;
use crate::{Dom0, all, part};

/// What a PNG shows, and how wide that is.
fn read(path: &Path) -> (u32, Vec<Rgb>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    bytes.truncate(info.buffer_size());
    let pixels = bytes.chunks_exact(info.color_type.samples());
    (info.width, pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}

impl Dom0 {
    fn grim(&self, arguments: &[&str]) -> (u32, Vec<Rgb>) {
        let file = self.dir.path().join("grim.png");
        let arguments: Vec<_> = arguments.iter().copied().chain([file.to_str().unwrap()]).collect();
        assert_eq!(self.start("grim", &arguments).wait_end(), "");
        read(&file)
    }
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn grim() {
    let mut dom0 = Dom0::new();
    let window = dom0.desk.find_guest("web").unwrap().connectors[0].window.clone().unwrap();
    let area = AreaStatus { x: window.x, y: window.y, width: 300, height: 200 };
    let whole = all(&dom0.desk.output_picture());
    assert!(dom0.grim(&[]) == (1600, whole.clone()), "all of the output is another picture");
    let region = format!("{},{} {}x{}", area.x, area.y, area.width, area.height);
    assert!(dom0.grim(&["-g", &region]) == (300, dom0.before.clone()), "the guest is another picture");

    // The pointer is in it where that is asked for.
    dom0.desk.input(InputAction::Pointer { x: area.x + 9, y: area.y + 9 });
    let with_pointer = part(&dom0.desk.output_picture(), area);
    assert!(with_pointer != dom0.before, "there is no pointer");
    assert!(dom0.grim(&["-c", "-g", &region]).1 == with_pointer, "with the pointer it is another picture");
    assert!(dom0.grim(&["-g", &region]).1 == dom0.before, "without the pointer it is another picture");
    // The display goes on to show it.
    assert!(part(&dom0.desk.output_picture(), area) == with_pointer, "the pointer is gone");

    dom0.desk.input(InputAction::Pointer { x: 1590, y: 990 });

    // Nothing is to be had of a display that is dark; nobody waits for it.
    dom0.desk.switch_output("headless-1", false);
    assert!(!dom0.start("grim", &["none.png"]).wait_failure().is_empty());
    dom0.desk.switch_output("headless-1", true);
    dom0.end("grim");
}

#[test]
#[ignore = "needs programs of Debian's: make clients-test"]
fn grim_that_is_not_on_the_list() {
    let dom0 = Dom0::new();
    let copy = dom0.dir.path().join("grim");
    std::fs::copy("/usr/bin/grim", &copy).unwrap();
    let printed = dom0.start(copy.to_str().unwrap(), &["none.png"]).wait_failure();
    assert!(printed.contains("wlr-screencopy"), "{printed}");
    dom0.end("grim-refused");
}

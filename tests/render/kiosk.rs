// SPDX-License-Identifier: GPL-3.0-or-later
//! The kiosk as it is drawn, compared pixel by pixel with a reference that knows nothing of how it is done; and that
//! input finds the guest's pixel that is seen there.

use std::rc::Rc;
use std::time::Duration;

use grantway::backend::headless::{Headless, RendererKind};
use grantway::backend::{PixelLayout, Pointer, Presentation};
use grantway::scene::element::{Color, OutputId, Pixmap, Rect, Rotation, Size};
use grantway::scene::fit::Fit;
use grantway::scene::kiosk::{Mapping, Showing, StandIn};
use grantway::scene::{Scene, SceneOutput, Shown, WindowId, WindowLabel};

use crate::support::{GuestMemory, code, headless, noise, pixel, settle};

type Rgb = [u8; 3];

const GROUND: Color = Color { red: 10, green: 20, blue: 30 };
const GROUND_RGB: Rgb = [10, 20, 30];
const BLACK: Rgb = [0, 0, 0];

fn mapping() -> Mapping {
    Mapping {
        caption: "cluster".to_owned(),
        area: None,
        fit: Fit::Centre,
        rotation: Rotation::None,
        layer: 0,
        background: None,
        before: StandIn::Black,
        after: StandIn::Black,
        splash: None,
        label: false,
    }
}

fn rect(x: i32, y: i32, width: i32, height: i32) -> Rect {
    Rect { x, y, width, height }
}

/// A guest's picture: noise, so that no two places look alike.
struct Guest {
    bytes: Vec<u8>,
    width: i32,
    height: i32,
    shown: Shown,
    _memory: GuestMemory,
}

impl Guest {
    fn new(backend: &mut Headless, width: i32, height: i32) -> Self {
        let (w, h) = (width.cast_unsigned(), height.cast_unsigned());
        let bytes = noise(w, usize::try_from(w * h * 4).unwrap());
        let layout = PixelLayout { width: w, height: h, fourcc: code("XR24"), pitch: w * 4, offset: 0 };
        let memory = GuestMemory::mapped(bytes.len());
        memory.write(&bytes);
        let buffer = backend.import(memory.memory.clone(), layout).unwrap().id;
        let shown = Shown { buffer, source: rect(0, 0, width, height), version: 1 };
        Self { bytes, width, height, shown, _memory: memory }
    }

    fn size(&self) -> Size {
        Size { width: self.width, height: self.height }
    }

    fn at(&self, x: i32, y: i32) -> Rgb {
        let at = usize::try_from((y * self.width + x) * 4).unwrap();
        [self.bytes[at + 2], self.bytes[at + 1], self.bytes[at]]
    }

    /// The guest's pixel at a place of the turned picture, turned degree by degree with a pencil.
    fn turned(&self, x: i32, y: i32, degrees: u32) -> Rgb {
        match degrees {
            0 => self.at(x, y),
            90 => self.at(y, self.height - 1 - x),
            180 => self.at(self.width - 1 - x, self.height - 1 - y),
            270 => self.at(self.width - 1 - y, x),
            _ => unreachable!(),
        }
    }
}

/// A kiosk with outputs of these sizes, and a place for each mapping on the output of that number.
struct Kiosk {
    backend: Headless,
    scene: Scene,
    outputs: Vec<OutputId>,
}

impl Kiosk {
    fn new(renderer: RendererKind, outputs: &[(u32, u32)], mappings: Vec<(usize, Mapping)>) -> Self {
        let backend = headless(renderer, outputs);
        let infos = backend.outputs();
        let mut scene = Scene::new();
        let places: Vec<_> = mappings.iter().map(|(output, _)| infos.get(*output).map(|info| info.id)).collect();
        scene.set_kiosk(mappings.into_iter().map(|(_, mapping)| mapping).collect());
        let known = infos.iter().map(|info| SceneOutput {
            id: info.id,
            size: Size { width: info.width.cast_signed(), height: info.height.cast_signed() },
        });
        scene.set_outputs(&known.collect::<Vec<_>>());
        let grounds: Vec<_> = infos.iter().map(|info| (info.id, GROUND)).collect();
        scene.assign(&places, &grounds);
        Self { backend, scene, outputs: infos.iter().map(|info| info.id).collect() }
    }

    fn window(&mut self, slot: Option<usize>, size: Size) -> WindowId {
        let color = Color { red: 66, green: 133, blue: 214 };
        let label = WindowLabel { name: "cluster".to_owned(), domid: 3, connector: 0, color };
        self.scene.add_window_for(label, size, slot)
    }

    fn guest(&mut self, slot: usize, width: i32, height: i32) -> (WindowId, Guest) {
        let guest = Guest::new(&mut self.backend, width, height);
        let window = self.window(Some(slot), guest.size());
        self.scene.show(window, Some(guest.shown));
        (window, guest)
    }

    fn picture(&mut self, output: usize) -> Pixmap {
        let id = self.outputs[output];
        self.backend.commit(id, self.scene.frame(id));
        settle(&mut self.backend);
        self.backend.screenshot(id, Pointer::With).unwrap()
    }

    /// Lets the guest go, as its link does it.
    fn end(&mut self, window: WindowId, now: u64) {
        if let Some(shown) = self.scene.wants_still(window, Duration::from_secs(now)) {
            let still = self.backend.still(shown.buffer, shown.source).unwrap();
            self.scene.keep_still(window, still);
        }
        self.scene.show(window, None);
        self.scene.remove_window(window);
    }
}

fn at(picture: &Pixmap, x: i32, y: i32) -> Rgb {
    pixel(picture, x.cast_unsigned(), y.cast_unsigned())
}

/// What is expected of one mapping on an output of 400x300: the guest's size, the part of its turned picture that is
/// seen, and where.
struct Case {
    fit: Fit,
    degrees: u32,
    area: Option<Rect>,
    guest: (i32, i32),
    part: Rect,
    target: Rect,
}

const fn case(fit: Fit, degrees: u32, area: Option<Rect>, guest: (i32, i32), part: Rect, target: Rect) -> Case {
    Case { fit, degrees, area, guest, part, target }
}

const fn r(x: i32, y: i32, width: i32, height: i32) -> Rect {
    Rect { x, y, width, height }
}

const ALL: Option<Rect> = None;
const PART: Option<Rect> = Some(r(50, 20, 200, 100));

const CASES: &[Case] = &[
    case(Fit::Centre, 0, ALL, (400, 300), r(0, 0, 400, 300), r(0, 0, 400, 300)),
    case(Fit::Centre, 0, ALL, (100, 80), r(0, 0, 100, 80), r(150, 110, 100, 80)),
    case(Fit::Centre, 0, PART, (240, 60), r(20, 0, 200, 60), r(50, 40, 200, 60)),
    case(Fit::Centre, 90, ALL, (100, 80), r(0, 0, 80, 100), r(160, 100, 80, 100)),
    case(Fit::Centre, 180, PART, (100, 80), r(0, 0, 100, 80), r(100, 30, 100, 80)),
    // Turned it is 80x240, of which the middle 100 lines fit.
    case(Fit::Centre, 270, PART, (240, 80), r(0, 70, 80, 100), r(110, 20, 80, 100)),
    case(Fit::Scale, 0, ALL, (200, 100), r(0, 0, 200, 100), r(0, 50, 400, 200)),
    case(Fit::Scale, 0, ALL, (100, 100), r(0, 0, 100, 100), r(50, 0, 300, 300)),
    case(Fit::Scale, 0, ALL, (800, 600), r(0, 0, 800, 600), r(0, 0, 400, 300)),
    case(Fit::Scale, 0, ALL, (160, 100), r(0, 0, 160, 100), r(0, 25, 400, 250)),
    case(Fit::Scale, 90, ALL, (150, 200), r(0, 0, 200, 150), r(0, 0, 400, 300)),
    case(Fit::Scale, 180, PART, (50, 50), r(0, 0, 50, 50), r(100, 20, 100, 100)),
    case(Fit::Scale, 270, PART, (25, 100), r(0, 0, 100, 25), r(50, 45, 200, 50)),
    case(Fit::Stretch, 0, ALL, (100, 60), r(0, 0, 100, 60), r(0, 0, 400, 300)),
    case(Fit::Stretch, 90, PART, (50, 40), r(0, 0, 40, 50), r(50, 20, 200, 100)),
    case(Fit::Crop, 0, PART, (100, 100), r(0, 25, 100, 50), r(50, 20, 200, 100)),
    case(Fit::Crop, 0, PART, (400, 100), r(100, 0, 200, 100), r(50, 20, 200, 100)),
    // Turned it is 50x100, of which the middle 25 lines are shown four times as large.
    case(Fit::Crop, 90, PART, (100, 50), r(0, 37, 50, 25), r(50, 20, 200, 100)),
    case(Fit::Crop, 270, PART, (100, 50), r(0, 37, 50, 25), r(50, 20, 200, 100)),
];

const fn rotation(degrees: u32) -> Rotation {
    match degrees {
        90 => Rotation::Right,
        180 => Rotation::Half,
        270 => Rotation::Left,
        _ => Rotation::None,
    }
}

/// The pixels of a picture of `part` whose middle the middle of pixel `at` of `target` falls into: two where it falls
/// on an edge.
fn under(at: i32, target: i32, part: i32) -> [i32; 2] {
    let place = (f64::from(at) + 0.5) * f64::from(part) / f64::from(target);
    [-0.01, 0.01].map(|off| {
        let found = (0..part).rev().find(|pixel| f64::from(*pixel) <= place + off);
        found.unwrap_or(0)
    })
}

fn check(renderer: RendererKind) {
    for (number, case) in CASES.iter().enumerate() {
        let Case { fit, degrees, area, guest, part, target } = case;
        let mapping = Mapping { fit: *fit, rotation: rotation(*degrees), area: *area, ..mapping() };
        let mut kiosk = Kiosk::new(renderer, &[(400, 300)], vec![(0, mapping)]);
        let (window, guest) = kiosk.guest(0, guest.0, guest.1);
        let picture = kiosk.picture(0);
        let stage = kiosk.scene.stage();
        let spot = stage.spot(window).unwrap();
        assert_eq!(kiosk.scene.placement(window), Some((kiosk.outputs[0], *target)), "case {number}");
        for y in 0..300 {
            for x in 0..400 {
                let is = at(&picture, x, y);
                let (dx, dy) = (x - target.x, y - target.y);
                if !(0..target.width).contains(&dx) || !(0..target.height).contains(&dy) {
                    assert_eq!(is, GROUND_RGB, "case {number}, beside it, at {x},{y}");
                    continue;
                }
                let (across, down) = (under(dx, target.width, part.width), under(dy, target.height, part.height));
                let near = across.iter().flat_map(|tx| down.iter().map(move |ty| (part.x + tx, part.y + ty)));
                let wanted: Vec<Rgb> = near.clone().map(|(tx, ty)| guest.turned(tx, ty, *degrees)).collect();
                assert!(wanted.contains(&is), "case {number} at {x},{y}: {is:?} is none of {wanted:?}");
                // What a finger there touches is what is seen there, or the pixel beside it.
                let touched = spot.to_guest(x, y);
                let beside = (-1..=1).flat_map(|by| (-1..=1).map(move |bx| (touched.x + bx, touched.y + by)));
                let mut beside =
                    beside.filter(|(bx, by)| (0..guest.width).contains(bx) && (0..guest.height).contains(by));
                assert!(beside.any(|(bx, by)| guest.at(bx, by) == is), "case {number} at {x},{y}: {touched:?}");
            }
        }
    }
}

#[test]
fn pixman_fits_and_turns_pictures_and_fingers_touch_what_is_seen() {
    check(RendererKind::Pixman);
}

#[test]
fn gl_fits_and_turns_them_the_same_way() {
    check(RendererKind::Gl);
}

#[test]
fn higher_layers_cover_lower_ones_and_of_equals_the_later_one() {
    let place = |area, layer| Mapping { area: Some(area), layer, ..mapping() };
    let (low, high) = (rect(0, 0, 200, 200), rect(100, 100, 200, 200));
    let mut kiosk = Kiosk::new(
        RendererKind::Pixman,
        &[(400, 400)],
        vec![(0, place(high, 5)), (0, place(low, 1)), (0, place(rect(150, 150, 100, 100), 5))],
    );
    let (_, front) = kiosk.guest(0, 200, 200);
    let (_, back) = kiosk.guest(1, 200, 200);
    let (window, top) = kiosk.guest(2, 100, 100);
    let picture = kiosk.picture(0);
    for y in 0..400 {
        for x in 0..400 {
            let wanted = if (150..250).contains(&x) && (150..250).contains(&y) {
                top.at(x - 150, y - 150)
            } else if (100..300).contains(&x) && (100..300).contains(&y) {
                front.at(x - 100, y - 100)
            } else if x < 200 && y < 200 {
                back.at(x, y)
            } else {
                GROUND_RGB
            };
            assert_eq!(at(&picture, x, y), wanted, "at {x},{y}");
        }
    }
    assert_eq!(kiosk.scene.stage().at(200, 200).unwrap().window, window);
    kiosk.scene.raise(kiosk.scene.stage().at(10, 10).unwrap().window);
    assert_eq!(kiosk.scene.stage().at(200, 200).unwrap().window, window, "nobody gets in front by being clicked");
}

#[test]
fn outputs_have_their_own_places_and_a_connector_without_one_is_not_shown() {
    let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(300, 200), (200, 100)], vec![(0, mapping()), (1, mapping())]);
    let (_, left) = kiosk.guest(0, 300, 200);
    let (window, right) = kiosk.guest(1, 200, 100);
    let (first, second) = (kiosk.picture(0), kiosk.picture(1));
    assert_eq!((at(&first, 299, 199), at(&second, 199, 99)), (left.at(299, 199), right.at(199, 99)));
    // The second output is to the right of the first on the plane that input lies on.
    let stage = kiosk.scene.stage();
    assert_eq!(stage.at(300 + 20, 30).unwrap().window, window);
    assert_eq!(stage.spot(window).unwrap().to_guest(300 + 20, 30).x, 20);

    let guest = Guest::new(&mut kiosk.backend, 300, 200);
    let other = kiosk.window(None, guest.size());
    kiosk.scene.show(other, Some(guest.shown));
    assert_eq!(kiosk.scene.placement(other), None);
    assert!(kiosk.scene.stage().spot(other).is_none());
    assert_eq!(kiosk.picture(0).pixels, first.pixels);
}

#[test]
fn a_background_fills_the_area_beside_the_picture() {
    let background = Some(Color { red: 200, green: 100, blue: 50 });
    let mapping = Mapping { area: Some(rect(100, 50, 200, 100)), background, ..mapping() };
    let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], vec![(0, mapping)]);
    let (window, guest) = kiosk.guest(0, 100, 100);
    let picture = kiosk.picture(0);
    assert_eq!((at(&picture, 99, 50), at(&picture, 100, 50)), (GROUND_RGB, [200, 100, 50]));
    assert_eq!((at(&picture, 149, 60), at(&picture, 150, 60)), ([200, 100, 50], guest.at(0, 10)));
    // A click on it is for the guest's window, but not on its picture.
    let hit = kiosk.scene.stage().at(110, 60).unwrap();
    assert_eq!((hit.window, hit.on_content), (window, false));
    kiosk.scene.show(window, None);
    assert_eq!(at(&kiosk.picture(0), 150, 60), [200, 100, 50], "its screen is off");
    assert!(kiosk.scene.stage().spot(window).is_some(), "or nobody could wake it");
}

#[test]
fn the_splash_shows_first_and_the_last_frame_afterwards_dimmed_and_with_a_note() {
    let splash = Pixmap { width: 2, height: 1, pixels: vec![1, 2, 3, 255, 7, 8, 9, 255] };
    let mapping = Mapping {
        fit: Fit::Stretch,
        before: StandIn::Splash,
        after: StandIn::LastFrame,
        splash: Some(Rc::new(splash)),
        ..mapping()
    };
    let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], vec![(0, mapping)]);
    let showing = |kiosk: &Kiosk| kiosk.scene.mapped()[0].showing;
    let picture = kiosk.picture(0);
    assert_eq!((at(&picture, 0, 0), at(&picture, 399, 299)), ([3, 2, 1], [9, 8, 7]));
    assert_eq!(showing(&kiosk), Showing::Before(StandIn::Splash));

    // A guest that is there and has not drawn changes nothing, and gets no input.
    let early = kiosk.window(Some(0), Size { width: 400, height: 300 });
    assert_eq!(kiosk.picture(0).pixels, picture.pixels);
    assert!(kiosk.scene.stage().spots.is_empty());
    kiosk.end(early, 1);

    let (window, guest) = kiosk.guest(0, 400, 300);
    assert_eq!((at(&kiosk.picture(0), 5, 7), showing(&kiosk)), (guest.at(5, 7), Showing::Guest));
    kiosk.end(window, 2);
    // The guest's memory is not needed any more.
    kiosk.backend.evict(guest.shown.buffer);
    let picture = kiosk.picture(0);
    assert_eq!(showing(&kiosk), Showing::After(StandIn::LastFrame));
    let dimmed = |part: u8| u8::try_from(u32::from(part) * 90 / 256).unwrap();
    let note = |x: i32, y: i32| (80..320).contains(&x) && (130..170).contains(&y);
    let mut white = 0;
    for y in 0..300 {
        for x in 0..400 {
            let is = at(&picture, x, y);
            white += u32::from(is.iter().all(|part| *part > 150));
            assert!(note(x, y) || is == guest.at(x, y).map(dimmed), "at {x},{y}");
        }
    }
    assert!(white > 50, "{white} bright pixels are no note");

    // The picture is back when the guest draws, not when it connects.
    let fresh = Guest::new(&mut kiosk.backend, 400, 300);
    let window = kiosk.window(Some(0), fresh.size());
    assert_eq!(kiosk.picture(0).pixels, picture.pixels);
    kiosk.scene.show(window, Some(fresh.shown));
    assert_eq!(at(&kiosk.picture(0), 200, 150), fresh.at(200, 150));
}

#[test]
fn a_last_frame_is_copied_once_a_second_at_most() {
    let mut kiosk = Kiosk::new(
        RendererKind::Pixman,
        &[(400, 300)],
        vec![(0, Mapping { after: StandIn::LastFrame, ..mapping() }), (0, mapping())],
    );
    let (window, guest) = kiosk.guest(0, 100, 100);
    let (plain, _other) = kiosk.guest(1, 100, 100);
    let mut wants = |window, ms| kiosk.scene.wants_still(window, Duration::from_millis(ms)).is_some();
    assert!(wants(window, 5_000) && !wants(window, 5_001) && !wants(window, 5_999) && wants(window, 6_000));
    assert!(!wants(plain, 9_000), "nobody wants to see it");
    kiosk.scene.show(window, None);
    assert!(kiosk.scene.wants_still(window, Duration::from_secs(60)).is_none(), "there is nothing to copy");
    drop(guest);
}

#[test]
fn nothing_shows_what_lies_below_and_black_covers_it() {
    let place = |after| Mapping { area: Some(rect(0, 0, 100, 100)), layer: 1, after, before: after, ..mapping() };
    for (stand_in, wanted) in
        [(StandIn::Nothing, None), (StandIn::Black, Some(BLACK)), (StandIn::LastFrame, Some(BLACK))]
    {
        let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], vec![(0, place(stand_in)), (0, mapping())]);
        let (_, below) = kiosk.guest(1, 400, 300);
        assert_eq!(at(&kiosk.picture(0), 50, 50), wanted.unwrap_or(below.at(50, 50)), "{stand_in:?}");
    }
}

#[test]
fn secure_attention_shows_no_guests_picture_not_even_an_old_one() {
    let mapping = |area| Mapping { area: Some(area), after: StandIn::LastFrame, ..mapping() };
    let (left, right) = (rect(0, 0, 200, 300), rect(200, 0, 200, 300));
    let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], vec![(0, mapping(left)), (0, mapping(right))]);
    let (gone, _old) = kiosk.guest(0, 200, 300);
    let (_, _there) = kiosk.guest(1, 200, 300);
    kiosk.end(gone, 1);
    kiosk.scene.set_attention(true);
    let picture = kiosk.picture(0);
    assert_eq!((at(&picture, 50, 50), at(&picture, 250, 50)), (GROUND_RGB, [66, 133, 214]));
}

#[test]
fn a_label_has_a_strip_of_its_own_at_the_upper_edge_of_the_picture() {
    for (degrees, target, strip) in [
        (0, r(0, 25, 400, 275), (200, 1)),
        (90, r(0, 0, 375, 300), (399, 200)),
        (180, r(0, 0, 400, 275), (200, 299)),
        (270, r(25, 0, 375, 300), (0, 200)),
    ] {
        let mapping = Mapping { fit: Fit::Stretch, rotation: rotation(degrees), label: true, ..mapping() };
        let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], vec![(0, mapping)]);
        let (window, _guest) = kiosk.guest(0, 100, 100);
        assert_eq!(kiosk.scene.placement(window).unwrap().1, target, "{degrees}");
        assert_eq!(at(&kiosk.picture(0), strip.0, strip.1), [66, 133, 214], "{degrees}");
    }
}

#[test]
fn only_a_place_that_is_the_whole_output_upright_has_the_displays_edid() {
    let plain = mapping();
    let others = [
        Mapping { area: Some(rect(0, 0, 100, 100)), ..mapping() },
        Mapping { rotation: Rotation::Half, ..mapping() },
        Mapping { label: true, ..mapping() },
    ];
    let mappings = std::iter::once(plain).chain(others).map(|mapping| (0, mapping)).collect();
    let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], mappings);
    let windows: Vec<_> = (0..4).map(|slot| kiosk.window(Some(slot), Size { width: 400, height: 300 })).collect();
    let outputs: Vec<_> = windows.iter().map(|window| kiosk.scene.whole_output(*window)).collect();
    assert_eq!(outputs, [Some(kiosk.outputs[0]), None, None, None]);
}

#[test]
fn an_output_that_comes_back_finds_its_places_and_the_last_frame_again() {
    let mapping = Mapping { fit: Fit::Scale, after: StandIn::LastFrame, ..mapping() };
    let mut kiosk = Kiosk::new(RendererKind::Pixman, &[(400, 300)], vec![(0, mapping)]);
    let (window, _guest) = kiosk.guest(0, 200, 150);
    kiosk.end(window, 1);
    let picture = kiosk.picture(0);
    let output = SceneOutput { id: kiosk.outputs[0], size: Size { width: 400, height: 300 } };
    kiosk.scene.set_outputs(&[]);
    kiosk.scene.assign(&[None], &[]);
    assert!(kiosk.scene.mapped()[0].area.is_none() && kiosk.scene.stage().spots.is_empty());
    kiosk.scene.set_outputs(&[output]);
    kiosk.scene.assign(&[Some(output.id)], &[(output.id, GROUND)]);
    assert_eq!(kiosk.picture(0).pixels, picture.pixels);
}

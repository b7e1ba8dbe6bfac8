// SPDX-License-Identifier: GPL-3.0-or-later
//! From the configuration's kiosk to the scene's mappings, and to each guest's places.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::rc::Rc;

use crate::backend::panel::PanelPattern;
use crate::cli::Failure;
use crate::config::{
    After, Area, Before, Config, ConnectorName, Edid, Fit, KioskConfig, OutputConfig, PanelName, Rgb, Turn,
};
use crate::guest::policy::{self, Identity, Place};
use crate::scene::Scene;
use crate::scene::element::{Color, Pixmap, Rect, Rotation};
use crate::scene::fit;
use crate::scene::kiosk::{Mapping, StandIn};
use crate::state::kiosk::{KioskPlan, OutputPlan, PlacePlan};

/// Bytes that a splash may take when it is unpacked: 8192x8192 pixels.
const SPLASH_MOST: usize = 8192 * 8192 * 4;

/// The scene, and the kiosk's table where there is one.
pub(super) fn open(config: &Config) -> Result<(Scene, KioskPlan), Failure> {
    let mut scene = Scene::new();
    if config.kiosk.is_empty() {
        return Ok((scene, KioskPlan::default()));
    }
    let mappings = config.kiosk.iter().map(mapping).collect::<Result<_, _>>()?;
    scene.set_kiosk(mappings);
    let outputs = config.output.iter().map(output_plan).collect();
    let places = config.kiosk.iter().map(place_plan).collect();
    Ok((scene, KioskPlan { outputs, places }))
}

/// The displays that a name of the configuration is for.
pub(super) fn panel(name: &PanelName) -> PanelPattern {
    let PanelName { make, model, serial } = name.clone();
    PanelPattern { make, model, serial }
}

/// The places of one domain's connectors.
pub(super) fn places(config: &Config, domain: Identity<'_>) -> Vec<Place> {
    let own = config.kiosk.iter().enumerate().filter(|(_, kiosk)| domain.is(&kiosk.guest));
    let place = |(slot, kiosk): (usize, &KioskConfig)| Place {
        connector: match &kiosk.connector {
            ConnectorName::Index(index) => policy::ConnectorName::Index(usize::try_from(*index).unwrap_or(usize::MAX)),
            ConnectorName::UniqueId(id) => policy::ConnectorName::UniqueId(id.clone()),
        },
        slot,
        panel_edid: kiosk.edid == Edid::Panel,
    };
    own.map(place).collect()
}

fn mapping(config: &KioskConfig) -> Result<Mapping, Failure> {
    Ok(Mapping {
        caption: config.guest.clone(),
        area: config.area.map(rect),
        fit: fit_of(config.fit),
        rotation: match config.rotate {
            Turn::None => Rotation::None,
            Turn::Right => Rotation::Right,
            Turn::Half => Rotation::Half,
            Turn::Left => Rotation::Left,
        },
        layer: config.layer.get(),
        background: config.background.map(color),
        before: match config.before {
            Before::Black => StandIn::Black,
            Before::Splash => StandIn::Splash,
            Before::Nothing => StandIn::Nothing,
        },
        after: match config.after {
            After::Black => StandIn::Black,
            After::LastFrame => StandIn::LastFrame,
            After::Splash => StandIn::Splash,
            After::Nothing => StandIn::Nothing,
        },
        splash: config.splash.as_deref().map(read_splash).transpose()?.map(Rc::new),
        label: config.label,
    })
}

fn rect(area: Area) -> Rect {
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    Rect { x: side(area.x), y: side(area.y), width: side(area.width), height: side(area.height) }
}

const fn color(color: Rgb) -> Color {
    Color { red: color.red, green: color.green, blue: color.blue }
}

fn output_plan(config: &OutputConfig) -> OutputPlan {
    OutputPlan {
        name: config.name.clone(),
        panel: config.panel.as_ref().map(panel),
        background: config.background.map(color),
        mode: (config.mode.width, config.mode.height),
    }
}

pub(super) const fn fit_of(config: Fit) -> fit::Fit {
    match config {
        Fit::Centre => fit::Fit::Centre,
        Fit::Scale => fit::Fit::Scale,
        Fit::Stretch => fit::Fit::Stretch,
        Fit::Crop => fit::Fit::Crop,
    }
}

fn place_plan(config: &KioskConfig) -> PlacePlan {
    PlacePlan {
        guest: config.guest.clone(),
        connector: match &config.connector {
            ConnectorName::Index(index) => index.to_string(),
            ConnectorName::UniqueId(id) => id.clone(),
        },
        output: config.output.clone(),
        fit: fit_of(config.fit),
        rotate: config.rotate.degrees(),
        layer: config.layer.get(),
    }
}

fn read_splash(path: &Path) -> Result<Pixmap, Failure> {
    let refuse = |why: String| format!("splash {}: {why}", path.display());
    let file = File::open(path).map_err(|error| refuse(format!("it can't be read: {error}")))?;
    let picture = decode(BufReader::new(file)).map_err(refuse)?;
    Ok(picture)
}

/// Unpacks a PNG file into premultiplied ARGB.
fn decode(file: BufReader<File>) -> Result<Pixmap, String> {
    let text = |error: png::DecodingError| format!("it is no PNG file that can be read: {error}");
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(text)?;
    let size = reader.output_buffer_size().filter(|size| *size <= SPLASH_MOST);
    let mut pixels = vec![0; size.ok_or("it has more than 8192x8192 pixels")?];
    let info = reader.next_frame(&mut pixels).map_err(text)?;
    pixels.truncate(info.buffer_size());
    let premultiplied = |part: u8, alpha: u8| {
        let value = (u16::from(part) * u16::from(alpha) + 127) / 255;
        u8::try_from(value).unwrap_or(u8::MAX)
    };
    let mut out = Vec::with_capacity(pixels.len().saturating_mul(2));
    let mut push = |red: u8, green: u8, blue: u8, alpha: u8| {
        out.extend([blue, green, red].map(|part| premultiplied(part, alpha)));
        out.push(alpha);
    };
    match info.color_type {
        png::ColorType::Rgba => {
            pixels.as_chunks::<4>().0.iter().for_each(|[red, green, blue, alpha]| push(*red, *green, *blue, *alpha));
        }
        png::ColorType::GrayscaleAlpha => {
            pixels.as_chunks::<2>().0.iter().for_each(|[grey, alpha]| push(*grey, *grey, *grey, *alpha));
        }
        other @ (png::ColorType::Grayscale | png::ColorType::Rgb | png::ColorType::Indexed) => {
            return Err(format!("its colours can't be read: {other:?}"));
        }
    }
    Ok(Pixmap { width: info.width, height: info.height, pixels: out })
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! The kiosk's table: which output each place has, and how it is with each.

use crate::backend::panel::PanelPattern;
use crate::backend::{OutputId, OutputInfo};
use crate::control::{AreaStatus, PlaceStatus};
use crate::scene::element::{Color, Rect, Size};
use crate::scene::fit::{Fit, Fitted};
use crate::scene::kiosk::{Mapped, Showing, StandIn};

use super::State;

/// The table, as far as the scene does not know it.
#[derive(Clone, Debug, Default)]
pub struct KioskPlan {
    /// The configured outputs.
    pub outputs: Vec<OutputPlan>,
    /// The places, in the order of the scene's mappings.
    pub places: Vec<PlacePlan>,
}

/// A configured output.
#[derive(Clone, Debug)]
pub struct OutputPlan {
    /// Its name in the configuration.
    pub name: String,
    /// The display that the name is for; a display that tells nothing is found by its connector's name.
    pub panel: Option<PanelPattern>,
    /// What shows where no guest does.
    pub background: Option<Color>,
    /// The mode that was asked for, in pixels.
    pub mode: (u32, u32),
}

/// A configured place.
#[derive(Clone, Debug)]
pub struct PlacePlan {
    /// The domain.
    pub guest: String,
    /// Its connector.
    pub connector: String,
    /// The output's name.
    pub output: String,
    /// How it fits.
    pub fit: Fit,
    /// Degrees clockwise.
    pub rotate: u32,
    /// What covers what.
    pub layer: i32,
}

impl KioskPlan {
    fn output(&self, name: &str) -> Option<&OutputPlan> {
        self.outputs.iter().find(|plan| plan.name == name)
    }

    /// The output of that name: by its display where the name is for one, else by its connector.
    fn find<'a>(&self, name: &str, outputs: &'a [OutputInfo]) -> Option<&'a OutputInfo> {
        let panel = self.output(name).and_then(|plan| plan.panel.as_ref());
        outputs.iter().find(|output| match (panel, &output.edid) {
            (Some(panel), Some(edid)) => panel.matches_edid(Some(edid)),
            _ => output.name == name,
        })
    }

    fn grounds(&self, outputs: &[OutputInfo]) -> Vec<(OutputId, Color)> {
        let ground = |plan: &OutputPlan| Some((self.find(&plan.name, outputs)?.id, plan.background?));
        self.outputs.iter().filter_map(ground).collect()
    }
}

impl State {
    /// Says which output each place has.
    pub(super) fn assign_outputs(&mut self, outputs: &[OutputInfo]) {
        let find = |place: &PlacePlan| Some(self.kiosk.find(&place.output, outputs)?.id);
        let assigned: Vec<_> = self.kiosk.places.iter().map(find).collect();
        for (place, found) in self.kiosk.places.iter().zip(&assigned) {
            if found.is_none() {
                let PlacePlan { guest, connector, output, .. } = place;
                tracing::warn!("guest \"{guest}\", connector {connector}: its output \"{output}\" is not there");
            }
        }
        self.scene.assign(&assigned, &self.kiosk.grounds(outputs));
    }

    pub(super) fn kiosk_status(&self, outputs: &[OutputInfo]) -> Vec<PlaceStatus> {
        let mapped = self.scene.mapped();
        self.kiosk.places.iter().zip(&mapped).map(|(place, mapped)| self.place_status(place, mapped, outputs)).collect()
    }

    fn place_status(&self, place: &PlacePlan, mapped: &Mapped, outputs: &[OutputInfo]) -> PlaceStatus {
        let fitted = mapped.picture.map(|(_, fitted)| fitted);
        PlaceStatus {
            guest: place.guest.clone(),
            connector: place.connector.clone(),
            output: place.output.clone(),
            area: mapped.area.map(area_status),
            fit: place.fit.name().to_owned(),
            rotate: place.rotate,
            layer: place.layer,
            source: fitted.map(|fitted| area_status(fitted.source)),
            target: fitted.map(|fitted| area_status(fitted.target)),
            scale: fitted.map(|fitted| scale(place.rotate, &fitted)),
            shows: shows(mapped.showing).to_owned(),
            why: self.why(place, mapped, outputs),
        }
    }

    /// Why a place does not show what one might expect, in the order of what matters.
    fn why(&self, place: &PlacePlan, mapped: &Mapped, outputs: &[OutputInfo]) -> Option<String> {
        let Some(output) = outputs.iter().find(|output| Some(output.id) == mapped.output) else {
            let names: Vec<_> = outputs.iter().map(|output| output.name.as_str()).collect();
            return Some(format!("there is no output \"{}\"; there are: {}", place.output, names.join(", ")));
        };
        let mut reasons = Vec::new();
        let asked = self.kiosk.output(&place.output).map(|plan| plan.mode);
        if let Some((width, height)) = asked.filter(|asked| *asked != (output.width, output.height)) {
            let OutputInfo { name, width: is_width, height: is_height, .. } = output;
            reasons.push(format!("{name} has no mode {width}x{height}, it runs at {is_width}x{is_height}"));
        }
        if let Some(area) = mapped.area.filter(|area| !within(area, output)) {
            reasons.push(format!("its area ends at {},{}, beyond the output", area.right(), area.bottom()));
        }
        match mapped.showing {
            Showing::Before(_) | Showing::After(_) if mapped.window.is_none() => {
                reasons.push("the guest has no connected display".to_owned());
            }
            Showing::Before(_) | Showing::After(_) => reasons.push("the guest has not drawn yet".to_owned()),
            Showing::Off => reasons.push("the guest has switched its screen off".to_owned()),
            Showing::Guest => reasons.extend(mapped.area.and_then(|area| {
                let (size, fitted) = mapped.picture?;
                unequal(place, area, size, &fitted)
            })),
        }
        Some(reasons.join("; ")).filter(|reasons| !reasons.is_empty())
    }
}

/// What was done about a picture that has not its area's size.
fn unequal(place: &PlacePlan, area: Rect, size: Size, fitted: &Fitted) -> Option<String> {
    let Size { width, height } = size;
    if fitted.target == area && (fitted.source.width, fitted.source.height) == (width, height) {
        let (across, down) = scale(place.rotate, fitted);
        let done = if across == down { "scaled" } else { "stretched" };
        let same = (across, down) == (1000, 1000);
        return (!same).then(|| format!("{width}x{height} is {done} to {}x{}", area.width, area.height));
    }
    let done = match place.fit {
        Fit::Centre if fitted.source.width < width || fitted.source.height < height => "centred and cut off",
        Fit::Centre => "centred",
        Fit::Crop => "scaled and cut off",
        Fit::Scale | Fit::Stretch => "scaled",
    };
    Some(format!("{width}x{height} is {done} in {}x{}", area.width, area.height))
}

fn within(area: &Rect, output: &OutputInfo) -> bool {
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    area.right() <= side(output.width) && area.bottom() <= side(output.height)
}

/// How much larger a picture is on the output, across and down, in thousandths.
fn scale(rotate: u32, fitted: &Fitted) -> (u32, u32) {
    let Fitted { source, target } = fitted;
    let turned = if rotate.is_multiple_of(180) { (source.width, source.height) } else { (source.height, source.width) };
    let ratio = |is: i32, was: i32| {
        let (is, was) = (i64::from(is), i64::from(was).max(1));
        u32::try_from((is * 1000 + was / 2) / was).unwrap_or(0)
    };
    (ratio(target.width, turned.0), ratio(target.height, turned.1))
}

const fn shows(showing: Showing) -> &'static str {
    match showing {
        Showing::Guest => "guest",
        Showing::Off => "off",
        Showing::Before(stand_in) | Showing::After(stand_in) => match stand_in {
            StandIn::Black => "black",
            StandIn::Splash => "splash",
            StandIn::LastFrame => "last-frame",
            StandIn::Nothing => "nothing",
        },
    }
}

pub(super) const fn area_status(rect: Rect) -> AreaStatus {
    AreaStatus { x: rect.x, y: rect.y, width: rect.width, height: rect.height }
}

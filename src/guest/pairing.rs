// SPDX-License-Identifier: GPL-3.0-or-later
//! Which input device belongs to which display, and where a window lies in its space.
//!
//! A device whose `unique-id` is that of a connector (or is configured to be) serves that connector alone.
//! Otherwise device n serves display device n of its domain, all of whose connectors lie side by side in its
//! space, in their order from left to right, their tops aligned; and a domain's only device serves every
//! display that has no other.

use super::DeviceKey;

/// A connector, as far as input is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Its name; the guest may claim any.
    pub unique_id: String,
    /// Width of its picture, in pixels.
    pub width: u32,
    /// Height of its picture, in pixels.
    pub height: u32,
}

/// How much of a display device an input device serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// One connector.
    Connector(usize),
    /// All of them, side by side.
    Device,
}

/// What decides whom an input device serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairing<'a> {
    /// Its domain and number.
    pub(super) key: DeviceKey,
    /// The connector that it names.
    pub(super) connector: Option<&'a str>,
    /// Whether it is its domain's only one.
    pub(super) only: bool,
}

impl Pairing<'_> {
    /// Whether it serves any connector of a display device.
    pub(super) fn serves_any(&self, display: DeviceKey, areas: &[Area]) -> Option<Scope> {
        let named = areas.iter().position(|area| self.connector == Some(area.unique_id.as_str()));
        match named {
            Some(connector) => Some(Scope::Connector(connector)),
            None => (self.key == display || (self.only && self.key.domid == display.domid)).then_some(Scope::Device),
        }
    }

    /// Whether it serves that connector of a display device.
    pub(super) fn serves(&self, display: DeviceKey, areas: &[Area], connector: usize) -> Option<Scope> {
        match self.serves_any(display, areas)? {
            Scope::Connector(served) if served != connector => None,
            scope @ (Scope::Connector(_) | Scope::Device) => Some(scope),
        }
    }
}

impl Scope {
    /// Width and height of what is served.
    pub(super) fn size(self, areas: &[Area]) -> (u32, u32) {
        match self {
            Self::Connector(connector) => areas.get(connector).map_or((1, 1), |area| (area.width, area.height)),
            Self::Device => {
                let width = areas.iter().map(|area| area.width).fold(0_u32, u32::saturating_add);
                (width, areas.iter().map(|area| area.height).max().unwrap_or(1))
            }
        }
    }

    /// Moves a point of a connector's picture into a space of `(width, height)`: the first pixel to the first
    /// and the last to the last.
    pub(super) fn map(
        self,
        (x, y): (i32, i32),
        areas: &[Area],
        connector: usize,
        (width, height): (u32, u32),
    ) -> (i32, i32) {
        let own = areas.get(connector).map_or((1, 1), |area| (area.width, area.height));
        let left = match self {
            Self::Connector(_) => 0,
            Self::Device => areas.iter().take(connector).map(|area| area.width).fold(0_u32, u32::saturating_add),
        };
        let (all_width, all_height) = self.size(areas);
        // What lies beyond the picture would be in the neighbour's.
        let within = |value: i32, side: u32| i64::from(value).clamp(0, i64::from(side.saturating_sub(1)));
        let x = within(x, own.0).saturating_add(left.into());
        (scale(x, all_width, width), scale(within(y, own.1), all_height, height))
    }
}

/// From `0..from` to `0..to`, to the nearest.
fn scale(value: i64, from: u32, to: u32) -> i32 {
    let (from, to) = (i64::from(from).saturating_sub(1).max(1), i64::from(to).saturating_sub(1).max(0));
    let scaled = value.saturating_mul(to).saturating_add(from.div_euclid(2)).div_euclid(from);
    i32::try_from(scaled.min(to)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xen::DomId;

    fn area(id: &str, width: u32, height: u32) -> Area {
        Area { unique_id: id.to_owned(), width, height }
    }

    fn key(device: u32) -> DeviceKey {
        DeviceKey { domid: DomId(3), device }
    }

    fn pairing(device: u32, connector: Option<&str>) -> Pairing<'_> {
        Pairing { key: key(device), connector, only: false }
    }

    #[test]
    fn a_device_serves_the_connector_that_it_names_else_the_display_of_its_number() {
        let areas = [area("a", 640, 480), area("b", 320, 200)];
        assert_eq!(pairing(0, None).serves(key(0), &areas, 1), Some(Scope::Device));
        assert_eq!(pairing(1, None).serves(key(0), &areas, 1), None);
        assert_eq!(pairing(1, Some("b")).serves(key(0), &areas, 1), Some(Scope::Connector(1)));
        assert_eq!(pairing(0, Some("b")).serves(key(0), &areas, 0), None);
        assert_eq!(pairing(0, Some("else")).serves(key(0), &areas, 0), Some(Scope::Device));
        let only = Pairing { only: true, ..pairing(0, None) };
        assert_eq!(only.serves(key(4), &areas, 0), Some(Scope::Device));
        assert_eq!(only.serves(DeviceKey { domid: DomId(4), device: 1 }, &areas, 0), None);
    }

    #[test]
    fn connectors_lie_side_by_side() {
        let areas = [area("a", 640, 480), area("b", 320, 200)];
        assert_eq!(Scope::Device.size(&areas), (960, 480));
        assert_eq!(Scope::Connector(1).size(&areas), (320, 200));
        let map = |scope: Scope, point, connector| scope.map(point, &areas, connector, scope.size(&areas));
        assert_eq!(map(Scope::Device, (0, 0), 0), (0, 0));
        assert_eq!(map(Scope::Device, (639, 479), 0), (639, 479));
        assert_eq!(map(Scope::Device, (0, 0), 1), (640, 0));
        assert_eq!(map(Scope::Device, (319, 199), 1), (959, 199));
        assert_eq!(map(Scope::Device, (9999, -5), 0), (639, 0), "never the neighbour's");
        assert_eq!(map(Scope::Connector(1), (319, 199), 1), (319, 199));
    }

    #[test]
    fn another_space_is_reached_from_corner_to_corner() {
        let areas = [area("a", 640, 480)];
        let map = |point| Scope::Device.map(point, &areas, 0, (1280, 960));
        assert_eq!(map((0, 0)), (0, 0));
        assert_eq!(map((639, 479)), (1279, 959));
        assert_eq!(map((320, 240)), (641, 481), "640.5 and 480.5, to the nearest");
        assert_eq!(Scope::Device.map((5, 5), &[], 0, (10, 10)), (0, 0));
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! Which of a connector's modes is used.

use std::time::Duration;

use smithay::reexports::drm::control::{Mode, ModeFlags, ModeTypeFlags};

use super::config::{ModeRequest, OutputSetting};

/// A rate is the asked one when it is at most this far off: "60" takes 59.94.
const REFRESH_TOLERANCE_MHZ: u32 = 500;

/// What matters of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModeInfo {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Frames in 1000 s; never 0.
    pub(super) refresh_mhz: u32,
    pub(super) preferred: bool,
    pub(super) interlaced: bool,
}

impl ModeInfo {
    pub(super) fn of(mode: &Mode) -> Self {
        let (width, height) = mode.size();
        Self {
            width,
            height,
            refresh_mhz: refresh_mhz(mode),
            preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
            interlaced: mode.flags().contains(ModeFlags::INTERLACE),
        }
    }

    /// Time between two frames, at least 1 ms.
    pub(super) fn frame_time(&self) -> Duration {
        let nanoseconds = 1_000_000_000_000_u64 / u64::from(self.refresh_mhz.max(1));
        Duration::from_nanos(nanoseconds).max(Duration::from_millis(1))
    }

    fn pixels(&self) -> u32 {
        u32::from(self.width) * u32::from(self.height)
    }
}

/// The exact rate from the pixel clock, since the kernel's own figure is rounded to whole hertz.
fn refresh_mhz(mode: &Mode) -> u32 {
    let dots = u64::from(mode.hsync().2) * u64::from(mode.vsync().2);
    let mut rate = (u64::from(mode.clock()) * 1_000_000).checked_div(dots).unwrap_or(0);
    if mode.flags().contains(ModeFlags::INTERLACE) {
        rate *= 2;
    }
    if mode.flags().contains(ModeFlags::DBLSCAN) {
        rate /= 2;
    }
    rate /= u64::from(mode.vscan().max(1));
    if rate == 0 {
        rate = u64::from(mode.vrefresh()) * 1000;
    }
    u32::try_from(rate).ok().filter(|&rate| rate > 0).unwrap_or(60_000)
}

/// The mode to use, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) index: usize,
    /// Whether it is what the user asked for.
    pub(super) as_asked: bool,
}

/// Chooses a mode; none when the list is empty or the output is off.
pub(super) fn choose(modes: &[ModeInfo], setting: OutputSetting) -> Option<Choice> {
    match setting {
        OutputSetting::Off => None,
        OutputSetting::Preferred => preferred(modes).map(|index| Choice { index, as_asked: true }),
        OutputSetting::Mode(request) => match requested(modes, request) {
            Some(index) => Some(Choice { index, as_asked: true }),
            None => preferred(modes).map(|index| Choice { index, as_asked: false }),
        },
    }
}

/// The display's own choice, else the largest and then fastest. The first of equals, as displays list their
/// best mode first.
fn preferred(modes: &[ModeInfo]) -> Option<usize> {
    best(modes, |_| true, |mode| (mode.preferred, !mode.interlaced, mode.pixels(), mode.refresh_mhz))
}

fn requested(modes: &[ModeInfo], request: ModeRequest) -> Option<usize> {
    let same_size = |mode: &ModeInfo| (mode.width, mode.height) == (request.width, request.height);
    let Some(rate) = request.refresh_mhz else {
        return best(modes, same_size, |mode| (!mode.interlaced, mode.preferred, mode.refresh_mhz));
    };
    let off = |mode: &ModeInfo| mode.refresh_mhz.abs_diff(rate);
    best(
        modes,
        |mode| same_size(mode) && off(mode) <= REFRESH_TOLERANCE_MHZ,
        |mode| (!mode.interlaced, std::cmp::Reverse(off(mode))),
    )
}

fn best<K: Ord>(modes: &[ModeInfo], fits: impl Fn(&ModeInfo) -> bool, key: impl Fn(&ModeInfo) -> K) -> Option<usize> {
    let fitting = modes.iter().enumerate().filter(|(_, mode)| fits(mode));
    // `max_by_key` returns the last of equals, hence the reversal.
    fitting.rev().max_by_key(|(_, mode)| key(mode)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(width: u16, height: u16, refresh_mhz: u32) -> ModeInfo {
        ModeInfo { width, height, refresh_mhz, preferred: false, interlaced: false }
    }

    fn bochs() -> Vec<ModeInfo> {
        let mut modes = vec![mode(1920, 1080, 60_000), mode(1280, 800, 59_810), mode(800, 600, 60_317)];
        modes.push(mode(800, 600, 56_250));
        modes[1].preferred = true;
        modes
    }

    fn index(modes: &[ModeInfo], setting: &str) -> Option<(usize, bool)> {
        choose(modes, setting.parse().unwrap()).map(|choice| (choice.index, choice.as_asked))
    }

    #[test]
    fn the_preferred_mode_is_the_displays() {
        assert_eq!(index(&bochs(), "preferred"), Some((1, true)));
    }

    #[test]
    fn without_a_preference_the_largest_progressive_mode_is_used() {
        let mut modes = vec![mode(640, 480, 60_000), mode(1920, 1080, 60_000), mode(1920, 1080, 75_000)];
        assert_eq!(index(&modes, "preferred"), Some((2, true)));
        modes[2].interlaced = true;
        assert_eq!(index(&modes, "preferred"), Some((1, true)));
    }

    #[test]
    fn an_asked_size_takes_the_highest_rate_and_an_asked_rate_the_nearest() {
        assert_eq!(index(&bochs(), "800x600"), Some((2, true)));
        assert_eq!(index(&bochs(), "800x600@60"), Some((2, true)));
        assert_eq!(index(&bochs(), "800x600@56"), Some((3, true)));
    }

    #[test]
    fn a_mode_that_is_not_offered_falls_back_to_the_preferred_one_and_says_so() {
        assert_eq!(index(&bochs(), "1366x768"), Some((1, false)));
        assert_eq!(index(&bochs(), "800x600@75"), Some((1, false)));
    }

    #[test]
    fn off_and_an_empty_list_give_nothing() {
        assert_eq!(index(&bochs(), "off"), None);
        assert_eq!(index(&[], "preferred"), None);
        assert_eq!(index(&[], "800x600"), None);
    }

    #[test]
    fn the_first_of_equal_modes_is_used() {
        let modes = [mode(800, 600, 60_000), mode(800, 600, 60_000)];
        assert_eq!(index(&modes, "preferred"), Some((0, true)));
    }

    #[test]
    fn frame_times_are_bounded() {
        assert_eq!(mode(1, 1, 60_000).frame_time(), Duration::from_nanos(16_666_666));
        assert_eq!(mode(1, 1, 5_000_000).frame_time(), Duration::from_millis(1));
        assert_eq!(mode(1, 1, 0).frame_time(), Duration::from_secs(1000));
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! From the configuration to a running compositor: chooses the platform and the backend, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backend::Presentation;
use crate::backend::headless::{self, Headless, HeadlessConfig};
use crate::backend::kms::{Kms, KmsConfig, ModeRequest, OutputSetting, RendererChoice, SessionKind};
use crate::cli::{Failure, Platform, RunOptions};
use crate::config::{
    self, BackendKind, Config, CursorPolicy, GuestConfig, InputAllowed, InputConfig, KeysConfig, LimitsConfig,
    OutputConfig, PointerPolicy, RendererKind, ScanoutKind, WaylandSocket,
};
use crate::control::{Access, Server};
use crate::displif::limits::Limits;
use crate::event_loop;
use crate::guest::policy::{GuestPolicy, InputPolicy, PolicyFor};
use crate::input::{self, Allowed, Bindings, Chord, Confine, Keymap, Seat};
use crate::kbdif;
use crate::scene::element::Color;
use crate::scene::fit::Fit;
use crate::scene::layout::{Region, Workspace};
use crate::state::{Parts, State};
use crate::wayland::{self, Wayland};
use crate::xen;

mod help;
mod kiosk;
mod settings;

/// Opens one of the hypervisors.
type OpenXen = fn() -> Result<xen::Platform, Failure>;

/// Longest time between the flip events of a window that nobody sees: guests give up after 3 s.
const HIDDEN_AT_MOST: Duration = Duration::from_secs(2);

/// Runs the compositor until it is told to end. `open_xen` opens the real hypervisor.
///
/// # Errors
/// A line for the user.
pub fn run(options: RunOptions, open_xen: OpenXen) -> Result<(), Failure> {
    let RunOptions { config, platform, socket, source } = options;
    // The control socket says that we are there: guests of the simulator can connect by then.
    let opened = open_platform(&platform, open_xen)?;
    let access = if config.control.mode.group() { Access::FileMode } else { Access::Owner };
    let control = Server::bind(&socket, config.control.mode.bits(), access)?;
    // The renderer's start can take seconds: it comes before the guests can see us.
    let (presentation, renderer) = open_backend(&config)?;
    tracing::info!("backend {}, renderer {renderer}; control socket {}", presentation.name(), socket.display());
    let (mut scene, kiosk) = kiosk::open(&config)?;
    let settings = settings::of(&config)?;
    if let Some(help) = &settings.help {
        help.tell(&mut scene);
    }
    let seat = Seat::new(settings.bindings, settings.sync_locks);
    let wayland = open_wayland(&config)?;
    // A kiosk's places are its table's.
    let places = config.kiosk.is_empty().then(|| socket.with_extension("places.json"));
    let mut state = State::new(Parts {
        platform_name: opened.name,
        platform: opened.platform,
        #[cfg(feature = "sim")]
        simulator: opened.simulator,
        presentation,
        scene,
        kiosk,
        renderer,
        policy_for: settings.policy_for,
        wayland,
        seat,
        keymap: settings.keymap,
        control,
        places,
        hidden_interval: settings.hidden_interval,
        off_after: settings.off_after,
        programs: settings.programs,
        start: settings::commands(config.desktop.start.iter()),
        reload: settings::again(source, config),
        clock: event_loop::monotonic_now,
    });
    event_loop::run(&mut state)?;
    Ok(())
}

struct Opened {
    name: &'static str,
    platform: xen::Platform,
    #[cfg(feature = "sim")]
    simulator: Option<crate::sim::Hypervisor>,
}

fn open_platform(platform: &Platform, open_xen: OpenXen) -> Result<Opened, Failure> {
    match platform {
        Platform::Xen => Ok(Opened {
            name: "xen",
            platform: open_xen()?,
            #[cfg(feature = "sim")]
            simulator: None,
        }),
        #[cfg(feature = "sim")]
        Platform::Simulator(path) => {
            let (platform, simulator) = crate::sim::Hypervisor::listen(path)
                .map_err(|error| format!("the simulated hypervisor can't listen at {}: {error}", path.display()))?;
            Ok(Opened { name: "sim", platform, simulator: Some(simulator) })
        }
        #[cfg(not(feature = "sim"))]
        Platform::Simulator(_) => Err("this grantway was built without the simulator (feature \"sim\")".into()),
    }
}

fn open_backend(config: &Config) -> Result<(Box<dyn Presentation>, &'static str), Failure> {
    match config.backend.kind {
        BackendKind::Headless => open_headless(config),
        BackendKind::Kms => open_kms(config),
        BackendKind::Auto => open_kms(config).or_else(|why| {
            tracing::warn!("no display can be used ({why}); running headless");
            open_headless(config)
        }),
    }
}

fn open_kms(config: &Config) -> Result<(Box<dyn Presentation>, &'static str), Failure> {
    let session = match config.backend.session {
        config::SessionKind::Libseat => SessionKind::Libseat,
        config::SessionKind::None => SessionKind::Direct,
        config::SessionKind::Auto if nix::unistd::geteuid().is_root() => SessionKind::Direct,
        config::SessionKind::Auto => SessionKind::Libseat,
    };
    let renderer = match config.backend.renderer {
        RendererKind::Auto => RendererChoice::Auto,
        RendererKind::Pixman => RendererChoice::Pixman,
        RendererKind::Gl => RendererChoice::Gl,
    };
    let (mut outputs, mut panels) = (BTreeMap::new(), Vec::new());
    for output in &config.output {
        let setting = OutputSetting::Mode(mode_request(output)?);
        match &output.panel {
            Some(panel) => panels.push((kiosk::panel(panel), setting)),
            None => drop(outputs.insert(output.name.clone(), setting)),
        }
    }
    let device = config.backend.drm_device.clone();
    let compose_only = config.backend.scanout == ScanoutKind::Off;
    let variable_refresh = config.backend.variable_refresh;
    let kms = Kms::new(KmsConfig { session, device, outputs, panels, renderer, compose_only, variable_refresh })?;
    let renderer = kms.renderer_name();
    Ok((Box::new(kms), renderer))
}

fn mode_request(output: &OutputConfig) -> Result<ModeRequest, Failure> {
    let side = |pixels: u32| u16::try_from(pixels).map_err(|_| format!("output {}: {pixels} pixels", output.name));
    Ok(ModeRequest {
        width: side(output.mode.width)?,
        height: side(output.mode.height)?,
        refresh_mhz: output.mode.refresh_mhz,
    })
}

fn open_headless(config: &Config) -> Result<(Box<dyn Presentation>, &'static str), Failure> {
    let (renderer, name) = match config.backend.renderer {
        RendererKind::Auto | RendererKind::Pixman => (headless::RendererKind::Pixman, "pixman"),
        RendererKind::Gl => (headless::RendererKind::Gl, "gl"),
    };
    let mut outputs: Vec<_> = config.output.iter().map(headless_output).collect();
    let refresh = Duration::from_nanos(DEFAULT_REFRESH_NS);
    let plain = |name: &str| headless::OutputConfig { name: name.to_owned(), width: 1280, height: 720, refresh };
    for place in &config.kiosk {
        if !outputs.iter().any(|output| output.name == place.output) {
            outputs.push(plain(&place.output));
        }
    }
    if outputs.is_empty() {
        outputs.push(plain("headless-1"));
    }
    let clock = headless::Clock::RealTime;
    let headless = Headless::new(HeadlessConfig { outputs, renderer, clock })?;
    Ok((Box::new(headless), name))
}

/// 60 Hz.
const DEFAULT_REFRESH_NS: u64 = 16_666_667;

fn headless_output(output: &OutputConfig) -> headless::OutputConfig {
    let nanos = output.mode.refresh_mhz.and_then(|mhz| 1_000_000_000_000_u64.checked_div(mhz.into()));
    headless::OutputConfig {
        name: output.name.clone(),
        width: output.mode.width,
        height: output.mode.height,
        refresh: Duration::from_nanos(nanos.unwrap_or(DEFAULT_REFRESH_NS)),
    }
}

fn policy(config: Config) -> PolicyFor {
    Box::new(move |domain| {
        let name = domain.name;
        let guest = config.guest_config(name);
        let own_limits = config.limits.with(&guest.limits);
        let color = guest.color(name);
        GuestPolicy {
            label: guest.label(name).to_owned(),
            color: Color { red: color.red, green: color.green, blue: color.blue },
            fullscreen: guest.fullscreen,
            fit: guest.fit.map_or(Fit::Scale, kiosk::fit_of),
            routing: routing(&guest),
            thumbnails: guest.thumbnails,
            be_alloc: guest.be_alloc,
            limits: limits(&own_limits),
            input: InputPolicy {
                take_vkbd: guest.vkb.take_qemu,
                relative_pointer: guest.vkb.pointer == config::PointerKind::Relative,
                connectors: guest.vkb.connectors,
                limits: input_limits(&own_limits),
            },
            places: kiosk::places(&config, domain),
        }
    })
}

fn input_limits(config: &LimitsConfig) -> kbdif::limits::Limits {
    kbdif::limits::Limits {
        queue: usize::try_from(config.input_queue).unwrap_or(usize::MAX),
        contacts: u8::try_from(config.touch_contacts).unwrap_or(u8::MAX),
        ..kbdif::limits::Limits::default()
    }
}

fn routing(config: &GuestConfig) -> input::Policy {
    input::Policy {
        allowed: match config.input {
            InputAllowed::All => Allowed::All,
            InputAllowed::Pointer => Allowed::Pointer,
            InputAllowed::View => Allowed::View,
        },
        confine: match config.pointer {
            PointerPolicy::Auto => Confine::Auto,
            PointerPolicy::Free => Confine::Never,
            PointerPolicy::Confined => Confine::Always,
        },
        own_cursor: config.cursor == CursorPolicy::Guest,
        dock: false,
    }
}

/// The chords, in the order in which the configuration names them.
fn bindings(keys: &KeysConfig) -> Bindings {
    let chords = keys.chords().into_iter().zip([
        Chord::Attention,
        Chord::NextGuest,
        Chord::PreviousGuest,
        Chord::FullScreen,
        Chord::Region(Region::Whole),
        Chord::Region(Region::LeftHalf),
        Chord::Region(Region::RightHalf),
        Chord::NaturalSize,
        Chord::NextFit,
        Chord::Tile,
        Chord::FirstTile,
        Chord::Minimise,
        Chord::Close,
        Chord::ReleasePointer,
        Chord::Help,
        Chord::Terminate,
    ]);
    let chords = chords.filter_map(|((_, key), chord)| Some((key?.code(), chord)));
    let workspaces = keys.workspace_keys();
    let workspaces =
        workspaces.filter_map(|(number, key)| Some((key.code(), Chord::Workspace(Workspace::new(number)?))));
    let programs = (0..).zip(keys.programs.keys()).map(|(number, key)| (key.code(), Chord::Program(number)));
    Bindings { modifier: keys.reserved.code(), chords: chords.chain(workspaces).chain(programs).collect() }
}

/// Listens for Dom0's own clients, where the configuration wants them.
fn open_wayland(config: &Config) -> Result<Option<Wayland>, Failure> {
    let socket = match &config.desktop.wayland {
        WaylandSocket::None => return Ok(None),
        WaylandSocket::Auto => wayland::Socket::Auto,
        WaylandSocket::Path(path) => wayland::Socket::Path(path.clone()),
    };
    let wayland = Wayland::open(&socket, &settings::layout(config), &config.desktop.privileged)?;
    tracing::info!("WAYLAND_DISPLAY={}", wayland.socket_name());
    Ok(Some(wayland))
}

/// Dom0's layout. A layout that was asked for has to be there; without the default one only typing a text fails.
fn keymap(config: &InputConfig) -> Result<Option<Keymap>, Failure> {
    match Keymap::new(&config.layout, &config.variant, &config.options) {
        Ok(keymap) => Ok(Some(keymap)),
        Err(why) if *config == InputConfig::default() => {
            tracing::warn!("`grantway msg input text` can't be used: {why}");
            Ok(None)
        }
        Err(why) => Err(format!("[input] in the configuration: {why}").into()),
    }
}

fn limits(config: &LimitsConfig) -> Limits {
    let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    Limits {
        connectors: count(config.connectors),
        width: config.max_width,
        height: config.max_height,
        buffer_bytes: config.buffer_mib.saturating_mul(1 << 20),
        buffers_per_connector: count(config.buffers_per_connector),
        framebuffers_per_connector: count(config.framebuffers_per_connector),
        total_bytes: u64::from(config.mapped_mib).saturating_mul(1 << 20),
        total_grants: count(config.mapped_grants),
        allocated_bytes: u64::from(config.allocated_mib).saturating_mul(1 << 20),
        allocated_buffer_bytes: u64::from(config.allocated_buffer_mib).saturating_mul(1 << 20),
        flips_per_second: config.flips_per_second,
        requests_per_second: config.requests_per_second,
        refusals_per_second: config.refusals_per_second,
        bad_requests_warning: config.bad_requests_warn,
        bad_requests_fatal: config.bad_requests_close,
        destroy_deadline: Duration::from_millis(config.destroy_deadline_ms.into()),
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_of_the_configuration_are_those_of_the_device() {
        assert_eq!(limits(&LimitsConfig::default()), Limits::default());
        assert_eq!(input_limits(&LimitsConfig::default()), kbdif::limits::Limits::default());
    }
}

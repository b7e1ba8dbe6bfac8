// SPDX-License-Identifier: GPL-3.0-or-later
//! A simulated guest: a process that connects to the simulator, drives its display as Linux does, and reports
//! what it saw as one line of JSON.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use grantway::displif::wire::SetConfig;
use grantway::sim::display_front::{Buffer, DisplayFront, Geometry};
use grantway::sim::front::{FrontError, Guest, now};
use grantway::sim::keyboard_front::KeyboardFront;
use grantway::sim::pattern::{self, Format, Pattern};

const HELP: &str = "usage: grantway-sim-guest --socket PATH [options]
  --name NAME                   the domain's name (guest)
  --connectors ID:WxH[,ID:WxH]  the display's connectors (conn-a:800x600)
  --format FOURCC[,FOURCC]      a pixel format, or one for each connector (XR24)
  --pattern tear|bars|solid     what to draw (tear)
  --fps N                       frames a second at most; 0: as fast as events come (0)
  --flips N                     stop when each connector has flipped so often
  --seconds N                   stop after so many seconds
  --recreate N                  destroy and make all buffers anew every N flips of connector 0
  --version 1|2                 protocol version (1)
  --offset BYTES                data_ofs of the buffers (0; needs version 2)
  --zero-size                   make the buffers with 0x0, as for imported ones
  --edid                        ask for each connector's EDID (needs version 2)
  --keyboard[=VKB]              drive an input device too, configured by VKB as in vkb=['VKB']
  --memory MIB                  the guest's memory (64)
  --be-alloc                    let the backend allocate the buffers
  --linger                      when done, keep the last picture until killed
  --abrupt                      when done, end without closing anything";

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    socket: PathBuf,
    name: String,
    connectors: String,
    formats: Vec<Format>,
    pattern: Pattern,
    fps: u64,
    flips: Option<u64>,
    seconds: Option<u64>,
    recreate: Option<u64>,
    version: u32,
    offset: u32,
    zero_size: bool,
    edid: bool,
    memory: u32,
    keyboard: Option<String>,
    be_alloc: bool,
    linger: bool,
    abrupt: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            socket: PathBuf::new(),
            name: "guest".to_owned(),
            connectors: "conn-a:800x600".to_owned(),
            formats: Vec::new(),
            pattern: Pattern::Tear,
            fps: 0,
            flips: None,
            seconds: None,
            recreate: None,
            version: 1,
            offset: 0,
            zero_size: false,
            edid: false,
            memory: 64,
            keyboard: None,
            be_alloc: false,
            linger: false,
            abrupt: false,
        };
        let mut formats = "XR24".to_owned();
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} wants a value"));
            match name.as_str() {
                "--socket" => options.socket = value()?.into(),
                "--name" => options.name = value()?,
                "--connectors" => options.connectors = value()?.replace(',', ";"),
                "--format" => formats = value()?,
                "--pattern" => options.pattern = pattern_named(&value()?)?,
                "--fps" => options.fps = number(&name, &value()?)?,
                "--flips" => options.flips = Some(number(&name, &value()?)?),
                "--seconds" => options.seconds = Some(number(&name, &value()?)?),
                "--recreate" => options.recreate = Some(number::<u64>(&name, &value()?)?.max(1)),
                "--version" => options.version = number(&name, &value()?)?,
                "--offset" => options.offset = number(&name, &value()?)?,
                "--memory" => options.memory = number(&name, &value()?)?,
                "--zero-size" => options.zero_size = true,
                "--edid" => options.edid = true,
                "--keyboard" => options.keyboard = Some("backend-type=linux,backend=0".to_owned()),
                "--be-alloc" => options.be_alloc = true,
                "--linger" => options.linger = true,
                "--abrupt" => options.abrupt = true,
                other if other.starts_with("--keyboard=") => {
                    options.keyboard = other.strip_prefix("--keyboard=").map(str::to_owned);
                }
                _ => return Err(format!("{name} is not understood\n{HELP}")),
            }
        }
        if options.socket.as_os_str().is_empty() {
            return Err(format!("--socket is missing\n{HELP}"));
        }
        let named = |name: &str| Format::named(name).ok_or_else(|| format!("--format {name} is not known"));
        options.formats = formats.split(',').map(named).collect::<Result<_, _>>()?;
        Ok(options)
    }

    fn format(&self, connector: usize) -> Format {
        let last = pattern::FORMATS[2];
        self.formats.get(connector).or_else(|| self.formats.last()).copied().unwrap_or(last)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} wants a number, not {value:?}"))
}

fn pattern_named(name: &str) -> Result<Pattern, String> {
    match name {
        "tear" => Ok(Pattern::Tear),
        "bars" | "smpte" => Ok(Pattern::Bars),
        "solid" => Ok(Pattern::Solid),
        _ => Err(format!("--pattern {name} is not known")),
    }
}

/// A buffer and its framebuffer.
#[derive(Debug)]
struct Surface {
    buffer: Buffer,
    framebuffer: u64,
}

/// What is drawn on one connector.
#[derive(Debug)]
struct Screen {
    surfaces: Vec<Surface>,
    frame: u64,
    due: Duration,
}

/// The program's state.
#[derive(Debug)]
struct Program {
    options: Options,
    front: DisplayFront,
    keyboard: Option<KeyboardFront>,
    reports: Vec<String>,
    screens: Vec<Screen>,
    edids: Vec<String>,
    reconnects: u64,
    start: Duration,
}

impl Program {
    fn new(options: Options) -> Result<Self, FrontError> {
        let device = format!("backend=0,be-alloc={},connectors={}", u8::from(options.be_alloc), options.connectors);
        let vkb = options.keyboard.as_ref().map(|line| format!("vkb:{line}"));
        let devices: Vec<_> = vkb.iter().chain([&device]).map(String::as_str).collect();
        let guest = Guest::start(&options.socket, &options.name, &devices, options.memory.saturating_mul(256))?;
        let front = DisplayFront::new(guest, 0, options.version);
        let (keyboard, reports) = (None, Vec::new());
        Ok(Self {
            options,
            front,
            keyboard,
            reports,
            screens: Vec::new(),
            edids: Vec::new(),
            reconnects: 0,
            start: now(),
        })
    }

    /// Runs until there is nothing left to do; survives the backend's restarts.
    fn run(&mut self) -> Result<(), FrontError> {
        loop {
            match self.session() {
                Err(FrontError::BackendGone) => {
                    self.reconnects += 1;
                    self.forget();
                    self.front.disconnect()?;
                }
                other => return other,
            }
        }
    }

    fn session(&mut self) -> Result<(), FrontError> {
        if self.options.keyboard.is_some() && self.keyboard.is_none() {
            self.keyboard = Some(KeyboardFront::connect(&mut self.front.guest, 0, Duration::from_secs(60))?);
        }
        self.front.connect(Duration::from_secs(60))?;
        for index in 0..self.front.connectors.len() {
            if self.options.edid {
                let edid = self.front.edid(index)?;
                self.edids.push(edid.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            let screen = self.make_screen(index, 0)?;
            self.screens.push(screen);
            self.show(index)?;
        }
        self.flip_until_done()?;
        if self.options.linger {
            loop {
                self.wait(Duration::from_secs(1))?;
                self.front.check_backend()?;
            }
        }
        if self.options.abrupt {
            return Ok(());
        }
        for index in 0..self.screens.len() {
            self.front.set_config(index, SetConfig::default())?;
        }
        self.destroy_all()?;
        self.front.close()
    }

    fn make_screen(&mut self, index: usize, frame: u64) -> Result<Screen, FrontError> {
        let (width, height, format) = self.mode(index);
        let mut surfaces = Vec::new();
        for _ in 0..2 {
            let picture = Geometry { data_offset: self.options.offset, ..Geometry::picture(width, height, format.bpp) };
            let geometry = if self.options.zero_size { Geometry::bytes(picture.total()) } else { picture };
            let buffer = self.front.create_buffer(geometry)?;
            let framebuffer = self.front.attach(buffer.cookie, width, height, format.fourcc())?;
            surfaces.push(Surface { buffer, framebuffer });
        }
        Ok(Screen { surfaces, frame, due: now() })
    }

    fn mode(&self, index: usize) -> (u32, u32, Format) {
        let size = self.front.connectors.get(index).map_or((0, 0), |connector| (connector.width, connector.height));
        (size.0, size.1, self.options.format(index))
    }

    /// Draws the next frame into the buffer that is not shown; gives its framebuffer.
    fn draw(&mut self, index: usize) -> Result<u64, FrontError> {
        let (width, height, format) = self.mode(index);
        let offset = usize::try_from(self.options.offset).unwrap_or(0);
        let screen = self.screens.get_mut(index).ok_or(FrontError::NoRoom("screens"))?;
        let line = pattern::line(self.options.pattern, format, screen.frame, width);
        let parity = usize::from(screen.frame % 2 == 1);
        let surface = screen.surfaces.get(parity).ok_or(FrontError::NoRoom("buffers"))?;
        let pages = surface.buffer.view(&self.front.guest)?;
        for y in 0..usize::try_from(height).unwrap_or(0) {
            pages.write(offset + y * line.len(), &line)?;
        }
        screen.frame += 1;
        Ok(surface.framebuffer)
    }

    fn show(&mut self, index: usize) -> Result<(), FrontError> {
        let cookie = self.draw(index)?;
        let (width, height, format) = self.mode(index);
        self.front.set_config(index, SetConfig { cookie, x: 0, y: 0, width, height, bpp: format.bpp })
    }

    fn flip_until_done(&mut self) -> Result<(), FrontError> {
        let interval = 1_000_000_000_u64.checked_div(self.options.fps).map_or(Duration::ZERO, Duration::from_nanos);
        let end = self.options.seconds.map(|seconds| self.start + Duration::from_secs(seconds));
        loop {
            self.front.check_backend()?;
            let mut sleep = Duration::from_millis(500);
            let mut busy = false;
            for index in 0..self.screens.len() {
                let Some(screen) = self.screens.get(index) else { continue };
                let (due, frame) = (screen.due, screen.frame);
                let over = self.options.flips.is_some_and(|flips| frame > flips) || end.is_some_and(|end| now() >= end);
                if self.front.flip_pending(index) {
                    busy = true;
                } else if !over {
                    busy = true;
                    if now() >= due {
                        self.flip(index, due + interval)?;
                    } else {
                        sleep = sleep.min(due.saturating_sub(now()));
                    }
                }
            }
            if !busy {
                return Ok(());
            }
            self.wait(sleep)?;
        }
    }

    /// Waits for flips, and takes input meanwhile.
    fn wait(&mut self, limit: Duration) -> Result<(), FrontError> {
        let Some(keyboard) = &mut self.keyboard else {
            self.front.wait_flips(limit)?;
            return Ok(());
        };
        // Input has no descriptor among those that are waited for with the flips.
        self.front.wait_flips(limit.min(Duration::from_millis(5)))?;
        keyboard.follow(&mut self.front.guest)?;
        keyboard.take_events()?;
        self.reports.extend(keyboard.take_log());
        Ok(())
    }

    fn flip(&mut self, index: usize, next: Duration) -> Result<(), FrontError> {
        let frame = self.screens.get(index).map_or(0, |screen| screen.frame);
        if self.options.recreate.is_some_and(|every| index == 0 && frame.is_multiple_of(every)) {
            self.recreate(frame)?;
        }
        let cookie = self.draw(index)?;
        self.front.flip(index, cookie)?;
        if let Some(screen) = self.screens.get_mut(index) {
            // Late frames are not caught up with.
            screen.due = next.max(now());
        }
        Ok(())
    }

    /// New buffers for connector 0: the old ones are destroyed while one of them is shown.
    fn recreate(&mut self, frame: u64) -> Result<(), FrontError> {
        let fresh = self.make_screen(0, frame)?;
        if let Some(screen) = self.screens.get_mut(0) {
            let old = std::mem::replace(screen, fresh);
            self.destroy(old)?;
        }
        self.show(0)
    }

    fn destroy(&mut self, screen: Screen) -> Result<(), FrontError> {
        for surface in screen.surfaces {
            self.front.detach(surface.framebuffer)?;
            self.front.destroy_buffer(surface.buffer)?;
        }
        Ok(())
    }

    fn destroy_all(&mut self) -> Result<(), FrontError> {
        for screen in std::mem::take(&mut self.screens) {
            self.destroy(screen)?;
        }
        Ok(())
    }

    fn forget(&mut self) {
        for surface in self.screens.drain(..).flat_map(|screen| screen.surfaces) {
            self.front.forget_buffer(surface.buffer);
        }
    }

    fn report(&self, error: Option<&FrontError>) -> String {
        let counts = &self.front.counts;
        let seconds = (now() - self.start).as_secs_f64();
        let destroys: Vec<_> = counts.destroy_ms.iter().map(|ms| format!("{ms:.3}")).collect();
        let edids: Vec<_> = self.edids.iter().map(|edid| format!("\"{edid}\"")).collect();
        let reports: Vec<_> = self.reports.iter().map(|report| quoted(report)).collect();
        let oops = self.keyboard.as_ref().and_then(|keyboard| keyboard.oops.as_deref());
        let oops = oops.map_or("null".to_owned(), quoted);
        let error = error.map_or("null".to_owned(), |error| quoted(&error.to_string()));
        format!(
            "{{\"name\": {}, \"domid\": {}, \"seconds\": {seconds:.3}, \"flips\": {}, \"flip_errors\": {}, \
             \"events\": {}, \"bad_ids\": {}, \"timeouts\": {}, \"flip_timeouts\": {}, \"stray_responses\": {}, \
             \"still_mapped\": {}, \"reconnects\": {}, \"slowest_flip_ms\": {:.3}, \"destroy_ms\": [{}], \
             \"edids\": [{}], \"input\": [{}], \"oops\": {oops}, \"error\": {error}}}",
            quoted(&self.options.name),
            self.front.guest.domid(),
            counts.flips,
            counts.flip_errors,
            counts.events,
            counts.bad_ids,
            counts.timeouts,
            counts.flip_timeouts,
            counts.stray_responses,
            counts.still_mapped,
            self.reconnects,
            counts.slowest_flip_ms,
            destroys.join(", "),
            edids.join(", "),
            reports.join(", "),
        )
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let escape = |letter: char| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

fn complain(text: &str) -> ExitCode {
    // Nobody is left to tell when even this fails.
    let _unheard = writeln!(std::io::stderr(), "grantway-sim-guest: {text}");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => return complain(&why),
    };
    let mut program = match Program::new(options) {
        Ok(program) => program,
        Err(error) => return complain(&error.to_string()),
    };
    let outcome = program.run();
    let report = program.report(outcome.as_ref().err());
    if writeln!(std::io::stdout(), "{report}").is_err() || outcome.is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

// SPDX-License-Identifier: GPL-3.0-or-later
//! What was measured, as a table and as JSON.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::compositor::Usage;
use crate::crowd::Cost;
use crate::guest::FlipTimes;
use crate::strace::Traced;
use crate::{Case, Outcome};

/// Times in order.
pub(crate) struct Sorted(Vec<Duration>);

impl Sorted {
    pub(crate) fn new(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort_unstable();
        Self(times)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that `percent` of all are not longer than.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or_default()
    }

    fn ms(&self, percent: usize) -> f64 {
        self.percentile(percent).as_secs_f64() * 1000.0
    }

    fn share_above(&self, limit: Duration) -> f64 {
        ratio(self.0.iter().filter(|time| **time > limit).count(), self.len())
    }

    fn json(&self) -> Value {
        json!({ "samples": self.len(), "p50_ms": self.ms(50), "p99_ms": self.ms(99), "max_ms": self.ms(100) })
    }

    fn row(&self, name: &str) -> String {
        format!("{name:<34} {:>8} {:>10.3} {:>10.3} {:>10.3}", self.len(), self.ms(50), self.ms(99), self.ms(100))
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    let float = |number: usize| u32::try_from(number).map_or(f64::NAN, f64::from);
    float(part) / float(whole)
}

/// What the compositor used for a number of flips.
struct PerFlip {
    cpu_ms: f64,
    ticks_ms: f64,
    voluntary: f64,
    involuntary: f64,
}

impl PerFlip {
    fn new(usage: Usage, flips: usize) -> Self {
        let flips = u32::try_from(flips).map_or(f64::NAN, f64::from);
        let float = |number: u64| u32::try_from(number).map_or(f64::NAN, f64::from);
        Self {
            cpu_ms: Duration::from_nanos(usage.cpu_ns).as_secs_f64() * 1000.0 / flips,
            // Linux counts these in hundredths of a second everywhere.
            ticks_ms: float(usage.ticks) * 10.0 / flips,
            voluntary: float(usage.voluntary) / flips,
            involuntary: float(usage.involuntary) / flips,
        }
    }
}

/// One size on one output.
pub(crate) struct FlipReport {
    case: Case,
    reply: Sorted,
    event: Sorted,
    per_flip: PerFlip,
}

impl FlipReport {
    pub(crate) fn new(case: Case, times: &FlipTimes, usage: Usage) -> Self {
        Self {
            case,
            reply: Sorted::new(&times.reply),
            event: Sorted::new(&times.event),
            per_flip: PerFlip::new(usage, times.event.len()),
        }
    }

    /// A percentile of flip → event, in times of the output's frame.
    fn frames(&self, percent: usize) -> f64 {
        self.event.percentile(percent).as_secs_f64() / self.case.refresh().as_secs_f64()
    }

    fn late(&self) -> f64 {
        self.event.share_above(self.case.refresh() * 3 / 2)
    }

    fn json(&self) -> Value {
        json!({
            "width": self.case.size.0,
            "height": self.case.size.1,
            "output_hz": self.case.hertz,
            "reply": self.reply.json(),
            "event": self.event.json(),
            "event_frames": { "p50": self.frames(50), "p99": self.frames(99) },
            "share_later_than_1_5_frames": self.late(),
            "per_flip": {
                "cpu_ms": self.per_flip.cpu_ms,
                "cpu_ms_by_ticks": self.per_flip.ticks_ms,
                "voluntary_switches": self.per_flip.voluntary,
                "involuntary_switches": self.per_flip.involuntary,
            },
        })
    }

    fn rows(&self) -> [String; 2] {
        let name = |what: &str| format!("{what}, {}", self.case);
        [self.reply.row(&name("PG_FLIP reply")), self.event.row(&name("flip to event"))]
    }

    fn cost_row(&self) -> String {
        format!(
            "{:<16} {:>12.2} {:>12.2} {:>9.1} % {:>12.3} {:>10.2} {:>12.2}",
            self.case.to_string(),
            self.frames(50),
            self.frames(99),
            self.late() * 100.0,
            self.per_flip.cpu_ms,
            self.per_flip.voluntary,
            self.per_flip.involuntary,
        )
    }
}

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) attach: Sorted,
    pub(crate) detach: Sorted,
    pub(crate) flips: Vec<FlipReport>,
    pub(crate) destroy: Sorted,
    pub(crate) refusal: Sorted,
    /// What the compositor used for the refusals.
    pub(crate) refusing: Usage,
    pub(crate) idle: (Duration, Usage),
    pub(crate) traced: Outcome<Traced>,
    pub(crate) crowd: Outcome<Vec<Cost>>,
    pub(crate) load_before: String,
}

impl Report {
    /// Prints the tables.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{:<34} {:>8} {:>10} {:>10} {:>10}", "latency", "samples", "p50 ms", "p99 ms", "max ms")?;
        writeln!(out, "{}", self.attach.row("FB_ATTACH reply"))?;
        writeln!(out, "{}", self.detach.row("FB_DETACH reply"))?;
        for row in self.flips.iter().flat_map(FlipReport::rows) {
            writeln!(out, "{row}")?;
        }
        writeln!(out, "{}", self.destroy.row("DBUF_DESTROY of a shown buffer"))?;
        writeln!(out, "{}", self.refusal.row("refused DBUF_CREATE reply"))?;
        let cpu = PerFlip::new(self.refusing, self.refusal.len()).cpu_ms;
        writeln!(out, "\nCPU for a refused request: {cpu:.3} ms")?;
        writeln!(
            out,
            "\n{:<16} {:>12} {:>12} {:>11} {:>12} {:>10} {:>12}",
            "flip to event", "p50 frames", "p99 frames", "> 1.5", "CPU ms/flip", "sleeps", "preempted"
        )?;
        for flip in &self.flips {
            writeln!(out, "{}", flip.cost_row())?;
        }
        let (time, usage) = self.idle;
        writeln!(
            out,
            "\nno flips for {} s: {} wake-ups, {:.3} ms CPU",
            time.as_secs(),
            usage.voluntary,
            Duration::from_nanos(usage.cpu_ns).as_secs_f64() * 1000.0
        )?;
        if let Ok(crowd) = &self.crowd {
            let head = ["connectors", "calls/flip", "sleeps/flip", "CPU ms/flip"];
            writeln!(out, "\n{:>10} {:>12} {:>12} {:>12}", head[0], head[1], head[2], head[3])?;
            for Cost { connectors, flips, usage, calls } in crowd {
                let PerFlip { cpu_ms, voluntary, .. } = PerFlip::new(*usage, *flips);
                writeln!(out, "{connectors:>10} {calls:>12.2} {voluntary:>12.2} {cpu_ms:>12.3}")?;
            }
        }
        if let Ok(traced) = &self.traced {
            let total = traced.total().unwrap_or(f64::NAN);
            writeln!(out, "\nsystem calls a flip, {} flips at {} Hz: {total:.2}", traced.flips, traced.hertz)?;
            for (name, calls) in traced.per_flip().into_iter().filter(|(_, calls)| *calls >= 0.01) {
                writeln!(out, "  {name:<20} {calls:>6.2}")?;
            }
        }
        Ok(())
    }

    /// Writes `target/bench/flip.json`; gives its path.
    pub(crate) fn write(&self) -> Outcome<PathBuf> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("there is no target folder")?;
        let path = target.join("bench/flip.json");
        fs::create_dir_all(target.join("bench"))?;
        fs::write(&path, format!("{:#}\n", self.json()))?;
        Ok(path)
    }

    fn json(&self) -> Value {
        let (time, usage) = self.idle;
        let traced = self.traced.as_ref().ok().map(|traced| {
            let calls: serde_json::Map<_, _> =
                traced.per_flip().into_iter().map(|(name, calls)| (name, json!(calls))).collect();
            json!({
                "flips": traced.flips,
                "output_hz": traced.hertz,
                "per_flip": traced.total(),
                "per_flip_by_name": calls,
                "busy": traced.busy,
                "idle": traced.idle,
            })
        });
        json!({
            "machine": machine(&self.load_before),
            "attach": self.attach.json(),
            "detach": self.detach.json(),
            "flips": self.flips.iter().map(FlipReport::json).collect::<Vec<_>>(),
            "destroy": self.destroy.json(),
            "refusal": self.refusal.json(),
            "refusal_cpu_ms": PerFlip::new(self.refusing, self.refusal.len()).cpu_ms,
            "crowd": self.crowd.as_ref().ok().map(|crowd| crowd.iter().map(cost).collect::<Vec<_>>()),
            "idle": { "seconds": time.as_secs(), "wake_ups": usage.voluntary, "cpu_ns": usage.cpu_ns },
            "system_calls": traced,
        })
    }
}

fn cost(Cost { connectors, flips, usage, calls }: &Cost) -> Value {
    let PerFlip { cpu_ms, voluntary, .. } = PerFlip::new(*usage, *flips);
    json!({ "connectors": connectors, "flips": flips, "system_calls": calls, "voluntary_switches": voluntary, "cpu_ms": cpu_ms })
}

/// What the figures come from.
fn machine(load_before: &str) -> Value {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned()),
        "load_before": load_before,
        "load_after": load(),
        "date": said_by("date", &["--utc", "+%Y-%m-%d"]),
        "commit": said_by("git", &["describe", "--always", "--dirty"]),
        "optimized": !cfg!(debug_assertions),
    })
}

/// The kernel's load averages over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// What a program prints; nothing when it is not there.
fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

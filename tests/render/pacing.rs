// SPDX-License-Identifier: GPL-3.0-or-later
//! The pace of the outputs: the state machine case by case, and over arbitrary sequences.

use std::collections::BTreeMap;
use std::time::Duration;

use grantway::backend::Commit;
use grantway::frame::{HIDDEN_INTERVAL, LONGEST_WAIT, Made, Pacer, Pacing, RedrawState};
use grantway::scene::element::OutputId;
use grantway::time::Time;
use proptest::prelude::*;

const TICK: Duration = Duration::from_millis(16);

/// Drawn, and in no time.
const DRAWN: Made = Made { took: Duration::ZERO, drawn: true };

/// All of it on planes.
const ON_PLANES: Made = Made { took: Duration::ZERO, drawn: false };

const fn ms(milliseconds: u64) -> Time {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_flip_is_done_when_the_frame_that_holds_it_is_presented() {
    let mut pacer = Pacer::new(TICK);
    assert!(pacer.wants_redraw(), "a new output has to be drawn");
    pacer.add_flip((), 'a', ms(1));
    pacer.committed(Commit::Submitted, DRAWN, ms(2));
    pacer.add_flip((), 'b', ms(3));
    assert_eq!(pacer.state(), RedrawState::WaitingForVblank { redraw_needed: true });
    assert!(!pacer.wants_redraw(), "one frame at a time");
    assert_eq!(pacer.presented(ms(16)), ['a'], "b came after the frame");
    assert_eq!(pacer.state(), RedrawState::Scheduled { at: ms(30) });
    assert_eq!(pacer.tick(ms(30)), []);
    assert!(pacer.wants_redraw());
    pacer.committed(Commit::Submitted, DRAWN, ms(30));
    assert_eq!(pacer.presented(ms(32)), ['b']);
    assert_eq!((pacer.state(), pacer.deadline()), (RedrawState::Idle, None));
    assert_eq!(pacer.presented(ms(48)), []);
}

#[test]
fn a_frame_without_damage_is_paced_as_if_it_had_been_shown() {
    let mut pacer = Pacer::new(TICK);
    pacer.committed(Commit::Submitted, DRAWN, ms(0));
    assert_eq!(pacer.presented(ms(100)), []);
    pacer.add_flip((), 'a', ms(105));
    assert_eq!((pacer.deadline(), pacer.tick(ms(114))), (Some(ms(114)), vec![]));
    pacer.committed(Commit::NoDamage, DRAWN, ms(114));
    assert_eq!(pacer.deadline(), Some(ms(116)), "the next vblank after the last one seen");
    pacer.add_flip((), 'b', ms(114));
    assert!(!pacer.wants_redraw(), "not faster than the output");
    assert_eq!(pacer.tick(ms(115)), []);
    assert_eq!(pacer.tick(ms(116)), ['a']);
    assert_eq!(pacer.deadline(), Some(ms(130)), "for b");
    pacer.committed(Commit::NoDamage, DRAWN, ms(200));
    assert_eq!(pacer.deadline(), Some(ms(212)));
    assert_eq!(pacer.tick(ms(212)), ['b']);
    assert_eq!(pacer.state(), RedrawState::Idle);
}

#[test]
fn a_skipped_frame_is_tried_again_ever_slower_or_at_once_when_the_output_is_back() {
    let mut pacer = Pacer::new(TICK);
    let mut now = Time::ZERO;
    let mut waits = Vec::new();
    for name in 0..9 {
        assert!(pacer.wants_redraw());
        pacer.add_flip((), name, now);
        pacer.committed(Commit::Skipped, DRAWN, now);
        let due = pacer.deadline().unwrap();
        waits.push((due - now).as_millis());
        now = due;
        assert_eq!(pacer.tick(now), [name], "guests go on");
    }
    assert_eq!(waits, [16, 32, 64, 128, 256, 512, 1016, 1016, 1016]);

    pacer.add_flip((), 10, now);
    pacer.committed(Commit::Skipped, DRAWN, now);
    pacer.add_flip((), 11, now);
    pacer.redraw_at_once();
    assert!(pacer.wants_redraw());
    pacer.committed(Commit::Submitted, DRAWN, now);
    assert_eq!(pacer.frames(), 1);
    assert_eq!(pacer.presented(now + TICK), [10, 11]);
    pacer.queue_redraw(now + TICK);
    pacer.committed(Commit::Skipped, DRAWN, now + TICK);
    assert_eq!(pacer.deadline(), Some(now + TICK * 2), "all over again");
}

/// A pacer that has shown a frame at 16 ms, on planes or drawn.
fn running(made: Made, flips: &[&'static str]) -> Pacer<&'static str, &'static str> {
    let mut pacer = Pacer::new(TICK);
    for name in flips {
        pacer.add_flip(*name, *name, ms(1));
    }
    pacer.committed(Commit::Submitted, made, ms(2));
    assert_eq!(pacer.presented(ms(16)), flips);
    pacer
}

#[test]
fn what_comes_shortly_before_the_vblank_is_still_drawn() {
    let mut pacer = running(Made { took: ms(3), drawn: true }, &["a"]);
    pacer.add_flip("a", "a", ms(18));
    assert_eq!(pacer.state(), RedrawState::Scheduled { at: ms(32 - 3 - 2) });
    pacer.add_flip("b", "b", ms(26));
    assert_eq!(pacer.tick(ms(27)), Vec::<&str>::new());
    assert!(pacer.wants_redraw());
    pacer.committed(Commit::Submitted, DRAWN, ms(30));
    assert_eq!(pacer.presented(ms(32)), ["a", "b"]);
}

#[test]
fn two_guests_on_one_output_both_have_its_full_rate() {
    for made in [DRAWN, ON_PLANES] {
        let (mut pacer, mut shown) = (running(made, &["a", "b"]), 0);
        for frame in 1..=60 {
            // Each draws as soon as its last picture is shown; it takes one of them 2 ms, the other 6.
            let start = TICK * frame;
            for (who, takes) in [("a", 2), ("b", 6)] {
                assert!(pacer.tick(start + ms(takes)).is_empty() && !pacer.wants_redraw());
                pacer.add_flip(who, who, start + ms(takes));
            }
            let begin = pacer.deadline().filter(|_| !pacer.wants_redraw()).unwrap_or(start + ms(6));
            assert!(pacer.tick(begin).is_empty() && pacer.wants_redraw());
            pacer.committed(Commit::Submitted, made, begin);
            shown += pacer.presented(start + TICK).len();
        }
        assert_eq!(shown, 120);
    }
}

#[test]
fn on_planes_a_flip_waits_for_nobody_but_those_who_flipped_last_time() {
    let mut pacer = running(ON_PLANES, &["a", "b"]);
    pacer.add_flip("a", "a", ms(18));
    assert!(!pacer.wants_redraw(), "b is expected");
    pacer.add_flip("b", "b", ms(20));
    assert!(pacer.wants_redraw());
    pacer.committed(Commit::Submitted, ON_PLANES, ms(20));
    assert_eq!(pacer.presented(ms(32)), ["a", "b"]);
    // b flips no more.
    pacer.add_flip("a", "a", ms(34));
    assert_eq!((pacer.deadline(), pacer.tick(ms(46)).len()), (Some(ms(46)), 0));
    pacer.committed(Commit::Submitted, ON_PLANES, ms(46));
    assert_eq!(pacer.presented(ms(48)), ["a"]);
    pacer.add_flip("a", "a", ms(50));
    assert!(pacer.wants_redraw(), "nobody else was in the last frame");
    // What was flipped while a frame was on its way waits for those in it.
    pacer.committed(Commit::Submitted, ON_PLANES, ms(50));
    pacer.add_flip("b", "b", ms(51));
    assert_eq!(pacer.presented(ms(64)), ["a"]);
    assert!(!pacer.wants_redraw());
    pacer.add_flip("a", "a", ms(66));
    assert!(pacer.wants_redraw());
}

#[test]
fn a_display_that_answers_late_is_given_its_frames_early() {
    let mut pacer = running(DRAWN, &["a"]);
    let mut vblank = ms(16);
    let mut waits = Vec::new();
    for _ in 0..20 {
        pacer.add_flip("a", "a", vblank);
        let begin = pacer.deadline().filter(|_| !pacer.wants_redraw()).unwrap_or(vblank);
        waits.push((begin - vblank).as_millis());
        assert!(pacer.tick(begin).is_empty());
        pacer.committed(Commit::Submitted, DRAWN, begin);
        vblank = begin + ms(40);
        assert_eq!(pacer.presented(vblank), ["a"]);
    }
    assert_eq!(&waits[..4], &[14, 12, 8, 0], "each miss doubles the margin");
    assert!(waits.iter().skip(3).all(|wait| *wait == 0), "{waits:?}");
    // And once it answers in time frames are begun later again, little by little.
    for _ in 0..200 {
        pacer.add_flip("a", "a", vblank);
        let begin = pacer.deadline().filter(|_| !pacer.wants_redraw()).unwrap_or(vblank);
        assert!(pacer.tick(begin).is_empty());
        pacer.committed(Commit::Submitted, DRAWN, begin);
        vblank += TICK;
        assert_eq!(pacer.presented(vblank), ["a"]);
    }
    pacer.add_flip("a", "a", vblank);
    assert_eq!(pacer.deadline(), Some(vblank + TICK - ms(2)));
}

#[test]
fn after_a_while_without_frames_nothing_is_waited_for() {
    let mut pacer = running(DRAWN, &["a"]);
    pacer.add_flip("a", "a", ms(1015));
    assert_eq!(pacer.state(), RedrawState::Scheduled { at: ms(1024 - 2) });
    let mut pacer = running(DRAWN, &["a"]);
    pacer.add_flip("a", "a", ms(1016));
    assert!(pacer.wants_redraw());
    let mut pacer = running(DRAWN, &["a"]);
    pacer.queue_redraw(ms(30));
    assert!(pacer.wants_redraw(), "too late to wait");
}

#[test]
fn a_variable_display_is_given_a_frame_whenever_it_comes_but_not_faster_than_it_can() {
    let variable = || {
        let mut pacer = running(DRAWN, &["a"]);
        pacer.set_refresh(TICK, true);
        pacer.committed(Commit::Submitted, DRAWN, ms(17));
        assert!(pacer.presented(ms(40)).is_empty());
        pacer
    };
    // Its clock is not that of the frames before: 40 ms is no multiple of 16.
    let mut pacer = variable();
    pacer.add_flip("a", "a", ms(44));
    let begin = pacer.deadline().unwrap();
    assert!((ms(52)..ms(56)).contains(&begin), "{begin:?}: just before the shortest time is over");
    assert!(pacer.tick(begin).is_empty() && pacer.wants_redraw());
    let mut pacer = variable();
    pacer.add_flip("a", "a", ms(61));
    assert!(pacer.wants_redraw(), "it is over: a fixed display would have been waited for until 70 ms");
    // What changes nothing does not make its guest flip without end.
    pacer.committed(Commit::NoDamage, DRAWN, ms(61));
    assert!(pacer.deadline().is_some_and(|due| due > ms(61)));
}

#[test]
fn a_display_that_never_answers_does_not_hold_flips_up() {
    let mut pacer = Pacer::new(TICK);
    pacer.add_flip((), 'a', ms(5));
    pacer.committed(Commit::Submitted, DRAWN, ms(6));
    pacer.add_flip((), 'b', ms(50));
    assert_eq!(pacer.deadline(), Some(ms(5) + LONGEST_WAIT));
    assert_eq!(pacer.tick(ms(5) + LONGEST_WAIT), ['a']);
    assert_eq!(pacer.tick(ms(50) + LONGEST_WAIT), ['b'], "though no frame ever held it");
    assert_eq!(pacer.presented(ms(9000)), [], "and not twice");
}

#[test]
fn a_hidden_flip_takes_the_hidden_interval() {
    let mut pacing = Pacing::new(ms(100));
    pacing.flip(None, (), 'a', ms(5));
    pacing.flip(Some(OutputId(7)), (), 'b', ms(6));
    assert_eq!(pacing.deadline(), Some(ms(105)));
    assert_eq!(pacing.tick(ms(104)), []);
    assert_eq!(pacing.tick(ms(105)), ['a']);
    assert_eq!(pacing.tick(ms(200)), ['b']);
    assert_eq!(pacing.deadline(), None);
    let mut slow = Pacing::new(ms(60_000));
    slow.flip(None, (), 'c', ms(0));
    assert_eq!(slow.deadline(), Some(LONGEST_WAIT), "a guest gives up after 3 s");
}

#[test]
fn an_output_that_goes_takes_no_flip_along() {
    let mut pacing = Pacing::new(ms(100));
    let output = OutputId(1);
    pacing.output_added(output, TICK, false);
    pacing.flip(Some(output), (), 'a', ms(0));
    pacing.committed(output, Commit::Submitted, DRAWN, ms(1));
    pacing.flip(Some(output), (), 'b', ms(2));
    assert_eq!(pacing.output_removed(output), ['a', 'b']);
    assert_eq!(pacing.presented(output, ms(16)), []);
    assert_eq!((pacing.due().count(), pacing.deadline()), (0, None));
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Flip(u8),
    Queue(u8),
    Redraw(u8),
    Present,
    Plug(u8),
    Unplug(u8),
    Resume,
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4_u8).prop_map(Op::Flip),
        2 => (0..3_u8).prop_map(Op::Queue),
        6 => (0..3_u8).prop_map(Op::Redraw),
        4 => Just(Op::Present),
        1 => (0..3_u8).prop_map(Op::Plug),
        1 => (0..3_u8).prop_map(Op::Unplug),
        1 => Just(Op::Resume),
        4 => (0..1500_u64).prop_map(Op::Wait),
    ]
}

/// Outputs that keep the presentation interface's contract, or are stuck.
struct World {
    now: Time,
    pacing: Pacing<(), u32>,
    on_their_way: BTreeMap<OutputId, Time>,
    outcome: [Commit; 3],
    added: BTreeMap<u32, Time>,
    next: u32,
    late: Option<String>,
}

impl World {
    fn done(&mut self, names: Vec<u32>) {
        for name in names {
            match self.added.remove(&name) {
                None => self.late = Some(format!("flip {name} was done twice")),
                Some(added) if self.now > added + LONGEST_WAIT => self.late = Some(format!("flip {name} was late")),
                Some(_) => {}
            }
        }
    }

    /// Lets time pass up to `to`, with every deadline kept.
    fn wait(&mut self, to: Time) {
        while let Some(deadline) = self.pacing.deadline().filter(|deadline| *deadline <= to) {
            self.now = self.now.max(deadline);
            let done = self.pacing.tick(self.now);
            self.done(done);
            if self.pacing.deadline() == Some(deadline) {
                self.late = Some("a deadline that does not pass".to_owned());
                return;
            }
        }
        self.now = to;
    }

    fn redraw(&mut self, index: u8) {
        for output in self.pacing.due().collect::<Vec<_>>() {
            if self.on_their_way.contains_key(&output) {
                self.late = Some(format!("{output:?} is drawn with a frame on its way"));
            }
            let outcome = self.outcome[usize::try_from(output.0).unwrap()];
            if outcome == Commit::Submitted {
                self.on_their_way.insert(output, self.now);
            }
            self.pacing.committed(output, outcome, DRAWN, self.now);
        }
        self.outcome.rotate_left(usize::from(index));
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Flip(output) => {
                self.added.insert(self.next, self.now);
                let output = (output < 3).then(|| OutputId(u32::from(output)));
                self.pacing.flip(output, (), self.next, self.now);
                self.next += 1;
            }
            Op::Queue(output) => self.pacing.queue_redraw(OutputId(u32::from(output)), self.now),
            Op::Redraw(index) => self.redraw(index),
            Op::Present => {
                for output in std::mem::take(&mut self.on_their_way).into_keys() {
                    let done = self.pacing.presented(output, self.now);
                    self.done(done);
                }
            }
            Op::Plug(output) => self.pacing.output_added(OutputId(u32::from(output)), TICK, output % 2 == 1),
            Op::Unplug(output) => {
                let done = self.pacing.output_removed(OutputId(u32::from(output)));
                self.done(done);
                self.on_their_way.remove(&OutputId(u32::from(output)));
            }
            Op::Resume => self.pacing.queue_redraw_everywhere(),
            Op::Wait(milliseconds) => self.wait(self.now + ms(milliseconds)),
        }
    }
}

proptest! {
    /// Whatever the outputs and guests do, each flip is done once, within the longest wait.
    #[test]
    fn every_flip_is_done_once_and_in_time(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World {
            now: Time::ZERO,
            pacing: Pacing::new(HIDDEN_INTERVAL),
            on_their_way: BTreeMap::new(),
            outcome: [Commit::Submitted, Commit::NoDamage, Commit::Skipped],
            added: BTreeMap::new(),
            next: 0,
            late: None,
        };
        for op in ops {
            world.apply(op);
            prop_assert_eq!(&world.late, &None);
        }
        world.wait(world.now + LONGEST_WAIT);
        prop_assert_eq!(&world.late, &None);
        prop_assert_eq!(world.added.len(), 0, "all are done in the end");
    }

    /// A guest that flips as fast as it can is held to the output's rate also when nothing changes.
    #[test]
    fn an_output_is_not_drawn_faster_than_it_refreshes(gaps in prop::collection::vec(0..8_u64, 1..200)) {
        let mut pacer = Pacer::new(TICK);
        let (mut now, mut draws) = (Time::ZERO, 0);
        for (name, gap) in gaps.into_iter().enumerate() {
            now += ms(gap);
            pacer.add_flip((), name, now);
            let _ = pacer.tick(now);
            if pacer.wants_redraw() {
                draws += 1;
                pacer.committed(Commit::NoDamage, DRAWN, now);
            }
        }
        let most = now.as_millis() / TICK.as_millis() + 1;
        prop_assert!(draws <= most, "{} draws in {:?}", draws, now);
    }
}

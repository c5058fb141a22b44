//! A run that is drawn at random, and how it goes.

use jobsyncd::domain::progress::Stage;

use super::forms::Form;
use super::log::{Frame, Log, Prefix, bar};
use super::noise;

/// Random numbers that are the same each time (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Whether something happens that does in so many percent of all cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) epochs: u64,
    /// Batches of an epoch.
    pub(super) batches: u64,
    /// How many batches lie between two reports.
    every: u64,
    /// The form tells the totals that it may leave out.
    pub(super) tells_totals: bool,
    /// The step of an earlier run's checkpoint at which it begins.
    first: u64,
    /// The step after which it crashes, and the one at which it begins again.
    crash: Option<(u64, u64)>,
    validates: bool,
    saves: bool,
    /// It does so within epochs as well.
    pauses_within: bool,
    warms_up: bool,
    /// How many percent of the gaps between two events hold a line of noise.
    noise: u64,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Now {
    /// The epoch, from 0.
    pub(super) epoch: u64,
    /// Batches of the epoch that are done.
    pub(super) batch: u64,
    /// Steps of the run that are done.
    pub(super) step: u64,
    pub(super) loss: f64,
}

impl Run {
    fn draw(random: &mut Random, form: &Form) -> Self {
        let epochs = 1 + random.below(6);
        let most = random.pick(&[40, 398]);
        let batches = 3 + random.below(most);
        let reports = (24 / epochs).clamp(2, 8);
        let every = batches.div_ceil(reports);
        let mut run = Self {
            epochs,
            batches,
            every,
            tells_totals: random.chance(50),
            first: 0,
            crash: None,
            validates: random.chance(50),
            saves: random.chance(50),
            pauses_within: form.resumes_anywhere && random.chance(30),
            warms_up: random.chance(20),
            noise: random.pick(&[0, 10, 30]),
        };
        let end = run.total();
        let place = |random: &mut Random, below: u64| {
            let step = random.below(below);
            step - step % if form.resumes_anywhere { 1 } else { run.batches }
        };
        let first = if random.chance(15) { place(random, end) } else { 0 };
        let crash = (random.chance(15) && end - first > 4 * run.every).then(|| {
            let crash = first + 2 * run.every + random.below(end - first - 3 * run.every);
            (crash, place(random, crash).max(first))
        });
        (run.first, run.crash) = (first, crash);
        run
    }

    /// Steps of the run.
    pub(super) fn total(&self) -> u64 {
        self.epochs * self.batches
    }

    /// Whether its first steps are in another log.
    pub(super) fn begins_late(&self) -> bool {
        self.first > 0
    }

    /// Where a run is that has taken so many steps.
    fn now(&self, step: u64, random: &mut Random) -> Now {
        let epoch = step.saturating_sub(1) / self.batches;
        let share = step as f64 / self.total() as f64;
        let loss = 0.2 + 2.0 * (1.0 - share) + random.below(1_000) as f64 / 2_000.0;
        let loss = (loss * 1e4).round() / 1e4;
        Now { epoch, batch: step - epoch * self.batches, step, loss }
    }
}

/// A log of a run that is drawn at random.
pub(super) fn made_log(form: &Form, seed: u64) -> Vec<Frame> {
    let mut random = Random(seed);
    let run = Run::draw(&mut random, form);
    let mut log = Log::new(random);
    log.prefix = log.random.pick(match form.has_own_lines {
        true => &[Prefix::None, Prefix::None, Prefix::Container, Prefix::Pod],
        false => &[Prefix::None, Prefix::None, Prefix::Container, Prefix::Pod, Prefix::Logging],
    });
    log.is_glued = log.random.chance(25);
    if form.may_have_ranks && log.random.chance(15) {
        log.ranks = 2 + log.random.below(3);
    }
    noise::settings(&mut log, run.noise);
    if log.random.chance(60) {
        prepare(&mut log, form);
    }
    if run.first > 0 {
        resume(&mut log, run.first);
    }
    let end = run.crash.map_or(run.total(), |(crash, _)| crash);
    attempt(&mut log, form, &run, run.first, end);
    if let Some((_, again)) = run.crash {
        log.is_restart = true;
        log.unsure();
        let last = log.random.pick(&["Killed", "RuntimeError: CUDA error: device lost", "Killed"]);
        log.line(last);
        if log.random.chance(50) {
            prepare(&mut log, form);
        }
        log.unsure();
        if again > 0 {
            resume(&mut log, again);
        }
        attempt(&mut log, form, &run, again, run.total());
    }
    log.end_bar();
    log.unsure();
    log.line(form.ends);
    log.frames
}

/// Says that the run goes on at the step of a checkpoint.
fn resume(log: &mut Log, step: u64) {
    log.unsure();
    log.line(&format!("Resuming from checkpoint out/checkpoint-{step}"));
}

/// Trains from a step to another one.
fn attempt(log: &mut Log, form: &Form, run: &Run, first: u64, end: u64) {
    log.unsure();
    let start = Now { epoch: first / run.batches, ..run.now(first, &mut log.random) };
    let start = Now { batch: first - start.epoch * run.batches, ..start };
    (form.begin)(log, run, &start);
    if run.warms_up {
        log.says(Stage::Warmup, "Warming up for 10 steps");
        log.truth.stage = None;
    }
    let mut epoch = start;
    let mut step = first;
    let mut rows = 0;
    (form.epoch)(log, run, &epoch);
    while step < end {
        let next = (step / run.every + 1) * run.every;
        step = next.min((epoch.epoch + 1) * run.batches).min(end);
        let now = run.now(step, &mut log.random);
        if now.epoch > epoch.epoch {
            epoch = now;
        }
        if log.random.chance(run.noise) {
            noise::line(log);
        }
        log.done = step as f64 * 100.0 / run.total() as f64;
        // A first lower count may be a late one.
        let is_row = form.tells_steps || now.batch == run.batches;
        log.is_restart &= rows < 1 || !is_row;
        rows += u32::from(is_row);
        (form.step)(log, run, &now);
        if run.pauses_within && (step / run.every).is_multiple_of(4) && now.batch < run.batches {
            pause(log, form, run, &now);
        }
        if step == (epoch.epoch + 1) * run.batches {
            (form.end_epoch)(log, run, &now);
            pause(log, form, run, &now);
            epoch.epoch += 1;
            if step < end {
                let next = Now { batch: 0, epoch: epoch.epoch, ..now };
                (form.epoch)(log, run, &next);
            }
        }
    }
}

/// What is done between two epochs.
fn pause(log: &mut Log, form: &Form, run: &Run, now: &Now) {
    if run.validates {
        if log.random.chance(run.noise) {
            noise::line(log);
        }
        (form.validate)(log, run, now);
    }
    if run.saves {
        if log.random.chance(run.noise) {
            noise::line(log);
        }
        let path = format!("out/checkpoint-{}", now.step);
        log.says(Stage::SavingCheckpoint, &form.saves.replace("PATH", &path));
        if log.random.chance(30) {
            log.says_something(&format!("Saved state to {path}"));
        }
    }
}

/// Loads and caches.
fn prepare(log: &mut Log, form: &Form) {
    const BARS: &[&str] = &[
        "Loading checkpoint shards: ",
        "Caching latents: ",
        "Tokenizing train dataset: ",
        "Loading pipeline components...: ",
        "Map: ",
    ];
    log.truth.stage = Some(Some(Stage::Preprocessing));
    for line in form.prepares {
        log.line(line);
    }
    if log.random.chance(60) {
        let description = log.random.pick(BARS);
        let total = 2 + log.random.below(5);
        log.truth.stage = Some(Some(Stage::Preprocessing));
        for done in 0..=total {
            log.bar(&bar(description, done, total, ""));
        }
        log.end_bar();
    }
}

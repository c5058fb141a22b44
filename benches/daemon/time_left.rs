//! How right the time left is, on runs that are replayed through the bar that trainers draw.
//!
//! What is replayed is not one kind of run: steps of one speed or of several sizes of pictures, drifting
//! or changing for good, slow first steps, stalls of the data loader, pauses for validation and
//! checkpoints, resumed runs. Each run is a random mix of these, from a seed.

use std::fmt::Write as _;

use jobsyncd::domain::progress::ProgressReader;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Effort;
use super::figures::{Figure, Goal, median};

/// A run as it went: when each step was taken, in seconds since its bar began.
struct Run {
    first_step: u64,
    taken_at: Vec<f64>,
}

impl Run {
    fn total(&self) -> u64 {
        self.first_step + self.taken_at.len() as u64
    }

    fn of(seed: u64) -> Self {
        let random = &mut StdRng::seed_from_u64(seed);
        let steps: u64 = random.random_range(500..6_000);
        let first_step = if random.random_bool(0.2) { random.random_range(1..2_000) } else { 0 };
        // From three steps a second on a large machine to eight seconds a step on a small one.
        let each = 10_f64.powf(random.random_range(-0.5..0.9));
        let jitter = random.random_range(0.01..0.3);
        let sizes: Vec<f64> = if random.random_bool(0.4) { vec![0.7, 1.0, 1.6] } else { vec![1.0] };
        let drift = if random.random_bool(0.4) { random.random_range(0.0..0.01) } else { 0.0 };
        let change = random
            .random_bool(0.15)
            .then(|| (random.random_range(0..steps), random.random_range(0.85..1.2)));
        let slow_start = if random.random_bool(0.5) { random.random_range(5.0..90.0) } else { 0.0 };
        let stalls = if random.random_bool(0.25) { 0.005 } else { 0.0 };
        // A few pictures are drawn; a file is written.
        let validation = pause(random, 0.6, steps, 10.0..60.0);
        let checkpoint = pause(random, 0.8, steps, 1.0..15.0);
        let mut now = slow_start;
        let mut wandering: f64 = 0.0;
        let taken_at = (0..steps).map(|index| {
            wandering = wandering * 0.995 + drift * normal(random);
            let changed = change.filter(|(at, _)| index >= *at).map_or(1.0, |(_, factor)| factor);
            let size = sizes[random.random_range(0..sizes.len())];
            now += each * size * changed * (wandering + jitter * normal(random)).exp();
            if random.random_bool(stalls) {
                now += each * random.random_range(5.0..20.0);
            }
            let at = now;
            for (every, seconds) in [validation, checkpoint].into_iter().flatten() {
                if (first_step + index + 1).is_multiple_of(every) {
                    now += seconds * random.random_range(0.9..1.1);
                }
            }
            at
        });
        Self { first_step, taken_at: taken_at.collect() }
    }

    /// What the bar has drawn when `share` of the steps are taken, and how long the rest took.
    fn log_until(&self, share: f64) -> (String, f64) {
        let (mut log, total) = (String::new(), self.total());
        let until = ((self.taken_at.len() as f64 * share) as usize).max(1);
        let first = self.first_step;
        let percent = |step: u64| step * 100 / total;
        _ = write!(log, "\rSteps: {:3}%|▏   | {first}/{total} [00:00<?, ?it/s]", percent(first));
        for (index, at) in self.taken_at[..until].iter().enumerate() {
            let step = first + index as u64 + 1;
            let (elapsed, rate) = (*at as u64, (index + 1) as f64 / at);
            _ = write!(
                log,
                "\rSteps: {:3}%|▏   | {step}/{total} [{:02}:{:02}:{:02}<00:00, {rate:.2}it/s, lr=1e-5, step_loss=0.1]",
                percent(step),
                elapsed / 3600,
                elapsed / 60 % 60,
                elapsed % 60,
            );
        }
        (log, self.taken_at.last().expect("a step") - self.taken_at[until - 1])
    }
}

/// Every so many steps for so many seconds. People choose round numbers, and several in a run.
fn pause(
    random: &mut StdRng,
    probability: f64,
    steps: u64,
    seconds: std::ops::Range<f64>,
) -> Option<(u64, f64)> {
    const CUSTOMARY: [u64; 6] = [50, 100, 200, 250, 500, 1_000];
    let every = CUSTOMARY[random.random_range(0..CUSTOMARY.len())];
    let is_done = random.random_bool(probability) && every * 2 < steps;
    let seconds = random.random_range(seconds);
    is_done.then_some((every, seconds))
}

/// A normal quantity, near enough: the sum of twelve even ones.
fn normal(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// The constants of the estimate were chosen on runs of other seeds.
const FIRST_SEED: u64 = 1_000_000;

/// The parts of a run after which it is asked.
const SHARES: [f64; 6] = [0.1, 0.2, 0.35, 0.5, 0.7, 0.9];

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let runs = effort.choose(1_000, 200);
    let mut asked = 0_usize;
    let mut within = [0_usize; SHARES.len()];
    let mut errors_after_a_tenth = Vec::new();
    let mut errors_of_the_bar = Vec::new();
    for seed in FIRST_SEED..FIRST_SEED + runs {
        let run = Run::of(seed);
        for (at, share) in SHARES.into_iter().enumerate() {
            let (log, truth) = run.log_until(share);
            let mut reader = ProgressReader::default();
            reader.push(log.as_bytes());
            reader.push(b"\r");
            let progress = reader.progress();
            let (Some(low), Some(eta), Some(high)) =
                (progress.eta_low_seconds, progress.eta_seconds, progress.eta_high_seconds)
            else {
                panic!("no time left of run {seed} after {share}: {progress:?}");
            };
            asked += 1;
            within[at] += usize::from((low..=high).contains(&truth));
            if at == 0 {
                errors_after_a_tenth.push((eta - truth).abs() / truth * 100.0);
                // What a bar shows: the mean of all so far, for all that is left.
                let bar = run.taken_at[run.taken_at.len() / 10 - 1] * 9.0;
                errors_of_the_bar.push((bar - truth).abs() / truth * 100.0);
            }
        }
    }
    let percent = |part: usize, of: usize| part as f64 * 100.0 / of as f64;
    let covered = percent(within.iter().sum(), asked);
    let by_share: Vec<_> = SHARES
        .iter()
        .zip(within)
        .map(|(share, within)| format!("{:.0} % after {share}", percent(within, runs as usize)))
        .collect();
    vec![
        Figure {
            what: "the truth was within the interval of 80 %: off by".into(),
            median: (covered - 80.0).abs(),
            unit: "points",
            goal: Goal::AtMost(5.0),
            details: format!("{covered:.1} % of {asked}: {}", by_share.join(", ")),
        },
        Figure {
            what: "the error of the time left after a tenth of the run".into(),
            median: median(&errors_after_a_tenth),
            unit: "%",
            goal: Goal::AtMost(5.0),
            details: format!("{runs} runs; by the bar itself {:.1} %", median(&errors_of_the_bar)),
        },
    ]
}

//! Time and chance: one clock, one queue of what happens next, one source of randomness. Nothing else
//! decides what happens, so a seed is a whole run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Microseconds: since the Unix epoch, or between two moments.
pub(crate) type Micros = i64;

pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const MINUTE: Micros = 60 * SECOND;
pub(crate) const HOUR: Micros = 60 * MINUTE;

/// 2026-01-01.
const BEGIN: Micros = 1_767_225_600 * SECOND;

/// What waits for its moment, in order of time; of one moment in the order in which it was planned.
pub(crate) struct World<T> {
    now: Micros,
    planned: u64,
    queue: BinaryHeap<Reverse<(Micros, u64)>>,
    waiting: BTreeMap<u64, T>,
    pub(crate) random: StdRng,
}

impl<T> World<T> {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: BEGIN,
            planned: 0,
            queue: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The true time, which nobody in this world knows.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Plans something for a moment; what is planned for the past happens now.
    pub(crate) fn plan(&mut self, at: Micros, what: T) {
        self.planned += 1;
        self.queue.push(Reverse((at.max(self.now), self.planned)));
        self.waiting.insert(self.planned, what);
    }

    /// Goes on to what happens next, unless that is after `until`.
    pub(crate) fn next(&mut self, until: Micros) -> Option<T> {
        let Reverse((at, number)) = *self.queue.peek()?;
        if at > until {
            return None;
        }
        self.queue.pop();
        self.now = at;
        self.waiting.remove(&number)
    }

    /// Lets time pass in which nothing happens.
    pub(crate) fn skip_to(&mut self, at: Micros) {
        self.now = self.now.max(at);
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    /// A time up to `longest`; short ones are more likely.
    pub(crate) fn delay(&mut self, longest: Micros) -> Micros {
        let scale: f64 = self.random.random();
        (longest as f64 * scale.powi(4)) as Micros
    }
}

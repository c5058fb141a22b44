//! How likely each fault is in a world. Some worlds are mild, and in some one fault rules.

use rand::Rng as _;

use crate::world::{MINUTE, Micros, SECOND, World};

/// How bad a world is. Every fault can also be missing.
#[derive(Debug, Clone)]
pub(crate) struct Climate {
    pub(crate) webhooks: bool,
    pub(crate) poll_every: Option<Micros>,
    pub(crate) reconcile_every: Micros,
    pub(crate) page_length: usize,
    pub(crate) lost: f64,
    pub(crate) answer_lost: f64,
    pub(crate) repeated: f64,
    pub(crate) late: f64,
    pub(crate) failing: f64,
    pub(crate) cut: f64,
    pub(crate) strange_word: f64,
    pub(crate) crash: f64,
    pub(crate) clock_jumps: bool,
    /// How often the queue is looked at.
    pub(crate) look_every: Micros,
    /// Whether the jobs' inputs say of which submission they are. Only then do others give theirs the same.
    pub(crate) shows_submissions: bool,
}

impl Climate {
    pub(crate) fn random<T>(world: &mut World<T>) -> Self {
        let mut level = |most: f64| {
            let is_there = world.chance(0.7);
            let level: f64 = world.random.random();
            if is_there { most * level } else { 0.0 }
        };
        let (lost, answer_lost, repeated, late) = (level(0.5), level(0.5), level(0.5), level(0.5));
        let (failing, cut, strange_word, crash) = (level(0.5), level(0.3), level(0.2), level(0.05));
        let webhooks = world.chance(0.8);
        let polls = world.chance(if webhooks { 0.2 } else { 0.9 });
        Self {
            webhooks,
            poll_every: polls.then(|| world.random.random_range(MINUTE..20 * MINUTE)),
            reconcile_every: world.random.random_range(5 * MINUTE..40 * MINUTE),
            page_length: if world.chance(0.2) { 100 } else { world.random.random_range(3..20) },
            lost,
            answer_lost,
            repeated,
            late,
            failing,
            cut,
            strange_word,
            crash,
            clock_jumps: world.chance(0.3),
            look_every: world.random.random_range(5 * SECOND..2 * MINUTE),
            shows_submissions: world.chance(0.3),
        }
    }
}

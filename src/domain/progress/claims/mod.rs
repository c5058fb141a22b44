//! What a line claims: its counts, totals, metrics, and the phase that it speaks of.

mod bar;
mod text;
mod values;

use std::hash::{DefaultHasher, Hasher};

use super::grammar::announcements::Announced;
use super::grammar::bars::{self, Speed};
use super::grammar::columns::Columns;
use super::grammar::counters::Epochs;
use super::grammar::losses::Loss;
use super::grammar::sources;
use super::line::{Counter, Traits};
use super::stage::Stage;

/// All of it. A number is whatever `T` is: its text, or the place in the line where it stands. Two
/// lines that differ in nothing but their numbers have the same claims.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims<T> {
    pub(super) stage: Option<Stage>,
    pub(super) traits: Traits,
    pub(super) counter: Counter,
    pub(super) done: Option<T>,
    pub(super) total: Option<T>,
    /// A count of the whole run beside the one that is counted within an epoch.
    pub(super) whole: Option<T>,
    pub(super) whole_total: Option<T>,
    /// What `whole` is counted in.
    pub(super) whole_scale: u64,
    pub(super) announced: Announced<T>,
    pub(super) epoch: Option<T>,
    pub(super) total_epochs: Option<T>,
    pub(super) percent: Option<T>,
    pub(super) loss: Option<T>,
    pub(super) learning_rate: Option<T>,
    pub(super) speed: Option<Speed<T>>,
    pub(super) elapsed: Option<T>,
}

impl<'a> Claims<&'a [u8]> {
    /// What a line claims that has neither ANSI sequences nor control characters.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let message = sources::message(line);
        let claims = match bars::last_bar(message) {
            Some(bar) => Self::of_bar(&bar),
            None => Self::of_text(message),
        };
        let traits = Traits {
            is_under_way: is_under_way(message),
            may_have_source: sources::container(line).is_some(),
            may_name_columns: Columns::of_heading(message).is_some(),
            has_text_behind_bar: bars::end_of_bar(line).is_some(),
            ..claims.traits
        };
        Self { traits, ..claims }
    }

    fn take_loss(&mut self, loss: Option<Loss<'a>>) {
        self.loss = loss.map(|loss| loss.number);
        self.traits.loss_part = loss.map_or(0, part_of);
        self.traits.says_training_loss = loss.is_some_and(|loss| loss.says_training);
    }

    fn take_epochs(&mut self, epochs: &Epochs<&'a [u8]>) {
        self.epoch = epochs.epoch;
        self.total_epochs = epochs.total;
        self.traits.epoch_form = epochs.form;
        self.traits.has_epoch_fraction = epochs.epoch.is_some_and(|epoch| epoch.contains(&b'.'));
    }
}

impl<T> Claims<T> {
    /// The same with other numbers; `None` where `change` is for any of them.
    pub(super) fn try_map<U>(&self, mut change: impl FnMut(&T) -> Option<U>) -> Option<Claims<U>> {
        let mut optional = |number: &Option<T>| match number {
            None => Some(None),
            Some(number) => change(number).map(Some),
        };
        Some(Claims {
            stage: self.stage,
            traits: self.traits,
            counter: self.counter,
            done: optional(&self.done)?,
            total: optional(&self.total)?,
            whole: optional(&self.whole)?,
            whole_total: optional(&self.whole_total)?,
            whole_scale: self.whole_scale,
            announced: Announced {
                steps: optional(&self.announced.steps)?,
                asked_steps: optional(&self.announced.asked_steps)?,
                epochs: optional(&self.announced.epochs)?,
                asked_epochs: optional(&self.announced.asked_epochs)?,
                batches: optional(&self.announced.batches)?,
            },
            epoch: optional(&self.epoch)?,
            total_epochs: optional(&self.total_epochs)?,
            percent: optional(&self.percent)?,
            loss: optional(&self.loss)?,
            learning_rate: optional(&self.learning_rate)?,
            elapsed: optional(&self.elapsed)?,
            speed: match &self.speed {
                None => None,
                Some(Speed { number, unit }) => {
                    Some(Speed { number: change(number)?, unit: *unit })
                }
            },
        })
    }
}

fn part_of(loss: Loss<'_>) -> u64 {
    if loss.part.is_empty() { 0 } else { hash(&letters_only(loss.part)) }
}

/// Whether a line speaks of something that is being done: "caching latents...".
fn is_under_way(line: &[u8]) -> bool {
    let is_word = |word: &&[u8]| word.iter().all(u8::is_ascii_alphabetic);
    line.split(|byte| byte.is_ascii_whitespace() || *byte == b'.')
        .filter(is_word)
        .any(|word| word.len() > 4 && word.ends_with(b"ing"))
}

fn letters_only(name: &[u8]) -> Vec<u8> {
    name.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect()
}

/// A name as a number, the same in every run of the program.
pub(super) fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

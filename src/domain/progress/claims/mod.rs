//! What a line claims: its counts, totals, metrics, and the phase that it speaks of.

mod bar;
mod text;
mod values;

use std::hash::{DefaultHasher, Hasher};

use super::grammar::announcements::Announced;
use super::grammar::bars::{self, Speed};
use super::grammar::columns::Columns;
use super::grammar::counters::{EpochForm, Epochs};
use super::grammar::losses::Loss;
use super::grammar::sources;
use super::line::{Counter, RunEvent};
use super::stage::Stage;

/// All of it. A number is whatever `T` is: its text, or the place in the line where it stands. Two
/// lines that differ in nothing but their numbers have the same claims.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims<T> {
    pub(super) stage: Option<Stage>,
    pub(super) event: RunEvent,
    /// What the line speaks of has been done.
    pub(super) is_past: bool,
    /// It speaks of something that is being done: "caching latents...".
    pub(super) is_under_way: bool,
    /// It may begin with the name of the container that it comes from.
    pub(super) may_have_source: bool,
    /// It may name the columns of a table.
    pub(super) may_name_columns: bool,
    /// A logger wrote behind a bar, on the same line.
    pub(super) has_text_behind_bar: bool,
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
    pub(super) epoch_form: EpochForm,
    /// The epoch is told with a fraction, and so counts what is done.
    pub(super) has_epoch_fraction: bool,
    /// The number of epochs may be that of the last one, counted from 0.
    pub(super) has_last_index: bool,
    pub(super) percent: Option<T>,
    pub(super) is_percent_of_epoch: bool,
    pub(super) loss: Option<T>,
    /// A hash of the name of the part of the loss that `loss` is; 0 for the loss itself.
    pub(super) loss_part: u64,
    /// The loss is named as the training's.
    pub(super) says_training_loss: bool,
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
        Self {
            is_under_way: is_under_way(message),
            may_have_source: sources::container(line).is_some(),
            may_name_columns: Columns::of_heading(message).is_some(),
            has_text_behind_bar: bars::end_of_bar(line).is_some(),
            ..claims
        }
    }

    fn take_epochs(&mut self, epochs: &Epochs<&'a [u8]>) {
        self.epoch = epochs.epoch;
        self.total_epochs = epochs.total;
        self.epoch_form = epochs.form;
        self.has_epoch_fraction = epochs.epoch.is_some_and(|epoch| epoch.contains(&b'.'));
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
            says_training_loss: self.says_training_loss,
            has_last_index: self.has_last_index,
            event: self.event,
            is_past: self.is_past,
            is_under_way: self.is_under_way,
            may_have_source: self.may_have_source,
            may_name_columns: self.may_name_columns,
            has_text_behind_bar: self.has_text_behind_bar,
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
            epoch_form: self.epoch_form,
            has_epoch_fraction: self.has_epoch_fraction,
            percent: optional(&self.percent)?,
            is_percent_of_epoch: self.is_percent_of_epoch,
            loss: optional(&self.loss)?,
            loss_part: self.loss_part,
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

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

pub(super) fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

//! What the trainer inside a job tells of its run by events of its own, besides the log.
//!
//! It is believed as far as it goes: it says how far the run is before anybody reads the log, and that it
//! failed before the provider knows. It confirms nothing.
//!
//! As in [the merge](super::observation), every field is a register: the value that was told last, by the
//! trainer's clock, stays, so the order in which events come does not matter.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::progress::{Basis, Progress, Stage};
use super::timestamp::{Timestamp, from_micros, to_micros};

/// A value, and when it was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told<T> {
    /// When, in microseconds since the Unix epoch, by the trainer's clock where it gives the time.
    at: i64,
    /// What.
    pub value: T,
}

impl<T> Told<T> {
    /// A value that was told at an instant.
    pub fn new(at: Timestamp, value: T) -> Self {
        Self { at: to_micros(at), value }
    }

    /// When it was told.
    pub fn at(&self) -> Timestamp {
        from_micros(self.at)
    }
}

impl<T: Serialize> Told<T> {
    /// Any fixed order serves to choose between two values of one moment.
    fn in_order(&self) -> (i64, String) {
        (self.at, serde_json::to_string(&self.value).unwrap_or_default())
    }
}

/// How far the run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Steps taken.
    pub step: Option<u64>,
    /// Steps to take in all.
    pub total_steps: Option<u64>,
    /// How much is done, in percent from 0 to 100.
    pub percent: Option<f64>,
    /// Seconds that it will still take.
    pub eta_seconds: Option<f64>,
}

/// All that the trainer told. Numbers are finite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainersWord {
    /// What the run is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Told<Stage>>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Told<Counts>>,
    /// The epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Told<f64>>,
    /// Epochs to train in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_epochs: Option<Told<u64>>,
    /// The loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Told<f64>>,
    /// The learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<Told<f64>>,
    /// That it failed, and why; the words may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Told<String>>,
}

impl TrainersWord {
    /// Whether it says nothing.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what was told: of each value the later one stays.
    pub(super) fn take(&mut self, said: &Self) {
        keep_later(&mut self.stage, &said.stage);
        keep_later(&mut self.counts, &said.counts);
        keep_later(&mut self.epoch, &said.epoch);
        keep_later(&mut self.total_epochs, &said.total_epochs);
        keep_later(&mut self.loss, &said.loss);
        keep_later(&mut self.learning_rate, &said.learning_rate);
        keep_later(&mut self.failure, &said.failure);
    }

    /// The progress by what the log says and what the trainer told. Of the two, the one that is further counts,
    /// and the other fills what it leaves open.
    fn over(&self, log: Option<&Progress>) -> Option<Progress> {
        let has_progress = Self { failure: None, ..self.clone() } != Self::default();
        if !has_progress {
            return log.cloned();
        }
        let log = log.cloned().unwrap_or_default();
        let told = self.alone();
        Some(if told.step >= log.step { filled(told, log) } else { filled(log, told) })
    }

    /// The progress by the trainer alone.
    fn alone(&self) -> Progress {
        let counts = self.counts.as_ref().map(|told| told.value).unwrap_or_default();
        let share = |step: u64, total: u64| (step as f64 / total as f64 * 100.0).min(100.0);
        let total = counts.total_steps.filter(|total| *total > 0);
        let by_steps = counts.step.zip(total).map(|(step, total)| share(step, total));
        Progress {
            stage: self.stage.as_ref().map(|told| told.value),
            progress: counts.percent.or(by_steps),
            basis: by_steps.map(|_| Basis::Steps),
            step: counts.step,
            total_steps: counts.total_steps,
            epoch: self.epoch.as_ref().map(|told| told.value),
            total_epochs: self.total_epochs.as_ref().map(|told| told.value),
            loss: self.loss.as_ref().map(|told| told.value),
            learning_rate: self.learning_rate.as_ref().map(|told| told.value),
            eta_seconds: counts.eta_seconds,
            ..Progress::default()
        }
    }
}

/// One progress with what it leaves open by another one.
fn filled(first: Progress, other: Progress) -> Progress {
    // A percentage and a time left belong together with what they were computed from.
    let (progress, basis) = match first.progress {
        Some(_) => (first.progress, first.basis),
        None => (other.progress, other.basis),
    };
    let (eta_seconds, eta_low_seconds, eta_high_seconds) = match first.eta_seconds {
        Some(_) => (first.eta_seconds, first.eta_low_seconds, first.eta_high_seconds),
        None => (other.eta_seconds, other.eta_low_seconds, other.eta_high_seconds),
    };
    Progress {
        stage: first.stage.or(other.stage),
        last_log: first.last_log.or(other.last_log),
        progress,
        basis,
        restarts: first.restarts.max(other.restarts),
        step: first.step.or(other.step),
        total_steps: first.total_steps.or(other.total_steps),
        epoch: first.epoch.or(other.epoch),
        total_epochs: first.total_epochs.or(other.total_epochs),
        loss: first.loss.or(other.loss),
        loss_not_finite_step: first.loss_not_finite_step.or(other.loss_not_finite_step),
        learning_rate: first.learning_rate.or(other.learning_rate),
        seconds_per_step: first.seconds_per_step.or(other.seconds_per_step),
        median_seconds_per_step: first.median_seconds_per_step.or(other.median_seconds_per_step),
        eta_seconds,
        eta_low_seconds,
        eta_high_seconds,
    }
}

fn keep_later<T: Clone + Serialize>(known: &mut Option<Told<T>>, said: &Option<Told<T>>) {
    let order = |told: &Option<Told<T>>| told.as_ref().map(Told::in_order);
    if said.is_some() && order(said) > order(known) {
        known.clone_from(said);
    }
}

impl Job {
    /// The progress as it is shown: by the log, and by what the trainer tells besides.
    pub fn shown_progress(&self) -> Option<Cow<'_, Progress>> {
        match &self.provenance.trainer {
            Some(word) => word.over(self.progress.as_ref()).map(Cow::Owned),
            None => self.progress.as_ref().map(Cow::Borrowed),
        }
    }

    /// The same, by a log that was read just now.
    pub fn shown_with(&self, log: Option<Progress>) -> Option<Progress> {
        match &self.provenance.trainer {
            Some(word) => word.over(log.as_ref()),
            None => log,
        }
    }

    /// A failure that the trainer told and the provider has not confirmed: None once it says how the job ended.
    pub fn trainers_failure(&self) -> Option<&Told<String>> {
        let is_confirmed = self.status.is_terminal() && self.confirmed_at.is_some();
        self.provenance.trainer.as_ref()?.failure.as_ref().filter(|_| !is_confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<T>(micros: i64, value: T) -> Option<Told<T>> {
        Some(Told::new(from_micros(micros), value))
    }

    fn counts(step: u64) -> Counts {
        Counts { step: Some(step), total_steps: Some(100), ..Counts::default() }
    }

    #[test]
    fn of_each_value_the_later_one_stays_whatever_comes_first() {
        let early =
            TrainersWord { loss: at(1, 0.5), counts: at(1, counts(10)), ..Default::default() };
        let late =
            TrainersWord { loss: at(2, 0.4), stage: at(2, Stage::Training), ..Default::default() };
        let (mut one, mut other) = (early.clone(), late.clone());
        one.take(&late);
        other.take(&early);
        assert_eq!(one, other);
        assert_eq!(one.loss.as_ref().map(|told| told.value), Some(0.4));
        assert_eq!(one.counts, early.counts);
    }

    #[test]
    fn whoever_is_further_counts_and_the_other_fills_what_is_open() {
        let word = TrainersWord {
            counts: at(1, Counts { eta_seconds: Some(60.0), ..counts(40) }),
            loss: at(1, 0.2),
            ..Default::default()
        };
        let log = |step| Progress {
            step: Some(step),
            progress: Some(step as f64),
            loss: Some(0.9),
            last_log: Some("a line".to_owned()),
            ..Progress::default()
        };
        let behind = word.over(Some(&log(30))).expect("a progress");
        assert_eq!((behind.step, behind.progress, behind.loss), (Some(40), Some(40.0), Some(0.2)));
        assert_eq!((behind.eta_seconds, behind.last_log.as_deref()), (Some(60.0), Some("a line")));
        let ahead = word.over(Some(&log(50))).expect("a progress");
        assert_eq!((ahead.step, ahead.progress, ahead.loss), (Some(50), Some(50.0), Some(0.9)));
        assert_eq!(ahead.total_steps, Some(100));
    }

    #[test]
    fn a_failure_alone_is_no_progress() {
        let word = TrainersWord { failure: at(1, "no memory".to_owned()), ..Default::default() };
        assert_eq!(word.over(None), None);
    }
}

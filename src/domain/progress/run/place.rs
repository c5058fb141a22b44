//! What a count counts: the run, the epoch, or something beside the training.

use super::super::line::{Label, LineReading};
use super::super::stage::Stage;
use super::Run;
use super::track::Track;

/// Where a count belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It counts over the whole run.
    Whole,
    /// It counts within the epoch.
    Within,
    /// It is drawn around the counter of the training.
    Outer,
    /// It repeats what another counter of the training tells.
    Echo,
    /// It belongs to this stage, and counts none of the run's steps.
    Other(Stage),
}

impl Run {
    /// Where the count of a line of training belongs. What was believed of other counters may fall here.
    pub(super) fn place(&mut self, reading: &LineReading) -> Place {
        let Some(step) = reading.step else { return Place::Echo };
        let place = self.place_of(step, reading);
        // What was put aside stays there, frame by frame, until losses come with it.
        if let Place::Other(stage) = place {
            self.aside = Some((Track::of(reading, step, self.epochs.index), stage));
        }
        place
    }

    fn place_of(&mut self, step: u64, reading: &LineReading) -> Place {
        match reading.counter.label {
            Label::Whole => return Place::Whole,
            Label::Examples => return Place::Within,
            _ => {}
        }
        if is_download(reading) {
            // Its first frames told no speed.
            let is_known = |track: &Track| track.is_of(reading) && !track.carries_loss;
            if self.whole.as_ref().is_some_and(is_known) {
                self.forget_counters();
            }
            return Place::Other(Stage::Preprocessing);
        }
        if reading.counter.is_bar
            && reading.whole > reading.total_steps
            && reading.total_steps.is_some()
        {
            return Place::Within;
        }
        if reading.counter.is_bar
            && self.fits_announced(reading)
            && self.whole.is_some_and(|whole| whole.total == reading.total_steps)
        {
            return Place::Whole;
        }
        if self.outer.is_some_and(|outer| outer.is_of(reading)) {
            return Place::Outer;
        }
        if let Some(within) = self.within.filter(|within| within.is_of(reading)) {
            return self.place_of_within(&within, step, reading);
        }
        if let Some(whole) = self.whole.filter(|whole| whole.is_of(reading)) {
            let is_of_epoch = whole.is_explicit && step < whole.done && reading.epoch.is_some();
            if is_of_epoch && reading.total_steps.is_none() && !self.restart_announced {
                // Beside the count of the run, another one begins again with each epoch.
                return Place::Echo;
            }
            if reading.counter.label == Label::OfEpoch && !self.fits_announced(reading) {
                self.believe_to_be_within(reading.epoch.is_some());
                return Place::Within;
            }
            return self.place_of_whole(&whole, step, reading);
        }
        if let Some((aside, stage)) = self.aside
            && aside.is_of(reading)
            && reading.loss.is_none()
            && !self.fits_announced(reading)
        {
            return Place::Other(stage);
        }
        if self.is_over() && self.comes_after_end(step, reading) {
            return Place::Other(self.known.stage.unwrap_or(Stage::SavingCheckpoint));
        }
        match self.main() {
            Some(main) => self.place_beside(&main, step, reading),
            None => self.place_of_first(step, reading),
        }
    }

    /// Whether a count belongs to what a program does when it has trained: a nameless bar without losses.
    fn comes_after_end(&self, step: u64, reading: &LineReading) -> bool {
        let is_nameless = reading.counter.label == Label::Bare && reading.counter.is_bar;
        // The last frame of the training may come late where none came before.
        let is_last = reading.total_steps == Some(step) && self.main().is_none();
        is_nameless && !is_last && reading.loss.is_none()
    }

    /// The counter that is believed to count the training.
    fn main(&self) -> Option<Track> {
        let with_total = |track: &Track| track.total.is_some();
        self.whole.filter(with_total).or(self.within).or(self.whole)
    }

    /// Whether a reading is in a later epoch than a counter was when it was last seen.
    fn is_in_later_epoch(&self, reading: &LineReading, track: &Track) -> bool {
        let told_later =
            reading.epoch.zip(self.epochs.told).is_some_and(|(now, before)| now > before);
        let was_told = track.told_epoch != self.epochs.told;
        !reading.traits.has_epoch_fraction
            && !self.epochs.has_fractions
            && (told_later || was_told || track.epoch < self.epochs.index)
    }

    /// A counter within the epoch that runs through where the epoch ends counts the run.
    fn place_of_within(&mut self, within: &Track, step: u64, reading: &LineReading) -> Place {
        let may_be_whole = matches!(
            reading.counter.label,
            Label::StepsOfEpoch | Label::Steps | Label::ManySteps | Label::Train
        );
        let runs_through = self.is_in_later_epoch(reading, within)
            && step > within.done
            && within.done > 1
            && !within.is_over();
        if may_be_whole
            && runs_through
            && within.total.is_some()
            && self.whole.is_none()
            && !self.epochs.is_bar
        {
            // Once may be a piece of the log that is missing.
            let track = Track { runs_through: within.runs_through + 1, ..*within };
            self.within = Some(track);
            if track.runs_through > 1 || self.is_share_of_run(within, step, reading) {
                self.whole = self.within.take();
                return Place::Whole;
            }
        }
        Place::Within
    }

    /// Whether a count is where that of the whole run would be, before the epoch ended and after.
    fn is_share_of_run(&self, within: &Track, step: u64, reading: &LineReading) -> bool {
        let epochs = self.epochs.count(self.announced_epochs()).filter(|&epochs| epochs > 1);
        let (Some(epochs), Some(total)) = (epochs, within.total) else { return false };
        let of_epoch = total as f64 / epochs as f64;
        let index = self.epochs.index_of(reading) as f64;
        let is_in = |step: u64, index: f64| {
            let begin = of_epoch * index;
            (begin - 0.02 * of_epoch..=begin + 1.02 * of_epoch).contains(&(step as f64))
        };
        is_in(step, index)
            && is_in(within.done, within.epoch as f64)
            && within.done as f64 > 0.5 * of_epoch
    }

    /// A counter that begins again with the epoch counts within it.
    fn place_of_whole(&mut self, whole: &Track, step: u64, reading: &LineReading) -> Place {
        if self.fits_announced(reading) || self.restart_announced {
            return Place::Whole;
        }
        let goes_back = step < whole.done;
        let with_epoch = goes_back && !whole.is_explicit && self.is_in_later_epoch(reading, whole);
        // What was full and begins anew is of the next epoch, told or not; batches without a total always are.
        let begins_anew = match (reading.total_steps, reading.counter.label) {
            (None, label) => label == Label::Batches,
            (Some(_), Label::ManySteps) => false,
            (Some(_), _) if reading.counter.is_bar => whole.is_over() && step <= 1,
            (Some(_), label) => whole.is_over() && label == Label::Bare,
        };
        if !(with_epoch || (goes_back && begins_anew)) {
            return Place::Whole;
        }
        self.believe_to_be_within(with_epoch);
        Place::Within
    }

    pub(super) fn believe_to_be_within(&mut self, epoch_is_told: bool) {
        self.within = self.whole.take();
        self.known.progress = None;
        self.known.basis = None;
        if !epoch_is_told && !self.epochs.is_known() {
            // The counter was seen through one epoch, and now counts the next.
            self.epochs.index = 0;
        }
    }

    /// Whether the total is the one that was announced for the run.
    pub(super) fn fits_announced(&self, reading: &LineReading) -> bool {
        let announced = self.announced.steps.or(self.announced.asked_steps);
        announced.is_some() && announced == reading.total_steps
    }

    /// Whether the total is that of one epoch, by what was announced.
    fn fits_epoch(&self, reading: &LineReading) -> bool {
        let Some(total) = reading.total_steps else { return false };
        let epochs = self.announced_epochs().or(self.epochs.told_total);
        let is_share = epochs.zip(self.announced.steps).is_some_and(|(epochs, steps)| {
            epochs > 1 && total.saturating_mul(epochs).abs_diff(steps) < epochs
        });
        is_share || (self.announced.batches == Some(total) && epochs != Some(1))
    }

    /// The first counter of a run.
    fn place_of_first(&mut self, step: u64, reading: &LineReading) -> Place {
        let is_nameless = reading.counter.label == Label::Bare && reading.counter.is_bar;
        let is_sure = reading.loss.is_some() || self.has_loss || self.fits_announced(reading);
        if is_nameless && !is_sure {
            // It belongs to what the line before it said that is done.
            match self.last_said {
                Some(stage @ (Stage::Preprocessing | Stage::Validation))
                    if !self.says_training || self.says_preparing =>
                {
                    return Place::Other(stage);
                }
                // What is full when it is first seen took no time, unless it says so.
                _ if reading.total_steps == Some(step)
                    && !self.says_training
                    && reading.elapsed_seconds < Some(LONG_SECONDS) =>
                {
                    return Place::Other(self.known.stage.unwrap_or(Stage::Preprocessing));
                }
                _ => {}
            }
        }
        self.prior(reading)
    }

    /// What a counter most likely counts, by its name and the epochs that are told.
    pub(super) fn prior(&self, reading: &LineReading) -> Place {
        if self.fits_announced(reading) {
            return Place::Whole;
        }
        let counts_by_epochs = self.announced.steps.is_none()
            && self.announced.epochs.is_some_and(|epochs| epochs > 1);
        let has_headings =
            (self.epochs.is_known() && !self.epochs.has_fractions) || counts_by_epochs;
        let within = |is_within: bool| if is_within { Place::Within } else { Place::Whole };
        match reading.counter.label {
            Label::Whole => Place::Whole,
            Label::Examples | Label::OfEpoch => Place::Within,
            Label::Batches => {
                within(has_headings || reading.epoch.is_some() || reading.whole.is_some())
            }
            _ if self.fits_epoch(reading) => Place::Within,
            Label::StepsOfEpoch => within(!is_of_run(reading)),
            Label::ManySteps => within(self.epochs.is_bar),
            Label::Steps if reading.counter.is_bar => within(self.epochs.is_bar),
            Label::Steps => within(
                reading.total_steps.is_some()
                    && has_headings
                    && self.epochs.told_total.is_some()
                    && reading.epoch.is_none(),
            ),
            Label::Train | Label::Bare => within(has_headings),
            Label::Job | Label::Epochs => Place::Whole,
        }
    }

    /// What was counted was not the training: nothing that rested on it holds.
    pub(super) fn forget_counters(&mut self) {
        self.whole = None;
        self.within = None;
        self.origin = None;
        self.known.progress = None;
        self.known.basis = None;
        self.pace = super::Pace::default();
    }
}

/// No step of a training takes less.
const LEAST_SECONDS_PER_STEP: f64 = 20e-6;

/// Preparations that are logged no sooner than they are done take less.
const LONG_SECONDS: f64 = 600.0;

/// Whether a bar counts faster than any training does.
fn is_download(reading: &LineReading) -> bool {
    let is_too_fast = |seconds: f64| seconds < LEAST_SECONDS_PER_STEP;
    reading.counter.is_bar
        && reading.loss.is_none()
        && reading.seconds_per_step.is_some_and(is_too_fast)
}

/// Whether people would choose a total: batches seldom come to a round number.
pub(super) fn is_round(total: u64) -> bool {
    total >= 1_000 && (total.is_multiple_of(100) || (total + 1).is_multiple_of(100))
}

/// Whether steps that are told beside an epoch are those of the run: with a fraction of an epoch they are;
/// otherwise people choose round numbers of steps, and batches seldom come to one.
fn is_of_run(reading: &LineReading) -> bool {
    reading.traits.has_epoch_fraction
        || (reading.total_epochs.is_none() && reading.total_steps.is_some_and(is_round))
}

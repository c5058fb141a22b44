//! A run so far: what the lines of its log claim becomes one state.
//!
//! A count says little by itself. What it counts follows from what it is called, from the totals that were
//! announced, from what carries losses, and from how counters move together: one that begins again
//! whenever the epoch goes on counts within it; one that runs while the training stands still belongs to
//! an evaluation or a preparation. A belief may fall: then all that rested on it is taken back.

mod epochs;
mod place;
mod track;

use self::epochs::{Epochs, Moved};
use self::place::Place;
use self::track::Track;
use super::claims::hash;
use super::grammar::announcements::Announced;
use super::grammar::columns::Columns;
use super::grammar::counters::EpochForm;
use super::grammar::sources;
use super::line::{Label, LineReading, RunEvent};
use super::pace::{self, Pace};
use super::series::{Curves, Told};
use super::stage::Stage;
use super::values::{count, decimal};
use super::{Basis, Progress};

/// The state of a run; of bounded size, so that a copy of it may look ahead at the unfinished tail.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    known: Progress,
    epochs: Epochs,
    /// Counts over the whole run.
    whole: Option<Track>,
    /// Counts within the epoch.
    within: Option<Track>,
    /// The last bar that counts none of the training's steps, and what it belongs to.
    aside: Option<(Track, Stage)>,
    /// A bar that was drawn around another one, and so counts something like epochs.
    outer: Option<Track>,
    announced: Announced<u64>,
    columns: Option<Columns>,
    /// The step at which this run, or its latest restart, began.
    origin: Option<u64>,
    /// A line said that a run begins or resumes; the next count may be lower than the last.
    restart_announced: bool,
    /// A count below the known step that nothing explained. A second, higher one confirms a restart.
    lower_step: Option<u64>,
    /// A program was said to have died; no step was taken since.
    has_died: bool,
    /// The run restarted by what was told of this, and the other was not told yet.
    restarted_by: Option<WentBack>,
    /// A heading that may as well be a setting: "Epoch: 12".
    pending: Option<Box<LineReading>>,
    /// No line came after it yet.
    is_pending_last: bool,
    /// The container that trains, of those whose logs are mixed; a hash of its prefix.
    source: Option<u64>,
    /// The step of the run at which the epoch began, and how many steps the epoch before had.
    epoch_began_at: u64,
    steps_per_epoch: Option<u64>,
    /// What the last line in prose said that is done, if anything.
    last_said: Option<Stage>,
    /// It said that this is being done, not that it was.
    says_preparing: bool,
    /// Training was said to go on, and nothing was prepared since.
    says_training: bool,
    /// The run was said to begin.
    has_said_beginning: bool,
    /// The run was said to be over.
    is_over: bool,
    has_loss: bool,
    /// Which part of the loss is taken for it, as long as no other one is seen.
    loss_part: Option<LossPart>,
    /// The percentage that the trainer itself tells, and what of.
    told_percent: Option<(f64, Option<Basis>)>,
    pace: Pace,
}

/// Whether a reading counts anything but epochs, or tells a loss.
fn has_count_but_epoch(reading: &LineReading) -> bool {
    reading.step.or(reading.whole).is_some() || reading.loss.is_some() || reading.percent.is_some()
}

/// What was told of a restart: each run that begins again goes back in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WentBack {
    Epoch,
    Count,
}

/// What is known of the losses that are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LossPart {
    /// The loss itself is told.
    All,
    /// One part of it, by the hash of its name.
    One(u64),
    /// Several parts, none of which is the loss.
    Several,
}

impl Run {
    /// The progress so far, with the time left.
    pub(super) fn progress(&self) -> Progress {
        let mut progress = self.known.clone();
        let steps_left = match (progress.step, progress.total_steps, progress.basis) {
            (Some(step), Some(total), Some(Basis::Steps | Basis::Both)) => total.checked_sub(step),
            _ => None,
        };
        let time_left = self.pace.time_left(steps_left.unwrap_or_default());
        progress.median_seconds_per_step = time_left.map(|left| left.median_seconds_per_step);
        let Some(steps_left) = steps_left else { return progress };
        if let Some(left) = time_left {
            progress.eta_seconds = Some(left.seconds);
            progress.eta_low_seconds = Some(left.low_seconds);
            progress.eta_high_seconds = Some(left.high_seconds);
            return progress;
        }
        let taken =
            progress.step.zip(self.origin).map(|(step, origin)| step.saturating_sub(origin));
        let speed = progress.seconds_per_step;
        progress.eta_seconds = pace::seconds_left(taken.unwrap_or_default(), steps_left, speed);
        progress
    }

    /// Takes in that somebody looked at the log at this time of theirs.
    pub(super) fn look(&mut self, now_seconds: f64) {
        if let Some(step) = self.known.step {
            self.pace.look(step, now_seconds);
        }
    }

    /// Takes in the next line of the log and what it claims, and draws the curves on.
    pub(super) fn apply(&mut self, line: &[u8], reading: &mut LineReading, curves: &mut Curves) {
        self.read_table(line, reading);
        self.drop_other_sources(line, reading);
        match reading.event {
            RunEvent::Begins => self.begin(),
            RunEvent::Trains => self.says_training = true,
            RunEvent::Ends => self.is_over = true,
            RunEvent::Dies => self.has_died = true,
            RunEvent::None => {}
        }
        self.announce(reading);
        match reading.stage {
            // A step was taken before it was saved.
            Some(stage @ Stage::SavingCheckpoint) if reading.loss.is_some() => {
                self.apply_training(reading, curves);
                self.apply_phase(stage, reading, curves);
            }
            Some(Stage::Training) => self.apply_training(reading, curves),
            Some(stage) => self.apply_phase(stage, reading, curves),
            None => {}
        }
        if !line.trim_ascii().is_empty() {
            // A bar that says itself what it counts says nothing of the next one.
            self.last_said = reading.stage.filter(|_| !reading.counter.is_bar);
            self.is_pending_last &=
                self.last_said == Some(Stage::Training) && reading.epoch.is_some();
            self.says_preparing =
                self.last_said == Some(Stage::Preprocessing) && reading.is_under_way;
        }
        self.update_percentage();
    }

    /// Of containers whose logs are mixed, the one that trains says what is done.
    fn drop_other_sources(&mut self, line: &[u8], reading: &mut LineReading) {
        if reading.stage.is_none() || !reading.may_have_source {
            return;
        }
        let Some(source) = sources::container(line).map(hash) else { return };
        match self.source {
            Some(known) if known != source && reading.loss.is_none() => reading.stage = None,
            None if reading.stage != Some(Stage::SavingCheckpoint) => self.source = Some(source),
            _ => {}
        }
    }

    /// Reads rows of a table by the columns that its heading named.
    fn read_table(&mut self, line: &[u8], reading: &mut LineReading) {
        let is_bare = reading.step.is_none() && reading.epoch.is_none() && !reading.counter.is_bar;
        if !is_bare {
            return;
        }
        if reading.may_name_columns {
            self.columns = Columns::of_heading(sources::message(line));
            *reading = LineReading { stage: Some(Stage::Training), ..LineReading::default() };
        } else if let Some(row) =
            self.columns.as_ref().and_then(|columns| columns.row(sources::message(line)))
        {
            let epoch = row.epoch.and_then(decimal);
            *reading = LineReading {
                stage: Some(Stage::Training),
                epoch,
                whole: row.step.and_then(count),
                loss: row.loss.and_then(decimal),
                // Rows are printed when their epoch is over, unless they are of steps.
                epoch_form: if row.step.is_some() { EpochForm::Begins } else { EpochForm::Ended },
                ..LineReading::default()
            };
        }
    }

    /// A run begins: of what was told before any step was taken, nothing is known to hold for it.
    fn begin(&mut self) {
        self.restart_announced = true;
        self.is_over = false;
        self.says_training = true;
        let has_trained = self.has_loss || self.known.step.is_some_and(|step| step > 0);
        // Some say it several times, and in between what the run will take.
        let was_said = std::mem::replace(&mut self.has_said_beginning, true);
        if !has_trained && !was_said {
            let known = std::mem::take(&mut self.known);
            *self = Self {
                restart_announced: true,
                says_training: true,
                has_said_beginning: true,
                last_said: self.last_said,
                ..Self::default()
            };
            self.known.stage = known.stage;
            self.known.restarts = known.restarts + u32::from(known.progress.is_some());
        }
    }

    fn announce(&mut self, reading: &LineReading) {
        let new = reading.announced;
        if new.steps.is_some() {
            let may_hold = self.whole.is_none() || self.restart_announced;
            self.announced.steps =
                if may_hold { new.steps } else { self.announced.steps.or(new.steps) };
        }
        self.announced.asked_steps = new.asked_steps.or(self.announced.asked_steps);
        self.announced.epochs = self.announced.epochs.or(new.epochs);
        self.announced.asked_epochs = self.announced.asked_epochs.or(new.asked_epochs);
        self.announced.batches = new.batches.or(self.announced.batches);
        if new != Announced::default() {
            self.show();
        }
    }

    /// How many epochs were announced, if any were.
    fn announced_epochs(&self) -> Option<u64> {
        self.announced.epochs.filter(|&epochs| epochs > 0).or(self.announced.asked_epochs)
    }

    /// Something else than training goes on.
    fn apply_phase(&mut self, stage: Stage, reading: &LineReading, curves: &mut Curves) {
        let is_prose = !reading.counter.is_bar;
        let is_within_run =
            matches!(self.known.stage, Some(Stage::Training | Stage::SavingCheckpoint))
                && self.has_begun();
        let is_at_end =
            self.is_over || self.whole.is_some_and(|whole| Some(whole.done) == whole.total);
        let was_preparing = self.known.stage == Some(Stage::Preprocessing);
        match stage {
            // Within a run, data are loaded again and again; and what is loaded to validate is validation's.
            Stage::Preprocessing
                if is_prose && is_within_run && reading.event != RunEvent::Begins =>
            {
                return;
            }
            Stage::Preprocessing
                if self.known.stage == Some(Stage::Validation) && self.has_begun() =>
            {
                return;
            }
            // Who says only afterwards that something was saved goes on with the training.
            Stage::SavingCheckpoint
                if reading.is_past
                    && self.known.stage != Some(stage)
                    && self.has_begun()
                    && !is_at_end =>
            {
                self.known.stage = Some(Stage::Training);
            }
            _ => self.known.stage = Some(stage),
        }
        if stage == Stage::Preprocessing {
            // What a launcher says that it starts prepares first; and what it printed before were settings.
            self.says_training &= is_prose && (reading.is_past || !was_preparing);
            self.pending = None;
        }
        if stage == Stage::Validation && reading.has_epoch_fraction {
            self.epochs.take(reading, self.announced_epochs(), true, false);
        } else if stage == Stage::Validation && reading.epoch.is_some() {
            let is_late =
                self.within.is_none_or(|within| within.fraction().is_none_or(|part| part > 0.5));
            if is_late {
                self.epochs.end(reading.epoch, reading.total_epochs, self.announced_epochs());
            }
            if self.epochs.told_total.is_none() {
                self.epochs.told_total = reading.total_epochs;
            }
        }
        if stage == Stage::SavingCheckpoint {
            if reading.epoch_form == EpochForm::Ended {
                self.epochs.end(reading.epoch, None, self.announced_epochs());
            }
            if let Some(step) =
                reading.whole.filter(|&step| self.whole.is_none_or(|whole| whole.done < step))
            {
                self.take_whole(step, None, reading, curves);
            }
            if let Some(step) = self.known.step {
                curves.save_checkpoint(step);
            }
        }
        self.show();
    }

    /// Whether any training has been seen.
    fn has_begun(&self) -> bool {
        self.has_loss || self.whole.is_some() || self.within.is_some()
    }

    /// Whether a line in prose belongs to the evaluation that is under way: what it tells has no count of the
    /// training's.
    fn is_of_evaluation(&self, reading: &LineReading) -> bool {
        let is_of_training =
            |track: &Track| track.total.is_some() && track.total == reading.total_steps;
        let tracks = [self.whole, self.within];
        let is_counted = match reading.step {
            Some(_) if reading.total_steps.is_some() => {
                !self.has_begun() || tracks.iter().flatten().any(is_of_training)
            }
            Some(step) => self.whole.is_none_or(|whole| step > whole.done),
            None => reading.whole.is_some() || reading.epoch.is_some(),
        };
        self.known.stage == Some(Stage::Validation)
            && !reading.counter.is_bar
            && (reading.loss.is_some() || reading.step.is_some())
            && !reading.says_training_loss
            && !is_counted
    }

    /// The stage, too, counts only if its counter is believed.
    fn apply_training(&mut self, reading: &LineReading, curves: &mut Curves) {
        if self.is_of_evaluation(reading) {
            return;
        }
        let has_count =
            reading.step.is_some() || reading.whole.is_some() || reading.epoch.is_some();
        if self.is_over && !has_count && reading.loss.is_some() {
            // What is told after the end are means over the run.
            return;
        }
        let is_setting = !self.has_begun()
            && !has_count_but_epoch(reading)
            && reading.total_epochs.is_none()
            && reading.event == RunEvent::None
            && reading.epoch_form == EpochForm::Begins
            && reading.epoch > Some(1.0);
        if is_setting {
            self.pending = Some(Box::new(reading.clone()));
            self.is_pending_last = true;
            return;
        }
        // What a count follows at once was a heading.
        let heading = self.pending.take_if(|_| self.is_pending_last);
        if let Some(heading) = heading {
            self.epochs.take(&heading, self.announced_epochs(), false, false);
        }
        let has_counts = self.within.is_some() || self.whole.is_some();
        if !self.has_begun() && reading.total_steps.or(reading.whole_total).is_some() {
            // What was told before was of a preparation.
            self.told_percent = None;
        }
        let before = self.epochs.index;
        let announced = self.announced_epochs();
        let place = self.place(reading);
        if let Place::Other(stage) = place {
            self.known.stage = Some(stage);
            return;
        }
        if let Some(heading) = self.pending.take() {
            self.epochs.take(&heading, announced, has_counts, false);
        }
        let may_go_back = self.may_restart() || self.restarted_by == Some(WentBack::Count);
        let moved = self.epochs.take(reading, announced, has_counts, may_go_back);
        if moved == Moved::On {
            let done = self.whole.map_or(0, |whole| whole.done);
            let taken = done.saturating_sub(self.epoch_began_at);
            self.steps_per_epoch = Some(taken).filter(|&taken| taken > 0 && self.epochs.index > 0);
            self.epoch_began_at = done;
        }
        if moved == Moved::Back && self.has_begun() {
            self.restart(0, WentBack::Epoch, curves);
        } else if reading.epoch.is_some() && self.restarted_by == Some(WentBack::Count) {
            self.restarted_by = None;
        }
        if place == Place::Outer {
            self.take_outer(reading);
        }
        let is_prose = !reading.counter.is_bar;
        if place == Place::Echo && reading.step.is_some() && is_prose && reading.loss.is_none() {
            // It repeats what another counter tells, or is said within a text that was printed.
            return;
        }
        // The bar knows best how far it is; in prose the count that is said to be of the run does.
        let is_whole_bar = place == Place::Whole && reading.counter.is_bar;
        let mut is_taken = true;
        if let Some(step) = reading.whole.filter(|_| !is_whole_bar) {
            is_taken = self.take_whole(step, reading.whole_total, reading, curves);
        }
        match (place, reading.step) {
            _ if !is_taken => {}
            (Place::Whole, Some(step)) if is_whole_bar || reading.whole.is_none() => {
                is_taken = self.take_whole(step, reading.total_steps, reading, curves);
            }
            (Place::Within, Some(step)) => {
                if let Some((whole, total)) = reading.whole.zip(reading.total_steps) {
                    self.epochs.learn_base(whole, step, total);
                }
                self.take_within(step, reading, before, curves);
            }
            _ => {}
        }
        if !is_taken {
            // What is printed late still has the newest loss.
            if is_prose {
                self.take_metrics(reading);
            }
            return;
        }
        self.known.stage = Some(Stage::Training);
        if reading.percent.is_some() {
            self.take_percent(reading);
        }
        self.show();
        self.take_metrics(reading);
        self.trace(reading, curves);
        self.restart_announced &= reading.step.is_none() && reading.whole.is_none();
    }

    fn take_metrics(&mut self, reading: &LineReading) {
        if reading.loss.is_some() {
            self.has_loss = true;
            self.loss_part = Some(match (self.loss_part, reading.loss_part) {
                (_, 0) | (Some(LossPart::All), _) => LossPart::All,
                (None, part) => LossPart::One(part),
                (Some(LossPart::One(known)), part) if known == part => LossPart::One(part),
                _ => LossPart::Several,
            });
            if self.loss_part == Some(LossPart::Several) {
                self.known.loss = None;
            }
        }
        let is_loss = match self.loss_part {
            Some(LossPart::All) => reading.loss_part == 0,
            Some(LossPart::One(_)) => true,
            _ => false,
        };
        if let Some(loss) = reading.loss.filter(|_| is_loss) {
            self.known.loss = Some(loss).filter(|loss| loss.is_finite());
            if !loss.is_finite() {
                let step = self.known.step.unwrap_or_default();
                self.known.loss_not_finite_step.get_or_insert(step);
            }
            for track in [&mut self.whole, &mut self.within].into_iter().flatten() {
                track.carries_loss = true;
            }
        }
        self.known.learning_rate = reading.learning_rate.or(self.known.learning_rate);
        self.known.seconds_per_step = reading.seconds_per_step.or(self.known.seconds_per_step);
    }

    /// Times the step, and draws the curves on.
    fn trace(&mut self, reading: &LineReading, curves: &mut Curves) {
        let Some(step) = self.known.step else { return };
        if reading.step.is_some() || reading.whole.is_some() {
            self.pace.take(step, reading.elapsed_seconds, reading.seconds_per_step);
        }
        let told = Told {
            loss: reading.loss,
            learning_rate: reading.learning_rate,
            seconds_per_step: reading.seconds_per_step,
        };
        curves.take(step, told);
    }

    /// Takes in a count of the whole run; back only if the run restarted. Answers whether it was taken.
    fn take_whole(
        &mut self,
        step: u64,
        total: Option<u64>,
        reading: &LineReading,
        curves: &mut Curves,
    ) -> bool {
        let Some(known) = self.whole else {
            self.set_origin(step, reading, false);
            let is_explicit = reading.whole == Some(step);
            let track = Track {
                total,
                is_explicit,
                told_epoch: self.epochs.told,
                ..Track::of(reading, step, self.epochs.index)
            };
            // What counted within the epochs goes on to do so.
            self.whole = Some(track);
            self.go_on(WentBack::Epoch);
            return true;
        };
        let goes_back = step < known.done;
        let is_far_back = known.done - step.min(known.done) > (known.done / 100).max(3);
        let restarted = goes_back
            && (self.may_restart()
                || self.restarted_by == Some(WentBack::Epoch)
                || (reading.counter.is_first_frame && reading.counter.is_bar)
                || (step <= 1 && known.done > 1)
                || (is_far_back && self.lower_step.is_some_and(|lower| step > lower)));
        if goes_back
            && !restarted
            && known.carries_loss
            && reading.loss.is_none()
            && !reading.counter.is_bar
        {
            // Something else counts, in an evaluation or a text.
            return false;
        }
        if goes_back && !restarted {
            self.lower_step = Some(step).filter(|_| is_far_back);
            return false;
        }
        if restarted {
            self.restart(step, WentBack::Count, curves);
        }
        self.set_origin(step, reading, restarted);
        self.go_on(WentBack::Epoch);
        let carries_loss = known.carries_loss || reading.loss.is_some();
        self.whole = Some(Track {
            total: total.or(known.total),
            carries_loss,
            epoch: self.epochs.index,
            told_epoch: self.epochs.told,
            runs_through: 0,
            idle: 0,
            is_from_zero: false,
            is_explicit: known.is_explicit || reading.whole == Some(step),
            done: step,
            counter: if total.is_some() { reading.counter } else { known.counter },
        });
        true
    }

    /// Whether a count below the last one is explained: by what was said of the run.
    fn may_restart(&self) -> bool {
        self.restart_announced || self.has_died
    }

    /// Takes in that the run has been counted on; a restart that was told by `by` alone was told of in full.
    fn go_on(&mut self, by: WentBack) {
        self.lower_step = None;
        self.restart_announced = false;
        self.has_died = false;
        if self.restarted_by == Some(by) {
            self.restarted_by = None;
        }
    }

    fn set_origin(&mut self, step: u64, reading: &LineReading, restarted: bool) {
        if self.origin.is_none() || restarted {
            let starts_here = reading.counter.is_first_frame || self.restart_announced || restarted;
            self.origin = Some(if starts_here { step } else { 0 });
        }
    }

    /// Takes in a count within the epoch.
    fn take_within(
        &mut self,
        step: u64,
        reading: &LineReading,
        epoch_before: u64,
        curves: &mut Curves,
    ) {
        let is_first_frame = reading.counter.is_first_frame;
        if let Some(known) = self.within {
            let is_same_epoch =
                known.epoch == self.epochs.index && epoch_before == self.epochs.index;
            let begins_again = is_same_epoch && step < known.done && (step <= 1 || is_first_frame);
            if begins_again && known.is_over() && !self.epochs.has_headings {
                self.epochs.begin_next();
            } else if step < known.done
                && (is_same_epoch || self.restarted_by == Some(WentBack::Epoch))
            {
                let is_far_back = known.done - step > (known.done / 100).max(3);
                let is_confirmed = is_far_back && self.lower_step.is_some_and(|lower| step > lower);
                let is_explained = self.may_restart() || self.restarted_by == Some(WentBack::Epoch);
                if !is_explained && !is_confirmed {
                    self.lower_step = Some(step).filter(|_| is_far_back);
                    return;
                }
                self.restart(step, WentBack::Count, curves);
            }
        }
        self.go_on(WentBack::Epoch);
        self.drop_stale_whole(step);
        let carries_loss =
            reading.loss.is_some() || self.within.is_some_and(|within| within.carries_loss);
        let total = reading
            .total_steps
            .or(self.announced.batches.filter(|_| reading.counter.label == Label::Batches));
        let went_back = self.within.is_some_and(|within| step < within.done);
        let was_from_zero = self.within.is_some_and(|within| {
            within.is_from_zero && within.counter.is_bar == reading.counter.is_bar
        });
        let runs_through =
            self.within.filter(|_| !went_back).map_or(0, |within| within.runs_through);
        self.within = Some(Track {
            carries_loss,
            total,
            runs_through,
            told_epoch: self.epochs.told,
            ..Track::of(reading, step, self.epochs.index)
        });
        if let Some(within) = &mut self.within {
            within.is_from_zero |= was_from_zero;
        }
        let position = self.steps_over_epochs().map_or(step, |(position, _)| position);
        self.set_origin(position, reading, false);
    }

    /// A count of the run without a total that stands still while the epoch goes on was said once, and
    /// counts nothing.
    fn drop_stale_whole(&mut self, step: u64) {
        const READINGS_MAX: u8 = 3;
        let Some(whole) = &mut self.whole else { return };
        if whole.total.is_none() && whole.done < step {
            whole.idle += 1;
            if whole.idle > READINGS_MAX {
                self.whole = None;
            }
        }
    }

    /// A bar around another one counts what the inner one is a part of.
    fn take_outer(&mut self, reading: &LineReading) {
        if let Some(step) = reading.step {
            self.outer = Some(Track::of(reading, step, 0));
            self.epochs.index = step;
        }
    }

    fn take_percent(&mut self, reading: &LineReading) {
        let Some(percent) = reading.percent else { return };
        if reading.is_percent_of_epoch {
            let share = |track: &Track| {
                track.fraction().is_some_and(|part| (part * 100.0 - percent).abs() < 1.5)
            };
            if percent < 98.0 && self.whole.as_ref().is_some_and(share) {
                self.believe_to_be_within(true);
            }
            let track = Track {
                total: Some(10_000),
                ..Track::of(reading, (percent * 100.0) as u64, self.epochs.index)
            };
            let track = Track {
                counter: super::line::Counter { label: Label::Examples, ..track.counter },
                ..track
            };
            if self.within.is_none_or(|within| within.counter.label == Label::Examples) {
                self.within = Some(track);
            }
            return;
        }
        let basis = match () {
            () if reading.epoch.is_some() => Some(Basis::Epochs),
            () if reading.step.is_some() || reading.whole.is_some() => Some(Basis::Steps),
            () => None,
        };
        self.told_percent = Some((percent, basis));
    }

    /// The run goes on from `step`: what came after it is void.
    fn restart(&mut self, step: u64, by: WentBack, curves: &mut Curves) {
        let is_counted = self.restarted_by.is_some_and(|before| before != by);
        self.restarted_by = Some(by).filter(|_| !is_counted);
        self.known.restarts = self.known.restarts.saturating_add(u32::from(!is_counted));
        self.known.progress = None;
        self.told_percent = None;
        self.is_over = false;
        self.pace = Pace::default();
        curves.go_back(step);
    }

    /// Steps over all epochs by a count within them: those taken, and all where it is known how many.
    fn steps_over_epochs(&self) -> Option<(u64, Option<u64>)> {
        let within = self.within.filter(|within| within.counter.label != Label::Examples)?;
        let epochs = match self.outer {
            Some(outer) => outer.total,
            None => self.epochs.count(self.announced_epochs()),
        };
        let Some(total) = within.total else { return Some((within.done, None)) };
        let is_current = within.epoch == self.epochs.index;
        let taken = if is_current { within.done.min(total) } else { 0 };
        let position = self.epochs.index.saturating_mul(total).saturating_add(taken);
        Some((position, epochs.map(|epochs| total.saturating_mul(epochs))))
    }

    /// Shows what the counters amount to.
    fn show(&mut self) {
        let announced = self.announced.steps.filter(|&steps| steps > 0);
        self.known.epoch = self.epochs.told;
        self.known.total_epochs = self.epochs.told_total.or(self.announced_epochs());
        let over_epochs = self.steps_over_epochs();
        if let Some(whole) = self.whole {
            let asked = self.announced.asked_steps;
            let fits = |total: &u64| *total >= whole.done;
            self.known.step = Some(whole.done);
            // In the first epoch the count of the run is that of the epoch.
            let of_epoch = self.within.filter(|within| {
                within.done.abs_diff(whole.done) <= 1
                    && within.epoch == 0
                    && self.epochs.count(self.announced_epochs()).is_none()
            });
            let of_only_epoch = self
                .announced
                .batches
                .filter(|_| self.epochs.count(self.announced_epochs()) == Some(1));
            self.known.total_steps = whole
                .total
                .or(announced.filter(fits))
                .or(of_only_epoch.filter(fits))
                .or(asked.filter(fits))
                .or(of_epoch.and_then(|within| within.total));
        } else if let Some((step, total)) = over_epochs {
            self.known.step = Some(step);
            self.known.total_steps = total;
        } else {
            self.known.step = None;
            self.known.total_steps = announced;
        }
    }

    fn update_percentage(&mut self) {
        let now = self.percentage();
        let Some((now, basis)) = now else {
            (self.known.progress, self.known.basis) = (None, None);
            return;
        };
        let percent = now.clamp(0.0, 100.0);
        // Ranks and late lines tell of steps that are behind. Steps say more than epochs did, whichever is more.
        let is_finer = self.known.basis == Some(Basis::Epochs) && basis != Some(Basis::Epochs);
        let before = self.known.progress.filter(|_| !is_finer);
        self.known.progress = Some(before.map_or(percent, |before| before.max(percent)));
        self.known.basis = basis;
    }

    /// How much of the run is done by its outermost counter, refined by the one within.
    fn percentage(&self) -> Option<(f64, Option<Basis>)> {
        let percent = |done: f64, total: u64| done * 100.0 / total as f64;
        let whole_total = self.known.total_steps.filter(|_| self.whole.is_some());
        if let (Some(whole), Some(total)) = (self.whole, whole_total)
            && (whole.total.is_some()
                || self.within.is_none_or(|within| within.total != Some(total)))
        {
            let computed = percent(whole.done as f64, total);
            if let Some(told) = self.told_percent.filter(|(told, _)| (told - computed).abs() > 1.0)
            {
                return Some(told);
            }
            let is_end_sure = whole.done < total || self.is_over || self.is_confirmed(&whole);
            return is_end_sure.then(|| (percent(whole.done as f64, total), Some(Basis::Steps)));
        }
        let fraction = match self.within {
            Some(within) => within.fraction().filter(|_| within.epoch == self.epochs.index),
            None => self.fraction_of_epoch(),
        };
        if let Some(outer) = self.outer {
            let total = outer.total.filter(|&total| total > 0)?;
            let done =
                outer.done as f64 + fraction.filter(|_| outer.done < total).unwrap_or_default();
            return Some((percent(done, total), Some(Basis::Both)));
        }
        if (self.epochs.is_known() || fraction.is_some())
            && let Some(count) = self.epochs.count(self.announced_epochs())
        {
            let basis = if fraction.is_some() { Basis::Both } else { Basis::Epochs };
            let computed = percent(self.epochs.position(fraction), count);
            let is_better =
                |told: &(f64, Option<Basis>)| fraction.is_none() || (told.0 - computed).abs() > 1.0;
            return Some(self.told_percent.filter(is_better).unwrap_or((computed, Some(basis))));
        }
        self.told_percent
    }

    /// Which part of the epoch is done by the steps of the run, where it is known how many an epoch has.
    fn fraction_of_epoch(&self) -> Option<f64> {
        let whole = self.whole.filter(|_| self.epochs.is_known() && !self.epochs.has_fractions)?;
        let steps = self.steps_per_epoch.or(self.announced.batches)?;
        let taken = whole.done.saturating_sub(self.epoch_began_at);
        Some((taken as f64 / steps as f64).min(1.0))
    }

    /// Whether a counter that has reached its total shows the end of the run: a nameless bar, or one that
    /// only says that it trains, may as well have been of one epoch.
    fn is_confirmed(&self, track: &Track) -> bool {
        let says_so = !matches!(track.counter.label, Label::Bare | Label::Train | Label::Steps)
            || !track.counter.is_bar;
        let is_round = track.total.is_some_and(place::is_round);
        let is_only_epoch = self.epochs.count(self.announced_epochs()) == Some(1);
        says_so
            || is_round
            || is_only_epoch
            || self.announced.steps == track.total
            || self.epochs.has_fractions
    }
}

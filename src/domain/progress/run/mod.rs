//! A run so far: what the lines of its log claim becomes one state.
//!
//! A count says little by itself. What it counts follows from what it is called, from the totals that were
//! announced, from what carries losses, and from how counters move together: one that begins again
//! whenever the epoch goes on counts within it; one that runs while the training stands still belongs to
//! an evaluation or a preparation. A belief may fall: then all that rested on it is taken back.

mod beside;
mod counts;
mod epochs;
mod percentage;
mod phases;
mod place;
mod track;
mod training;

use self::counts::WentBack;
use self::epochs::Epochs;
use self::track::Track;
use self::training::LossPart;
use super::claims::hash;
use super::grammar::announcements::Announced;
use super::grammar::columns::Columns;
use super::grammar::counters::EpochForm;
use super::grammar::sources;
use super::line::{LineReading, RunEvent, Traits};
use super::pace::{self, Pace};
use super::series::Curves;
use super::stage::Stage;
use super::values::{count, decimal, finite};
use super::{Basis, Progress};

/// What was said of the end of a run. Ordered: the last says the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Nothing, or it has gone on since.
    #[default]
    Open,
    /// It is over, in whichever way.
    Over,
    /// All that was to be done was done.
    Complete,
}

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
    /// It is one of several trainings, as in a search for settings: of all nobody knows the share.
    is_one_of_many: bool,
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
    /// How the run was said to be over.
    end: End,
    has_loss: bool,
    /// Which part of the loss is taken for it, as long as no other one is seen.
    loss_part: Option<LossPart>,
    /// The percentage that the trainer itself tells, and what of.
    told_percent: Option<(f64, Option<Basis>)>,
    pace: Pace,
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
        match reading.traits.event {
            RunEvent::Begins => self.begin(),
            RunEvent::Trains => self.says_training = true,
            RunEvent::Ends => self.end = self.end.max(End::Over),
            RunEvent::Completes => self.end = End::Complete,
            RunEvent::Dies => self.has_died = true,
            RunEvent::Part => self.is_one_of_many = true,
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
                self.last_said == Some(Stage::Preprocessing) && reading.traits.is_under_way;
        }
        self.update_percentage();
    }

    /// Of containers whose logs are mixed, the one that trains says what is done.
    fn drop_other_sources(&mut self, line: &[u8], reading: &mut LineReading) {
        if reading.stage.is_none() || !reading.traits.may_have_source {
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
        if reading.counter.is_bar && reading.loss.is_none() {
            let columns = self.columns.as_ref();
            reading.loss =
                columns.and_then(|columns| columns.loss_before_bar(line)).and_then(decimal);
        }
        let is_bare = reading.step.is_none() && reading.epoch.is_none() && !reading.counter.is_bar;
        if !is_bare {
            return;
        }
        if reading.traits.may_name_columns {
            self.columns = Columns::of_heading(sources::message(line));
            *reading = LineReading { stage: Some(Stage::Training), ..LineReading::default() };
        } else if let Some(row) =
            self.columns.as_ref().and_then(|columns| columns.row(sources::message(line)))
        {
            // Rows are printed when their epoch is over, unless they are of steps.
            let epoch_form = if row.step.is_some() { EpochForm::Begins } else { EpochForm::Ended };
            *reading = LineReading {
                stage: Some(Stage::Training),
                epoch: row.epoch.and_then(finite),
                whole: row.step.and_then(count),
                loss: row.loss.and_then(decimal),
                traits: Traits { epoch_form, ..Traits::default() },
                ..LineReading::default()
            };
        }
    }

    /// Whether the run was said to be over.
    fn is_over(&self) -> bool {
        self.end > End::Open
    }

    /// Whether any training has been seen.
    fn has_begun(&self) -> bool {
        let is_counted = self.whole.is_some_and(|whole| !whole.is_of_evaluations);
        self.has_loss || is_counted || self.within.is_some()
    }
}

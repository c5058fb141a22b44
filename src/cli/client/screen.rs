//! How `jobsyncd watch` shows what it knows: bars in a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::rc::Rc;

use indicatif::ProgressBar;
use serde_json::Value;

use super::bars::JobBars;
use super::board::{Board, Change, is_running};
use super::words::{UNKNOWN, cut};
use super::{ClientError, job_text, print, say};

/// How much of a job's name stands before its bar, in characters. An id of the provider's fits.
const NAME_CHARS: usize = 26;
/// How many steps a bar has for a percent.
const BAR_STEPS_PER_PERCENT: f64 = 10.0;

/// Where it is shown.
pub(super) enum Screen {
    /// Nowhere: somebody else prints.
    None,
    /// Bars in a terminal.
    Bars { bars: Rc<JobBars>, jobs: HashMap<String, ProgressBar> },
    /// Lines: one a change of state, and one a percent of progress.
    Lines { percents: HashMap<String, u64> },
}

/// Where messages go, so that they do not run into the bars.
pub(super) enum Messages {
    Above(Rc<JobBars>),
    Plain,
}

impl Messages {
    pub(super) fn say(&self, text: &str) {
        match self {
            Self::Above(bars) => bars.say(&format!("jobsyncd: {text}")),
            Self::Plain => say(text),
        }
    }
}

impl Screen {
    /// The screen of this process.
    pub(super) fn of_process() -> Self {
        let bars = JobBars::new();
        if std::io::stdout().is_terminal() && !bars.is_hidden() {
            Self::Bars { bars: Rc::new(bars), jobs: HashMap::new() }
        } else {
            Self::Lines { percents: HashMap::new() }
        }
    }

    pub(super) fn messages(&self) -> Messages {
        match self {
            Self::Bars { bars, .. } => Messages::Above(Rc::clone(bars)),
            Self::None | Self::Lines { .. } => Messages::Plain,
        }
    }

    /// Shows a change.
    pub(super) fn show(&mut self, board: &Board, change: &Change) -> Result<(), ClientError> {
        match self {
            Self::None => Ok(()),
            Self::Bars { bars, jobs } => {
                show_bar(bars, jobs, board, change);
                Ok(())
            }
            Self::Lines { percents } => match line(percents, board, change) {
                Some(line) => print(&line),
                None => Ok(()),
            },
        }
    }

    /// Says how many jobs there are.
    pub(super) fn summarize(&self, board: &Board) {
        if let Self::Bars { bars, .. } = self {
            bars.summarize(&summary(board.counts()));
        }
    }
}

fn show_bar(
    bars: &JobBars,
    jobs: &mut HashMap<String, ProgressBar>,
    board: &Board,
    change: &Change,
) {
    match change {
        Change::State(id) | Change::Progress(id) => {
            let Some(job) = board.job(id).filter(|job| is_running(job)) else { return };
            let bar = jobs.entry(id.clone()).or_insert_with(|| bars.add());
            bar.set_prefix(format!("{:<NAME_CHARS$}", cut(&title(id, job), NAME_CHARS)));
            bar.set_message(job_text::brief_progress(&job["progress"]));
            let percent = job["progress"]["progress"].as_f64().unwrap_or(0.0);
            // A cast of what is out of range saturates, and a bar has no more than its length.
            bar.set_position((percent * BAR_STEPS_PER_PERCENT) as u64);
        }
        Change::Gone(id) => take_away(bars, jobs, id),
        Change::Ended(job) => {
            take_away(bars, jobs, job["job_id"].as_str().unwrap_or_default());
            bars.say(&ending(job));
        }
    }
}

fn take_away(bars: &JobBars, jobs: &mut HashMap<String, ProgressBar>, id: &str) {
    if let Some(bar) = jobs.remove(id) {
        bars.remove(&bar);
    }
}

/// The line that tells a change; None where it says too little to be told.
fn line(percents: &mut HashMap<String, u64>, board: &Board, change: &Change) -> Option<String> {
    match change {
        Change::State(id) => {
            let job = board.job(id)?;
            Some(format!("{id} {} {}", job_text::word(&job["status"]), job_text::name(job)))
        }
        Change::Progress(id) => {
            let job = board.job(id)?;
            let percent = job["progress"]["progress"].as_f64()? as u64;
            let is_new = percents.insert(id.clone(), percent) != Some(percent);
            is_new.then(|| format!("{id} running {}", job_text::progress(&job["progress"])))
        }
        Change::Gone(id) => {
            percents.remove(id);
            Some(format!("{id} deleted"))
        }
        Change::Ended(job) => {
            percents.remove(job["job_id"].as_str()?);
            Some(job_text::ending(job))
        }
    }
}

/// What a job is called: by its name, else by its id.
fn title(id: &str, job: &Value) -> String {
    match job_text::word(&job["config_name"]) {
        name if name == UNKNOWN => id.to_owned(),
        name => name,
    }
}

fn ending(job: &Value) -> String {
    match job_text::word(&job["config_name"]) {
        name if name == UNKNOWN => job_text::ending(job),
        name => format!("{name}: {}", job_text::ending(job)),
    }
}

fn summary((running, waiting): (usize, usize)) -> String {
    match (running, waiting) {
        (0, 0) => "no job is active".to_owned(),
        (running, 0) => format!("{running} running"),
        (running, waiting) => format!("{running} running, {waiting} waiting"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pipe_gets_a_line_a_state_and_a_line_a_percent() {
        let mut board = Board::default();
        let mut percents = HashMap::new();
        let mut told = |event: Value| {
            let change = board.apply(&event)?;
            line(&mut percents, &board, &change)
        };
        let job = |status: &str, is_active: bool| {
            let job = json!({"job_id": "a", "config_name": "cats", "status": status, "is_active": is_active});
            json!({"type": "job_status_changed", "job_id": "a", "job": job})
        };
        let progress = |percent: f64| json!({"type": "job_progress", "job_id": "a", "progress": percent, "step": 7, "total_steps": 9});
        assert_eq!(told(job("running", true)).as_deref(), Some("a running cats"));
        assert_eq!(told(progress(40.1)).as_deref(), Some("a running 40%, step 7/9"));
        assert_eq!(told(progress(40.9)), None);
        assert_eq!(told(progress(41.0)).as_deref(), Some("a running 41%, step 7/9"));
        assert_eq!(told(job("cancelled", false)).as_deref(), Some("a cancelled"));
    }

    #[test]
    fn the_counts_are_said_in_words() {
        assert_eq!(summary((0, 0)), "no job is active");
        assert_eq!(summary((2, 0)), "2 running");
        assert_eq!(summary((2, 1)), "2 running, 1 waiting");
    }
}

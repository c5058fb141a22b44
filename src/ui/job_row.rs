//! A job as a row of the list, and as the head of its own page.

use super::sparkline::Sparkline;
use super::text::{self, Ago, NONE, capitalised};
use crate::domain::cost::Prices;
use crate::domain::job::{Job, JobStatus};
use crate::domain::job_view::{JobView, Place};
use crate::domain::observation::Source;
use crate::domain::progress::{PackedSeries, Progress};
use crate::domain::timestamp::Timestamp;
use crate::domain::words::{clean, grouped, span};

/// A job as it is shown at one moment.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    job: &'a Job,
    view: JobView<'a>,
    curve: Option<Sparkline>,
    now: Timestamp,
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        job: &'a Job,
        series: Option<&PackedSeries>,
        place: Option<Place>,
        prices: &Prices,
        now: Timestamp,
    ) -> Self {
        let view = JobView::new(job, prices, now).at(place);
        let curve = series.and_then(|packed| Sparkline::of_loss(&packed.unpack()));
        Self { job, view, curve, now }
    }

    pub(crate) fn id(&self) -> &str {
        &self.job.job_id.0
    }

    pub(crate) fn view(&self) -> &JobView<'a> {
        &self.view
    }

    pub(crate) fn job(&self) -> &'a Job {
        self.job
    }

    pub(crate) fn status(&self) -> &'static str {
        self.job.status.as_str()
    }

    pub(crate) fn status_title(&self) -> String {
        capitalised(self.status())
    }

    /// What there is to say of the state besides its word.
    pub(crate) fn note(&self) -> Option<String> {
        if self.view.cancel_requested_at.is_some() {
            Some("being cancelled".to_owned())
        } else if self.job.gone_since().is_some() {
            Some("gone at the provider".to_owned())
        } else if self.view.stalled_since.is_some() {
            Some("stalled".to_owned())
        } else if self.view.trainers_failure.is_some() && self.job.status.is_terminal() {
            Some("the trainer says so".to_owned())
        } else {
            self.view.queue_position().map(|position| format!("place {position}"))
        }
    }

    pub(crate) fn name(&self) -> String {
        name_of(self.job)
    }

    /// What the name leaves open: of two runs of one configuration the model, of two of one model the job.
    pub(crate) fn subtitle(&self) -> String {
        let model = self.job.model.as_deref().filter(|_| self.job.config_name.is_some());
        model.map_or_else(|| self.id().to_owned(), clean)
    }

    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.view.progress.as_deref()
    }

    pub(crate) fn can_be_cancelled(&self) -> bool {
        self.job.status.is_active()
    }

    /// Whether there is a bar to be drawn: of a job that is done it would say nothing new.
    pub(crate) fn has_progress(&self) -> bool {
        let is_worth_it = !matches!(self.job.status, JobStatus::Completed);
        is_worth_it && self.progress().is_some_and(|progress| progress.progress.is_some())
    }

    pub(crate) fn percent(&self) -> f64 {
        self.progress().and_then(|progress| progress.progress).unwrap_or_default()
    }

    pub(crate) fn percent_text(&self) -> String {
        text::percent(self.percent())
    }

    pub(crate) fn stage(&self) -> Option<String> {
        let is_running = self.job.status == JobStatus::Running;
        self.progress().filter(|_| is_running)?.stage.map(|stage| stage.to_string())
    }

    /// The last line of the log, or what went wrong.
    pub(crate) fn line(&self) -> String {
        // Of a job that has ended by it, the error says the same.
        let is_active = self.job.status.is_active();
        if let Some(failure) = self.view.trainers_failure.as_ref().filter(|_| is_active) {
            let said = "the trainer says that it failed".to_owned();
            let words = clean(failure.message);
            return if words.is_empty() { said } else { format!("{said}: {words}") };
        }
        let error = self.view.error_message.as_deref();
        let last = self.progress().and_then(|progress| progress.last_log.as_deref());
        clean(error.or(last).unwrap_or_default())
    }

    /// How long the error is in all, where a part of it is shown.
    pub(crate) fn cut_error_bytes(&self) -> Option<String> {
        self.view.cut_bytes.error_message.map(grouped)
    }

    pub(crate) fn has_line(&self) -> bool {
        self.stage().is_some() || !self.line().is_empty()
    }

    pub(crate) fn curve(&self) -> Option<&Sparkline> {
        self.curve.as_ref()
    }

    pub(crate) fn loss(&self) -> Option<String> {
        let progress = self.progress()?;
        match (progress.loss, progress.loss_not_finite_step) {
            (Some(loss), _) => Some(text::significant(loss)),
            (None, Some(_)) => Some("nan".to_owned()),
            (None, None) => None,
        }
    }

    fn eta(&self) -> Option<f64> {
        self.progress().filter(|_| self.job.status == JobStatus::Running)?.eta_seconds
    }

    /// How long it will still take or, once it has ended, how long it took.
    pub(crate) fn time(&self) -> Option<String> {
        match (self.eta(), self.view.duration_seconds) {
            (Some(seconds), _) => Some(format!("{} left", span(seconds))),
            (None, Some(seconds)) if self.job.status.is_terminal() => Some(span(seconds)),
            (None, _) => None,
        }
    }

    pub(crate) fn time_range(&self) -> Option<String> {
        let progress = self.progress().filter(|_| self.eta().is_some())?;
        let (low, high) = (progress.eta_low_seconds?, progress.eta_high_seconds?);
        Some(format!("{}–{}", span(low), span(high)))
    }

    pub(crate) fn cost(&self) -> String {
        let cost = self.view.cost_usd;
        cost.map_or_else(|| NONE.to_owned(), |usd| text::usd(usd, self.view.cost_is_estimate))
    }

    pub(crate) fn is_cost_estimated(&self) -> bool {
        self.view.cost_is_estimate
    }

    pub(crate) fn hardware(&self) -> &str {
        self.view.hardware_type.unwrap_or(NONE)
    }

    pub(crate) fn created(&self) -> Ago {
        Ago { at: self.view.created_at, now: self.now }
    }

    pub(crate) fn confirmed(&self) -> Option<Ago> {
        self.view.confirmed_at.map(|at| Ago { at, now: self.now })
    }

    pub(crate) fn confirmed_by(&self) -> Option<&'static str> {
        self.view.confirmed_by.map(in_words)
    }
}

/// What a job is called: by its configuration, else by its model without the owner, else by its identifier.
pub(crate) fn name_of(job: &Job) -> String {
    let model = job.model.as_deref();
    let model = model.map(|model| model.rsplit('/').next().unwrap_or(model));
    let names = [job.config_name.as_deref(), model];
    let mut names = names.into_iter().flatten().map(clean).filter(|name| !name.is_empty());
    names.next().unwrap_or_else(|| job.job_id.0.clone())
}

/// Who told us, for people.
pub(crate) fn in_words(source: Source) -> &'static str {
    match source {
        Source::Webhook => "webhook",
        Source::Poll => "polling",
        Source::Sync => "sync",
        Source::User => "a user",
        Source::Queue => "the queue",
    }
}

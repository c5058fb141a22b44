//! The page of one job.

use askama::Template;
use url::form_urlencoded::byte_serialize;

use super::facts::{Fact, FactValue};
use super::frame::Frame;
use super::job_row::{Row, in_words};
use super::text::{Instant, capitalised, safe_link, significant};
use crate::domain::job_texts::JobText;
use crate::domain::observation::Source;
use crate::domain::progress::Progress;
use crate::domain::timeline::{Timeline, Transition};
use crate::domain::words::{grouped, span};

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "job.html")]
pub(crate) struct JobPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) job: JobDetails<'a>,
}

/// What of it changes.
#[derive(Debug, Template)]
#[template(path = "updates/job.html")]
pub(crate) struct JobUpdate<'a> {
    pub(crate) frame: Frame,
    pub(crate) job: JobDetails<'a>,
}

/// A job with everything that is known of it.
#[derive(Debug)]
pub(crate) struct JobDetails<'a> {
    pub(crate) row: Row<'a>,
    pub(crate) timeline: Vec<TimelineStep>,
    pub(crate) is_timeline_complete: bool,
}

/// A transition.
#[derive(Debug)]
pub(crate) struct TimelineStep {
    pub(crate) status: &'static str,
    pub(crate) title: String,
    /// When it happened, as far as the provider says so, or when we stored it.
    pub(crate) at: Instant,
    pub(crate) source: &'static str,
    /// How much later we knew.
    pub(crate) delay: Option<String>,
}

impl TimelineStep {
    fn new(transition: &Transition) -> Self {
        // What we did ourselves we did not hear of.
        let is_told = !matches!(transition.source, Source::User | Source::Queue);
        let delay = transition.delay_seconds.filter(|_| is_told).map(|seconds| match seconds {
            seconds if seconds < -1.0 => "the clocks differ".to_owned(),
            seconds if seconds < 1.0 => "known within a second".to_owned(),
            seconds => format!("known {} later", span(seconds)),
        });
        Self {
            status: transition.to.as_str(),
            title: capitalised(transition.to.as_str()),
            at: Instant(transition.provider_at.unwrap_or(transition.at)),
            source: in_words(transition.source),
            delay,
        }
    }
}

impl<'a> JobDetails<'a> {
    pub(crate) fn new(row: Row<'a>, timeline: &Timeline) -> Self {
        Self {
            row,
            timeline: timeline.transitions.iter().map(TimelineStep::new).collect(),
            is_timeline_complete: timeline.is_complete,
        }
    }

    fn encoded_id(&self) -> String {
        byte_serialize(self.row.id().as_bytes()).collect::<String>().replace('+', "%20")
    }

    pub(crate) fn api_url(&self) -> String {
        format!("/api/cloud/jobs/{}", self.encoded_id())
    }

    pub(crate) fn log_url(&self) -> String {
        format!("{}/logs/download", self.api_url())
    }

    pub(crate) fn updates(&self) -> String {
        format!("/updates/jobs/{}", self.encoded_id())
    }

    pub(crate) fn activity_url(&self) -> String {
        format!("/activity?job={}", self.encoded_id())
    }

    /// Numbers that are looked at first: a name, a value, and what there is to say about it.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, String, &'static str)> {
        let unknown = Progress::default();
        let progress = self.row.progress().unwrap_or(&unknown);
        let of_total = |done: String, total: Option<u64>| match total {
            Some(total) => format!("{done} of {}", grouped(total)),
            None => done,
        };
        let is_over = self.row.job().status.is_terminal();
        let time = if is_over { "Took" } else { "Time left" };
        let left = self.row.time().map(|time| match self.row.time_range() {
            Some(range) => format!("{} ({range})", time.trim_end_matches(" left")),
            None => time.trim_end_matches(" left").to_owned(),
        });
        let cost_note =
            if self.row.is_cost_estimated() { "An estimate: it still runs" } else { "" };
        let known = [
            ("Step", progress.step.map(|step| of_total(grouped(step), progress.total_steps)), ""),
            (
                "Epoch",
                progress.epoch.map(|epoch| of_total(format!("{epoch}"), progress.total_epochs)),
                "",
            ),
            ("Loss", self.row.loss(), ""),
            ("Learning rate", progress.learning_rate.map(significant), ""),
            (
                "Speed",
                progress
                    .seconds_per_step
                    .map(|seconds| format!("{} s a step", significant(seconds))),
                "",
            ),
            (
                time,
                left,
                if is_over { "" } else { "Four runs of five take as long as the range says" },
            ),
            ("Cost", Some(self.row.cost()), cost_note),
        ];
        known.into_iter().filter_map(|(name, value, note)| Some((name, value?, note))).collect()
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        let (job, view) = (self.row.job(), self.row.view());
        let text = |value: Option<&str>| value.map(|text| FactValue::Text(text.to_owned()));
        let instant = |at| Some(FactValue::Instant(Instant(at)));
        let link = |url: Option<&str>| {
            let url = url?;
            Some(match safe_link(url) {
                Some(href) => FactValue::Link(href.to_owned()),
                None => FactValue::Text(url.to_owned()),
            })
        };
        let confirmed = self.row.confirmed().map(|at| FactValue::Ago(at, self.row.confirmed_by()));
        // Half a URL leads nowhere.
        let whole_output = view.cut_bytes.output_url.map(|_| {
            FactValue::Link(format!("{}/texts/{}", self.api_url(), JobText::OutputUrl.as_str()))
        });
        let facts = [
            ("Id", text(Some(self.row.id()))),
            ("Provider", text(Some(&job.provider))),
            ("Id there", text(job.provider_job_id.as_deref().filter(|id| *id != self.row.id()))),
            ("State there", text(view.provider_status)),
            ("Model", text(job.model.as_deref())),
            ("Version", text(job.version.as_deref())),
            ("Hardware", text(view.hardware_type)),
            ("Of", text(view.user_id)),
            ("Created", instant(view.created_at)),
            ("Started", view.started_at.and_then(instant)),
            ("Ended", view.completed_at.and_then(instant)),
            ("Ran for", view.duration_seconds.map(|seconds| FactValue::Text(span(seconds)))),
            ("Stalled since", view.stalled_since.and_then(instant)),
            ("Cancel asked for", view.cancel_requested_at.and_then(instant)),
            ("Confirmed", confirmed),
            ("Output", link(view.output_url).or(whole_output)),
            ("Page there", link(job.web_url.as_deref())),
        ];
        let fact = |(name, value): (&str, Option<FactValue>)| {
            Some(Fact { name: name.to_owned(), value: value? })
        };
        facts.into_iter().filter_map(fact).collect()
    }
}

//! The list of jobs: its address, its filters and its pages.

use askama::Template;
use url::form_urlencoded;

use super::frame::Frame;
use super::job_row::Row;
use super::metrics::Metrics;
use super::text::{capitalised, count};
use crate::domain::job::JobStatus;
use crate::domain::job_query::{JobQuery, JobSort, LIMIT_DEFAULT};

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "jobs.html")]
pub(crate) struct JobsPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) metrics: Metrics,
    pub(crate) list: JobList<'a>,
}

/// What has changed since the page was made.
#[derive(Debug, Template)]
#[template(path = "updates/jobs.html")]
pub(crate) struct JobsUpdate<'a> {
    /// The rows that were asked for, as they are now.
    pub(crate) rows: Vec<Row<'a>>,
    /// The jobs that were asked for and are no more, as JSON.
    pub(crate) gone: String,
    /// Numbers and filters, where they were asked for.
    pub(crate) totals: Option<Totals>,
}

/// What is around the rows.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) frame: Frame,
    pub(crate) metrics: Metrics,
    /// The list without its rows.
    pub(crate) list: JobList<'static>,
    /// The jobs that the list would show now, as JSON.
    pub(crate) listed: String,
}

/// A page of jobs.
#[derive(Debug)]
pub(crate) struct JobList<'a> {
    pub(crate) address: JobsAddress,
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) total: i64,
    /// How many jobs there are in each state that pass the other filters.
    pub(crate) counts: Vec<(JobStatus, i64)>,
    pub(crate) providers: Vec<ProviderChoice>,
    /// What to do first, where no provider is set up yet.
    pub(crate) first_step: Option<String>,
}

/// A provider by which the list can be filtered.
#[derive(Debug, Clone)]
pub(crate) struct ProviderChoice {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) lists_jobs: bool,
}

/// A filter by state.
#[derive(Debug)]
pub(crate) struct Chip {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) href: String,
    pub(crate) count: String,
    pub(crate) is_current: bool,
    pub(crate) has_icon: bool,
}

/// Why a list is empty, and what to do about it.
#[derive(Debug)]
pub(crate) struct Empty {
    pub(crate) title: &'static str,
    pub(crate) text: String,
    pub(crate) href: Option<&'static str>,
}

impl JobList<'_> {
    pub(crate) fn chips(&self) -> Vec<Chip> {
        let chosen = &self.address.0.statuses;
        let all = Chip {
            name: "all",
            title: "All".to_owned(),
            href: self.address.with_statuses(&[]).href(),
            count: count(self.counts.iter().map(|(_, count)| count).sum()),
            is_current: chosen.is_empty(),
            has_icon: false,
        };
        let of_status = |status: JobStatus| {
            let jobs = self.counts.iter().find(|(known, _)| *known == status);
            let jobs = jobs.map_or(0, |(_, count)| *count);
            let is_current = chosen.contains(&status);
            // No provider of today uploads through us.
            let is_shown = status != JobStatus::Uploading || jobs > 0 || is_current;
            is_shown.then(|| Chip {
                name: status.as_str(),
                title: capitalised(status.as_str()),
                href: self.address.with_statuses(&[status]).href(),
                count: count(jobs),
                is_current,
                has_icon: true,
            })
        };
        std::iter::once(all).chain(JobStatus::ALL.into_iter().filter_map(of_status)).collect()
    }

    pub(crate) fn syncable(&self) -> impl Iterator<Item = &ProviderChoice> {
        self.providers.iter().filter(|provider| provider.lists_jobs)
    }

    pub(crate) fn is_syncing_several(&self) -> bool {
        self.syncable().count() > 1
    }

    /// Which of all the jobs these are.
    pub(crate) fn shown(&self) -> String {
        let first = i64::from(self.address.0.offset) + 1;
        let last = first - 1 + self.rows.len() as i64;
        if first == 1 && last >= self.total {
            let noun = if self.total == 1 { "job" } else { "jobs" };
            return format!("{} {noun}", count(self.total));
        }
        format!("{} to {} of {} jobs", count(first), count(last), count(self.total))
    }

    pub(crate) fn newer(&self) -> Option<String> {
        let JobQuery { offset, limit, .. } = self.address.0;
        (offset > 0).then(|| self.address.at(offset.saturating_sub(limit)).href())
    }

    pub(crate) fn older(&self) -> Option<String> {
        let JobQuery { offset, limit, .. } = self.address.0;
        let next = offset.saturating_add(limit);
        (i64::from(next) < self.total).then(|| self.address.at(next).href())
    }

    pub(crate) fn empty(&self) -> Empty {
        match &self.first_step {
            _ if self.address.is_filtered() || self.total > 0 => Empty {
                title: "No job matches",
                text: "Nothing passes these filters.".to_owned(),
                href: Some("/"),
            },
            Some(step) => Empty { title: "No account yet", text: step.clone(), href: None },
            None => Empty {
                title: "No jobs yet",
                text: "Sync finds the jobs that the account has; new ones appear by themselves."
                    .to_owned(),
                href: None,
            },
        }
    }
}

/// The address of a list: its filters, as the API has them too.
#[derive(Debug, Clone)]
pub(crate) struct JobsAddress(pub(crate) JobQuery);

impl JobsAddress {
    pub(crate) fn text(&self) -> &str {
        self.0.text.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_of(&self, provider: &str) -> bool {
        self.0.provider.as_deref() == Some(provider)
    }

    /// Every order: its word on the wire, and for people.
    pub(crate) fn sorts(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        JobSort::ALL.into_iter().map(|(word, sort)| {
            let title = match sort {
                JobSort::Newest => "Newest first",
                JobSort::Oldest => "Oldest first",
                JobSort::Cost => "By cost",
                JobSort::Name => "By name",
            };
            (word, title, sort == self.0.sort)
        })
    }

    fn is_filtered(&self) -> bool {
        let JobQuery { text, provider, statuses, job_type, .. } = &self.0;
        text.is_some() || provider.is_some() || !statuses.is_empty() || job_type.is_some()
    }

    fn with_statuses(&self, statuses: &[JobStatus]) -> Self {
        Self(JobQuery { statuses: statuses.to_vec(), offset: 0, ..self.0.clone() })
    }

    fn at(&self, offset: u32) -> Self {
        Self(JobQuery { offset, ..self.0.clone() })
    }

    /// What of it a search keeps, besides what its own fields hold.
    pub(crate) fn hidden(&self) -> Vec<(&'static str, String)> {
        let kept = self.parameters().into_iter();
        kept.filter(|(name, _)| !["q", "provider", "sort", "offset"].contains(name)).collect()
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let JobQuery { limit, offset, statuses, job_type, provider, text, sort } = &self.0;
        let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
        let sort = JobSort::ALL.into_iter().find(|(_, known)| known == sort);
        let given = [
            ("status", (!words.is_empty()).then(|| words.join(","))),
            ("q", text.clone()),
            ("provider", provider.clone()),
            ("job_type", job_type.map(|job_type| job_type.as_str().to_owned())),
            ("sort", sort.map(|(word, _)| word.to_owned()).filter(|word| word != "newest")),
            ("limit", (*limit != LIMIT_DEFAULT).then(|| limit.to_string())),
            ("offset", (*offset > 0).then(|| offset.to_string())),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The query string, without what is usual.
    fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.parameters()).finish()
    }

    /// Where what changes of the list is asked for.
    pub(crate) fn updates(&self) -> String {
        format!("/updates/jobs?{}", self.query())
    }

    fn href(&self) -> String {
        let query = self.query();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_what_is_not_usual_and_nothing_else() {
        assert_eq!(JobsAddress(JobQuery::default()).href(), "/");
        let query = JobQuery {
            statuses: vec![JobStatus::Running, JobStatus::Queued],
            text: Some("a&b=\"c\"".to_owned()),
            sort: JobSort::Cost,
            offset: 50,
            ..JobQuery::default()
        };
        assert_eq!(
            JobsAddress(query).href(),
            "/?status=running%2Cqueued&q=a%26b%3D%22c%22&sort=cost&offset=50"
        );
    }

    #[test]
    fn another_filter_begins_at_the_first_page() {
        let address = JobsAddress(JobQuery { offset: 100, ..JobQuery::default() });
        assert_eq!(address.with_statuses(&[JobStatus::Failed]).href(), "/?status=failed");
    }
}

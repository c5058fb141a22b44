//! The log of events.

use std::collections::HashMap;

use askama::Template;
use url::form_urlencoded;

use super::frame::Frame;
use super::job_row::in_words;
use super::text::{Instant, capitalised};
use crate::domain::activity::{Activity, GROUPS};
use crate::domain::event::Seq;
use crate::domain::job::JobId;

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "activity.html")]
pub(crate) struct ActivityPage {
    pub(crate) frame: Frame,
    pub(crate) activity: ActivityList,
}

/// Events that were looked for.
#[derive(Debug)]
pub(crate) struct ActivityList {
    /// The group of kinds that is shown; None for all.
    pub(crate) group: Option<&'static str>,
    pub(crate) job_id: Option<String>,
    pub(crate) entries: Vec<ActivityRow>,
    pub(crate) next_before: Option<Seq>,
}

/// An event.
#[derive(Debug)]
pub(crate) struct ActivityRow {
    pub(crate) seq: Seq,
    pub(crate) at: Instant,
    pub(crate) group: &'static str,
    pub(crate) job_id: Option<String>,
    pub(crate) job_name: String,
    pub(crate) source: Option<&'static str>,
    pub(crate) words: String,
}

impl ActivityRow {
    /// An event, with what its job is called now, if it still is.
    pub(crate) fn new(activity: Activity, names: &HashMap<JobId, String>) -> Self {
        let Activity { seq, at, kind, job_id, source, words } = activity;
        let group = GROUPS.into_iter().find(|(_, kinds)| kinds.contains(&kind.as_str()));
        let name = job_id.as_ref().and_then(|id| names.get(id)).cloned();
        let job_id = job_id.map(|id| id.0);
        let job_name = name.or_else(|| job_id.clone()).unwrap_or_default();
        let group = group.map_or("other", |(name, _)| name);
        let source = source.map(in_words);
        Self { seq, at: Instant(at), group, job_id, job_name, source, words }
    }
}

/// A filter by kind.
#[derive(Debug)]
pub(crate) struct GroupChip {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) href: String,
    pub(crate) is_current: bool,
}

impl ActivityList {
    pub(crate) fn chips(&self) -> Vec<GroupChip> {
        let groups = std::iter::once(None).chain(GROUPS.into_iter().map(|(name, _)| Some(name)));
        let chip = |group: Option<&'static str>| GroupChip {
            name: group.unwrap_or("all"),
            title: capitalised(group.unwrap_or("all")),
            href: self.href(group, None),
            is_current: group == self.group,
        };
        groups.map(chip).collect()
    }

    /// The kinds of events that are shown; all where there are none.
    pub(crate) fn kinds(&self) -> String {
        let group = GROUPS.into_iter().find(|(name, _)| Some(*name) == self.group);
        group.map(|(_, kinds)| kinds.join(" ")).unwrap_or_default()
    }

    pub(crate) fn job_title(&self) -> &str {
        let named = self.entries.iter().find(|entry| entry.job_id == self.job_id);
        let named = named.map(|entry| entry.job_name.as_str());
        named.or(self.job_id.as_deref()).unwrap_or_default()
    }

    pub(crate) fn older(&self) -> Option<String> {
        self.next_before.map(|before| self.href(self.group, Some(before)))
    }

    pub(crate) fn empty_text(&self) -> &'static str {
        match self.next_before {
            Some(_) => "Nothing of this kind among so many events; there are older ones.",
            None => {
                "Every change of a job, of the queue and of the budget stands here once it happens."
            }
        }
    }

    fn href(&self, group: Option<&str>, before: Option<Seq>) -> String {
        let before = before.map(|before| before.to_string());
        let given =
            [("type", group), ("job", self.job_id.as_deref()), ("before", before.as_deref())];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        if query.is_empty() { "/activity".to_owned() } else { format!("/activity?{query}") }
    }
}

//! All jobs of the account in the order of the lists, and the pages of those lists.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use super::job::Job;
use super::status::JobKind;

/// Items on a page.
pub(super) const PAGE_SIZE: usize = 100;

/// Where a job stands in its list. The sequence keeps jobs of the same millisecond in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrderKey {
    kind: JobKind,
    created_at: DateTime<Utc>,
    sequence: u64,
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageQuery {
    pub(super) cursor: Option<Cursor>,
    /// Inclusive.
    pub(super) created_after: Option<DateTime<Utc>>,
    /// Exclusive.
    pub(super) created_before: Option<DateTime<Utc>>,
}

/// A place in a list that stays right while jobs are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    OlderThan { created_at: DateTime<Utc>, sequence: u64 },
    NewerThan { created_at: DateTime<Utc>, sequence: u64 },
}

impl Cursor {
    /// The opaque form that stands in a URL.
    pub(super) fn encode(self) -> String {
        let (direction, created_at, sequence) = match self {
            Self::OlderThan { created_at, sequence } => ("o", created_at, sequence),
            Self::NewerThan { created_at, sequence } => ("n", created_at, sequence),
        };
        BASE64_URL_SAFE_NO_PAD
            .encode(format!("{direction}.{}.{sequence}", created_at.timestamp_micros()))
    }

    /// The cursor of a URL, or `None` if no list ever gave it out.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(3, '.');
        let direction = parts.next()?;
        let created_at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
        let sequence = parts.next()?.parse().ok()?;
        match direction {
            "o" => Some(Self::OlderThan { created_at, sequence }),
            "n" => Some(Self::NewerThan { created_at, sequence }),
            _ => None,
        }
    }
}

/// A page: newest first.
pub(super) struct Page<'a> {
    pub(super) jobs: Vec<&'a Job>,
    /// Of the page of older jobs.
    pub(super) next: Option<Cursor>,
    /// Of the page of newer jobs.
    pub(super) previous: Option<Cursor>,
}

/// The jobs of the account.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    jobs: BTreeMap<OrderKey, Job>,
    keys: HashMap<String, OrderKey>,
    next_sequence: u64,
}

impl Ledger {
    pub(super) fn insert(&mut self, job: Job) -> OrderKey {
        let key =
            OrderKey { kind: job.kind, created_at: job.created_at, sequence: self.next_sequence };
        self.next_sequence += 1;
        self.keys.insert(job.id.clone(), key);
        self.jobs.insert(key, job);
        key
    }

    pub(super) fn reserve(&mut self, additional: usize) {
        self.keys.reserve(additional);
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn key(&self, id: &str) -> Option<OrderKey> {
        self.keys.get(id).copied()
    }

    pub(super) fn get(&self, key: OrderKey) -> Option<&Job> {
        self.jobs.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: OrderKey) -> Option<&mut Job> {
        self.jobs.get_mut(&key)
    }

    /// The page of the list of `kind` that `query` asks for.
    pub(super) fn page(&self, kind: JobKind, query: &PageQuery) -> Page<'_> {
        let oldest = query.created_after.unwrap_or(DateTime::<Utc>::MIN_UTC);
        let newest = query.created_before.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let at = |created_at, sequence| OrderKey { kind, created_at, sequence };
        let mut lower = Bound::Included(at(oldest, 0));
        let mut upper = Bound::Excluded(at(newest, 0));
        if oldest > newest {
            // A range may not end before it begins; an empty one is what was asked for.
            lower = Bound::Included(at(newest, 0));
        }
        let whole = (lower, upper);
        let entries: Vec<(&OrderKey, &Job)> = match query.cursor {
            Some(Cursor::NewerThan { created_at, sequence }) => {
                lower =
                    Bound::Excluded(at(created_at, sequence).clamp(at(oldest, 0), at(newest, 0)));
                let mut ascending: Vec<_> = self.range(lower, upper).take(PAGE_SIZE).collect();
                ascending.reverse();
                ascending
            }
            Some(Cursor::OlderThan { created_at, sequence }) => {
                upper =
                    Bound::Excluded(at(created_at, sequence).clamp(at(oldest, 0), at(newest, 0)));
                self.range(lower, upper).rev().take(PAGE_SIZE).collect()
            }
            None => self.range(lower, upper).rev().take(PAGE_SIZE).collect(),
        };
        let (newest_key, oldest_key) =
            (entries.first().map(|e| *e.0), entries.last().map(|e| *e.0));
        let has_older =
            |key: &OrderKey| self.range(whole.0, Bound::Excluded(*key)).next().is_some();
        let has_newer =
            |key: &OrderKey| self.range(Bound::Excluded(*key), whole.1).next().is_some();
        Page {
            next: oldest_key.filter(has_older).map(|key| Cursor::OlderThan {
                created_at: key.created_at,
                sequence: key.sequence,
            }),
            previous: newest_key.filter(has_newer).map(|key| Cursor::NewerThan {
                created_at: key.created_at,
                sequence: key.sequence,
            }),
            jobs: entries.into_iter().map(|(_, job)| job).collect(),
        }
    }

    fn range(
        &self,
        lower: Bound<OrderKey>,
        upper: Bound<OrderKey>,
    ) -> impl DoubleEndedIterator<Item = (&OrderKey, &Job)> {
        self.jobs.range((lower, upper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::seed;

    fn ledger(count: u32) -> Ledger {
        let mut ledger = Ledger::default();
        let plan = seed::Seed {
            count,
            newest_at: Some(at(count)),
            interval_milliseconds: 1000,
            ..seed::Seed::default()
        };
        for job in seed::jobs(&plan, DateTime::UNIX_EPOCH) {
            ledger.insert(job);
        }
        ledger
    }

    fn at(seconds: u32) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(i64::from(seconds))
    }

    fn created(page: &Page<'_>) -> Vec<DateTime<Utc>> {
        page.jobs.iter().map(|job| job.created_at).collect()
    }

    #[test]
    fn following_next_shows_every_job_once_and_newest_first() {
        let ledger = ledger(250);
        let mut query = PageQuery::default();
        let mut seen = Vec::new();
        loop {
            let page = ledger.page(JobKind::Prediction, &query);
            seen.extend(created(&page));
            match page.next {
                Some(next) => query.cursor = Cursor::decode(&next.encode()),
                None => break,
            }
        }
        assert_eq!(seen, (1..=250).rev().map(at).collect::<Vec<_>>());
    }

    #[test]
    fn previous_leads_back_to_the_page_before() {
        let ledger = ledger(250);
        let first = ledger.page(JobKind::Prediction, &PageQuery::default());
        assert!(first.previous.is_none());
        let second = ledger
            .page(JobKind::Prediction, &PageQuery { cursor: first.next, ..PageQuery::default() });
        let back = ledger.page(
            JobKind::Prediction,
            &PageQuery { cursor: second.previous, ..PageQuery::default() },
        );
        assert_eq!(created(&back), created(&first));
    }

    #[test]
    fn created_after_is_inclusive_and_created_before_is_not() {
        let ledger = ledger(10);
        let query = PageQuery {
            created_after: Some(at(3)),
            created_before: Some(at(5)),
            ..PageQuery::default()
        };
        assert_eq!(created(&ledger.page(JobKind::Prediction, &query)), [at(4), at(3)]);
        let backwards = PageQuery {
            created_after: Some(at(5)),
            created_before: Some(at(3)),
            ..PageQuery::default()
        };
        assert!(ledger.page(JobKind::Prediction, &backwards).jobs.is_empty());
    }
}

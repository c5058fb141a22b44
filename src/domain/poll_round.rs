//! A round of polling: which jobs it asks for, which of them are found on pages of the provider's
//! list, and which had better be asked for one by one. It makes no call; whoever drives it does.

use std::collections::BTreeMap;

use super::liveness::{GONE_AFTER, Liveness};
use super::observation::Observation;
use super::poll_plan::cheapest_page_count;
use super::timestamp::Timestamp;

/// The most entries of the provider's list that are assumed to stand between two known ones.
const LISTED_PER_KNOWN_MAX: f64 = 10_000.0;

/// Which of the jobs that have not ended, or whose end is not confirmed, a round asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundScope {
    now: Timestamp,
    /// Those that nobody confirmed since then.
    unconfirmed_since: Timestamp,
    /// And the running ones whose log nobody read since then; None for no logs.
    unread_since: Option<Timestamp>,
    /// But of the jobs that are gone only those that were not asked for since then.
    gone_unasked_since: Timestamp,
}

/// How a round asks for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayToAsk {
    /// By whatever costs least.
    Cheaply,
    /// By itself: no list shows its log.
    ForLog,
}

impl RoundScope {
    /// Every job, also those that are gone: somebody wants to know.
    pub fn everything(now: Timestamp) -> Self {
        Self { now, unconfirmed_since: now, unread_since: None, gone_unasked_since: now }
    }

    /// Every job; those that are gone now and then.
    pub fn routine(now: Timestamp) -> Self {
        Self { gone_unasked_since: now - GONE_AFTER, ..Self::everything(now) }
    }

    /// What nobody looked at for half of the pause between two reconciliations. A job that the last one
    /// confirmed is then asked for by this one, and not only by every second.
    pub fn reconciliation(now: Timestamp, pause: chrono::Duration) -> Self {
        let lately = now - pause / 2;
        Self { unconfirmed_since: lately, unread_since: Some(lately), ..Self::routine(now) }
    }

    /// How to ask for a job; None where the round does not.
    pub fn asks(
        &self,
        is_running: bool,
        confirmed_at: Option<Timestamp>,
        liveness: &Liveness,
    ) -> Option<WayToAsk> {
        let was_asked = self.is_within(liveness.missing_at(), self.gone_unasked_since);
        if liveness.gone_since().is_some() && was_asked {
            return None;
        }
        let is_unread = |since| !self.is_within(liveness.read_at(), since);
        if is_running && self.unread_since.is_some_and(is_unread) {
            return Some(WayToAsk::ForLog);
        }
        let is_unconfirmed = !self.is_within(confirmed_at, self.unconfirmed_since);
        is_unconfirmed.then_some(WayToAsk::Cheaply)
    }

    /// Whether something happened between an instant and now. What seems to be still to come was noted
    /// before the clock was set back, and nobody knows when.
    fn is_within(&self, at: Option<Timestamp>, since: Timestamp) -> bool {
        at.is_some_and(|at| since <= at && at <= self.now)
    }
}

/// How many entries of the provider's list there are for each one that we know: an account's
/// inference stands between its trainings. It is learnt from the pages that are read, and carried
/// from one round to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Density(f64);

impl Default for Density {
    /// Every entry is known, until a page shows that it is not so.
    fn default() -> Self {
        Self(1.0)
    }
}

/// A round under way.
#[derive(Debug, Clone)]
pub struct PollRound {
    /// The jobs still to be found, with the number of newer ones that we know. In a fixed order, so
    /// that the same round makes the same calls.
    wanted: BTreeMap<String, Option<usize>>,
    density: Density,
    /// How many entries of the list were read.
    listed: usize,
    has_read: bool,
}

impl PollRound {
    /// A round that looks for jobs by the provider's identifiers. Each comes with the number of newer
    /// jobs that we know, where that is known.
    pub fn new(
        wanted: impl IntoIterator<Item = (String, Option<usize>)>,
        density: Density,
    ) -> Self {
        Self { wanted: wanted.into_iter().collect(), density, listed: 0, has_read: false }
    }

    /// Whether reading one more page of the list costs less than asking for each job by itself. How
    /// deep the jobs stand is only guessed before a page shows it, so each page is decided on by what
    /// those before it showed.
    pub fn saves_calls_by_a_page(&self) -> bool {
        let Density(listed_per_known) = self.density;
        let place =
            |newer: usize| ((newer as f64 * listed_per_known) as usize).saturating_sub(self.listed);
        let positions: Vec<_> = self.wanted.values().map(|newer| newer.map(place)).collect();
        cheapest_page_count(&positions) > 0
    }

    /// Takes the wanted jobs out of the next page, and measures how deep in the list they stand.
    pub fn take_page(&mut self, page: Vec<Observation>) -> Vec<Observation> {
        self.has_read = true;
        let mut found = Vec::new();
        let mut measured = None;
        for seen in page {
            self.listed += 1;
            let Some(newer_jobs) = self.wanted.remove(&seen.provider_job_id) else { continue };
            if let Some(newer_jobs) = newer_jobs {
                measured = Some(self.listed as f64 / (newer_jobs + 1) as f64);
            }
            found.push(seen);
        }
        let Density(believed) = self.density;
        // A page that shows none of the jobs tells that they stand deeper than was thought.
        let density = measured.unwrap_or(believed * 2.0).clamp(1.0, LISTED_PER_KNOWN_MAX);
        self.density = Density(density);
        found
    }

    /// Ends the pages, and answers the jobs that were on none of them.
    pub fn take_rest(&mut self) -> Vec<String> {
        if !self.has_read {
            // Nothing was measured, and what was may be out of date.
            let Density(believed) = self.density;
            self.density = Density((believed * 0.9).max(1.0));
        }
        std::mem::take(&mut self.wanted).into_keys().collect()
    }

    /// What was learnt for the next round.
    pub fn density(&self) -> Density {
        self.density
    }
}

#[cfg(test)]
mod tests {
    use super::super::observation::{ProgressReading, Source};
    use super::super::timestamp::from_micros;
    use super::*;

    fn seen(id: &str) -> Observation {
        Observation::silent("replicate", id, Source::Poll, from_micros(0))
    }

    fn page(ids: std::ops::Range<usize>, name: &str) -> Vec<Observation> {
        ids.map(|n| seen(&format!("{name}{n}"))).collect()
    }

    #[test]
    fn every_reconciliation_asks_for_what_the_last_one_confirmed() {
        let pause = chrono::Duration::minutes(5);
        let ended_at = from_micros(1_000_000);
        let confirmed_at = Some(ended_at + chrono::Duration::milliseconds(100));
        let unread = Liveness::default();
        let next = RoundScope::reconciliation(ended_at + pause, pause);
        assert_eq!(next.asks(false, confirmed_at, &unread), Some(WayToAsk::Cheaply));
        assert_eq!(next.asks(true, confirmed_at, &unread), Some(WayToAsk::ForLog));
        let soon = RoundScope::reconciliation(ended_at + pause / 3, pause);
        assert_eq!(soon.asks(false, confirmed_at, &unread), None);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_job_from_being_asked_for() {
        let minute = |minute: i64| from_micros(minute * 60_000_000);
        let in_an_hour = Some(minute(160));
        let unread = Liveness::default();
        let everything = RoundScope::everything(minute(100));
        assert_eq!(everything.asks(false, in_an_hour, &unread), Some(WayToAsk::Cheaply));
        let pause = chrono::Duration::minutes(5);
        let reconciliation = RoundScope::reconciliation(minute(100), pause);
        assert_eq!(reconciliation.asks(false, in_an_hour, &unread), Some(WayToAsk::Cheaply));
        assert_eq!(reconciliation.asks(false, Some(minute(99)), &unread), None);
    }

    #[test]
    fn a_job_that_is_gone_is_asked_for_now_and_then_and_whenever_somebody_wants_to_know() {
        let minute = |minute: i64| from_micros(minute * 60_000_000);
        let missing = |at| Observation::missing("replicate", "p1", minute(at), Some(minute(1)));
        let mut liveness = Liveness::default();
        liveness.take(&missing(1));
        liveness.take(&missing(20));
        let asks = |scope: RoundScope| scope.asks(true, None, &liveness).is_some();
        assert!(!asks(RoundScope::routine(minute(30))));
        assert!(asks(RoundScope::routine(minute(31))));
        assert!(asks(RoundScope::everything(minute(21))));
    }

    #[test]
    fn a_log_that_somebody_reads_is_not_read_again() {
        let minute = |minute: i64| from_micros(minute * 60_000_000);
        let reading = ProgressReading { log_bytes: 1, ..ProgressReading::default() };
        let mut liveness = Liveness::default();
        liveness.take(&Observation {
            observed_at: minute(10),
            progress: Some(reading),
            ..seen("p1")
        });
        let at = |now| RoundScope::reconciliation(minute(now), chrono::Duration::minutes(4));
        assert_eq!(at(12).asks(true, Some(minute(12)), &liveness), None);
        assert_eq!(at(13).asks(true, Some(minute(13)), &liveness), Some(WayToAsk::ForLog));
    }

    fn round(jobs: usize, density: Density) -> PollRound {
        PollRound::new((0..jobs).map(|n| (format!("job{n}"), Some(n))), density)
    }

    #[test]
    fn one_page_finds_every_job_of_an_account_that_only_trains() {
        let mut round = round(50, Density::default());
        assert!(round.saves_calls_by_a_page());
        assert_eq!(round.take_page(page(0..100, "job")).len(), 50);
        assert!(!round.saves_calls_by_a_page());
        assert_eq!(round.take_rest(), Vec::<String>::new());
    }

    #[test]
    fn a_single_job_is_asked_for_by_itself() {
        let mut round = round(1, Density::default());
        assert!(!round.saves_calls_by_a_page());
        assert_eq!(round.take_rest(), ["job0"]);
    }

    #[test]
    fn pages_of_inference_alone_are_not_read_for_ever() {
        let mut round = round(20, Density::default());
        let mut pages = 0;
        while round.saves_calls_by_a_page() {
            assert_eq!(round.take_page(page(0..100, "inference")), []);
            pages += 1;
        }
        assert!(pages < 20, "{pages} pages, where 20 single calls would have done");
        assert_eq!(round.take_rest().len(), 20);
    }

    #[test]
    fn the_next_round_knows_how_deep_the_jobs_stand() {
        let mut first = round(3, Density::default());
        let mut among_inference = page(0..99, "inference");
        among_inference.push(seen("job0"));
        assert_eq!(first.take_page(among_inference).len(), 1);
        assert!(!round(3, first.density()).saves_calls_by_a_page());
    }

    #[test]
    fn what_was_learnt_fades_while_no_page_confirms_it() {
        let mut density = Density(10_000.0);
        for _ in 0..200 {
            let mut round = round(3, density);
            round.take_rest();
            density = round.density();
        }
        assert!(round(3, density).saves_calls_by_a_page());
    }
}

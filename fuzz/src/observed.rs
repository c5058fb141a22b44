//! What must hold of an observation, whoever it is from.

use jobsyncd::domain::cost::Prices;
use jobsyncd::domain::job::Job;
use jobsyncd::domain::job_view::JobView;
use jobsyncd::domain::observation::{Observation, merge};
use jobsyncd::domain::timestamp::{Timestamp, from_micros};

/// The longest identifier of a job, in bytes.
const ID_BYTES_MAX: usize = 200;

/// When everything is read: a fixed time, so that a finding can be repeated.
pub(super) fn now() -> Timestamp {
    from_micros(1_795_457_000_000_000)
}

/// An observation can be stored, merged and shown, and says nothing new the second time.
pub(super) fn check(said: &Observation) {
    let id = &said.provider_job_id;
    assert!(!id.is_empty() && id.len() <= ID_BYTES_MAX, "{id:?}");
    assert!(!id.chars().any(char::is_control), "{id:?}");
    let said = said.storable();
    assert_eq!(*said, *said.storable());

    let unheard_of = Job::unheard_of(&said.provider, id, said.observed_at);
    let change = merge(&unheard_of, &said);
    let mut job = change.map_or(unheard_of, |change| change.job);
    let prices = Prices::replicate([]);
    prices.apply(&mut job);
    assert_eq!(merge(&job, &said), None, "it changes something the second time");
    assert!(job.cost_micro_usd.is_none_or(|cost| cost >= 0), "{job:?}");
    serde_json::to_string(&JobView::new(&job, &prices, now())).expect("a job is JSON");
    let texts = [&job.error_message, &job.output_url, &job.model, &job.version, &job.web_url];
    let has_nul = |text: &&Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
    assert_eq!(texts.iter().copied().find(has_nul), None, "PostgreSQL stores no NUL");
}

//! The laws of the merge, over all orders of generated histories.

use std::mem::discriminant;

use jobsyncd::config::DatabaseUrl;
use jobsyncd::db::audit::audit;
use jobsyncd::db::connection::{Connection, Role};
use jobsyncd::db::observations::{Report, record};
use jobsyncd::domain::cost::Prices;
use jobsyncd::domain::job::{Job, JobStatus};
use jobsyncd::domain::liveness::Alarm;
use jobsyncd::domain::observation::{Observation, ProgressReading, Source, merge};
use jobsyncd::domain::progress::Progress;
use jobsyncd::domain::timestamp::{Timestamp, from_micros};
use jobsyncd::domain::trainers_word::{Counts, Told, TrainersWord};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::{collection, option};

/// Few values each, so that observations often agree, and often in part. Six minutes lie between two
/// instants, so that some are far enough apart for an alarm, and some are not.
fn instant() -> impl Strategy<Value = Timestamp> {
    (0_i64..4).prop_map(|n| from_micros(n * 360_000_000))
}

fn text() -> impl Strategy<Value = Option<String>> {
    option::of(select(vec!["a", "b", "c"]).prop_map(str::to_owned))
}

/// Names that tell the hardware, and one that does not.
fn model() -> impl Strategy<Value = Option<String>> {
    option::of(select(vec!["a", "b-h100", "c-t4"]).prop_map(str::to_owned))
}

fn progress() -> impl Strategy<Value = Option<ProgressReading>> {
    let numbers = (
        (0_u64..3, 0_u32..2, 0_u32..2, option::of(0_u64..3)),
        option::of(select(vec![0.1, 0.25])),
        option::of(0_u64..3),
    );
    option::of(numbers.prop_map(
        |((log_bytes, generation, restarts, step), loss, loss_not_finite_step)| {
            let progress =
                Progress { restarts, step, loss, loss_not_finite_step, ..Progress::default() };
            ProgressReading { progress, log_bytes, generation, ..ProgressReading::default() }
        },
    ))
}

/// What a trainer tells, some of it at the same moment as something else.
fn trainer() -> impl Strategy<Value = Option<Box<TrainersWord>>> {
    let told = (instant(), option::of(0_u64..3), option::of(select(vec![0.1, 0.25])), text());
    option::of(told.prop_map(|(at, step, loss, failure)| {
        let counts = step.map(|step| Counts { step: Some(step), ..Counts::default() });
        Box::new(TrainersWord {
            counts: counts.map(|counts| Told::new(at, counts)),
            loss: loss.map(|loss| Told::new(at, loss)),
            failure: failure.map(|words| Told::new(at, words)),
            ..TrainersWord::default()
        })
    }))
}

prop_compose! {
    fn observation()(
        (status, by_provider, observed_at) in
            (option::of(select(JobStatus::ALL.to_vec())), any::<bool>(), instant()),
        source in select(vec![Source::Webhook, Source::Poll, Source::Sync]),
        (created_at, started_at, completed_at) in
            (option::of(instant()), option::of(instant()), option::of(instant())),
        predict_time_micros in option::of(0_i64..3),
        (error_message, output_url, provider_status) in (text(), text(), text()),
        (model, version, web_url, run_name) in (model(), text(), text(), text()),
        progress in progress(),
        trainer in trainer(),
        missing_since in option::weighted(0.3, instant()),
    ) -> Observation {
        if let Some(since) = missing_since {
            let since = since.min(observed_at);
            return Observation::missing("replicate", "p1", observed_at, Some(since));
        }
        Observation {
            by_provider, status, provider_status, created_at, started_at, completed_at,
            predict_time_micros, error_message, output_url, model, version, web_url, run_name,
            progress, trainer,
            ..Observation::silent("replicate", "p1", source, observed_at)
        }
    }
}

fn unheard_of() -> Job {
    // Later than every observation: who hears of a job first does not say when it began.
    Job::unheard_of("replicate", "p1", from_micros(i64::MAX / 4_000))
}

fn told<'a>(observations: impl IntoIterator<Item = &'a Observation>) -> Job {
    observations
        .into_iter()
        .fold(unheard_of(), |job, said| merge(&job, said).map_or(job, |change| change.job))
}

/// Every order of up to five observations.
fn orders<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: usize| {
        let mut rest = of.to_vec();
        let first = rest.remove(first);
        orders(&rest).into_iter().map(move |mut order| {
            order.push(first.clone());
            order
        })
    };
    (0..of.len()).flat_map(with_first).collect()
}

/// The order of ends: by the provider's clock, then a fixed one.
fn weight(said: &Observation) -> (u8, std::cmp::Reverse<Timestamp>, u8) {
    let status = said.status.unwrap_or(JobStatus::Running);
    let never = from_micros(i64::MAX / 2_000);
    let ended_at = said.completed_at.filter(|_| status.is_terminal()).unwrap_or(never);
    let tie = match status {
        JobStatus::Cancelled => 1,
        JobStatus::Failed => 2,
        JobStatus::Completed => 3,
        _ => 0,
    };
    (status.rank(), std::cmp::Reverse(ended_at), tie)
}

/// Which of the values that a job can have it has.
fn known(job: &Job) -> Vec<bool> {
    vec![
        job.provider_status.is_some(),
        job.model.is_some(),
        job.version.is_some(),
        job.web_url.is_some(),
        job.run_name.is_some(),
        job.provider_created_at.is_some(),
        job.started_at.is_some(),
        job.completed_at.is_some(),
        job.status_since.is_some(),
        job.predict_time_micros.is_some(),
        job.error_message.is_some(),
        job.output_url.is_some(),
        job.progress.is_some(),
        job.shown_progress().is_some(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_observation_again_changes_nothing(
        history in collection::vec(observation(), 1..6),
        again in any::<prop::sample::Index>(),
    ) {
        let job = told(&history);
        prop_assert_eq!(merge(&job, again.get(&history)), None);
    }

    #[test]
    fn every_order_ends_in_the_same_job(
        history in collection::vec(observation(), 1..=5),
    ) {
        let job = told(&history);
        for order in orders(&history) {
            prop_assert_eq!(&told(&order), &job, "{:#?}", order);
        }
    }

    #[test]
    fn any_duplication_ends_in_the_same_job(
        (history, again) in collection::vec(observation(), 1..6).prop_flat_map(|history| {
            let again = proptest::sample::subsequence(history.clone(), 0..=history.len());
            (Just(history), again.prop_shuffle())
        }),
    ) {
        let job = told(&history);
        prop_assert_eq!(told(again.iter().chain(&history).chain(&again)), job);
    }

    #[test]
    fn a_status_never_goes_back_and_no_value_is_lost(
        history in collection::vec(observation(), 1..12),
    ) {
        let mut job = unheard_of();
        for said in &history {
            let Some(change) = merge(&job, said) else { continue };
            prop_assert_eq!(change.previous, job.status);
            prop_assert!(change.job.status.rank() >= job.status.rank());
            prop_assert!(known(&job).iter().zip(known(&change.job)).all(|(was, is)| is >= *was));
            // Silence about the state leaves it alone.
            prop_assert!(said.status.is_some() || !change.is_transition());
            // An alarm that is on is not raised again, and one that is raised is on.
            for alarm in &change.alarms {
                prop_assert!(change.job.alarms().any(|on| on == *alarm));
                let same = |other: Alarm| discriminant(&other) == discriminant(alarm);
                prop_assert!(!job.alarms().any(same));
            }
            job = change.job;
        }
    }

    #[test]
    fn the_state_is_of_the_weightiest_observation_and_so_is_every_disputed_value(
        history in collection::vec(observation(), 1..8),
    ) {
        let job = told(&history);
        let with_status = history.iter().filter(|said| said.status.is_some());
        let weightiest = with_status.max_by_key(|said| weight(said));
        let state = weightiest.and_then(|said| said.status).unwrap_or(JobStatus::Pending);
        prop_assert_eq!(job.status, state);

        let heaviest = |value: fn(&Observation) -> Option<&String>| {
            history.iter()
                .filter_map(|said| Some((weight(said), value(said)?)))
                .max()
                .map(|(_, value)| value.clone())
        };
        prop_assert_eq!(&job.error_message, &heaviest(|said| said.error_message.as_ref()));
        prop_assert_eq!(&job.output_url, &heaviest(|said| said.output_url.as_ref()));
        let started_at = history.iter().filter_map(|said| said.started_at).min();
        prop_assert_eq!(job.started_at, started_at);
        let longest_log =
            history.iter().filter_map(|said| said.progress.as_ref()).map(|p| p.log_bytes).max();
        prop_assert_eq!(job.progress.is_some(), longest_log.is_some());
        // Only the provider confirms, and only the state that the job is in.
        let confirmed = history.iter()
            .filter(|said| said.by_provider && said.status.is_some())
            .filter(|said| Some(weight(said)) == weightiest.map(weight))
            .map(|said| (said.observed_at, said.source))
            .max();
        let nothing_said = job.status == JobStatus::Pending;
        prop_assert!(nothing_said || (job.confirmed_at, job.confirmed_by()) == confirmed.unzip());
    }

    #[test]
    fn a_progress_is_the_same_after_it_was_stored(
        loss in any::<f64>().prop_filter("JSON has only finite numbers", |number| number.is_finite()),
    ) {
        let progress =
            Progress { loss: Some(loss), eta_seconds: Some(loss / 3.0), ..Progress::default() };
        let stored = serde_json::to_string(&progress).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Progress>(&stored).expect("a progress"), progress);
    }
    #[test]
    fn the_log_of_events_tells_what_is_stored_whatever_was_observed(
        batches in collection::vec(collection::vec((observation(), select(vec!["p1", "p2"])), 1..4), 1..6),
    ) {
        let mut connection =
            Connection::open(&DatabaseUrl::Sqlite(":memory:".into()), Role::Writer).expect("a database");
        connection.migrate().expect("tables");
        let prices = Prices::replicate([]);
        for batch in batches {
            let reports: Vec<_> = batch
                .into_iter()
                .map(|(said, id)| Observation { provider_job_id: id.to_owned(), ..said })
                .map(|said| Report::of_call(said, true))
                .collect();
            let recorded = record(&mut connection, &reports, &prices, from_micros(9));
            recorded.expect("a commit");
        }
        let mut findings = Vec::new();
        audit(&mut connection, from_micros(9), |finding| findings.push(finding.clone()))
            .expect("an audit");
        prop_assert_eq!(findings, []);
    }
}

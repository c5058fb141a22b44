//! The queue of jobs that wait to be handed to a provider: who is next, why the others wait, and for
//! about how long.
//!
//! Higher priorities go first, and of one priority whoever came first. A user who has as many jobs
//! under way as one may have is passed by; nobody waits for somebody else's limit.

mod entry;
mod schedule;
mod waits;

pub use self::entry::{Priority, QueueEntry, QueueStatus};
pub use self::schedule::{Limits, Schedule, WaitReason, back_off};
pub use self::waits::estimate_waits;

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::job::JobId;
    use crate::domain::timestamp::{Timestamp, from_micros};

    fn second(second: i64) -> Timestamp {
        from_micros(second * 1_000_000)
    }

    fn entry(id: i64, priority: u8, status: QueueStatus) -> QueueEntry {
        QueueEntry {
            id,
            job_id: JobId(format!("job{id}")),
            provider: "replicate".to_owned(),
            user_id: None,
            config_name: None,
            priority: Priority::new(priority.into()).expect("a priority"),
            priority_override: None,
            status,
            queued_at: second(0),
            not_before: None,
            submitted_at: None,
            started_at: None,
            completed_at: None,
            attempt: 0,
            max_attempts: 3,
            error_message: None,
            estimated_cost_micro_usd: None,
            retry_of: None,
            remaining_seconds: None,
        }
    }

    fn waiting(id: i64, priority: u8) -> QueueEntry {
        entry(id, priority, QueueStatus::Pending)
    }

    fn limits(max_concurrent: usize) -> Limits {
        Limits { max_concurrent, user_max_concurrent: 2, is_paused: false }
    }

    fn next(entries: &[QueueEntry], limits: Limits) -> Vec<i64> {
        let schedule = Schedule::new(entries, limits, second(100));
        schedule.next().map(|entry| entry.id).collect()
    }

    #[test]
    fn higher_priorities_go_first_and_of_one_whoever_came_first() {
        let entries = [waiting(1, 10), waiting(2, 10), waiting(3, 40), waiting(4, 0)];
        assert_eq!(next(&entries, limits(10)), [3, 1, 2, 4]);
        assert_eq!(next(&entries, limits(2)), [3, 1]);
    }

    #[test]
    fn what_is_under_way_takes_its_place_also_while_nobody_knows_whether_it_was_taken() {
        let entries = [
            entry(1, 10, QueueStatus::Running),
            entry(2, 10, QueueStatus::Submitting),
            waiting(3, 10),
            waiting(4, 10),
        ];
        assert_eq!(next(&entries, limits(3)), [3]);
        assert_eq!(next(&entries, limits(2)), Vec::<i64>::new());
    }

    #[test]
    fn a_user_at_the_limit_holds_up_nobody_else() {
        let of =
            |user: &str, entry: QueueEntry| QueueEntry { user_id: Some(user.to_owned()), ..entry };
        let entries = [
            of("ann", entry(1, 10, QueueStatus::Running)),
            of("ann", waiting(2, 10)),
            of("ann", waiting(3, 40)),
            of("bob", waiting(4, 0)),
            waiting(5, 0),
            waiting(6, 0),
            waiting(7, 0),
        ];
        let schedule = Schedule::new(&entries, limits(10), second(100));
        assert_eq!(schedule.next().map(|entry| entry.id).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        let reason = schedule.reason(&JobId("job2".to_owned()));
        assert_eq!(reason, Some(&WaitReason::UserLimit { user_max_concurrent: 2 }));
    }

    #[test]
    fn everyone_who_waits_is_told_why() {
        let later = QueueEntry {
            not_before: Some(second(160)),
            error_message: Some("the provider answered 502".to_owned()),
            ..waiting(3, 40)
        };
        let entries = [waiting(1, 10), waiting(2, 10), later];
        let schedule = Schedule::new(&entries, limits(1), second(100));
        let reason = |id: i64| schedule.reason(&JobId(format!("job{id}"))).cloned();
        assert_eq!(reason(1), Some(WaitReason::Next));
        assert_eq!(reason(2), Some(WaitReason::Limit { max_concurrent: 1 }));
        assert_eq!(reason(3), Some(WaitReason::BackOff { until: second(160) }));
        let paused = Limits { is_paused: true, ..limits(10) };
        let schedule = Schedule::new(&entries, paused, second(100));
        assert_eq!(schedule.next().count(), 0);
        assert_eq!(schedule.reason(&JobId("job1".to_owned())), Some(&WaitReason::Paused));
    }

    #[test]
    fn positions_are_counted_from_one_in_the_order_of_the_queue() {
        let entries = [waiting(1, 10), waiting(2, 40), entry(3, 10, QueueStatus::Running)];
        let schedule = Schedule::new(&entries, limits(10), second(100));
        let position = |id: i64| schedule.position(&JobId(format!("job{id}")));
        assert_eq!((position(2), position(1), position(3)), (Some(1), Some(2), None));
    }

    #[test]
    fn the_pause_before_another_attempt_grows_and_is_never_shorter_than_was_asked_for() {
        let pauses: Vec<_> = (1..=6).map(|attempt| back_off(attempt, None).num_seconds()).collect();
        assert_eq!(pauses, [15, 60, 240, 900, 900, 900]);
        assert_eq!(back_off(1, Some(90)), Duration::seconds(90));
        assert_eq!(back_off(2, Some(10)), Duration::seconds(60));
    }

    #[test]
    fn the_wait_follows_from_what_is_under_way_and_how_long_jobs_take() {
        let running =
            QueueEntry { remaining_seconds: Some(30.0), ..entry(1, 10, QueueStatus::Running) };
        let entries = [running, waiting(2, 10), waiting(3, 10)];
        let waits = estimate_waits(&entries, limits(1), second(100), Some(100.0));
        let wait = |id: i64| waits.get(&JobId(format!("job{id}"))).copied();
        assert_eq!((wait(2), wait(3)), (Some(30.0), Some(130.0)));
        assert!(estimate_waits(&entries, limits(1), second(100), None).is_empty());
    }

    #[test]
    fn a_paused_queue_promises_nothing() {
        let paused = Limits { is_paused: true, ..limits(1) };
        assert!(estimate_waits(&[waiting(1, 10)], paused, second(0), Some(9.0)).is_empty());
    }

    proptest! {
        /// Whatever waits: no limit is passed, nobody is next twice, and nobody could be added.
        #[test]
        fn limits_are_kept_and_used(
            people in prop::collection::vec((0..4_u8, 0..=50_u8, 0..3_u8, any::<bool>()), 0..30),
            max_concurrent in 1..6_usize,
        ) {
            let entries: Vec<_> = people
                .iter()
                .zip(1..)
                .map(|(&(user, priority, status, is_late), id)| QueueEntry {
                    user_id: (user > 0).then(|| user.to_string()),
                    not_before: is_late.then(|| second(200)),
                    ..entry(id, priority, [
                        QueueStatus::Pending, QueueStatus::Submitting, QueueStatus::Running,
                    ][usize::from(status)])
                })
                .collect();
            let limits = limits(max_concurrent);
            let chosen = next(&entries, limits);
            let is_under_way = |entry: &QueueEntry| entry.status != QueueStatus::Pending;
            let begun = entries.iter().filter(|entry| is_under_way(entry)).count();
            prop_assert!(begun + chosen.len() <= max_concurrent.max(begun));
            let of = |user: &Option<String>| entries
                .iter()
                .filter(|entry| entry.user_id == *user)
                .filter(|entry| is_under_way(entry) || chosen.contains(&entry.id))
                .count();
            for entry in &entries {
                let is_chosen = chosen.contains(&entry.id);
                if is_chosen {
                    prop_assert!(entry.not_before.is_none() && !is_under_way(entry));
                    prop_assert!(entry.user_id.is_none() || of(&entry.user_id) <= 2);
                } else if entry.status == QueueStatus::Pending && entry.not_before.is_none() {
                    let is_full = begun + chosen.len() >= max_concurrent;
                    prop_assert!(is_full || entry.user_id.is_some() && of(&entry.user_id) >= 2);
                }
            }
        }
    }
}

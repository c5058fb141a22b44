//! Tells no more than one thing of each subject within an interval, and always the last one.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What is being told of each subject. Remembers those of the last interval and no others.
#[derive(Debug)]
pub struct Pacer<K, T> {
    interval: Duration,
    subjects: HashMap<K, Subject<T>>,
}

#[derive(Debug)]
struct Subject<T> {
    told_at: Instant,
    waiting: Option<T>,
}

impl<K: Eq + Hash, T> Pacer<K, T> {
    /// Nothing was told yet.
    pub fn new(interval: Duration) -> Self {
        Self { interval, subjects: HashMap::new() }
    }

    /// Takes news of a subject. Answers them where they may be told now; else they wait, in place of
    /// those that have waited.
    pub fn offer(&mut self, subject: K, news: T, now: Instant) -> Option<T> {
        let interval = self.interval;
        match self.subjects.get_mut(&subject) {
            Some(known) if known.waiting.is_some() || now < known.told_at + interval => {
                known.waiting = Some(news);
                None
            }
            _ => {
                self.subjects.insert(subject, Subject { told_at: now, waiting: None });
                Some(news)
            }
        }
    }

    /// The news that have waited for long enough.
    pub fn take_due(&mut self, now: Instant) -> Vec<T> {
        let interval = self.interval;
        let mut due = Vec::new();
        self.subjects.retain(|_, subject| {
            if now < subject.told_at + interval {
                return true;
            }
            let waiting = subject.waiting.take();
            subject.told_at = now;
            let was_waiting = waiting.is_some();
            due.extend(waiting);
            was_waiting
        });
        due
    }

    /// Drops the news of a subject that wait.
    pub fn drop_waiting(&mut self, subject: &K) {
        if let Some(known) = self.subjects.get_mut(subject) {
            known.waiting = None;
        }
    }

    /// When [`Self::take_due`] has something to do next; None where it has not.
    pub fn next_due(&self) -> Option<Instant> {
        self.subjects.values().map(|subject| subject.told_at + self.interval).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_is_told_at_once_and_the_last_after_a_second() {
        let start = Instant::now();
        let mut pacer = Pacer::new(SECOND);
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(pacer.offer("job", 1, at(0)), Some(1));
        assert_eq!(pacer.offer("job", 2, at(300)), None);
        assert_eq!(pacer.offer("job", 3, at(600)), None);
        assert_eq!(pacer.offer("other", 4, at(600)), Some(4));
        assert_eq!(pacer.next_due(), Some(at(1_000)));
        assert!(pacer.take_due(at(999)).is_empty());
        assert_eq!(pacer.take_due(at(1_000)), [3]);
        // The second begins again with what was told.
        assert_eq!(pacer.offer("job", 5, at(1_500)), None);
        assert_eq!(pacer.take_due(at(2_000)), [5]);
    }

    #[test]
    fn whoever_was_silent_for_a_second_is_told_at_once_and_forgotten() {
        let start = Instant::now();
        let mut pacer = Pacer::new(SECOND);
        assert_eq!(pacer.offer("job", 1, start), Some(1));
        assert_eq!(pacer.offer("job", 2, start + SECOND), Some(2));
        assert!(pacer.take_due(start + 3 * SECOND).is_empty());
        assert_eq!((pacer.next_due(), pacer.subjects.len()), (None, 0));
    }

    #[test]
    fn what_waits_can_be_dropped() {
        let start = Instant::now();
        let mut pacer = Pacer::new(SECOND);
        pacer.offer("job", 1, start);
        pacer.offer("job", 2, start);
        pacer.drop_waiting(&"job");
        assert!(pacer.take_due(start + SECOND).is_empty());
    }
}

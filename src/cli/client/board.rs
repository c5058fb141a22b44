//! What `jobsyncd watch` knows: the active jobs, by the list and by the events after it. Pure.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

/// What is to be shown differently.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// A job is new, or in another state.
    State(String),
    /// A running job has got on.
    Progress(String),
    /// A job has ended, and this is how it is.
    Ended(Value),
    /// A job is not there any more.
    Gone(String),
}

/// The active jobs.
#[derive(Debug, Default)]
pub(super) struct Board {
    jobs: BTreeMap<String, Value>,
    /// The jobs of whose end was told. A stream that goes on may tell of it again.
    ended: HashSet<String>,
}

impl Board {
    /// An active job.
    pub(super) fn job(&self, id: &str) -> Option<&Value> {
        self.jobs.get(id)
    }

    /// How many jobs run, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let running = self.jobs.values().filter(|job| is_running(job)).count();
        (running, self.jobs.len() - running)
    }

    /// Takes the list of the active jobs. Answers what has changed, and which jobs are not on it any
    /// more: how those have ended is not known by it.
    pub(super) fn load(&mut self, jobs: &[Value]) -> (Vec<Change>, Vec<String>) {
        let listed: HashSet<&str> = jobs.iter().filter_map(|job| job["job_id"].as_str()).collect();
        let known = self.jobs.keys();
        let missing = known.filter(|id| !listed.contains(id.as_str())).cloned().collect();
        let changes = jobs.iter().filter_map(|job| self.put(job)).collect();
        (changes, missing)
    }

    /// Takes an event.
    pub(super) fn apply(&mut self, event: &Value) -> Option<Change> {
        let id = event["job_id"].as_str()?;
        match event["type"].as_str()? {
            "job_progress" => {
                let job = self.jobs.get_mut(id)?;
                job["progress"] = event.clone();
                Some(Change::Progress(id.to_owned()))
            }
            "job_deleted" => self.remove(id),
            _ => self.put(&event["job"]),
        }
    }

    /// Forgets a job.
    pub(super) fn remove(&mut self, id: &str) -> Option<Change> {
        self.jobs.remove(id).map(|_| Change::Gone(id.to_owned()))
    }

    /// Takes a job as it is.
    pub(super) fn put(&mut self, job: &Value) -> Option<Change> {
        let id = job["job_id"].as_str()?.to_owned();
        if job["is_active"] != true {
            let was_active = self.jobs.remove(&id).is_some();
            // What had ended long before is discovered like any other, and is no news here.
            let is_news = was_active && self.ended.insert(id);
            return is_news.then(|| Change::Ended(job.clone()));
        }
        if self.ended.contains(&id) {
            // An event of before the end, which the list told of first.
            return None;
        }
        let before = self.jobs.insert(id.clone(), job.clone());
        match before {
            Some(before) if before["status"] == job["status"] => {
                let known = self.jobs.get_mut(&id)?;
                if known["progress"].is_null() {
                    known["progress"] = before["progress"].clone();
                }
                Some(Change::Progress(id))
            }
            _ => Some(Change::State(id)),
        }
    }
}

/// Whether a job runs, rather than waits to.
pub(super) fn is_running(job: &Value) -> bool {
    job["status"] == json!("running")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, status: &str) -> Value {
        let is_active = !matches!(status, "completed" | "failed" | "cancelled");
        json!({"job_id": id, "status": status, "is_active": is_active, "progress": null})
    }

    fn changed(id: &str, status: &str) -> Value {
        json!({"type": "job_status_changed", "job_id": id, "status": status, "job": job(id, status)})
    }

    fn progress(id: &str, percent: u32) -> Value {
        json!({"type": "job_progress", "job_id": id, "progress": percent})
    }

    #[test]
    fn a_job_comes_runs_and_ends() {
        let mut board = Board::default();
        assert_eq!(board.apply(&changed("a", "queued")), Some(Change::State("a".into())));
        assert_eq!(board.counts(), (0, 1));
        assert_eq!(board.apply(&changed("a", "running")), Some(Change::State("a".into())));
        assert_eq!(board.apply(&progress("a", 40)), Some(Change::Progress("a".into())));
        assert_eq!(board.job("a").expect("a job")["progress"]["progress"], 40);
        assert_eq!(board.counts(), (1, 0));
        let end = job("a", "completed");
        assert_eq!(board.apply(&changed("a", "completed")), Some(Change::Ended(end)));
        assert_eq!(board.counts(), (0, 0));
    }

    #[test]
    fn an_end_is_told_once_and_nothing_of_before_it_afterwards() {
        let mut board = Board::default();
        board.load(&[job("a", "running")]);
        assert!(board.put(&job("a", "failed")).is_some());
        let replayed = ["running", "failed"].map(|status| board.apply(&changed("a", status)));
        assert_eq!(replayed, [None, None]);
        assert_eq!(board.apply(&progress("a", 50)), None);
    }

    #[test]
    fn a_job_that_had_ended_before_anybody_knew_it_is_no_news() {
        let mut board = Board::default();
        let discovered =
            json!({"type": "job_discovered", "job_id": "a", "job": job("a", "failed")});
        assert_eq!(board.apply(&discovered), None);
    }

    #[test]
    fn a_list_that_lacks_a_job_says_so() {
        let mut board = Board::default();
        board.load(&[job("a", "running"), job("b", "queued")]);
        let (changes, missing) = board.load(&[job("b", "running"), job("c", "pending")]);
        let expected = ["b", "c"].map(|id| Change::State(id.into()));
        assert_eq!((changes.as_slice(), missing), (expected.as_slice(), vec!["a".to_owned()]));
    }

    #[test]
    fn progress_outlives_news_that_have_none() {
        let mut board = Board::default();
        board.load(&[job("a", "running")]);
        board.apply(&progress("a", 50));
        board.load(&[job("a", "running")]);
        assert_eq!(board.job("a").expect("a job")["progress"]["progress"], 50);
    }

    #[test]
    fn a_deleted_job_is_gone_and_other_events_are_nothing() {
        let mut board = Board::default();
        board.load(&[job("a", "running")]);
        let deleted = json!({"type": "job_deleted", "job_id": "a"});
        assert_eq!(board.apply(&deleted), Some(Change::Gone("a".into())));
        assert_eq!(board.apply(&json!({"type": "sync_completed", "provider": "replicate"})), None);
        assert_eq!(board.apply(&json!({"type": "job_stalled", "job_id": "b"})), None);
    }
}

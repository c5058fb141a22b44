//! Events by the hundred: observations that go straight to the store.

use jobsyncd::actors::broadcaster::CountSubscribers;
use jobsyncd::db::observations::Report;
use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::domain::timestamp::now;

use jobsyncd::actors::job_store::RecordReports;

use super::daemon::{SOON, TestDaemon};

/// The provider says that a job has this state, and that it failed so.
pub fn report(job: &str, status: JobStatus, error: Option<String>) -> Report {
    let silent = Observation::silent("replicate", job, Source::Webhook, now());
    Report::of_call(Observation { status: Some(status), error_message: error, ..silent }, true)
}

/// So many jobs that are not known yet: each is one event.
pub fn discoveries(name: &str, count: usize) -> Vec<Report> {
    (0..count).map(|n| report(&format!("{name}-{n}"), JobStatus::Queued, None)).collect()
}

impl TestDaemon {
    /// Commits reports in one transaction.
    pub async fn record(&self, reports: Vec<Report>) {
        let store = &self.daemon.tasks().doors().store;
        store.send(RecordReports { reports }).await.expect("a store").expect("a commit");
    }

    /// How many streams the daemon has open.
    pub async fn count_streams(&self) -> usize {
        let broadcaster = &self.daemon.tasks().doors().broadcaster;
        broadcaster.send(CountSubscribers).await.expect("a broadcaster").expect("a count")
    }

    /// Asks again and again until so many streams are open; fails the test where that is not soon.
    pub async fn until_streams_are(&self, wanted: usize) {
        let until = async {
            while self.count_streams().await != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, until).await.expect("streams open and close soon");
    }
}

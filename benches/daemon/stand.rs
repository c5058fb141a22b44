//! What is measured: a whole daemon on real sockets and a real database on the disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use jobsyncd::config::{Config, DatabaseUrl, Sources};
use jobsyncd::daemon::Daemon;
use jobsyncd::db::connection::{Connection, Role};
use jobsyncd::db::observations::{Report, record};
use jobsyncd::domain::cost::Prices;
use jobsyncd::domain::job::JobStatus;
use jobsyncd::domain::observation::{Observation, Source};
use jobsyncd::domain::timestamp::now;
use jobsyncd::simulator::Simulator;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// How many jobs are written in one transaction where a database is filled.
const FILLED_AT_ONCE: i64 = 5_000;

/// A database in a temporary folder, which is gone with this.
pub(crate) struct Database {
    folder: TempDir,
}

impl Database {
    /// An empty one. The folder is beside the program, since `/tmp` is often no disk.
    pub(crate) fn new() -> Self {
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(beside).expect("a folder for temporary files");
        Self { folder: tempfile::tempdir_in(beside).expect("a temporary folder") }
    }

    /// One with so many finished jobs, a minute apart, as a sync would have found them.
    pub(crate) fn with_jobs(count: i64) -> Self {
        let database = Self::new();
        let url = DatabaseUrl::Sqlite(database.file());
        let mut connection = Connection::open(&url, Role::Writer).expect("a new database");
        connection.migrate().expect("tables");
        let prices = Prices::replicate(std::iter::empty());
        for first in (0..count).step_by(FILLED_AT_ONCE as usize) {
            let some = first..(first + FILLED_AT_ONCE).min(count);
            let reports: Vec<_> =
                some.map(|index| Report::of_call(finished_job(index), true)).collect();
            record(&mut connection, &reports, &prices, now()).expect("jobs are stored");
        }
        database
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database as the configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }
}

/// What a sync sees of a job that ended `index` minutes ago.
fn finished_job(index: i64) -> Observation {
    let ended_at = now() - chrono::Duration::minutes(index);
    let started_at = ended_at - chrono::Duration::minutes(30);
    let id = format!("bench{index:021}");
    Observation {
        status: Some(JobStatus::Completed),
        provider_status: Some("succeeded".to_owned()),
        created_at: Some(started_at - chrono::Duration::seconds(5)),
        started_at: Some(started_at),
        completed_at: Some(ended_at),
        predict_time_micros: Some(1_800_000_000),
        output_url: Some(format!("https://replicate.delivery/xezq/{id}/output.zip")),
        model: Some("simpletuner/advanced-trainer".to_owned()),
        version: Some("0123456789abcdef".repeat(4)),
        web_url: Some(format!("https://replicate.com/p/{id}")),
        ..Observation::silent("replicate", &id, Source::Sync, now())
    }
}

/// A daemon that runs on threads of its own.
pub(crate) struct Stand {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Stand {
    /// Starts a daemon on `database`, configured by further environment variables.
    pub(crate) fn start(database: &Database, environment: &[(&str, &str)]) -> Self {
        let own = [
            ("JOBSYNCD__SERVER__BIND", "127.0.0.1:0".to_owned()),
            ("JOBSYNCD__DATABASE__URL", database.url()),
        ];
        let further = environment.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let sources = Sources::from_environment(own.into_iter().chain(further));
        let config = Config::load(&sources).expect("a good configuration");
        let (tell_address, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let daemon = Daemon::start(config, None).await.expect("the daemon starts");
                tell_address.send(daemon.address()).expect("the address is waited for");
                // A sender that was dropped means that there is nothing more to measure, too.
                let _ = stopped.await;
                daemon.stop().await;
            });
        });
        let address = address.recv().expect("the daemon starts");
        Self { address, stop, thread }
    }

    /// Starts a daemon that tracks the account of a simulator.
    pub(crate) fn tracking(simulator: &Simulator, database: &Database) -> Self {
        Self::start(
            database,
            &[
                ("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", simulator.base_url()),
                ("REPLICATE_API_TOKEN", simulator.token()),
                // The rounds that are measured are those that are asked for.
                ("JOBSYNCD__BACKGROUND__JOB_STATUS_POLLING__ENABLED", "false"),
            ],
        )
    }

    /// Stops it and waits until it has.
    pub(crate) fn stop(self) {
        // One that has stopped by itself fails the join.
        let _ = self.stop.send(());
        self.thread.join().expect("the daemon stops");
    }
}

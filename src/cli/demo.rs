//! `jobsyncd demo`: the daemon at work, without an account and without leaving anything behind.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use jobsyncd::config::{Config, Flags, Sources};
use jobsyncd::daemon::Daemon;
use jobsyncd::simulator::{Simulator, SimulatorOptions};

use super::serve::StopSignals;
use super::{Failure, print};

#[derive(Args)]
pub(super) struct Options {
    /// Let the simulated provider send what real ones were seen to send: half emojis, odd times, megabytes of
    /// error.
    #[arg(long)]
    hostile: bool,
    /// Where the daemon listens; port 0 takes a free one [default: $JOBSYNCD__SERVER__BIND, or else
    /// 127.0.0.1:8001]
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<SocketAddr>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("jobsyncd-demo-").tempdir()?;
    let database = folder.path().join("jobs.db");
    actix_rt::System::new().block_on(async {
        let signals = StopSignals::new()?;
        let simulator = Simulator::start(SimulatorOptions {
            is_hostile: options.hostile,
            ..SimulatorOptions::default()
        })
        .await?;
        let config = Config::load(&sources(options, &database, &simulator))?;
        let daemon = Daemon::start(config, None).await?;
        let url = format!("http://{}", daemon.address());
        simulator.populate_demo(Some(format!("{url}/api/webhooks/replicate")))?;
        print(introduction(&url));
        signals.received().await;
        daemon.stop().await;
        simulator.stop().await;
        Ok(())
    })
}

/// Of the environment only what is said of the server: nothing else of a real daemon may reach the demonstration,
/// neither its account nor whom it tells.
fn sources(options: &Options, database: &Path, simulator: &Simulator) -> Sources {
    let of_process = Sources::from_process(Flags::default()).environment.into_iter();
    let of_server = of_process.filter(|(name, _)| name.starts_with("JOBSYNCD__SERVER__"));
    let own = [
        ("JOBSYNCD__DATABASE__URL", format!("sqlite://{}", database.display())),
        ("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", simulator.base_url().to_owned()),
        ("REPLICATE_API_TOKEN", simulator.token().to_owned()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let flags = Flags { bind: options.bind.map(|bind| bind.to_string()), ..Flags::default() };
    Sources { flags, ..Sources::from_environment(of_server.chain(own)) }
}

fn introduction(url: &str) -> String {
    format!(
        "
jobsyncd is at {url}/
It tracks a simulated account, in which jobs come, train and end. Open that in a browser, or try:

  curl -X POST {url}/api/cloud/jobs/sync       # discover the account's jobs
  curl '{url}/api/cloud/jobs?status=running'   # what is training now, and how far it is
  curl -N {url}/api/events                     # every step and change, the moment it happens

Ctrl-C ends it and leaves nothing behind."
    )
}

//! `jobsyncd simulate`: a Replicate to try things out with.

use std::net::SocketAddr;

use clap::Args;
use jobsyncd::simulator::{Simulator, SimulatorOptions};

use super::serve::StopSignals;
use super::{Failure, print};

#[derive(Args)]
pub(super) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    bind: SocketAddr,
    /// The only API token that is let in.
    #[arg(long, default_value_t = SimulatorOptions::default().token)]
    token: String,
    /// How many times faster than the clock its jobs live.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Where it sends webhooks of the demonstration's jobs.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Begin without any job, rather than with a lively mixture of them.
    #[arg(long)]
    empty: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    actix_rt::System::new().block_on(async {
        let signals = StopSignals::new()?;
        let simulator = Simulator::start(SimulatorOptions {
            bind: options.bind,
            token: options.token.clone(),
            speed: options.speed,
            ..SimulatorOptions::default()
        })
        .await?;
        if !options.empty {
            simulator.populate_demo(options.webhook_url.clone())?;
        }
        print(format_args!(
            "a simulated Replicate is at {base}

  JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL={base} \\
  REPLICATE_API_TOKEN={token} jobsyncd serve

Ctrl-C ends it.",
            base = simulator.base_url(),
            token = simulator.token(),
        ));
        signals.received().await;
        simulator.stop().await;
        Ok(())
    })
}

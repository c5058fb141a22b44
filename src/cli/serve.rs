//! `jobsyncd serve`: the daemon, under systemd or by hand.

use std::time::Duration;

use jobsyncd::config::{Config, Flags, Sources};
use jobsyncd::daemon::Daemon;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, handed_over, outlived};

pub(super) fn run(flags: Flags) -> Result<(), Failure> {
    let listeners = handed_over::listeners()?;
    actix_rt::System::new().block_on(async {
        // Before all else that takes time: a signal may come as soon as the process is there.
        let signals = StopSignals::new()?;
        outlived::outlive()?;
        let daemon = Daemon::start(load(flags)?, listeners).await?;
        notify(&[NotifyState::Ready]);
        keep_watchdog_quiet();
        let signal = signals.received().await;
        log::info!("stopping on {signal}");
        notify(&[NotifyState::Stopping]);
        daemon.stop().await;
        Ok(())
    })
}

/// The configuration, with the log told what is to be known of it.
fn load(flags: Flags) -> Result<Config, Failure> {
    let config = Config::load(&Sources::from_process(flags))?;
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    log::info!("database {} ({})", config.database.url, config.database.chosen_because);
    for way in config.network.proxies.ways() {
        log::info!("{way}");
    }
    Ok(config)
}

/// The signals by which systemd, a terminal or a container ends a process. From its making on they end
/// nothing by themselves.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one, or answers at once where one has come already.
    pub(super) async fn received(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Tells systemd, where it listens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd could not be told: {error}");
    }
}

/// Tells systemd at half its patience that the daemon's main loop turns.
fn keep_watchdog_quiet() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let pause = (patience / 2).max(Duration::from_millis(1));
    actix_rt::spawn(async move {
        loop {
            notify(&[NotifyState::Watchdog]);
            tokio::time::sleep(pause).await;
        }
    });
}

//! The pruner: sees to it that events, logs and ids of webhooks take no more room than they may.
//!
//! A sweep is many small messages to the store, and between two of them the store is left to others for
//! as long as the last one took: pruning has half of the writer at most, and a webhook waits for one
//! portion at most. The first sweep begins with the daemon, which may be stopped long before a second.

use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::Mutex;

use super::job_store::Prune;
use crate::config;
use crate::db::error::StoreError;
use crate::db::retention::{Keep, Limits, Pruned, Stage};
use crate::domain::timestamp::{Timestamp, now};

/// How long it waits between two sweeps.
const EVERY: Duration = Duration::from_secs(600);
/// How long the ids of webhooks are remembered, in hours: many times as long as anyone repeats one.
const DELIVERIES_KEPT_HOURS: i64 = 24;

/// Prunes all that there is to prune, and answers how much it was.
#[derive(Debug, Message)]
#[rtype(result = "Result<Pruned, StoreError>")]
pub struct PruneNow;

/// Ends the sweep that is under way, and begins no other.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopPruning;

/// The actor. See the top of this file.
pub struct Pruner {
    events: config::Events,
    logs: config::Logs,
    store: Recipient<Prune>,
    /// Held by the sweep that is under way: two at a time would take the whole writer.
    turn: Rc<Mutex<()>>,
}

impl Pruner {
    /// A pruner of `store` that keeps what the configuration says.
    pub fn new(events: config::Events, logs: config::Logs, store: Recipient<Prune>) -> Self {
        Self { events, logs, store, turn: Rc::default() }
    }

    /// A sweep that waits for its turn.
    fn sweep(&self) -> impl Future<Output = Result<Pruned, StoreError>> + use<> {
        let (store, limits, turn) = (self.store.clone(), self.limits(now()), self.turn.clone());
        async move {
            let _turn = turn.lock().await;
            sweep(&store, limits).await
        }
    }

    /// What the daemon does by itself, again and again: nobody waits for the answer, so it goes to the
    /// daemon's own log.
    fn sweep_regularly(&mut self, context: &mut Context<Self>) {
        context.spawn(self.sweep().into_actor(self).map(|pruned, _, context| {
            match pruned {
                Ok(Pruned { events: 0, logs: 0, .. }) => {}
                Ok(Pruned { events, logs, .. }) => {
                    log::info!("pruned {events} events and {logs} logs");
                }
                Err(error) => log::warn!("not everything could be pruned: {error}"),
            }
            context.run_later(EVERY, Self::sweep_regularly);
        }));
    }

    fn limits(&self, now: Timestamp) -> Limits {
        let keep = |days: u32, max_bytes| Keep {
            since: now - chrono::Duration::days(days.into()),
            max_bytes,
        };
        Limits {
            events: keep(self.events.retention_days, self.events.retention_bytes),
            logs: keep(self.logs.retention_days, self.logs.retention_bytes),
            deliveries_since: now - chrono::Duration::hours(DELIVERIES_KEPT_HOURS),
        }
    }
}

async fn sweep(store: &Recipient<Prune>, limits: Limits) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    let mut next = Some(Stage::default());
    while let Some(stage) = next {
        let asked = Instant::now();
        let answer = store.send(Prune { stage, limits }).await;
        let (portion, following) = answer.unwrap_or(Err(StoreError::Stopping))?;
        pruned += portion;
        next = following;
        tokio::time::sleep(asked.elapsed()).await;
    }
    Ok(pruned)
}

impl Actor for Pruner {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.sweep_regularly(context);
    }
}

impl Handler<PruneNow> for Pruner {
    type Result = ResponseFuture<Result<Pruned, StoreError>>;

    fn handle(&mut self, _: PruneNow, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.sweep())
    }
}

impl Handler<StopPruning> for Pruner {
    type Result = ();

    fn handle(&mut self, _: StopPruning, context: &mut Self::Context) {
        context.stop();
    }
}

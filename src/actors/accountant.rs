//! The accountant: watches what is spent, and tells once a period when a limit comes near and when it is
//! reached.
//!
//! A running job costs more by the second without anything else happening, so it looks by its timer.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::job_reader::Read;
use super::job_reader::costs::{BudgetStanding, GetBudget};
use super::job_store::RecordBudget;
use crate::db::error::StoreError;
use crate::domain::budget::{Budget, Level};
use crate::domain::cost::Prices;
use crate::domain::timestamp::now;

/// The pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_secs(20);

/// Looks now: something that bears on the budget has changed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct LookAtBudget;

/// Looks no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopAccounting;

/// The actor. See the top of this file.
pub struct Accountant {
    configured: Budget,
    prices: Arc<Prices>,
    reader: Recipient<Read<GetBudget>>,
    store: Recipient<RecordBudget>,
    timer: Option<SpawnHandle>,
}

impl Accountant {
    /// An accountant, not yet started.
    pub fn new(
        configured: Budget,
        prices: Arc<Prices>,
        reader: Recipient<Read<GetBudget>>,
        store: Recipient<RecordBudget>,
    ) -> Self {
        Self { configured, prices, reader, store, timer: None }
    }

    fn look(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let (reader, store) = (self.reader.clone(), self.store.clone());
        let question = GetBudget {
            configured: self.configured,
            prices: self.prices.clone(),
            provider: None,
            is_full: false,
            now: now(),
        };
        async move {
            let gone = || StoreError::Stopping;
            let BudgetStanding { budget, spending, told, .. } =
                reader.send(Read(question)).await.unwrap_or_else(|_| Err(gone()))?;
            let level = budget.level(spending).unwrap_or(Level::Fine);
            if level <= told {
                return Ok(());
            }
            store
                .send(RecordBudget { budget, spending, level })
                .await
                .unwrap_or_else(|_| Err(gone()))
        }
    }

    fn look_regularly(&mut self, context: &mut Context<Self>) {
        context.spawn(self.look().into_actor(self).map(|looked, this, context| {
            if let Err(error) = looked {
                log::warn!("what was spent cannot be told: {error}");
            }
            this.timer = Some(context.run_later(LOOK_PAUSE, Self::look_regularly));
        }));
    }
}

impl Actor for Accountant {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.look_regularly(context);
    }
}

impl Handler<LookAtBudget> for Accountant {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: LookAtBudget, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.look())
    }
}

impl Handler<StopAccounting> for Accountant {
    type Result = ();

    fn handle(&mut self, _: StopAccounting, context: &mut Self::Context) {
        context.stop();
    }
}

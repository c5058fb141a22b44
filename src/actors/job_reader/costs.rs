//! Questions about money.

use std::sync::Arc;

use chrono::Duration;

use super::Question;
use crate::db::connection::Connection;
use crate::db::costs;
use crate::db::error::StoreError;
use crate::db::settings::{self, Setting};
use crate::domain::budget::{Budget, Level, Period, Spending, forecast_micro_usd};
use crate::domain::cost::Prices;
use crate::domain::queue_view::median;
use crate::domain::timestamp::Timestamp;

/// From how many days a forecast is made.
const RECENT_DAYS: i64 = 14;

/// The budget that is in force, and how it stands.
#[derive(Debug, Clone)]
pub struct GetBudget {
    /// The configured one.
    pub configured: Budget,
    /// What running jobs cost.
    pub prices: Arc<Prices>,
    /// Only jobs of this provider.
    pub provider: Option<String>,
    /// Whether the sums are wanted also where there is no limit to hold them against, and the forecast: they
    /// read every job.
    pub is_full: bool,
    /// The present.
    pub now: Timestamp,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetStanding {
    /// The one in force: as it was set through the API, or else as configured.
    pub budget: Budget,
    /// What was spent in its present period.
    pub spending: Spending,
    /// What the month will have cost, in millionths of a dollar; 0 where it was not asked for.
    pub forecast_month_micro_usd: i64,
    /// What of it was told already in this period.
    pub told: Level,
}

impl Question for GetBudget {
    type Answer = BudgetStanding;

    fn look_up(self, connection: &mut Connection) -> Result<BudgetStanding, StoreError> {
        let Self { configured, prices, provider, is_full, now } = self;
        let provider = provider.as_deref();
        connection.read(|connection| {
            let budget = in_force(connection, configured)?;
            if budget.limit().is_none() && !is_full {
                return Ok(BudgetStanding {
                    budget,
                    spending: Spending::default(),
                    forecast_month_micro_usd: 0,
                    told: Level::Fine,
                });
            }
            let (begin, _) = budget.period.around(now);
            let running = costs::running(connection, provider)?;
            let running_micro_usd =
                running.iter().filter_map(|job| prices.running_cost_micro_usd(job, now)).sum();
            let mut since = |since| -> Result<Spending, StoreError> {
                let ended_micro_usd = costs::spent_micro_usd(connection, since, provider)?;
                Ok(Spending { ended_micro_usd, running_micro_usd })
            };
            let spending = since(begin)?;
            let forecast_month_micro_usd = if is_full {
                let month = since(Period::Monthly.around(now).0)?;
                let recent = since(now - Duration::days(RECENT_DAYS))?.total_micro_usd();
                forecast_micro_usd(month, recent, RECENT_DAYS, now)
            } else {
                0
            };
            Ok(BudgetStanding {
                budget,
                spending,
                forecast_month_micro_usd,
                told: told(connection, &budget, now)?,
            })
        })
    }
}

/// The budget that was set through the API, or else the configured one.
pub(crate) fn in_force(
    connection: &mut Connection,
    configured: Budget,
) -> Result<Budget, StoreError> {
    let Some(set) = settings::get(connection, Setting::Budget)? else { return Ok(configured) };
    Ok(serde_json::from_str(&set).unwrap_or_else(|error| {
        // What was set may have been a block, which must not vanish.
        log::error!(
            "the spending limit that was set cannot be read ({error}): nothing is submitted until it is set again"
        );
        Budget::nothing()
    }))
}

/// What was told of a budget in its present period.
fn told(connection: &mut Connection, budget: &Budget, now: Timestamp) -> Result<Level, StoreError> {
    let told = settings::get(connection, Setting::BudgetTold)?;
    let told = told.and_then(|json| serde_json::from_str::<BudgetTold>(&json).ok());
    let is_of_now = |told: &BudgetTold| told.is_of(budget, now);
    Ok(told.filter(is_of_now).map_or(Level::Fine, |told| told.level))
}

/// What was told last, as it is kept.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct BudgetTold {
    period_started_at: Timestamp,
    limit_micro_usd: Option<i64>,
    level: Level,
}

impl BudgetTold {
    pub(crate) fn new(budget: &Budget, level: Level, now: Timestamp) -> Self {
        let (period_started_at, _) = budget.period.around(now);
        Self { period_started_at, limit_micro_usd: budget.limit(), level }
    }

    /// Whether it was told of this budget in the period of `now`. Another limit is told of anew.
    fn is_of(&self, budget: &Budget, now: Timestamp) -> bool {
        let (begin, _) = budget.period.around(now);
        self.period_started_at == begin && self.limit_micro_usd == budget.limit()
    }
}

/// For how long jobs on some hardware are billed, in seconds: the median of the last ones.
#[derive(Debug, Clone)]
pub struct GetUsualRun {
    /// The key of the hardware.
    pub hardware: String,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsualRun {
    /// The median, in seconds; None where no job has completed on it.
    pub seconds: Option<f64>,
    /// Of how many jobs.
    pub jobs: usize,
}

impl Question for GetUsualRun {
    type Answer = UsualRun;

    fn look_up(self, connection: &mut Connection) -> Result<UsualRun, StoreError> {
        let billed = costs::billed_micros_on(connection, &self.hardware)?;
        let seconds: Vec<_> = billed.iter().map(|micros| *micros as f64 / 1e6).collect();
        Ok(UsualRun { seconds: median(&seconds), jobs: seconds.len() })
    }
}

//! What it takes to ask the provider about many active jobs: time where the provider is slow, and
//! calls.

use std::time::{Duration, Instant};

use jobsyncd::simulator::{Seed, Simulator, SimulatorOptions, Status};
use serde_json::Value;

use crate::Effort;
use crate::client::{ask_once, get, post};
use crate::figures::{Figure, Goal, in_ms, median};
use crate::stand::{Database, Stand};

const SYNC_ACTIVE: &str = "/api/cloud/jobs?limit=50&sync_active=true";
const LATENCY: Duration = Duration::from_millis(100);

/// Measures refreshes of active jobs that stand together and apart, and the calls of a round.
pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    vec![
        time_of_refresh("50 newest", Seed::new(50, &[Status::Processing]), effort),
        time_of_refresh("50, one in a hundred", one_in_a_hundred(), effort),
        calls_of_a_round(),
    ]
}

/// Fifty active jobs so far apart in the list that reading it saves no call: the most calls that
/// fifty jobs can cost.
fn one_in_a_hundred() -> Seed {
    let mut statuses = vec![Status::Succeeded; 100];
    statuses[99] = Status::Processing;
    Seed::new(5_000, &statuses)
}

fn time_of_refresh(which: &str, seed: Seed, effort: Effort) -> Figure {
    let account = Account::with(&seed);
    account.simulator.set_latency(LATENCY);
    let mut calls = 0.0;
    let times: Vec<_> = (0..effort.rounds())
        .map(|_| {
            let began = Instant::now();
            let round = account.refresh();
            assert_eq!((&round["asked"], &round["failed"]), (&50.into(), &0.into()), "{round}");
            calls = round["provider_calls"].as_f64().expect("a number of calls");
            in_ms(began.elapsed())
        })
        .collect();
    account.close();
    Figure {
        what: format!("sync_active of {which}, the provider takes {} ms", LATENCY.as_millis()),
        median: median(&times),
        unit: "ms",
        goal: Goal::AtMost(500.0),
        details: format!("{calls} calls a refresh"),
    }
}

fn calls_of_a_round() -> Figure {
    let account = Account::with(&Seed::new(200, &[Status::Processing]));
    account.simulator.reset_calls();
    let round = account.refresh();
    assert_eq!((&round["asked"], &round["failed"]), (&200.into(), &0.into()), "{round}");
    let calls: u64 = account.simulator.calls().values().sum();
    account.close();
    Figure {
        what: "provider calls of a polling round, 200 active".to_owned(),
        median: calls as f64,
        unit: "calls",
        goal: Goal::AtMost(2.0),
        details: "counted by the provider; the least that is possible is 2".to_owned(),
    }
}

/// An account at the simulator, and a daemon that knows its jobs.
struct Account {
    runtime: tokio::runtime::Runtime,
    simulator: Simulator,
    stand: Stand,
    _database: Database,
}

impl Account {
    fn with(seed: &Seed) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the simulator's face");
        let simulator = runtime
            .block_on(Simulator::start(SimulatorOptions::default()))
            .expect("the simulator starts");
        simulator.seed(seed);
        let database = Database::new();
        let stand = Stand::tracking(&simulator, &database);
        ask_once(stand.address, post("/api/cloud/jobs/sync", "", r#"{"all": true}"#));
        Self { runtime, simulator, stand, _database: database }
    }

    /// Refreshes the active jobs, and answers what came of it.
    fn refresh(&self) -> Value {
        let list = ask_once(self.stand.address, get(SYNC_ACTIVE));
        let mut list: Value = serde_json::from_slice(&list).expect("the list is JSON");
        list["sync"].take()
    }

    fn close(self) {
        self.stand.stop();
        self.runtime.block_on(self.simulator.stop());
    }
}

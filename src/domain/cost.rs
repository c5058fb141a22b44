//! What a job costs: computing time × price of the hardware, in millionths of a dollar.
//!
//! Money is an integer throughout. A cost is known only where the hardware is: it follows from the
//! model's name or from configuration, and where it does not, the cost is null, never a guess.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::job::{Job, JobStatus};
use super::timestamp::Timestamp;

/// One kind of hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// The name for people, for example `8x Nvidia H100 GPU`.
    pub name: String,
    /// The price of one second in millionths of a dollar, by the day (UTC) from which on it holds.
    pub prices: BTreeMap<NaiveDate, i64>,
}

impl Hardware {
    /// Hardware whose price has never changed.
    pub fn at_one_price(name: String, micro_usd_per_second: i64) -> Self {
        Self { name, prices: BTreeMap::from([(NaiveDate::MIN, micro_usd_per_second)]) }
    }

    /// The price of one second at an instant, in millionths of a dollar; None before the first known one.
    pub fn micro_usd_per_second(&self, at: Timestamp) -> Option<i64> {
        self.prices.range(..=at.date_naive()).next_back().map(|(_, price)| *price)
    }
}

/// The price list of one provider, by hardware key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    hardware: BTreeMap<String, Hardware>,
    /// On which hardware models run whose names do not tell.
    models: BTreeMap<String, String>,
    /// The hardware of providers that have one machine, by their names.
    machines: BTreeMap<String, String>,
}

/// Replicate's prices a second for one device (`provider.md`, "Cost").
const REPLICATE: [(&str, &str, i64); 7] = [
    ("cpu", "CPU", 100),
    ("t4", "Nvidia T4 GPU", 225),
    ("a40-small", "Nvidia A40 GPU", 575),
    ("a40-large", "Nvidia A40 (Large) GPU", 725),
    ("l40s", "Nvidia L40S GPU", 975),
    ("a100-large", "Nvidia A100 (80GB) GPU", 1_400),
    ("h100", "Nvidia H100 GPU", 1_525),
];

/// The counts of devices in one machine that providers rent out. Several cost linearly more.
const DEVICE_COUNTS: [u8; 4] = [1, 2, 4, 8];

impl Prices {
    /// Replicate's published prices, with `overrides` from the configuration laid over them.
    pub fn replicate(overrides: impl IntoIterator<Item = (String, Hardware)>) -> Self {
        let mut hardware = BTreeMap::new();
        for (key, name, price) in REPLICATE {
            for count in DEVICE_COUNTS {
                let (key, name) = match count {
                    1 => (key.to_owned(), name.to_owned()),
                    _ => (format!("{key}-x{count}"), format!("{count}x {name}")),
                };
                hardware.insert(key, Hardware::at_one_price(name, price * i64::from(count)));
            }
        }
        hardware.extend(overrides);
        Self { hardware, models: BTreeMap::new(), machines: BTreeMap::new() }
    }

    /// The same, with the hardware of models whose names do not tell it.
    #[must_use]
    pub fn with_models(self, models: BTreeMap<String, String>) -> Self {
        Self { models, ..self }
    }

    /// The same, with the hardware of providers that have one machine.
    #[must_use]
    pub fn with_machines(self, machines: BTreeMap<String, String>) -> Self {
        Self { machines, ..self }
    }

    /// One kind of hardware, by its key.
    pub fn get(&self, key: &str) -> Option<&Hardware> {
        self.hardware.get(key)
    }

    /// The machine of a provider that has one.
    pub fn machine_of(&self, provider: &str) -> Option<&str> {
        self.machines.get(provider).map(String::as_str)
    }

    /// Every kind of hardware with its key.
    pub fn hardware(&self) -> impl Iterator<Item = (&str, &Hardware)> {
        self.hardware.iter().map(|(key, hardware)| (key.as_str(), hardware))
    }

    /// The key of the hardware on which a model runs: as it was configured, or else as its name ends, for
    /// example `h100-x2` of `simpletuner/advanced-trainer-h100-x2`.
    pub fn hardware_of_model(&self, model: &str) -> Option<&str> {
        if let Some(configured) = self.models.get(model) {
            return Some(configured);
        }
        self.hardware
            .keys()
            .filter(|key| {
                model.strip_suffix(key.as_str()).is_some_and(|rest| rest.ends_with(['-', '/']))
            })
            .max_by_key(|key| key.len())
            .map(String::as_str)
    }

    /// Fills in what follows from everything else: the hardware from the model, and the cost of
    /// the computing time that the provider has reported.
    pub fn apply(&self, job: &mut Job) {
        if job.hardware_type.is_none() {
            let by_model = || self.hardware_of_model(job.model.as_deref()?).map(str::to_owned);
            job.hardware_type = self.machines.get(&job.provider).cloned().or_else(by_model);
        }
        let computed_micros = match job.status {
            // A job that was cancelled before it started costs nothing.
            JobStatus::Cancelled if job.started_at.is_none() => Some(0),
            // A cancelled job is billed for the time that it ran; not every such job reports it.
            JobStatus::Cancelled => job.predict_time_micros.or_else(|| ran_for_micros(job)),
            _ => job.predict_time_micros,
        };
        job.cost_micro_usd = match computed_micros {
            Some(0) => Some(0),
            Some(micros) => self.price_of(job).map(|price| cost(micros, price)),
            None => None,
        };
    }

    /// What a running job has cost by `now`, by the time since it started. None where that cannot
    /// be said.
    pub fn running_cost_micro_usd(&self, job: &Job, now: Timestamp) -> Option<i64> {
        let started_at = job.started_at.filter(|_| job.status == JobStatus::Running)?;
        let ran_for = (now - started_at).num_microseconds()?.max(0);
        self.price_of(job).map(|price| cost(ran_for, price))
    }

    /// The price of one second of some hardware at an instant, in millionths of a dollar.
    pub fn of(&self, hardware: &str, at: Timestamp) -> Option<i64> {
        self.hardware.get(hardware)?.micro_usd_per_second(at)
    }

    /// The price that held when the job started.
    fn price_of(&self, job: &Job) -> Option<i64> {
        self.of(job.hardware_type.as_deref()?, job.started_at.unwrap_or(job.created_at))
    }
}

fn ran_for_micros(job: &Job) -> Option<i64> {
    (job.completed_at? - job.started_at?).num_microseconds().map(|micros| micros.max(0))
}

/// Rounded to the nearest millionth of a dollar.
fn cost(computed_micros: i64, micro_usd_per_second: i64) -> i64 {
    let exact = i128::from(computed_micros) * i128::from(micro_usd_per_second);
    i64::try_from((exact + 500_000) / 1_000_000).unwrap_or(i64::MAX)
}

/// Millionths of a dollar as dollars, as the contract writes money.
pub fn to_usd(micro_usd: i64) -> f64 {
    micro_usd as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::parse;

    fn prices() -> Prices {
        Prices::replicate([])
    }

    fn job(model: &str) -> Job {
        let at = parse("2026-03-01T10:00:00Z").expect("an instant");
        let mut job = Job::unheard_of("replicate", "p1", at);
        job.model = Some(model.to_owned());
        job
    }

    #[test]
    fn the_hardware_follows_from_the_end_of_the_models_name() {
        let prices = prices();
        let of = |model| prices.hardware_of_model(model);
        assert_eq!(of("simpletuner/advanced-trainer-h100"), Some("h100"));
        assert_eq!(of("simpletuner/advanced-trainer-h100-x8"), Some("h100-x8"));
        assert_eq!(of("simpletuner/advanced-trainer-l40s-x2"), Some("l40s-x2"));
        assert_eq!(of("simpletuner/advanced-trainer"), None);
        assert_eq!(of("someone/alh100"), None);
    }

    #[test]
    fn a_configured_model_needs_no_telling_name() {
        let models = BTreeMap::from([("acme/lora".to_owned(), "l40s".to_owned())]);
        let prices = prices().with_models(models);
        assert_eq!(prices.hardware_of_model("acme/lora"), Some("l40s"));
        assert_eq!(prices.hardware_of_model("acme/other-h100"), Some("h100"));
    }

    #[test]
    fn a_job_costs_what_held_when_it_started() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let rising = Hardware {
            name: "H100".to_owned(),
            prices: BTreeMap::from([(day("2026-01-01"), 1_000), (day("2026-03-02"), 2_000)]),
        };
        let prices = Prices::replicate([("h100".to_owned(), rising)]);
        let cost = |started_at: &str| {
            let mut job = job("simpletuner/advanced-trainer-h100");
            job.status = JobStatus::Completed;
            job.started_at = parse(started_at);
            job.predict_time_micros = Some(10_000_000);
            prices.apply(&mut job);
            job.cost_micro_usd
        };
        assert_eq!(cost("2026-03-01T23:59:59Z"), Some(10_000));
        assert_eq!(cost("2026-03-02T00:00:00Z"), Some(20_000));
        // What it cost before is not known, and no guess is shown as a fact.
        assert_eq!(cost("2025-12-31T10:00:00Z"), None);
    }

    #[test]
    fn the_cost_is_the_computing_time_times_the_price() {
        let mut job = job("simpletuner/advanced-trainer-h100-x2");
        job.status = JobStatus::Completed;
        job.predict_time_micros = Some(3_600_000_000);
        prices().apply(&mut job);
        assert_eq!(job.cost_micro_usd, Some(10_980_000));
    }

    #[test]
    fn without_known_hardware_the_cost_is_unknown_and_no_guess() {
        let mut job = job("someone/model");
        job.status = JobStatus::Completed;
        job.predict_time_micros = Some(1_000_000);
        prices().apply(&mut job);
        assert_eq!(job.cost_micro_usd, None);
    }

    #[test]
    fn a_job_that_was_cancelled_before_its_start_costs_nothing() {
        let mut job = job("someone/model");
        job.status = JobStatus::Cancelled;
        prices().apply(&mut job);
        assert_eq!(job.cost_micro_usd, Some(0));
    }

    #[test]
    fn a_cancelled_job_costs_the_time_that_it_ran() {
        let mut job = job("simpletuner/advanced-trainer-l40s");
        job.status = JobStatus::Cancelled;
        job.started_at = parse("2026-03-01T10:00:00Z");
        job.completed_at = parse("2026-03-01T10:01:40Z");
        prices().apply(&mut job);
        assert_eq!(job.cost_micro_usd, Some(97_500));
    }

    #[test]
    fn a_running_job_costs_more_by_the_second() {
        let mut job = job("simpletuner/advanced-trainer-l40s");
        job.status = JobStatus::Running;
        job.started_at = parse("2026-03-01T10:00:00Z");
        let prices = prices();
        prices.apply(&mut job);
        let after = |text| prices.running_cost_micro_usd(&job, parse(text).expect("an instant"));
        assert_eq!(after("2026-03-01T10:00:01Z"), Some(975));
        assert_eq!(after("2026-03-01T10:00:02Z"), Some(1_950));
    }
}

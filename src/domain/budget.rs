//! What may be spent in a day, a week or a month, and how it stands.
//!
//! Periods are those of the calendar in UTC: a day begins at midnight, a week on Monday, a month on its
//! first. A job counts in the period in which it ended, and while it runs with what it has cost so far.

use chrono::{Datelike, Duration, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

use super::cost::to_usd;
use super::job::UnknownWord;
use super::timestamp::Timestamp;

/// For how long a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Daily,
    /// From Monday to Sunday.
    Weekly,
    /// From the first to the last of a month.
    Monthly,
}

impl Period {
    /// Every period with its name, as SimpleTuner's clients write it.
    pub const ALL: [(&'static str, Self); 3] =
        [("daily", Self::Daily), ("weekly", Self::Weekly), ("monthly", Self::Monthly)];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// The period in which `now` lies: its first instant, and the first of the next one.
    pub fn around(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = now.date_naive();
        let (first, next) = match self {
            Self::Daily => (today, today + Duration::days(1)),
            Self::Weekly => {
                let since_monday = today.weekday().num_days_from_monday();
                let monday = today - Duration::days(since_monday.into());
                (monday, monday + Duration::days(7))
            }
            Self::Monthly => {
                let first = today.with_day(1).unwrap_or(today);
                (first, first + chrono::Months::new(1))
            }
        };
        (midnight(first), midnight(next))
    }
}

fn midnight(day: NaiveDate) -> Timestamp {
    day.and_time(NaiveTime::MIN).and_utc()
}

impl std::str::FromStr for Period {
    type Err = UnknownWord;

    /// Reads a period; `day`, `week` and `month` are taken too.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = match word {
            "day" => "daily",
            "week" => "weekly",
            "month" => "monthly",
            word => word,
        };
        UnknownWord::look_up(known, &Self::ALL)
    }
}

/// What happens when the limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is told, and that is all.
    Warn,
    /// No further jobs are taken until the period is over. What is queued or runs goes on.
    Block,
}

impl Action {
    /// Every action with its name.
    pub const ALL: [(&'static str, Self); 2] = [("warn", Self::Warn), ("block", Self::Block)];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

impl std::str::FromStr for Action {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(word, &Self::ALL)
    }
}

/// A limit on what may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How much, in millionths of a dollar, where the limit is switched on; None where nobody said.
    pub limit_micro_usd: Option<i64>,
    /// Whether somebody switched it on or off. Until then it is on where there is an amount.
    #[serde(default)]
    pub switch: Option<bool>,
    /// For how long.
    pub period: Period,
    /// What then.
    pub action: Action,
    /// From which share of the limit on it is warned, in percent.
    pub warn_at_percent: u8,
}

/// How far a budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not far.
    Fine,
    /// So far that it is warned.
    Warning,
    /// All of it.
    Exceeded,
}

/// What was spent within one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spending {
    /// By jobs that have ended, in millionths of a dollar.
    pub ended_micro_usd: i64,
    /// By those that run, so far: an estimate.
    pub running_micro_usd: i64,
}

impl Spending {
    /// Both together.
    pub fn total_micro_usd(self) -> i64 {
        self.ended_micro_usd.saturating_add(self.running_micro_usd)
    }
}

impl Budget {
    /// Nothing may be spent: what stands where the limit that somebody set cannot be read.
    pub fn nothing() -> Self {
        Self {
            limit_micro_usd: Some(0),
            switch: Some(true),
            period: Period::Daily,
            action: Action::Block,
            warn_at_percent: 100,
        }
    }

    /// How much may be spent, in millionths of a dollar; None for no limit.
    pub fn limit(&self) -> Option<i64> {
        self.limit_micro_usd.filter(|_| self.is_enabled())
    }

    /// Whether a limit is wished for. It holds once it has an amount.
    pub fn is_enabled(&self) -> bool {
        self.switch.unwrap_or(self.limit_micro_usd.is_some())
    }

    /// How far this is used up by what was spent; None where there is no limit.
    pub fn level(&self, spent: Spending) -> Option<Level> {
        let limit = i128::from(self.limit()?);
        let spent = i128::from(spent.total_micro_usd());
        Some(if spent >= limit {
            Level::Exceeded
        } else if spent * 100 >= limit * i128::from(self.warn_at_percent) {
            Level::Warning
        } else {
            Level::Fine
        })
    }

    /// What is said of it to people, once there is something to say.
    pub fn in_words(&self, spent: Spending) -> Option<String> {
        let limit = to_usd(self.limit()?);
        let spent_usd = to_usd(spent.total_micro_usd());
        let period = self.period.as_str();
        match self.level(spent)? {
            Level::Fine => None,
            Level::Warning => {
                Some(format!("Approaching limit: ${spent_usd:.2} / ${limit:.2} ({period})"))
            }
            Level::Exceeded if limit == 0.0 => Some(
                "The spending limit cannot be read: nothing may be spent until it is set again"
                    .to_owned(),
            ),
            Level::Exceeded => {
                Some(format!("Spending limit exceeded: ${spent_usd:.2} / ${limit:.2} ({period})"))
            }
        }
    }
}

/// What a month will have cost when it is over, if it goes on as in the days before `now`.
///
/// `month` is what was spent in it so far, and `recent_micro_usd` what was spent in the last
/// `recent_days` days.
pub fn forecast_micro_usd(
    month: Spending,
    recent_micro_usd: i64,
    recent_days: i64,
    now: Timestamp,
) -> i64 {
    let (_, end) = Period::Monthly.around(now);
    let left_micros = (end - now).num_microseconds().unwrap_or(0).max(0);
    let recent_micros = Duration::days(recent_days.max(1)).num_microseconds().unwrap_or(i64::MAX);
    let more = i128::from(recent_micro_usd) * i128::from(left_micros) / i128::from(recent_micros);
    month.total_micro_usd().saturating_add(i64::try_from(more).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::parse;

    fn at(text: &str) -> Timestamp {
        parse(text).expect("an instant")
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        let now = at("2026-12-31T23:30:00Z");
        for (period, first, next) in [
            (Period::Daily, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Period::Weekly, "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
            (Period::Monthly, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(period.around(now), (at(first), at(next)));
            assert_eq!(period.as_str().parse(), Ok(period));
        }
        assert_eq!("week".parse(), Ok(Period::Weekly));
        assert!("yearly".parse::<Period>().is_err());
    }

    #[test]
    fn a_budget_is_warned_of_before_it_is_used_up() {
        let budget = Budget {
            limit_micro_usd: Some(100_000_000),
            switch: None,
            period: Period::Monthly,
            action: Action::Warn,
            warn_at_percent: 80,
        };
        let spent = |ended: i64, running: i64| Spending {
            ended_micro_usd: ended * 1_000_000,
            running_micro_usd: running * 1_000_000,
        };
        assert_eq!(budget.level(spent(70, 9)), Some(Level::Fine));
        assert_eq!(budget.level(spent(70, 10)), Some(Level::Warning));
        assert_eq!(budget.level(spent(90, 10)), Some(Level::Exceeded));
        assert_eq!(budget.in_words(spent(70, 9)), None);
        assert_eq!(
            budget.in_words(spent(120, 3)).as_deref(),
            Some("Spending limit exceeded: $123.00 / $100.00 (monthly)")
        );
        let none = Budget { limit_micro_usd: None, ..budget };
        assert_eq!(none.level(spent(1_000, 0)), None);
        let off = Budget { switch: Some(false), ..budget };
        assert_eq!(off.level(spent(1_000, 0)), None);
        let nothing = Budget { limit_micro_usd: Some(0), ..budget };
        assert_eq!(nothing.level(spent(0, 0)), Some(Level::Exceeded));
    }

    #[test]
    fn a_forecast_goes_on_as_the_last_days_went() {
        let month = Spending { ended_micro_usd: 30_000_000, running_micro_usd: 0 };
        let forecast = |now: &str| forecast_micro_usd(month, 14_000_000, 14, at(now)) / 1_000_000;
        assert_eq!(forecast("2026-11-21T00:00:00Z"), 40);
        assert_eq!(forecast("2026-11-30T23:59:59Z"), 30);
    }
}

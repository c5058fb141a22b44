//! What was set through the API and must survive a restart.

use std::borrow::Cow;

use diesel::prelude::*;

use super::connection::Connection;
use super::error::StoreError;
use super::on_each_backend;
use super::schema::settings;

/// The name of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// Polling on or off, as a user chose: `true` or `false`.
    PollingPreference,
    /// The webhook URL of this provider; empty for none.
    WebhookUrl(&'static str),
    /// Whether the queue is paused: `true`.
    QueuePaused,
    /// How many jobs of the queue may be under way.
    QueueMaxConcurrent,
    /// How many of one user.
    QueueUserMaxConcurrent,
    /// What may be spent, as JSON.
    Budget,
    /// What of that was told last, as JSON.
    BudgetTold,
}

impl Setting {
    fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::PollingPreference => "polling.preference",
            Self::WebhookUrl(provider) => {
                return format!("providers.{provider}.webhook_url").into();
            }
            Self::QueuePaused => "queue.paused",
            Self::QueueMaxConcurrent => "queue.max_concurrent",
            Self::QueueUserMaxConcurrent => "queue.user_max_concurrent",
            Self::Budget => "costs.budget",
            Self::BudgetTold => "costs.budget_told",
        })
    }
}

/// The value of a setting; None where it was never set, or taken back.
///
/// # Errors
/// Where the database fails.
pub fn get(connection: &mut Connection, setting: Setting) -> Result<Option<String>, StoreError> {
    Ok(on_each_backend!(connection, |c| {
        settings::table.find(&*setting.name()).select(settings::value).get_result(c).optional()
    })?)
}

/// Sets a setting, or takes it back with None.
///
/// # Errors
/// Where the database fails.
pub fn set(
    connection: &mut Connection,
    setting: Setting,
    value: Option<&str>,
) -> Result<(), StoreError> {
    let name = &*setting.name();
    on_each_backend!(connection, |c| match value {
        Some(value) => diesel::insert_into(settings::table)
            .values((settings::name.eq(name), settings::value.eq(value)))
            .on_conflict(settings::name)
            .do_update()
            .set(settings::value.eq(value))
            .execute(c),
        None => diesel::delete(settings::table.find(name)).execute(c),
    })?;
    Ok(())
}

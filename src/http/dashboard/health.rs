//! How the daemon is.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde_json::Value;

use super::{frame, html, or_problem, position};
use crate::domain::timestamp::{Timestamp, now, parse};
use crate::domain::words::{grouped, span};
use crate::http::Gateway;
use crate::http::error::ApiError;
use crate::http::health::{Component, look};
use crate::ui::facts::{Fact, FactValue};
use crate::ui::frame::View;
use crate::ui::health_page::{ComponentCard, HealthDetails, HealthPage, HealthUpdate, icon_of};
use crate::ui::text::{Ago, capitalised};

/// `GET /system`
pub(super) async fn page(gateway: Data<Gateway>) -> HttpResponse {
    let page = async {
        let position = position(&gateway).await.ok();
        let health = details(&gateway).await;
        let frame = frame(&gateway, View::Health, position).await;
        Ok(html(StatusCode::OK, &HealthPage { frame, health }))
    };
    or_problem(&gateway, View::Health, page.await).await
}

/// `GET /updates/system`
pub(super) async fn update(gateway: Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let health = details(&gateway).await;
    let frame = frame(&gateway, View::Health, None).await;
    Ok(html(StatusCode::OK, &HealthUpdate { frame, health }))
}

async fn details(gateway: &Gateway) -> HealthDetails {
    let health = look(gateway).await;
    let now = now();
    HealthDetails {
        status: health.status.as_str(),
        version: health.version,
        uptime: span(health.uptime_seconds),
        components: health.components.into_iter().map(|part| card(gateway, part, now)).collect(),
    }
}

fn card(gateway: &Gateway, component: Component, now: Timestamp) -> ComponentCard {
    let provider = gateway.providers.get(component.name);
    let details = component.details.0.iter();
    let details = details.filter_map(|(name, value)| fact(name, value, now));
    let title = provider.map(|door| door.setup.title.to_owned());
    ComponentCard {
        title: title.unwrap_or_else(|| capitalised(component.name)),
        status: component.status.as_str(),
        icon: icon_of(component.status.as_str()),
        message: Some(component.message),
        details: details.collect(),
    }
}

/// A detail of the API's answer, whose name says its unit; None where nothing is known.
fn fact(name: &str, value: &Value, now: Timestamp) -> Option<Fact> {
    let titled = |name: &str| capitalised(&name.replace('_', " "));
    let instant = value.as_str().filter(|_| name.ends_with("_at")).and_then(parse);
    let number = value.as_f64();
    Some(match (name, value) {
        (_, Value::Null) => return None,
        (name, Value::String(_)) if instant.is_some() => Fact {
            name: titled(name.trim_end_matches("_at")),
            value: FactValue::Ago(Ago { at: instant?, now }, None),
        },
        (name, Value::Number(_)) if name.ends_with("_seconds") => {
            Fact::text(titled(name.trim_end_matches("_seconds")), span(number?))
        }
        (name, Value::Number(_)) if name.contains("_mb") => {
            Fact::text(titled(&name.replace("_mb", "")), format!("{:.1} MB", number?))
        }
        (name, Value::Number(number)) => {
            Fact::text(titled(name), number.as_u64().map_or_else(|| number.to_string(), grouped))
        }
        (name, Value::Bool(value)) => Fact::text(titled(name), if *value { "yes" } else { "no" }),
        (name, Value::String(text)) => Fact::text(titled(name), text.clone()),
        (_, Value::Array(_) | Value::Object(_)) => return None,
    })
}

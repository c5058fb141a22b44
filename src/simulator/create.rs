//! Reads what a create asks for. Pure: body and headers in, a job or the reasons against it out.

use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use url::{Host, Url};

use super::catalog;
use super::problem::InvalidField;
use super::spec::{Course, JobSpec};
use super::status::JobKind;
use super::webhooks::WebhookEvent;

/// The key of the input under which a job may bring its own [`Course`].
const COURSE_KEY: &str = "_simulator";
/// The shortest `Cancel-After` that is taken.
const SHORTEST_DEADLINE_SECONDS: u32 = 5;
/// The longest `Prefer: wait`, and what it means without a number.
const LONGEST_WAIT_SECONDS: u64 = 60;

/// What the route of a create says by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing: the body names the version.
    InBody,
    /// The model or version to predict with.
    Model(String),
    /// The version to train; the body names the destination.
    Training(String),
}

#[derive(Debug, Deserialize)]
struct Body {
    version: Option<String>,
    input: Option<Value>,
    destination: Option<String>,
    webhook: Option<String>,
    webhook_events_filter: Option<Vec<String>>,
}

/// The job a create asks for.
pub(super) fn read(
    body: &[u8],
    target: Target,
    cancel_after: Option<&str>,
    may_be_loopback_http: bool,
) -> Result<JobSpec, Vec<InvalidField>> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| vec![invalid("", "invalid", error.to_string())])?;
    let mut reasons = Reasons::default();
    let course = reasons.check(course(body.input.as_ref()));
    let webhook = reasons.check(webhook(body.webhook, may_be_loopback_http));
    let events = reasons.check(events(body.webhook_events_filter));
    let cancel_after_seconds = reasons.check(deadline(cancel_after));
    let input = reasons.check(body.input.ok_or_else(|| required("input")));
    let kind = match target {
        Target::InBody | Target::Model(_) => JobKind::Prediction,
        Target::Training(_) => JobKind::Training,
    };
    let destination = match kind {
        JobKind::Prediction => None,
        JobKind::Training => reasons.check(body.destination.ok_or_else(|| required("destination"))),
    };
    let version = match target {
        Target::InBody => reasons.check(body.version.ok_or_else(|| required("version"))),
        Target::Model(version) | Target::Training(version) => Some(version),
    };
    let version = reasons.check(version.map(known_form).transpose()).flatten();
    reasons.into_result()?;
    Ok(JobSpec {
        kind,
        version: version.unwrap_or_default(),
        destination,
        input: input.unwrap_or_default(),
        webhook: webhook.flatten(),
        webhook_events_filter: events.unwrap_or_default(),
        created_at: None,
        cancel_after_seconds: cancel_after_seconds.flatten(),
        course: course.flatten(),
        oddities: Vec::new(),
    })
}

/// Collects every reason, so that one answer names them all.
#[derive(Default)]
struct Reasons(Vec<InvalidField>);

impl Reasons {
    fn check<T>(&mut self, result: Result<T, InvalidField>) -> Option<T> {
        result.map_err(|reason| self.0.push(reason)).ok()
    }

    fn into_result(self) -> Result<(), Vec<InvalidField>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

fn course(input: Option<&Value>) -> Result<Option<Course>, InvalidField> {
    let Some(course) = input.and_then(|input| input.get(COURSE_KEY)) else {
        return Ok(None);
    };
    let course = Course::deserialize(course);
    course.map(Some).map_err(|error| invalid("input", "invalid", format!("{COURSE_KEY}: {error}")))
}

fn known_form(version: String) -> Result<String, InvalidField> {
    match catalog::resolve(&version) {
        Some(_) => Ok(version),
        None => {
            Err(invalid("version", "invalid", "The specified version does not exist".to_owned()))
        }
    }
}

fn webhook(
    url: Option<String>,
    may_be_loopback_http: bool,
) -> Result<Option<String>, InvalidField> {
    let Some(url) = url else { return Ok(None) };
    let refused =
        || invalid("webhook", "invalid", "Webhook URLs must be absolute HTTPS URLs".to_owned());
    let parsed = Url::parse(&url).map_err(|_| refused())?;
    let is_loopback = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(refused()),
    };
    match parsed.scheme() {
        "https" => Ok(Some(url)),
        "http" if may_be_loopback_http && is_loopback => Ok(Some(url)),
        _ => Err(refused()),
    }
}

fn events(filter: Option<Vec<String>>) -> Result<Vec<WebhookEvent>, InvalidField> {
    let Some(words) = filter else {
        return Ok(WebhookEvent::ALL.to_vec());
    };
    let event = |word: String| {
        WebhookEvent::deserialize(Value::String(word.clone())).map_err(|_| {
            let allowed = "must be one of: start, output, logs, completed";
            invalid("webhook_events_filter", "enum", format!("`{word}` {allowed}"))
        })
    };
    words.into_iter().map(event).collect()
}

fn deadline(cancel_after: Option<&str>) -> Result<Option<u32>, InvalidField> {
    let Some(text) = cancel_after else {
        return Ok(None);
    };
    match duration_seconds(text) {
        Some(seconds) if seconds >= SHORTEST_DEADLINE_SECONDS => Ok(Some(seconds)),
        _ => Err(invalid(
            "Cancel-After",
            "invalid",
            format!("`{text}` is not a duration of at least {SHORTEST_DEADLINE_SECONDS} seconds"),
        )),
    }
}

/// Seconds in `1h30m`, `90s`, or a number without a unit, which is of seconds.
fn duration_seconds(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut total, mut digits) = (0_u32, String::new());
    for character in text.chars() {
        let unit_seconds = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let amount: u32 = digits.parse().ok()?;
        total = total.checked_add(amount.checked_mul(unit_seconds)?)?;
        digits.clear();
    }
    (digits.is_empty() && !text.is_empty()).then_some(total)
}

/// How long `Prefer: wait` or `Prefer: wait=n` wants the answer held, or `None` for another preference.
pub(super) fn wait(prefer: &str) -> Option<Duration> {
    let (word, seconds) = prefer.split_once('=').unwrap_or((prefer, "60"));
    let seconds: u64 = seconds.trim().parse().ok().filter(|_| word.trim() == "wait")?;
    Some(Duration::from_secs(seconds.clamp(1, LONGEST_WAIT_SECONDS)))
}

fn invalid(field: &'static str, kind: &'static str, description: String) -> InvalidField {
    InvalidField { kind, field, description }
}

fn required(field: &'static str) -> InvalidField {
    invalid(field, "required", format!("{field} is required"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_fields(body: &str) -> Vec<&'static str> {
        let reasons = read(body.as_bytes(), Target::InBody, None, true)
            .expect_err("something is wrong with it");
        reasons.into_iter().map(|reason| reason.field).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = r#"{"webhook": "http://example.com", "webhook_events_filter": ["done"]}"#;
        assert_eq!(refused_fields(body), ["webhook", "webhook_events_filter", "input", "version"]);
    }

    #[test]
    fn a_plain_http_webhook_is_taken_for_loopback_only() {
        let url = |url: &str| webhook(Some(url.to_owned()), true).is_ok();
        assert!(
            url("http://127.0.0.1:1/hook")
                && url("http://localhost:1")
                && url("https://example.com")
        );
        assert!(!url("http://192.168.0.1/") && !url("/hook") && !url("ftp://localhost/"));
        assert!(webhook(Some("http://localhost:1".to_owned()), false).is_err());
    }

    #[test]
    fn durations_are_read_as_documented() {
        assert_eq!(duration_seconds("1h30m"), Some(5400));
        assert_eq!(duration_seconds("45s"), Some(45));
        assert_eq!(
            [duration_seconds(""), duration_seconds("1x"), duration_seconds("m")],
            [None; 3]
        );
        assert!(deadline(Some("4s")).is_err());
    }

    #[test]
    fn the_input_may_bring_its_own_course() {
        let body = r#"{"version": "a/b", "input": {"_simulator": "manual"}}"#;
        let spec =
            read(body.as_bytes(), Target::InBody, None, true).expect("nothing is wrong with it");
        assert_eq!(spec.course, Some(Course::Manual));
        assert_eq!(
            refused_fields(r#"{"version": "a/b", "input": {"_simulator": {"x": 1}}}"#),
            ["input"]
        );
    }

    #[test]
    fn prefer_wait_is_held_to_a_minute() {
        assert_eq!(wait("wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("wait"), Some(Duration::from_secs(60)));
        assert_eq!(wait("wait=900"), Some(Duration::from_secs(60)));
        assert_eq!(wait("respond-async"), None);
    }
}

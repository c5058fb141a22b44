//! Whom to tell of what, and how.

use std::collections::{BTreeMap, BTreeSet};

use config::{Value, ValueKind};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::error::{ConfigError, Problem};
use super::reader::{Reader, invalid, origin_of, parse_text, refuse};
use super::{Channel, ChannelUrl, Notifications};
use crate::domain::notification::{Format, Topic};
use crate::domain::private_address::is_private;
use crate::domain::signature::SigningKey;

/// What a channel is told where nothing is said.
const TOPICS_DEFAULT: [Topic; 6] = [
    Topic::Completed,
    Topic::Failed,
    Topic::Stalled,
    Topic::Gone,
    Topic::LossNotFinite,
    Topic::Budget,
];

/// What of a channel can be said.
const FIELDS: [&str; 4] = ["url", "format", "secret", "events"];

impl ChannelUrl {
    /// The host, which is all of it that is ever shown.
    pub fn host(&self) -> String {
        self.parsed_host().map_or_else(String::new, |host| host.to_string())
    }

    /// The same, parsed.
    pub fn parsed_host(&self) -> Option<Host<String>> {
        Url::parse(self.url.expose_secret()).ok()?.host().map(|host| host.to_owned())
    }

    /// The scheme, the host and the port: as much of it as may be shown where a URL is expected.
    pub fn origin(&self) -> String {
        let url = Url::parse(self.url.expose_secret());
        url.map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
    }
}

pub(super) fn read(r: &mut Reader<'_>) -> Result<Notifications, ConfigError> {
    let allow_private_addresses = r.boolean("notifications.allow_private_addresses")?;
    let retry_first_seconds = r.whole("notifications.retry_first_seconds", 1..=3_600)?;
    let key = "notifications.channels";
    let value = r.find(key)?;
    let ValueKind::Table(table) = &value.kind else {
        return Err(refuse(key, value, Problem::refused("must be a section of channels")));
    };
    let mut channels = BTreeMap::new();
    for (name, entry) in table {
        let key = format!("{key}.{name}");
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.len() > 64 || name.is_empty() || !name.chars().all(is_name) {
            let problem = "must have a name of letters, digits, - and _, at most 64";
            return Err(refuse(&key, entry, Problem::refused(problem)));
        }
        channels.insert(name.clone(), channel(&key, entry, allow_private_addresses)?);
    }
    let shown = |(name, channel): (&String, &Channel)| {
        format!("{name:?}: {{format: {}, host: {:?}}}", channel.format.as_str(), channel.url.host())
    };
    let shown: Vec<_> = channels.iter().map(shown).collect();
    r.record(key, format!("{{{}}}", shown.join(", ")), value);
    Ok(Notifications { allow_private_addresses, retry_first_seconds, channels })
}

fn channel(key: &str, entry: &Value, allows_private: bool) -> Result<Channel, ConfigError> {
    let ValueKind::Table(table) = &entry.kind else {
        // Whoever writes the URL in the place of the section finds it in no error.
        let problem = "must be a section with url, and perhaps format, secret and events";
        return Err(refuse(key, entry, Problem::refused(problem)));
    };
    if let Some(unknown) = table.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(ConfigError::UnknownKey {
            origin: origin_of(entry),
            key: format!("{key}.{unknown}"),
            hint: format!("allowed here: {}", FIELDS.join(", ")),
        });
    }
    let url_key = format!("{key}.url");
    let url =
        table.get("url").ok_or_else(|| refuse(&url_key, entry, Problem::refused("is missing")))?;
    let url = parse_url(&url_key, url, allows_private)?;
    let format = match table.get("format") {
        Some(format) => parse_text(&format!("{key}.format"), format, |text| {
            text.parse().map_err(|_| Problem::must_be("json, slack, discord or ntfy"))
        })?,
        None => Format::Json,
    };
    let signing_key = match table.get("secret").map(|secret| (secret, &secret.kind)) {
        None | Some((_, ValueKind::Nil)) => None,
        Some((secret, ValueKind::String(text))) => {
            let problem = || Problem::refused("must be whsec_ and a key in base64");
            let parsed = SigningKey::from_secret(text.trim());
            Some(parsed.map_err(|_| refuse(&format!("{key}.secret"), secret, problem()))?)
        }
        Some((secret, _)) => {
            let problem = Problem::refused("must be text in quotes");
            return Err(refuse(&format!("{key}.secret"), secret, problem));
        }
    };
    let topics = match table.get("events") {
        Some(events) => parse_topics(&format!("{key}.events"), events)?,
        None => TOPICS_DEFAULT.into_iter().collect(),
    };
    Ok(Channel { url, format, signing_key, topics })
}

/// The URL is a secret of its own at most services, so no error repeats it.
fn parse_url(key: &str, value: &Value, allows_private: bool) -> Result<ChannelUrl, ConfigError> {
    let problem = |words: &str| refuse(key, value, Problem::refused(words));
    let ValueKind::String(text) = &value.kind else {
        return Err(problem("must be text in quotes"));
    };
    let url = Url::parse(text.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| problem("must be an http or https URL"))?;
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) | None => None,
    };
    if !allows_private && literal.is_some_and(is_private) {
        return Err(problem(
            "is an address of this machine or of a private network: set notifications.allow_private_addresses",
        ));
    }
    split_credentials(url).map_err(problem)
}

/// Takes user and password out of a URL: they travel in a header of their own.
fn split_credentials(mut url: Url) -> Result<ChannelUrl, &'static str> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
    let user = decoded(url.username()).map_err(|_| "has a user that is not UTF-8")?;
    let password = decoded(url.password().unwrap_or_default())
        .map_err(|_| "has a password that is not UTF-8")?;
    if user.contains(':') {
        return Err("has a user with a colon, which Basic credentials cannot tell from a password");
    }
    let has_any = !user.is_empty() || !password.is_empty();
    let credentials = has_any.then(|| SecretString::from(format!("{user}:{password}")));
    // A URL with a host takes both.
    let is_split = url.set_username("").is_ok() && url.set_password(None).is_ok();
    if !is_split {
        return Err("must be an http or https URL");
    }
    Ok(ChannelUrl { url: SecretString::from(url.to_string()), credentials })
}

fn parse_topics(key: &str, value: &Value) -> Result<BTreeSet<Topic>, ConfigError> {
    let allowed = Topic::ALL.map(|(name, _)| name).join(", ");
    let allowed = format!("a list of: {allowed}");
    let ValueKind::Array(items) = &value.kind else {
        return Err(invalid(key, value, &allowed));
    };
    // An item of a list does not know its source; the list does.
    let bad = |item: &Value| {
        invalid(key, &Value::new(Some(&origin_of(value)), item.kind.clone()), &allowed)
    };
    let topic = |item: &Value| match &item.kind {
        ValueKind::String(text) => text.parse().map_err(|_| bad(item)),
        _ => Err(bad(item)),
    };
    items.iter().map(topic).collect()
}

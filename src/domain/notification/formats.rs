//! The forms in which services take a message.

use serde_json::{Value, json};

use super::{Message, Topic};
use crate::domain::job::UnknownWord;

/// The form that a channel wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain JSON, for programs: `{"type", "timestamp", "data"}`, as Standard Webhooks suggests.
    Json,
    /// Slack's incoming webhooks.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// A topic of ntfy.
    Ntfy,
}

/// A message as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The body.
    pub body: String,
    /// Of which type it is.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("json", Self::Json),
        ("slack", Self::Slack),
        ("discord", Self::Discord),
        ("ntfy", Self::Ntfy),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, format)| *format == self).map_or("json", |(name, _)| name)
    }

    /// The message in this form.
    pub fn render(self, message: &Message) -> Rendered {
        let json = |body: Value| Rendered {
            body: body.to_string(),
            content_type: "application/json",
            headers: Vec::new(),
        };
        match self {
            Self::Json => json(json!({
                "type": message.kind,
                "timestamp": message.at,
                "title": message.title,
                "data": message.data,
            })),
            Self::Slack => json(slack(message)),
            Self::Discord => json(discord(message)),
            Self::Ntfy => ntfy(message),
        }
    }
}

impl std::str::FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(word, &Self::ALL)
    }
}

/// Slack reads three characters as the beginning of something else.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn slack(message: &Message) -> Value {
    let title = for_slack(&message.title);
    let heading = match &message.url {
        // A bar would end the address.
        Some(url) if !url.contains(['|', '>']) => format!("*<{}|{title}>*", for_slack(url)),
        _ => format!("*{title}*"),
    };
    let text = for_slack(&message.text);
    let shown = if text.is_empty() { heading } else { format!("{heading}\n{text}") };
    json!({
        // What a notification on a phone shows, and readers of screens.
        "text": title,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": shown}}],
    })
}

fn discord(message: &Message) -> Value {
    let colour = match message.topic {
        Topic::Completed => 0x002e_7d32,
        Topic::Failed | Topic::LossNotFinite | Topic::Gone => 0x00c6_2828,
        Topic::Stalled | Topic::Budget => 0x00ef_6c00,
        Topic::Cancelled => 0x0060_7d8b,
    };
    // Discord refuses what is longer than its limits.
    let mut embed = json!({
        "title": first_chars(&message.title, 256),
        "description": first_chars(&message.text, 4_000),
        "color": colour,
        "timestamp": message.at,
    });
    if let Some(url) = &message.url {
        embed["url"] = url.as_str().into();
    }
    // A name that says @everyone must not call everyone.
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
}

fn ntfy(message: &Message) -> Rendered {
    let (priority, tag) = match message.topic {
        Topic::Completed => ("3", "white_check_mark"),
        Topic::Failed | Topic::LossNotFinite => ("4", "x"),
        Topic::Gone | Topic::Stalled => ("4", "warning"),
        Topic::Budget => ("4", "moneybag"),
        Topic::Cancelled => ("2", "no_entry_sign"),
    };
    let mut headers = vec![
        ("title", encoded_word(&message.title)),
        ("priority", priority.to_owned()),
        ("tags", tag.to_owned()),
    ];
    if let Some(url) = message.url.as_ref().filter(|url| is_header_text(url)) {
        headers.push(("click", url.clone()));
    }
    let body = if message.text.is_empty() { &message.title } else { &message.text };
    Rendered { body: body.clone(), content_type: "text/plain; charset=utf-8", headers }
}

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// A text as a header takes it: what is not ASCII by RFC 2047, which ntfy reads.
fn encoded_word(text: &str) -> String {
    use base64::Engine as _;
    let one_line = text.replace(char::is_control, " ");
    if is_header_text(&one_line) {
        return one_line;
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(one_line);
    format!("=?UTF-8?B?{encoded}?=")
}

fn first_chars(text: &str, limit: usize) -> &str {
    text.char_indices().nth(limit).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            topic: Topic::Failed,
            kind: "job.failed".to_owned(),
            at: "2026-03-01T10:00:00Z".to_owned(),
            title: "Job <cats> & dogs failed".to_owned(),
            text: "a < b".to_owned(),
            url: Some("https://x.example/j?a=1&b=2".to_owned()),
            data: serde_json::Map::from_iter([("job_id".to_owned(), json!("j1"))]),
        }
    }

    fn body(format: Format, message: &Message) -> Value {
        serde_json::from_str(&format.render(message).body).expect("JSON")
    }

    #[test]
    fn programs_get_the_whole_of_it() {
        let expected = json!({
            "type": "job.failed", "timestamp": "2026-03-01T10:00:00Z",
            "title": "Job <cats> & dogs failed", "data": {"job_id": "j1"},
        });
        assert_eq!(body(Format::Json, &message()), expected);
    }

    #[test]
    fn slack_is_not_told_to_read_names_as_marks() {
        let slack = body(Format::Slack, &message());
        assert_eq!(slack["text"], "Job &lt;cats&gt; &amp; dogs failed");
        assert_eq!(
            slack["blocks"][0]["text"]["text"],
            "*<https://x.example/j?a=1&amp;b=2|Job &lt;cats&gt; &amp; dogs failed>*\na &lt; b"
        );
    }

    #[test]
    fn discord_calls_nobody_and_gets_no_more_than_it_takes() {
        let long =
            Message { title: "@everyone".repeat(100), text: "é".repeat(9_000), ..message() };
        let discord = body(Format::Discord, &long);
        assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
        let chars = |key: &str| discord["embeds"][0][key].as_str().map(|text| text.chars().count());
        assert_eq!((chars("title"), chars("description")), (Some(256), Some(4_000)));
    }

    #[test]
    fn ntfy_gets_headers_that_are_headers() {
        let strange = Message { title: "Größe\r\nX-Evil: 1".to_owned(), ..message() };
        let rendered = Format::Ntfy.render(&strange);
        let header = |name: &str| {
            let found = rendered.headers.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert!(header("title").starts_with("=?UTF-8?B?") && is_header_text(header("title")));
        assert_eq!((header("priority"), header("tags")), ("4", "x"));
        assert_eq!(header("click"), "https://x.example/j?a=1&b=2");
        assert_eq!(rendered.body, "a < b");
    }

    #[test]
    fn every_format_is_known_by_its_name() {
        for (name, format) in Format::ALL {
            assert_eq!((name.parse(), format.as_str()), (Ok(format), name));
        }
    }
}
